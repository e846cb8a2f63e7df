"""What is paid once: imports, and compiling every kernel, each in a fresh process.

`import` times whole processes; subtract `python`, one that does nothing. `compile` is the process that imports
fastmlp_kernels and calls `warmup()`: without the cache of kernels on disk, and with it filled.
"""

import os
import subprocess
import sys

import pytest

pytest.importorskip("pytest_benchmark", reason="timing needs the extra: pip install 'fastmlp[bench]'")

ROUNDS = 5
IMPORTS = {"python": "pass", "fastmlp": "import fastmlp", "numpy": "import numpy", "numba": "import numba"}
WARMUP = "import fastmlp_kernels; print(sum(fastmlp_kernels.warmup().values()))"


def _run(code: str, **variables: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | variables, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


@pytest.mark.parametrize("impl", IMPORTS)
def test_import(benchmark, impl):
    benchmark.group = "import"
    benchmark.extra_info["impl"] = impl
    benchmark.pedantic(_run, args=(IMPORTS[impl],), rounds=ROUNDS, iterations=1, warmup_rounds=1)


@pytest.mark.parametrize("impl", ["fastmlp", "fastmlp_disk_cache"])
def test_compile(benchmark, impl, tmp_path):
    cached = impl == "fastmlp_disk_cache"
    variables = {"FASTMLP_NUMBA_CACHE": "1" if cached else "0", "NUMBA_CACHE_DIR": str(tmp_path)}
    if not benchmark.enabled:
        variables = {}  # a test finds what other tests compiled
    benchmark.group = "compile"
    benchmark.extra_info["impl"] = impl
    if cached and benchmark.enabled:
        _run(WARMUP, **variables)
    seconds = benchmark.pedantic(_run, args=(WARMUP,), kwargs=variables, rounds=1, iterations=1)
    benchmark.extra_info["warmup_seconds"] = float(seconds)
