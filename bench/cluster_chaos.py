"""Hit a sweep on a dask cluster at random moments: its scheduler, its workers, the command, the network between.

    python -m bench.cluster_chaos --out runs/cluster-chaos --kills 50

The same command of `python -m fastmlp.train --scheduler` is given until it has been hit as often as asked for, and has
ended by itself; a sweep that has all its runs before that is followed by the same one in a new folder. What a hit broke
is mended after the command has ended, or has told of it. A hit is survived where that took 30 seconds at most (of a
worker: where meanwhile no 30 seconds passed without a batch or a word), with exit status 2 where the scheduler could
not be reached; at the end every run must be there once, done, with the hash of the weights of a sweep that nobody
disturbed. Linux only.
"""

import argparse
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from bench.chaos import LOOK_SECONDS, RUNS, Hashes, Process, command, differences, hashes, tell
from bench.cluster_peers import Network, Peers
from bench.readme import markdown

LONGEST_SECONDS = 8.0  # between two hits
HANG_SECONDS = 30.0
WORKERS = 2
# In one command: a run whose worker dies three times is given up.
MOST_HITS = 2
# Of commands that nothing hit: what was hit before may need a moment.
MOST_REFUSED = 3
NOISE = (b"Traceback", b"distributed.", b"Task was destroyed", b"Exception ignored")


@dataclass
class Count:
    """What came of hits of one kind: lost runs and wrong bits are those of the sweeps that it hit."""

    tried: int = 0
    survived: int = 0
    seconds: float = 0.0
    lost: int = 0
    bits: int = 0


@dataclass
class Sweep:
    """The command under way, and all that it needs."""

    peers: Peers
    network: Network
    rng: random.Random
    runs: Sequence[str]
    folder: Path
    process: Process | None = None
    before: int = 0  # bytes of output of the commands before this one
    since: float = 0.0  # when it last did something, or began to look for the scheduler

    def begin(self) -> None:
        """Give the command."""
        there = ("--scheduler", f"tcp://127.0.0.1:{self.network.port}")
        self.network.to = self.peers.port
        self.process = command(self.folder, (*self.runs, *there), self.folder.parent / "temporary", keeps=True)
        self.before = len(self.output())

    @property
    def status(self) -> int | None:
        """How the command ended, None where it has not."""
        return None if self.process is None else self.process.poll()

    def output(self) -> bytes:
        """Return what all the commands of this folder said."""
        return (self.folder / "output.txt").read_bytes()

    def wait(self, holds: Callable[[], bool] | None = None) -> bool:
        """Wait for the command's end, or what holds before; return False once it hangs.

        Where something may hold it must say or do something within 30 seconds: a result, or a batch of a run. Where it
        can only end, it must within 30 seconds of when it began to look for the scheduler.
        """
        files = [self.folder / name for name in ("output.txt", "runs.jsonl", ".work/board")]
        signs, self.since = list[bytes](), time.monotonic()
        while self.status is None and not (holds and holds()):
            if holds:
                now = [_content(file) for file in files]
                signs, self.since = now, self.since if now == signs else time.monotonic()
            elif b"Scheduler: " not in self.output()[self.before :]:
                self.since = time.monotonic()
            if time.monotonic() - self.since > HANG_SECONDS:
                return False
            time.sleep(LOOK_SECONDS)
        return True


def _content(file: Path) -> bytes:
    with suppress(FileNotFoundError):
        return file.read_bytes()
    return b""


def _never() -> bool:
    return False


# A hit returns what tells that the command has found out, if not its end, and what mends it, if not what mends all.
Hit = tuple[Callable[[], bool] | None, Callable[[], object]]


def scheduler_killed(sweep: Sweep) -> Hit:
    """Kill it (SIGKILL). Its workers find out by themselves."""
    sweep.peers.scheduler.kill()
    return None, sweep.peers.scheduler.wait


def scheduler_terminated(sweep: Sweep) -> Hit:
    """Ask it to end (SIGTERM)."""
    sweep.peers.scheduler.terminate()
    return None, sweep.peers.scheduler.wait


def scheduler_stopped(sweep: Sweep) -> Hit:
    """Stop its process, so that it stays connected and silent (SIGSTOP); half the time it goes on afterwards."""
    sweep.peers.scheduler.send_signal(signal.SIGSTOP)
    after = signal.SIGCONT if sweep.rng.random() < 0.5 else signal.SIGKILL
    return None, lambda: (sweep.peers.scheduler.send_signal(after), time.sleep(1.0))


def worker_killed(sweep: Sweep) -> Hit:
    """Kill one of the workers (SIGKILL); another one joins.

    One that the command did not yet use it does not tell of: then it is enough that a run ends on another.
    """
    address, worker = sweep.rng.choice(list(sweep.peers.workers.items()))
    told = _told(sweep, address, b"\nrun ")
    worker.kill()
    del sweep.peers.workers[address]
    return told, sweep.peers.worker


def worker_stopped(sweep: Sweep) -> Hit:
    """Stop one of the workers (SIGSTOP), which wakes up after the sweep has given it up, in the midst of its run."""
    address, worker = sweep.rng.choice(list(sweep.peers.workers.items()))
    told = _told(sweep, address)
    worker.send_signal(signal.SIGSTOP)
    return told, lambda: worker.send_signal(signal.SIGCONT)


def _told(sweep: Sweep, address: str, *others: bytes) -> Callable[[], bool]:
    before = max(0, len(sweep.output()) - 1)  # with the end of the line before
    words = [f"Worker {address} {how}".encode() for how in ("is gone", "no longer answers", "does not answer")]
    words += others
    return lambda: any(word in sweep.output()[before:] for word in words)


def command_killed(sweep: Sweep) -> Hit:
    """Kill the command (SIGKILL). Its runs go on on the workers, unseen, while the next one begins."""
    assert sweep.process is not None
    sweep.process.kill()
    return None, sweep.process.wait


def network_cut(sweep: Sweep) -> Hit:
    """End the command's connections, and refuse others."""
    sweep.network.cut()
    return None, sweep.network.mend


def network_frozen(sweep: Sweep) -> Hit:
    """Let nothing through to the command nor from it, with its connections open."""
    sweep.network.freeze()
    return None, sweep.network.mend


HITS: tuple[Callable[[Sweep], Hit], ...] = (
    scheduler_killed, scheduler_terminated, scheduler_stopped, worker_killed, worker_stopped, command_killed,
    network_cut, network_frozen,
)  # fmt: skip
KINDS = {hit.__name__.replace("_", " "): hit for hit in HITS}


def disturbed(
    out: Path, kinds: Sequence[str], rng: random.Random, runs: Sequence[str], right: Hashes
) -> tuple[dict[str, Count], list[str]]:
    """Give the command, and hit it once by each of these kinds, in turn; return the counts, and what was wrong."""
    counts, wrong, left = {kind: Count() for kind in kinds}, list[str](), list(kinds)
    with Network() as network, Peers(out / "peers") as peers:
        peers.start(WORKERS)
        for number in count():
            sweep, hit, refused = Sweep(peers, network, rng, runs, out / f"{number}"), set[str](), 0
            while sweep.status != 0 and refused < MOST_REFUSED:
                sweep.begin()
                before = len(left)
                for _ in range(MOST_HITS):
                    moment = time.monotonic() + rng.uniform(0, LONGEST_SECONDS)
                    if not left or not sweep.wait(lambda moment=moment: time.monotonic() > moment):
                        break
                    if sweep.status is None:
                        hit.add(kind := left.pop(0))
                        wrong += _hit(sweep, kind, counts[kind])
                        tell(f"hit {len(kinds) - len(left)} of {len(kinds)}: {kind}")
                if not sweep.wait(_never):
                    wrong.append(f"the command in {sweep.folder} hangs")
                    command_killed(sweep)[1]()
                refused = refused + 1 if sweep.status == 2 and len(left) == before else 0
                if sweep.status not in (0, 2, -signal.SIGKILL):
                    wrong.append(f"the command in {sweep.folder} ended with status {sweep.status}")
                    break
            if refused:
                wrong.append(f"the command in {sweep.folder} was refused, and nothing had hit it")
            wrong += [f"{noise.decode()!r} is in {sweep.folder}" for noise in NOISE if noise in sweep.output()]
            found = hashes(sweep.folder)
            wrong += [f"{sweep.folder}: {sentence}" for sentence in differences(found, right)]
            for kind in hit:
                counts[kind].lost += len(
                    {name for name, *_ in right} - {name for name, is_, _ in found if is_ == "done"}
                )
                counts[kind].bits += len([run for run in found if run[1] == "done" and run not in right])
            if not left or sweep.status != 0:
                return counts, wrong
    raise AssertionError("counting ends")


def _hit(sweep: Sweep, kind: str, counts: Count) -> list[str]:
    """Hit it, see what comes of that, and mend it; return what was wrong."""
    began = time.monotonic()
    told, mend = KINDS[kind](sweep)
    fine = sweep.wait(told)
    counts.tried += 1
    counts.seconds = max(counts.seconds, time.monotonic() - (began if told else sweep.since))
    if not fine:
        command_killed(sweep)[1]()
    counts.survived += fine and sweep.status in (None, 0, 2, -signal.SIGKILL)
    mend()
    if sweep.peers.scheduler.poll() is not None:
        sweep.peers.start(WORKERS)
    return [] if fine else [f"{kind}: the command in {sweep.folder} hangs"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the campaign; return 1 where anything was lost."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.cluster_chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for all the sweeps")
    parser.add_argument("--kills", type=int, default=50, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS, help="(default: all)", metavar="KIND")
    parser.add_argument("--seed", type=int, default=0, help="of kinds and moments (default: %(default)s)")
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)  # noqa: S311
    kinds = [args.kinds[i % len(args.kinds)] for i in range(args.kills)]
    rng.shuffle(kinds)
    return run(args.out, kinds, rng)


def run(out: Path, kinds: Sequence[str], rng: random.Random, runs: Sequence[str] = RUNS) -> int:
    """Hit a sweep by these kinds, one after the other; print the table."""
    if out.exists() and any(out.iterdir()):
        print(f"error: --out {out} holds something already; choose an empty folder.", file=sys.stderr)
        return 2
    runs = [word for word in runs if word != "--quiet"]  # what is told of workers is looked for
    undisturbed = command(out / "undisturbed", runs, out / "temporary", keeps=True)
    status, right = undisturbed.wait(), hashes(out / "undisturbed")
    if status or any(is_ != "done" for _, is_, _ in right):
        print(f"error: nobody disturbed the sweep in {out / 'undisturbed'}, and it failed.", file=sys.stderr)
        return 2
    counts, wrong = disturbed(out, kinds, rng, runs, right)
    lines = [
        (kind, f"{c.tried}", f"{c.survived}", f"{c.seconds:.1f} s", f"{c.lost}", f"{c.bits}")
        for kind, c in sorted(counts.items())
    ]
    print(markdown(("hit", "tried", "survived", "longest until it was told", "runs lost", "wrong bits"), lines))
    print(*wrong, sep="\n", end="")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
