"""The logger to TensorBoard: event files, by its own writer and by a stand-in where it is not installed."""

import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastmlp.sweep.log_tensorboard import TensorBoard, records
from fastmlp.sweep.loggers import Loggers, make_logger
from logged import expected, part, run


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
