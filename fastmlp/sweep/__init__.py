"""Sweeps: many runs, on all cores or on many machines, that resume after whatever ended them.

`run_sweep` is the way in from Python; `python -m fastmlp.train` is built on the same parts. Names are imported on first
use, as in `fastmlp` itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastmlp.sweep.conduct import run_sweep as run_sweep
    from fastmlp.sweep.job import hold as hold

_HOME = {"hold": "job", "run_sweep": "conduct"}

__all__ = ["hold", "run_sweep"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
