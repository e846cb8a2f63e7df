"""Write the times of the users' loops on kernels/README.md: each block of Python there, before and after.

    python -m bench.users_examples            measure, and write the table (a minute)
    python -m bench.users_examples --print    measure, and print it

A block under "Three loops of users" defines `before`, `after` and `data`, what both are called with: the examples on
the page are the ones that are timed. On one thread, the `prange` loop too, by the least of many turns.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numba

import fastmlp_kernels
from bench.kernels_page import PAGE, machine
from bench.measured import in_units
from bench.readme import give_block, markdown

SECONDS = 0.5  # of calls whose least counts
NAMES = ("logistic likelihood, 100,000 float64", "softmax sampler, 5,000 x 20 float64", "`prange`, 100,000 float32")


def blocks(text: str) -> list[str]:
    """Return the blocks of Python that are timed."""
    section = text.partition("### Three loops of users\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


def run(code: str) -> dict[str, Any]:
    """Return the names that a block defines."""
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)  # noqa: S102 - the page's own text
    return names


def least(call: Callable[..., object], data: Sequence[Any], seconds: float = SECONDS) -> float:
    """Return the least of the seconds that calls take, among those that fill this time."""
    end, found = time.perf_counter() + seconds, float("inf")
    while (start := time.perf_counter()) < end:
        call(*data)
        found = min(found, time.perf_counter() - start)
    return found


def table(codes: Sequence[str], seconds: float = SECONDS) -> str:
    """Return the table of times; in a process that has compiled nothing, as `overload_numpy` asks for."""
    fastmlp_kernels.overload_numpy()
    overloaded = [run(code) for code in codes]  # compiled by the blocks' own checks
    fastmlp_kernels.restore_numpy()
    lines = []
    for name, code, with_ours in zip(NAMES, codes, overloaded, strict=True):
        names = run(code)
        before, after = (least(names[key], names["data"], seconds) for key in ("before", "after"))
        between = least(with_ours["before"], with_ours["data"], seconds)
        lines.append([name, in_units(before), *(f"{in_units(t)} ({before / t:.1f}x)" for t in (after, between))])
    return markdown(["loop", "before", "after", "before, under `overload_numpy`"], lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, then write or print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.users_examples",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--print", action="store_true", dest="only_print", help="write no file")
    only_print = parser.parse_args(argv).only_print
    numba.set_num_threads(1)
    figures = table(blocks(PAGE.read_text(encoding="utf-8")))
    text = "Written by `python -m bench.users_examples`; in brackets the time of `before` over this one:"
    give_block(None if only_print else PAGE, "users", f"{machine('float32 and float64')}\n\n{text}\n\n{figures}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
