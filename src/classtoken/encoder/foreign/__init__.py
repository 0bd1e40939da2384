"""Encoders of transformers behind this package's own forward, their gaps declared."""
