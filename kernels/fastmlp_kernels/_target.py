"""What the CPU offers: the vector width, the micro-kernel's tile, bfloat16 and bytes in hardware, and cache sizes.

numba compiles for the CPU it runs on unless `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` say otherwise; then only the
features that they list count, so that no instruction is emitted that numba was told not to use.
"""

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm

# Linux lets a process use the tile registers once it has asked for them: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA);
# ARCH_GET_XCOMP_SUPP tells what can be asked for.
_ARCH_PRCTL, _OFFERED, _REQUEST, _TILES = 158, 0x1021, 0x1023, 18
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
# Where the system does not tell: what a small core of the last ten years has at least.
_USUAL_CACHE = {1: 32 << 10, 2: 256 << 10}


@cache
def features() -> frozenset[str]:
    """Return the names, as LLVM spells them, of the CPU features that compiled code may use."""
    listed = os.environ.get("NUMBA_CPU_FEATURES")
    if listed is not None or os.environ.get("NUMBA_CPU_NAME", "host") != "host":
        return frozenset(name[1:] for name in (listed or "").split(",") if name.startswith("+"))
    return frozenset(name for name, has in llvm.get_host_cpu_features().items() if has)


def fuses() -> bool:
    """Return whether the CPU multiplies and adds in one instruction, rounded once."""
    return "fma" in features() or platform.machine().lower() in ("arm64", "aarch64")


def scales() -> bool:
    """Return whether LLVM multiplies vectors by powers of two, normal numbers or not, in one instruction."""
    return "avx512f" in features() and llvm.llvm_version_info >= (22,)


class Tile(NamedTuple):
    """The tile of C that the micro-kernel keeps in registers: mr rows of nv vectors of `lanes` float32."""

    lanes: int
    mr: int
    nv: int

    @property
    def nr(self) -> int:
        """Columns of the tile."""
        return self.lanes * self.nv


def _tile() -> Tile:
    # mr * nv accumulators, nv vectors of B and one broadcast element of A must fit the registers; enough accumulators
    # must be in flight to hide the latency of a multiply-add (4 cycles on two units: 8 at the least, 16 measured best).
    on = features()
    if "avx512f" in on:  # 32 registers of 16 lanes
        return Tile(16, 8, 2)
    if "avx" in on:  # 16 registers of 8 lanes
        return Tile(8, 6, 2)
    if platform.machine().lower() in ("arm64", "aarch64"):  # 32 registers of 4 lanes
        return Tile(4, 8, 2)
    return Tile(4, 4, 2)  # SSE: 16 registers of 4 lanes; LLVM splits these vectors where there are none


TILE = _tile()
BFLOAT16_IN_HARDWARE = {"avx512f", "avx512bf16"} <= features()
# uint8 times int8, summed in int32: VNNI, with AVX-512 or by itself
INT8_IN_HARDWARE = ("avx512vnni" if TILE.lanes == 16 else "avxvnni") in features()


# Products in tile registers, of bytes and of bfloat16; what tiles leave over is done in vectors.
AMX_INT8_IN_HARDWARE = INT8_IN_HARDWARE and {"avx512f", "amx-tile", "amx-int8"} <= features()
AMX_BFLOAT16_IN_HARDWARE = BFLOAT16_IN_HARDWARE and {"amx-tile", "amx-bf16"} <= features()


def _tiles_granted() -> bool:
    return sys.platform == "linux" and ctypes.CDLL(None).syscall(_ARCH_PRCTL, _REQUEST, _TILES) == 0


def _tiles_offered() -> bool:
    offered = ctypes.c_uint64()
    if sys.platform != "linux" or ctypes.CDLL(None).syscall(_ARCH_PRCTL, _OFFERED, ctypes.byref(offered)) != 0:
        return False
    return bool(offered.value >> _TILES & 1)


@cache
def _tiles() -> bool:
    return _tiles_granted()


def amx_int8() -> bool:
    """Return whether this process may multiply 8-bit integers in AMX's tile registers.

    The first call requests them from the system, for the whole process: only what is about to use them calls this.
    """
    return AMX_INT8_IN_HARDWARE and _tiles()


def amx_bfloat16() -> bool:
    """Return whether this process may multiply bfloat16 in AMX's tile registers, which it asks for as `amx_int8`."""
    return AMX_BFLOAT16_IN_HARDWARE and _tiles()


def tiles_offered() -> bool:
    """Return whether the system gives tile registers, without a request: before the first one, whether it would."""
    return _tiles() if _tiles.cache_info().currsize else _tiles_offered()


@cache
def cache_bytes(level: int) -> int:
    """Return the size in bytes of core 0's data cache of this level, 1 or 2."""
    for index in sorted(_CACHES.glob("index*")):
        try:
            kind, at, size = ((index / name).read_text().strip() for name in ("type", "level", "size"))
        except OSError:
            continue
        if kind != "Instruction" and int(at) == level and size.endswith("K"):
            return int(size[:-1]) << 10
    return _USUAL_CACHE[level]
