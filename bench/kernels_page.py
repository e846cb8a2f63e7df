"""Write the tables of kernels/README.md: accuracy, speed and cold start of each kernel of `fastmlp_kernels`.

    python -m bench.kernels_page                    measure, and write the tables (about four minutes)
    python -m bench.kernels_page --only elements    those of the functions of one element alone; or kernels
    python -m bench.kernels_page --print            measure, and print them

Kernels, rivals and arrays are those of `bench.cases`, in float32 on one thread. Each first call runs in a process of
its own, without the cache of kernels on disk. The functions of one element are in `bench.kernels_scalars`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from bench import kernels_scalars
from bench.cases import CASES, Case, make_case
from bench.kernels_accuracy import accuracy_table
from bench.machine import cpu
from bench.measured import in_units
from bench.readme import markdown, write_block
from fastmlp.nn.threads import blas_threads

PAGE = Path(__file__).parents[1] / "kernels" / "README.md"
SHAPES = ((1024, 128), (1024, 20))
TURNS = 5
SECONDS = 0.02  # of work in one turn
RIVALS = {"numpy_inplace": "in-place numpy", "numpy_tuned": "tuned numpy", "scipy": "scipy"}
SUM_OF = 10**8


def _turn(call: Callable[[], object], case: Case, seconds: float) -> float:
    """Return the median seconds of the calls that fill a turn."""
    taken: list[float] = []
    while len(taken) < 5 or sum(taken) < seconds:
        case.restore()
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken))


def time_case(case: Case, seconds: float = SECONDS) -> dict[str, float]:
    """Return each float32 form's seconds a call: the median of turns that all take one after the other."""
    calls = {impl: call for impl, call in case.calls.items() if impl != "numpy"}
    for call in calls.values():
        call()  # compiled and warm
    turns = [{impl: _turn(call, case, seconds) for impl, call in calls.items()} for _ in range(TURNS)]
    return {impl: float(np.median([turn[impl] for turn in turns])) for impl in calls}


def first_call(name: str) -> float:
    """Return the seconds by which a kernel's first call, in a fresh process, takes longer than its second."""
    environment = os.environ | {"FASTMLP_NUMBA_CACHE": "0"}
    command = [sys.executable, "-m", "bench.kernels_page", "--first-call", name]
    done = subprocess.run(command, env=environment, cwd=PAGE.parents[1], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _time_first_call(name: str) -> float:
    case, seconds = make_case(name, SHAPES[-1]), []
    for _ in range(2):
        start = time.perf_counter()
        case.calls["fastmlp"]()
        seconds.append(time.perf_counter() - start)
    return seconds[0] - seconds[1]


def break_even(compile_seconds: float, seconds: dict[str, float]) -> str:
    """Return the number of calls from which on compiling has paid, against the fastest rival; never where it wins."""
    saved = min(taken for impl, taken in seconds.items() if impl != "fastmlp") - seconds["fastmlp"]
    return f"{int(np.ceil(compile_seconds / saved)):,}" if saved > 0 else "never"


def speed_table(names: Sequence[str], cold: dict[str, float], seconds: float = SECONDS) -> str:
    """Return the table of times against the rivals, with what the first call costs and when that has paid."""
    lines = []
    for name in names:
        for shape in SHAPES:
            taken = time_case(make_case(name, shape), seconds)
            ours = taken["fastmlp"]
            cells = (
                f"{in_units(taken[impl])} ({taken[impl] / ours:.2f}x)" if impl in taken else "-" for impl in RIVALS
            )
            columns = [f"`{name}`", " x ".join(map(str, shape)), in_units(ours), *cells]
            lines.append([*columns, f"{cold[name]:.2f} s", break_even(cold[name], taken)])
    head = ["kernel", "shape", "fastmlp_kernels", *RIVALS.values(), "first call", "pays after calls"]
    return markdown(head, lines)


def sum_table(count: int = SUM_OF) -> str:
    """Return the table of sums of many float32: time and relative error."""
    import fastmlp_kernels

    whole = np.random.default_rng(1).integers(0, 2**24, count, dtype=np.int32)
    exact = int(whole.sum(dtype=np.int64))  # in units of 2**-24, and each float32 below is exact in them
    x = whole.astype(np.float32)
    np.multiply(x, np.float32(2**-24), out=x)
    ones = np.ones_like(x)
    ways: dict[str, Callable[[], float]] = {
        "`fk.accurate_sum(x)`": lambda: float(fastmlp_kernels.accurate_sum(x)),
        "`np.sum(x)`": lambda: float(np.sum(x)),
        "`np.sum(x, dtype=np.float64)`": lambda: float(np.sum(x, dtype=np.float64)),
        "`x @ ones`, by BLAS": lambda: float(x @ ones),
    }
    lines = []
    for text, way in ways.items():
        total, taken = way(), []  # the first call is slower, and compiles
        for _ in range(3):
            start = time.perf_counter()
            way()
            taken.append(time.perf_counter() - start)
        seconds = float(np.median(taken))
        error = abs(total * 2**24 - exact) / exact
        lines.append([text, in_units(seconds), f"{x.nbytes / seconds / 1e9:.1f}", f"{error:.1e}"])
    return markdown(["sum", "time", "GB/s", "relative error"], lines)


def machine(dtypes: str) -> str:
    """Return the line on what the figures were measured with."""
    scipy = f"scipy {version('scipy')}" if find_spec("scipy") else "scipy not installed"
    return f"{cpu()}; numpy {version('numpy')}, numba {version('numba')}, {scipy}; one thread, {dtypes}."


def render_elements() -> Iterator[str]:
    """Yield the paragraphs and tables of the block on functions of one element."""
    speed = kernels_scalars.speed_table()  # before others compile what it takes the first calls of
    yield machine("float32 and float64")
    yield (
        f"The largest distance in ULP from the exact value, over every "
        f"{kernels_scalars.STRIDE}th of all float32 and over a sample of float64 of all exponents, and where it is. "
        "Over all float32 the tests prove the bounds:"
    )
    yield kernels_scalars.accuracy_table()
    yield (
        f"Their speed: nanoseconds an element over {kernels_scalars.ELEMENTS:,} in cache, the least of many turns; "
        "after the semicolon where the function around the loop asks for `jit.widest_vectors`. Beside them numpy's own "
        "function of an array, and a loop that numba compiles over `math.exp` and kin, the C library's, in brackets "
        "their time over both of ours, so under 1 we lose. First call: what compiling such a loop takes, float32 and "
        "float64, in a process that has compiled those above it:"
    )
    yield speed
    yield (
        "Likewise glibc's libmvec, whose functions are up to 4 ULP off, and SLEEF's of 1 ULP, in their widest vectors; "
        "the brackets are over loops of ours that were timed beside these. A dash where the machine or the library has "
        "none:"
    )
    yield kernels_scalars.libraries_table()


def render(names: Sequence[str] = tuple(CASES)) -> Iterator[str]:
    """Yield the paragraphs and tables of the block on kernels."""
    cold = {name: first_call(name) for name in names}
    yield machine("float32")
    yield (
        "Accuracy in ULP (float32 steps at the right value) against the same float32 inputs worked on in "
        "float64. The rounding of z + bias counts, and where sums cancel the largest stands at a result near zero:"
    )
    yield accuracy_table(names)
    yield (
        "Speed: medians of turns that all take one after the other; in brackets a rival's time over ours, so under 1 "
        "we lose. First call: what compiling alone takes, in a fresh process, without the disk cache; it has paid "
        "after so many calls, against the fastest of the rivals:"
    )
    yield speed_table(names, cold)
    yield f"The sum of {SUM_OF:,} float32 between 0 and 1:"
    yield sum_table()


BLOCKS: dict[str, Callable[[], Iterator[str]]] = {"elements": render_elements, "kernels": render}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, then write or print the tables."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kernels_page", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write no file")
    parser.add_argument("--only", choices=BLOCKS, help="measure those of one block")
    parser.add_argument("--first-call", choices=CASES, metavar="KERNEL", help="print what its first call takes")
    args = parser.parse_args(argv)
    if args.first_call:
        print(_time_first_call(args.first_call))
        return 0
    for name in [args.only] if args.only else BLOCKS:
        with blas_threads(1):
            block = "\n\n".join(BLOCKS[name]())
        if args.only_print:
            print(block)
        else:
            write_block(PAGE, name, block)
    return 0


if __name__ == "__main__":
    sys.exit(main())
