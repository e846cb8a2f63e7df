"""One run: what makes it the same run, its training with checkpoints, and its result."""
