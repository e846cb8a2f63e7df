"""What a sweep is to do: its runs, and who does how many of them at once.

It loads neither numpy nor the kernels, so that a command can make one before these do.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastmlp.config import RunConfig

if TYPE_CHECKING:
    from concurrent.futures import Executor

WORKERS = ("processes", "threads")


@dataclass(frozen=True)
class Plan:
    """The runs of a sweep, and how they are worked on.

    jobs : runs at a time; threads : of each
    workers : of WORKERS, those of this machine; else the address of a dask scheduler, or an executor, which stays open
    search : whether the best candidate is to be found on validation, and only it tested; runs of one candidate differ
        in seed and fold alone
    eta : of successive halving, where one candidate in so many goes on at each rung; None: all are trained to their end
    retry : statuses of runs that are to begin anew
    left_out : what was asked for and is not in it, in words
    """

    configs: Sequence[RunConfig]
    jobs: int
    threads: int
    workers: "str | Executor" = WORKERS[0]
    search: bool = False
    eta: int | None = None
    retry: Collection[str] = ()
    left_out: str = ""


def candidates_of(configs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Return the runs by candidate: those that differ in nothing but seed and fold."""
    groups: dict[RunConfig, list[RunConfig]] = {}
    for config in configs:
        groups.setdefault(config.candidate, []).append(config)
    return list(groups.values())
