"""The command `fastmlp`, also `python -m fastmlp`: it runs a command by its name, and loads that one alone."""

import sys
from argparse import SUPPRESS
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from fastmlp import __version__
from fastmlp.cli.parser import Parser
from fastmlp.cli.shell import Door

PROG = "fastmlp"
# By name: its module, and what it does in a line.
COMMANDS = {
    "train": ("fastmlp.train", "train networks, search their settings, print a table"),
    "report": ("fastmlp.report.__main__", "draw a sweep's figures and tables on one page"),
    "predict": ("fastmlp.predict", "tell what a saved model says of tables and pictures"),
    "export": ("fastmlp.export", "write a saved model as ONNX or safetensors"),
    "gradcheck": ("fastmlp.gradcheck", "compare backpropagation with differences of the loss"),
    "reproduce": ("fastmlp.reproduce", "train a run of a sweep once more and compare the bits"),
    "data": ("fastmlp.data.__main__", "fetch data sets and describe them"),
    "completion": ("fastmlp.cli.completion", "print a script that completes these commands in your shell"),
}
_EXAMPLES = """first steps:
  %(prog)s train --data adult.csv --target income             your own table: what is understood, training, a table
  %(prog)s data fetch cifar100                                169 MB; without it, training takes an embedded set
  %(prog)s train --experiments relu l2 --out runs/two         trains, prints a table, keeps all in runs/two
  %(prog)s report runs/two                                    a page of figures: runs/two/report.html
  %(prog)s predict runs/two/models/RUN_ID.npz cat.jpg         what a trained network says of a picture

`%(prog)s COMMAND --help` tells the options of a command, with examples."""


def door(name: str) -> Door:
    """Return the command of this name."""
    return import_module(COMMANDS[name][0]).main


def build_parser(**of_commands: Any) -> Parser:
    """Return the parser of the names; of_commands : how argparse is to make the parsers of the commands."""
    lines = "".join(f"\n  {name:12}{line}" for name, (_, line) in COMMANDS.items())
    text = f"Train multi-layer perceptrons on CPUs, and look at what came of it.\n\ncommands:{lines}"
    parser = Parser(prog=PROG, usage="%(prog)s [--version] COMMAND ...", description=text, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", **of_commands)
    for name, (_, line) in COMMANDS.items():
        commands.add_parser(name, help=line, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the process's arguments) and return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in COMMANDS:
        return door(argv[0])(argv[1:], f"{PROG} {argv[0]}")
    parser = build_parser(help=SUPPRESS)  # they are in the description, in columns that fit
    if not argv:
        parser.print_help(sys.stderr)
        return 2
    if not argv[0].startswith("-"):
        argv = argv[:1]  # the word that is none, before options that may be right after another
    parser.parse_args(argv)  # which ends the program: no word of these is a command
    raise AssertionError(argv)
