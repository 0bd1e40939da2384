"""Records -> batches of tokens, a role per token, prepared as the checkpoint's authors prepare them."""
