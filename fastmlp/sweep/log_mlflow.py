"""The logger `mlflow`: a run of MLflow for each run, at the server of MLFLOW_TRACKING_URI, in MLFLOW_EXPERIMENT_NAME.

Settings are its parameters, epochs its metrics, under the names that `runs.jsonl` has for them. It is found again by
its tag `fastmlp.run_id`, so that a run that goes on has one series. Nothing else is sent: no user, path or command.
"""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fastmlp.config import MOST, RunConfig
from fastmlp.data.places import without_password
from fastmlp.errors import ConfigError
from fastmlp.runs.results import SERIES, RunResult
from fastmlp.sweep.loggers import Logger, figures_of, settings_of

EXPERIMENT, TAG = "fastmlp", "fastmlp.run_id"
# A server that is gone is told of soon, not after MLflow's quarter of an hour; usage is not reported; and standard
# output holds the table alone. Who has set these has chosen otherwise.
USUAL = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_MOST = 1000  # metrics that a server takes at once
_STATUS = {"done": "FINISHED", "stopped": "FINISHED", "diverged": "FAILED", "failed": "FAILED"}


class MLflow:
    """The logger; it writes by the client of mlflow-skinny, or of mlflow."""

    def __init__(self) -> None:
        for name, value in USUAL.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # here: it takes a second, and may not be installed
        from mlflow.entities import Metric, Param

        self._Metric, self._Param = Metric, Param
        try:
            self._client = MlflowClient()
        except Exception as error:  # of any store that it knows
            reason = without_password(next(iter(str(error).strip().splitlines()), type(error).__name__))
            raise ConfigError(
                f"--log mlflow cannot be used ({reason}). Name a server, as in "
                "MLFLOW_TRACKING_URI=http://localhost:5000, or install all of mlflow, which can keep runs in a file."
            ) from error
        self._experiment: str | None = None
        self._runs = dict[str, str]()  # MLflow's ids by ours
        self._status = dict[str, str]()
        self._done = dict[str, int]()
        self._tested = set[str]()

    def log(
        self, run_id: str, config: RunConfig, history: Mapping[str, Sequence[float]], result: RunResult | None
    ) -> None:
        """Send what MLflow does not have of a run, as `fastmlp.sweep.loggers.Logger.log` says."""
        if run_id not in self._runs:
            self._find(run_id, config)
        epochs = min(map(len, history.values()))
        values = [(name, history[name][i], i + 1) for i in range(self._done[run_id], epochs) for name in SERIES]
        figures = {} if result is None or run_id in self._tested else figures_of(result)
        values += [(name, value, epochs) for name, value in figures.items()]
        now = round(time.time() * 1000)
        metrics = [self._Metric(name, value, now, epoch) for name, value, epoch in values]
        for start in range(0, len(metrics), _MOST):
            self._client.log_batch(self._runs[run_id], metrics[start : start + _MOST])
        self._done[run_id] = max(epochs, self._done[run_id])
        if figures:
            self._tested.add(run_id)
        if result is not None and self._status[run_id] != (status := _STATUS.get(result.status, "KILLED")):
            self._client.set_terminated(self._runs[run_id], status)
            self._status[run_id] = status

    def close(self) -> None:
        """Do nothing: all was sent."""

    def _find(self, run_id: str, config: RunConfig) -> None:
        """Find a run in MLflow, and what is there of it, or make it."""
        experiment = self._experiment_id()
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{run_id}'", max_results=1)
        if found:
            self._runs[run_id] = name = found[0].info.run_id
            self._status[run_id] = found[0].info.status
            if "test_loss" in found[0].data.metrics:  # which is sent after all epochs
                self._tested.add(run_id)
                self._done[run_id] = MOST
                return
            there = self._client.get_metric_history(name, SERIES[-1])  # the last that is sent of an epoch
            self._done[run_id] = max((metric.step for metric in there), default=0)
            return
        made = self._client.create_run(experiment, tags={TAG: run_id}, run_name=f"{config.experiment} {run_id}")
        self._runs[run_id], self._done[run_id], self._status[run_id] = made.info.run_id, 0, made.info.status
        params = [self._Param(name, str(value)) for name, value in settings_of(config).items()]
        self._client.log_batch(made.info.run_id, params=params)

    def _experiment_id(self) -> str:
        if self._experiment is None:
            name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
            found = self._client.get_experiment_by_name(name)
            self._experiment = self._client.create_experiment(name) if found is None else found.experiment_id
        return self._experiment


def make(out: Path | None) -> Logger:  # noqa: ARG001 - the server keeps all
    """Return the logger; ConfigError where there is no server, or none that this installation can write to."""
    return MLflow()
