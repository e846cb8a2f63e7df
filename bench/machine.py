"""The machine that the figures of a table are of."""

import os

import llvmlite.binding as llvm

from fastmlp.runs.environment import cpu_model


def cpu() -> str:
    """Return the CPU's model and LLVM's name for it, as one model of a cloud's may be several, with other vectors."""
    named = os.environ.get("NUMBA_CPU_NAME", "host")
    return f"{cpu_model()} ({llvm.get_host_cpu_name() if named == 'host' else f'code for {named}'})"
