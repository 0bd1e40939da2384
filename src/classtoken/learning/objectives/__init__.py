"""What is minimised. Each objective is a module with `loss`, `stepped` and `score` (see `learning.loop.Objective`)."""
