"""The script that hits a sweep on a cluster, in small: the scheduler and the command killed, and nothing lost."""

import random
import socket
import sys
from pathlib import Path

import pytest

from bench import cluster_chaos
from bench.cluster_peers import Network, Peers

RUNS = (
    "--dataset", "embedded", "--layers", "3072,4,20", "--activation", "relu", "--epochs", "40", "--patience", "40",
    "--normalize", "image", "--seeds", "2", "--matmul", "packed", "--threads", "1", "--jobs", "1",
)  # fmt: skip


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="stops and kills processes")
def test_a_sweep_that_is_hit_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster_chaos, "WORKERS", 1)
    monkeypatch.setattr(cluster_chaos, "LONGEST_SECONDS", 2.0)
    monkeypatch.setattr(cluster_chaos, "HANG_SECONDS", 300.0)  # a busy machine compiles for half a minute
    kinds = ["command killed", "scheduler killed"]
    assert cluster_chaos.run(tmp_path / "out", kinds, random.Random(1), RUNS) == 0  # noqa: S311
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(kind.strip("| "), tried, survived, lost) for kind, tried, survived, _, lost, _ in rows] == [
        (kind, "1", "1", "0") for kind in kinds
    ]


def test_a_worker_that_was_killed_before_it_was_used_is_not_waited_for(tmp_path: Path) -> None:
    class Worker:
        killed = False

        def kill(self) -> None:
            self.killed = True

    worker = Worker()
    peers = Peers(tmp_path, workers={"tcp://127.0.0.1:1": worker})  # type: ignore[arg-type]
    sweep = cluster_chaos.Sweep(peers, Network(), random.Random(1), RUNS, tmp_path)  # noqa: S311
    output = tmp_path / "output.txt"
    output.write_text("Runs: 2.\nrun 1/2: of before\n")
    told, _ = cluster_chaos.worker_killed(sweep)
    assert worker.killed
    assert told is not None
    assert not told()
    output.write_text(output.read_text() + "run 2/2: on another one\n")
    assert told()


def test_a_network_leads_on_until_it_is_cut_or_frozen_and_after_it_is_mended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, Network() as network:
        network.to = server.getsockname()[1]

        def call() -> tuple[socket.socket, socket.socket]:
            near = socket.create_connection(("127.0.0.1", network.port), 10)
            far, _ = server.accept()
            return near, far

        near, far = call()
        with near, far:
            near.sendall(b"1")
            assert far.recv(1) == b"1"
            network.freeze()
            near.sendall(b"2")
            far.settimeout(0.1)
            with pytest.raises(TimeoutError):
                far.recv(1)
            network.cut()
            assert near.recv(1) == b""
        network.mend()
        near, far = call()
        with near, far:
            far.sendall(b"3")
            assert near.recv(1) == b"3"


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert cluster_chaos.main(["--out", str(tmp_path)]) == 2
    assert "choose an empty folder" in capsys.readouterr().err
