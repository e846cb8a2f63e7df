"""Time this checkout's steps and kernels beside those of another one, such as the commit before a change.

    git worktree add ../before HEAD~1 && python -m bench.versions ../before
    python -m bench.versions ../before --only "softmax"        cases whose name holds these words

Two processes, one a checkout, stay alive and take turns on one thread each: a slow moment of the machine meets
both. A figure is the median over the rounds; the ratio is the median of the rounds' own ratios, under 1 where this
checkout is the faster one. What "compiling" takes is the user time of a first epoch without kernels from the disk, in
a new process each time, and in fewer rounds.
"""

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

ROUNDS, SECONDS = 15, 0.03  # of work in one round
COMPILING = "compiling for "
ROUNDS_COMPILING = 3

Work = Callable[[], float]
"""Does some work and returns the seconds of one time."""


def _steps(layers: tuple[int, ...], batch: int, precision: str) -> Work:
    from fastmlp import MLP, SGD, ImageInput

    rng, rows = np.random.default_rng(0), max(4096, batch)
    model = MLP(layers, "tanh", precision=precision, threads=1, rng=0)
    labels, order, optimizer = rng.integers(0, layers[-1], rows), np.arange(rows), SGD(0.005, 0.9, 0.01)
    if layers[0] == 3072:
        pixels = rng.integers(0, 256, (rows, layers[0]), np.uint8)
        moments = np.full((rows, 3), 128, model.dtype), np.full((rows, 3), 1 / 74, model.dtype)
        x = ImageInput(pixels, *moments)
    else:
        x = rng.standard_normal((rows, layers[0])).astype(model.dtype)
    steps = max(1, min(rows // batch, 64))

    def work() -> float:
        start = time.perf_counter()
        model.train_epoch(x, labels, optimizer, order[: steps * batch], batch)
        return (time.perf_counter() - start) / steps

    return work


def _compiling(precision: str) -> Work:
    from fastmlp import MLP, SGD, ImageInput

    rng, model = np.random.default_rng(0), MLP((768, 64, 10), precision=precision, threads=1)
    moments = np.full((256, 3), 128, model.dtype), np.full((256, 3), 1 / 74, model.dtype)
    x, labels = ImageInput(rng.integers(0, 256, (256, 768), np.uint8), *moments), rng.integers(0, 10, 256)

    def work() -> float:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        model.fit(x, labels, validation=(x, labels), optimizer=SGD(), epochs=1)
        return resource.getrusage(resource.RUSAGE_SELF).ru_utime - before

    return work


def _fresh(call: Callable[..., object], *arrays: np.ndarray, overwritten: int = 1) -> Work:
    """Return a call of a kernel whose first arrays get their values back before it, outside the time."""
    kept = [array.copy() for array in arrays[:overwritten]]

    def work() -> float:
        for array, before in zip(arrays, kept, strict=False):
            np.copyto(array, before)
        start = time.perf_counter()
        call(*arrays)
        return time.perf_counter() - start

    return work


def _of_activation(name: str, dtype: type, n: int = 1024, h: int = 128) -> dict[str, Callable[[], Work]]:
    import fastmlp_kernels as fk

    def forward() -> Work:
        rng = np.random.default_rng(0)
        z, bias = rng.standard_normal((n, h)).astype(dtype), rng.standard_normal(h).astype(dtype)
        return _fresh(getattr(fk, f"bias_{name}"), z, bias)

    def backward() -> Work:
        rng = np.random.default_rng(0)
        delta, out = rng.standard_normal((n, h)).astype(dtype), rng.random((n, h)).astype(dtype)
        return _fresh(getattr(fk, f"{name}_backward"), delta, out, np.empty(h, dtype))

    kind = f"({n}, {h}) {np.dtype(dtype)}"
    return {f"bias_{name} {kind}": forward, f"{name}_backward {kind}": backward}


def _of_loss(n: int, k: int, dtype: type, *, weighted: bool = False) -> dict[str, Callable[[], Work]]:
    import fastmlp_kernels as fk

    def arrays() -> tuple[np.ndarray, ...]:
        rng = np.random.default_rng(0)
        logits, bias = 2 * rng.standard_normal((n, k)).astype(dtype), np.zeros(k, dtype)
        more = (np.ones(n, dtype),) if weighted else ()
        return logits, bias, rng.integers(0, k, n), np.empty(k, dtype), *more

    def gradient() -> Work:
        return _fresh(fk.softmax_cross_entropy, *arrays())

    def evaluation() -> Work:
        logits, bias, labels, _, *more = arrays()
        return _fresh(fk.softmax_cross_entropy_eval, logits, bias, labels, *more)

    def probabilities() -> Work:
        return _fresh(fk.bias_softmax, *arrays()[:2])

    kind = f"({n}, {k}) {np.dtype(dtype)}{', weights' if weighted else ''}"
    made = {f"softmax_cross_entropy {kind}": gradient, f"softmax_cross_entropy_eval {kind}": evaluation}
    return made if weighted else made | {f"bias_softmax {kind}": probabilities}


def _others() -> dict[str, Callable[[], Work]]:
    import fastmlp_kernels as fk
    from fastmlp_kernels import gemm

    def normal(*shape: int) -> np.ndarray:
        return np.random.default_rng(1).standard_normal(shape).astype(np.float32)

    def pixels(*shape: int) -> np.ndarray:
        return np.random.default_rng(1).integers(0, 256, shape, np.uint8)

    def step() -> Work:
        return _fresh(lambda w, v, g: fk.momentum_step(w, v, g, 0.005, 0.9, 0.01), *normal(3, 3072, 128), overwritten=2)

    def update(precision: str) -> Work:
        x, delta, w, v = normal(1024, 300), normal(1024, 128), normal(300, 128), normal(300, 128)
        return _fresh(
            lambda w, v: gemm.dense_update(
                x, delta, w, v, lr=0.005, momentum=0.9, weight_decay=0.01, precision=precision, threads=1
            ), w, v, overwritten=2,
        )  # fmt: skip

    def product(precision: str) -> Work:
        a, b, out = normal(512, 768), normal(768, 256), np.empty((512, 256), np.float32)
        return _fresh(lambda out: gemm.matmul(a, b, out, precision=precision, threads=1), out)

    def product_int8() -> Work:
        a, b = pixels(512, 768), pixels(768, 256).view(np.int8)
        return _fresh(lambda out: gemm.matmul_int8(a, b, out, threads=1), np.empty((512, 256), np.int32))

    def moments() -> Work:
        x, out = pixels(1024, 3072), np.empty((2, 1024, 3), np.float32)
        return _fresh(lambda mean, inv_std: fk.image_moments(x, 3, mean, inv_std), *out)

    def total(call: Callable[..., object], *shape: int) -> Work:
        return _fresh(call, normal(*shape))

    return {
        "momentum_step (3072, 128) float32": step,
        "dense_update 1024, 300, 128 float32": lambda: update("float32"),
        "dense_update 1024, 300, 128 bfloat16": lambda: update("bfloat16"),
        "matmul 512, 768, 256 float32": lambda: product("float32"),
        "matmul 512, 768, 256 bfloat16": lambda: product("bfloat16"),
        "matmul_int8 512, 768, 256": product_int8,
        "image_moments (1024, 3072)": moments,
        "log_softmax (1024, 20) float32": lambda: total(fk.log_softmax, 1024, 20),
        "logsumexp (1024, 20) float32": lambda: total(fk.logsumexp, 1024, 20),
        "accurate_sum (4,000,000,) float32": lambda: total(fk.accurate_sum, 4_000_000),
    }


def cases() -> dict[str, Callable[[], Work]]:
    """Return what makes each case ready, by its name."""
    report, tabular, small = (3072, 128, 20), (100, 100, 10), (4, 120, 84, 2)
    made: dict[str, Callable[[], Work]] = {}
    steps = [(report, batch, p) for p in ("float32", "bfloat16", "int8") for batch in (1024, 64, 16, 1)]
    steps += [(report, 1024, "float64"), ((3072, 256, 100), 1024, "float32"), ((3072, 123, 123, 20), 1024, "float32")]
    steps += [(tabular, 200, "float32"), (tabular, 200, "float64"), (small, 32, "float32")]
    for layers, batch, precision in steps:
        name = f"step of {'-'.join(map(str, layers))}, batch {batch}, {precision}"
        made[name] = lambda layers=layers, batch=batch, precision=precision: _steps(layers, batch, precision)
    for activation in ("tanh", "sigmoid", "relu", "identity"):
        made |= _of_activation(activation, np.float32)
    made |= _of_activation("tanh", np.float64)
    for k in (10, 20, 100):
        made |= _of_loss(1024, k, np.float32)
    made |= (
        _of_loss(64, 10, np.float32) | _of_loss(1024, 20, np.float64) | _of_loss(1024, 20, np.float32, weighted=True)
    )
    made |= _others()
    for precision in ("float32", "float64", "bfloat16", "int8"):
        made[f"{COMPILING}a network in {precision}"] = lambda precision=precision: _compiling(precision)
    return made


def _answer() -> None:
    """Make the case that each line of stdin names, and answer each "go" with the seconds of one call."""
    made, work, times = cases(), None, 1
    for line in map(str.strip, sys.stdin):
        if line != "go":
            work = made[line]()
            if not line.startswith(COMPILING):
                work()
                start = time.perf_counter()
                work()
                times = max(1, min(2000, int(SECONDS / (time.perf_counter() - start))))
        assert work is not None
        print(median(work() for _ in range(times)), flush=True)


class _Process:
    """A process on the code of a checkout; kept : whether it takes compiled kernels from the disk."""

    def __init__(self, tree: Path, *, kept: bool = True) -> None:
        from bench.checkouts import on  # here: in the processes themselves `bench` is the other checkout's

        environment = on(tree) | {"OPENBLAS_NUM_THREADS": "1"} | ({} if kept else {"FASTMLP_NUMBA_CACHE": "0"})
        command = [sys.executable, "-P", str(Path(__file__).resolve()), "--answer"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, cwd=tree)

    def ask(self, line: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process on {self._process.args} ended at {line!r}")
        return float(answer)

    def end(self) -> None:
        self._process.communicate()


class Compared(NamedTuple):
    """Seconds of the other checkout and of this one, and the ratio."""

    before: float
    now: float
    ratio: float


def _once(tree: Path, name: str) -> float:
    """Return the seconds of a case in a process of its own, without kernels from the disk."""
    process = _Process(tree, kept=False)
    try:
        return process.ask(name)
    finally:
        process.end()


def _in_turns(calls: Sequence[Callable[[], float]], rounds: int) -> Compared:
    """Return the figures of two calls, the other checkout's and this one's; each goes first in every other round."""
    pairs = []
    for i in range(rounds):
        seconds = {which: calls[which]() for which in ((0, 1) if i % 2 == 0 else (1, 0))}
        pairs.append((seconds[0], seconds[1]))
    before, now = (median(pair[i] for pair in pairs) for i in range(2))
    return Compared(before, now, median(b / a for a, b in pairs))


def compare(trees: tuple[Path, Path], names: Sequence[str], rounds: int) -> dict[str, Compared]:
    """Return the figures of each case, of the other checkout and of this one."""
    found, processes = {}, [_Process(tree) for tree in trees]
    try:
        for name in track(names, "Cases", console=Console(stderr=True)):
            if name.startswith(COMPILING):
                calls = [partial(_once, tree, name) for tree in trees]
                found[name] = _in_turns(calls, min(rounds, ROUNDS_COMPILING))
            else:
                for process in processes:
                    process.ask(name)
                found[name] = _in_turns([partial(process.ask, "go") for process in processes], rounds)
    finally:
        for process in processes:
            process.end()
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return the exit status."""
    if argv is None and sys.argv[1:] == ["--answer"]:
        _answer()
        return 0
    from bench.checkouts import ROOT, checkout
    from bench.machine import cpu
    from bench.measured import in_units
    from bench.readme import markdown

    parser = argparse.ArgumentParser(
        prog="python -m bench.versions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=checkout, help="the other checkout")
    parser.add_argument("--only", default="", metavar="WORDS", help="cases whose name holds these words")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of each case (default: %(default)s)")
    args = parser.parse_args(argv)
    found = compare((args.other, ROOT), [name for name in cases() if args.only in name], args.rounds)
    lines = [[name, in_units(c.before), in_units(c.now), f"{c.ratio:.3f}"] for name, c in found.items()]
    print(f"{cpu()}; one thread, medians over {args.rounds} rounds in turns.\n")
    print(markdown(["case", "the other", "this one", "ratio"], lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
