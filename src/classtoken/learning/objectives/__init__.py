"""What is minimised: an objective is a module with `loss`, `stepped` and `score` (`objectives.base.Objective`)."""
