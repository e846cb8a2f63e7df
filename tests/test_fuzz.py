"""Files that lie, the long campaign's in short: whatever is read is a valid object, or refused by name."""

import sys
import warnings
from pathlib import Path
from random import Random

import pytest

from fastmlp.errors import DataError

if sys.platform == "win32":
    pytest.skip("bench.fuzz measures memory as Unix does", allow_module_level=True)

from bench import fuzz
from bench.fuzz_mutations import Reader
from bench.fuzz_readers import readers

MUTATIONS = 800


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("samples"))


NAMES = (
    "binary archive", "binary train.bin", "binary coarse_label_names.txt", "python archive", "python train",
    "python meta", "png", "jpeg", "gif", "bmp", "webp", "tiff", ".npy", ".npz model", ".safetensors model",
    "checkpoint", "runs.jsonl", "results.json", "sweep.toml", "owner.json", "matmul.json", ".report.json",
    "rivals.json", "mapped facts.json", "mapped train_images.npy", "mapped train_labels.npz",
    "own .npz", "IDX", "IDX.gz", "svmlight", "list of pictures", "own .png", "own .jpg", "own .jpeg", "own .webp",
    "own .bmp",
)  # fmt: skip


def test_every_reader_is_tried(found: dict[str, Reader]) -> None:
    assert list(found) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_by_name(name: str, found: dict[str, Reader], tmp_path: Path) -> None:
    counts = fuzz.damage(found[name], tmp_path, range(MUTATIONS))
    assert counts.wrong == []
    assert counts.valid > 0, "none got through what comes before the reader"
    assert counts.refused.total() > MUTATIONS // 10


def test_what_is_wrong_is_counted_and_kept(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        content = path.read_bytes()
        if content == b"1":
            raise KeyError("a")
        if content == b"2":
            warnings.warn("odd", stacklevel=1)
        if content == b"3":
            raise DataError("so it should")

    contents, kept = iter([b"1", b"2", b"3", b"4"]), dict[int, bytes]()
    reader = Reader("odd file", "a", [lambda _: next(contents)], read)
    counts = fuzz.damage(reader, tmp_path, range(4), keep=kept.__setitem__)
    assert kept == {0: b"1", 1: b"2"}
    assert [sentence.rpartition(" (in ")[0] for sentence in counts.wrong] == [
        "odd file, number 0: KeyError: 'a'",
        "odd file, number 1: UserWarning: odd",
    ]
    assert fuzz.table({"odd file": counts}).endswith("| 1 DataError | 0.00 | 0 | 2 |")


def test_the_same_seed_makes_the_same_files(found: dict[str, Reader]) -> None:
    for reader in found.values():
        first, again = (reader.make(Random("7")) for _ in range(2))  # noqa: S311
        assert first == again


@pytest.mark.process
def test_the_long_campaign_prints_its_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--mutations", "60", "--readers", "owner.json", "gif", "--jobs", "1", "--out", str(tmp_path / "found")]
    assert fuzz.main(words) == 0
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head.startswith("| file | mutations | read | refused |")
    assert first.startswith("| owner.json | 30 |")
    assert second.startswith("| gif | 30 |")
    assert not (tmp_path / "found").exists()
