"""Records -> what a training step sees: pictures, texts, labels, augmentations, batches."""
