"""What the CPU offers, and products under every instruction set that this machine can pretend to have."""

import json
import re
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import pytest

from fastmlp_kernels import _target
from fastmlp_kernels._target import Tile
from packing import PRECISIONS
from test_kernels_process import run_python

AVX2 = ("avx", "avx2", "fma")
AVX512 = (*AVX2, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
HOST = {name for name, there in llvm.get_host_cpu_features().items() if there}


@pytest.fixture
def fresh(monkeypatch):
    """Let `features` and `cache_bytes` look anew, here and in what follows."""
    functions = (_target.features, _target.cache_bytes)
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.delenv(name, raising=False)
    for function in functions:
        function.cache_clear()
    yield monkeypatch
    for function in functions:
        function.cache_clear()


def test_the_features_are_those_that_numba_may_use(fresh):
    assert _target.features() == HOST
    cases = [
        ({"NUMBA_CPU_NAME": "generic"}, set()),
        ({"NUMBA_CPU_FEATURES": ""}, set()),
        ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx,-sse4a,+fma"}, {"avx", "fma"}),
    ]
    for variables, want in cases:
        for name, value in variables.items():
            fresh.setenv(name, value)
        _target.features.cache_clear()
        assert _target.features() == want
        for name in variables:
            fresh.delenv(name)


@pytest.mark.parametrize(
    ("machine", "features", "tile"),
    [
        ("x86_64", AVX512, Tile(16, 8, 2)),
        ("x86_64", AVX2, Tile(8, 6, 2)),
        ("AMD64", ("avx",), Tile(8, 6, 2)),
        ("x86_64", (), Tile(4, 4, 2)),
        ("arm64", (), Tile(4, 8, 2)),
        ("aarch64", ("neon",), Tile(4, 8, 2)),
    ],
)
def test_the_tile_fits_the_registers(machine, features, tile, fresh):
    fresh.setenv("NUMBA_CPU_FEATURES", ",".join(f"+{name}" for name in features))
    fresh.setattr("platform.machine", lambda: machine)
    assert _target._tile() == tile
    assert tile.nr == tile.lanes * tile.nv
    registers = 32 if tile.lanes == 16 or machine in ("arm64", "aarch64") else 16
    assert tile.mr * tile.nv + tile.nv + 1 <= registers


def test_cache_sizes_are_read_where_the_system_tells_them(fresh, tmp_path):
    caches = [("Data", 1, "48K"), ("Instruction", 1, "32K"), ("Unified", 2, "2048K"), ("Unified", 3, "1M")]
    for i, values in enumerate(caches):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, value in zip(("type", "level", "size"), values, strict=True):
            (folder / name).write_text(f"{value}\n")
    (tmp_path / "index9").mkdir()  # a cache that says nothing of itself
    fresh.setattr(_target, "_CACHES", tmp_path)
    assert [_target.cache_bytes(level) for level in (1, 2)] == [48 << 10, 2 << 20]


def test_cache_sizes_are_guessed_where_the_system_is_silent(fresh, tmp_path):
    fresh.setattr(_target, "_CACHES", tmp_path / "nothing")
    assert [_target.cache_bytes(level) for level in (1, 2)] == [32 << 10, 256 << 10]


# Prints the errors in units of their bounds (see `packing`), the warnings, and what the machine code is made of.
FLOATS = """
import json, re, warnings
import numpy as np
from fastmlp_kernels import _target, gemm
from fastmlp_kernels.gemm import products
from packing import DTYPES, U, exact, rounded

rng = np.random.default_rng(0)
worst = dict.fromkeys(precisions, 0.0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for precision in precisions:
        for m, n, k in ((1, 1, 1), (9, 33, 7), (37, 70, 261), (130, 17, 1027)):
            a, b = (rng.standard_normal(shape).astype(DTYPES[precision]) for shape in ((m, k), (k, n)))
            want, size = exact(rounded(a, precision), rounded(b, precision))
            for transposed in (False, True):
                out = np.full((m, n), np.nan, a.dtype)
                left, right = (np.ascontiguousarray(x.T) if transposed else x for x in (a, b))
                gemm.matmul(left, right, out, transpose_a=transposed, transpose_b=transposed, precision=precision)
                error = np.abs(out - want) / ((k + 2) * U[precision] * size)
                worst[precision] = max(worst[precision], float(np.where(np.isnan(error), np.inf, error).max()))
code = "".join(products.matmul.inspect_asm(signature) for signature in products.matmul.signatures)
print(json.dumps({
    "worst": worst, "warnings": [f"{w.category.__name__}: {w.message}" for w in caught],
    "hardware": _target.BFLOAT16_IN_HARDWARE, "lanes": _target.TILE.lanes,
    "registers": sorted(set(re.findall(r"[xyz]mm(?=[0-9])", code))),
    "instructions": sorted(set(re.findall(r"^\\s+([a-z]\\w+)", code, re.MULTILINE))),
}))
"""

# Prints whether all products of bytes were exact, what made them, and which instructions of this kind they consist of.
BYTES = """
import json, re, warnings
import numpy as np
from fastmlp_kernels import _target, gemm, int8
from fastmlp_kernels.gemm import products

warnings.simplefilter("ignore")
rng, exact = np.random.default_rng(0), True
for m, n, k in ((1, 1, 1), (9, 33, 7), (37, 70, 261), (130, 17, 1027), (33, 31, 1600)):
    for transposed in (False, True):
        a, b = rng.integers(0, 256, (m, k), np.uint8), rng.integers(-128, 128, (k, n), np.int8)
        out = np.full((m, n), -1, np.int32)
        gemm.matmul_int8(np.ascontiguousarray(a.T) if transposed else a, b, out, transpose_a=transposed)
        exact &= np.array_equal(out, a.astype(np.int64) @ b.astype(np.int64))
for depth, dtype in ((65_793, np.int32), (65_794, np.float32), (200_000, np.float32)):  # every sum as large as can be
    for transposed in (False, True):
        a, b = np.full((9, depth), 255, np.uint8), np.repeat(np.array([[-128, 127]], np.int8), depth, axis=0)
        out = np.zeros((9, 2), dtype)
        gemm.matmul_int8(np.ascontiguousarray(a.T) if transposed else a, b, out, transpose_a=transposed)
        off = out - 255.0 * depth * np.array([-128, 127])
        exact &= bool((np.abs(off) <= (0 if dtype == np.int32 else 6e-8 * 8 * 32640 * depth)).all())
code = "".join(products.matmul.inspect_asm(signature) for signature in products.matmul.signatures)
print(json.dumps({
    "exact": bool(exact), "instructions": int8.INSTRUCTIONS,
    "code": sorted(set(re.findall(r"tdpbusd|tdpbsud|vpdpbusd", code))),
}))
"""


def products(floats: tuple[str, ...], **environment: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the reports of FLOATS in these precisions and of BYTES under these variables."""
    tests = str(Path(__file__).parent)
    code = f"import sys; sys.path.append({tests!r})\nprecisions = {floats!r}\n{FLOATS}\n{BYTES}"
    # without the disk cache: what comes from there has no listing
    of_floats, of_bytes = map(json.loads, run_python(code, FASTMLP_NUMBA_CACHE="0", **environment).splitlines())
    return of_floats, of_bytes


VNNI = ["vpdpbusd"]
# name, numba's CPU and features, lanes, the widest registers that may appear, what multiplies bytes, and the names of
# its instructions
PATHS = [
    ("generic", (), 4, "xmm", None, []),
    ("haswell", AVX2, 8, "ymm", None, []),
    ("alderlake", (*AVX2, "avxvnni"), 8, "ymm", "AVX-VNNI", VNNI),
    ("skylake-avx512", AVX512, 16, "zmm", None, []),
    ("cascadelake", (*AVX512, "avx512vnni"), 16, "zmm", "AVX512-VNNI", VNNI),
]


@pytest.mark.process
@pytest.mark.skipif(not {"sse2"} <= HOST, reason="the names of x86's processors")
@pytest.mark.parametrize(("cpu", "features", "lanes", "widest", "multiplies", "code"), PATHS, ids=[p[0] for p in PATHS])
def test_products_without_bfloat16_instructions(cpu, features, lanes, widest, multiplies, code):
    if not set(features) <= HOST:
        pytest.skip(f"this CPU has not all that {cpu} has")
    if cpu == "cascadelake" and set(COOPERLAKE) <= HOST:
        pytest.skip("cooperlake multiplies bytes in the same instructions")
    listed = ",".join(f"+{name}" for name in features)
    # where bytes have instructions of their own, the code for floats is that of the path before
    precisions = PRECISIONS if multiplies is None else ("bfloat16",)
    report, of_bytes = products(precisions, NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=listed)
    assert of_bytes == {"exact": True, "instructions": multiplies, "code": code}
    assert max(report["worst"].values()) <= 1
    assert report["lanes"] == lanes
    assert not report["hardware"]
    assert len(report["warnings"]) == 1
    assert report["warnings"][0].startswith("RuntimeWarning: this CPU has no bfloat16 instructions")
    # no instruction of a wider machine, and the full width of this one
    assert max(report["registers"]) == widest
    instructions = report["instructions"]
    assert not [name for name in instructions if "bf16" in name]
    assert any(name.startswith("vfmadd") for name in instructions) == ("fma" in features)
    assert any(name.startswith("v") for name in instructions) == ("avx" in features)


COOPERLAKE = (*AVX512, "avx512vnni", "avx512bf16")


def bfloat16_products(report: dict[str, Any]) -> set[str]:
    return {name for name in report["instructions"] if "dpbf16" in name}


@pytest.mark.process
@pytest.mark.skipif(not set(COOPERLAKE) <= HOST, reason="this CPU has not all that cooperlake has")
def test_products_with_bfloat16_instructions_and_without_tile_registers():
    listed = ",".join(f"+{name}" for name in COOPERLAKE)
    report, of_bytes = products(("bfloat16",), NUMBA_CPU_NAME="cooperlake", NUMBA_CPU_FEATURES=listed)
    assert of_bytes == {"exact": True, "instructions": "AVX512-VNNI", "code": VNNI}
    assert max(report["worst"].values()) <= 1
    assert bfloat16_products(report) == {"vdpbf16ps"}


@pytest.mark.process
@pytest.mark.skipif(
    set(AVX2) <= HOST and not HOST & {"avx512f", "avxvnni"}, reason="this machine has what haswell has, and no more"
)
def test_products_with_what_this_machine_has():
    report, of_bytes = products(("bfloat16",))  # of the others see `test_kernels_gemm`
    tiles = {"amx-tile", "amx-int8", "avx512vnni"} <= HOST and _target._tiles_granted()
    assert (of_bytes["instructions"] == "AMX-INT8") == tiles
    assert of_bytes["exact"]
    if {*COOPERLAKE, "amx-tile", "amx-bf16", "amx-int8"} <= HOST and tiles:  # what there is besides the paths above
        assert of_bytes["code"] == ["tdpbsud", "tdpbusd", "vpdpbusd"]
        assert bfloat16_products(report) == {"tdpbf16ps", "vdpbf16ps"}
    assert max(report["worst"].values()) <= 1
    assert report["hardware"] == ({"avx512f", "avx512bf16"} <= HOST)
    assert report["hardware"] == bool([name for name in report["instructions"] if re.match("vdpbf16ps", name)])
    assert len(report["warnings"]) == (not report["hardware"])


# Prints what the products of floats and of bytes consist of on a CPU that need not be here: they are compiled, not run.
COMPILED = """
import json, re, warnings
import numpy as np
from listings import compile_alone

compile_alone()
from fastmlp_kernels import _target, gemm
from fastmlp_kernels.gemm import products
from packing import DTYPES

warnings.simplefilter("ignore")
for precision in precisions:
    a = np.ones((9, 9), DTYPES[precision])
    gemm.matmul(a, a, np.empty_like(a), precision=precision)
gemm.matmul_int8(np.ones((9, 9), np.uint8), np.ones((9, 9), np.int8), np.empty((9, 9), np.int32))
code = [products.matmul.inspect_asm(signature) for signature in products.matmul.signatures]
print(json.dumps({
    "lanes": _target.TILE.lanes, "kinds": len(code),
    "fused": [sorted(set(re.findall(r"vfmadd\\w+p[sd]\\s.*%([xyz]mm)", one))) for one in code],
    "special": sorted(set(re.findall(r"vpdpbusd|vdpbf16ps", "".join(code)))),
}))
"""


@pytest.mark.process
@pytest.mark.skipif(not {"sse2"} <= HOST, reason="the names of x86's processors")
@pytest.mark.parametrize(
    ("cpu", "features", "precisions", "special"),
    [  # floats have the same instructions on both
        ("skylake-avx512", AVX512, PRECISIONS, []),
        ("cooperlake", COOPERLAKE, ("bfloat16",), ["vdpbf16ps", "vpdpbusd"]),
    ],
    ids=["skylake-avx512", "cooperlake"],
)
def test_products_compile_for_cpus_that_are_not_here(cpu, features, precisions, special):
    code = f"precisions = {precisions!r}\n{COMPILED}"
    listed = ",".join(f"+{name}" for name in features)
    report = json.loads(run_python(code, FASTMLP_NUMBA_CACHE="0", NUMBA_CPU_NAME=cpu, NUMBA_CPU_FEATURES=listed))
    assert (report["lanes"], report["special"]) == (16, special)
    wide = sum("zmm" in widths for widths in report["fused"])
    assert wide >= 2 or len(precisions) == 1, report  # of float32 and of float64
