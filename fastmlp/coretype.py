"""The choice of OpenBLAS's kernels on CPUs for which OpenBLAS itself chooses slow ones. Imports no numpy.

OpenBLAS picks its kernels once, when numpy loads it, from a list of CPUs that can be older than the CPU. The variable
`OPENBLAS_CORETYPE` overrides its choice. The command line calls `apply` before anything imports numpy. A library user
does the same at the very top of the program, or sets the variable in the shell:

    from fastmlp import coretype

    coretype.apply()  # before the first import of numpy

`numpy.show_runtime()` and the environment in `results.json` name the kernels that are in use.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OPENBLAS_CORETYPE"
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Rule:
    """One family of CPUs and the kernels that measured faster there than OpenBLAS's own choice."""

    cpu: str
    vendor: str
    family: int
    flags: frozenset[str]
    core_type: str


# OpenBLAS's SkylakeX kernels are compiled for these sets. A hypervisor may hide one of them: without it they crash.
_SKYLAKEX_FLAGS = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512cd"})

RULES = (
    # float32, one core: 104 GFLOP/s with its own choice (Haswell, AVX2), 205-220 with SkylakeX.
    Rule("AMD Zen 5", "AuthenticAMD", 26, _SKYLAKEX_FLAGS, "SkylakeX"),
)


def find_rule(cpuinfo: str) -> Rule | None:
    """Return the rule for the first CPU of a `/proc/cpuinfo` text, or None where OpenBLAS's own choice is good."""
    fields: dict[str, str] = {}
    for line in cpuinfo.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    vendor, family = fields.get("vendor_id"), fields.get("cpu family")
    flags = set(fields.get("flags", "").split())
    for rule in RULES:
        if vendor == rule.vendor and family == str(rule.family) and rule.flags <= flags:
            return rule
    return None


def apply() -> str | None:
    """Set OPENBLAS_CORETYPE for this process and its children where a rule asks for it.

    Returns a sentence on what was done, or why it was not; None where no rule asks for anything. A value that is set
    already is left alone. Once numpy is loaded it is too late: then nothing is set, and the sentence says so.
    """
    try:
        rule = find_rule(_CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:  # not Linux
        return None
    if rule is None:
        return None
    present = os.environ.get(VARIABLE)
    if present:
        return f"{VARIABLE}={present} is set and was left as it is (on {rule.cpu}, {rule.core_type} measured fastest)."
    if "numpy" in sys.modules:
        return f"numpy is loaded already: set {VARIABLE}={rule.core_type} before it for faster kernels on {rule.cpu}."
    os.environ[VARIABLE] = rule.core_type
    return f"Set {VARIABLE}={rule.core_type}: on {rule.cpu} OpenBLAS by itself can choose slower kernels."
