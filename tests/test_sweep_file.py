import argparse
import tomllib
from itertools import product
from pathlib import Path
from typing import Any, cast

import pytest

from fastmlp.cli.options import build_parser
from fastmlp.errors import ConfigError, OutputError
from fastmlp.sweep.file import PLACES, read, write
from fastmlp.sweep.source import kept_place

# Words among which each option's type finds some that it takes.
WORDS = (
    "3",
    "0.25",
    "0123456789abcdef",
    "tcp://host:8786",
    "https://host/folder",
    "64,32,20",
    "lr=0.001,0.005",
    "relu",
    "image",
    "failed,diverged",
    "some/where",
    "-odd name",
)


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise ValueError(message)


def build(*additions: tuple[str, dict[str, Any]]) -> Parser:
    parser = Parser(prog="prog", allow_abbrev=False)
    parser.add_argument("--lr", type=float, default=0.5)
    parser.add_argument("--batch-size", "-b", type=int, default=64)
    parser.add_argument("--layers", type=lambda text: tuple(map(int, text.split(","))))
    parser.add_argument("--normalize", nargs="+", type=lambda text: text.split(","), default=[["image"]])
    parser.add_argument("--quiet", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--halving", nargs="?", type=int, const=3)
    parser.add_argument("--config", type=Path)
    parser.add_argument("--version", action="version", version="1")
    for option, details in additions:
        parser.add_argument(option, **details)
    return parser


def real_parser() -> argparse.ArgumentParser:
    parser = cast(argparse.ArgumentParser, build_parser())
    parser.__class__ = Parser  # whose errors can be caught
    return parser


def settings_of(parser: argparse.ArgumentParser, arguments: list[str]) -> dict[str, Any]:
    return vars(parser.parse_args(arguments))


def given(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "sweep.toml"
    path.write_text(text, encoding="utf-8")
    return read(path, build())


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("", []),
        ("lr = 0.005", ["--lr=0.005"]),
        ("lr = 1e-5", ["--lr=1e-05"]),
        ("batch_size = 256", ["--batch-size=256"]),
        ("layers = [3072, 128, 20]", ["--layers=3072,128,20"]),
        ('normalize = ["image", "channel"]', ["--normalize", "image", "channel"]),
        ('normalize = [["image", "channel"]]', ["--normalize", "image,channel"]),
        ('normalize = "image"', ["--normalize=image"]),
        ("normalize = []", []),
        ("layers = []", []),
        ("quiet = true", ["--quiet"]),
        ("quiet = false", []),
        ("halving = true", ["--halving"]),
        ("halving = false", []),
        ("halving = 4", ["--halving=4"]),
        ('out = "-odd name"', ["--out=-odd name"]),
        ("# all\nlr = 1\nquiet = true\n", ["--lr=1", "--quiet"]),
    ],
)
def test_keys_become_arguments(text: str, arguments: list[str], tmp_path: Path) -> None:
    assert given(tmp_path, text) == arguments
    build().parse_args(arguments)


def test_an_option_that_is_written_with_underscores_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text("odd_name = 3")
    assert read(path, build(("--odd_name", {"type": int}))) == ["--odd_name=3"]


def test_the_command_line_wins(tmp_path: Path) -> None:
    arguments = [*given(tmp_path, 'lr = 0.1\nbatch_size = 256\nnormalize = ["image", "channel"]'), "--lr", "0.2"]
    settings = settings_of(build(), [*arguments, "--normalize", "dataset"])
    assert (settings["lr"], settings["batch_size"], settings["normalize"]) == (0.2, 256, [["dataset"]])


def test_the_parser_checks_the_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"argument --batch-size/-b: invalid int value: '2.5'"):
        build().parse_args(given(tmp_path, "batch_size = 2.5"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("lr = 1\nbatch size = 3", r"sweep.toml cannot be used: it is not TOML: .*line 2.*like `lr = 0.01`"),
        ("lr = 1\nlr = 2\n", "is not TOML: .*line 2"),
        ("batchsize = 3", "'batchsize' is not a key. Did you mean 'batch_size'. Allowed are .*`prog --help`"),
        ("batch-size = 3", "'batch-size' is not a key. Did you mean 'batch_size'"),
        ("b = 3", "'b' is not a key. Allowed"),
        ("help = true", "'help' is not a key"),
        ("version = true", "'version' is not a key"),
        ('config = "other.toml"', "'config' is not a key. .*; config is not"),
        ("[lr]\nlow = 1", r"lr is \{'low': 1\}; allowed is a number, a text, or an array of them"),
        ("lr = 2026-01-31", "lr is datetime.date.*; allowed is a number"),
        ("lr = true", "lr is True; allowed is a number"),
        ("normalize = [true]", r"normalize is \[True\]; allowed is a number"),
        ("layers = [{a = 1}]", r"layers is \[\{'a': 1\}\]; allowed is a number"),
        ("quiet = 1", "quiet is 1; allowed is true or false"),
        ("quiet = []", r"quiet is \[\]; allowed is true or false"),
    ],
)
def test_what_cannot_be_used_is_explained(text: str, reason: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=reason):
        given(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config .*none.toml cannot be read \(No such file"):
        read(tmp_path / "none.toml", build())
    with pytest.raises(ConfigError, match=r"cannot be used: it is a folder"):
        read(tmp_path, build())
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"binary cannot be used: it is not TOML: .*can't decode"):
        read(tmp_path / "binary", build())


def test_what_is_written_says_what_ran_and_how_to_run_it_again(tmp_path: Path) -> None:
    path = tmp_path / "with space" / "sweep.toml"
    path.parent.mkdir()
    write(path, {"lr": 0.1, "out": Path("runs/a"), "mirror": None}, {"machine": "a CPU\nof two lines", "runs": 16})
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# machine: a CPU of two lines\n# runs: 16\n# To run it again: python -m fastmlp.train ")
    assert f"--config '{path}'\n" in text
    assert tomllib.loads(text) == {"lr": 0.1, "out": "runs/a"}


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="could not be written"):
        write(tmp_path / "none" / "sweep.toml", {"lr": 0.1}, {})


def resolved(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with places as they are from the root: a file says them from its own folder."""
    return settings | {name: Path(settings[name]).resolve() for name in PLACES if settings[name] is not None}


def test_places_are_from_the_folder_of_the_file_whichever_the_current_one_is(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "runs" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write(Path("runs/a/sweep.toml"), {"data_dir": Path("data"), "init_from": Path("/elsewhere/m.npz")}, {})
    text = Path("runs/a/sweep.toml").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert tomllib.loads(text) == {"data_dir": "../../data", "init_from": "/elsewhere/m.npz"}
    monkeypatch.chdir(tmp_path / "runs" / "a")
    words = read(Path("sweep.toml"), real_parser())
    assert words == [f"--data-dir={tmp_path / 'data'}", "--init-from=/elsewhere/m.npz"]


def samples(action: argparse.Action) -> list[list[str]]:
    """Return arguments that set an option, in all the forms among WORDS and its choices that it takes."""
    option, words = action.option_strings[-1], [*WORDS, *(action.choices or ())]
    forms = [[option], *([f"{option}={word}"] for word in words)]
    forms += [[option, *pair] for pair in product(words, words)]
    taken, parser = [], real_parser()
    for form in forms:
        try:
            parser.parse_args(form)
        except ValueError:
            continue
        taken.append(form)
    return taken


OPTIONS = [a for a in build_parser()._actions if a.default is not argparse.SUPPRESS and a.dest != "config"]


@pytest.mark.parametrize("action", OPTIONS, ids=lambda action: action.dest)
def test_every_option_comes_back_from_a_file(action: argparse.Action, tmp_path: Path) -> None:
    path, forms, parser = tmp_path / "sweep.toml", samples(action), real_parser()
    assert forms
    for form in forms:
        settings = settings_of(parser, form)
        write(path, {name: value for name, value in settings.items() if name != "config"}, {"runs": 1})
        assert resolved(settings_of(parser, read(path, parser))) == resolved(settings), form


def test_all_options_come_back_together(tmp_path: Path) -> None:
    path = tmp_path / "sweep.toml"
    settings = settings_of(real_parser(), [word for action in OPTIONS for word in samples(action)[-1]])
    write(path, {name: value for name, value in settings.items() if name != "config"}, {})
    assert resolved(settings_of(real_parser(), read(path, real_parser()))) == resolved(settings)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lr = " + "[" * 5000, "it is not TOML"),
        ("lr = " + "{a = " * 5000, "it is not TOML"),
        (".".join("a" * 9000) + " = 1", "a line of it has more than 1,000 dots"),  # takes gigabytes
        ("lr = 0x" + "f" * 9000, "allowed is a number of fewer digits"),  # whose digits Python does not write
        ("seed = [0x" + "f" * 9000 + "]", "allowed is a number"),
        ("#" * 300_000, "it has more than 262,144 bytes"),
    ],
)
def test_what_costs_more_than_a_file_should_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(text)
    with pytest.raises(ConfigError, match=told):
        read(tmp_path / "a.toml", build_parser())
    (tmp_path / "sweep.toml").write_text(text)
    assert kept_place(tmp_path) is None
