"""`fastmlp completion SHELL`: a script with which a shell completes commands, options, their values and files."""

from argparse import Namespace

from fastmlp.cli.commands import build_parser, door
from fastmlp.cli.parser import Parser, all_actions, known_words, place
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.errors import MissingExtraError

SHELLS = ("bash", "zsh", "fish", "tcsh")
_EXAMPLES = """examples:
  %(prog)s bash > ~/.local/share/bash-completion/completions/fastmlp
  %(prog)s zsh > ~/.zfunc/_fastmlp              where ~/.zfunc is in fpath before compinit
  %(prog)s fish > ~/.config/fish/completions/fastmlp.fish

Then begin a new shell. The script holds what this version of fastmlp knows: print it again after an update."""


def _parser(prog: str) -> Parser:
    text = "Print a script that completes fastmlp's commands, options, values and files in your shell."
    parser = Parser(prog=prog, description=text, epilog=_EXAMPLES)
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    return parser


def _load(_: Call) -> Work:
    try:
        import shtab
    except ImportError as error:
        raise MissingExtraError(f"Completion needs shtab ({error}): pip install 'fastmlp[completion]'.") from error

    def write(args: Namespace, _: object) -> int:
        parser = build_parser(parser_class=whole)
        for action in all_actions(parser):
            if action.type is place:
                action.complete = shtab.DIRECTORY if action.metavar == "DIR" else shtab.FILE  # type: ignore[attr-defined]
            elif words := known_words(action):
                action.choices = words
        print(shtab.complete(parser, args.shell))
        return 0

    return write


def whole(*, prog: str, **_: object) -> Parser:
    """Return the parser of a command with all its options, as argparse asks for those of commands."""
    return door(prog.split()[-1]).parser(prog)


main = Door("completion", _parser, lambda _: "", _load)
