"""Every call of the system that a sweep makes may fail, and the power may go: nothing is lost, and it goes on."""

import errno
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import disturbed, faults
from bench.disturbed import Count, Facts, Inline, appended, differing, facts, kept, lost, quick, train
from bench.faulty import CALLS, ERRORS, Failing
from fastmlp import reproduce
from fastmlp import train as command
from fastmlp.config import RunConfig
from fastmlp.data import load_dataset
from fastmlp.errors import OutputError, WorkerError
from fastmlp.report import __main__ as report
from fastmlp.runs import checkpoint
from fastmlp.runs.results import load_results
from fastmlp.runs.run import run_one
from fastmlp.sweep import hold
from fastmlp.sweep.board import Board
from fastmlp.sweep.derived import Derived
from fastmlp.sweep.job import Job
from fastmlp.sweep.job import run as run_job
from fastmlp.sweep.loop import Quiet, Sweep

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds files behind descriptors in /proc")
PART = 20  # of the calls of each kind, one in so many is tried here, other ones for each kind of error


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Make the command small."""
    with quick():
        yield


@pytest.fixture(scope="module")
def right(small: None, tmp_path_factory: pytest.TempPathFactory) -> Facts:  # noqa: ARG001
    """Give what the search comes to that nobody disturbs."""
    out = tmp_path_factory.mktemp("right") / "out"
    assert train(out).status == 0
    return facts(out)


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_that_fails_is_told_and_the_same_command_goes_on(kind: str, right: Facts, tmp_path: Path) -> None:
    count, rng = Count(), random.Random(kind)  # noqa: S311
    calls = faults.count_calls(tmp_path, train)[kind]
    for n in range(rng.randrange(PART), calls, PART):
        faults.fail(tmp_path, train, (kind, n, rng.choice(ERRORS)), right, count)
    assert count.wrong == []


def test_what_a_disk_may_hold_after_a_loss_of_power_is_gone_on_from(right: Facts, tmp_path: Path) -> None:
    rng = random.Random(0)  # noqa: S311
    count = faults.lose_power(tmp_path / "power", train, right, 0, lambda: rng.randrange(25) == 0)
    assert sum(count.ends.values()) >= 3
    assert count.wrong == []


def test_the_campaign_sees_what_was_lost(right: Facts, tmp_path: Path) -> None:
    out = tmp_path / "out"
    appended.clear()
    assert train(out).status == 0
    before = kept(out)
    assert lost(before, out) == differing(facts(out), right) == []
    model = next((out / "models").iterdir())
    model.write_bytes(b"")
    lines = (out / "runs.jsonl").read_bytes().splitlines(keepends=True)
    (out / "runs.jsonl").write_bytes(b"".join(lines[1:]))
    gone = before._replace(epochs={before.results[-1].run_id: 3})
    (out / "results.json").unlink()
    assert lost(gone, out) == [f"result {before.results[0].run_id} lost", f"model {model.name} lost"]
    found = ["runs differ", "models differ", "results.json is missing"]
    assert differing(facts(out), right) == found


def failing(folder: Path, number: int = errno.ENOSPC) -> Callable[..., Any]:
    """Return an `os.open` that fails for new files in a folder of this name."""
    real = os.open

    def opens(path: Any, flags: int, *more: Any, **named: Any) -> int:
        if flags & os.O_CREAT and Path(os.fsdecode(path)).parent == folder:
            raise OSError(number, os.strerror(number))
        return real(path, flags, *more, **named)

    return opens


def test_a_run_whose_checkpoints_cannot_be_written_trains_on_with_one_warning(
    right: Facts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".work" / "checkpoints"
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(folder))
        done = train(tmp_path)
    assert done.status == 0
    assert differing(facts(tmp_path), right) == []
    warnings = [line for line in done.said.splitlines() if "could not be written" in line]
    assert len(warnings) == len(right["runs"])
    assert warnings[0].startswith(f"The checkpoint {folder}")
    assert "No space left on device). Its run goes on" in warnings[0]
    assert warnings[0].endswith("Free some space, or look at the disk.")


def tiny_config(**changes: Any) -> RunConfig:
    usual = {"dataset": "embedded", "layers": (12, 3, 3), "batch_size": 16, "epochs": 4, "matmul": "packed"}
    return RunConfig(**(usual | {"experiment": "l2", "lr": 0.1} | changes))


def test_an_older_checkpoint_stays_until_a_newer_one_is_whole(small: None, tmp_path: Path, monkeypatch) -> None:  # noqa: ARG001
    dataset, config, told = disturbed.tiny(), tiny_config(), list[OutputError]()
    whole, kept_at = run_one(config, dataset), tmp_path / "run.npz"
    assert run_one(config, dataset, kept=kept_at, until=2).status == "interrupted"
    before = kept_at.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", failing(tmp_path))
        at_a_stop = run_one(config, dataset, kept=kept_at, until=3, on_unsaved=told.append)
        with pytest.warns(RuntimeWarning, match=r"No space left.*Training goes on"):
            assert run_one(config, dataset, kept=kept_at, until=3).status == "interrupted"
    assert (at_a_stop.status, at_a_stop.epochs, bool(told)) == ("interrupted", 3, True)
    assert kept_at.read_bytes() == before
    assert run_one(config, dataset, kept=kept_at).weights_sha256 == whole.weights_sha256


def test_a_checkpoint_that_cannot_be_read_is_told_and_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.npz"
    path.write_bytes(b"a state")
    assert checkpoint.load(path, "run") is None  # damaged: the run begins anew
    with (
        Failing(tmp_path, "open", 0, "EIO").watching(),
        pytest.raises(OutputError, match=r"could not be read .*Remove it"),
    ):
        checkpoint.load(path, "run")
    monkeypatch.undo()
    assert path.read_bytes() == b"a state"


def test_results_that_cannot_be_written_meanwhile_end_no_sweep(right: Facts, tmp_path: Path, monkeypatch) -> None:
    real, failures = disturbed.derived.write_results, []

    def fail(*args: Any) -> None:
        if len(failures) < 3:
            failures.append(args)
            raise OutputError("results.json could not be written.")
        real(*args)

    monkeypatch.setattr(disturbed.derived, "write_results", fail)
    done = train(tmp_path)
    assert (done.status, len(failures)) == (0, 3)
    assert done.said.count("results.json could not be written. The sweep goes on, and tries again.") == 1
    assert differing(facts(tmp_path), right) == []


def test_results_that_cannot_be_written_at_the_end_are_told_with_status_2(small, tmp_path, monkeypatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(os, "open", failing(tmp_path, errno.EACCES))  # of --out itself: the table, and runs.jsonl too
    assert train(tmp_path).status == 2
    monkeypatch.undo()
    written = Derived.write

    def fail(*_: Any) -> None:
        raise OutputError("table.md could not be written.")

    monkeypatch.setattr(Derived, "write", fail)
    done = train(tmp_path)
    assert done.status == 2
    assert done.said.count("error: table.md could not be written.") == 1
    monkeypatch.setattr(Derived, "write", written)
    assert train(tmp_path).status == 0


def test_what_ends_a_sweep_is_told_beside_what_it_could_not_write(small, tmp_path, monkeypatch) -> None:  # noqa: ARG001
    def fail(*_: Any) -> None:
        raise OutputError("table.md could not be written.")

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Derived, "write", fail)
    monkeypatch.setattr("fastmlp.sweep.search.score", stop)
    done = train(tmp_path)
    assert done.status == 130
    assert "Stopped by Ctrl-C. To go on: " in done.said


def test_a_sweep_that_ends_by_an_error_asks_its_threads_to_stop(tmp_path: Path) -> None:
    class Full(Quiet):
        def finish(self, result: Any) -> None:  # noqa: ARG002
            raise OutputError("full")

    hold(dataset := disturbed.tiny())
    sweep = Sweep(Inline(), 1, dataset.fingerprint, tmp_path, lambda _: None, Full())
    with pytest.raises(OutputError, match="full"):
        sweep.run([tiny_config()])
    assert Board.open(tmp_path / "board").stops


def test_a_worker_that_cannot_read_the_sweeps_copy_of_the_data_fails_no_run(tmp_path: Path) -> None:
    Board.create(tmp_path / "board", 1)
    with pytest.raises(WorkerError, match=r"Its runs stay to be done\."):
        run_job(Job(tiny_config(), "f" * 16, tmp_path))


def test_a_model_that_somebody_removed_is_told_of_and_made_again(small, tmp_path, capsys, monkeypatch) -> None:  # noqa: ARG001
    assert train(tmp_path).status == 0
    [model] = (tmp_path / "models").iterdir()
    content = model.read_bytes()
    model.unlink()
    again = train(tmp_path)
    assert again.status == 0
    assert f"models lacks the models of 1 finished run: {model.stem}. To make one again: python -m fastm" in again.said
    monkeypatch.setattr("fastmlp.sweep.source.dataset_of", lambda *_: disturbed.tiny())
    assert reproduce.main([str(tmp_path), model.stem]) == 0
    assert f"Its model was missing, and is saved as {model}." in capsys.readouterr().err
    assert model.read_bytes() == content


def test_a_report_that_cannot_be_written_names_no_option(small, tmp_path, capsys) -> None:  # noqa: ARG001
    assert train(tmp_path).status == 0
    (tmp_path / "figures").touch()
    assert report.main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"error: {tmp_path / 'figures'} cannot take results (it is a file)" in said
    assert "--out" not in said


def test_a_log_that_cannot_be_written_leaves_no_folder_and_an_early_error_is_in_it(small, tmp_path, capsys) -> None:  # noqa: ARG001
    out, log = tmp_path / "out", tmp_path / "log"
    more = ["--out", str(out), "--log"]
    assert command.main([*disturbed.SEARCH, *more, str(tmp_path / "no" / "log")]) == 2
    assert not out.exists()
    assert command.main([*disturbed.SEARCH, *more, str(log), "--layers", "9,9"]) == 2
    assert "error: " in log.read_text()
    assert command.main([*disturbed.SEARCH, *more, str(out / "log")]) == 0
    assert "run 1/3" in (out / "log").read_text()


@pytest.mark.process
def test_a_disk_without_room_is_told_by_the_system_and_the_same_command_ends_the_sweep(tmp_path: Path) -> None:
    """No file may be longer than so many bytes: the copy of the images, or the network, does not fit."""
    code = (
        "import resource, sys; from fastmlp import train; "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2); sys.exit(train.main(sys.argv[2:]))"
    )
    words = ["--dataset", "embedded", "--layers", "3072,64,20", "--epochs", "1", "--normalize", "image", "--matmul"]
    words += ["packed", "--jobs", "1", "--threads", "1", "--out"]

    def command(limit: int, out: Path) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", code, str(limit), *words, str(out)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    full = command(500_000, tmp_path)
    assert full.returncode == 2
    assert "Traceback" not in full.stderr
    assert "File too large" in full.stderr
    assert command(1 << 30, tmp_path).returncode == 0
    [ran] = load_results(tmp_path / "results.json")[1]
    assert run_one(ran.config, load_dataset("embedded")).weights_sha256 == ran.weights_sha256
