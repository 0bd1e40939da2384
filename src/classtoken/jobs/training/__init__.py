"""The parts of `train` and `predict` that are not learning itself: records in, folder and figures out."""
