"""What the commands share: their options and first and last moments; and the sweep of `python -m fastmlp.train`."""
