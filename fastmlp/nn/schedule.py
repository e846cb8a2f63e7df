"""How the learning rate changes over training: its factor, by the share of the epochs that are done."""

import math
from collections.abc import Callable

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,  # noqa: ARG005 - the same call for every schedule
    # Loshchilov and Hutter (2017), "SGDR", without its restarts
    "cosine": lambda done: 0.5 + 0.5 * math.cos(math.pi * done),
}
