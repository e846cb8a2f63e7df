"""Weights of rows, from a table's column to each figure: losses of every part, metrics of the test, and baselines."""

import json
from pathlib import Path

import numpy as np
import pytest

from fastmlp import load_model, predict, train
from fastmlp.data.own import Own, load_own
from fastmlp.report import __main__ as report
from fastmlp.runs.results import RunResult, load_results

pytest.importorskip("polars")
judge = pytest.importorskip("sklearn.metrics")
QUICK = [
    "--epochs",
    "3",
    "--hidden",
    "6",
    "--threads",
    "1",
    "--matmul",
    "packed",
    "--workers",
    "threads",
    "--jobs",
    "1",
]
COLUMNS = "w,a,b,job,kind,wet,warm,price"


def write(path: Path, rows: int = 400, seed: int = 0) -> Path:
    """Write a table of three kinds of targets, whose weights, some of them 0, have to do with what is hard to tell."""
    rng, lines = np.random.default_rng(seed), [COLUMNS]
    for i in range(rows):
        a, b = rng.normal(size=2)
        hard = i % 3 == 0
        w = 0 if i % 7 == 0 else f"{(5 if hard else 1) * rng.random() + 0.01:.3f}"
        kind = "xyz"[int(a > 0) + (b > 0.5)] if not hard else "xyz"[int(rng.integers(3))]
        price = 100 + 10 * a + (30 if hard else 1) * rng.normal()
        lines.append(f"{w},{a:.4f},{b:.4f},{'pq'[i % 2]},{kind},{int(a > 0)},{int(b > hard)},{price:.4f}")
    path.write_text("\n".join(lines) + "\n")
    return path


TARGETS = {"classes": ("kind",), "labels": ("wet", "warm"), "numbers": ("price",)}


def options(kind: str, data: Path) -> list[str]:
    others = [name for some in TARGETS.values() for name in some if name not in TARGETS[kind]]
    dropped = ",".join(f"{name}=drop" for name in others)
    return ["--data", str(data), "--target", *TARGETS[kind], "--columns", dropped, "--weights", "w"]


def own(kind: str, data: Path, test_data: str | None = None) -> Own:
    [*_, dropped, _, weights] = options(kind, data)
    return Own(data=str(data), target=TARGETS[kind], columns=dropped, weights=weights, test_data=test_data)


def whole(p: np.ndarray) -> np.ndarray:
    """Return probabilities (M, K) of float32 as float64, of sum 1 as scikit-learn wants them."""
    return p / p.sum(axis=1, keepdims=True, dtype=np.float64)


def expected(kind: str, targets: np.ndarray, outputs: np.ndarray, w: np.ndarray) -> dict[str, float]:
    """Return scikit-learn's metrics with these sample weights."""
    if kind == "numbers":
        return {
            "RMSE": judge.root_mean_squared_error(targets, outputs, sample_weight=w),
            "MAE": judge.mean_absolute_error(targets, outputs, sample_weight=w),
            "R2": judge.r2_score(targets, outputs, sample_weight=w),
        }
    if kind == "labels":
        each = [judge.log_loss(t, o, sample_weight=w) for t, o in zip(targets.T, outputs.T, strict=True)]
        return {
            "subset accuracy": judge.accuracy_score(targets, outputs > 0.5, sample_weight=w),
            "Hamming loss": judge.hamming_loss(targets, outputs > 0.5, sample_weight=w),
            "mean AUC": judge.roc_auc_score(targets, outputs, sample_weight=w),
            "log loss": float(np.mean(each)),
        }
    said, outputs = outputs.argmax(axis=1), whole(outputs)
    return {
        "accuracy": judge.accuracy_score(targets, said, sample_weight=w),
        "balanced accuracy": judge.balanced_accuracy_score(targets, said, sample_weight=w),
        "log loss": judge.log_loss(targets, outputs, sample_weight=w, labels=[0, 1, 2]),
        "AUC": judge.roc_auc_score(targets, outputs, sample_weight=w, multi_class="ovr"),
        "macro F1": judge.f1_score(targets, said, sample_weight=w, average="macro"),
    }


def run_of(folder: Path) -> RunResult:
    [run] = load_results(folder / "results.json")[1]
    return run


@pytest.mark.parametrize("kind", TARGETS)
def test_the_metrics_of_the_test_rows_are_scikit_learns_with_their_weights(kind, tmp_path, capsys) -> None:
    data = write(tmp_path / "rows.csv")
    assert train.main([*QUICK, *options(kind, data), "--out", str(tmp_path / "out"), "--baselines"]) == 0
    out, err = capsys.readouterr()
    assert "Rows count by their 'w', in every loss and in the metrics of the test." in " ".join(err.split())
    run, found = run_of(tmp_path / "out"), load_own(own(kind, data))
    assert run.test_metrics is not None
    assert found.test_weights is not None
    assert found.validation_weights is not None
    model = load_model(tmp_path / "out" / "models" / f"{run.run_id}.npz")
    (targets,), told = found.test_labels.values(), model.predict if kind == "numbers" else model.predict_proba
    right = expected(kind, targets, told(found.test_images), found.test_weights)
    assert run.test_metrics == pytest.approx(right, rel=1e-5)
    assert run.test_metrics != pytest.approx(expected(kind, targets, told(found.test_images), np.ones(80)), rel=1e-3)
    # the figures that are not of this table, and are shown while it runs
    first = next(iter(right)) if kind != "numbers" else "R2"
    assert run.test_accuracy == pytest.approx(right[first], rel=1e-5)
    if kind == "classes":
        assert run.test_loss == pytest.approx(right["log loss"], rel=1e-4)
        (held,) = (found.validation_labels or {}).values()
        told_held = whole(model.predict_proba(found.validation_images))
        mean = judge.log_loss(held, told_held, labels=[0, 1, 2], sample_weight=found.validation_weights)
        assert min(run.history["val_loss"]) == pytest.approx(mean, rel=1e-4)
        dummy = np.bincount(found.train_labels["kind"], found.weights).argmax()
        share = float(np.average(targets == dummy, weights=found.test_weights))
        assert f"| most frequent class | baseline | {100 * share:.2f} |" in out
    if kind == "numbers":
        assert run.test_rmse == pytest.approx([right["RMSE"]], rel=1e-5)


def test_metrics_of_a_file_with_answers_count_by_a_column_that_is_named(tmp_path, capsys) -> None:
    data, new = write(tmp_path / "rows.csv"), write(tmp_path / "new.csv", seed=1)
    assert train.main([*QUICK, *options("numbers", data), "--out", str(tmp_path / "out")]) == 0
    path = str(next((tmp_path / "out" / "models").iterdir()))
    capsys.readouterr()
    assert predict.main([path, "--data", str(new), "--weights", "w", "--format", "json"]) == 0
    [found] = json.loads(capsys.readouterr().out)
    y, w = np.loadtxt(new, delimiter=",", skiprows=1, usecols=(7, 0)).T
    right = judge.mean_absolute_error(y, load_model(path).predict(str(new)), sample_weight=w)
    assert float(found["MAE"]) == pytest.approx(right, rel=1e-4)
    assert predict.main([path, str(new), "--weights", "w"]) == 2
    assert "--weights is about the answers in --data" in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_rows_without_weight_are_not_among_the_worst_answers_and_keep_their_numbers(tmp_path, capsys) -> None:
    data = write(tmp_path / "rows.csv")
    assert train.main([*QUICK, *options("numbers", data), "--out", str(tmp_path / "out")]) == 0
    assert report.main([str(tmp_path / "out")]) == 0
    capsys.readouterr()
    lines = data.read_text().splitlines()[1:]
    for row in json.loads((tmp_path / "out" / "tables" / "mistakes.json").read_text()):
        cells = dict(zip(COLUMNS.split(","), lines[int(row["row"].replace(",", "")) - 1].split(","), strict=True))
        assert float(cells["w"]) > 0
        assert float(cells["price"]) == pytest.approx(float(row["target"]), abs=0.01)
    [metrics, *_] = json.loads((tmp_path / "out" / "tables" / "metrics.json").read_text())
    run = run_of(tmp_path / "out")
    assert float(metrics["RMSE"]) == pytest.approx((run.test_metrics or {})["RMSE"], rel=1e-3)


def test_a_test_file_has_weights_of_its_own(tmp_path, capsys) -> None:
    data, other = write(tmp_path / "rows.csv"), write(tmp_path / "test.csv", 60, seed=2)
    found = load_own(own("classes", data, test_data=str(other)))
    np.testing.assert_array_equal(found.test_weights, np.loadtxt(other, delimiter=",", skiprows=1, usecols=0))
    assert found.validation_weights is not None
    assert len(found.validation_weights) == 80
    text = other.read_text().replace("w,", "v,", 1)
    other.write_text(text)
    assert train.main([*QUICK, *options("classes", data), "--test-data", str(other)]) == 2
    assert "'w'" in capsys.readouterr().err


def test_a_part_of_which_no_row_counts_is_refused_before_training(tmp_path, capsys) -> None:
    data = tmp_path / "rows.csv"
    rows = [f"{int(i < 50)},{i},{np.cos(i):.3f},{np.sin(i):.3f}" for i in range(100)]
    data.write_text("\n".join(["w,day,x,y", *rows]) + "\n")
    words = ["--data", str(data), "--target", "y", "--weights", "w", "--order", "day"]
    assert train.main([*QUICK, *words, "--out", str(tmp_path / "out")]) == 2
    assert "weights hold 0.0 to 0.0" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
