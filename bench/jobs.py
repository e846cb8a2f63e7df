"""Train the report's 16 networks, two at once on a thread each, and time the whole beside what its FLOPs cost.

    python -m bench.jobs --data-dir DATA --precision float32 --out runs/jobs-float32

The folder gets the results and `jobs.json`: the wall time, starting, loading and compiling included, and the time that
the operations alone take at the peak of two threads, measured before and after; in int8 those of the first layer, of
the others in float32.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench import peak
from fastmlp.files import write_whole
from fastmlp.runs.results import RunResult, load_results


def flop(run: RunResult, train: int, validation: int, test: int) -> tuple[int, int]:
    """Return the operations of a run's matrix products, of the first layer and of the others; a multiply-add is two.

    A training image passes each layer three times (forward, weight gradient, gradient handed down), the first layer
    twice; an image that is only evaluated passes each once.
    """
    first, *others = (2 * d * h for d, h in pairwise(run.config.layers))
    trained, evaluated = run.epochs * train, run.epochs * validation + test
    return (2 * trained + evaluated) * first, (3 * trained + evaluated) * sum(others)


def run_jobs(data_dir: Path, precision: str, out: Path, seed: int) -> dict[str, Any]:
    """Train the runs; return what `jobs.json` holds."""
    of_layers = precision, "float32" if precision == "int8" else precision  # of the first one, of the others
    peaks = {name: peak.measure(2, name) for name in of_layers}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "fastmlp.train", "--data-dir", str(data_dir), "--precision", precision,
         "--matmul", "packed", "--threads", "1", "--jobs", "2", "--seed", str(seed), "--quiet", "--out", str(out)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wall = time.perf_counter() - start
    environment, runs = load_results(out / "results.json")
    images, fraction = environment["dataset"]["train_images"], runs[0].config.validation_fraction
    validation = round(images * fraction)
    each = [flop(r, images - validation, validation, environment["dataset"]["test_images"]) for r in runs]
    operations = [sum(of_layer) for of_layer in zip(*each, strict=True)]
    peaks = {name: max(before, peak.measure(2, name)) for name, before in peaks.items()}
    return {
        "precision": precision,
        "seconds": wall,
        "peak_gflops": peaks,
        "flop": sum(operations),
        "floor_seconds": sum(n / peaks[name] / 1e9 for n, name in zip(operations, of_layers, strict=True)),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print and keep the figures; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.jobs", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="where CIFAR-100 lies")
    parser.add_argument("--precision", choices=peak.precisions(), default="float32", help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for results and jobs.json")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    figures = run_jobs(args.data_dir, args.precision, args.out, args.seed)
    write_whole(args.out / "jobs.json", json.dumps(figures) + "\n")
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())
