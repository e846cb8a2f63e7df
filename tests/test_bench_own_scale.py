"""The benchmark of large tables, in small: its rows in every form, the names that it watches, and its table."""

from importlib import import_module

import numpy as np
import pytest

from bench import own_scale
from bench.own_scale import COLUMNS, FILES, PHASES, PREPARED, SOURCES, Watched, make, table
from bench.readme import README, block_of

pl = pytest.importorskip("polars")


def test_all_forms_hold_the_same_rows(tmp_path):
    make(tmp_path, 1005)
    x, y = (np.load(tmp_path / f"arrays/{name}.npy") for name in "xy")
    assert (x.shape, x.dtype, set(y.tolist())) == ((1005, COLUMNS), np.float32, {0, 1})
    one, several, _ = SOURCES.values()
    assert len(list(tmp_path.glob(several))) == FILES
    for path in (one, several):
        read = pl.read_parquet(tmp_path / path)
        np.testing.assert_array_equal(read.drop("y").to_numpy(), x)
        np.testing.assert_array_equal(read["y"].to_numpy(), y)


def test_what_is_watched_is_there():
    for module, path, _ in PHASES:
        found = import_module(module)
        for name in path.split("."):
            found = getattr(found, name)
        assert callable(found)


def test_the_table_has_each_phase_of_each_source():
    names = list(dict.fromkeys(name for *_, name in PHASES))
    run = Watched(dict.fromkeys(names, (2.0, 1.0)), dict.fromkeys(names, 3 * 10**9), (40.0, 20.0), 4 * 10**9, 10**9)
    text = table(10_000_000, dict.fromkeys(SOURCES, run), {"Parquet": [0.002, 0.003], "arrays": [0.002, 0.002]})
    assert "| learn the columns | 2.0 s (1.0), 2.0 GB |" in text
    early = len(dict.fromkeys(name for *_, name in PHASES[:PREPARED]))
    assert f"| of these, from the files to features | {2 * early:.1f} s ({early:.1f}) |" in text
    assert "| 3.0 GB, 1.50 x |" in text
    assert "a step of the usual network on one thread (1.250 of that on arrays) | 2.50 ms | - | 2.00 ms |" in text
    assert all(f"| {name} |" in text for name in names)


def test_the_page_has_its_block():
    assert block_of(README.read_text(encoding="utf-8"), own_scale.BLOCK).startswith("10,000,000 rows of 50")


@pytest.mark.process
def test_a_small_run_is_watched(tmp_path):
    make(tmp_path, 2000)
    run = own_scale.watched_apart(tmp_path / SOURCES["one Parquet file"], tmp_path)
    assert all(run.memory[name] >= run.before > 0 for name in ("read the files", "write the features", "test"))
    assert run.seconds["save the model"][0] > 0
    assert run.peak >= max(run.memory.values())
