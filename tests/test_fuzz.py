"""Files that lie, the long campaign's in short: whatever is read is a valid object, or refused by name."""

import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("bench.fuzz measures memory as Unix does", allow_module_level=True)

from bench import fuzz
from bench.fuzz_mutations import Reader
from bench.fuzz_readers import readers

MUTATIONS = 600  # of each; python -m bench.fuzz goes on where these end


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reader]:
    return readers(tmp_path_factory.mktemp("samples"))


NAMES = (
    "binary archive", "binary train.bin", "binary coarse_label_names.txt", "python archive", "python train",
    "python meta", "png", "jpeg", "gif", "bmp", "webp", "tiff", ".npy", ".npz model", ".safetensors model",
    "checkpoint", "runs.jsonl", "results.json", "sweep.toml", "owner.json", "matmul.json", ".report.json",
    "rivals.json", "mapped facts.json", "mapped train_images.npy", "mapped train_labels.npz",
)  # fmt: skip


def test_every_reader_is_tried(found: dict[str, Reader]) -> None:
    assert list(found) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_by_name(name: str, found: dict[str, Reader], tmp_path: Path) -> None:
    counts = fuzz.damage(found[name], tmp_path, range(MUTATIONS))
    assert counts.wrong == []
    assert counts.valid > 0, "none got through what comes before the reader"
    assert counts.refused.total() > MUTATIONS // 10
