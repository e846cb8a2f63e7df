"""The cause of a worker process's death: its exit status, and whether the system killed it for want of memory."""

import re
import signal
from concurrent.futures import BrokenExecutor
from pathlib import Path

_MEANING = {
    "SIGKILL": "by hand, or by the system for want of memory",
    "SIGTERM": "asked to end by someone, or by a batch system",
    "SIGHUP": "its terminal was closed",
    "SIGSEGV": "a fault in compiled code, or a full stack",
    "SIGBUS": "a mapped file was cut short, or its disk is full or broken",
    "SIGILL": "an instruction that this CPU does not have",
    "SIGFPE": "a division that this CPU cannot do",
    "SIGABRT": "a library gave up",
    "SIGXCPU": "its limit of CPU time",
    "SIGXFSZ": "its limit of a file's size",
}


class WorkerDied(BrokenExecutor):
    """A worker process ended in the midst of a run.

    status : as of `subprocess`, below 0 for a signal; short : whether the system killed processes for memory meanwhile
    """

    def __init__(self, status: int, short: bool = False) -> None:
        self.for_memory = short and status == -getattr(signal, "SIGKILL", 9)
        self.was_killed = status in (-9, -15)
        super().__init__(_in_words(status, for_memory=self.for_memory))


def _in_words(status: int, *, for_memory: bool) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    meaning = "by the system for want of memory" if for_memory else _MEANING.get(name, "")
    return f"was killed by {name}" + f" ({meaning})" * bool(meaning)


def memory_kills(root: Path = Path("/")) -> int:
    """Return how many processes the system has killed for want of memory; 0 where it does not say.

    It counts those of this process's control group, as in a container, or where no group counts, of the machine.
    """
    for path in _counters(root):
        try:
            if found := re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE):
                return int(found[1])
        except (OSError, ValueError):
            continue
    return 0


def _counters(root: Path) -> list[Path]:
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except (OSError, ValueError):  # not Linux
        return []
    groups, found = root / "sys/fs/cgroup", list[Path]()
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        for place in (path.strip("/"), ""):  # in a container its own group is the top one
            if not controllers:
                found.append(groups / place / "memory.events")
            elif "memory" in controllers.split(","):
                found.append(groups / "memory" / place / "memory.oom_control")
    return [*found, root / "proc/vmstat"]
