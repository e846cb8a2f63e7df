"""The logger to MLflow: by a client that stands for its own, and by its own on files."""

import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmlp.errors import ConfigError
from fastmlp.sweep import log_mlflow
from fastmlp.sweep.log_mlflow import MLflow
from fastmlp.sweep.loggers import make_logger, opened_loggers
from logged import expected, part, run


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
