"""Write bench/README.md's block on the drop-in estimators: fits beside scikit-learn's and PyTorch's, in one process.

    python -m bench.dropin --data-dir DATA --readme bench/README.md      (without --readme the table is printed)
    python -m bench.dropin --pipeline --readme README.md                 (what the front page's example prints)

`fastmlp.sklearn.MLPClassifier` and `MLPRegressor` take the settings of scikit-learn's, whose steps they take too.
PyTorch trains the same network eagerly, on the same batches, its optimiser in one call for all parameters (`foreach`),
and its rows picked by an index in one tensor; skorch, where it is installed, does the same by its own loop. All fits of
a case take turns, one thread each, after a fit of every kind that is not counted; a ratio is the median over rounds.
The roofs of a case are what our ratio to scikit-learn would be if a fit were its matrix products alone: at the peak
that `bench.peak` measures in the same round, and by numpy's BLAS, which takes its turn on batches of the same rows.
"""

import argparse
import time
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track

from bench.machine import cpu
from bench.peak import measure
from bench.readme import give_block, markdown
from fastmlp import reference
from fastmlp.data import NORMALIZATIONS, load_dataset
from fastmlp.nn.threads import blas_threads

BLOCK = "dropin"
ROUNDS = 5
ADAM: dict[str, Any] = {"solver": "adam"}
SGD: dict[str, Any] = {"solver": "sgd", "learning_rate_init": 0.01, "momentum": 0.9}


class Case(NamedTuple):
    """What is fitted: rows by name, hidden units, scikit-learn's settings, epochs, and the ratios asked for."""

    title: str
    rows: str
    hidden: tuple[int, ...]
    settings: dict[str, Any]
    epochs: int
    bars: tuple[float, float]


CASES = {
    "tabular, adam": Case(
        "10,000 x 100, 10 classes; 100 ReLU, batch 200, adam", "tabular", (100,), ADAM | {"batch_size": 200}, 20, (5, 3)
    ),
    "tabular, sgd": Case(
        "the same, sgd with Nesterov's momentum", "tabular", (100,), SGD | {"batch_size": 200}, 20, (4, 2.5)
    ),
    "long": Case("100,000 x 50, 2 classes; (100, 50) ReLU, batch 200, adam", "long", (100, 50), ADAM, 5, (5, 3)),
    "digits": Case(
        "digits, 1,797 x 64; 32 ReLU, batch 32, adam", "digits", (32,), ADAM | {"batch_size": 32}, 20, (8, 6)
    ),
    "images": Case(
        "50,000 images x 3072, 20 classes; 128 tanh, batch 1024, adam", "images", (128,),
        ADAM | {"batch_size": 1024, "activation": "tanh"}, 1, (2, 1.3),
    ),
    "regression": Case(
        "20,000 x 20, numbers; (64, 64) ReLU, batch 200, adam", "regression", (64, 64), ADAM, 10, (5, 3)
    ),
}  # fmt: skip


def rows(name: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 rows and their targets."""
    from sklearn import datasets

    made: dict[str, Any] = {"random_state": 0}
    if name == "tabular":
        x, y = datasets.make_classification(10_000, 100, n_informative=40, n_classes=10, **made)
    elif name == "long":
        x, y = datasets.make_classification(100_000, 50, n_informative=20, **made)
    elif name == "digits":
        digits: Any = datasets.load_digits()
        x, y = digits.data, digits.target
        x = np.asarray(x) / 16
    elif name == "regression":
        x, y, *_ = datasets.make_regression(20_000, 20, noise=1.0, **made)
        y = y / y.std()
    else:
        data = load_dataset("auto", data_dir, download=False)
        moments = NORMALIZATIONS["image"](data.train_images, np.arange(1), data.train_images, np.dtype(np.float64))
        x, y = reference.normalize(data.train_images, *moments), next(iter(data.train_labels.values()))
    return np.asarray(x, np.float64), np.asarray(y)


def sklearn_fit(module: Any, case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """Fit the estimator of this module; return it."""
    kind = module.MLPRegressor if case.rows == "regression" else module.MLPClassifier
    settings = {"max_iter": case.epochs, "n_iter_no_change": 10_000, "random_state": 0} | case.settings
    return kind(hidden_layer_sizes=case.hidden, **settings).fit(x, y)


class _Torch(NamedTuple):
    """A case in PyTorch: its network, the rows' inputs and targets as arrays, and the optimiser's settings."""

    network: Any
    inputs: np.ndarray
    targets: np.ndarray
    of_numbers: bool


def _in_torch(case: Case, x: np.ndarray, y: np.ndarray) -> _Torch:
    import torch  # pyright: ignore[reportMissingImports] - a rival where it is installed

    torch.set_num_threads(1)
    of_numbers, dtype = case.rows == "regression", torch.from_numpy(x[:1]).dtype
    units = [x.shape[1], *case.hidden, 1 if of_numbers else int(y.max()) + 1]
    act = torch.nn.Tanh if case.settings.get("activation") == "tanh" else torch.nn.ReLU
    parts: list[Any] = []
    for d, h in pairwise(units):
        parts += [torch.nn.Linear(d, h, dtype=dtype), act()]
    targets = y.astype(x.dtype)[:, None] if of_numbers else y.astype(np.int64)
    return _Torch(torch.nn.Sequential(*parts[:-1]), x, targets, of_numbers)


def torch_fit(case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """Train the same network eagerly; return it."""
    import torch  # pyright: ignore[reportMissingImports] - a rival where it is installed

    network, *arrays, of_numbers = _in_torch(case, x, y)
    inputs, targets = (torch.from_numpy(array) for array in arrays)
    loss_of = torch.nn.MSELoss() if of_numbers else torch.nn.CrossEntropyLoss()
    if case.settings["solver"] == "adam":
        optimizer: Any = torch.optim.Adam(network.parameters(), foreach=True)
    else:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, nesterov=True, foreach=True)
    batch = case.settings.get("batch_size", 200)
    for _ in range(case.epochs):
        order = torch.randperm(len(inputs))
        for start in range(0, len(inputs), batch):
            index = order[start : start + batch]
            optimizer.zero_grad(set_to_none=True)
            loss_of(network(inputs[index]), targets[index]).backward()
            optimizer.step()
    return network


def skorch_fit(case: Case, x: np.ndarray, y: np.ndarray) -> Any:
    """Train the same network by skorch; return it."""
    import skorch  # pyright: ignore[reportMissingImports] - a rival where it is installed
    import torch  # pyright: ignore[reportMissingImports] - a rival where it is installed

    network, inputs, targets, of_numbers = _in_torch(case, x, y)
    settings: dict[str, Any] = {"train_split": None}
    if not of_numbers:
        settings["criterion"] = torch.nn.CrossEntropyLoss
    if case.settings["solver"] == "adam":
        settings["optimizer"] = torch.optim.Adam
    else:
        settings |= {"lr": 0.01, "optimizer__momentum": 0.9, "optimizer__nesterov": True}
    kind = skorch.NeuralNetRegressor if of_numbers else skorch.NeuralNetClassifier
    net = kind(
        network, **settings, max_epochs=case.epochs, iterator_train__shuffle=True, verbose=0,
        batch_size=case.settings.get("batch_size", 200),
    )  # fmt: skip
    return net.fit(inputs, targets)


def kinds() -> dict[str, Callable[[Case, np.ndarray, np.ndarray], Any]]:
    """Return what can fit here, by name, ours first and scikit-learn's second."""
    import sklearn.neural_network

    import fastmlp.sklearn

    found: dict[str, Callable[..., Any]] = {
        "fastmlp": lambda *given: sklearn_fit(fastmlp.sklearn, *given),
        "scikit-learn": lambda *given: sklearn_fit(sklearn.neural_network, *given),
    }
    for name, fit in (("torch", torch_fit), ("skorch", skorch_fit)):
        try:
            __import__(name)
        except ImportError:
            continue
        found[name] = fit
    return found


def _seconds(work: Callable[[], object], times: int = 1) -> float:
    began = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - began) / times


def flop(case: Case, inputs: int, outputs: int, count: int) -> int:
    """Return the operations of a fit's matrix products: of the first layer's inputs there is no gradient."""
    weights = [d * h for d, h in pairwise([inputs, *case.hidden, outputs])]
    return 2 * count * case.epochs * (3 * sum(weights) - weights[0])


def multiply(case: Case, x: np.ndarray, outputs: int) -> None:
    """Multiply by BLAS what a fit on rows x (N, D) multiplies, batch by batch in their order, and nothing else."""
    sizes, batch = list(pairwise([x.shape[1], *case.hidden, outputs])), case.settings.get("batch_size", 200)
    weights = [np.full((d, h), 1 / d, x.dtype) for d, h in sizes]
    gradients = [np.empty_like(w) for w in weights]
    forward = [np.empty((batch, h), x.dtype) for _, h in sizes]
    back = [np.empty((batch, d), x.dtype) for d, _ in sizes]
    for start in [*range(0, len(x), batch)] * case.epochs:
        inputs = x[start : start + batch]
        values = [inputs, *(out[: len(inputs)] for out in forward)]
        for i, w in enumerate(weights):
            np.matmul(values[i], w, out=values[i + 1])
        for i in reversed(range(len(weights))):  # the outputs stand for the errors of the same shapes
            np.matmul(values[i].T, values[i + 1], out=gradients[i])
            if i:
                np.matmul(values[i + 1], weights[i].T, out=back[i][: len(inputs)])


def measured(case: Case, x: np.ndarray, y: np.ndarray, rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each round's fit, by kind; and of a prediction of one row, by "predict" and the kind.

    By "peak", those that the fit's products would take at the peak; by "products", those they take by BLAS.
    """
    able = kinds()
    fitted = {name: fit(case._replace(epochs=1), x, y) for name, fit in able.items()}  # compiles
    found: dict[str, list[float]] = {name: [] for name in ("peak", "products", *able)}
    outputs = fitted["fastmlp"].n_outputs_
    operations = flop(case, x.shape[1], outputs, len(x))
    for _ in range(rounds):
        found["peak"].append(operations / 1e9 / measure(1, x.dtype.name))
        for name, fit in able.items():
            found[name].append(_seconds(lambda fit=fit: fit(case, x, y)))
        found["products"].append(_seconds(lambda: multiply(case, x, outputs)))
    for name in ("fastmlp", "scikit-learn"):
        found[f"predict {name}"] = []
    for _ in range(rounds):
        for name in ("fastmlp", "scikit-learn"):
            found[f"predict {name}"].append(_seconds(lambda name=name: fitted[name].predict(x[:1]), 300))
    return found


def _ratio(found: dict[str, list[float]], rival: str, own: str) -> float:
    return median(other / mine for other, mine in zip(found[rival], found[own], strict=True))


def render(data_dir: Path | None, names: Sequence[str], rounds: int = ROUNDS) -> str:
    """Measure; return the block."""
    import sklearn

    lines, rivals = [], [name for name in kinds() if name != "fastmlp"]
    cases = [(name, dtype) for name in names for dtype in ("float32", "float64")]
    with blas_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of epochs that were not enough
        for name, dtype in track(cases, "Fits", console=Console(stderr=True)):
            case = CASES[name]
            x, y = rows(case.rows, data_dir)
            x = np.ascontiguousarray(x, dtype)
            found = measured(case, x, y, rounds)
            cells = [f"{_ratio(found, rival, 'fastmlp'):.1f}" for rival in rivals]
            asked = f"{case.bars[dtype == 'float64']:g}"
            roofs = [f"{_ratio(found, 'scikit-learn', alone):.1f}" for alone in ("peak", "products")]
            predict = f"{_ratio(found, 'predict scikit-learn', 'predict fastmlp'):.1f}"
            own = f"{median(found['fastmlp']):.3f} s"
            lines.append([case.title, dtype, str(case.epochs), own, cells[0], asked, *roofs, *cells[1:], predict])
    header = [
        "work", "dtype", "epochs", "fastmlp", "scikit-learn", "asked for", "roof", "BLAS's roof", *rivals[1:],
        "predict a row, scikit-learn",
    ]  # fmt: skip
    note = (
        f"{cpu()}, one thread, scikit-learn {sklearn.__version__}; each rival's time over ours, the median of "
        f"{rounds} rounds; the roofs are scikit-learn's over that of the products alone, at the machine's peak and by "
        "BLAS on the same batches."
    )
    return f"{note}\n\n{markdown(header, lines)}"


def pipeline(rounds: int = 3) -> str:
    """Return what the front page's example gives, by scikit-learn's own estimator and by ours."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    digits: Any = load_digits()
    seconds: dict[str, list[float]] = {"sklearn.neural_network": [], "fastmlp.sklearn": []}
    scores: dict[str, np.ndarray] = {}
    with blas_threads(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of epochs that were not enough
        for i in range(rounds + 1):  # the first one compiles
            for name in seconds:
                model = make_pipeline(
                    MinMaxScaler(), import_module(name).MLPClassifier((64,), max_iter=500, random_state=0)
                )
                began = time.perf_counter()
                scores[name] = cross_val_score(model, digits.data, digits.target)
                seconds[name] += [time.perf_counter() - began] if i else []
    said = [f"{name:<22}  {scores[name].round(4)}  {median(times):.1f} s" for name, times in seconds.items()]
    return "\n".join(["```text", *said, "```", "", f"({cpu()}, one thread, kernels compiled before.)"])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.dropin", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder of CIFAR-100; without it the embedded images")
    parser.add_argument("--readme", type=Path, help="file whose block is written")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--pipeline", action="store_true", help="the front page's example instead of the table")
    args = parser.parse_args(argv)
    if args.pipeline:
        give_block(args.readme, "pipeline", pipeline())
    else:
        give_block(args.readme, BLOCK, render(args.data_dir, args.cases, args.rounds))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
