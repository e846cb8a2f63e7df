"""Write the README's block on precision: accuracy and time in float32 and bfloat16, on the same seeds.

    python -m bench.precision --accuracy runs/relu-f32 runs/relu-bf16 --jobs runs/jobs-f32 runs/jobs-bf16

The folders under --accuracy hold results.json of the same runs in two precisions, those under --jobs what `bench.jobs`
wrote.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev

from bench.readme import README, write_block
from fastmlp.results import RunResult, load_results
from fastmlp.tables import duration, machine


def _accuracies(runs: Sequence[RunResult], experiment: str, norm: str) -> list[float]:
    return [100 * run.test_accuracy for run in runs if (run.experiment, run.normalize) == (experiment, norm)]


def accuracy_table(folders: Sequence[Path]) -> str:
    """Return mean, spread and difference of the test accuracy, a row an experiment and normalisation."""
    loaded = [load_results(folder / "results.json") for folder in folders]
    first, second = (runs for _, runs in loaded)
    precisions = [runs[0].precision for _, runs in loaded]
    kinds = dict.fromkeys((run.experiment, run.normalize) for run in first)
    seeds = sorted({run.seed for run in first})
    if seeds != sorted({run.seed for run in second}):
        raise ValueError(f"{folders[0]} and {folders[1]} hold runs of other seeds")
    environment = loaded[0][0]
    figures = f"Test accuracy in %, mean ± standard deviation over {len(seeds)} seeds"
    lines = [
        f"{machine(environment)}. {figures}, data set {environment['dataset']['name']}:",
        "",
        f"| experiment | normalisation | {' | '.join(precisions)} | difference |",
        "| :--- | :--- | ---: | ---: | ---: |",
    ]
    for experiment, norm in kinds:
        a, b = _accuracies(first, experiment, norm), _accuracies(second, experiment, norm)
        cells = [f"{fmean(values):.2f} ± {stdev(values):.2f}" for values in (a, b)]
        lines.append(f"| {experiment} | {norm} | {' | '.join(cells)} | {fmean(b) - fmean(a):+.2f} |")
    return "\n".join(lines)


def jobs_table(folders: Sequence[Path]) -> str:
    """Return the wall time of the report's runs in each precision, beside that of their operations at the peak."""
    lines = [
        "The report's 16 runs of one seed, two processes of one thread each, with starting, loading and compiling:",
        "",
        "| precision | wall time | its operations at the measured peak of two threads | wall time over that |",
        "| :--- | ---: | ---: | ---: |",
    ]
    for folder in folders:
        figures = json.loads((folder / "jobs.json").read_text(encoding="utf-8"))
        floor = f"{duration(figures['floor_seconds'])} ({figures['peak_gflops']:.0f} GFLOP/s)"
        ratio = figures["seconds"] / figures["floor_seconds"]
        lines.append(f"| {figures['precision']} | {duration(figures['seconds'])} | {floor} | {ratio:.2f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the block; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.precision", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--accuracy", type=Path, nargs=2, required=True, metavar="DIR", help="float32, then bfloat16")
    parser.add_argument("--jobs", type=Path, nargs="+", required=True, metavar="DIR", help="what bench.jobs wrote")
    parser.add_argument("--readme", type=Path, default=README, help="the file with the markers (default: README.md)")
    args = parser.parse_args(argv)
    write_block(args.readme, "precision", accuracy_table(args.accuracy) + "\n\n" + jobs_table(args.jobs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
