"""Tile registers: what asks for them, what is done where they are refused, and what turns operands round for them."""

import ctypes
import json

import numpy as np
import pytest

from fastmlp_kernels import _target
from fastmlp_kernels._align import LINE_BYTES, aligned_zeros
from fastmlp_kernels._jit import kernel
from fastmlp_kernels.gemm.panels import NR, SIDE, column_stride
from fastmlp_kernels.gemm.tiles import turn_panel
from test_kernels_process import run_python
from test_kernels_target import BYTES


def test_tile_registers_are_left_alone_where_the_system_refuses(monkeypatch):
    class Refusing:
        def syscall(self, *_):
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda _: Refusing())
    assert not _target._tiles_granted()
    monkeypatch.setattr(_target.sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "CDLL", None)  # is not asked
    assert not _target._tiles_granted()


@kernel
def _turn(packed, units, turned, stride):
    turn_panel(packed, 0, units, turned, 0, stride)


@pytest.mark.parametrize("units", [SIDE, 3 * SIDE, 2 * SIDE + 5])
def test_turning_a_panel_makes_rows_of_its_columns(units, rng):
    if NR % SIDE:
        pytest.skip("the panels of this CPU are narrower than tiles")
    packed = rng.integers(0, 2**32, units * NR, np.uint32)
    stride = column_stride(units)
    assert stride >= units
    assert stride // SIDE % 2 == 1
    turned = np.zeros(NR * stride, np.uint32)
    _turn(packed, units, turned, stride)
    rows = turned.reshape(NR, stride)
    np.testing.assert_array_equal(rows[:, :units], packed.reshape(units, NR).T)
    assert not rows[:, units:].any()


@pytest.mark.parametrize("shape", [0, 7, (3, 5), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint32])
def test_aligned_zeros_begin_with_a_cache_line(shape, dtype):
    x = aligned_zeros(shape, dtype)
    assert x.size == 0 or x.ctypes.data % LINE_BYTES == 0
    np.testing.assert_array_equal(x, np.zeros(shape, dtype), strict=True)
    assert x.flags.c_contiguous
    assert x.flags.writeable


# Prints, after the work that is named, whether this process has asked for tile registers, and what is said of them.
ASKED = """
import ctypes, warnings
import numpy as np
from fastmlp import MLP, ImageInput
from fastmlp_kernels import _target, bfloat16, bias_tanh, gemm, int8

def asked():
    permitted = ctypes.c_uint64()
    assert ctypes.CDLL(None).syscall(158, 0x1022, ctypes.byref(permitted)) == 0  # ARCH_GET_XCOMP_PERM
    return bool(permitted.value >> 18 & 1)

def train(precision, matmul):
    images, ones = np.arange(120, dtype=np.uint8).reshape(10, 12), np.ones((10, 1), precision)
    MLP([12, 4, 3], precision=precision, matmul=matmul).fit(
        ImageInput(images, ones, ones), np.arange(10) % 3, epochs=1, batch_size=10
    )

warnings.simplefilter("ignore")
"""
WORK = {
    "importing": ("import fastmlp.nn.packed.run, fastmlp.runs.environment, fastmlp.report", False),
    "training in float32": ("train('float32', 'packed')", False),
    "training over BLAS": ("train('float64', 'blas')", False),
    "a product in bfloat16": (
        "a = np.ones((2, 2), np.float32); gemm.matmul(a, a, a.copy(), precision='bfloat16')",
        _target.AMX_BFLOAT16_IN_HARDWARE,
    ),
    "saying what there is": ("int8.INSTRUCTIONS, bfloat16.BFLOAT16_IN_HARDWARE, int8.warn_where_slow()", False),
    "a product in int8": ("gemm.matmul_int8(*(np.ones((2, 2), kind) for kind in ('u1', 'i1', 'i4')))", True),
}


@pytest.mark.process
@pytest.mark.skipif(not _target._tiles_offered(), reason="there are no tile registers, or the system has none to give")
@pytest.mark.parametrize(("work", "asks"), WORK.values(), ids=WORK)
def test_only_what_multiplies_in_tile_registers_asks_for_them(work, asks):
    told = run_python(f"{ASKED}\nprint(int8.INSTRUCTIONS, asked())\n{work}\nprint(int8.INSTRUCTIONS, asked())")
    if not _target.AMX_INT8_IN_HARDWARE:
        pytest.skip("the CPU has no products of bytes in them")
    assert told.split() == ["AMX-INT8", "False", "AMX-INT8", str(asks)]


REFUSE = """
import ctypes, numba
class Refusing:
    def __init__(self, library):
        self._library = library
    def syscall(self, number, what, *rest):
        return -1 if what == 0x1023 else self._library.syscall(number, what, *rest)
real = ctypes.CDLL
ctypes.CDLL = lambda name, *rest, **named: Refusing(real(name)) if name is None else real(name, *rest, **named)
"""


@pytest.mark.process
@pytest.mark.skipif(not _target._tiles_offered(), reason="there are no tile registers, or the system has none to give")
def test_where_tiles_are_refused_what_is_told_of_them_is_set_right():
    report = json.loads(run_python(REFUSE + BYTES, FASTMLP_NUMBA_CACHE="0"))
    assert report["exact"]
    assert report["instructions"] != "AMX-INT8"
    assert not [name for name in report["code"] if name.startswith("tdpb")]


def test_the_code_kept_on_disk_is_another_one_where_tiles_are_refused(tmp_path):
    text = """
from numba.core.registry import cpu_target
from fastmlp_kernels import _target
from fastmlp_kernels.gemm import products
print(_target.amx_int8(), products.matmul._cache._path("uint32", cpu_target.target_context).name)
"""
    (there, entry), (left, other) = (run_python(w + text, NUMBA_CACHE_DIR=str(tmp_path)).split() for w in ("", REFUSE))
    assert left == "False"
    assert (entry != other) == (there == "True")
