"""The training loop: steps, optimisers, schedules, checkpoints, randomness."""
