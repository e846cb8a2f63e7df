"""Write bench/README.md's block on precision: accuracy and time in float32, bfloat16 and int8, on the same seeds.

    python -m bench.precision --accuracy runs/f32 runs/bf16 runs/int8 --jobs runs/jobs-f32 runs/jobs-bf16 runs/jobs-int8

The folders under --accuracy hold results.json of runs in one precision each, with the same seeds; the first one's
experiments are the rows. Those under --jobs hold what `bench.jobs` wrote.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from bench.readme import README, markdown, write_block
from fastmlp.report.tables import duration, machine
from fastmlp.runs.results import RunResult, load_results


def _accuracies(runs: Sequence[RunResult], experiment: str, norm: str) -> list[float]:
    return [100 * run.test_accuracy for run in runs if (run.experiment, run.normalize) == (experiment, norm)]


def accuracy_table(folders: Sequence[Path]) -> str:
    """Return mean, spread and difference of the test accuracy, a row an experiment and normalisation.

    Raises ValueError where a folder's runs have other seeds than the first one's.
    """
    loaded = [load_results(folder / "results.json") for folder in folders]
    (environment, first), *_ = loaded
    seeds = sorted({run.seed for run in first})
    for folder, (_, runs) in zip(folders, loaded, strict=True):
        if sorted({run.seed for run in runs}) != seeds:
            raise ValueError(f"{folders[0]} and {folder} hold runs of other seeds")
    precisions = [runs[0].precision for _, runs in loaded]
    lines = []
    for experiment, norm in dict.fromkeys((run.experiment, run.normalize) for run in first):
        cells, base = [], 0.0
        for n, (_, runs) in enumerate(loaded):
            values = _accuracies(runs, experiment, norm)
            if not values:
                cells.append("-")
            elif n == 0:
                base = fmean(values)
                cells.append(f"{base:.2f} ± {stdev(values):.2f}")
            else:
                cells.append(f"{fmean(values):.2f} ± {stdev(values):.2f} ({fmean(values) - base:+.2f})")
        lines.append([experiment, norm, *cells])
    figures = f"Test accuracy in %, mean ± standard deviation over {len(seeds)} seeds"
    head = (
        f"{machine(environment)}. {figures}, in brackets the difference from {precisions[0]}; data set "
        f"{environment['dataset']['name']}:"
    )
    return f"{head}\n\n{markdown(['experiment', 'normalisation', *precisions], lines)}"


def jobs_table(folders: Sequence[Path]) -> str:
    """Return the wall time of the report's runs in each precision, beside that of their operations at the peak."""
    lines = [
        "The report's 16 runs of one seed, two processes of one thread each, with starting, loading and compiling:",
        "",
        "| precision | wall time | its operations at the measured peaks of two threads | wall time over that |",
        "| :--- | ---: | ---: | ---: |",
    ]
    for folder in folders:
        figures = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
        peaks = ", ".join(f"{rate:,.0f} GFLOP/s in {name}" for name, rate in figures["peak_gflops"].items())
        floor = f"{duration(figures['floor_seconds'])} ({peaks})"
        ratio = figures["seconds"] / figures["floor_seconds"]
        lines.append(f"| {figures['precision']} | {duration(figures['seconds'])} | {floor} | {ratio:.2f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the block; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accuracy", type=Path, nargs="+", required=True, metavar="DIR", help="float32 first")
    parser.add_argument("--jobs", type=Path, nargs="+", required=True, metavar="DIR", help="what bench.jobs wrote")
    parser.add_argument("--readme", type=Path, default=README, help="a file with markers (default: bench/README.md)")
    args = parser.parse_args(argv)
    try:
        block = accuracy_table(args.accuracy) + "\n\n" + jobs_table(args.jobs)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        parser.error(f"these folders give no table: {error!r}")
    write_block(args.readme, "precision", block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
