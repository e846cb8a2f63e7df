"""A sweep as a TOML file: its keys are the command's long options, without dashes, `-` inside them written `_`.

lr = 0.01
layers = [3072, 256, 20]
normalize = ["image", "channel"]
grid = ["lr=0.001,0.005", "batch_size=256,1024"]
quiet = true

The paths in it are from the folder that the file is in.
"""

import os
import shlex
from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from fastmlp.errors import ConfigError, DataError, suggestion
from fastmlp.files import read_small, toml_of, write_whole
from fastmlp.text import visible

SWEEP_FILE = "sweep.toml"
PLACES = ("data_dir", "init_from", "data", "test_data")
MOST_BYTES = 1 << 18  # of a sweep's file; the longest have some thousand
# Options that do not say what a sweep is, only how and where it is worked on.
_NOT_IN_FILE = (
    "config",
    "out",
    "jobs",
    "workers",
    "scheduler",
    "dry_run",
    "check_precision",
    "list",
    "quiet",
    "report",
    "retry",
    "mirror",
    "log",
    "loggers",
    "clean",
)


def settings(args: Namespace) -> dict[str, Any]:
    """Return the options that a file has: names that were given in several words are one list."""
    lists = ("experiments", "normalize")
    return {
        name: [word for words in value for word in words] if name in lists and value else value
        for name, value in vars(args).items()
        if name not in _NOT_IN_FILE
    }


def read(path: Path, parser: ArgumentParser) -> list[str]:
    """Return the arguments that the file stands for, to be put before those of the command line, which then win.

    The parser checks their values. An array is the words of an option that takes several, and one word with commas
    for another; an empty one is left out, and so is a flag that is false. Raises ConfigError for a file that cannot
    be read or is not TOML, for a key that is not an option (`config` is none here), and for a value that no option
    takes.
    """
    try:
        document = toml_of(read_small(path, MOST_BYTES))
    except OSError as error:
        raise ConfigError(
            f"--config {path} cannot be read ({error.strerror or error}). Give the path of a TOML file."
        ) from error
    except DataError as error:
        raise ConfigError(f"--config {path} cannot be used: {error}. Its lines are like `lr = 0.01`.") from error
    known = options(parser)
    arguments = []
    for key, value in document.items():
        if key not in known:
            raise ConfigError(
                f"--config {path}: {key!r} is not a key.{suggestion(key, known)} Allowed are the long options that "
                f"`{parser.prog} --help` lists, without dashes, as in batch_size; config is not."
            )
        if key in PLACES and isinstance(value, str) and not is_named(value):
            value = str(resolved(path.parent, value))
        try:
            arguments += _words(*known[key], value)
        except TypeError as error:
            raise ConfigError(f"--config {path}: {key} is {_shown(value)}; allowed is {error}.") from None
    return arguments


def kept(path: Path, name: str) -> Any:
    """Return what a sweep's file has for an option; None where there is no such file, or nothing in it."""
    try:
        return toml_of(read_small(path, MOST_BYTES)).get(name)
    except (OSError, DataError):
        return None


def is_named(place: str | Path) -> bool:
    """Whether data are a set by name, such as sklearn:digits, and lie at no place."""
    return str(place).startswith(("sklearn:", "openml:"))


def resolved(folder: Path, place: str) -> Path:
    """Return the path that a file in `folder` names, `~` and paths from the root as they are."""
    return Path(os.path.normpath(folder.resolve() / place)) if place and not place.startswith("~") else Path(place)


def _relative(place: Path, folder: Path) -> str:
    """Return the path as it is from `folder`, so that both can be moved together; where they share no folder, whole."""
    place, folder = place.expanduser().resolve(), folder.resolve()
    try:
        shared = os.path.commonpath([place, folder])
    except ValueError:  # of two drives
        shared = place.anchor
    return str(place) if shared == place.anchor else os.path.relpath(place, folder)


def options(parser: ArgumentParser) -> dict[str, tuple[str, Action]]:
    """Return the options, as written and as parsed, by key; --help and others that only print have no place here."""
    found = {
        option.removeprefix("--").replace("-", "_"): (option, action)
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and action.default is not SUPPRESS
    }
    found.pop("config", None)
    return found


def words(parser: ArgumentParser, name: str, value: Any) -> list[str]:
    """Return the arguments of one option for a value, as `read` does; ConfigError for one that no option takes."""
    try:
        return _words(*options(parser)[name], value)
    except TypeError as error:
        raise ConfigError(f"{name} is {_shown(value)}; allowed is {error}.") from None


def _words(option: str, action: Action, value: Any) -> list[str]:
    """Return the arguments for one key; TypeError, which says what is allowed, for a value of another kind."""
    if action.nargs == 0 and not isinstance(value, bool):
        raise TypeError("true or false")
    if action.nargs in (0, "?") and isinstance(value, bool):
        return [option] if value else []
    if value == []:
        return []
    if isinstance(value, list) and action.nargs not in (None, "?"):
        return [option, *map(_word, value)]
    return [f"{option}={_word(value)}"]  # one word: a value may begin with a dash


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_word, value))
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError("a number, a text, or an array of them")
    if isinstance(value, int) and abs(value) > 10**100:
        raise TypeError("a number of fewer digits")
    return str(value)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)  # as names of files may be that are not UTF-8


def _shown(value: Any) -> str:
    try:
        return repr(value)[:80]
    except ValueError:  # Python writes no number of thousands of digits
        return "a number of thousands of digits"


def write(path: Path, settings: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Replace `path` by a file of these settings, with the facts and how to run it again as comments before them.

    `settings` are by key, as the parser returns them: None is left out, PLACES are written from the folder of `path`
    where they share one with it. `read` gives arguments that the parser makes
    the same settings of. Raises OutputError where the file cannot be written.
    """
    values = {name: str(v) if isinstance(v, Path) else v for name, v in settings.items() if v is not None}
    places = {name: place for name in PLACES if (place := settings.get(name)) is not None and not is_named(place)}
    values |= {name: _relative(Path(place), path.parent) for name, place in places.items()}
    comments = [f"{name}: {' '.join(str(value).split())}" for name, value in facts.items()]
    odd = [name for name, value in values.items() if isinstance(value, str) and not _is_unicode(value)]
    comments += [f"Left out, as TOML has no such text: {name} = {values.pop(name)}" for name in odd]
    comments.append(f"To run it again: python -m fastmlp.train --config {shlex.quote(str(path))}")
    heading = "".join(f"# {visible(line)}\n" for line in comments)
    write_whole(path, f"{heading}\n{tomli_w.dumps(values)}")
