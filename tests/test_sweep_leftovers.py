"""What a killed sweep leaves is removed by the next command there and by --clean, and never from a live one."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from command import embedded_made_once, fails, run  # noqa: F401 - a fixture is found by its name
from fastmlp import reproduce
from fastmlp.errors import OutputError
from fastmlp.files import Part
from fastmlp.report import __main__ as report
from fastmlp.runs.results import load_results
from fastmlp.sweep import leftovers
from fastmlp.sweep.folder import opened
from fastmlp.sweep.job import Job, holding
from fastmlp.sweep.job import run as run_job
from fastmlp.sweep.leftovers import TEMPORARY, remove_leftovers, remove_temporary
from fastmlp.sweep.lock import held
from samples import config, dataset

pytestmark = pytest.mark.usefixtures("embedded_made_once")
SMALL = ["--layers", "3072,4,20", "--normalize", "image"]
BYTES = 5_000_000


def kill_there(out: Path) -> list[Path]:
    """Leave what a sweep that is killed in the midst of its work leaves."""
    work = out / ".work"
    (work / "data").mkdir(parents=True, exist_ok=True)
    files = [work / "data" / "train_images.npy", work / "board", work / "compiling", out / f".{'0' * 32}.part"]
    for file in files:
        file.write_bytes(b"x" * (BYTES // len(files)))
    (work / "owner.json").write_text('{"pid": 1, "host": "h", "since": "then"}')
    return files


@pytest.fixture
def sweep(tmp_path: Path, capsys) -> tuple[Path, list[Path]]:
    out = tmp_path / "out"
    assert run(*SMALL, "--out", str(out)) == 0
    left = kill_there(out)
    capsys.readouterr()
    return out, left


def test_clean_removes_them_and_says_how_much(sweep, capsys) -> None:
    out, left = sweep
    live = Part(out)  # of a page that is being written beside the sweep
    kept = {path for path in out.rglob("*") if path.is_file()} - set(left) - {out / ".work" / "owner.json"}
    assert run("--out", str(out), "--clean") == 0
    assert "4 files, 5.0 MB" in capsys.readouterr().err
    assert {path for path in out.rglob("*") if path.is_file()} == kept
    assert run("--out", str(out), "--clean") == 0
    assert "Nothing to remove" in capsys.readouterr().err
    live.close()


def test_clean_refuses_what_lives_and_what_is_no_sweep(sweep, tmp_path, capsys) -> None:
    out, left = sweep
    with held(out):
        assert f"is in use by the sweep of process {os.getpid()}" in fails(capsys, "--out", str(out), "--clean")
    assert all(path.exists() for path in left)
    assert "holds no sweep" in fails(capsys, "--out", str(tmp_path / "none"), "--clean")
    assert not (tmp_path / "none").exists()
    assert "--clean is about the runs in the folder of --out" in fails(capsys, "--clean")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("command", ["train", "refused", "report", "reproduce"])
def test_the_next_command_there_removes_them(command, sweep, capsys) -> None:
    out, _ = sweep
    [result] = load_results(out / "results.json")[1]
    if command == "train":
        assert run(*SMALL, "--out", str(out)) == 0
    elif command == "refused":
        fails(capsys, *SMALL, "--lr", "0.5", "--out", str(out))
    elif command == "report":
        assert report.main([str(out)]) == 0
    else:
        assert reproduce.main([str(out), result.run_id]) == 0
    assert not (out / ".work").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_page_beside_a_live_sweep_leaves_its_data_alone(sweep) -> None:
    out, left = sweep
    with held(out):
        assert report.main([str(out)]) == 0
    assert all(path.exists() for path in left)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_sweep_that_is_stopped_leaves_nothing_itself(error, tmp_path, monkeypatch) -> None:
    def stop(*_, **__):
        assert (tmp_path / ".work" / "data").exists()
        raise error

    monkeypatch.setattr("fastmlp.sweep.conduct.Sweep", stop)
    if error is KeyboardInterrupt:
        assert run(*SMALL, "--out", str(tmp_path)) == 130
    else:
        with pytest.raises(error):
            run(*SMALL, "--out", str(tmp_path))
    assert not (tmp_path / ".work" / "data").exists()


def test_sweeps_without_a_folder_leave_none_in_the_temporary_one_for_long(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(leftovers, "gettempdir", lambda: str(tmp_path))
    kill_there(tmp_path / f"{TEMPORARY}dead")
    (tmp_path / f"{TEMPORARY}other").mkdir()  # nothing says that a sweep of ours was in it
    (tmp_path / f"{TEMPORARY}old").mkdir()  # whose process died before it could say anything
    os.utime(tmp_path / f"{TEMPORARY}old", (0, 0))
    with held(tmp_path / f"{TEMPORARY}live"):
        os.utime(tmp_path / f"{TEMPORARY}live", (0, 0))
        assert remove_temporary().size == BYTES
        assert {path.name for path in tmp_path.iterdir()} == {f"{TEMPORARY}other", f"{TEMPORARY}live"}


def test_a_worker_without_the_sweeps_folder_leaves_nothing_and_removes_what_a_dead_one_left(
    tmp_path, monkeypatch
) -> None:
    place = tmp_path / "temporary"
    kill_there(place / f"{TEMPORARY}dead")
    monkeypatch.setattr("tempfile.tempdir", str(place))
    data = dataset()
    made = Job(config(dataset="embedded", layers=(3072, 3, 20), epochs=1), data.fingerprint, tmp_path / "elsewhere")
    with holding(data):
        result, model = run_job(replace(made, models=tmp_path / "elsewhere"))
    assert result.status == "done"
    assert model
    assert list(place.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="links may be refused")
def test_no_link_leads_what_is_removed_elsewhere(tmp_path, monkeypatch) -> None:
    victim, out, theirs = tmp_path / "victim", tmp_path / "out", tmp_path / f"{TEMPORARY}x"
    kept = [victim / "precious", victim / f".{'0' * 32}.part"]
    for folder in (victim, out / ".work", theirs / ".work"):
        folder.mkdir(parents=True)
    for path in kept:
        path.touch()
    for place in (out / ".work" / "data", out / ".work" / "checkpoints", out / "models", out / "figures"):
        place.symlink_to(victim)
    (theirs / ".work" / "owner.json").touch()
    (theirs / ".work" / "data").symlink_to(victim)
    with pytest.raises(OutputError, match=r"data is a symbolic link, and nothing is written"), opened(out):
        pass
    remove_leftovers(out)
    monkeypatch.setattr(leftovers, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    remove_temporary()
    assert theirs.exists()
    monkeypatch.undo()
    shutil.rmtree(out / ".work")
    (out / ".work").symlink_to(victim)
    with pytest.raises(OutputError, match=r"\.work is a symbolic link"), opened(out):
        pass
    assert sorted(victim.iterdir()) == sorted(kept)


@pytest.mark.skipif(os.name != "posix", reason="links may be refused")
@pytest.mark.parametrize("name", ["checkpoints", "data", "models"])
def test_no_sweep_writes_through_a_link_to_a_folder(tmp_path, name) -> None:
    victim, out = tmp_path / "victim", tmp_path / "out"
    place = out / name if name == "models" else out / ".work" / name
    victim.mkdir()
    place.parent.mkdir(parents=True)
    place.symlink_to(victim)
    with pytest.raises(OutputError, match=rf"{name} is a symbolic link, and nothing is written"), opened(out):
        pass
    assert list(victim.iterdir()) == []
