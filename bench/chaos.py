"""Kill workers and whole sweeps at random moments, go on each time, and compare with a sweep that nobody disturbed.
What is left behind is looked for too: after each kill in memory, at the end in the sweep's folder and in the temporary
folder.

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
from fastmlp.runs.results import load_results

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
STOP_SECONDS = 60.0

# What a sweep that has ended leaves in its folder, and the file that `command` writes.
RESULTS = {"models", "results.json", "runs.jsonl", "sweep.toml", "table.csv", "table.md", "output.txt"}
# How a command may end: by itself, with a run that failed, stopped or killed.
STATUSES = (0, 1, 130, 143, -signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL)

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
    left: list[str] = field(default_factory=list)


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


def kill_all(sweep: Process, rng: random.Random) -> list[str]:  # noqa: ARG001 - as `kill_worker`
    """Kill the sweep with all that belongs to it at once, as the end of a container does."""
    with suppress(ProcessLookupError):
        os.killpg(sweep.pid, signal.SIGKILL)
    sweep.wait()
    return []


def stop_sweep(sweep: Process, rng: random.Random) -> list[str]:
    """Ask the sweep to end, by Ctrl-C or as a batch system does, once or twice, as soon as it has a worker."""
    while sweep.poll() is None and not workers_of(sweep.pid):
        time.sleep(LOOK_SECONDS)
    for _ in range(rng.randint(1, 2)):
        with suppress(ProcessLookupError):
            sweep.send_signal(rng.choice((signal.SIGINT, signal.SIGTERM)))
        with suppress(subprocess.TimeoutExpired):
            sweep.wait(rng.uniform(0, 1))
    try:
        sweep.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        sweep.kill()
        return [f"a sweep that was asked to end lived on for {STOP_SECONDS:g} s"]
    return []


def in_memory(temporary: Path, pid: int) -> list[str]:
    """Say which processes of a sweep live though it has ended, and which of its semaphores are in shared memory."""
    end, processes = time.perf_counter() + ORPHAN_SECONDS, ["some"]
    while processes and time.perf_counter() < end:
        processes = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _has(path, temporary)]
        time.sleep(LOOK_SECONDS)
    names = [path.name for path in Path("/dev/shm").glob(f"*-{pid}-*")]  # noqa: S108
    return [f"process {number} lives" for number in processes] + [f"{name} in shared memory" for name in names]


def _has(environment: Path, temporary: Path) -> bool:
    try:
        return f"TMPDIR={temporary}\0".encode() in environment.read_bytes()
    except OSError:  # it has just ended, or is another user's
        return False


def on_disk(folder: Path, temporary: Path) -> list[str]:
    """Say what a sweep that has ended has left in its folder besides results, and in the temporary one."""
    odd = [path for path in folder.iterdir() if path.name not in RESULTS]
    odd += [path for path in folder.glob("*/*") if path.name.startswith(".")]
    return [str(path.relative_to(folder.parent)) for path in sorted(odd)] + [path.name for path in temporary.iterdir()]


def command(folder: Path, runs: Sequence[str], temporary: Path, *, keeps: bool) -> Process:
    """Give the sweep's command, its output added to a file in the folder."""
    for place in (folder, temporary):
        place.mkdir(parents=True, exist_ok=True)
    with (folder / "output.txt").open("ab") as output:
        kept = ["--retry", "failed", "--out", str(folder)] if keeps else []
        words = [sys.executable, "-m", "fastmlp.train", *runs, *kept]
        environment = os.environ | {"TMPDIR": str(temporary)}
        return subprocess.Popen(words, stdout=output, stderr=output, env=environment, start_new_session=True)


def disturbed(
    out: Path, kills: int, kill: Kill, rng: random.Random, runs: Sequence[str], right: Hashes, *, keeps: bool = True
) -> Outcome:
    """Give the command, and kill, until so many kills are done and a command has ended with status 0.

    A sweep that has all its runs before that is followed by the same one in a new folder. keeps : whether it has one
    """
    outcome, began, temporary = Outcome(), time.perf_counter(), out / "temporary"
    for number in count():
        folder, status = out / f"{number}", None
        while status != 0:
            sweep = command(folder, runs, temporary, keeps=keeps)
            outcome.commands += 1
            while sweep.poll() is None:
                try:
                    sweep.wait(rng.uniform(0, LONGEST_SECONDS) if outcome.kills < kills else None)
                except subprocess.TimeoutExpired:
                    outcome.wrong += kill(sweep, rng)
                    outcome.kills += 1
                    tell(f"{out.name}: kill {outcome.kills} of {kills}, in command {outcome.commands}")
            status = sweep.returncode
            outcome.left += in_memory(temporary, sweep.pid)
            if status not in STATUSES:
                outcome.wrong.append(f"command {outcome.commands} ended with status {status}")
                break
        if b"Traceback" in (folder / "output.txt").read_bytes():
            outcome.wrong.append(f"there is a traceback in {folder / 'output.txt'}")
        outcome.left += on_disk(folder, temporary)
        if keeps:
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
    parser.add_argument(
        "--stopped", type=int, default=10, metavar="N", help="by Ctrl-C, SIGTERM (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    args = parser.parse_args(argv)
    rng = random.Random(args.seed)  # noqa: S311
    return run(args.out.absolute(), args.workers_killed, args.sweeps_killed, args.stopped, rng)


def run(out: Path, workers: int, sweeps: int, stopped: int, rng: random.Random, runs: Sequence[str] = RUNS) -> int:
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
        "sweeps killed with their workers": disturbed(out / "groups", sweeps, kill_all, rng, runs, right),
        "sweeps stopped": disturbed(out / "stopped", stopped, stop_sweep, rng, runs, right),
        "sweeps without --out killed": disturbed(out / "none", sweeps // 4, kill_all, rng, runs, right, keeps=False),
    }
    same = f"the same for {len(right)} runs"
    lines = [
        (name, f"{o.kills}", f"{o.commands}", f"{o.seconds:.0f} s", "; ".join(o.wrong) or same, _few(o.left))
        for name, o in outcomes.items()
    ]
    print(markdown(("scenario", "kills", "commands", "wall time", "weights", "left behind"), lines))
    return int(any(outcome.wrong or outcome.left for outcome in outcomes.values()))


def _few(left: Sequence[str]) -> str:
    return ("; ".join(left[:3]) + f"; {len(left)} in all" * (len(left) > 3)) or "nothing"


if __name__ == "__main__":
    sys.exit(main())
