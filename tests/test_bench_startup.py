"""The table of what starting costs: whole processes, in folders of their own."""

from pathlib import Path

import pytest

from bench import startup

pytestmark = pytest.mark.process


def test_processes_are_measured_cold_and_warm():
    cases = [startup.Case("nothing", ["-c", "pass"]), startup.Case("a second", ["-c", startup_code()])]
    table = startup.render(startup.ROOT, 1, cases).splitlines()
    rows = {cells[0]: cells[1:] for cells in (line.strip("| ").split(" | ") for line in table[4:])}
    assert list(rows) == ["nothing", "a second"]
    cold, warm = (float(cell.removesuffix(" s")) for cell in rows["a second"])
    assert cold >= 1 > 0.9 > warm  # the second process finds what the first one kept


def startup_code() -> str:
    """Spend a second of CPU time unless the folder for kernels holds a note that this was done."""
    return (
        "import os, time, pathlib; note = pathlib.Path(os.environ['NUMBA_CACHE_DIR'], 'note')\n"
        "while not note.exists() and time.process_time() < 1: pass\n"
        "note.parent.mkdir(parents=True, exist_ok=True); note.touch()"
    )


def test_a_process_that_fails_is_told(tmp_path):
    bench = startup.Bench(startup.ROOT, tmp_path)
    with pytest.raises(RuntimeError, match="ended with 3: no such thing"):
        bench.seconds(startup.Case("", ["-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"]),
                      Path(tmp_path), 0)  # fmt: skip
