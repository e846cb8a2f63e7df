"""What is paid once: imports, and compiling every kernel, each in a fresh process.

`import` times whole processes; subtract `python`, one that does nothing. `compile` is the process that imports
fastmlp_kernels and calls `warmup()`: with an empty folder for kernels on disk, which it fills, and with that one.
"""

import os
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder for compiled kernels, empty at first: what the process without them leaves, the next one finds."""
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize("impl", ["fastmlp", "fastmlp_disk_cache"])
def test_compile(benchmark, impl, folder):
    # a test finds what other tests compiled
    variables = {"FASTMLP_NUMBA_CACHE": "1", "NUMBA_CACHE_DIR": str(folder)} if benchmark.enabled else {}
    benchmark.group = "compile"
    benchmark.extra_info["impl"] = impl
    if impl == "fastmlp_disk_cache" and benchmark.enabled and not any(folder.iterdir()):
        _run(WARMUP, **variables)
    seconds = benchmark.pedantic(_run, args=(WARMUP,), kwargs=variables, rounds=1, iterations=1)
    benchmark.extra_info["warmup_seconds"] = float(seconds)
