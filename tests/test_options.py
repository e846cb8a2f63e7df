"""What is typed wrong is answered with what was given, what is allowed and what was meant; never a traceback."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from command import embedded_made_once, fails, run  # noqa: F401 - a fixture is found by its name
from fastmlp import train
from fastmlp.cli.options import build_parser
from fastmlp.cli.parser import layers
from fastmlp_kernels import cache

pytestmark = pytest.mark.usefixtures("embedded_made_once")
HUGE = "9" * 5000  # more digits than Python reads
SMALL = ["--layers", "3072-4-20", "--normalize", "image"]


def refused(argv: list[str], capsys) -> str:
    return " ".join(fails(capsys, *argv).split())


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["--expriments", "relu"], "'--experiments'"),
        (["--learning-rate", "1"], "'--lr'"),
        (["-lr", "1"], "'--lr'"),
        (["lr=0.1"], "'--lr 0.1'"),
        (["batch_size=9"], "'--batch-size 9'"),
        (["relu"], "'--experiments relu' or '--activation relu'"),
        (["rellu"], "'--experiments relu' or '--activation relu'"),
        (["cosine"], "'--schedule cosine'"),
        (["--activation", "rely"], "'relu'"),
        (["--dataset", "cifar-100"], "'cifar100'"),
        (["--preset", "report_grid"], "'report-grid'"),
        (["--experiments", "half_unit"], "'half_units'"),
        (["--normalize", "images"], "'image'"),
        (["--retry", "fail", "--out", "o"], "'failed'"),
        (["--grid", "batch-size=1,2"], "'batch_size'"),
        (["--random", "3", "learning=1,2"], "names no field"),
    ],
)
def test_what_was_meant_is_suggested(argv, meant, capsys) -> None:
    said = refused(argv, capsys)
    assert meant in said
    assert "Did you mean" in said or "names no field" in said


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--lr", "abc"], "argument --lr: 'abc' is not a number; give it as in"),
        (["--lr", "-1e-3"], "lr is -0.001; allowed is a number above 0"),  # argparse takes it for an option
        (["--lr", "-inf"], "lr is -inf; allowed is"),
        (["--epochs", "1.5"], "argument --epochs: '1.5' is not a whole number of at least 1"),
        (["--epochs", HUGE], "is not a whole number of at least 1 and at most 2147483647"),
        (["--epochs", "2147483648"], "at most 2147483647"),
        (["--seed", HUGE], "is not a whole number"),
        (["--seeds", "1000000000"], "16,000,000,000 runs; allowed are 100,000"),
        (["--random", HUGE, "lr=1e-4..1"], "allowed is a number of draws"),
        (["--random", "999999999", "lr=1e-4..1", *SMALL], "at most 100000"),
        (["--grid", *(f"{n}=0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9" for n in ("lr", "momentum", "weight_decay")),
          "batch_size=1,2,3,4,5,6,7,8,9", "epochs=1,2,3,4,5,6,7,8,9", "patience=1,2,3"], "combinations; allowed are"),
        (["--grid", f"epochs=1,{HUGE}"], "allowed is a whole number of at least 1"),
        (["--random", "2", f"epochs=1..{'9' * 400}"], "allowed is a whole number of at least 1"),
        (["--layers", "3072-0-20"], "layers is (3072, 0, 20); allowed is"),
        (["--layers", "3072-9999999999-20"], "allowed is at least two whole numbers"),
        (["--layers", "3072-2000000000-20", "--dry-run"], "the memory does not suffice"),
        (["--batch-size", "99999999", "--dry-run"], "embedded has 3,200 images to train on"),
        (["--scheduler", "foo"], "'foo' is not the address of a scheduler; give the one that `dask scheduler` prints"),
        (["--scheduler", "bad://x:1"], "is not the address of a scheduler"),
        (["--scheduler", ""], "is not the address of a scheduler"),
        (["--scheduler", "tcp://h:1", "--workers", "threads"], "--workers threads are on this machine"),
        (["--out", ""], "names no file or folder"),
        (["--out", "a\0b"], "names no file or folder"),
        (["--out", "a\udcff"], "names no file or folder"),
        (["--out", "x" * 400], "cannot take results (File name too long)"),
        (["--data-dir", "~nobody-has-this-name/x"], "names no folder"),
        (["--retry", "failed"], "--retry is about the runs in the folder of --out, which is missing"),
        (["--clean", "--dry-run", "--out", "o"], "--clean removes files, and --dry-run changes nothing"),
        (["--clean"], "--clean is about the runs in the folder of --out"),
        (["--mirror", "https://h"], "--mirror has no use where --dataset is embedded"),
        (["--mirror", "https://h", "--data-dir", "d"], "nothing is downloaded into --data-dir"),
        (["--init", "he", "--init-from", "m.npz"], "are two beginnings"),
        (["--fingerprint", "xyz"], "'xyz' is not a fingerprint"),
        (["--fingerprint", "0" * 16], "Name the place of the right data by --data-dir"),
        (["--log", "no/such/folder/x", *SMALL], "--log no/such/folder/x cannot be written (No such file"),
    ],
)  # fmt: skip
def test_no_value_ends_in_a_traceback(argv, said, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = [] if "--workers" in argv or "--scheduler" not in argv else ["--workers", "processes"]
    assert said in refused([*given, *argv], capsys)


@pytest.mark.parametrize("text", ["x = " + "[" * 5000 + "]" * 5000, 'out = "a\\u0000b"', f"lr = {'9' * 400}"])
def test_no_file_of_options_ends_in_a_traceback(text, capsys, tmp_path) -> None:
    (tmp_path / "odd.toml").write_text(text)
    assert refused(["--config", str(tmp_path / "odd.toml")], capsys)


@pytest.mark.parametrize("text", ["3072-128-20", "3072,128,20"])
def test_layers_have_either_separator_wherever_they_are_given(text) -> None:
    from fastmlp import gradcheck
    from fastmlp.sweep.space import parse_axis

    assert layers(text) == (3072, 128, 20)
    assert build_parser().parse_args(["--layers", text]).layers == (3072, 128, 20)
    assert gradcheck.main.parser("gradcheck").parse_args(["--layers", text]).layers == [3072, 128, 20]
    assert parse_axis(f"layers={text}").choices == ((3072, 128, 20),)


@pytest.mark.parametrize(
    ("module", "argv", "said"),
    [
        ("predict", ["--dataset", "embedded"], "the following arguments are required: MODEL\n"),
        ("predict", ["m.npz", "--datset", "auto"], "Did you mean '--dataset'?"),
        ("predict", ["m.npz", "--top", "0"], "argument --top: '0' is not a whole number of at least 1"),
        ("export", ["m.npz", "m.onnx", "--data_dir", "x"], "Did you mean '--data-dir'?"),
        ("gradcheck", ["--activations", "relu"], "Did you mean '--activation'?"),
        ("gradcheck", ["--layers", "3072,20"], "is not inputs, hidden units"),
        ("report.__main__", ["x", "--datadir", "y"], "Did you mean '--data-dir'?"),
        ("reproduce", ["x", "y", "--init_from", "z"], "Did you mean '--init-from'?"),
        ("data.__main__", ["describe", "--label", "fine"], "Did you mean '--labels'?"),
        ("data.__main__", ["fetch", "--data-dri", "x", "cifar10"], "Did you mean '--data-dir'?"),
        ("data.__main__", ["fetch", "cifar"], "Did you mean 'cifar10'?"),
        ("data.__main__", ["descripe"], "Did you mean 'describe'?"),
        ("data.__main__", ["describe", "--image", "-1"], "is not a whole number of at least 0"),
    ],
)
def test_every_command_answers_so(module, argv, said, capsys) -> None:
    with pytest.raises(SystemExit) as stop:
        import_module(f"fastmlp.{module}").main(argv)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


def test_options_may_stand_among_the_images() -> None:
    from fastmlp import predict

    args = predict.main.parser("predict").parse_args(["m.npz", "--top", "2", "a.png", "--quiet", "b.png"])
    assert ([path.name for path in args.inputs], args.top) == (["a.png", "b.png"], 2)


def test_the_cache_of_kernels_answers_so(capsys) -> None:
    with pytest.raises(SystemExit):
        cache.main(["--claer"])
    assert "Did you mean '--clear'?" in capsys.readouterr().err


def test_the_cache_of_kernels_tells_of_a_wrong_switch() -> None:
    environment = os.environ | {"FASTMLP_NUMBA_CACHE": "wrong"}
    command = [sys.executable, "-m", "fastmlp_kernels.cache"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert "Used       no: FASTMLP_NUMBA_CACHE='wrong': set it to 1" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    "argv", [["--data-dir", "typo"], ["--init-from", "no.npz"], ["--layers", "3072-4-7"], ["--fingerprint", "0" * 16]]
)
def test_what_is_refused_makes_no_folder(argv, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert train.main([*argv, "--dataset", "auto" if "typo" in argv else "embedded", "--out", "new/out"]) == 2
    assert "error: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--dry-run", "--check-precision"])
def test_what_only_looks_makes_nothing_and_downloads_nothing(option, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path.parent / "cache"))
    precision = ["--precision", "int8"] if option == "--check-precision" else []
    assert run(*SMALL, *precision, option, "--out", "new/out", "--log", "new.log") == 0
    monkeypatch.setattr("fastmlp.data.load.fetch", None)
    assert train.main(["--dataset", "cifar100", option, "--out", "new/out"]) == 2
    assert "python -m fastmlp.data fetch cifar100" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
