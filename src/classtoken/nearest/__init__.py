"""Nearest neighbours of a folder of vectors: exact search, pairs, odd rows, layout; an index as a cache."""
