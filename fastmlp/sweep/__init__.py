"""Many runs: on every core, on many machines, and on from where they were when something ended them.

`run_sweep` is the way in from Python; `python -m fastmlp.train` is built on the same parts.
"""

from fastmlp.sweep.job import hold
from fastmlp.sweep.loop import run_sweep

__all__ = ["hold", "run_sweep"]
