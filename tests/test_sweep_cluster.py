"""A sweep on dask.distributed: a real scheduler and real worker processes on this machine, one of them killed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.cluster_peers import Peers, free_port, wait_until
from compilations import compile_for_a_while
from fastmlp.data import Dataset, load_dataset
from fastmlp.errors import ConfigError
from fastmlp.runs.results import load_results
from fastmlp.sweep import cluster as cluster_module
from fastmlp.sweep import run_sweep
from fastmlp.sweep import scheduler as scheduler_module
from fastmlp.sweep.board import EPOCHS, Board
from fastmlp.sweep.cluster import Cluster
from fastmlp.sweep.job import Job
from fastmlp.sweep.loop import Quiet
from fastmlp.train import main
from samples import config, dataset

pytestmark = pytest.mark.process

SECONDS = 60  # to wait for what takes a few, before a test fails
NOISE = dataset()
# Long enough that a worker can be killed in the middle of one, a second each.
CONFIGS = [
    config(dataset="embedded", layers=(3072, 4, 20), batch_size=64, epochs=800, patience=800, seed=seed)
    for seed in range(3)
]


class KillOne(Quiet):
    """Kills a worker as soon as two runs have epochs behind them, each on its own worker."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process, self.epochs, self.said = process, list[float](), list[str]()

    def look(self, board: Board, running: Sequence[Job]) -> None:
        epochs = [float(board.slot(job.slot)[EPOCHS]) for job in running]
        if not self.epochs and len(epochs) == 2 and min(epochs) > 0 and max(epochs) < CONFIGS[0].epochs:
            self.epochs = epochs
            self.process.kill()

    def tell(self, sentence: str) -> None:
        self.said.append(sentence)


def test_a_worker_killed_while_it_works_changes_no_bit(peers: Peers, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        here = run_sweep(CONFIGS, NOISE, executor=threads, jobs=1)
    assert [result.status for result in here] == ["done"] * len(CONFIGS)
    [doomed] = peers.workers.values()
    peers.worker()
    watcher = KillOne(doomed)
    with Cluster(peers.address, NOISE, tmp_path, 1, watcher.tell) as executor:
        assert executor.slots == 2
        # Both load the kernels before: one that has them would be done with all runs while the other loads.
        run_sweep([replace(short, epochs=2) for short in CONFIGS[:2]], NOISE, executor=executor, jobs=2)
        there = run_sweep(CONFIGS, NOISE, executor=executor, jobs=2, out=tmp_path / "out", watcher=watcher)
        assert executor.slots == 1
    assert watcher.epochs
    said = [sentence.split()[-1] for sentence in watcher.said if "compiles the kernels" not in sentence]
    assert said == ["gone.", "checkpoint."]
    assert [(r.run_id, r.weights_sha256, r.history) for r in there] == [
        (r.run_id, r.weights_sha256, r.history) for r in here
    ]
    lines = (tmp_path / "out" / "runs.jsonl").read_text().splitlines()
    assert len(lines) == len(CONFIGS)


def sent_to(executor_of: Callable[[], Cluster], monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return the slots of a cluster, and how many workers the data were sent to."""
    sent, ask = [], Cluster._ask

    async def spy(self: Cluster, address: str, data: Dataset | None) -> dict[str, Any]:
        sent.append(data is not None)
        return await ask(self, address, data)

    monkeypatch.setattr(Cluster, "_ask", spy)
    with executor_of() as executor:
        return executor.slots, sum(sent)


def test_data_are_sent_to_a_worker_without_them_alone_and_once(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere, drawn, noise = tmp_path / "nowhere", load_dataset("embedded"), dataset(images=100)
    # It draws the embedded set itself; what bears that name and is another set is not taken for it.
    assert sent_to(lambda: Cluster(peers.address, drawn, nowhere, 1), monkeypatch) == (1, 0)
    assert sent_to(lambda: Cluster(peers.address, noise, nowhere, 1), monkeypatch) == (1, 1)
    assert sent_to(lambda: Cluster(peers.address, noise, nowhere, 1), monkeypatch) == (1, 0)
    quick = [replace(CONFIGS[0], epochs=2)]
    with Cluster(peers.address, noise, nowhere, 1) as executor, ThreadPoolExecutor(1) as threads:
        [there] = run_sweep(quick, noise, executor=executor)
        [here] = run_sweep(quick, noise, executor=threads)
    assert there.weights_sha256 == here.weights_sha256


def test_a_worker_that_can_never_do_the_runs_is_refused_with_the_reason(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"it may use \d+ cores, a run takes 1000 threads"):
        Cluster(peers.address, NOISE, tmp_path, 1000)
    monkeypatch.setattr(cluster_module, "TRAINING_VERSION", -1)  # here, not there
    with pytest.raises(ConfigError, match="install the same"):
        Cluster(peers.address, NOISE, tmp_path, 1)


def test_a_runs_own_error_comes_back_and_the_worker_stays(peers: Peers, tmp_path: Path) -> None:
    with Cluster(peers.address, NOISE, tmp_path, 1) as executor:
        assert isinstance(executor.submit(int, "x").exception(SECONDS), ValueError)
        assert executor.submit(int, "7").result(SECONDS) == 7
        with pytest.raises(TypeError, match="by name are not taken: base"):
            executor.submit(int, "7", base=8)


def test_a_worker_that_compiles_is_told_of_once(peers: Peers, tmp_path: Path) -> None:
    said = list[str]()
    with Cluster(peers.address, NOISE, tmp_path, 1, said.append) as executor:
        for _ in range(2):
            executor.submit(compile_for_a_while, 0.0).result(SECONDS)
        wait_until(lambda: said, "the worker's word")
        executor.submit(int, "7").result(SECONDS)
    [sentence] = said
    assert sentence.startswith("Worker tcp://127.0.0.1:")
    assert sentence.endswith("compiles the kernels for its machine, once; it takes some seconds.")


def test_runs_wait_for_a_worker_and_a_sweep_does_not_begin_without_one(peers: Peers, tmp_path: Path) -> None:
    [first], said = peers.workers.values(), list[str]()
    with Cluster(peers.address, NOISE, tmp_path, 1, said.append) as executor:
        first.kill()
        wait_until(lambda: "No worker is left" in " ".join(said), "the loss of the only worker")
        future = executor.submit(int, "7")
        with pytest.raises(ConfigError, match=r"has no worker that can be used\. Start some with `dask worker tcp:"):
            Cluster(peers.address, NOISE, tmp_path, 1)
        peers.worker()
        assert future.result(SECONDS) == 7


def test_a_worker_that_hangs_is_given_up_and_used_again(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "SILENT_SECONDS", 2.0)
    monkeypatch.setattr(cluster_module, "SET_UP_SECONDS", 0.0)
    [hung], said = peers.workers.values(), list[str]()
    hung.send_signal(signal.SIGSTOP)
    with pytest.raises(ConfigError, match=r"no worker that can be used: worker tcp://127\S+: it does not answer"):
        Cluster(peers.address, NOISE, tmp_path, 1)
    peers.worker()
    with Cluster(peers.address, NOISE, tmp_path, 1, said.append) as executor:
        assert executor.slots == 1  # the other one's
        assert executor.submit(int, "7").result(SECONDS) == 7
        hung.send_signal(signal.SIGCONT)
        wait_until(lambda: executor.slots == 2, "the worker that goes on")
        futures = [executor.submit(time.sleep, 1) for _ in range(2)]
        wait_until(lambda: all(future.running() for future in futures), "runs under way")
        hung.send_signal(signal.SIGSTOP)
        errors = [error for future in futures if (error := future.exception(SECONDS))]
        assert [type(error) for error in errors] == [BrokenExecutor]
        assert said[-1].endswith("no longer answers.")
    hung.kill()
    hung.wait()


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ("import fastmlp.runs.identity; fastmlp.runs.identity.TRAINING_VERSION = -1", "install the same"),
        ("import sys; sys.modules['fastmlp.sweep.cluster_worker'] = None", "which the sweep has, installed there?"),
    ],
)
def test_a_worker_of_another_version_that_joins_late_is_refused_and_the_others_go_on(
    peers: Peers, tmp_path: Path, odd: str, why: str
) -> None:
    said = list[str]()
    (tmp_path / "odd.py").write_text(odd)
    with Cluster(peers.address, NOISE, tmp_path, 1, said.append) as executor:
        peers.worker("--preload", str(tmp_path / "odd.py"))
        wait_until(lambda: said, "the refusal")
        assert executor.submit(int, "7").result(SECONDS) == 7
        assert executor.slots == 1
    [sentence] = said
    assert sentence.startswith("Not used: worker tcp://127.0.0.1:")
    assert why in sentence


def test_the_command_runs_on_the_cluster(peers: Peers, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--dataset", "embedded", "--experiments", "relu", "l2", "--normalize", "image", "--epochs", "2"]
    there = ["--scheduler", peers.address, "--out", str(tmp_path / "there")]
    assert main([*argv, *there, "--matmul", "packed"]) == 0
    assert f"Scheduler: {peers.address}" in capsys.readouterr().err
    assert main([*argv, "--threads", "1", "--jobs", "1", "--out", str(tmp_path / "here"), "--matmul", "packed"]) == 0
    runs = [load_results(tmp_path / where / "results.json")[1] for where in ("here", "there")]
    assert len(runs[0]) == 2
    assert [(r.run_id, r.weights_sha256) for r in runs[0]] == [(r.run_id, r.weights_sha256) for r in runs[1]]


def test_an_address_without_a_scheduler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler_module, "CONNECT_SECONDS", 1)
    with pytest.raises(ConfigError, match="no scheduler answers there"):
        Cluster(f"tcp://127.0.0.1:{free_port()}", NOISE, tmp_path, 1)
    with pytest.raises(ConfigError, match="as in tcp://host:8786"):
        Cluster("what is this", NOISE, tmp_path, 1)


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"pip install 'fastmlp\[cluster\]'"):
        Cluster("tcp://127.0.0.1:8786", NOISE, tmp_path, 1)
