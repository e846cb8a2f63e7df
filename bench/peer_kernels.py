"""The kernels' work by PyTorch, in place or into given memory, on the arrays of a case of `bench.cases`."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.cases import Case

IN_PLACE = ("bias_tanh", "bias_sigmoid", "bias_relu")
LAST_AXIS = ("softmax", "log_softmax", "logsumexp")


def torch_call(name: str, shape: tuple[int, int], case: Case) -> Callable[[], Any] | None:
    """Return a case's work by PyTorch on one thread; None where PyTorch is not installed or has no such function."""
    if name not in IN_PLACE + LAST_AXIS:
        return None
    try:
        import torch  # pyright: ignore[reportMissingImports] - comes with the extra `peers`
    except ImportError:
        return None
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)  # whose first numbers are the case's own
    x, bias = (torch.from_numpy(rng.standard_normal(size, dtype=np.float32)) for size in (shape, shape[1]))
    if name in IN_PLACE:
        z, function = torch.from_numpy(case.changed[0]), getattr(torch, f"{name.removeprefix('bias_')}_")

        def work() -> Any:
            return function(z.add_(bias))
    else:
        work = partial(getattr(torch, name), x, -1, out=torch.from_numpy(case.results[0]))

    def call() -> None:  # what the work returns is the memory that it was given
        work()

    return call
