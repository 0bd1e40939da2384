"""The ways to train: a head on frozen features, a fine-tune, an encoder from scratch."""
