"""Products of bytes with and without tile registers, whether they are used, and what turns operands round for them."""

import ctypes
import json

import numpy as np
import pytest

from fastmlp_kernels import _target
from fastmlp_kernels._align import LINE_BYTES, aligned_zeros
from fastmlp_kernels._amx import SIDE, turn_panel, turned_stride
from fastmlp_kernels._jit import kernel
from fastmlp_kernels._pack import NR
from test_kernels_process import run_python
from test_kernels_target import AVX2, AVX512, HOST

# Prints whether all products were exact, what made them, and which instructions of this kind the machine code has.
PRODUCTS = """
import json, re, warnings
import numpy as np
from fastmlp_kernels import _products, _target, gemm, int8

warnings.simplefilter("ignore")
rng, exact = np.random.default_rng(0), True
for m, n, k in ((1, 1, 1), (9, 33, 7), (37, 70, 261), (130, 17, 1027), (33, 31, 1600)):
    for transposed in (False, True):
        a, b = rng.integers(0, 256, (m, k), np.uint8), rng.integers(-128, 128, (k, n), np.int8)
        out = np.full((m, n), -1, np.int32)
        gemm.matmul_int8(np.ascontiguousarray(a.T) if transposed else a, b, out, transpose_a=transposed)
        exact &= np.array_equal(out, a.astype(np.int64) @ b.astype(np.int64))
code = "".join(_products.matmul_int8.inspect_asm(signature) for signature in _products.matmul_int8.signatures)
print(json.dumps({
    "exact": bool(exact), "instructions": int8.INSTRUCTIONS,
    "code": sorted(set(re.findall(r"tdpbusd|tdpbsud|vpdpbusd", code))),
}))
"""


def products(**environment):
    """Return the report of PRODUCTS under these variables; without the disk cache, whose code has no listing."""
    return json.loads(run_python(PRODUCTS, FASTMLP_NUMBA_CACHE="0", **environment))


# name, numba's CPU and features, what then makes the products, and how its instructions are called
VECTORS = ["vpdpbusd"]
PATHS = [
    ("generic", (), None, []),
    ("haswell", AVX2, None, []),
    ("alderlake", (*AVX2, "avxvnni"), "AVX-VNNI", VECTORS),
    ("skylake-avx512", AVX512, None, []),
    ("cascadelake", (*AVX512, "avx512vnni"), "AVX512-VNNI", VECTORS),
    (
        "sapphirerapids",
        (*AVX512, "avx512vnni", "amx-tile", "amx-int8"),
        "AMX-INT8",
        ["tdpbsud", "tdpbusd", "vpdpbusd"],
    ),
]


@pytest.mark.process
@pytest.mark.skipif(not {"sse2"} <= HOST, reason="the names of x86's processors")
@pytest.mark.parametrize(("cpu", "features", "instructions", "code"), PATHS, ids=[path[0] for path in PATHS])
def test_products_of_bytes_are_exact_with_each_kind_of_instructions(cpu, features, instructions, code):
    if not set(features) <= HOST:
        pytest.skip(f"this CPU has not all that {cpu} has")
    if instructions == "AMX-INT8" and not _target.amx_int8():
        pytest.skip("the system does not let this process use tile registers")
    listed = ",".join(f"+{name}" for name in features)
    report = products(NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=listed)
    assert report == {"exact": True, "instructions": instructions, "code": code}


@pytest.mark.process
def test_tile_registers_are_used_where_they_are_there_and_granted():
    report = products()
    wanted = {"amx-tile", "amx-int8", "avx512vnni"} <= HOST and _target._tiles_granted()
    assert (report["instructions"] == "AMX-INT8") == wanted
    assert report["exact"]


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
    stride = turned_stride(units)
    assert stride >= units
    assert stride // SIDE % 2 == 1
    turned = np.zeros(NR * stride, np.uint32)
    _turn(packed, units, turned, stride)
    whole = units // SIDE * SIDE
    rows = turned.reshape(NR, stride)
    np.testing.assert_array_equal(rows[:, :whole], packed.reshape(units, NR).T[:, :whole])
    assert not rows[:, whole:].any()


@pytest.mark.parametrize("shape", [0, 7, (3, 5), (0, 4), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint32])
def test_aligned_zeros_begin_with_a_cache_line(shape, dtype):
    x = aligned_zeros(shape, dtype)
    assert x.size == 0 or x.ctypes.data % LINE_BYTES == 0
    np.testing.assert_array_equal(x, np.zeros(shape, dtype), strict=True)
    assert x.flags.c_contiguous
    assert x.flags.writeable


def test_importing_the_kernels_asks_for_no_tile_registers():
    asked = """
import ctypes, numba
real = ctypes.CDLL
class Library:
    def __init__(self, name, *rest, **named):
        self._library = real(name, *rest, **named)
    def __getattr__(self, name):
        assert name != "syscall", "asked"
        return getattr(self._library, name)
ctypes.CDLL = Library
import fastmlp, fastmlp_kernels, fastmlp_kernels.bfloat16
fastmlp.MLP, fastmlp_kernels.bias_tanh
print("not asked")
"""
    assert run_python(asked).strip() == "not asked"


def test_the_code_kept_on_disk_is_another_one_where_tiles_are_refused():
    text = """
from numba.core.registry import cpu_target
from fastmlp_kernels import _products, _target
print(_target.amx_int8(), _products.matmul_int8._cache._path("uint32", cpu_target.target_context).name)
"""
    refuse = """
import ctypes, numba
real, refusing = ctypes.CDLL, type("Refusing", (), {"syscall": lambda *_: -1})()
ctypes.CDLL = lambda name, *rest, **named: refusing if name is None else real(name, *rest, **named)
"""
    (there, entry), (left, other) = run_python(text).split(), run_python(refuse + text).split()
    assert left == "False"
    assert (entry != other) == (there == "True")
