"""`runs.jsonl`: every result of a sweep, one line a run, each line with its length and CRC so that damage shows.

A line is JSON of its own, for other people's tools too:
`{"length": 1234, "crc32": "9ab3c0de", "run": {...}}`, where length and CRC-32 are of the UTF-8 bytes of the run's
object as it stands in the line. Lines are only ever added; the newest line of a run counts.
"""

import errno
import io
import json
import os
import re
import zlib
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path

from fastmlp.errors import ConfigError, DataError, OutputError, remedy
from fastmlp.files import json_of, read_small, sync_folder, write_whole
from fastmlp.runs.results import MOST_BYTES, RunResult

# The first group is what stands before a whole line without a newline between: a write that was cut off. Being greedy
# it reaches to the last head, and no run's object holds one: there are no blanks after its colons, and its texts have
# their quotation marks escaped.
_LINE = re.compile(rb'(.*)\{"length": (\d{1,12}), "crc32": "([0-9a-f]{8})", "run": (.*)\}\n')


class Store:
    """A file of results at `path`, which need not exist. Only the process that holds its folder's lock may use it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, run: RunResult) -> None:
        """Add a result as a line, on the disk when this returns; OutputError, and nothing added, where it cannot be."""
        text = json.dumps(run.to_json(), separators=(",", ":"), allow_nan=False).encode()
        line = b'{"length": %d, "crc32": "%08x", "run": %b}\n' % (len(text), zlib.crc32(text), text)
        try:
            if self.path.is_symlink():  # where the system cannot be told to follow none
                raise OSError(errno.ELOOP, "it is a symbolic link, through which nothing is written")
            with open(self.path, "ab", buffering=0, opener=_open) as file:
                size = os.fstat(file.fileno()).st_size
                try:
                    # One write, so that a kill finds all of the line or none, or at worst leaves a tail without an end.
                    written = os.write(file.fileno(), line)
                    if written < len(line):
                        raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes fitted")
                    os.fsync(file.fileno())
                    if size == 0:
                        sync_folder(self.path.parent)  # or the new file's name could be lost
                except OSError:
                    with suppress(OSError):
                        os.ftruncate(file.fileno(), size)
                    raise
        except OSError as error:
            raise OutputError(
                f"A run's result could not be added to {self.path} ({error}). "
                f"{remedy(error, 'choose another folder')} The same command again runs what is missing."
            ) from error

    def load(self, *, mend: bool = True) -> tuple[list[RunResult], list[str]]:
        """Return the results of all whole lines, in order, and sentences on damaged lines and where they are now.

        mend : whether to move damaged lines to a file beside this one; False, as for one who only reads while a sweep
            may write, leaves them

        Raises DataError for a file that cannot be read, or with whole lines of another version, and OutputError where
        damaged lines cannot be moved; the file is then as it was.
        """
        try:
            data = read_small(self.path, MOST_BYTES)
        except FileNotFoundError:
            return [], []
        except (OSError, DataError) as error:
            raise DataError(
                f"{self.path} could not be read ({error}). Make it readable or choose another --out."
            ) from error
        runs: list[RunResult] = []
        whole: list[bytes] = []
        damaged, lines = bytearray(), 0  # not one by one: a million of them may be empty
        for line in io.BytesIO(data):
            before, run = self._read(line)
            if run is not None:
                runs.append(run)
                whole.append(line[len(before) :])
            if before:
                damaged += before
                lines += 1
        return runs, [self._set_aside(damaged, lines, whole)] if damaged and mend else []

    def _read(self, line: bytes) -> tuple[bytes, RunResult | None]:
        """Return the damaged beginning of a line, up to all of it, and the result in the rest, or None."""
        match = (
            _LINE.fullmatch(line) if line.endswith(b"}\n") else None
        )  # one without an end would be tried at each head
        if match is None:
            return line, None
        before, length, crc, text = match.groups()
        if len(text) != int(length) or zlib.crc32(text) != int(crc, 16):
            return line, None
        try:
            values = json_of(text)
        except DataError:
            return line, None
        try:
            return before, RunResult.from_json(values)
        except (DataError, ConfigError) as error:
            raise DataError(
                f"{self.path} was written by another version of fastmlp ({error}). Go on with that version, or choose "
                "another --out."
            ) from error

    def _set_aside(self, damaged: bytearray, lines: int, whole: list[bytes]) -> str:
        """Move damaged lines to a new file, leave the whole ones in this, and return a sentence on it."""
        aside = next(p for n in count(1) if not (p := self.path.with_name(f"{self.path.name}.damaged-{n}")).exists())
        try:
            write_whole(aside, bytes(damaged))  # before the only other copy goes
        except OutputError as error:
            raise OutputError(f"{self.path} has damaged lines, which could not be set aside: {error}") from error
        write_whole(self.path, b"".join(whole))
        told = "1 damaged line" if lines == 1 else f"{lines} damaged lines"
        return (
            f"{self.path} had {told} ({len(damaged)} bytes), as a kill in the middle of a write leaves "
            f"them; now in {aside.name}."
        )


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def newest(runs: Iterable[RunResult]) -> dict[str, RunResult]:
    """Return the last result of each run id, in the order in which the ids first appear."""
    return {run.run_id: run for run in runs}
