"""Write bench/README.md's block on starting: CPU seconds of whole processes, with no kernel on disk and with all there.

    python -m bench.startup --readme bench/README.md             (without --readme the table is printed)
    python -m bench.startup --tree OTHER_CHECKOUT          measures the code of another checkout, with this Python

Each figure is user and system time of the process and of those that it started, the median over several processes, half
of which begin with an empty folder for compiled kernels and what was measured, and half with a filled one.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.progress import track

from bench.checkouts import ROOT, checkout, on
from bench.machine import cpu
from bench.readme import give_block, markdown

BLOCK = "startup"
PROCESSES = 5


class Case(NamedTuple):
    """A command: words after `python`; {folder} is a folder of the process's own, {model} and {image} are files."""

    title: str
    words: list[str]


_ROWS = "import numpy as np; r = np.random.default_rng(0); y = r.integers(0, 3, 1000); "
_ESTIMATOR = f"""{_ROWS}
x = r.standard_normal((1000, 20)).astype(np.float32)
from fastmlp.sklearn import FastMLPClassifier
model = FastMLPClassifier((100,), max_iter=5, random_state=0).fit(x, y)
model.predict(x), model.score(x, y)
"""
_NETWORK = f"""{_ROWS}
from fastmlp import MLP, ImageInput
pixels, moments = r.integers(0, 256, (1000, 48), np.uint8), np.ones((1000, 3), np.float32)
inputs = ImageInput(pixels, 128 * moments, moments / 64)
model = MLP([48, 16, 3], "relu", precision="int8", threads=1)
model.fit(inputs, y, validation=(inputs, y), epochs=1)
model.predict(inputs)
"""
CASES = [
    Case("`import numba`", ["-c", "import numba"]),
    Case("`import numba`, and what of scikit-learn the estimator uses", [
        "-c", "import numba, sklearn.base, sklearn.model_selection, sklearn.preprocessing",
    ]),
    Case("`import fastmlp_kernels`", ["-c", "import fastmlp_kernels"]),
    Case("`python -m fastmlp.train --help`", ["-m", "fastmlp.train", "--help"]),
    Case("`fastmlp_kernels.warmup()`", ["-c", "import fastmlp_kernels; fastmlp_kernels.warmup()"]),
    Case("fit, predict and score of `FastMLPClassifier`, float32", ["-c", _ESTIMATOR]),
    Case("fit and predict of a network in int8", ["-c", _NETWORK]),
    Case("`python -m fastmlp.predict` of one PNG", ["-m", "fastmlp.predict", "{model}", "{image}", "--quiet"]),
    Case("`python -m fastmlp.train`, the report's 16 runs, one epoch of the embedded images", [
        "-m", "fastmlp.train", "--dataset", "embedded", "--epochs", "1", "--quiet", "--out", "{folder}/out",
    ]),
]  # fmt: skip


class Bench:
    """Starts processes on the code of a checkout; `folder` is for all that they write."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self._environment = on(tree, {k: v for k, v in os.environ.items() if not k.startswith("FASTMLP_NUMBA")})
        self._folder, self._files = folder, dict[str, str]()

    def seconds(self, case: Case, kept: Path, at: int) -> float:
        """Run a case and return its CPU seconds; kept : the folder for kernels and what was measured."""
        own = self._folder / f"own-{at}"
        own.mkdir()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        self._run([word.format(folder=own, **self._files) for word in case.words], kept)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def _run(self, words: list[str], kept: Path) -> None:
        environment = self._environment | {"NUMBA_CACHE_DIR": str(kept / "numba"), "XDG_CACHE_HOME": str(kept)}
        command = [sys.executable, *words]  # from a folder without code, which would come before the checkout's
        done = subprocess.run(command, env=environment, cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"python {' '.join(words)} ended with {done.returncode}: {done.stderr[-1000:]}")

    def fill(self, kept: Path) -> None:
        """Make the files that cases read."""
        from PIL import Image

        image, out = self._folder / "image.png", self._folder / "made"
        Image.effect_noise((40, 32), 80).convert("RGB").save(image)
        options = "--dataset embedded --layers 3072,16,20 --normalize image --epochs 1 --quiet --out"
        self._run(["-m", "fastmlp.train", *options.split(), str(out)], kept)
        (model,) = (out / "models").glob("*.npz")
        self._files = {"model": str(model), "image": str(image)}


def render(tree: Path, processes: int, cases: Sequence[Case] = tuple(CASES)) -> str:
    """Measure and return the block."""
    with tempfile.TemporaryDirectory(prefix="fastmlp-startup-") as name:
        bench, warm, at = Bench(tree, Path(name)), Path(name) / "warm", 0
        if any("{model}" in case.words for case in cases):
            bench.fill(warm)
        turns = [(case, i) for i in range(processes + 1) for case in cases]
        found: dict[str, tuple[list[float], list[float]]] = {case.title: ([], []) for case in cases}
        for case, i in track(turns, "Processes", console=Console(stderr=True)):
            kinds = (warm,) if i == 0 else (Path(name) / f"cold-{at}", warm)  # the first turn fills what is kept
            for kind, kept in enumerate(kinds):
                at += 1
                seconds = bench.seconds(case, kept, at)
                if i > 0:
                    found[case.title][kind].append(seconds)
    lines = [[title, *(f"{median(seconds):.2f} s" for seconds in pair)] for title, pair in found.items()]
    head = f"{cpu()}; CPU seconds of whole processes and those they start, medians over {processes}."
    return f"{head}\n\n{markdown(['process', 'nothing compiled before', 'kernels on disk'], lines)}"


def main(argv: Sequence[str] | None = None) -> int:
    """Print or write the table; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.startup", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=checkout, default=ROOT, help="the checkout to measure (default: this one)")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="of each kind (default: %(default)s)")
    parser.add_argument("--readme", type=Path, help="the file with the markers; without it the table is printed")
    args = parser.parse_args(argv)
    give_block(args.readme, BLOCK, render(args.tree, args.processes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
