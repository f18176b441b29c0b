"""Batches of tokens, the loop of training steps, checkpoints and inference."""
