"""Loggers write what their tools do not have, keep no run waiting, and fail for themselves alone."""

import json
import re
import socket
import sys
import threading
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmlp.cli.options import build_parser, parse
from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.history import History
from fastmlp.runs.results import SERIES, RunResult
from fastmlp.sweep import log_mlflow, loggers
from fastmlp.sweep.board import Board
from fastmlp.sweep.log_mlflow import MLflow
from fastmlp.sweep.log_tensorboard import TensorBoard, records
from fastmlp.sweep.logger_names import LOGGERS
from fastmlp.sweep.loggers import Logged, Loggers, figures_of, make_logger, opened_loggers, settings_of
from fastmlp.sweep.loop import Quiet
from samples import result

ROOT = Path(__file__).parents[1]


def run(epochs: int = 3, *, tested: bool = True, status: str = "done", seed: int = 0) -> RunResult:
    """A run whose values tell their epoch."""
    values = {name: [k + i / 8 for i in range(epochs)] for k, name in enumerate(SERIES)}
    accuracy = 0.5 if tested else float("nan")
    return replace(result(accuracy, epochs=epochs, seed=seed, status=status), history=values)


def part(whole: RunResult, epochs: int) -> dict[str, list[float]]:
    return {name: series[:epochs] for name, series in whole.history.items()}


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


# TensorBoard.


def events(root: Path, run_id: str) -> list[tuple[str, int, float]]:
    """Return (tag, step, value) of all events of a run, file by file, with the checksums of each record looked at."""
    record_writer = pytest.importorskip("tensorboardX.record_writer")
    event = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    found = []
    for path in sorted((root / run_id).iterdir(), key=lambda path: int(path.name.rpartition(".")[2])):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            body, end = content[12 : 12 + length], content[12 + length : 16 + length]
            if len(end) < 4:
                break
            assert int.from_bytes(content[8:12], "little") == record_writer.masked_crc32c(content[:8])
            assert int.from_bytes(end, "little") == record_writer.masked_crc32c(body)
            one = event.FromString(body)
            found += [(v.tag, one.step, v.simple_value) for v in one.summary.value if not v.tag.startswith("_")]
            content = content[16 + length :]
    return found


def expected(whole: RunResult) -> list[tuple[str, int, float]]:
    told = [(name, i + 1, whole.history[name][i]) for i in range(whole.epochs) for name in SERIES]
    return told + [(name, whole.epochs, value) for name, value in figures_of(whole).items()]


def test_event_files_hold_each_epoch_once_however_often_a_run_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    whole, name = run(6), run().run_id
    first = TensorBoard(tmp_path)
    for epochs in (1, 2):
        first.log(name, whole.config, part(whole, epochs), None)
    first.log(name, whole.config, part(whole, 3), replace(whole, status="interrupted", test_accuracy=float("nan")))
    first.log(name, whole.config, part(whole, 4), None)  # at the next rung
    first.close()
    again = TensorBoard(tmp_path)
    again.log(name, whole.config, part(whole, 3), None)  # from an earlier checkpoint
    again.log(name, whole.config, part(whole, 5), None)
    for _ in range(2):
        again.log(name, whole.config, whole.history, whole)
    again.close()
    third = TensorBoard(tmp_path)
    third.log(name, whole.config, whole.history, whole)
    third.close()
    assert events(tmp_path, name) == expected(whole)
    assert len(list((tmp_path / name).iterdir())) == 3


class Event:
    """An event that stands for tensorboardX's, with JSON for its bytes."""

    def __init__(self, wall_time: float = 0.0, step: int = 0, summary: Any = None) -> None:
        assert wall_time > 1e9
        self.step, self.summary = step, summary

    @classmethod
    def FromString(cls, content: bytes) -> "Event":  # noqa: N802 - as it is called
        step, pairs = json.loads(content)
        value = [SimpleNamespace(tag=tag, simple_value=number) for tag, number in pairs]
        return cls(time.time(), step, SimpleNamespace(value=value))


class Writer:
    """A writer that stands for tensorboardX's."""

    def __init__(self, prefix: str, suffix: str) -> None:
        self._file = Path(f"{prefix}.out.tfevents.1{suffix}").open("xb")  # noqa: SIM115 - it is closed by close

    def write_event(self, event: Event) -> None:
        content = json.dumps([event.step, [(v.tag, v.simple_value) for v in event.summary.value]]).encode()
        self._file.write(len(content).to_bytes(8, "little") + b"    " + content + b"    ")

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def test_without_tensorboardx_a_stand_in_has_each_epoch_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Summary(SimpleNamespace):
        Value = SimpleNamespace

    def hparams(settings: Mapping[str, Any], metrics: Mapping[str, float]) -> list[Any]:
        assert settings["layers"] == "3072-128-20"
        assert list(metrics) == ["train_loss", "val_loss"]
        return [Summary(value=[SimpleNamespace(tag="_settings", simple_value=0)])]

    parts = {"event_file_writer": {"EventsWriter": Writer}, "proto.event_pb2": {"Event": Event}}
    parts |= {"proto.summary_pb2": {"Summary": Summary}, "summary": {"hparams": hparams}}
    for name, values in ({"": {}, "proto": {}} | parts).items():
        monkeypatch.setitem(sys.modules, f"tensorboardX.{name}".rstrip("."), SimpleNamespace(**values))
    whole = run(5)
    for epochs in (2, 1, 4, 5, 5):
        logger = TensorBoard(tmp_path)
        logger.log(whole.run_id, whole.config, part(whole, epochs), whole if epochs == 5 else None)
        logger.close()
    files = sorted((tmp_path / whole.run_id).iterdir(), key=lambda path: int(path.name.rpartition(".")[2]))
    found = [Event.FromString(record) for file in files for record in records(file.read_bytes())]
    told = [(value.tag, event.step, value.simple_value) for event in found for value in event.summary.value]
    assert told == [("_settings", 0, 0), *expected(whole)]


def test_a_file_that_was_cut_off_is_gone_on_from_its_last_whole_epoch(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    whole = run(5)
    first = TensorBoard(tmp_path)
    first.log(whole.run_id, whole.config, part(whole, 3), None)
    first.close()
    [path] = (tmp_path / whole.run_id).iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    again = TensorBoard(tmp_path)
    again.log(whole.run_id, whole.config, whole.history, whole)
    again.close()
    assert events(tmp_path, whole.run_id) == expected(whole)


def test_settings_are_those_of_the_tools_page_and_nothing_else_is_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    whole = run(1)
    logger = TensorBoard(tmp_path)
    logger.log(whole.run_id, whole.config, whole.history, whole)
    logger.close()
    [path] = (tmp_path / whole.run_id).iterdir()
    content = path.read_bytes()
    assert content.count(b"_hparams_/session_start_info") == 1
    assert b"3072-128-20" in content
    assert str(Path.home()).encode() not in content


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "tensorboard").symlink_to(tmp_path / "elsewhere")
    whole = run(1)
    with Loggers({"tensorboard": make_logger("tensorboard", tmp_path)}) as them:
        them.finish(whole)
    assert "is a symbolic link" in " ".join(them.notes())
    assert list((tmp_path / "elsewhere").iterdir()) == []


# MLflow, by a client that stands for its own, and by its own on files.


class Client:
    """A client of MLflow's, whose server is a dict."""

    def __init__(self) -> None:
        self.runs: dict[str, Any] = {}
        self.metrics: list[Any] = []
        self.status: list[tuple[str, str]] = []

    def get_experiment_by_name(self, _: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        assert name == log_mlflow.EXPERIMENT
        return "7"

    def search_runs(self, experiments: list[str], text: str, max_results: int) -> list[Any]:
        assert (experiments, max_results) == (["7"], 1)
        return [one for one in self.runs.values() if text == f"tags.`fastmlp.run_id` = '{one.tag}'"]

    def create_run(self, experiment: str, *, tags: Mapping[str, str], run_name: str) -> Any:
        assert experiment == "7"
        assert tags["fastmlp.run_id"] in run_name
        info = SimpleNamespace(run_id=f"m{len(self.runs)}", status="RUNNING")
        data = SimpleNamespace(metrics={})
        self.runs[info.run_id] = SimpleNamespace(info=info, data=data, tag=tags["fastmlp.run_id"], params=[])
        return self.runs[info.run_id]

    def log_batch(self, name: str, metrics: Sequence[Any] = (), params: Sequence[Any] = ()) -> None:
        assert len(metrics) <= 1000
        self.metrics += metrics
        self.runs[name].params += params
        self.runs[name].data.metrics |= {metric.key: metric.value for metric in metrics}

    def get_metric_history(self, _: str, key: str) -> list[Any]:
        return [metric for metric in self.metrics if metric.key == key]

    def set_terminated(self, name: str, status: str) -> None:
        self.runs[name].info.status = status
        self.status.append((name, status))


def stand_in(client: Client, monkeypatch: pytest.MonkeyPatch) -> MLflow:
    for name in ("MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "3")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    entities = SimpleNamespace(
        Metric=lambda key, value, timestamp, step: SimpleNamespace(key=key, value=value, at=timestamp, step=step),
        Param=lambda key, value: (key, value),
    )
    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=lambda: client, entities=entities))
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return MLflow()


def test_mlflow_is_sent_each_epoch_once_however_often_a_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    client, whole, name = Client(), run(600), run().run_id
    first = stand_in(client, monkeypatch)
    first.log(name, whole.config, part(whole, 2), None)
    first.log(name, whole.config, part(whole, 3), replace(whole, status="interrupted", test_accuracy=float("nan")))
    again = stand_in(client, monkeypatch)
    again.log(name, whole.config, part(whole, 2), None)
    for _ in range(2):
        again.log(name, whole.config, whole.history, whole)
    stand_in(client, monkeypatch).log(name, whole.config, whole.history, whole)
    assert [(metric.key, metric.step, metric.value) for metric in client.metrics] == expected(whole)
    [kept] = client.runs.values()
    assert ("layers", "3072-128-20") in kept.params
    assert len(kept.params) == len(dict(kept.params))
    assert client.status == [("m0", "KILLED"), ("m0", "FINISHED")]


@pytest.mark.parametrize(("status", "there"), [("failed", "FAILED"), ("diverged", "FAILED"), ("interrupted", "KILLED")])
def test_mlflow_has_how_a_run_ended(status: str, there: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client, whole = Client(), run(1, tested=False, status=status)
    stand_in(client, monkeypatch).log(whole.run_id, whole.config, whole.history, whole)
    assert client.status == [("m0", there)]


def test_mlflow_itself_keeps_one_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tmp_path.as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    for name in log_mlflow.USUAL:
        monkeypatch.setenv(name, log_mlflow.USUAL[name])
    whole = run(4)
    for epochs in (2, 1, 4):
        MLflow().log(whole.run_id, whole.config, part(whole, epochs), whole if epochs == 4 else None)
    client = mlflow.MlflowClient()
    [kept] = client.search_runs([client.get_experiment_by_name("mine").experiment_id])
    there = {name: client.get_metric_history(kept.info.run_id, name) for name in kept.data.metrics}
    assert sorted((n, m.step, m.value) for n, series in there.items() for m in series) == sorted(expected(whole))
    assert kept.info.status == "FINISHED"
    assert kept.data.params["layers"] == "3072-128-20"
    assert set(kept.data.tags) <= {"fastmlp.run_id", "mlflow.runName"}
    assert capsys.readouterr().out == ""


def test_a_place_that_mlflow_cannot_write_to_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "gopher://me:secret@host")
    with pytest.raises(ConfigError, match=r"--log mlflow cannot be used \(.*MLFLOW_TRACKING_URI=http") as refused:
        make_logger("mlflow", None)
    assert "secret" not in str(refused.value)


def test_a_server_that_is_gone_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mlflow")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with opened_loggers(["mlflow"], None) as them:
        for seed in range(3):
            them.finish(run(seed=seed))
    [said] = them.notes()
    assert said.startswith("--log mlflow failed (")
    assert "secret" not in said
