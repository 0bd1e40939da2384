"""Learning: heads on frozen vectors, learned poolings, fine-tuning, and encoders from scratch, by one readable loop."""
