"""Small checkpoints of real architectures with random weights, and what such a checkpoint needs."""
