"""Loggers write what their tools do not have, keep no run waiting, and fail for themselves alone."""

import re
import sys
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastmlp.cli.options import build_parser, parse
from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.history import History
from fastmlp.runs.results import RunResult
from fastmlp.sweep import loggers
from fastmlp.sweep.board import Board
from fastmlp.sweep.logger_names import LOGGERS
from fastmlp.sweep.loggers import Logged, Loggers, figures_of, make_logger, opened_loggers, settings_of
from fastmlp.sweep.loop import Quiet
from logged import part, run

ROOT = Path(__file__).parents[1]


class Fake:
    """A logger that remembers, and raises or waits where it is told to."""

    def __init__(self, error: Exception | None = None, wait: threading.Event | None = None) -> None:
        self.given: list[tuple[str, int, bool]] = []
        self._error, self._wait, self.closed = error, wait, False

    def log(
        self, run_id: str, config: RunConfig, history: Mapping[str, Sequence[float]], result: RunResult | None
    ) -> None:
        assert isinstance(config, RunConfig)
        if self._wait is not None:
            assert self._wait.wait(20)
        if self._error is not None:
            raise self._error
        self.given.append((run_id, len(history["val_loss"]), result is not None))

    def close(self) -> None:
        self.closed = True


class Heard(Quiet):
    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, sentence: str) -> None:
        self.said.append(sentence)


def until(done: Any) -> None:
    for _ in range(2000):
        if done():
            return
        time.sleep(0.005)
    raise AssertionError("it never came")


def test_each_name_has_its_extra_and_its_module() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name, package in LOGGERS.items():
        assert [re.split("[>=]", one)[0] for one in extras[name]] == [package]
        assert (ROOT / "fastmlp" / "sweep" / f"log_{name}.py").exists()


def test_loggers_have_all_epochs_and_results_when_their_body_ends() -> None:
    fake, whole = Fake(), run(3)
    with Loggers({"one": fake}) as them:
        watcher = Logged(Quiet(), them)
        watcher.finish(whole)
    assert fake.given[-1] == (whole.run_id, 3, True)
    assert fake.closed
    assert them.notes() == []


def test_without_loggers_there_is_no_thread() -> None:
    before = threading.active_count()
    with Loggers({}) as them:
        them.finish(run())
        assert threading.active_count() == before


def test_one_that_waits_keeps_nobody_waiting_and_is_given_the_newest() -> None:
    go, whole = threading.Event(), run(50, tested=False)
    fake = Fake(wait=go)
    with Loggers({"slow": fake}) as them:
        began = time.perf_counter()
        for epochs in range(1, 51):
            them.epoch(whole.run_id, whole.config, History(**part(whole, epochs)))
        assert time.perf_counter() - began < 5
        go.set()
    assert fake.given[-1] == (whole.run_id, 50, False)
    assert len(fake.given) < 50


def test_one_that_fails_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    bad, good, heard = Fake(OSError(28, "No space left on device")), Fake(), Heard()
    board = Board.create(tmp_path / "board", 1)
    with Loggers({"bad": bad, "good": good}) as them:
        watcher = Logged(heard, them)
        for seed in range(3):
            watcher.finish(run(seed=seed))
        until(lambda: len(good.given) == 3)
        for _ in range(2):
            watcher.look(board, [])
    [said] = heard.said
    assert said.startswith(
        "--log bad failed (OSError: [Errno 28] No space left on device). Training goes on without it"
    )
    assert bad.closed
    assert them.notes() == []


def test_what_fails_at_the_very_end_is_told_after_it() -> None:
    class Last(Fake):
        def close(self) -> None:
            raise OSError(5, "Input/output error")

    with Loggers({"last": Last()}) as them:
        pass
    assert "Input/output error" in " ".join(them.notes())


def test_one_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loggers, "CLOSE_SECONDS", 0.05)
    go = threading.Event()
    with Loggers({"stuck": Fake(wait=go)}) as them:
        them.finish(run())
    assert them.notes() == [
        "--log stuck did not take all in 0.05 s; with --out, the same command again logs what is missing."
    ]
    go.set()


def test_an_address_in_an_error_is_told_without_its_password() -> None:
    with Loggers({"far": Fake(ConnectionError("http://me:secret@host:5000 is gone\nmore"))}) as them:
        them.finish(run())
    [said] = them.notes()
    assert "secret" not in said
    assert "http://***@host:5000 is gone)." in said


@pytest.mark.parametrize("name", LOGGERS)
def test_one_that_is_not_installed_is_refused_with_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [one for one in sys.modules if one.split(".")[0] in ("tensorboardX", "mlflow")]:
        monkeypatch.delitem(sys.modules, module)
    for module in ("tensorboardX", "mlflow"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"--log {name} needs .*pip install 'fastmlp\[{name}\]'"):
        make_logger(name, tmp_path)


def test_tensorboard_needs_a_folder() -> None:
    with pytest.raises(ConfigError, match="--log tensorboard writes into the folder of --out, which is missing"):
        opened_loggers(["tensorboard"], None)


def test_settings_and_figures_are_numbers_and_texts() -> None:
    told = settings_of(replace(run().config, activation=("relu", "tanh"), layers=(3072, 5, 4, 20)))
    assert (told["layers"], told["activation"], told["lr"]) == ("3072-5-4-20", "relu-tanh", 0.005)
    assert all(isinstance(value, str | int | float) for value in told.values())
    whole = run()
    assert figures_of(whole) == {"test_loss": 2.25, "test_accuracy": 0.5, "best_epoch": 2.0, "seconds": 6.25}
    assert figures_of(run(tested=False)) == {}
    assert figures_of(replace(whole, test_metrics={"r2": 0.5, "auc": None}))["test_metrics/r2"] == 0.5
    assert figures_of(replace(whole, test_rmse=[2.0]))["test_rmse"] == 2.0
    assert figures_of(replace(whole, test_rmse=[2.0, 3.0]))["test_rmse/2"] == 3.0


# The option.


def options(*argv: str) -> Any:
    return parse(build_parser(), list(argv))


@pytest.mark.parametrize(
    ("argv", "names", "file"),
    [
        ([], [], None),
        (["--log", "run.log"], [], "run.log"),
        (["--log", "tensorboard"], ["tensorboard"], None),
        (["--log", "mlflow,tensorboard"], ["mlflow", "tensorboard"], None),
        (["--log", "mlflow", "--log", "run.log", "--log=mlflow"], ["mlflow"], "run.log"),
        (["--log", "./mlflow"], [], "mlflow"),
        (["--log", "a,b"], [], "a,b"),
    ],
)
def test_a_log_is_a_logger_by_its_name_and_else_a_file(argv: list[str], names: list[str], file: str | None) -> None:
    args = options(*argv)
    assert getattr(args, "loggers", []) == names
    assert args.log == (None if file is None else Path(file))
    assert not hasattr(options(), "loggers")  # nothing stays for the next


def test_a_name_that_is_nearly_one_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        options("--log", "tensorbord")
    assert "no logger is called 'tensorbord'. Did you mean 'tensorboard'? A file of that name is ./tensorbord" in (
        " ".join(capsys.readouterr().err.split())
    )
    with pytest.raises(SystemExit):
        options("--log", "tensorboard,mlflwo")
    assert options("--log", "./tensorbord").log == Path("tensorbord")
    Path("tensorbord").touch()
    assert options("--log", "tensorbord").log == Path("tensorbord")


def test_a_file_of_options_may_name_loggers(tmp_path: Path) -> None:
    (tmp_path / "sweep.toml").write_text('log = ["tensorboard", "mlflow"]\n')
    assert options("--config", str(tmp_path / "sweep.toml")).loggers == ["tensorboard", "mlflow"]
