"""The options of `python -m fastmlp.train`. The choices are the keys of the tables that the names are looked up in."""

from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from pathlib import Path

from fastmlp import __version__
from fastmlp.activations import ACTIVATIONS
from fastmlp.config import INITS, LABELS
from fastmlp.data import DATASET_NAMES, NORMALIZATIONS
from fastmlp.experiments import BATCH_SIZE, EXPERIMENTS, LR, MOMENTUM, WEIGHT_DECAY
from fastmlp.precision import MATMULS, PRECISIONS
from fastmlp.threads import usable_cores

_DESCRIPTION = """\
Train the networks of the report's results table under both of its normalisations, and
print the table: our test accuracies, on CIFAR-100 with the published figure beside each."""

_EXAMPLES = """\
examples:
  python -m fastmlp.train --out runs/all
  python -m fastmlp.train --experiments relu double_units --normalize image --seeds 3
  python -m fastmlp.train --layers 3072,512,20 --activation relu --lr 0.01 --epochs 50"""


def build_parser() -> ArgumentParser:
    """Return the parser. An option that overrides an experiment's own setting is None where it was not given."""
    parser = ArgumentParser(
        prog="python -m fastmlp.train",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    _add_choice(parser)
    _add_network(parser)
    _add_training(parser)
    _add_output(parser)
    return parser


def _add_choice(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("what to run").add_argument
    names = _names("experiment", [*EXPERIMENTS, "all"])
    add("--experiments", nargs="+", type=names, metavar="NAME", help="by name, or all (default: all)")
    add("--list", action="store_true", help="list the experiments with their published figures, then end")
    norms = _names("normalisation", NORMALIZATIONS)
    text = f"one or more of {', '.join(NORMALIZATIONS)} (default: image channel)"
    add("--normalize", nargs="+", type=norms, default=[["image", "channel"]], metavar="NAME", help=text)
    text = "auto: CIFAR-100 where it lies already, else the embedded set (default: auto)"
    add("--dataset", choices=DATASET_NAMES, default="auto", help=text)
    add(
        "--data-dir", type=Path, metavar="DIR", help="where the data lies, or is fetched to (default: the user's cache)"
    )
    add("--mirror", metavar="URL", help="fetch from this address instead of the public host")
    add("--seed", type=int, default=0, metavar="N", help="the first seed (default: %(default)s)")
    add("--seeds", type=_count, default=1, metavar="N", help="how many; several give mean and spread (default: 1)")


def _add_network(parser: ArgumentParser) -> None:
    text = "these replace each chosen experiment's own; without --experiments they make one row, custom, out of l2"
    add = parser.add_argument_group("network", text).add_argument
    add("--layers", type=_layers, metavar="N,N,...", help="inputs, hidden units, classes: 3072,256,20")
    add("--activation", choices=list(ACTIVATIONS), help="of the hidden units")
    add("--labels", choices=LABELS, help="which classes: CIFAR-100 has 20 coarse and 100 fine ones")


def _add_training(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("training").add_argument
    add("--lr", type=float, default=LR, metavar="X", help="learning rate (default: %(default)s)")
    add("--batch-size", type=int, default=BATCH_SIZE, metavar="N", help="(default: %(default)s)")
    add("--momentum", type=float, default=MOMENTUM, metavar="X", help="(default: %(default)s)")
    add(
        "--weight-decay",
        type=float,
        metavar="X",
        help=f"(default: the experiment's, {WEIGHT_DECAY} or, for momentum, 0)",
    )
    add("--epochs", type=int, default=100, metavar="N", help="at most (default: %(default)s)")
    text = "stop after so many epochs of rising validation loss (default: %(default)s)"
    add("--patience", type=int, default=5, metavar="N", help=text)
    text = "initial weights (default: the experiment's, mostly auto: by the activation; the table says which)"
    add("--init", choices=INITS, help=text)
    text = "bfloat16 rounds the operands of every product, and computes the rest in float32 (default: %(default)s)"
    add("--precision", choices=PRECISIONS, default="float32", help=text)
    text = "packed: this package's compiled steps; blas: numpy's products; auto: what measures faster (default: auto)"
    add("--matmul", choices=("auto", *MATMULS["float32"]), default="auto", help=text)
    text = "threads a run (default: %(default)s, the cores this process may use)"
    add("--threads", type=int, default=usable_cores(), metavar="N", help=text)


def _add_output(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    add("--out", type=Path, metavar="DIR", help="write results.json, after each run, and table.md here")
    add("--quiet", action="store_true", help="print the table alone, no notices and no progress")


def _names(what: str, known: Iterable[str]) -> Callable[[str], list[str]]:
    """Return a reader of one argument that holds a name, or several with commas."""
    known = list(known)

    def read(text: str) -> list[str]:
        names = text.split(",")
        for name in names:
            if name not in known:
                raise ArgumentTypeError(f"no {what} is called {name!r}; choose from {', '.join(known)}")
        return names

    return read


def _layers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a list of layer sizes; give them as in 3072,256,20") from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)
