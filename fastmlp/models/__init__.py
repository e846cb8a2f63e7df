"""Trained networks: in memory, on disk, applied to pictures, and translated for other libraries."""
