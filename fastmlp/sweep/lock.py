"""The lock of a sweep's folder, which the system frees when its process dies, and a file that names its owner."""

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from fastmlp.errors import ConfigError, OutputError
from fastmlp.files import check_no_links, json_of, make_folder, read_small, write_whole
from fastmlp.nn.checks import is_whole

WORK, OWNER = ".work", "owner.json"
_MOST_BYTES = 1 << 16  # of the latter


@contextmanager
def held(folder: Path) -> Iterator[list[str]]:
    """Hold the lock of a sweep's folder, made where it is missing; yield notes for the user.

    The notes are empty but where the sweep before this one was killed. Raises ConfigError where another sweep holds the
    lock, and OutputError where the folder cannot be locked, or a link is in the place of its files.
    """
    check_no_links(folder, WORK)
    work = folder / WORK
    # Without flock it would else go on with a mere file, which outlives its process.
    lock, owner = FileLock(work / "lock", fallback_to_soft=False), work / OWNER
    try:
        _acquire(work, lock)
    except Timeout as error:
        raise ConfigError(
            f"--out {folder} is in use by the sweep of {_read(owner) or 'another process'}. Wait for its end, stop it, "
            "or choose another --out."
        ) from error
    except OSError as error:
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
        _end(work, lock)


def _acquire(work: Path, lock: FileLock, tries: int = 10) -> None:
    try:
        make_folder(work)
        lock.acquire(timeout=0)
    except (FileNotFoundError, FileExistsError):  # the sweep before this one may just be removing its folder
        if tries == 1:
            raise
        _acquire(work, lock, tries - 1)


def _end(work: Path, lock: FileLock) -> None:
    """Free the lock; remove its folder if it is empty otherwise, as after each sweep that came to its end."""
    with suppress(OSError):
        for path in work.iterdir():
            with suppress(OSError):
                path.rmdir()
        if [path.name for path in work.iterdir()] == ["lock"]:
            (work / "lock").unlink()  # held yet: who has opened it by then sees that it is gone
    lock.release()
    with suppress(OSError):
        work.rmdir()


def _write(owner: Path) -> None:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    write_whole(owner, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}) + "\n")


def _read(owner: Path) -> str:
    """Return the owner that the file names, in words; empty where no such file exists."""
    try:
        facts = json_of(read_small(owner, _MOST_BYTES))
        pid, host, since = facts["pid"], facts["host"], facts["since"]
        if is_whole(pid, 1) and all(isinstance(word, str) and word.isprintable() for word in (host, since)):
            return f"process {pid} on host {host} (since {since})"
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return f"an unknown process ({owner.name} is damaged)"
