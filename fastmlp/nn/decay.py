"""The scales of weight decay, by name; knows neither numpy nor numba, so that a command can list the names."""

DECAY_PER = ("update", "batch")
"""weight_decay as it is in each update, or divided by the rows of the batch, as scikit-learn's alpha is."""
