"""The parts that commands share: options, the frame in which each runs, and the sweep of `python -m fastmlp.train`."""

from importlib import import_module


def __getattr__(name: str) -> object:
    if name != "main":  # which stood here once, and which programs call that start a cluster
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module("fastmlp.train").main
