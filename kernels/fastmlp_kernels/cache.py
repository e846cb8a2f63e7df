"""The disk cache of compiled kernels: its place, what it holds, and how to clear it.

    python -m fastmlp_kernels.cache             show it
    python -m fastmlp_kernels.cache --clear     remove all that is in it

`_cache` says what is kept, and when it goes.
"""

import argparse
import difflib
import io
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fastmlp_kernels import _store
from fastmlp_kernels._cache import package_version

__all__ = ["Removed", "clear", "folder", "summary"]

_ABOUT = f"""It lies in the user's folder for caches (under XDG_CACHE_HOME, or NUMBA_CACHE_DIR, where these are set),
and must be open to the user alone. {_store.VARIABLE}=0 in the environment leaves it unused. A version is one of this
package's code, numba, llvmlite, numpy and Python; entries of older ones, and the longest unused of too many, go by
themselves."""


class Removed(NamedTuple):
    """What `clear` did: files removed, their size in bytes, and files left that it could not remove."""

    files: int
    size: int
    left: int


def folder() -> Path | None:
    """Return the path of the cache's folder, which may not exist or not be used; None where it is unknown."""
    return _store.place()


def _all(where: Path) -> list[_store.Entry]:
    return [file for suffix in (_store.ENTRY, _store.PART) for file in _store.entries(where, suffix)]


def clear() -> Removed:
    """Remove all entries. Processes that have loaded some go on with these; others compile again what they need."""
    where = folder()
    files = _all(where) if where else []
    for file in files:
        _store.remove(file.path)
    left = [file for file in files if file.path.exists()]
    return Removed(
        len(files) - len(left), sum(file.size for file in files) - sum(file.size for file in left), len(left)
    )


def _mib(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("s" if number != 1 else "")


def summary() -> str:
    """Return the cache's place and size, and why it is not used where it is not, a line each."""
    where = folder()
    reason = _store.why_unused(where)
    lines = [("Folder", str(where or "none")), ("Used", f"no: {reason}" if reason else "yes")]
    files = _store.entries(where) if where else []
    if files:
        current = sum(package_version() in file.names for file in files)
        last = max(file.used for file in files)
        when = time.strftime("%Y-%m-%d %H:%M, to the hour", time.localtime(last)) if last else "in the future"
        lines += [
            ("Entries", f"{len(files)}, {current} of this version and {len(files) - current} of others"),
            ("Size", f"{_mib(sum(file.size for file in files))} of at most {_mib(_store.MOST_BYTES)}"),
            ("Last used", when),
        ]
    else:
        lines.append(("Entries", "0"))
    listing = "\n".join(f"{name:<10} {text}" for name, text in lines)
    return listing.encode(errors="backslashreplace").decode()  # a path may hold bytes that are no UTF-8


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, 1 where something could not be removed."""
    parser = argparse.ArgumentParser(
        prog="python -m fastmlp_kernels.cache",
        description="Show the cache of compiled kernels on disk, or clear it.",
        epilog=_ABOUT,
        allow_abbrev=False,
    )
    parser.add_argument("--clear", action="store_true", help="remove all that is in it")
    given, left = parser.parse_known_args(arguments)
    if left:
        meant = " Did you mean '--clear'?" if difflib.get_close_matches(left[0], ["--clear", "clear"]) else ""
        parser.error(f"unrecognized arguments: {' '.join(left)}.{meant} --help lists what is allowed.")
    if not given.clear:
        print(summary())
        return 0
    removed, where = clear(), folder()
    print(f"Removed {_count(removed.files, 'file')}, {_mib(removed.size)}" + (f", from {where}." if where else "."))
    if removed.left:
        print(f"{_count(removed.left, 'file')} could not be removed: check who owns {where}.", file=sys.stderr)
    return 1 if removed.left else 0


def _program() -> int:
    """Run `main` and return its exit status; errors of the user or of standard output print no traceback."""
    try:
        status = main()
        print(end="", flush=True)
    except KeyboardInterrupt:
        status = 130
    except OSError as error:
        status = 141 if isinstance(error, BrokenPipeError) else 2  # of a pipe that nobody reads
        if status == 2:
            print(f"error: {error}", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still has to write there
    return status


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it is closed
            stream.reconfigure(errors="backslashreplace")
    raise SystemExit(_program())
