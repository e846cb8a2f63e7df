"""Which rivals can run here, and what every result of one says."""

import shutil
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from bench.peak import precisions
from bench.trainers import TRIAL
from bench.worker import Worker

PACKAGES = {"torch": "torch", "jax": "jax", "sklearn": "scikit-learn"}  # optional rivals and what installs them
IMPLEMENTATIONS = {
    "fastmlp_bf16": "fastmlp",
    "fastmlp_int8": "fastmlp",
    "trial_bf16": "trial",
}  # rivals that are another one's other precision


def _library(rival: str) -> str:
    return rival.split("_")[0]


def why_not(rival: str) -> str | None:
    """Return what a rival lacks here, None where it can run."""
    library = _library(rival)
    if library in PACKAGES and find_spec(library) is None:
        return f"{library} is not installed: pip install {PACKAGES[library]}"
    if library == "trial" and not TRIAL.is_file():
        return "the trial is no part of the project, and does not lie beside it"
    if rival == "trial_bf16" and "bfloat16" not in precisions():
        return "the trial multiplies bfloat16 by the CPU's instructions alone, and this CPU has none"
    if rival.startswith("torch_compile") and not any(map(shutil.which, ("c++", "g++", "clang++"))):
        return "torch.compile needs a C++ compiler"
    return None


def describe(rival: str, worker: Worker, precision: str, threads: int) -> dict[str, Any]:
    """Return what every result of a rival says of it."""
    library = _library(rival)
    return {
        "rival": rival,
        "impl": IMPLEMENTATIONS.get(rival, rival),
        "precision": precision,
        "threads": threads,
        "blas_kernels": worker.blas_kernels,
        "numpy": version("numpy"),
        **({library: version(PACKAGES[library])} if library in PACKAGES else {}),
    }


def speed(flop: float, seconds: float, peak: dict[str, float], precision: str) -> dict[str, float]:
    """Return the speed in GFLOP/s, and as a share of the peak in its precision: float32's where that has none."""
    rate, most = flop / seconds / 1e9, peak.get(precision, peak["float32"])
    return {"seconds": seconds, "gflop_per_s": rate, "peak_gflop_per_s": most, "peak_share": rate / most}
