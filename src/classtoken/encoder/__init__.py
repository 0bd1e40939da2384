"""Tokens -> states: one transformer encoder, and the table of families whose checkpoints load into it."""
