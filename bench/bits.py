"""Compare the bits that this checkout computes with those of another one, such as the commit before a change.

    git worktree add ../before HEAD~1 && python -m bench.bits ../before

Three kinds of things are trained by each checkout, in processes of their own on its own code, and hashed:

- the report's runs on the embedded images, all experiments under both normalisations, by `python -m fastmlp.train` in
  each precision and way to multiply; and a deeper network on augmented images, with a cosine schedule
- small networks on images and on float rows by `fastmlp.MLP`, one setting changed at a time; one hidden layer of int8
- `FastMLPClassifier`, and the products of `fastmlp_kernels.gemm`

`weights` is the start of the SHA-256 of the weights, or of the products; `figures` that of all else that came out:
losses, accuracies, predictions. The report's runs are cut to three epochs, twelve steps, so that two checkouts take
two minutes on two cores once their kernels are compiled; --epochs makes them longer. The exit status is 1 where
anything differs.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

EPOCHS = 3  # 3,200 images each, the last of an epoch's four batches smaller
DIGITS = 8
# Ways to train: each precision, and each way to multiply in it.
WAYS = [(precision, way) for precision in ("float32", "float64") for way in ("packed", "blas")]
WAYS += [("bfloat16", "packed"), ("int8", "packed")]
VARIED = (
    "--layers 3072,256,256,20 --activation relu --normalize dataset image --augment mirror-shift --schedule cosine "
    "--stopping best --patience 1 --batch-size 300 --decay-per batch"
)


class Bits(NamedTuple):
    """Hashes of what was trained, and of what it computes."""

    weights: str
    figures: str = ""


def _hash(*values: object) -> str:
    """Return the first digits of the SHA-256 of arrays and of values that have a `repr`."""
    total = hashlib.sha256()
    for value in values:
        total.update(np.ascontiguousarray(value).data if isinstance(value, np.ndarray) else repr(value).encode())
    return total.hexdigest()[:DIGITS]


# Of the optimiser, the network and `fit`.
_SETTINGS: tuple[dict[str, Any], ...] = (
    {"lr": 0.02, "momentum": 0.9, "weight_decay": 0.01, "decay_per": "update"},
    {"layers": (192, 40, 10), "activation": "tanh", "threads": 1},
    {"batch_size": 100, "epochs": 3},
)


def _network(inputs: str, precision: str, matmul: str, /, **changed: Any) -> Bits:
    """Train a small network on images or float rows; `changed` : of _SETTINGS, and whether rows have weights."""
    from fastmlp import MLP, SGD, ImageInput

    rng, dtype = np.random.default_rng(3), "float64" if precision == "float64" else "float32"
    pixels, labels = rng.integers(0, 256, (700, 192), np.uint8), rng.integers(0, 10, 700)
    moments = rng.uniform(90, 160, (700, 3)).astype(dtype), rng.uniform(0.01, 0.02, (700, 3)).astype(dtype)
    rows = rng.standard_normal((700, 192)).astype(dtype)
    weight = rng.uniform(0, 2, 500) if changed.get("weights") else None

    def part(chosen: slice) -> tuple[Any, np.ndarray]:
        if inputs == "images":
            return ImageInput(pixels, *moments, np.arange(700)[chosen]), labels[chosen]
        return rows[chosen], labels[chosen]

    optimizer, network, options = (
        {name: changed.get(name, value) for name, value in settings.items()} for settings in _SETTINGS
    )
    model = MLP(**network, precision=precision, matmul=matmul)
    (x, y), validation = part(slice(0, 500)), part(slice(500, None))
    if weight is not None:
        validation = *validation, weight[:200]
    fitted = model.fit(x, y, validation=validation, optimizer=SGD(**optimizer), sample_weight=weight, **options)
    figures = fitted.history, model.predict_proba(x), model.evaluate(x, y, 64), model.loss_and_gradients(x, y)
    return Bits(_hash(model.parameters), _hash(*figures, model.gradient))


# What is changed of a small network, by what the table calls it.
_CHANGES: dict[str, dict[str, Any]] = {
    "as it is": {},
    "sample weights": {"weights": True},
    "decay_per batch": {"decay_per": "batch"},
    "momentum 0": {"momentum": 0.0},
    "no decay": {"weight_decay": 0.0},
    "batch 1": {"batch_size": 1, "epochs": 1, "lr": 0.002},
    "batch 16": {"batch_size": 16},
    "batch 177, 2 threads": {"batch_size": 177, "threads": 2},
    "no hidden layer": {"layers": (192, 10)},
    "sigmoid, 33-17": {"activation": "sigmoid", "layers": (192, 33, 17, 10)},
    "ReLU, 256-256": {"activation": "relu", "layers": (192, 256, 256, 10)},
    "ReLU, 256-300-256, 2 threads": {
        "activation": "relu", "layers": (192, 256, 300, 256, 10), "threads": 2, "weights": True,
    },
    "identity": {"activation": "identity", "lr": 0.002},
}  # fmt: skip


def _estimator(dtype: str, precision: str) -> Bits:
    from fastmlp.sklearn import FastMLPClassifier

    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((400, 30)).astype(dtype), rng.integers(0, 3, 400) ** 2
    settings: dict[str, Any] = {"learning_rate_init": 0.01, "weight_decay": 1e-4, "batch_size": 200, "random_state": 1}
    new = {"optimizer": "sgd", "standardize": False}  # what older checkouts do without being asked
    settings |= {name: value for name, value in new.items() if name in FastMLPClassifier().get_params()}
    model = FastMLPClassifier(
        (50,), max_iter=4, early_stopping=True, class_weight="balanced", precision=precision, **settings
    ).fit(x, y)
    return Bits(_hash(model.network_.parameters), _hash(model.predict_log_proba(x), model.loss_curve_))


def _products(precision: str, *, images: bool) -> Bits:
    """Multiply, go forward and update by the functions of `fastmlp_kernels.gemm`."""
    from fastmlp_kernels import gemm

    rng = np.random.default_rng(5)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype("float64" if precision == "float64" else "float32")

    if precision == "int8":
        a, b, out = rng.integers(0, 256, (150, 333), np.uint8), normal(333, 70), np.empty((150, 70), np.float32)
        gemm.matmul_int8(a, (20 * b).astype(np.int8), out, threads=2)
        return Bits(_hash(out))
    options: dict[str, Any] = {"precision": precision, "threads": 2}
    a, b = normal(150, 333), normal(333, 70)
    out = np.empty((150, 70), a.dtype)
    gemm.matmul(a, b, out, **options)
    x = gemm.Images(rng.integers(0, 256, (200, 333), np.uint8), rng.integers(0, 200, 150), *abs(normal(2, 200, 3)))
    x, forward = x if images else a, np.empty_like(out)
    gemm.dense_forward(x, b, normal(70), "tanh", forward, **options)
    weight, velocity = normal(333, 70), normal(333, 70)
    gemm.dense_update(x, forward, weight, velocity, lr=0.1, momentum=0.9, weight_decay=0.01, **options)
    return Bits(_hash(out, forward, weight, velocity))


def cases() -> dict[str, Callable[[], Bits]]:
    """Return what computes each of the small cases, by its name."""
    made: dict[str, Callable[[], Bits]] = {}
    for precision, matmul in WAYS:
        for inputs in ("images", "float rows"):
            if inputs == "images" or precision != "int8":
                for name, changed in _CHANGES.items():
                    made[f"{precision} {matmul}: {inputs}, {name}"] = lambda a=(inputs, precision, matmul), c=changed: (
                        _network(*a, **c)
                    )
    for dtype, precision in (("float32", "auto"), ("float64", "auto"), ("float32", "bfloat16")):
        made[f"FastMLPClassifier: {dtype}, {precision}"] = lambda d=dtype, p=precision: _estimator(d, p)
    for precision in ("float32", "float64", "bfloat16", "int8"):
        for images in (False, True)[: 1 if precision == "int8" else 2]:
            name = f"gemm: {precision}{', images' * images}"
            made[name] = lambda p=precision, i=images: _products(p, images=i)
    return made


def _train(tree: Path, options: str) -> dict[str, Bits]:
    """Train by the command of a checkout and return the hashes of its runs."""
    with tempfile.TemporaryDirectory(prefix="fastmlp-bits-") as out:
        words = f"--dataset embedded --threads 1 --jobs 1 --workers threads --quiet {options} --out {out}".split()
        _run(["-m", "fastmlp.train", *words], tree)
        runs = json.loads((Path(out) / "results.json").read_text(encoding="utf-8"))["runs"]
    names = ("history", "test_loss", "test_accuracy", "val_accuracy", "best_epoch", "status")
    return {
        f"{run['experiment']}, {run['normalize']}": Bits(
            run["weights_sha256"][:DIGITS], _hash({name: run[name] for name in names})
        )
        for run in runs
    }


def _run(words: Sequence[str], tree: Path) -> str:
    """Run Python on a checkout's code, with BLAS on one thread, and return what it prints."""
    from bench.checkouts import on  # here: a process on another checkout has its `bench` instead

    environment, command = on(tree) | {"OPENBLAS_NUM_THREADS": "1"}, [sys.executable, "-P", *words]
    done = subprocess.run(command, env=environment, cwd=tree, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode} in {tree}: {done.stderr[-2000:]}")
    return done.stdout


def bits_of(tree: Path, epochs: int) -> dict[str, Bits]:
    """Return the hashes of all that a checkout computes, by name."""
    found: dict[str, Bits] = {}
    for precision, matmul in WAYS:
        for more in ("", VARIED):
            options = f"--precision {precision} --matmul {matmul} --epochs {epochs} {more}"
            try:
                runs = _train(tree, options)
            except RuntimeError as error:
                if "; allowed with --precision" not in str(error):
                    raise
                continue  # a checkout in which this precision is not multiplied so
            found |= {f"{precision} {matmul}: {run}": bits for run, bits in runs.items()}
    small = json.loads(_run([str(Path(__file__).resolve()), "--answer"], tree))
    return found | {name: Bits(*bits) for name, bits in small.items()}


def compared(here: dict[str, Bits], there: dict[str, Bits]) -> Iterator[tuple[str, Bits, Bits, bool]]:
    """Yield name, hashes here and there, and whether they are the same, of all that either has."""
    none = Bits("-", "-")
    for name in [*here, *(name for name in there if name not in here)]:
        a, b = here.get(name, none), there.get(name, none)
        yield name, a, b, a == b


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; return the exit status, 1 where anything differs."""
    if argv is None and sys.argv[1:] == ["--answer"]:
        print(json.dumps({name: make() for name, make in cases().items()}))
        return 0
    from bench.checkouts import ROOT, checkout

    parser = argparse.ArgumentParser(
        prog="python -m bench.bits", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=checkout, nargs="?", default=ROOT, help="(default: this one again)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the report's runs (default: %(default)s)")
    args = parser.parse_args(argv)
    with ThreadPoolExecutor() as pool:
        here, there = pool.map(lambda tree: bits_of(tree, args.epochs), (ROOT, args.other))
    rows = list(compared(here, there))
    print(f"{'':60}{'this checkout':20}the other\n{'':60}" + 2 * f"{'weights  figures':20}")
    for name, a, b, same in rows:
        print(f"{name:60}{' '.join(a):20}{' '.join(b):20}{'same' if same else 'DIFFERS'}")
    differ = sum(not same for *_, same in rows)
    print(f"{len(rows)} compared, {differ} differ.")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
