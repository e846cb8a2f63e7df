"""Synchronous successive halving over epochs: the epochs at which candidates are compared, and which of them survive.

Karnin, Koren and Somekh, "Almost optimal exploration in multi-armed bandits", ICML 2013; Jamieson and Talwalkar,
"Non-stochastic best arm identification and hyperparameter optimization", AISTATS 2016. Synchronous: a rung is decided
when all of its candidates have reached it, so that the outcome never depends on which of them was there first.
"""

import math
from collections.abc import Sequence

from fastmlp.errors import ConfigError


def rungs(epochs: int, candidates: int, eta: int) -> list[int]:
    """Return the epochs after which candidates are compared, strictly increasing; the last is `epochs`.

    At each but the last, one in `eta` goes on, for about `eta` times as many epochs. There are as many as leave a
    candidate for the last one and an epoch for the first. `epochs` and `candidates` are at least 1; raises
    ConfigError for an `eta` below 2.
    """
    if eta < 2:
        raise ConfigError(f"--halving is {eta}; allowed is a whole number of at least 2: one in so many goes on.")
    halvings = 0
    while eta ** (halvings + 1) <= min(epochs, candidates):  # whole numbers: math.log(125, 5) is below 3
        halvings += 1
    return [-(-epochs // eta ** (halvings - k)) for k in range(halvings + 1)]


def survivors(scores: Sequence[float], eta: int) -> list[int]:
    """Return the indices, ascending, of the best `len(scores) // eta` scores, but of at least one where there is any.

    A higher score is better, NaN is the worst, and of equal ones the first is better.
    """
    ranked = sorted(range(len(scores)), key=lambda i: (math.isnan(scores[i]), -scores[i]))
    return sorted(ranked[: max(1, len(scores) // eta)])
