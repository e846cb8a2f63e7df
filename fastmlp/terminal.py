"""The output of commands to the user, all of it on stderr: single lines, progress of compilation, and errors.

Nothing here loads numpy or numba before it must: a command says its first line while these still load.
"""

import errno
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fastmlp import __version__
from fastmlp.errors import FastMLPError, remedy
from fastmlp.text import plain, visible

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from fastmlp.table import Table

_logger = logging.getLogger("fastmlp")
_COMPILING = "Compiling the kernels for this machine, once"
# Seconds of compilation from which on it is told afterwards too.
_WORTH_TELLING = 1.0


def say(console: "Console", text: str) -> None:
    """Print one line of plain text: brackets in it are no markup, and escape sequences are shown, not obeyed.

    It goes to the logger "fastmlp" too, also where a quiet console does not print it.
    """
    _logger.info(visible(text))
    _print(console, text)


def _print(console: "Console", text: str) -> None:
    console.print(plain(text), soft_wrap=True)


def say_first(console: "Console", what: str) -> None:
    """Print a command's first line: what it is about to do, before what it needs is loaded."""
    say(console, f"fastmlp {__version__}: {what}; loading.")


def is_moving(console: "Console") -> bool:
    """Whether a console may draw lines that change: it is a terminal that can, and is not quiet."""
    return console.is_terminal and not console.is_dumb_terminal and not console.quiet


class Compiling:
    """The display of compilation: on a terminal a line with the seconds so far, elsewhere one plain line, once.

    A command has one of these. While it draws its line, nothing else should draw one; beside other moving lines it may
    print the plain line instead.
    """

    def __init__(self, console: "Console") -> None:
        self._console, self._moving = console, is_moving(console)
        self._live: Live | None = None
        self._seconds: Callable[[], float] = float
        self._told = False

    @contextmanager
    def here(self, doing: str = "") -> Iterator[None]:
        """Show the compilation of kernels in this process within the body; doing : shown while nothing compiles."""
        from fastmlp_kernels._compiling import is_compiling, seconds_compiling, when_compiling

        before = seconds_compiling()

        def line() -> str:
            return self._line() if is_compiling() or not doing else doing

        if doing:
            self._draw(line)
        try:
            with when_compiling(lambda: self.show(lambda: seconds_compiling() - before, line)):
                yield
        finally:
            self.end()

    def show(self, seconds: Callable[[], float], line: Callable[[], str] | None = None) -> None:
        """Show, until `end`, that kernels are being compiled, here or by a worker, for `seconds()` so far."""
        self._seconds = seconds
        if not self._draw(line or self._line) and not self._told:
            say(self._console, f"{_COMPILING}; it takes some seconds.")
        self._told = True

    def end(self) -> None:
        """Remove the line, and print how long compilation took."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
            if (seconds := self._seconds()) >= _WORTH_TELLING:
                say(self._console, f"Compiled the kernels for this machine in {seconds:.0f} s.")
        self._seconds = float

    def _line(self) -> str:
        return f"{_COMPILING}: {self._seconds():.0f} s"

    def _draw(self, line: Callable[[], str]) -> bool:
        """Begin to draw a line, unless one is drawn; return whether one is now."""
        if not self._moving or self._live is not None:
            return self._moving
        from rich.errors import LiveError
        from rich.live import Live
        from rich.spinner import Spinner

        spinner = Spinner("dots")

        def drawn() -> Spinner:
            spinner.update(text=plain(line()))
            return spinner

        # What is printed to stdout meanwhile goes there, even where that is a file.
        live = Live(console=self._console, get_renderable=drawn, transient=True, redirect_stdout=False)
        try:
            live.start()
        except LiveError:  # older versions of rich draw one at a time
            return False
        self._live = live
        return True


def print_table(table: "Table") -> None:
    """Print a table to stdout: drawn on a terminal, as Markdown elsewhere."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        print(table.markdown(), end="")
        return
    for fact in table.facts:
        _print(console, fact)
    console.print(*table.rich(console.width))


def in_words(error: Exception) -> str:
    """Return an error as a sentence for the user."""
    if isinstance(error, MemoryError):
        what = f" ({error})" if str(error) else ""
        return f"the memory does not suffice{what}. Give smaller layers, a smaller batch, or fewer rows."
    if isinstance(error, OSError) and not isinstance(error, FastMLPError):
        return _of_system(error)
    return str(error)


def _of_system(error: OSError) -> str:
    """Return in words what the system refused."""
    try:
        os.getcwd()  # noqa: PTH109 - Path's is the same
    except FileNotFoundError:
        return "the folder that you are in is there no more. Change to another one, and give the command again."
    reason = error.strerror or str(error)
    if reason.startswith("No usable temporary directory"):
        return f"{reason}. Set TMPDIR to a folder that can be written to."
    where = f"{error.filename}: " if error.filename is not None else ""
    return f"{where}{reason}. {remedy(error, 'give another path')}"


# What may end a command without being a bug: what its user can mend.
ERRORS = (FastMLPError, MemoryError, OSError)
# What a shell says of a program that wrote to a pipe which nobody reads any more, as in `| head`.
BROKEN_PIPE = 128 + 13


def refused(error: Exception) -> int:
    """Print one of ERRORS as the end of a command; return the exit status: 2, or 141 where nobody reads its output."""
    from rich.console import Console

    if isinstance(error, FastMLPError) and isinstance(error, OSError) and error.errno == errno.EPIPE:
        _logger.info(str(error))
        return BROKEN_PIPE
    say(Console(stderr=True), f"error: {in_words(error)}")
    return 2
