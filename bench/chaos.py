"""Kill workers and whole sweeps at random moments, go on each time, and compare with a sweep that nobody disturbed.

    python -m bench.chaos --out runs/chaos

Each scenario gives the same command of `python -m fastmlp.train` until it has been hit as often as asked for and has
ended by itself. It holds where `results.json` then has every run exactly once, done, with the hash of the undisturbed
sweep's weights. Linux only: worker processes are found in /proc.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.readme import markdown
from fastmlp.results import load_results

# Each run takes a few seconds on a core, so that most kills find one at work.
RUNS = (
    "--dataset", "embedded", "--layers", "3072,128,20", "--activation", "relu", "--epochs", "60", "--patience", "60",
    "--normalize", "image", "--seeds", "6", "--matmul", "packed", "--threads", "1", "--jobs", "2", "--quiet",
)  # fmt: skip
# Between two kills: long enough that a run can come to its end.
LONGEST_SECONDS = 10.0
LOOK_SECONDS = 0.02
WORKER = b"fastmlp.sweep.worker"  # in a worker's command line
ORPHAN_SECONDS = 10.0

Hashes = list[tuple[str, str, str]]
Process = subprocess.Popen[bytes]
Kill = Callable[[Process, random.Random], list[str]]


@dataclass
class Outcome:
    """What a scenario took, and what was wrong with it."""

    kills: int = 0
    commands: int = 0
    seconds: float = 0.0
    wrong: list[str] = field(default_factory=list)


def tell(sentence: str) -> None:
    """Print a line of progress."""
    print(sentence, file=sys.stderr, flush=True)


def alive(pid: int) -> tuple[int, bytes] | None:
    """Return a process's parent and command line; None where it has ended."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
        return None if state == "Z" else (int(parent), Path(f"/proc/{pid}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return None


def workers_of(parent: int) -> list[int]:
    """Return the ids of the worker processes of a sweep."""
    processes = [(int(path.name), alive(int(path.name))) for path in Path("/proc").glob("[0-9]*")]
    return sorted(pid for pid, facts in processes if facts and facts[0] == parent and WORKER in facts[1])


def kill_worker(sweep: Process, rng: random.Random) -> list[str]:
    """Kill one worker, as soon as there is one."""
    while sweep.poll() is None:
        if workers := workers_of(sweep.pid):
            with suppress(ProcessLookupError):
                os.kill(rng.choice(workers), signal.SIGKILL)
                break
        time.sleep(LOOK_SECONDS)
    return []


def kill_sweep(sweep: Process, rng: random.Random) -> list[str]:  # noqa: ARG001 - as `kill_worker`
    """Kill the sweep's own process; return a sentence for each worker that does not end by itself then."""
    workers = workers_of(sweep.pid)
    sweep.kill()
    sweep.wait()
    end = time.perf_counter() + ORPHAN_SECONDS
    while any(map(alive, workers)) and time.perf_counter() < end:
        time.sleep(LOOK_SECONDS)
    left = [pid for pid in workers if alive(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return [f"worker {pid} lived on for {ORPHAN_SECONDS:g} s" for pid in left]


def command(folder: Path, runs: Sequence[str]) -> Process:
    """Give the sweep's command, its output added to a file in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("ab") as output:
        words = [sys.executable, "-m", "fastmlp.train", *runs, "--retry", "failed", "--out", str(folder)]
        return subprocess.Popen(words, stdout=output, stderr=output)


def disturbed(out: Path, kills: int, kill: Kill, rng: random.Random, runs: Sequence[str], right: Hashes) -> Outcome:
    """Give the command, and kill, until so many kills are done and a command has ended with status 0.

    A sweep that has all its runs before that is followed by the same one in a new folder.
    """
    outcome, began = Outcome(), time.perf_counter()
    for number in count():
        folder, status = out / f"{number}", None
        while status != 0:
            sweep = command(folder, runs)
            outcome.commands += 1
            while sweep.poll() is None:
                try:
                    sweep.wait(rng.uniform(0, LONGEST_SECONDS) if outcome.kills < kills else None)
                except subprocess.TimeoutExpired:
                    outcome.wrong += kill(sweep, rng)
                    outcome.kills += 1
                    tell(f"{out.name}: kill {outcome.kills} of {kills}, in command {outcome.commands}")
            status = sweep.returncode
            if status not in (0, 1, -signal.SIGKILL):
                outcome.wrong.append(f"command {outcome.commands} ended with status {status}")
                break
        if b"Traceback" in (folder / "output.txt").read_bytes():
            outcome.wrong.append(f"there is a traceback in {folder / 'output.txt'}")
        outcome.wrong += [f"{folder}: {sentence}" for sentence in differences(hashes(folder), right)]
        if outcome.kills >= kills or status != 0:
            break
    outcome.seconds = time.perf_counter() - began
    return outcome


def hashes(folder: Path) -> Hashes:
    """Return run id, status and hash of each run in the folder's results.json."""
    if not (folder / "results.json").exists():
        return []
    return [(run.run_id, run.status, run.weights_sha256) for run in load_results(folder / "results.json")[1]]


def differences(found: Hashes, right: Hashes) -> list[str]:
    """Say how runs differ from those that are right: missing, there twice or not known, not done, of other weights."""
    times = Counter(name for name, *_ in found)
    expected = dict.fromkeys(name for name, *_ in right)
    sentences = [f"run {name} is there {times[name]} times" for name in expected if times[name] != 1]
    sentences += [f"run {name} is none of the sweep's" for name in times if name not in expected]
    other = [run for run in found if run[0] in expected and run not in right]
    return sentences + [f"run {name} is {status} with the weights {sha256[:8]}" for name, status, sha256 in other]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios; return 1 where anything differs."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="an empty folder for all the sweeps")
    parser.add_argument("--workers-killed", type=int, default=20, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--sweeps-killed", type=int, default=20, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args(argv)
    return run(args.out, args.workers_killed, args.sweeps_killed, random.Random(args.seed))  # noqa: S311


def run(out: Path, workers: int, sweeps: int, rng: random.Random, runs: Sequence[str] = RUNS) -> int:
    """Run the scenarios with these kills; print the table."""
    if out.exists() and any(out.iterdir()):
        print(f"error: --out {out} holds something already; choose an empty folder.", file=sys.stderr)
        return 2
    quiet = disturbed(out / "undisturbed", 0, kill_sweep, rng, runs, [])
    right = hashes(out / "undisturbed" / "0")
    quiet.wrong = [f"run {name} is {status}" for name, status, _ in right if status != "done"] or (
        [] if right else ["there are no results"]
    )
    outcomes = {
        "undisturbed": quiet,
        "workers killed": disturbed(out / "workers", workers, kill_worker, rng, runs, right),
        "sweeps killed": disturbed(out / "sweeps", sweeps, kill_sweep, rng, runs, right),
    }
    same = f"the same for {len(right)} runs"
    lines = [
        (name, f"{o.kills}", f"{o.commands}", f"{o.seconds:.0f} s", "; ".join(o.wrong) or same)
        for name, o in outcomes.items()
    ]
    print(markdown(("scenario", "kills", "commands", "wall time", "weights"), lines))
    return int(any(outcome.wrong for outcome in outcomes.values()))


if __name__ == "__main__":
    sys.exit(main())
