"""A sweep's results for reading: the page of `python -m fastmlp.report`, its tables and its figures."""
