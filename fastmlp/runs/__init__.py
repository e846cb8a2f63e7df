"""One training run: its identity, its training with checkpoints, and its result."""
