"""The command on anyone's own data, end to end in this process: each kind of source, what is said, and what is kept."""

import json
import re
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from command import refused, table_rows
from command import run_own as run
from fastmlp import train
from fastmlp.cli.parser import Parser
from fastmlp.data.own import Own, load_own
from fastmlp.errors import ConfigError, DataError, FastMLPError
from fastmlp.models.file import load_model
from fastmlp.runs.results import load_results

pytest.importorskip("polars")


def csv(folder: Path, rows: int = 120, name: str = "people.csv") -> Path:
    """Write a table with numbers, categories, missing values, an id and three targets; return its path."""
    rng, path = np.random.default_rng(3), folder / name
    lines = ["id,age,job,pay,income,price,wet,warm"]
    for i in range(rows):
        age, job = int(rng.integers(18, 80)), "abc"[int(rng.integers(3))]
        pay = "" if i % 9 == 0 else f"{rng.normal():.3f}"
        income = ">50" if age > 45 and job != "a" else "<=50"
        lines.append(
            f"u{i},{age},{job},{pay},{income},{2.5 * age + rng.normal():.3f},{int(age > 40)},{int(job == 'b')}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def npz(folder: Path) -> Path:
    rng, path = np.random.default_rng(4), folder / "rows.npz"
    np.savez(path, x=rng.normal(size=(90, 5)).astype("float32"), y=np.arange(90) % 3)
    return path


def folder_of_arrays(folder: Path) -> Path:
    rng, path = np.random.default_rng(5), folder / "arrays"
    path.mkdir()
    for part, count in (("train", 60), ("test", 20)):
        np.save(path / f"x_{part}.npy", rng.normal(size=(count, 4)))
        np.save(path / f"y_{part}.npy", rng.normal(size=count))
    return path


def idx(folder: Path) -> Path:
    rng, path = np.random.default_rng(6), folder / "digits"
    path.mkdir()
    for part, count in (("train", 60), ("t10k", 20)):
        images, labels = rng.integers(0, 256, (count, 6, 6), np.uint8), (np.arange(count) % 4).astype(np.uint8)
        content = struct.pack(">BBBBIII", 0, 0, 8, 3, *images.shape) + images.tobytes()
        (path / f"{part}-images-idx3-ubyte").write_bytes(content)
        (path / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">BBBBI", 0, 0, 8, 1, count) + labels.tobytes())
    return path


def pictures(folder: Path) -> Path:
    image = pytest.importorskip("PIL.Image")
    rng, path = np.random.default_rng(7), folder / "photos of ä"
    for name in ("cat", "dog"):
        (path / name).mkdir(parents=True)
        for i in range(20):
            image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).save(path / name / f"{i}.png")
    return path


def svmlight(folder: Path) -> Path:
    pytest.importorskip("sklearn")
    path = folder / "rows.svm"
    path.write_text("".join(f"{i % 2} 1:{i / 50} 3:{(i * 7) % 11}\n" for i in range(50)))
    return path


def bundled(_: Path) -> str:
    pytest.importorskip("sklearn")
    return "sklearn:iris"


SOURCES = {
    "csv": (csv, ["--target", "income"], "classes"),
    "labels": (csv, ["--target", "wet", "warm"], "labels"),
    "numbers": (csv, ["--target", "price"], "numbers"),
    "npz": (npz, [], "classes"),
    "npy": (folder_of_arrays, [], "numbers"),
    "idx": (idx, [], "classes"),
    "pictures": (pictures, ["--image-size", "8", "--grey"], "classes"),
    "svmlight": (svmlight, [], "classes"),
    "sklearn": (bundled, [], "classes"),
}
FIRST = {"classes": "accuracy in %", "labels": "subset accuracy in %", "numbers": "RMSE"}


def contents(path: Path) -> dict[Path, bytes | None]:
    found = [path, *path.rglob("*")]
    return {one: one.read_bytes() if one.is_file() else None for one in found}


@pytest.mark.parametrize("name", SOURCES)
def test_each_source_trains_is_told_and_goes_on(name: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("FASTMLP_DATA", str(tmp_path / "cache"))
    make, options, kind = SOURCES[name]
    (tmp_path / "given").mkdir()
    data = make(tmp_path / "given")
    before, out = contents(tmp_path / "given"), tmp_path / "out"
    assert run("--data", data, *options, "--out", out) == 0
    printed, err = capsys.readouterr()
    rows = table_rows(printed)
    assert [row["network"] for row in rows][1:] == ["baseline"]
    assert rows[0][FIRST[kind]] != "-"
    assert (out / "table.md").read_text() == printed
    for words in ("Data: ", "Target ", "Split: ", "Network: ", " weights)", "validation"):
        assert words in err
    _, [result] = load_results(out / "results.json")
    assert result.test_metrics
    model = load_model(out / "models" / f"{result.run_id}.npz")
    assert model.kind == kind
    # The same command, and its sweep file, have nothing left to do.
    assert run("--data", data, *options, "--out", out) == 0
    assert "1 of them finished before" in capsys.readouterr().err
    assert train.main(["--config", str(out / "sweep.toml"), "--out", str(out), "--workers", "threads"]) == 0
    assert "1 of them finished before" in capsys.readouterr().err
    assert load_results(out / "results.json")[1] == [result]
    assert contents(tmp_path / "given") == before


def test_the_screen_says_what_was_understood(tmp_path: Path, capsys) -> None:
    assert (
        run("--data", csv(tmp_path), "--target", "income", "--dry-run", "--seeds", "2", "--columns", "price=drop") == 0
    )
    out, err = capsys.readouterr()
    assert [(row["network"], row["seed"]) for row in table_rows(out)] == [("8-4-2 relu", "0"), ("8-4-2 relu", "1")]
    described = table_rows(f"| column{err.partition('| column')[2]}")
    described = [{name.strip(): cell.strip() for name, cell in row.items()} for row in described]
    columns = {row["column"]: row["kind"] for row in described}
    assert columns == {"id": "drop", "age": "number", "job": "category", "pay": "number", "wet": "number",
                       "warm": "number"} | columns  # fmt: skip
    assert "'id' is left out" in err
    assert "Target income: classification, 2 classes: <=50 " in err
    assert "120 rows, split at random with the same shares of each of 2 classes, seed 0: 77 for training" in err
    assert not (tmp_path / "out").exists()


def test_the_screen_states_the_memory(tmp_path: Path, capsys, monkeypatch) -> None:
    data = csv(tmp_path)
    for free, words in ((None, "for a run."), (9e9, "for a run; 9.0 GB are free."), (1e3, "fewer --jobs need less.")):
        monkeypatch.setattr("fastmlp.cli.own.free_memory", lambda free=free: free)
        assert run("--data", data, "--target", "income", "--dry-run") == 0
        _, line = capsys.readouterr().err.split("Memory: ")
        said = " ".join(line.split())
        assert re.match(r"\d+ kB for the rows, which all runs share, and about \d+ [kM]B for a run", said)
        assert words in said


def test_a_search_with_halving_and_seeds_tests_the_best_alone(tmp_path: Path, capsys) -> None:
    data, out = csv(tmp_path), tmp_path / "out"
    axes = ["--grid", "hidden=3,4-2", "lr=0.01,0.1", "--halving", "2", "--seeds", "2", "--baselines", *UNDROPPED]
    assert run("--data", data, "--target", "income", *axes, "--out", out) == 0
    printed = capsys.readouterr().out
    assert printed.count("**(best)**") == 1
    ranking, _, metrics = printed.partition("| model")
    metrics = table_rows(f"| model{metrics}")
    assert "-4-2-2, lr 0.1" in ranking
    assert "±" in metrics[0]["log loss in nats"]
    names = [row["model"].split(" (")[0] for row in metrics[1:]]
    assert names == ["most frequent class", "HistGradientBoosting", "LogisticRegression"]
    tested = [run for run in load_results(out / "results.json")[1] if run.test_metrics]
    assert len(tested) == 2


def test_a_sweep_file_keeps_paths_that_move_together(tmp_path: Path, capsys, monkeypatch) -> None:
    (tmp_path / "one").mkdir()
    data, out = csv(tmp_path / "one"), tmp_path / "one" / "out"
    extra = ["--columns", "wet=drop,warm=category", "--scale", "robust", "--test-size", "20", "--order", "age"]
    assert run("--data", data, "--target", "income", *extra, "--out", out) == 0
    (tmp_path / "one").rename(tmp_path / "two")
    monkeypatch.chdir(tmp_path)
    again = tmp_path / "two" / "out"
    assert train.main(["--config", str(again / "sweep.toml"), "--out", str(again), "--dry-run"]) == 0
    assert "finished" in capsys.readouterr().out
    with (tmp_path / "two" / "people.csv").open("a") as file:
        file.write("x,30,a,1.0,>50,75,1,1\n")
    assert train.main(["--config", str(again / "sweep.toml"), "--out", str(again)]) == 2
    assert "--fingerprint" in capsys.readouterr().err


def test_a_test_file_and_weights(tmp_path: Path, capsys) -> None:
    data, other = csv(tmp_path), csv(tmp_path, 30, "test.csv")
    assert run("--data", data, "--target", "income", "--test-data", other, "--weights", "age", "--group", "id") == 0
    out, err = capsys.readouterr()
    assert "30 rows of test.csv for the test" in err
    assert "by whole groups" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Name it by --target. people.csv has 'id', 'age'"),
        (["--target", "incme"], "Did you mean 'income'"),
        (["--target", "id"], "has 120 classes in 120 rows"),
        (["--target", "income", "price"], "labels, all 0 and 1, or all numbers"),
        (["--target", "income", "--dataset", "cifar10"], "--data is your own data, and --dataset"),
        (["--target", "income", "--experiments", "l2"], "--data is your own data, and --experiments"),
        (["--target", "income", "--preset", "best"], "--data is your own data, and --preset"),
        (["--target", "income", "--labels", "fine"], "Its target is named by --target"),
        (["--target", "income", "--columns", "age=nmber"], "Did you mean 'number'?"),
        (["--target", "income", "--columns", "agee=drop"], "Did you mean 'age'?"),
        (["--target", "income", "--image-size", "8"], "for pictures alone"),
        (["--target", "income", "--group", "job", "--order", "age"], "two ways to split"),
        (["--target", "income", "--test-size", "1.5"], "is no size of a part"),
        (["--target", "income", "--test-size", "5000"], "leave none of 120"),
        (["--target", "income", "--normalize", "image"], "allowed for float32 features is standard or none"),
        (["--target", "income", "--loss", "huber"], "allowed for income, classes"),
        (["--target", "income", "--momentum", "0.9"], "optimizer adamw has no momentum"),
        (["--target", "income", "--weights", "pay"], "allowed are finite numbers from 0"),
        (["--target", "price", "--task", "labels"], "labels are 0 or 1"),
        (["--target", "income", "--task", "regression"], "'income'"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_in_a_sentence(options: list[str], words: str, tmp_path: Path, capsys) -> None:
    assert words in refused(capsys, "--data", csv(tmp_path), *options)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("a,y\n", "no rows"),
        ("a,y\n1,x\n2,x\n3,x\n", "one class is nothing to learn"),
        ("a,y\n1,\n2,\n3,\n", "y"),
        ("a,a,y\n1,2,x\n", "two columns"),
    ],
)  # fmt: skip
def test_a_table_that_nothing_can_be_learnt_from(content: str, words: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "odd name é.csv"
    path.write_text(content)
    assert words.split()[-1] in refused(capsys, "--data", path, "--target", "y")


def test_what_is_no_data_and_options_without_data(tmp_path: Path, capsys) -> None:
    (tmp_path / "empty").mkdir()
    assert "no files" in refused(capsys, "--data", tmp_path / "empty")
    assert "Did you mean 'people.csv'?" in refused(
        capsys, "--data", csv(tmp_path).with_name("peple.csv"), "--target", "y"
    )
    (tmp_path / "cut.parquet").write_bytes(b"PAR1 and no more")
    assert "cut.parquet cannot be read" in refused(capsys, "--data", tmp_path / "cut.parquet", "--target", "y")
    assert "there is no --data PATH" in refused(capsys, "--hidden", "3")
    with pytest.raises(SystemExit):
        train.main(["--test-size", "x", "--data", "a"])
    assert "is no size of a part" in capsys.readouterr().err


def test_own_data_never_have_the_name_of_a_published_set(tmp_path: Path) -> None:
    path = csv(tmp_path, name="cifar100.csv")
    assert load_own(Own(data=str(path), target=("income",))).name == "own cifar100"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("flights/2013.csv", "2013"),
        ("flights/2013-*.parquet", "2013-*"),
        ("flights/*.parquet", "flights"),
        ("flights/**/*.csv", "flights"),
        ("/", "data"),
    ],
)
def test_data_are_called_after_their_file_or_their_folder(data: str, name: str) -> None:
    assert Own(data=data).name == name


# In Python


# A search's best network takes no step before its test, and with dropout would be compiled for that alone.
UNDROPPED = ["--dropout", "0"]
SMALL = {"epochs": 2, "hidden": [4], "workers": "threads", "threads": 1, "matmul": "packed"}


def frame(path: Path) -> object:
    import polars

    return polars.read_csv(path)


def mapping(path: Path) -> object:
    import polars

    return polars.read_csv(path).to_dict(as_series=False)


@pytest.mark.parametrize("form", [Path, str, frame, mapping])
def test_train_in_python_is_the_command(form: Callable[[Path], object], tmp_path: Path) -> None:
    trained = fastmlp.train(form(csv(tmp_path)), "income", seeds=2, columns={"warm": "drop"}, **SMALL)
    assert [one.seed for one in trained.results] == [0, 1]
    assert trained.result in trained.results
    assert trained.result.weights_sha256 == trained.model.weights_sha256
    assert str(trained.table).count("\n| network") == 1
    assert trained.model.class_names == ("<=50", ">50")


def test_train_in_python_takes_arrays_and_searches(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(80, 3))
    settings = SMALL | {
        "dropout": 0,
        "hidden": None,
        "grid": {"hidden": [3, (4, 2)], "lr": [0.01]},
        "out": tmp_path / "out",
    }
    trained = fastmlp.train(x, x[:, 0] - x[:, 1], **settings)
    assert sorted(one.config.layers for one in trained.results) == [(3, 3, 1), (3, 4, 2, 1)]
    assert trained.model.predict(x).shape in ((80,), (80, 1))
    again = fastmlp.train(x, x[:, 0] - x[:, 1], **settings)
    assert again.results == trained.results
    assert json.loads((tmp_path / "out" / "results.json").read_text())["runs"]
    words = fastmlp.train(x, np.where(x[:, 0] > 0, "yes", "no"), **SMALL)
    assert words.model.class_names == ("no", "yes")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"epochz": 1}, "Did you mean 'epochs'?"),
        ({"epochs": 0}, "setting epochs"),
        ({"report": True}, "give --out DIR too"),
        ({"lr": "much"}, "is not a number"),
        ({"lr": [[object()]]}, "lr is"),
        ({"image_size": 8}, "pictures"),
    ],
)  # fmt: skip
def test_train_in_python_refuses_as_the_command_does(settings: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words.replace("?", r"\?")):
        fastmlp.train(csv(tmp_path), "income", **settings)


def test_train_in_python_refuses_data_that_do_not_fit() -> None:
    with pytest.raises(ConfigError, match="no target"):
        fastmlp.train(np.zeros((3, 2)))
    with pytest.raises(DataError, match="rows"):
        fastmlp.train(np.zeros((3, 2)), [1, 2])
    with pytest.raises(FastMLPError):
        fastmlp.train(np.full((30, 2), np.nan), np.arange(30) % 2)


def test_train_is_the_module_of_the_command_too() -> None:
    from fastmlp import train as imported

    assert imported is train is sys.modules["fastmlp.train"] is fastmlp.train
    assert callable(imported.main)
    assert isinstance(imported.main.parser("x"), Parser)


def test_a_callback_of_train_is_told_each_epoch_of_each_run() -> None:
    told: list[tuple[int, int]] = []
    x = np.random.default_rng(0).normal(size=(60, 3))
    settings = {
        "epochs": 2,
        "hidden": [4],
        "seeds": 2,
        "threads": 1,
        "matmul": "packed",
        "workers": "threads",
        "jobs": 1,
    }
    fastmlp.train(x, x[:, 0], on_epoch=lambda config, epoch, _: told.append((config.seed, epoch)), **settings)
    assert sorted(told) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    with pytest.raises(ConfigError, match="on_epoch is 3, allowed is a function, or None"):
        fastmlp.train(x, x[:, 0], on_epoch=3)  # type: ignore[arg-type]
