"""Functions that a sweep calls on the workers of a dask.distributed scheduler: to set one up, and to do a run there."""

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fastmlp import __version__
from fastmlp.data import Dataset, load_dataset
from fastmlp.data.cifar import TITLES
from fastmlp.data.mapped import read_mapped
from fastmlp.errors import ConfigError, FastMLPError
from fastmlp.runs.identity import TRAINING_VERSION
from fastmlp.sweep.job import DATA, hold, holds, run
from fastmlp_kernels._compiling import when_compiling

# A run that nobody waits for any more may put back the limit that it found, on its way out.
LIMIT_SECONDS = 5.0


@dataclass(frozen=True)
class Wanted:
    """What a worker must have: data of a fingerprint, the sweep's folder or not, a run's threads, and the version."""

    name: str
    fingerprint: str
    work: Path
    threads: int
    version: tuple[str, int]


async def set_up(wanted: Wanted, sent: Dataset | None) -> dict[str, Any]:
    """Set this worker up; return its cores and whether it has the data. Raises where it can never do the runs."""
    # In a thread: the worker's own goes on telling the scheduler that it lives.
    return await asyncio.to_thread(_set_up, wanted, sent)


def _set_up(wanted: Wanted, sent: Dataset | None) -> dict[str, Any]:
    from threadpoolctl import threadpool_limits

    from fastmlp.nn.threads import blas_info, usable_cores

    version = (__version__, TRAINING_VERSION)
    if version != wanted.version:
        raise ConfigError(f"it has fastmlp {version[0]}, the sweep's is {wanted.version[0]}: install the same")
    cores = usable_cores()
    if cores < wanted.threads:
        raise ConfigError(f"it may use {cores} cores, a run takes {wanted.threads} threads")
    began = time.monotonic()
    while True:
        threadpool_limits(wanted.threads, user_api="blas")  # for good: without a `with`, nothing takes it back
        wrong = [library for library in blas_info() if library["num_threads"] > wanted.threads]
        if not wrong:
            break
        if time.monotonic() - began > LIMIT_SECONDS:
            raise RuntimeError(f"its {wrong[0]['internal_api']} takes {wrong[0]['num_threads']} threads")
        time.sleep(0.01)
    place = os.environ.get("FASTMLP_DATA_DIR") if wanted.name in TITLES else None
    ways: list[Callable[[], Dataset]] = [
        lambda: read_mapped(wanted.work / DATA, wanted.fingerprint),
        lambda: load_dataset(wanted.name, place, download=False),
    ]
    if sent is not None:
        ways = [lambda: sent]
    for way in () if holds(wanted.fingerprint) else ways:
        try:
            found = way()
            # Copies, which work their fingerprints out anew, from what they hold.
            dataset = replace(found, folds=tuple(replace(fold) for fold in found.folds))
        except (FastMLPError, OSError) as error:
            if place is not None and way is ways[-1]:  # it was told of a place that has none
                raise ConfigError(f"its FASTMLP_DATA_DIR is {place}: {error}") from error
            continue
        if dataset.fingerprint == wanted.fingerprint:
            hold(dataset)
            break
    return {"cores": cores, "has_data": holds(wanted.fingerprint)}


def call(function: Callable[..., Any], arguments: tuple[Any, ...], topic: str) -> Any:
    """Call a function on this worker and return its result; its compilations are reported to a topic of dask's.

    A run that nobody waits for any more, as its sweep was killed, ends after its epoch.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_unwanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state == "cancelled" or worker.status.name in ("closing", "closed")

    more = {"stop": is_unwanted} if function is run else {}
    with when_compiling(lambda: worker.log_event(topic, worker.address)):
        return function(*arguments, **more)
