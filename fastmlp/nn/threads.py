"""The number of BLAS threads, which is global to the process, and how to hold it for a while.

Only BLAS is held, never numba: the compiled kernels are serial, and two pools that both spin are slower than one
thread. An OpenMP pool that numba may share is left alone for the same reason.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from fastmlp.errors import ConfigError


def usable_cores() -> int:
    """Return how many cores this process may use; an affinity mask or a container may allow fewer than exist."""
    from loky import cpu_count  # here: it takes a while, and most programs set their threads themselves

    return cpu_count()


def check_threads(n: int) -> None:
    """Raise ConfigError unless `n` is a whole number from 1 to `usable_cores()`."""
    cores = usable_cores()
    if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= cores:
        raise ConfigError(
            f"threads is {n!r}; allowed is a whole number from 1 to {cores}, the cores this process may use. "
            "More threads than cores only wait for each other."
        )


@cache
def _controller() -> ThreadpoolController:
    import numpy as np  # noqa: F401 - threadpoolctl sees only what is loaded: numpy brings the BLAS

    # Finding the libraries costs about 0.7 ms, holding them through a controller that is there a few microseconds.
    return ThreadpoolController().select(user_api="blas")


def blas_info() -> list[dict[str, Any]]:
    """Return threadpoolctl's facts on each BLAS in this process; it knows of none such as Accelerate."""
    return _controller().info()


@contextmanager
def blas_threads(n: int) -> Iterator[int]:
    """Run the body with `n` BLAS threads and restore the former number after it, also after an exception.

    Yields the number of BLAS libraries held: 0 says that none was found, and that the body runs with whatever number
    of threads numpy's matrix product takes by itself. Libraries loaded after the first call are not seen.

    Raises ConfigError where `n` is not a whole number from 1 to `usable_cores()`.
    """
    check_threads(n)
    controller = _controller()
    with controller.limit(limits=n):
        yield len(controller)
