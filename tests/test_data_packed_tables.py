"""Tables of text that are packed: read as the text is, and refused where they are damaged or too large."""

import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from fastmlp.data import table_files
from fastmlp.data.frame import read_blocks, read_frame
from fastmlp.data.own import Own
from fastmlp.data.sources.read import is_table
from fastmlp.errors import DataError

pytest.importorskip("polars")
TEXT = "name,age,y\n" + "".join(f"Jürgen {i},{i}.5,{i % 2}\n" for i in range(50))
PACKS = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("end", PACKS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "T.CSV"])
def test_a_packed_text_is_the_table_that_it_holds(end: str, encoding: str, name: str, tmp_path: Path) -> None:
    text = (TEXT.replace(",", "\t") if name == "t.tsv" else TEXT).encode(encoding)
    plain, packed = tmp_path / name, tmp_path / f"{name}{end}"
    plain.write_bytes(text)
    packed.write_bytes(PACKS[end](text))
    read, whole = read_frame(packed, target="y"), read_frame(plain, target="y")
    assert read.table.equals(whole.table)
    assert [one.replace(packed.name, plain.name) for one in read.notices] == list(whole.notices)
    assert is_table(packed)
    assert Own(data=str(packed)).name == plain.stem


def test_packed_and_plain_files_are_one_table_and_blocks_come_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TEXT)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    assert read_frame(tmp_path / "[ab].csv*").rows == 100
    blocks = list(read_blocks(tmp_path / "b.csv.gz", {"age": "number"}, rows=20))
    assert sum(block.rows for block in blocks) == 50


@pytest.mark.parametrize("end", PACKS)
def test_a_damaged_one_is_refused_wherever_it_is_cut(end: str, tmp_path: Path) -> None:
    path, packed = tmp_path / f"t.csv{end}", PACKS[end](TEXT.encode())
    for count in (1, 5, len(packed) // 2, len(packed) - 1):
        path.write_bytes(packed[:count])
        with pytest.raises(DataError, match=rf"t.csv{end} cannot be unpacked \(.*\). It may be cut or damaged"):
            read_frame(path)
    path.write_text(TEXT)
    with pytest.raises(DataError, match="cannot be unpacked"):
        read_frame(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_frame(path)


@pytest.mark.parametrize("end", PACKS)
def test_a_bomb_is_refused_at_the_limit(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"t.csv{end}"
    path.write_bytes(PACKS[end](b"a,y\n" + b"1,2\n" * (1 << 20)))
    assert path.stat().st_size < 50_000
    monkeypatch.setattr(table_files, "MOST_UNPACKED", 1 << 20)
    with pytest.raises(DataError, match=r"it unpacks to more than 1,048,576 bytes, .* Unpack it, and give the file"):
        read_frame(path)
    monkeypatch.undo()
    monkeypatch.setattr(table_files, "free_memory", lambda: 1 << 20)
    with pytest.raises(DataError, match=r"it unpacks to more than 524,288 bytes"):
        read_frame(path)


@pytest.mark.parametrize("name", ["t.parquet.gz", "t.gz", "t.csv.zip", "t.csv.zst"])
def test_other_packed_files_are_none(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(gzip.compress(TEXT.encode()))
    assert not is_table(tmp_path / name)
    with pytest.raises(DataError, match=r"tables end in .csv, .* also in .csv.gz and the like"):
        read_frame(tmp_path / name)
