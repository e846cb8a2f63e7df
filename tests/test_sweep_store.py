import errno
import json
import math
import os
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastmlp.errors import DataError, OutputError
from fastmlp.runs.results import RunResult
from fastmlp.sweep.store import Store, newest
from samples import result

RUNS = [result(seed=0, epochs=1), result(0.25, seed=1, epochs=2), result(seed=2, epochs=1, experiment="größer")]


def lines_of(path: Path, runs: list[RunResult]) -> list[bytes]:
    """Return the lines that `append` writes for these runs."""
    path.unlink(missing_ok=True)
    for run in runs:
        Store(path).append(run)
    return path.read_bytes().splitlines(keepends=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.jsonl"


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[bytes]]]:
    """Give a path that examples may use one after the other, and the lines of RUNS; thousands of syncs are left out."""
    path = tmp_path_factory.mktemp("store") / "runs.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield path, lines_of(path, RUNS)


def aside(path: Path) -> bytes:
    """Return what was set aside, in the order of the files' numbers."""
    return b"".join(p.read_bytes() for p in sorted(path.parent.glob(f"{path.name}.damaged-*")))


def start(path: Path, data: bytes) -> None:
    for damaged in path.parent.glob(f"{path.name}.damaged-*"):
        damaged.unlink()
    path.write_bytes(data)


def test_runs_load_back_in_order(path: Path) -> None:
    for run in RUNS:
        Store(path).append(run)
    before = path.stat()
    assert Store(path).load() == (RUNS, [])
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns), "it was not rewritten"


def test_a_file_that_is_not_there_has_no_runs(path: Path) -> None:
    assert Store(path).load() == ([], [])
    assert not path.exists()


def test_a_line_is_json_with_the_length_and_crc_of_the_runs_bytes(path: Path) -> None:
    [line] = lines_of(path, [result(math.nan, status="failed")])
    document = json.loads(line)
    text = line[line.index(b'"run": ') + 7 : -2]
    assert list(document) == ["length", "crc32", "run"]
    assert document["length"] == len(text)
    assert document["crc32"] == f"{zlib.crc32(text):08x}"
    assert json.loads(text) == document["run"]
    assert document["run"]["test_accuracy"] is None
    assert b" " not in text
    assert line.endswith(b"}}\n")


@given(cut=st.integers(0, 5000), more=st.integers(0, 2))
def test_a_file_that_is_cut_off_keeps_its_whole_lines(file: tuple[Path, list[bytes]], cut: int, more: int) -> None:
    path, lines = file
    data = b"".join(lines)
    cut %= len(data)
    start(path, data[:cut])
    appended = RUNS[:more]  # after the torn tail, before anybody looked
    for run in appended:
        Store(path).append(run)
    whole = next(n for n in range(len(lines) + 1) if sum(map(len, lines[: n + 1])) > cut)
    tail = data[sum(map(len, lines[:whole])) : cut]
    runs, sentences = Store(path).load()
    assert runs == RUNS[:whole] + appended
    assert aside(path) == tail
    assert len(sentences) == bool(tail)
    Store(path).append(RUNS[-1])
    assert Store(path).load() == ([*runs, RUNS[-1]], [])


def test_a_cut_at_any_byte_keeps_the_whole_lines(file: tuple[Path, list[bytes]]) -> None:
    path, lines = file
    data = b"".join(lines[:2])
    for cut in range(len(lines[0]) + 60):  # into the second line's run
        start(path, data[:cut])
        runs, _ = Store(path).load()
        assert runs == RUNS[: cut >= len(lines[0])]
        assert path.read_bytes() + aside(path) == data[:cut]


@given(at=st.integers(0, 5000), flip=st.integers(1, 255))
@example(at=0, flip=1)
@example(at=-1, flip=1)
def test_a_byte_that_changed_costs_its_own_line_alone(file: tuple[Path, list[bytes]], at: int, flip: int) -> None:
    path, lines = file
    data = bytearray(b"".join(lines))
    at %= len(data)
    data[at] ^= flip
    start(path, bytes(data))
    hit = next(n for n in range(len(lines)) if sum(map(len, lines[: n + 1])) > at)
    first = sum(map(len, lines[:hit]))
    runs, [sentence] = Store(path).load()
    assert runs == RUNS[:hit] + RUNS[hit + 1 :]
    assert aside(path) == data[first : first + len(lines[hit])]
    assert f"({len(lines[hit])} bytes)" in sentence
    Store(path).append(RUNS[hit])
    assert Store(path).load() == ([*runs, RUNS[hit]], [])


def test_damage_is_counted_and_goes_to_the_next_free_file(path: Path) -> None:
    first, second, third = lines_of(path, RUNS)
    start(path, first + b"\0" * 7 + second + b"{}\nnonsense\n" + third[:40])
    runs, sentences = Store(path).load()
    assert runs == RUNS[:2]
    [sentence] = sentences
    assert sentence.startswith(f"{path} had 4 damaged lines (59 bytes)")
    assert sentence.endswith("now in runs.jsonl.damaged-1.")
    assert path.read_bytes() == first + second
    path.write_bytes(first + third[:-1])
    assert f"had 1 damaged line ({len(third) - 1} bytes)" in Store(path).load()[1][0]
    assert (path.parent / "runs.jsonl.damaged-2").read_bytes() == third[:-1]
    assert (path.parent / "runs.jsonl.damaged-1").read_bytes() == b"\0" * 7 + b"{}\nnonsense\n" + third[:40]


def sealed(text: bytes) -> bytes:
    return b'{"length": %d, "crc32": "%08x", "run": %b}\n' % (len(text), zlib.crc32(text), text)


@pytest.mark.parametrize("text", [b"{", b"\xff", b"1 2", b""])
def test_a_whole_line_that_is_not_json_is_set_aside(path: Path, text: bytes) -> None:
    path.write_bytes(sealed(text))
    assert Store(path).load()[0] == []
    assert aside(path) == sealed(text)


def test_a_line_of_another_length_is_set_aside(path: Path) -> None:
    [line] = lines_of(path, RUNS[:1])
    length = b"%d" % json.loads(line)["length"]
    wrong = line.replace(length, b"%d" % (int(length) + 1), 1)
    start(path, wrong)
    assert Store(path).load()[0] == []
    assert aside(path) == wrong


def of_another_version() -> list[dict]:
    values = result().to_json()
    return [values | {"gpu": 1}, values | {"config": values["config"] | {"gpu": 1}}, {}, values | {"history": None}]


@pytest.mark.parametrize("values", of_another_version())
def test_a_whole_line_of_another_version_is_refused_and_nothing_moved(path: Path, values: dict) -> None:
    data = lines_of(path, RUNS)[0] + b"torn\n" + sealed(json.dumps(values, separators=(",", ":")).encode())
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"runs\.jsonl was written by another version .*choose another --out"):
        Store(path).load()
    assert path.read_bytes() == data
    assert aside(path) == b""


def test_a_file_that_cannot_be_read_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(DataError, match=r"runs\.jsonl could not be read .*another --out"):
        Store(path).load()
    with pytest.raises(OutputError, match=r"could not be added to .*runs\.jsonl"):
        Store(path).append(RUNS[0])


def no_space(*_: object) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("fitting", [0, 1, 100, None])
def test_a_full_disk_adds_nothing(path: Path, monkeypatch: pytest.MonkeyPatch, fitting: int | None) -> None:
    store, write = Store(path), os.write
    store.append(RUNS[0])
    with monkeypatch.context() as patch:
        patch.setattr("os.write", no_space if fitting is None else lambda fd, data: write(fd, data[:fitting]))
        with pytest.raises(OutputError, match=r"could not be added to .*Free some space"):
            store.append(RUNS[1])
    store.append(RUNS[2])
    assert store.load() == ([RUNS[0], RUNS[2]], [])


def test_a_line_that_did_not_reach_the_disk_is_cut_off_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", no_space)
        with pytest.raises(OutputError, match="could not be added"):
            Store(path).append(RUNS[0])
    assert path.read_bytes() == b""


def test_half_a_line_that_cannot_be_cut_off_again_costs_nothing_else(path: Path, monkeypatch) -> None:
    store, write = Store(path), os.write
    store.append(RUNS[0])
    with monkeypatch.context() as patch:
        patch.setattr("os.write", lambda fd, data: write(fd, data[:50]))
        patch.setattr("os.ftruncate", no_space)
        with pytest.raises(OutputError, match="only 50 of"):
            store.append(RUNS[1])
    store.append(RUNS[2])
    assert store.load()[0] == [RUNS[0], RUNS[2]]
    assert len(aside(path)) == 50


def test_a_line_is_written_at_once_and_synced_with_a_new_files_folder(path: Path, monkeypatch) -> None:
    calls, write, fsync = [], os.write, os.fsync

    def seen_write(descriptor: int, data: bytes) -> int:
        calls.append("write")
        return write(descriptor, data)

    def seen_fsync(descriptor: int) -> None:
        fsync(descriptor)
        calls.append("folder" if os.path.samestat(os.fstat(descriptor), path.parent.stat()) else "file")

    monkeypatch.setattr("os.write", seen_write)
    monkeypatch.setattr("os.fsync", seen_fsync)
    Store(path).append(RUNS[0])
    Store(path).append(RUNS[1])
    assert calls == ["write", "file", "folder", "write", "file"]


def test_damage_that_cannot_be_set_aside_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(b"torn")
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", no_space)
        with pytest.raises(OutputError, match=r"could not be set aside: .*damaged-1"):
            Store(path).load()
    assert path.read_bytes() == b"torn"
    assert [p.name for p in path.parent.iterdir()] == ["runs.jsonl"]


def test_the_last_line_of_a_run_counts_and_ids_keep_their_order() -> None:
    a, b = result(status="interrupted", seed=1), result(seed=2)
    again = result(0.3, seed=1)
    assert list(newest([a, b, again]).items()) == [(a.run_id, again), (b.run_id, b)]
    assert newest([]) == {}


@pytest.mark.skipif(os.name != "posix", reason="links may be refused")
def test_nothing_is_added_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match=r"could not be added to .*runs.jsonl .*a symbolic link"):
        Store(tmp_path / "runs.jsonl").append(result())
    assert not (tmp_path / "victim").exists()


def test_damage_takes_its_own_size_in_memory_however_many_lines_it_has(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_bytes(b"a\n" * 100_000)
    tracemalloc.start()
    Store(tmp_path / "runs.jsonl").load(mend=False)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 2_000_000
