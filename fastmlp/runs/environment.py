"""The environment of a result: machine, versions of libraries, and data set; no names of hosts and no folders."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastmlp import __version__
from fastmlp.data import Dataset
from fastmlp.nn.threads import blas_info, usable_cores
from fastmlp_kernels import bfloat16, int8


def environment(dataset: Dataset) -> dict[str, Any]:
    """Return the environment of this process as a dict that JSON can hold.

    Its `blas` is the library in use with its present number of threads (so call this within `blas_threads`), or None;
    `kernels` in it are those that OpenBLAS chose for this CPU.
    """
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "os": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "fastmlp": __version__,
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "bfloat16": _told(bfloat16.INSTRUCTIONS, "float32 arithmetic"),
        "int8": _told(int8.INSTRUCTIONS, "32-bit integer arithmetic"),
        "blas": _blas(),
        "dataset": {
            "name": dataset.name,
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "train_images": len(dataset.train_images),
            **({} if dataset.validation_images is None else {"validation_images": len(dataset.validation_images)}),
            "test_images": len(dataset.test_images),
            **({"split": dataset.words} if dataset.words else {}),
            **({"folds": len(dataset.folds)} if dataset.folds else {}),
        },
    }


def _told(instructions: str | None, otherwise: str) -> str:
    return f"in hardware ({instructions})" if instructions else f"in {otherwise}"


def _blas() -> dict[str, Any] | None:
    libraries = blas_info()
    if not libraries:
        return None
    first = libraries[0]  # numpy's own: it is the only one that this package loads
    return {
        "name": first["internal_api"],
        "version": first["version"],
        "kernels": first.get("architecture"),
        "threads": first["num_threads"],
    }


def cpu_model() -> str:
    """Return the name of the CPU's model, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()
