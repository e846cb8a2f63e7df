"""Make every system call of a small search fail, and take its power away after each; then give its command again.

    python -m bench.faults                     # each call with each error, and each loss of power
    python -m bench.faults --part 20 --seed 1  # one in twenty
    python -m bench.faults --strace 40         # so many at random, in the system itself, of a search by processes

A trial is right where the command then ends with a named error or says what it could not do, where all is still there
that was kept before, and where the same command, undisturbed, ends in the weights, models and tables of a search that
nobody disturbed. The command is `python -m fastmlp.train`, in this process, and `python -m fastmlp.report`. Linux only.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path

from bench.disturbed import (
    Count,
    Ended,
    Facts,
    Kept,
    appended,
    differing,
    draw,
    facts,
    kept,
    leave_as_killed,
    lost,
    promised,
    quick,
    train,
)
from bench.faulty import CALLS, ERRORS, SHORT, Failing, Power, lay_out
from bench.readme import markdown

Command = Callable[[Path], Ended]


def count_calls(place: Path, command: Command, before: Path | None = None) -> Counter[str]:
    """Return how many calls of each kind a command makes, from a folder as it was before."""
    out = _fresh(place, before)
    failing = Failing(out)
    with failing.watching():
        done = command(out)
    assert done.status == 0, done.said
    return failing.counts


def _fresh(place: Path, before: Path | None) -> Path:
    out = place / "out"
    shutil.rmtree(out, ignore_errors=True)
    if before is not None:
        shutil.copytree(before, out)
    return out


def fail(place: Path, command: Command, call: tuple[str, int, str], right: Facts, count: Count,
         before: Path | None = None) -> None:  # fmt: skip
    """Try one failure of a command, from an empty folder or one as it was before."""
    out = _fresh(place, before)
    seen: list[Kept] = []
    appended.clear()
    failing = Failing(out, *call, before=lambda: seen.append(kept(out)))
    with failing.watching():
        first = command(out)
    if not seen:  # earlier files were fewer than without a failure before
        return
    sentences = lost(seen[0], out)
    harmless = first.status == 0 and all("is .work/" in sentence for sentence in differing(facts(out), right))
    again = command(out)
    sentences += lost(seen[0], out) + differing(facts(out), right)
    kind, n, error = call
    name = failing.at.name if failing.at is not None else ""
    count.judge(f"{kind} {n} ({error}, {name})", first, again, sentences, harmless=harmless)


def lose_power(place: Path, command: Command, right: Facts, seed: int, only: Callable[[], bool]) -> Count:
    """Take the power away after each call that `only` chooses; each time go on from what the disk may hold."""
    place.mkdir()
    count, out = Count(), _fresh(place, None)
    appended.clear()
    power = Power(place, lambda: promised(out), seed)
    with power.watching():
        done = command(out)
    assert done.status == 0, done.said
    for name, tree, due in power.states:
        if not only():
            continue
        shutil.rmtree(place)
        lay_out(place, tree)
        sentences = lost(due, out)
        again = command(out)
        sentences += differing(facts(out), right)
        count.judge(name, done, again, sentences, harmless=True)
    return count


def main(argv: Sequence[str] | None = None) -> int:
    """Try all; return 1 where anything was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", type=int, default=1, metavar="N", help="try one in N (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="of what is tried then (default: %(default)s)")
    parser.add_argument("--strace", type=int, metavar="N", help="try N calls of processes by strace instead")
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)  # noqa: S311
    if args.strace:
        with tempfile.TemporaryDirectory() as folder:
            return show({"processes, by strace": by_strace(Path(folder), args.strace, rng)})
    with quick(), tempfile.TemporaryDirectory() as folder:
        counts = campaign(Path(folder), args.seed, lambda: rng.randrange(args.part) == 0)
    return show(counts)


def show(counts: Mapping[str, Count]) -> int:
    """Print the table; return 1 where anything was wrong."""
    endings = ("error", "warning", "nothing said")
    lines = [(name, *(f"{one.ends[end]}" for end in endings), f"{len(one.wrong)}") for name, one in counts.items()]
    print(markdown(("what fails", "error", "warning", "nothing lost or said", "wrong"), lines))
    wrong = [sentence for one in counts.values() for sentence in one.wrong]
    print("\n".join(wrong), file=sys.stderr)
    return int(bool(wrong))


# Calls that the sweep alone makes, and how many of each a process of it makes at most. loky unlinks semaphores too.
_TRACED = {"fsync": 60, "rename": 30, "mkdir": 5}
_PROCESSES = (
    "--dataset", "embedded", "--layers", "3072,16,20", "--normalize", "image", "--epochs", "4", "--halving", "2",
    "--seeds", "2", "--threads", "1", "--jobs", "2", "--matmul", "packed", "--grid", "lr=0.01,0.02", "--quiet",
)  # fmt: skip
_SAVING = "import sys; from fastmlp import train; from fastmlp.runs import run; "
_SAVING += "run.CHECKPOINT_SECONDS = 0; sys.exit(train.main(sys.argv[1:]))"


def by_strace(place: Path, tries: int, rng: random.Random) -> Count:
    """Have the n-th call of each process of a sweep fail, or all from there on, in the system itself."""

    def command(out: Path, *before: str) -> Ended:
        words = [*before, sys.executable, "-c", _SAVING, *_PROCESSES, "--out", str(out)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return Ended(None if "Traceback" in done.stderr else done.returncode, done.stderr)

    count = Count()
    assert command(place / "right").status == 0
    right = facts(place / "right")
    for i in range(tries):
        call, error = rng.choice(list(_TRACED)), rng.choice(ERRORS[:-1])
        spec = f"{call}:error={error}:when={rng.randint(1, _TRACED[call])}{rng.choice(('', '+'))}"
        out = place / f"{i}"
        first = command(out, "strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}", "-e", f"inject={spec}")
        harmless = first.status == 0 and not differing(facts(out), right)
        again = command(out)
        count.judge(spec, first, again, differing(facts(out), right), harmless=harmless)
    return count


def campaign(place: Path, seed: int, only: Callable[[], bool]) -> dict[str, Count]:
    """Try each call of the search, of one that goes on after a kill, and of the report: those that `only` chooses."""
    counts: dict[str, Count] = {}
    done, killed = place / "done", place / "killed"
    assert train(done).status == 0
    right = facts(done)
    leave_as_killed(killed)
    assert (first := draw(done)).status == 0, first.said
    drawn = facts(done)
    for name, command, before, wanted in (
        ("search", train, None, right),
        ("search after a kill", train, killed, right),
        ("report", draw, done, drawn),
    ):
        calls = count_calls(place, command, before)
        for kind in CALLS:
            count = counts[f"{name}: {kind}"] = Count()
            for n, error in product(range(calls[kind]), (*ERRORS, *[SHORT] * (kind == "write"))):
                if only():
                    fail(place, command, (kind, n, error), wanted, count, before)
    counts["search: power"] = lose_power(place / "power", train, right, seed, only)
    return counts


if __name__ == "__main__":
    sys.exit(main())
