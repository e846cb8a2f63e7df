"""A scheduler that is killed, hangs, or cannot be reached: a named error in bounded time, and nothing lost."""

import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bench.cluster_peers import Network, Peers, wait_until
from fastmlp.errors import ClusterError, ConfigError
from fastmlp.sweep import run_sweep
from fastmlp.sweep import scheduler as scheduler_module
from fastmlp.sweep.board import EPOCHS, Board
from fastmlp.sweep.cluster import Cluster
from fastmlp.sweep.job import CHECKPOINTS, Job, run
from fastmlp.sweep.lock import WORK
from fastmlp.sweep.loop import Quiet
from samples import config, dataset

pytestmark = pytest.mark.process

SECONDS = 60  # to wait for what takes a few, before a test fails
NOISE = dataset()
SMALL = {"dataset": "embedded", "layers": (3072, 4, 20), "batch_size": 64}


def test_a_scheduler_that_is_gone_or_silent_is_an_error_of_all_that_waits(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Network() as network:
        network.to, address = peers.port, f"tcp://127.0.0.1:{network.port}"

        def signals(number: int) -> Callable[[], object]:
            return lambda: peers.scheduler.send_signal(number)

        hits: list[tuple[Callable[[], object], Callable[[], object]]] = [
            (network.freeze, network.mend),
            (network.cut, network.mend),
            (signals(signal.SIGSTOP), signals(signal.SIGCONT)),
        ]
        for hit, mend in hits:
            with monkeypatch.context() as patch, Cluster(address, NOISE, tmp_path, 1) as executor:
                futures = [executor.submit(time.sleep, 1) for _ in range(3)]  # one under way, two wait
                wait_until(futures[0].running, "a run under way")
                for name, seconds in {"SILENT_SECONDS": 1.0, "CLOSE_SECONDS": 0.5, "CONNECT_SECONDS": 0.5}.items():
                    patch.setattr(scheduler_module, name, seconds)
                hit()
                errors = [future.exception(SECONDS) for future in futures]
                errors += [executor.submit(int, "7").exception(SECONDS)]
                assert [type(error) for error in errors] == [ClusterError] * 4
                assert "the same command again, with --scheduler and the address of one that runs" in str(errors[0])
                with pytest.raises(ConfigError, match="no scheduler answers there"):
                    Cluster(address, NOISE, tmp_path, 1)
            mend()


def test_a_scheduler_that_goes_while_workers_are_set_up_is_an_error(
    peers: Peers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Cluster._ask
    with Network() as network:
        network.to = peers.port

        async def cutting(self: Cluster, *asked: object) -> object:
            network.cut()
            return await ask(self, *asked)  # type: ignore[arg-type]

        monkeypatch.setattr(Cluster, "_ask", cutting)
        with pytest.raises(ClusterError, match="is gone"):
            Cluster(f"tcp://127.0.0.1:{network.port}", NOISE, tmp_path, 1)


class KillScheduler(Quiet):
    """Kills the scheduler as soon as a run has epochs behind it."""

    def __init__(self, peers: Peers) -> None:
        self.peers = peers

    def look(self, board: Board, running: Sequence[Job]) -> None:
        if any(board.slot(job.slot)[EPOCHS] > 0 for job in running):
            self.peers.scheduler.kill()


def test_a_scheduler_killed_while_it_works_loses_no_run(peers: Peers, tmp_path: Path) -> None:
    configs = [config(**SMALL, epochs=400, patience=400, seed=seed) for seed in range(2)]
    with ThreadPoolExecutor(1) as threads:
        here = run_sweep(configs, NOISE, executor=threads, jobs=1)
    out = tmp_path / "out"
    with Cluster(peers.address, NOISE, tmp_path, 1) as executor:
        with pytest.raises(ClusterError, match="is gone"):
            run_sweep(configs, NOISE, executor=executor, jobs=2, out=out, watcher=KillScheduler(peers))
        assert isinstance(executor.submit(int, "7").exception(SECONDS), ClusterError)
    kept = (out / "runs.jsonl").read_text() if (out / "runs.jsonl").exists() else ""
    assert kept.count('"status": "done"') == kept.count("\n") < len(configs)
    peers.start(workers=1)
    with Cluster(peers.address, NOISE, tmp_path, 1) as executor:
        there = run_sweep(configs, NOISE, executor=executor, jobs=2, out=out)
    assert [(r.run_id, r.status, r.weights_sha256, r.history) for r in there] == [
        (r.run_id, "done", r.weights_sha256, r.history) for r in here
    ]


def test_a_run_of_a_dead_sweep_ends_with_its_epoch_and_is_saved(peers: Peers, tmp_path: Path) -> None:
    """It would keep the worker busy: the next sweep's runs wait for room there."""
    endless = Job(config(**SMALL, epochs=10**6, patience=10**6), NOISE.fingerprint, tmp_path / WORK)
    endless.checkpoint.parent.mkdir(parents=True)
    board = Board.create(endless.work / "board", 1)
    dead = Cluster(peers.address, NOISE, endless.work, 1)
    dead.submit(run, endless)
    wait_until(lambda: board.slot(0)[EPOCHS] > 0, "an epoch")
    assert list((endless.work / CHECKPOINTS).iterdir()) == []
    dead.kill()
    with Cluster(peers.address, NOISE, endless.work, 1) as executor:
        assert executor.submit(int, "7").result(SECONDS) == 7
    assert endless.checkpoint.exists()
