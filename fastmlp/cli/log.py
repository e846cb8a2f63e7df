"""The log file of a command, `--log FILE`: all lines that it prints, with the time of each."""

import logging
import sys
import time
from logging.handlers import MemoryHandler
from pathlib import Path
from types import TracebackType
from typing import Self

from fastmlp.errors import OutputError, remedy
from fastmlp.text import visible

logger = logging.getLogger("fastmlp")  # to which `fastmlp.terminal.say` tells each line
_FORM, _TIME = "%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S"


class _Line(logging.Formatter):
    """A formatter that makes one line of each record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return visible(super().format(record))


class _File(logging.FileHandler):
    """A log file that cannot be written on, as on a full disk, without ending the training."""

    warned = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - as logging calls it
        if not self.warned:
            print(visible(f"--log {self.baseFilename} cannot be written on ({sys.exc_info()[1]})."), file=sys.stderr)
        self.warned = True


class Log:
    """A context manager that keeps all lines that are printed, and from `begin` on writes them to a file, in order."""

    def __init__(self) -> None:
        self._kept, self._level = MemoryHandler(100_000, flushLevel=logging.CRITICAL + 1), logger.level
        self._file: _File | None = None

    def __enter__(self) -> Self:
        logger.addHandler(self._kept)
        logger.setLevel(logging.INFO)
        return self

    def begin(self, path: Path | None) -> None:
        """Open the file to append to it, unless it is open or `path` is None; OutputError where that cannot be done."""
        if path is None or self._file is not None:
            return
        try:
            if path.is_fifo():
                raise OSError(0, "it is a FIFO, which may be waited for for ever")
            self._file = _File(path, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise OutputError(
                f"--log {path} cannot be written ({error.strerror}). {remedy(error, 'choose another file')}"
            ) from error
        form = _Line(_FORM, _TIME)
        form.converter = time.gmtime
        self._file.setFormatter(form)
        self._kept.setTarget(self._file)
        self._kept.flush()
        logger.removeHandler(self._kept)
        logger.addHandler(self._file)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for handler in (self._kept, self._file):
            if handler is not None:
                logger.removeHandler(handler)
                handler.close()
        logger.setLevel(self._level)
