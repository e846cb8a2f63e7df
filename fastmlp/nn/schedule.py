"""The schedules of the learning rate: its factor, from the fraction of the epochs that are done, by name."""

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,  # noqa: ARG005 - the same call for every schedule
    # Loshchilov and Hutter (2017), "SGDR", without its restarts
    "cosine": lambda done: 0.5 + 0.5 * math.cos(math.pi * done),
}
