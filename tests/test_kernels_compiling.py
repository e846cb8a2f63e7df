"""Compilation is known of while it goes on: process-wide, by thread, and in one record of the log."""

import os
import subprocess
import sys
import threading
import time

import pytest

from compilations import compilation, compile_for_a_while
from fastmlp_kernels._compiling import is_compiling, seconds_compiling, seconds_compiling_here, when_compiling


def test_seconds_grow_while_a_kernel_is_compiled_and_no_further() -> None:
    before = seconds_compiling()
    with compilation():
        assert is_compiling()
        time.sleep(0.02)
        under_way = seconds_compiling() - before
        with compilation("numba.something"):  # a function that it calls
            time.sleep(0.02)
    grown = seconds_compiling() - before
    assert 0.02 <= under_way < under_way + 0.02 <= grown < 1
    assert seconds_compiling() - before == grown
    assert not is_compiling()


@pytest.mark.parametrize("module", ["somebody.else", None])
def test_other_peoples_functions_do_not_count_save_for_those_of_ours_that_they_call(module: str | None) -> None:
    before, told = seconds_compiling(), []
    with when_compiling(lambda: told.append(1)), compilation(module):
        assert not is_compiling()
        assert (seconds_compiling(), told) == (before, [])
        compile_for_a_while(0.01)
        inside = seconds_compiling()
    assert seconds_compiling() == inside >= before + 0.01
    assert told == [1]


def test_a_thread_knows_what_it_compiled_itself() -> None:
    before, all_before = seconds_compiling_here(), seconds_compiling()
    other = threading.Thread(target=compile_for_a_while, args=(0.02,))
    other.start()
    other.join()
    assert seconds_compiling_here() == before
    assert seconds_compiling() >= all_before + 0.02
    compile_for_a_while(0.02)
    assert seconds_compiling_here() >= before + 0.02


def test_who_asks_is_told_at_each_beginning_for_as_long_as_they_ask() -> None:
    told: list[bool] = []
    with when_compiling(lambda: told.append(is_compiling())):
        compile_for_a_while(0.0)
        compile_for_a_while(0.0)
    compile_for_a_while(0.0)
    assert len(told) == 2


LIBRARY = """
import logging, sys
records = []
class Kept(logging.Handler):
    def emit(self, record):
        records.append((record.name, record.levelname, record.getMessage()))
if sys.argv[1] == "listening":
    logging.getLogger().addHandler(Kept())
    logging.getLogger("fastmlp_kernels").setLevel(logging.INFO)
import numpy as np
import fastmlp_kernels
z = np.ones((2, 2), np.float32)
fastmlp_kernels.bias_relu(z, z[0].copy())
fastmlp_kernels.bias_identity(z, z[0].copy())
print(records)
"""


@pytest.mark.parametrize("listening", [True, False])
def test_a_library_user_finds_one_record_and_nothing_on_stderr(listening: bool, tmp_path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "FASTMLP_NUMBA_CACHE": "0"}
    environment |= {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", LIBRARY, "listening" if listening else "deaf"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    said = "Compiling the kernels for this machine, once; it takes some seconds."
    assert done.stdout == f"{[('fastmlp_kernels', 'INFO', said)] if listening else []}\n"
    assert done.stderr == ""
