"""Write the README's block on scikit-learn: FastMLPClassifier against MLPClassifier, equal settings, in turns.

    python -m bench.estimators --data-dir DATA

Each fit has a process of its own (`bench.fit_once`); a repeat has the next seed. Without CIFAR-100 in DATA the images
are the embedded set's.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from bench.fit_once import CASES, ESTIMATORS
from bench.measured import in_units, plural
from bench.readme import README, markdown, write_block
from bench.worker import THREADS
from fastmlp import coretype
from fastmlp.threads import usable_cores

BLOCK = "estimators"
NAMES = {"fastmlp": "**FastMLPClassifier**", "sklearn": "MLPClassifier"}
Fits = list[dict[str, Any]]
Key = tuple[str, int, str]  # case, threads, estimator


def fit_once(key: Key, seed: int, cache: str, data_dir: Path | None, epochs: int | None) -> dict[str, Any]:
    """Return the figures of one fit in a new process; cache : folder of this package's compiled code."""
    case, threads, estimator = key
    command = [sys.executable, "-m", "bench.fit_once", estimator, case, "--threads", str(threads), "--seed", str(seed)]
    command += ["--data-dir", str(data_dir)] if data_dir else []
    command += ["--epochs", str(epochs)] if epochs else []
    environment = os.environ | dict.fromkeys(THREADS, str(threads))
    environment |= {"FASTMLP_NUMBA_CACHE": "1", "NUMBA_CACHE_DIR": cache}
    done = subprocess.run(command, env=environment, cwd=README.parent, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(threads: Sequence[int], repeats: int, data_dir: Path | None, epochs: int | None) -> dict[Key, Fits]:
    """Return all fits; in each repeat the estimators take turns, after one that fills the cache of compiled code."""
    keys = [(case, n, estimator) for case in CASES for n in threads for estimator in ESTIMATORS]
    fits: dict[Key, Fits] = {key: [] for key in keys}
    with tempfile.TemporaryDirectory() as cache:
        for case in CASES:
            fit_once((case, threads[0], "fastmlp"), 0, cache, data_dir, 1)
        for seed in range(repeats):
            for key in keys:
                fits[key].append(fit_once(key, seed, cache, data_dir, epochs))
                print(f"{seed} {key}: {fits[key][-1]['seconds']:.2f} s", file=sys.stderr, flush=True)
    return fits


def render(fits: dict[Key, Fits], head: str) -> str:
    """Return the block: a row an estimator, network and number of threads; `head` says what was used."""

    def over(key: Key, name: str) -> float:
        return median(fit[name] for fit in fits[key])

    lines = []
    for case, threads, estimator in fits:
        key = (case, threads, estimator)
        first, ratio = fits[key][0], over(key, "seconds") / over((case, threads, "fastmlp"), "seconds")
        beside = "" if estimator == "fastmlp" else f" ({ratio:.2f}x)"
        lines.append([
            f"{first['data']}, {first['rows']:,} rows", f"{first['network']}, {first['epochs']} epochs", str(threads),
            NAMES[estimator], in_units(over(key, "seconds")) + beside, f"{over(key, 'peak') / 1e6:,.0f} MB",
            f"{over(key, 'added') / 1e6:,.0f} MB", f"{100 * over(key, 'accuracy'):.2f}",
        ])  # fmt: skip
    ours = [key for key in fits if key[2] == "fastmlp"]
    loading = max(over(key, "loading") for key in ours)
    repeats = len(fits[ours[0]])
    settings = "; ".join(
        f"{fits[case, ours[0][1], 'fastmlp'][0]['network']}: batch {c.batch}, learning rate {c.lr:g}, weight decay "
        f"{c.weight_decay:g}, in scikit-learn alpha {c.weight_decay * c.batch:g}"
        for case, c in CASES.items()
    )
    text = (
        f"{head} ReLU, momentum 0.9 without Nesterov, float32, no early stopping; {settings}. "
        f"Medians of {repeats} fits in turns, seeds 0 to {repeats - 1}, each in a new process; in brackets that "
        "time over ours. Memory: the most that the process held during the fit, with the rows, and what of it the fit "
        f"added. Test accuracy in %; each begins with its own kind of random weights. Loading our compiled code took "
        f"{in_units(loading)} a process and is not in the times."
    )
    header = ["data", "network", "threads", "estimator", "fit", "memory", "added", "accuracy"]
    return f"{text}\n\n{markdown(header, lines)}"


def describe() -> str:
    """Return the machine and the libraries in one sentence; call it before others load numpy, or with its kernels."""
    import numba
    import numpy as np
    import sklearn

    from fastmlp.environment import cpu_model
    from fastmlp.threads import blas_info

    kernels = next((library.get("architecture") for library in blas_info()), None)
    return (
        f"{cpu_model()}, {plural(usable_cores()).replace('thread', 'core')}; scikit-learn {sklearn.__version__}, numpy "
        f"{np.__version__}{f' with BLAS kernels {kernels}' if kernels else ''}, numba {numba.__version__}."
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and write the block; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.estimators", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="where CIFAR-100 lies")
    parser.add_argument("--threads", type=int, nargs="+", help="(default: 1, and all cores)")
    parser.add_argument("--repeats", type=int, default=5, help="fits of each (default: %(default)s)")
    parser.add_argument("--epochs", type=int, help="(default: 50 on the table, 4 on the images)")
    parser.add_argument("--readme", type=Path, default=README, help="the file with the markers (default: README.md)")
    args = parser.parse_args(argv)
    coretype.apply()  # so that the kernels that are named are the ones that the fits used
    data_dir = args.data_dir and args.data_dir.resolve()
    threads = args.threads or sorted({1, usable_cores()})
    fits = measure(threads, args.repeats, data_dir, args.epochs)
    write_block(args.readme, BLOCK, render(fits, describe()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
