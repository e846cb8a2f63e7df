"""Readers of anyone's own rows and targets: arrays, IDX and svmlight files, folders of pictures, sets by name.

`read.read_raw` chooses one by what lies at a path, and returns a `fastmlp.data.raw.Raw`.
"""
