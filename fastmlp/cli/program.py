"""The outermost level of each command: the start and the end of its process, and its standard streams.

A command's module begins, before all other imports, by

    if __name__ == "__main__":
        from fastmlp.cli import program

        program.run("fastmlp.its_name")

From there on a signal ends the program by one line, a terminal that is gone costs only what would be said there, and a
standard output that fails is an OutputError.
"""

import io
import os
import sys

from fastmlp import signals
from fastmlp.errors import OutputError

TYPE_CHECKING = False  # its module takes as long as all others of this one
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, NoReturn, TextIO


def run(module: str) -> "NoReturn":
    """Run the `main` of a command's module, and end the process."""
    begin()
    from importlib import import_module

    end(import_module(module).main)


def begin() -> None:
    """Prepare the process, before anything that takes time is imported."""
    signals.install(_end_at_once)
    _fill_descriptors()
    sys.stdout, sys.stderr = _stream(sys.stdout, required=True), _stream(sys.stderr, required=False)


def end(main: "Callable[[], int]") -> "NoReturn":
    """Run a command, flush the standard streams, and end the process with the command's exit status."""
    try:
        try:
            status = main()
        except SystemExit as stop:  # of the parser
            status = stop.code
        signals.install(_end_at_once)
        sys.stdout.flush()
    except OutputError as error:  # of the standard output: others do not come out of a command
        from fastmlp.terminal import refused

        status = refused(error)
    sys.exit(status)


def _end_at_once(signum: int, frame: "FrameType | None") -> None:  # noqa: ARG001 - as `signal` calls it
    """End the process at once, while nothing can be lost: an exception may vanish in an import or at the exit."""
    try:
        os.write(2, f"{signals.told(signum)}\n".encode())
    finally:
        os._exit(128 + signum)


def _fill_descriptors() -> None:
    """Open the standard streams that are closed, as by `>&-`: the next opened file would take their place."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            os.set_inheritable(descriptor, True)


class _Raw(io.RawIOBase):
    """A standard stream that raises at its first failure, and from then on discards what is written to it."""

    def __init__(self, raw: "Any", *, required: bool) -> None:
        self._raw, self._required = raw, required

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def write(self, data: "Any") -> int:
        try:
            while (written := self._raw.write(data)) is None:  # one that is not to be waited for, and can take no more
                import select

                select.select([], [self], [])
            return written
        except OSError as error:
            null = os.open(os.devnull, os.O_RDWR)
            os.dup2(null, self._raw.fileno())
            os.close(null)
            if self._required:
                failed = OutputError(f"The standard output cannot be written ({error.strerror}). Send it elsewhere.")
                failed.errno = error.errno
                raise failed from error
            return len(data)


def _stream(stream: "TextIO | None", *, required: bool) -> "TextIO":
    """Return a stream that writes characters which its encoding lacks as escapes, and whose writing may fail."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123 - a Path would have to be imported
    binary: Any = stream.buffer
    raw = _Raw(getattr(binary, "raw", binary), required=required)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="backslashreplace",
        newline=None if os.name == "nt" else "\n",
        line_buffering=bool(stream.line_buffering) or not required,
        write_through=getattr(stream, "write_through", False),
    )
