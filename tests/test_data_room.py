"""Memory: what is free by the system's files, what a table takes, and what would not fit."""

from pathlib import Path

import numpy as np
import pytest

from fastmlp.data import room
from fastmlp.data.own import Own, load_understood
from fastmlp.data.room import amount, check_room, free_memory
from fastmlp.errors import DataError

pl = pytest.importorskip("polars")
ONE, TWO = "4:memory:/some/group\n1:cpu:/\n", "0::/some/group\n"
OLD = "memory/some/group/memory"
GB = 10**9


def system(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "free"),
    [
        (TWO, {}, 4096 * 1024),
        (TWO, {"some/group/memory.max": "max", "some/group/memory.current": "7"}, 4096 * 1024),
        (TWO, {"some/group/memory.max": "3000", "some/group/memory.current": "1000"}, 2000 + 500 + 40),
        (TWO, {"some/group/memory.max": "1000", "some/group/memory.current": "3000"}, 0),
        (TWO, {"some/memory.max": "3000", "some/memory.current": "2990"}, 10 + 540),
        (TWO, {"memory.max": "1000", "memory.current": "900"}, 100 + 540),  # a container's own is the top one
        (TWO, {"memory.max": f"{GB}", "memory.current": "900"}, 4096 * 1024),
        (TWO, {"memory.max": "what", "memory.current": "900"}, 4096 * 1024),
        (
            ONE,
            {"memory/some/group/memory.limit_in_bytes": "3000", "memory/some/group/memory.usage_in_bytes": "10"},
            3530,
        ),
        (ONE, {"some/group/memory.max": "3000", "some/group/memory.current": "10"}, 4096 * 1024),
    ],
)
def test_free_is_what_the_system_and_all_groups_leave(
    groups: str, files: dict[str, str], free: int, tmp_path: Path
) -> None:
    there = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    stats = {str(Path(name).with_name("memory.stat")): "inactive_file 500\nactive_file 40\nanon 9\n" for name in there}
    facts = {"proc/meminfo": "MemTotal: 9999 kB\nMemAvailable:    4096 kB\n", "proc/self/cgroup": groups}
    assert free_memory(system(tmp_path, facts | there | stats)) == free


def test_where_the_system_says_nothing_nothing_is_known(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None


def test_what_does_not_fit_is_refused_and_what_is_large_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 3 * GB)
    assert check_room(GB // 2, "t.csv", "Give less.") == ""
    said = check_room(2 * GB, "t.csv", "Give less.")
    assert said == "Memory: t.csv will take about 2.0 GB, and 3.0 GB are free."
    with pytest.raises(DataError, match=r"^t.csv would take about 4.0 GB of memory, and 3.0 GB are free. Give less.$"):
        check_room(4 * GB, "t.csv", "Give less.")
    monkeypatch.setattr(room, "free_memory", lambda: None)
    assert check_room(4 * GB, "t.csv", "Give less.") == "Memory: t.csv will take about 4.0 GB."
    assert list(map(amount, (2_345, 12_340_000, 1_234 * GB))) == ["2 kB", "12 MB", "1,234.0 GB"]


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "t.arrow", "t.csv.gz"])
def test_a_table_that_would_not_fit_is_refused_before_it_is_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"a": rng.standard_normal(5000), "b": rng.integers(0, 9, 5000), "y": rng.integers(0, 2, 5000)})
    write(table, tmp_path / name)
    own, told = Own(data=str(tmp_path / name), target=("y",), columns="b=number"), []
    monkeypatch.setattr(room, "_WORTH_SAYING", 1e5)
    load_understood(own, told.append)
    [said] = told
    assert said.startswith(f"Memory: {name}, 5,000 rows of 3 columns, will take about 180 kB")
    monkeypatch.setattr(room, "free_memory", lambda: 5000 * 3 * 12 - 1)
    with pytest.raises(DataError, match=r"5,000 rows of 3 columns, would take about 180 kB .* Leave columns out by"):
        load_understood(own)
    dropped = Own(data=own.data, target=("y",), columns="b=drop")  # which is not read
    assert load_understood(dropped).dataset.features == ("a",)


def test_features_that_would_not_fit_are_refused_with_the_columns_of_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, rows = np.random.default_rng(0), 3000
    codes = [f"c{i}" for i in rng.integers(0, 1000, rows)]
    pl.DataFrame({"a": rng.random(rows), "code": codes, "y": rng.integers(0, 2, rows)}).write_parquet(tmp_path / "t.pq")
    monkeypatch.setattr(room, "free_memory", lambda: 4 * rows * 65 - 1)
    with pytest.raises(DataError, match=r"3,000 rows of 65 features, .* such as 'code' with 64, 'a' with 1, or give"):
        load_understood(Own(data=str(tmp_path / "t.pq"), target=("y",)))


def test_arrays_whose_parts_would_not_fit_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "t.npz", x=rng.standard_normal((500, 3)), y=rng.integers(0, 2, 500))
    monkeypatch.setattr(room, "free_memory", lambda: 500 * 3 * 8 - 1)
    with pytest.raises(DataError, match=r"^The 500 rows of t, copied into parts, would take .* or float32 in place of"):
        load_understood(Own(data=str(tmp_path / "t.npz")))


def write(table, path: Path) -> None:
    if path.suffix == ".gz":
        import gzip

        path.write_bytes(gzip.compress(table.write_csv().encode()))
    elif path.suffix == ".csv":
        table.write_csv(path)
    elif path.suffix == ".arrow":
        table.write_ipc(path)
    else:
        table.write_parquet(path)
