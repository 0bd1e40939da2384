"""Public batteries for those who add a stage of their own: each says what is wrong with it, or nothing."""
