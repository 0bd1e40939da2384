"""Numbers about vectors: arrays in, frozen results out."""
