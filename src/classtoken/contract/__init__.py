"""What a checkpoint gives, and why we believe it: clues from files, experiments on the loaded model."""
