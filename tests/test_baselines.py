"""The baselines: what they reach, weighted and bounded, and that none of them loses a result."""

import sys
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from fastmlp.errors import ConfigError, DataError
from fastmlp.nn.threads import usable_cores
from fastmlp.report import baselines as module
from fastmlp.report.baselines import Baseline, baselines

needs_models = pytest.mark.skipif(not find_spec("sklearn"), reason="the extra `sklearn` is not installed")


def rows(kind: str, n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows of which every model learns something, and targets of a kind."""
    x = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    if kind == "classes":
        return x, (x[:, 0] + 0.3 * x[:, 1] > 0).astype(np.int64) + (x[:, 0] > 1)
    if kind == "labels":
        return x, (x[:, :2] > 0.5).astype(np.uint8)
    return x, 100 + 10 * np.stack([x[:, 0], x[:, 1] * x[:, 2]], axis=1).astype(np.float64)


def made(kind: str, **options: Any) -> list[Baseline]:
    return baselines(kind, *rows(kind), *rows(kind, 200, 1), **options)


@needs_models
@pytest.mark.parametrize(
    ("kind", "metric", "constant", "linear"),
    [
        ("classes", "accuracy", "most frequent class", "LogisticRegression (scikit-learn)"),
        ("labels", "mean AUC", "frequencies of the labels", "LogisticRegression (scikit-learn)"),
        ("numbers", "R2", "mean", "Ridge (scikit-learn)"),
    ],
)
def test_models_are_better_than_constants(kind: str, metric: str, constant: str, linear: str) -> None:
    told: list[str] = []
    found = made(kind, tell=told.append)
    assert [one.name for one in found] == [constant, "HistGradientBoosting (scikit-learn)", linear]
    assert told == [f"Baseline: {name}." for name in (found[1].name, found[2].name)]
    reached = [one.scores.values[metric] or 0.0 for one in found if one.scores is not None]
    assert reached[1] > reached[0] + 0.1
    assert reached[2] > reached[0] + 0.1
    assert all(one.note == "" and one.seconds >= 0 for one in found)
    assert [one.scores for one in made(kind)] == [one.scores for one in found]


def test_a_constant_knows_the_training_targets_alone() -> None:
    x = np.zeros((4, 1))
    constant = baselines("classes", x, np.array([0, 1, 1, 2]), x, np.array([0, 1, 1, 1]))[0].scores
    assert constant is not None
    assert constant.values["accuracy"] == 0.75
    assert constant.values["log loss"] == pytest.approx(-(np.log(0.25) + 3 * np.log(0.5)) / 4)
    assert constant.values["AUC"] == 0.5
    constant = baselines("numbers", x, np.array([1.0, 2, 3, 6]), x, np.array([3.0, 3, 3, 5]))[0].scores
    assert constant is not None
    assert (constant.values["MAE"], constant.values["RMSE"]) == (0.5, 1.0)
    weighted = baselines(
        "numbers", x, np.array([1.0, 2, 3, 6]), x, np.array([3.0, 3, 3, 5]), train_weights=np.array([0, 0, 1, 0]),
        test_weights=np.array([1, 1, 1, 0]),
    )[0].scores  # fmt: skip
    assert weighted is not None
    assert weighted.values["MAE"] == 0


@needs_models
@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_weights_reach_the_models(kind: str) -> None:
    (x, targets), test = rows(kind), rows(kind, 200, 1)
    wrong = targets[::-1]
    both = np.concatenate([x, x]), np.concatenate([targets, wrong])
    weights = np.repeat([1.0, 1e-9], len(x))
    found = baselines(kind, *both, *test, train_weights=weights)
    for one, alone in zip(found[1:], baselines(kind, x, targets, *test)[1:], strict=True):
        assert one.scores is not None
        assert alone.scores is not None
        name = next(iter(one.scores.values))
        assert one.scores.values[name] == pytest.approx(alone.scores.values[name], rel=0.15)


@needs_models
def test_targets_of_one_value_and_classes_of_one_row_are_answered() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    for one in baselines("classes", x, np.zeros(40), x, np.zeros(40, np.int64)):
        assert one.scores is not None
        assert one.scores.values["accuracy"] == 1
    targets = np.arange(40) % 2
    targets[0] = 2
    test = np.where(np.arange(40) == 1, 3, targets)  # one class is tested alone
    assert all(one.scores is not None for one in baselines("classes", x, targets, x, test))
    labels = np.stack([targets > 0, np.ones(40, bool)], axis=1)
    assert all(one.scores is not None for one in baselines("labels", x, labels, x, labels))
    for one in baselines("numbers", x, np.full(40, 7.0), x, np.full(40, 7.0)):
        assert one.scores is not None
        assert one.scores.values["RMSE"] == 0


@needs_models
def test_many_rows_are_sampled_and_said() -> None:
    found = made("classes", most_values=300)
    assert [one.note for one in found] == ["", *["learnt from 100 of the 300 training rows"] * 2]
    assert all(one.scores is not None for one in found)
    images = np.random.default_rng(0).integers(0, 256, (50, 12), np.uint8)
    assert all(one.scores for one in baselines("classes", images, np.arange(50) % 2, images, np.arange(50) % 2))


@needs_models
def test_a_model_holds_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    seen: list[set[int]] = []
    for kind in (HistGradientBoostingClassifier, LogisticRegression):
        fit = kind.fit

        def watched(self: Any, *args: Any, fit: Any = fit, **options: Any) -> Any:
            seen.append({pool["num_threads"] for pool in threadpool_info()})
            return fit(self, *args, **options)

        monkeypatch.setattr(kind, "fit", watched)
    before = threadpool_info()
    made("classes", threads=1)
    assert seen == [{1}, {1}]
    if usable_cores() > 1:
        made("classes", threads=2)  # few rows, of which threads would have no use
        assert seen[2:] == [{1}, {1}]
        monkeypatch.setattr(module, "FEW_VALUES", 0)
        made("classes", threads=2)
        assert all(2 in counts for counts in seen[4:])
    assert [pool["num_threads"] for pool in threadpool_info()] == [pool["num_threads"] for pool in before]
    with pytest.raises(ConfigError, match="threads is"):
        made("classes", threads=usable_cores() + 1)


def test_without_scikit_learn_the_constant_is_there_and_the_others_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"] + ["sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    found = made("classes")
    assert found[0].scores is not None
    for one in found[1:]:
        assert one.scores is None
        assert "pip install 'fastmlp[sklearn]'" in one.note


@pytest.mark.parametrize(("error", "words"), [(ValueError("too\nlong"), "too"), (MemoryError(), "MemoryError")])
def test_a_model_that_fails_has_a_note(monkeypatch: pytest.MonkeyPatch, error: Exception, words: str) -> None:
    def fail(_seed: int) -> Any:
        raise error

    monkeypatch.setitem(module.MODELS, "numbers", {"one that fails": fail})
    found = made("numbers")
    assert (found[1].scores, found[1].note) == (None, f"it failed: {words}")


@needs_models
def test_a_model_that_is_still_learning_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = module._linear("LogisticRegression", max_iter=1)
    monkeypatch.setitem(module.MODELS, "classes", {"a linear one": linear})
    assert made("classes")[1].note == "still learning after 200 steps"


def test_arrays_that_do_not_fit_are_an_error() -> None:
    x, targets = rows("classes")
    with pytest.raises(DataError, match="do not fit"):
        baselines("classes", x[:-1], targets, x, targets)
    with pytest.raises(DataError, match="do not fit"):
        baselines("classes", x, targets[:, None].repeat(2, 1), x, targets)
    with pytest.raises(DataError, match="not the same number"):
        baselines("classes", x, targets, x[:, :2], targets)
    with pytest.raises(DataError, match="target of row 0 is -1"):
        baselines("classes", x, targets - 1 - targets[0], x, targets)
    with pytest.raises(DataError, match="Weights of the shape"):
        baselines("classes", x, targets, x, targets, train_weights=-np.ones(300))
    with pytest.raises(ConfigError, match="kind is 'ranks'"):
        baselines("ranks", x, targets, x, targets)
