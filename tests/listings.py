"""Instructions in listings of machine code, named as on x86; and listings for arm64 on a machine of another kind."""

import ctypes
import platform
import re
from typing import Any

import llvmlite.binding as llvm
import pytest
from numba.core import codegen

ARM64 = platform.machine().lower() in ("arm64", "aarch64")
X86 = platform.machine() in ("x86_64", "AMD64")
readable = pytest.mark.skipif(not (ARM64 or X86), reason="this machine's instructions have other names")


def _packed(instruction: str, kind: str) -> str:
    """Return a pattern of an instruction of whole vectors: of NEON, in the spelling of GNU or of Apple, or of SVE."""
    lanes = {"s": 4, "d": 2}[kind]
    return rf"\b(?:{instruction})(?:\.{lanes}{kind}\s|\s+(?:v\d+\.{lanes}|[pz]\d+\.){kind}\b)"


_MULTIPLY = "fmul|fn?m(?:l[as]|ad|sb)"
# What does on arm64 the work of those instructions of x86 that tests look for.
ON_ARM64 = {
    "addps": _packed("fadd", "s"),
    "mulps": _packed(_MULTIPLY, "s"),
    "divps": _packed("fdivr?", "s"),
    "sqrtps": _packed("fsqrt", "s"),
    "cmpneqps": _packed("fcm(?:eq|ne)", "s"),
    "addpd": _packed("fadd", "d"),
    "mulpd": _packed(_MULTIPLY, "d"),
    "divpd": _packed("fdivr?", "d"),
    "pslld": _packed("shl|lsl", "s"),
    "psllq": _packed("shl|lsl", "d"),
    "pmulld": _packed("mul", "s"),
    "paddd": _packed("add", "s"),
    "cvtdq2ps": _packed("[su]cvtf", "s"),
    "cvtps2pd": _packed("fcvt(?:l2?)?", "d"),
    "cvtss2sd": r"\bfcvt\s+d\d+, s\d+",
}


def instructions(code: str) -> set[str]:
    """Return what a listing consists of, without the v that marks AVX's spelling; of arm64, what `ON_ARM64` names."""
    if ARM64:
        return {name for name, pattern in ON_ARM64.items() if re.search(pattern, code)}
    return {name.removeprefix("v") for name in re.findall(r"^\s+([a-z]\w+)", code, re.MULTILINE)}


_ANSWER = ctypes.PYFUNCTYPE(ctypes.py_object, *[ctypes.c_void_p] * 3)(lambda *_arguments: -1)


class _NoEngine:
    """In the place of LLVM's engine, which cannot load code that this CPU has not: all functions are one that gives -1.

    What is no function lies at one address.
    """

    def __init__(self, _module: Any, machine: Any, **_options: Any) -> None:
        self.target_data = machine.target_data
        self.place = ctypes.c_void_p()  # numba writes an address there

    def get_function_address(self, _name: str) -> int | None:
        return ctypes.cast(_ANSWER, ctypes.c_void_p).value

    def __getattr__(self, _name: str) -> Any:
        return lambda *_arguments: ctypes.addressof(self.place)


def arm64_known() -> bool:
    """Return whether this llvmlite can make code for arm64."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    try:
        return bool(llvm.Target.from_triple("aarch64-unknown-linux-gnu"))
    except RuntimeError:
        return False


def compile_alone() -> None:
    """Let numba compile in this process for listings alone: what it compiles does nothing when it is called.

    Before the kernels are imported, and under `NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` of a CPU that need not be here.
    """
    llvm.create_mcjit_compiler = _NoEngine
    codegen.JitEngine = lambda engine: engine


def compile_for_arm64() -> None:
    """Let numba compile for arm64 in this process, likewise."""
    assert arm64_known()
    llvm.get_process_triple = lambda: "aarch64-unknown-linux-gnu"
    compile_alone()
