"""Damage every file that fastmlp reads, in every way, and look what reading it does: a table of counts.

    python -m bench.fuzz --mutations 1000000 --seed 0

Right is a valid object or a FastMLPError, with no warning, within ten seconds and 1 GiB of memory. What is wrong is
told with the number of the file, which the same seed makes again, and kept in `--out`. The mutations are shared evenly
among the readers, and worked off by a process a core. Linux and macOS.
"""

import argparse
import faulthandler
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory, mkdtemp

from bench.fuzz_mutations import Reader
from bench.fuzz_readers import readers
from bench.readme import markdown
from fastmlp.errors import FastMLPError
from fastmlp.nn.threads import usable_cores

MOST_SECONDS = 10.0
MOST_BYTES = 1 << 30
_AT_ONCE = 500
_UNIT = 1 if sys.platform == "darwin" else 1024  # bytes, of ru_maxrss


@dataclass
class Counts:
    """What came of the files of a reader: how many were read or refused, by whose error, and what was wrong."""

    valid: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    memory: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, other: "Counts") -> None:
        """Take another's counts as well."""
        self.valid += other.valid
        self.refused += other.refused
        self.seconds, self.memory = max(self.seconds, other.seconds), max(self.memory, other.memory)
        self.wrong += other.wrong


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def damage(
    reader: Reader,
    folder: Path,
    numbers: Sequence[int],
    seed: int = 0,
    keep: Callable[[int, bytes], None] | None = None,
) -> Counts:
    """Make the files of these numbers in the folder, one after the other, read each, and count what came of it.

    keep(number, content) : called for what was not read as it should be
    """
    counts, path, before = Counts(), folder / reader.name, _peak()
    for number in numbers:
        content = reader.make(Random(f"{seed}/{reader.about}/{number}"))  # noqa: S311 - it keeps no secret
        path.unlink(missing_ok=True)  # some file systems wait for the disk where a file's content is replaced
        path.write_bytes(content)
        start, wrong = time.perf_counter(), ""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.filterwarnings("ignore", module=r"PIL\.")  # as `fastmlp.models.pictures` has it
                reader.read(path)
            counts.valid += 1
        except FastMLPError as error:
            counts.refused[type(error).__name__] += 1
        except Exception as error:  # the fault that is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            wrong = f"{type(error).__name__}: {str(error)[:200]} (in {Path(at.filename).name}, line {at.lineno})"
        took, grew = time.perf_counter() - start, _peak() - before
        if took > MOST_SECONDS or grew > MOST_BYTES + counts.memory:
            wrong = wrong or f"{took:.1f} s, {grew / 1e6:.0f} MB"
        counts.seconds, counts.memory = max(counts.seconds, took), max(counts.memory, grew)
        if wrong:
            counts.wrong.append(f"{reader.about}, number {number}: {wrong}")
            if keep is not None:
                keep(number, content)
    return counts


@cache
def _own(work: Path) -> tuple[Path, dict[str, Reader]]:
    """Return the folder and the readers of this process."""
    folder = Path(mkdtemp(dir=work))
    (folder / "samples").mkdir()
    return folder, readers(folder / "samples", networks=True)


def _task(about: str, numbers: Sequence[int], seed: int, work: Path, out: Path) -> Counts:
    resource.setrlimit(resource.RLIMIT_DATA, (4 * MOST_BYTES, 4 * MOST_BYTES))
    faulthandler.dump_traceback_later(20 * MOST_SECONDS, exit=True)  # what hangs in C is ended so
    folder, mine = _own(work)
    reader = mine[about]

    def keep(number: int, content: bytes) -> None:
        out.mkdir(parents=True, exist_ok=True)
        (out / f"{about.replace(' ', '-')}-{seed}-{number}").write_bytes(content)

    try:
        return damage(reader, folder, numbers, seed, keep)
    finally:
        faulthandler.cancel_dump_traceback_later()


def table(counts: dict[str, Counts]) -> str:
    """Return the counts of all readers in Markdown."""
    lines = []
    for about, one in counts.items():
        refused = ", ".join(f"{n:,} {name}" for name, n in one.refused.most_common())
        done = one.valid + one.refused.total() + len(one.wrong)
        cells = (f"{done:,}", f"{one.valid:,}", refused, f"{one.seconds:.2f}", f"{one.memory / 1e6:.0f}")
        lines.append((about, *cells, f"{len(one.wrong):,}"))
    heads = ("file", "mutations", "read", "refused", "slowest, s", "memory, MB", "wrong")
    return markdown(heads, lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign, print its table, and return 1 where anything was wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutations", type=int, default=1_000_000, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--readers", nargs="+", metavar="NAME", help="some of them (default: all)")
    parser.add_argument("--jobs", type=int, default=usable_cores(), metavar="N", help="(default: all cores)")
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz-found"), help="for what was found (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    with TemporaryDirectory() as folder:
        names = args.readers or list(readers(Path(folder)))
    each = -(-args.mutations // len(names))
    counts = {name: Counts() for name in names}
    parts = [range(first, min(first + _AT_ONCE, each)) for first in range(0, each, _AT_ONCE)]
    with TemporaryDirectory() as work, ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        place = Path(work), args.out
        tasks = [(name, part, pool.submit(_task, name, part, args.seed, *place)) for part in parts for name in names]
        for done, (name, part, task) in enumerate(tasks, 1):
            try:
                counts[name].add(task.result())
            except BrokenProcessPool as error:
                counts[name].wrong.append(f"{name}, one of {part.start} to {part.stop}: {error}")
                break
            print(f"\r{done} of {len(tasks)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(table(counts))
    wrong = [sentence for one in counts.values() for sentence in one.wrong]
    print(*wrong[:100], sep="\n", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
