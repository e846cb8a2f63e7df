"""The parser of all command lines: its errors say what was given, what is allowed, and what was probably meant.

It loads neither numpy nor numba, so that `--help` and a typing error are answered at once.
"""

import re
import sys
from argparse import Action, ArgumentError, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from fastmlp.config import MOST, parse_activation, parse_layers
from fastmlp.data.places import without_password, wrong_address
from fastmlp.errors import ConfigError, suggestion
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.sweep.logger_names import LOGGERS


class Parser(ArgumentParser):
    """An ArgumentParser without abbreviations, which suggests the option most like an unknown word."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": RawDescriptionHelpFormatter, "allow_abbrev": False} | options)
        self._negative_number_matcher = re.compile(r"^-(\d|\.\d|inf|nan)")  # argparse takes -1e-3 for an option

    def parse_args(self, args: Sequence[str] | None = None, namespace: Namespace | None = None) -> Namespace:  # type: ignore[override]
        """Return the options; ends the program with status 2 where words are unknown."""
        self._refuse_unknown(sys.argv[1:] if args is None else args)
        if any(action.nargs == "*" for action in self._actions):  # which argparse finds before options alone
            found, left = self.parse_known_intermixed_args(args, namespace or Namespace())
        else:
            found, left = self.parse_known_args(args, namespace or Namespace())
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}.{self._meant(left[0])} --help lists what is allowed.")
        return found

    def _refuse_unknown(self, words: Sequence[str]) -> None:
        """Report an unknown option before its value is taken for another argument, such as a command's name."""
        known = {option for action in all_actions(self) for option in action.option_strings}
        for word in words:
            if word == "--":
                return
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in word and name not in known:
                self.error(f"unrecognized arguments: {word}.{self._meant(word)} --help lists what is allowed.")

    def error(self, message: str) -> NoReturn:
        """Print the usage and a message, and end the program with status 2."""
        super().error(without_password(message).encode(errors="backslashreplace").decode())

    def _print_message(self, message: str, file: Any = None) -> None:
        """Write a message; argparse's own would pass over a standard output that fails."""
        (file or sys.stderr).write(message)

    def _check_value(self, action: Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            allowed = [str(choice) for choice in action.choices]
            meant = suggestion(str(value), allowed)
            raise ArgumentError(action, f"invalid choice: {value!r}; choose from {', '.join(allowed)}.{meant}")

    def _meant(self, word: str) -> str:
        """Return a suggestion of the option that an unknown word may stand for."""
        name, equals, value = word.partition("=")
        actions = list(all_actions(self))
        options = [option for action in actions for option in action.option_strings if option.startswith("--")]
        if word.startswith("-"):
            words = name.strip("-").replace("-", " ").replace("_", " ")
            named = [a.option_strings[-1] for a in actions if a.option_strings and words in (a.help or "").split(" (")]
            return f" Did you mean {named[0]!r}?" if named else suggestion(name, options)
        if "--data" in options and Path(word).exists():
            return f" Did you mean '--data {word}'?"
        if equals and f"--{name.replace('_', '-')}" in options:
            return f" Did you mean '--{name.replace('_', '-')} {value}'?"
        for like in (lambda known: [word] * (word in known), lambda known: _near(word, known)):
            meant = [
                f"{a.option_strings[-1]} {one}" for a in actions if a.option_strings for one in like(known_words(a))
            ]
            if meant:
                return f" Did you mean {' or '.join(map(repr, meant))}?"
        return ""


def all_actions(parser: ArgumentParser) -> Iterator[Action]:
    """Yield the options and arguments of a parser, and of the parsers of its commands."""
    for action in parser._actions:
        inner = action.choices if isinstance(action.choices, dict) else {}
        if action.nargs == "A...":  # the parsers of a command's commands
            for one in inner.values():
                yield from all_actions(one)
        else:
            yield action


def known_words(action: Action) -> list[str]:
    """Return the words that an option allows; empty where it allows any."""
    return [str(name) for name in action.choices or getattr(action.type, "known", ())]


def _near(word: str, known: Iterable[str]) -> list[str]:
    from difflib import get_close_matches

    return get_close_matches(word, list(known), n=1)


def names(what: str, known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of one argument that holds a name, or several with commas."""
    known = list(known)

    def read(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in known:
                meant = suggestion(name, known)
                raise ArgumentTypeError(f"no {what} is called {name!r}; choose from {', '.join(known)}.{meant}")
        return given

    read.known = known  # type: ignore[attr-defined] - for what is suggested
    return read


def whole(least: int = 1, most: int = MOST) -> Callable[[str], int]:
    """Return a reader of a whole number from `least` to `most`."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise ArgumentTypeError(f"{_short(text)} is not a whole number of at least {least} and at most {most}")
        return number

    return read


def number(text: str) -> float:
    """Read a number, of any size."""
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{_short(text)} is not a number; give it as in 0.01 or 1e-2") from None


def layers(text: str) -> tuple[int, ...]:
    """Read the sizes of layers, with commas or dashes."""
    try:
        return parse_layers(text)
    except ConfigError as error:
        raise ArgumentTypeError(str(error)) from None


def units(text: str) -> tuple[int, ...]:
    """Read the units of the hidden layers, with commas or dashes."""
    if not re.fullmatch(r"0*[1-9]\d*([-,]0*[1-9]\d*)*", text):
        raise ArgumentTypeError(
            f"{_short(text)} is not the units of hidden layers; give them as in 64, or 128-64 of two"
        )
    return parse_layers(text)


def activations(text: str) -> str | tuple[str, ...]:
    """Read the name of an activation, or several with commas or dashes, one a hidden layer."""
    found = parse_activation(text)
    for name in (found,) if isinstance(found, str) else found:
        if name not in ACTIVATIONS:
            meant = suggestion(name, ACTIVATIONS)
            raise ArgumentTypeError(f"no activation is called {name!r}; choose from {', '.join(ACTIVATIONS)}.{meant}")
    return found


activations.known = list(ACTIVATIONS)  # type: ignore[attr-defined] - for what is suggested


def place(text: str) -> Path:
    """Read the path of a file or folder, with `~` for the home folder."""
    if not text or "\0" in text or _has_surrogates(text):
        raise ArgumentTypeError(f"{text!r} names no file or folder; give a path, . for the folder that you are in")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ArgumentTypeError(f"{text!r} names no folder ({error})") from None


class LogAction(Action):
    """The action of `--log`, given once or several times: a file goes to `log`, the name of a logger to `loggers`.

    Where none is named there is no `loggers`: it is no option of its own, of which a sweep's file would have a line.
    A file may have a logger's name where it is written with its folder, as in `./mlflow`.
    """

    def __call__(self, parser: ArgumentParser, namespace: Namespace, values: Any, option_string: Any = None) -> None:  # noqa: ARG002 - as it is called
        """Take one value."""
        text, given = str(values), str(values).split(",")
        if all(name in LOGGERS for name in given):
            namespace.loggers = list(dict.fromkeys([*getattr(namespace, "loggers", []), *given]))
            return
        words = given if re.fullmatch("[A-Za-z,]+", text) and not Path(text).exists() else []
        if meant := "".join(suggestion(word, LOGGERS) for word in words if word not in LOGGERS):
            raise ArgumentError(self, f"no logger is called {text!r}.{meant} A file of that name is ./{text}")
        try:
            namespace.log = place(text)
        except ArgumentTypeError as error:
            raise ArgumentError(self, str(error)) from None


def source(text: str) -> str:
    """Read the path of data, which may be a pattern, or the name of a set as in sklearn:digits."""
    return text if text.partition(":")[0] in ("sklearn", "openml") else str(place(text))


def size(text: str) -> float:
    """Read the size of a part: a share between 0 and 1, or a number of rows."""
    try:
        return int(text) if text.strip().isdecimal() and int(text) > 0 else _share(text)
    except ValueError:
        raise ArgumentTypeError(
            f"{_short(text)} is no size of a part; give a share above 0 and below 1, as in 0.2, or a number of rows"
        ) from None


def _share(text: str) -> float:
    share = float(text)
    if not 0 < share < 1:
        raise ValueError
    return share


def address(text: str) -> str:
    """Read the address of a dask scheduler; a wrong one would end in a traceback of dask's."""
    if not re.fullmatch(r"((tcp|tls|ucx|wss?)://)?[^\s/]+:\d{1,5}|inproc://\S+", text):
        raise ArgumentTypeError(
            f"{text!r} is not the address of a scheduler; give the one that `dask scheduler` prints, as in tcp://host:8786"
        )
    return text


def mirror(text: str) -> str:
    """Read the address of a web folder."""
    if wrong := wrong_address(text):
        raise ArgumentTypeError(wrong)
    return text


def fingerprint(text: str) -> str:
    """Read the fingerprint of a data set."""
    if text != "any" and not re.fullmatch("[0-9a-f]{16}", text):
        raise ArgumentTypeError(f"{text!r} is not a fingerprint: 16 hexadecimal digits, or any")
    return text


def _has_surrogates(text: str) -> bool:
    """Whether a text holds bytes that are no UTF-8, and so cannot be written into a file."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}...")
