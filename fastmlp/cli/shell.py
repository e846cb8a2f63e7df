"""The frame of every command: options in, a first line at once, then the work is loaded and done, and an exit status.

Status: the work's own; 2 where something given cannot be used; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP;
141 where nobody reads what is printed. Nothing here loads what takes time before a command has said what it does.
"""

import logging
import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastmlp import signals
from fastmlp.cli.parser import Parser
from fastmlp.data.places import without_password
from fastmlp.errors import ConfigError, OutputError
from fastmlp.terminal import ERRORS, refused, say, say_first

if TYPE_CHECKING:
    from rich.console import Console

    from fastmlp.cli.log import Log

_logger = logging.getLogger("fastmlp")
Work = Callable[[Namespace, "Console"], int]


@dataclass(frozen=True)
class Call:
    """A command as it was given: `prog` and the words after it, the options they stand for, and the log of `--log`."""

    prog: str
    argv: Sequence[str]
    args: Namespace
    log: "Log | None"

    @property
    def line(self) -> str:
        """The command line, without the password of an address in it."""
        return f"{self.prog} {shlex.join(map(without_password, self.argv))}"


@dataclass(frozen=True)
class Door:
    """A command: `python -m fastmlp.NAME`, or `fastmlp NAME`. Called, it runs and returns its exit status.

    parser(prog) : of its options
    sentence(args) : what it is about to do, for the first line; "" where there is to be none
    load(call) : imports what the work needs and returns the work, which is given the options and a console, quiet by
        `--quiet`
    parse(parser, argv) : reads the options
    go_on(call) : what is said after "Stopped by Ctrl-C."
    """

    name: str
    parser: Callable[[str], Parser]
    sentence: Callable[[Namespace], str]
    load: Callable[[Call], Work]
    parse: Callable[[Parser, list[str]], Namespace] = Parser.parse_args
    go_on: Callable[[Call], str] = lambda _: ""

    def __call__(self, argv: Sequence[str] | None = None, prog: str = "") -> int:
        """Run the command on `argv` (default: the process's arguments); prog : how it was called."""
        argv, prog = list(sys.argv[1:] if argv is None else argv), prog or f"python -m fastmlp.{self.name}"
        try:
            args = self.parse(self.parser(prog), argv)
        except ERRORS as error:
            return refused(error)
        with _log_of(args) as log:
            return self._run(Call(prog, argv, args, log))

    def _run(self, call: Call) -> int:
        from rich.console import Console  # here: `--help` has no use for it

        console = Console(stderr=True, quiet=getattr(call.args, "quiet", False))
        try:
            _logger.info(call.line)
            if sentence := self.sentence(call.args):
                say_first(console, sentence)
            work = self._loaded(call)
            with signals.raised():
                return work(call.args, console)
        except ERRORS as error:
            status = refused(error)
            if call.log is not None:
                with suppress(OutputError):  # which was the error, or is second to it
                    call.log.begin(call.args.log)
            return status
        except KeyboardInterrupt as error:
            say(Console(stderr=True), signals.told(signals.signum_of(error)) + self.go_on(call))
            return signals.status_of(error)

    def _loaded(self, call: Call) -> Work:
        try:
            return self.load(call)
        except ValueError as error:  # of the kernels, where FASTMLP_NUMBA_CACHE is none of its values
            raise ConfigError(str(error)) from error


@contextmanager
def _log_of(args: Namespace) -> "Iterator[Log | None]":
    """Keep what is said for the file of `--log`; the work begins that file."""
    if getattr(args, "log", None) is None:
        yield None
        return
    from fastmlp.cli.log import Log

    with Log() as log:
        yield log
