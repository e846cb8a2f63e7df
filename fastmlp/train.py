"""`python -m fastmlp.train`: train the networks that the options ask for, and print their table.

The table goes to stdout, notices and progress to stderr. Exit status: 0 done, 1 where a run failed, 2 where something
given cannot be used, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, 141 where nobody reads the table. Whatever
ends it, the runs that finished are in the table and in `--out`.
"""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.train")

import sys
from argparse import Namespace
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any

from fastmlp import coretype
from fastmlp.cli.options import asked_for, build_parser, parse
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.report.tables import experiments_table
from fastmlp.terminal import print_table

if TYPE_CHECKING:
    from fastmlp.cli.python import Trained


class TrainModule(ModuleType):
    """The class of this module, so that `fastmlp.train(data, target)` can be called: the command has that name, too."""

    main: Door

    def __call__(self, data: Any, target: Any = None, **settings: Any) -> "Trained":
        """Train networks on own data, and return the best one with its results: see `fastmlp.cli.python.train`."""
        from fastmlp.cli.python import train

        return train(data, target, **settings)


def _sentence(args: Namespace) -> str:
    return "" if args.list else asked_for(args)


def _load(call: Call) -> Work:
    if call.args.list:
        return _list
    note = coretype.apply()  # before numpy loads
    from fastmlp.cli.sweep import train

    return partial(train, call, note)


def _list(*_: object) -> int:
    print_table(experiments_table())
    return 0


def _how_to_go_on(call: Call) -> str:
    if call.args.out is None:
        return " Nothing was kept; with --out DIR the next one can go on from here."
    return f" To go on: {call.line}"


main = Door("train", build_parser, _sentence, _load, parse, _how_to_go_on)
sys.modules[__name__].__class__ = TrainModule
