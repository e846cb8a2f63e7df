"""The result of a run, and the file `results.json` of a sweep's results and their environment."""

import json
import math
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

from fastmlp.config import MOST, RunConfig
from fastmlp.errors import ConfigError, DataError, OutputError
from fastmlp.files import Part, json_of, make_folder, read_small, write_whole
from fastmlp.nn.checks import is_real, is_whole, shown

ENDED = ("done", "stopped")
"""Statuses of runs that came to an end, with weights that are worth a test."""
RETRIES = ("failed", "diverged", "interrupted")
"""Statuses of runs that may be begun anew."""
STATUSES = (*ENDED, *RETRIES, "pruned")
SERIES = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
"""Keys of a history, each a list with a number an epoch."""

MOST_BYTES = 1 << 30  # of a file of results: a hundred thousand runs take a third of it
_IF_ANY = ("test_rmse", "test_metrics")  # which are left out where they are empty
_YOUNGER = ("started", "finished")  # than the first results that are still to be read
MOST_SECONDS = 1e10  # three hundred years


def now() -> str:
    """Return the present date and time in UTC, as in 2026-01-31T08:00:00Z."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """The result of one run: its status, its scores and its history.

    run_id : that of `fastmlp.runs.identity`; config : with the fields before it, which repeat some of it
    status : "done"; "stopped" by a callback; "diverged": the loss was no longer finite, or far above that of the first
        epoch; "interrupted": it can resume from its checkpoint; "pruned" by a search; "failed": `error` says why
    test_accuracy, val_accuracy : the score by the kind of the targets: the accuracy as a fraction; of several labels
        the fraction of rows with all of them right; of numbers R2, or for another loss than squared error D2, up to 1.
        Of several numbers R2 is that of all together, each divided by its deviation
    test_loss : mean over the rows, in nats; of numbers that of the standardised ones. Those of the test are NaN where
        the test rows were not used: in runs neither "done" nor "stopped", and in searches
    test_rmse : of each number the root mean square error over the test rows, in its own unit; empty for other kinds
    best_epoch : the epoch, from 1, whose weights were kept and tested; 0 for those that the run began with
    seconds : time in training and in the validation after each epoch, without the compilation of kernels
    history : the lists train_loss, val_loss, train_accuracy and val_accuracy, one value an epoch, as of the test
    weights_sha256 : hash of the kept weights W1, b1, W2, b2, ... as they lie in memory
    test_metrics : for own data, by name of a metric of `fastmlp.runs.metrics`, its value over the test rows, None where
        it is not defined; else empty
    started, finished : dates as of `now`, empty in results of older versions; `started` is that of the first attempt
    """

    run_id: str
    experiment: str
    normalize: str
    seed: int
    status: str
    dataset: str
    precision: str
    config: RunConfig
    test_accuracy: float
    test_loss: float
    val_accuracy: float
    best_epoch: int
    epochs: int
    seconds: float
    images_per_second: float
    history: dict[str, list[float]]
    weights_sha256: str = ""
    error: str = ""
    started: str = ""
    finished: str = ""
    test_rmse: list[float] = field(default_factory=list)
    test_metrics: dict[str, float | None] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a dict that JSON can hold; NaN and infinities, which it cannot, become None."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        for name in _IF_ANY:
            if not values[name]:
                del values[name]
        return values | {
            "config": self.config.to_json(),
            "history": {name: [_finite(v) for v in series] for name, series in self.history.items()},
            **{name: _finite(v) for name, v in values.items() if isinstance(v, float)},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the result of a dict of `to_json`, with NaN for None.

        Raises DataError for an unknown or missing key and for a value that no run has, ConfigError for its config's.
        """
        if not isinstance(data, Mapping):
            raise DataError(f"A run's result is a {type(data).__name__}, expected an object.")
        known = {one.name for one in fields(cls)}
        data = {**dict.fromkeys(_YOUNGER, ""), "test_rmse": [], "test_metrics": {}, **data}
        if set(data) != known:
            odd = ", ".join(sorted(set(data) ^ known))
            raise DataError(f"A run's result has the keys {', '.join(sorted(known))}; unknown or missing: {odd}.")
        config = RunConfig.from_json(data["config"])
        for name, (holds, allowed) in _RULES.items():
            if not holds(data[name]):
                raise DataError(f"A run's {name} is {shown(data[name])[:80]}; allowed is {allowed}.")
        for name in ("experiment", "normalize", "seed", "dataset", "precision"):
            if data[name] != getattr(config, name):
                raise DataError(f"A run's {name} is {shown(data[name])[:80]}, and another one in its config.")
        if config.new_loss().score == "accuracy":
            for name in ("test_accuracy", "val_accuracy"):
                if not _SHARE.holds(data[name]):
                    raise DataError(f"A run's {name} is {shown(data[name])[:80]}; allowed is {_SHARE.allowed}.")
        epochs = {len(series) for series in data["history"].values()}
        if epochs != {data["epochs"]} or data["best_epoch"] > data["epochs"]:
            raise DataError("A run's history has not as many epochs as the run.")
        values = {**data, **{name: _read(data[name]) for name in _FLOATS}}
        history = {name: [_read(v) for v in series] for name, series in data["history"].items()}
        return cls(**(values | {"config": config, "history": history}))


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    allowed: str


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _matching(pattern: str, allowed: str) -> _Rule:
    return _Rule(lambda v: isinstance(v, str) and re.fullmatch(pattern, v) is not None, allowed)


def _number(least: float, most: float, *, or_null: bool = True) -> _Rule:
    def holds(value: Any) -> bool:
        number = isinstance(value, int | float) and is_real(value) and least <= value <= most
        return number or (or_null and value is None)

    return _Rule(holds, f"{'null or ' * or_null}a number from {least:g} to {most:g}")


def _is_history(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and set(value) == set(SERIES)
        and all(isinstance(series, list) and all(map(_LOSS.holds, series)) for series in value.values())
    )


_SHARE, _SCORE, _LOSS = _number(0, 1), _number(-math.inf, 1), _number(-math.inf, math.inf)
_DATE = _matching(r"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "empty, or a date as in 2026-01-31T08:00:00Z")
_COUNT = _Rule(lambda v: isinstance(v, int) and is_whole(v, 0) and v <= MOST, "a whole number of at least 0")
_FLOATS = ("test_accuracy", "test_loss", "val_accuracy", "seconds", "images_per_second")
# All fields but those that the config has as well.
_RULES = {
    "run_id": _matching("[0-9a-f]{16}", "16 hexadecimal digits"),  # files and places on a page are called so
    "status": _Rule(lambda v: _is_text(v) and v in STATUSES, " or ".join(STATUSES)),
    "test_accuracy": _SCORE,
    "test_loss": _LOSS,
    "val_accuracy": _SCORE,
    "best_epoch": _COUNT,
    "epochs": _COUNT,
    "seconds": _number(0, MOST_SECONDS, or_null=False),
    "images_per_second": _number(0, math.inf),
    "history": _Rule(_is_history, f"lists of numbers called {', '.join(SERIES)}"),
    "weights_sha256": _matching("|[0-9a-f]{64}", "empty, or a SHA-256 of weights"),
    "error": _Rule(_is_text, "a text"),
    "started": _DATE,
    "finished": _DATE,
    "test_metrics": _Rule(
        lambda v: isinstance(v, Mapping) and all(map(_LOSS.holds, v.values())), "an object of numbers or nulls"
    ),
    "test_rmse": _Rule(
        lambda v: isinstance(v, list) and all(map(_number(0, math.inf, or_null=False).holds, v)),
        "a list of numbers of at least 0",
    ),
}


def failed_result(config: RunConfig, run_id: str, error: str) -> RunResult:
    """Return the result of a run that failed, without epochs or scores; error : why."""
    return RunResult(
        run_id=run_id,
        experiment=config.experiment,
        normalize=config.normalize,
        seed=config.seed,
        status="failed",
        dataset=config.dataset,
        precision=config.precision,
        config=config,
        test_accuracy=math.nan,
        test_loss=math.nan,
        val_accuracy=math.nan,
        best_epoch=0,
        epochs=0,
        seconds=0.0,
        images_per_second=0.0,
        history={name: [] for name in SERIES},
        error=error,
    )


def _read(value: float | None) -> float:
    return math.nan if value is None else float(value)  # whole numbers too, which arrays have no room for from 2**64 on


def finite_score(score: float) -> float:
    """Return a test's score, finite, so that it tells that there was a test: an output may be beyond all numbers."""
    return score if math.isfinite(score) else -sys.float_info.max


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def write_results(path: Path, environment: Mapping[str, Any], runs: Sequence[RunResult]) -> None:
    """Write `results.json` to `path` in one step: the environment and these runs, one line a run."""
    lines = ",\n".join(json.dumps(run.to_json(), allow_nan=False) for run in runs)
    write_whole(path, f'{{"environment": {json.dumps(environment, allow_nan=False)},\n"runs": [\n{lines}\n]}}\n')


def load_results(path: Path) -> tuple[dict[str, Any], list[RunResult]]:
    """Return the environment and the runs of a `results.json`; DataError for any other file."""
    try:
        document = json_of(read_small(path, MOST_BYTES))
        if not isinstance(document, dict) or not isinstance(document.get("runs"), list):
            raise DataError("it has no runs")
        return _environment(document.get("environment")), [RunResult.from_json(run) for run in document["runs"]]
    except (OSError, DataError, ConfigError) as error:
        raise DataError(
            f"{path} is not a results file of this version ({error}). Allowed is a results.json as "
            "`python -m fastmlp.train --out DIR` writes it; run that again."
        ) from error


def _environment(found: Any) -> dict[str, Any]:
    """Return a file's environment, checked for all that tables show of it; DataError where something is missing."""
    wanted = {
        (): dict.fromkeys(("cpu", "os", "python", "fastmlp", "numpy", "numba"), str)
        | {"cores": int | None, "usable_cores": int, "blas": dict | None, "dataset": dict},
        ("dataset",): dict.fromkeys(("name", "source", "fingerprint"), str)
        | dict.fromkeys(("train_images", "test_images"), int),
        ("blas",): {"name": str, "version": str | None, "kernels": str | None},
    }
    for place, kinds in wanted.items():
        part = found[place[0]] if place else found
        if part is None and place == ("blas",):
            continue
        for name, kind in kinds.items():
            if not isinstance(part, dict) or not isinstance(part.get(name), kind) or name not in part:
                raise DataError(f"its environment has no {'.'.join((*place, name))} of {kind}")
    return found


def check_folder(folder: Path, *, make: bool = True, option: str = "--out ") -> None:
    """Make `folder` where it is missing and try to write to it; OutputError where either fails.

    make : False to make nothing, and to try the nearest existing folder above it instead
    option : the command's option, before the folder's name in the error
    """
    try:
        if make:
            make_folder(folder)
        there = next(place for place in (folder, *folder.parents) if place.exists())
        if there == folder and not folder.is_dir():
            raise FileExistsError
        probe = Part(there)
        probe.close()
        probe.path.unlink()
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise OutputError(
            f"{option}{folder} cannot take results ({reason}). Allowed is a folder that can be made and written "
            "to; choose another."
        ) from error
