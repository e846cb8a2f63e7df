"""What commands are given by hand: names, numbers and addresses that are odd end in a message and status 2."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from command import embedded_made_once  # noqa: F401 - a fixture is found by its name
from fastmlp import export, gradcheck, predict, reproduce, train
from fastmlp.cli.log import Log
from fastmlp.data import __main__ as data
from fastmlp.errors import OutputError
from fastmlp.models.file import save_model
from fastmlp.report import __main__ as report
from fastmlp.terminal import in_words
from models import small_model

pytestmark = pytest.mark.skipif(os.name != "posix", reason="FIFOs and /dev are those of POSIX")
LONG, DIGITS = "a" * 300, "9" * 5000
NO_FOLDERS = ["", LONG, "\udcff", "a\0b", "/dev/null/x", "fifo", "dangling", "loop", "file", "~nobody-has-this-name"]
NO_FILES = [*NO_FOLDERS, ".", "a\nb", "/dev/null"]
CIFAR, NOBODY = ["--dataset", "cifar10"], ["--mirror", "http://127.0.0.1:9"]
SMALL = ["--dataset", "embedded", "--layers", "3072,4,20", "--normalize", "image", "--quiet"]
Main = Callable[[Sequence[str]], int]
# A command, its words before the odd one, and which odd ones.
PLACES: dict[str, tuple[Main, list[str], list[str]]] = {
    "predict MODEL": (predict.main, [], NO_FILES),
    "predict IMAGE": (predict.main, ["model.npz"], [*NO_FOLDERS[:5], "dangling", "loop"]),
    "predict --data-dir": (predict.main, ["model.npz", *CIFAR, "--data-dir"], NO_FILES),
    "export MODEL": (export.main, [], NO_FILES),
    "export OUT": (export.main, ["model.npz"], NO_FILES),
    "gradcheck --layers": (gradcheck.main, ["--layers"], ["", "5", DIGITS, f"5,{DIGITS[:50]},3", "5,-1,3", "nan,2,2"]),
    "report DIR": (report.main, [], [*NO_FILES]),
    "reproduce DIR": (reproduce.main, [], NO_FILES),
    "reproduce RUN_ID": (reproduce.main, ["."], ["", LONG, "\udcff", "../../x", "a\nb"]),
    "data describe --data-dir": (data.main, ["describe", "--data-dir"], NO_FILES),
    "data describe --image": (data.main, ["describe", "--image"], ["1e999", "nan", "-1", DIGITS, ""]),
    "data fetch --data-dir": (data.main, ["fetch", "cifar10", *NOBODY, "--data-dir"], NO_FOLDERS),
    "data fetch --mirror": (data.main, ["fetch", "cifar10", "--mirror"], ["", "http://[::1", "ftp://h", "http://a b"]),
    "train --out": (train.main, [*SMALL, "--out"], NO_FOLDERS),
    "train --config": (train.main, ["--config"], [one for one in NO_FILES if one != "/dev/null"]),
    "train --data-dir": (train.main, [*CIFAR, "--data-dir"], NO_FILES),
    "train --init-from": (train.main, [*SMALL, "--init-from"], NO_FILES),
    "train --lr": (train.main, [*SMALL, "--lr"], ["1e999", "nan", "-inf", "", "0", DIGITS, "1_0e9999"]),
    "train --seed": (train.main, [*SMALL, "--seed"], ["1e3", "-1", "", DIGITS, "nan"]),
    "train --layers": (train.main, ["--layers"], ["", f"{DIGITS},3,20", "3072,0,20", "-"]),
    "train --grid": (train.main, [*SMALL, "--grid"], ["", "lr", "lr=", "lr=1e999", "=", "lr=1,nan", f"seed={DIGITS}"]),
    "train --random": (train.main, [*SMALL, "--random", "2"], ["", "lr=1e-300..1e999", "lr=nan..1", "lr=..", "x=1,2"]),
    "train --mirror": (train.main, [*CIFAR, "--mirror"], ["", "http://[::1", "ftp://h", "http://h:99999"]),
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder, made the current one, in which things lie that are no files."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    save_model("model.npz", small_model())
    os.mkfifo("fifo")
    Path("file").write_text("{")
    Path("dangling").symlink_to("nowhere")
    Path("loop").symlink_to("loop")
    return tmp_path


@pytest.mark.usefixtures("embedded_made_once")
@pytest.mark.parametrize("case", PLACES)
def test_what_is_odd_ends_in_a_message(case: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    main, words, odd = PLACES[case]
    before = sorted(here.iterdir())
    wrong = {}
    for given in odd:
        more = {"export MODEL": ["out.npz"], "reproduce DIR": ["0"]}.get(case, [])
        try:
            status = main([*words, given, *more])
        except SystemExit as stop:  # of the parser
            status = stop.code
        out, err = capfd.readouterr()
        if (status, out) != (2, "") or "error: " not in err or "Traceback" in err or str(here / "model") in out:
            wrong[given[:40]] = status, out, err[-300:]
    assert wrong == {}
    assert sorted(here.iterdir()) == before


@pytest.mark.parametrize("place", [LONG, "/dev/null/x", "fifo", "loop", "."])
def test_a_log_that_cannot_be_written_is_an_error(place: str, here: Path) -> None:  # noqa: ARG001
    with Log() as log, pytest.raises(OutputError, match=r"--log .* cannot be written"):
        log.begin(Path(place))


def test_a_folder_that_is_there_no_more_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as caught:
        Path("x").absolute()
    assert in_words(caught.value).startswith("the folder that you are in is there no more.")
    assert report.main(["x"]) == 2


def test_options_that_are_given_twice_are_those_that_come_last(capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--list", "--lr", "1", "--lr", "2"]) == 0
    assert capsys.readouterr().err == ""


def test_no_password_of_an_address_is_said_or_logged(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.cli.sweep.load_dataset", stop)
    address = "https://who:secret@host/data"
    with caplog.at_level("INFO", "fastmlp"):
        for given in (["--mirror", address], [f"--mirror={address}"]):
            assert train.main([*CIFAR, *given, "--out", str(tmp_path)]) == 130
            with pytest.raises(SystemExit):
                train.main([*CIFAR, "--unknown", *given])
            with pytest.raises(SystemExit):
                train.main([*CIFAR, *(word.replace("https", "ftp") for word in given)])
    said = "".join(capsys.readouterr()) + caplog.text
    assert "https://***@host/data" in said
    assert "secret" not in said
