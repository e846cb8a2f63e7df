"""One sweep a folder: a lock that the system frees when its process dies, and a file that says whose it is."""

import json
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from fastmlp.errors import ConfigError, OutputError
from fastmlp.files import json_of, make_folder, read_small, write_whole

WORK, OWNER = ".work", "owner.json"


@contextmanager
def held(folder: Path) -> Iterator[list[str]]:
    """Hold the lock of a sweep's folder, which is made where it is missing; gives sentences for the user.

    There is one where a sweep before this one was killed. Raises ConfigError where another sweep holds the lock, and
    OutputError where the folder cannot be locked.
    """
    work = folder / WORK
    lock, owner = FileLock(work / "lock"), work / OWNER
    try:
        make_folder(work)
        with warnings.catch_warnings():
            # Without flock, newer versions of filelock warn and go on with a mere file, which outlives its process.
            warnings.simplefilter("error", UserWarning)
            lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigError(
            f"--out {folder} is in use by the sweep of {_read(owner) or 'another process'}. Wait for its end, stop it, "
            "or choose another --out."
        ) from error
    except (OSError, NotImplementedError, UserWarning) as error:
        raise OutputError(
            f"--out {folder} cannot be locked, so that two sweeps could write there at once ({error}). Allowed is a "
            "folder that can be written to, on a file system with locks (a local disk has them); choose another."
        ) from error
    try:
        dead = _read(owner)
        _write(owner)
        yield (
            [f"A sweep of {dead} ended without cleaning up (killed or crashed); its lock is taken over."]
            if dead
            else []
        )
    finally:
        with suppress(OSError):
            owner.unlink()
        lock.release()


def _write(owner: Path) -> None:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    write_whole(owner, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}) + "\n")


def _read(owner: Path) -> str:
    """Return the process that the file names, in words; nothing where there is no such file."""
    try:
        facts = json_of(read_small(owner))
        return f"process {facts['pid']} on host {facts['host']} (since {facts['since']})"
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        return f"an unknown process ({owner.name} is damaged)"
