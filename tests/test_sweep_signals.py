"""What ends a sweep in the middle: a closing terminal, Ctrl-C twice, killed workers. It goes on to the same bits."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.chaos import workers_of
from fastmlp.nn.history import State
from fastmlp.runs import checkpoint
from fastmlp.sweep import run_sweep
from fastmlp.sweep.board import EPOCHS, Board
from fastmlp.sweep.job import Job
from fastmlp.sweep.loop import Quiet
from fastmlp.sweep.store import Store
from test_sweep_loop import CONFIGS, NOISE, ROOT, Inline, hashes

# Long enough that a look, four times a second, finds one of them at work.
LONG = [replace(CONFIGS[0], layers=(3072, 64, 20), batch_size=16, epochs=600, patience=600)]
STEPS = {"optimizer": "adam", "lr": None, "momentum": None, "schedule": "step", "dropout": 0.25, "clip_norm": 1.0}
LONG += [replace(LONG[0], **STEPS)]
INTERRUPTED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]

if __name__ == "__main__":
    from fastmlp.sweep import run_sweep
    from fastmlp.sweep.loop import Quiet
    from test_sweep_loop import NOISE
    from test_sweep_signals import LONG

    class HangUp(Quiet):
        sent = False

        def look(self, board, running):
            if not self.sent and running and board.slot(running[0].slot)[0] >= 2:
                self.sent = True
                for _ in range(2):  # to all, and more than once, as a terminal that closes
                    os.killpg(0, signal.SIGHUP)

    before = signal.getsignal(signal.SIGINT)
    try:
        run_sweep(LONG, NOISE, jobs=2, out=Path(sys.argv[1]), watcher=HangUp())
    except KeyboardInterrupt:
        print("KeyboardInterrupt", signal.getsignal(signal.SIGINT) is before)
"""


@pytest.fixture(scope="module")
def long_undisturbed() -> list[str]:
    return hashes(run_sweep(LONG, NOISE, executor=Inline()))


@pytest.mark.process
def test_a_terminal_that_closes_ends_no_worker_and_resumed_runs_have_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long_undisturbed: list[str]
) -> None:
    script, out = tmp_path / "interrupted.py", tmp_path / "out"
    script.write_text(INTERRUPTED)
    paths = [str(ROOT / "tests"), str(ROOT / "kernels"), str(ROOT)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}  # for the workers
    done = subprocess.run(
        [sys.executable, str(script), str(out), *paths],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        start_new_session=True,
    )
    assert (done.stdout, done.stderr) == ("KeyboardInterrupt True\n", "")
    stopped, _ = Store(out / "runs.jsonl").load()
    interrupted = {result.run_id: result for result in stopped if result.status == "interrupted"}
    assert interrupted
    assert all((out / ".work" / "checkpoints" / f"{name}.npz").exists() for name in interrupted)
    loaded: list[int] = []

    def load(*given: Any) -> State | None:
        if state := real_load(*given):
            loaded.append(len(state.history.val_loss))
        return state

    real_load = checkpoint.load
    monkeypatch.setattr("fastmlp.runs.checkpoint.load", load)
    results = run_sweep(LONG, NOISE, executor=(rest := Inline()), out=out)
    assert hashes(results) == long_undisturbed
    done_before = {result.run_id for result in stopped if result.status == "done"}
    assert {job.run_id for job in rest.jobs} == {result.run_id for result in results} - done_before
    assert sorted(loaded) == sorted(result.epochs for result in interrupted.values())  # none was begun anew


class Never(Inline):
    """Its jobs come to no end."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ARG002
        self.jobs.append(args[0])
        return Future()


def test_the_second_ctrl_c_waits_for_nothing(tmp_path: Path) -> None:
    told: list[str] = []

    class TwoCtrlC(Quiet):
        def look(self, board: Board, running: Sequence[Job]) -> None:  # noqa: ARG002
            os.kill(os.getpid(), signal.SIGINT)

        def tell(self, sentence: str) -> None:
            told.append(sentence)

    # a shell may have the tests' background job ignore it, and this one would never end
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    executor = Never()
    try:
        with pytest.raises(KeyboardInterrupt):
            run_sweep(LONG, NOISE, executor=executor, jobs=1, out=tmp_path, watcher=TwoCtrlC())
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(executor.jobs) == 1
    assert [sentence.partition(":")[0] for sentence in told] == ["Stopping"]


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the worker in /proc")
def test_a_killed_worker_process_costs_a_restart_and_no_bits(long_undisturbed: list[str]) -> None:
    told: list[str] = []

    class Kill(Quiet):
        def look(self, board: Board, running: Sequence[Job]) -> None:
            if not told and running and board.slot(running[0].slot)[EPOCHS] >= 2:
                told.append("killed")
                os.kill(workers_of(os.getpid())[0], signal.SIGKILL)

        def tell(self, sentence: str) -> None:
            told.append(sentence)

    results = run_sweep(LONG, NOISE, jobs=1, watcher=Kill())
    assert told[0] == "killed"
    assert told[1].startswith("A worker died: was killed by SIGKILL (by ")
    assert told[1].endswith("Its run starts again from its last checkpoint.")
    assert hashes(results) == long_undisturbed
