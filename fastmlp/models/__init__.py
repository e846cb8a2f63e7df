"""A trained network by itself: in memory, on disk, applied to pictures, and in the forms of other libraries."""
