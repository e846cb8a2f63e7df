"""The options of `python -m fastmlp.train`. The choices are the keys of the tables that the names are looked up in.

These tables load neither numpy nor numba, so that `--help`, a typing error and the command's first line come at once.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from itertools import chain

from fastmlp import __version__
from fastmlp.cli.parser import (
    LogAction,
    Parser,
    activations,
    address,
    fingerprint,
    layers,
    mirror,
    names,
    number,
    place,
    size,
    source,
    units,
    whole,
)
from fastmlp.cli.plan import AUTO, BY_DATA, settings_of
from fastmlp.config import AUGMENTS, INITS, LABELS, OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS, RunConfig, dashed
from fastmlp.data import DATASET_NAMES, NORMALIZATIONS
from fastmlp.data.normalize import AS_THEY_ARE, STANDARD
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.checks import Whole
from fastmlp.nn.decay import DECAY_PER
from fastmlp.nn.loss import LOSSES
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.schedule import RANGES, SCHEDULES
from fastmlp.nn.stopping import STOPPING
from fastmlp.runs.experiments import BATCH_SIZE, BEST, EXPERIMENTS, WEIGHT_DECAY
from fastmlp.runs.results import RETRIES
from fastmlp.runs.usual import HIDDEN
from fastmlp.sweep import file as sweep_file
from fastmlp.sweep.logger_names import LOGGERS
from fastmlp.sweep.plan import WORKERS
from fastmlp.sweep.space import PRESETS

_DESCRIPTION = """\
Train a network on your own data (--data), or the networks of the report's results table
under both of its normalisations, and print the table: what was reached on the test rows,
beside the best constant answer, or on CIFAR-100 the published figure."""

_EXAMPLES = """\
examples:
  %(prog)s --data adult.csv --target income             your own table; --dry-run shows how it is understood
  %(prog)s --data photos/ --image-size 64 --seeds 3     a folder with a folder of pictures for each class
  %(prog)s --data house.parquet --target price --grid hidden=64,256-256 lr=1e-4,1e-3 --out runs/house
  %(prog)s --out runs/all --seeds 3                     the report's table; the same again goes on
  %(prog)s --layers 3072,512,20 --activation relu --lr 0.01 --epochs 50
  %(prog)s --grid lr=0.001,0.005,0.01 batch_size=256,1024 --halving --out runs/grid"""


def parse(parser: Parser, argv: list[str]) -> Namespace:
    """Parse the options of a preset, then of a sweep file, then of the command line; a later one wins.

    Raises ConfigError for what is wrong whatever the data are.
    """
    args = parser.parse_args(argv)
    words = [*sweep_file.read(args.config, parser), *argv] if args.config else argv
    preset = PRESETS.get(parser.parse_args(words).preset)
    parser.set_defaults(**(preset.defaults if preset else {}))
    if parser.parse_args(words).data is not None:
        parser.set_defaults(**dict.fromkeys(BY_DATA))
    args = parser.parse_args(words)
    settings_of(args)
    return args


def asked_for(args: Namespace) -> str:
    """Return in a few words what the options ask for, as far as that is known without the data."""
    if args.clean:
        return f"removing what killed sweeps left in {args.out}"
    if args.data is not None:
        of = f" to predict {', '.join(args.target)}" if args.target else ""
        search = f" over {' '.join(args.grid or args.random)}" if args.grid or args.random else ""
        more = [f", {count} {name}" for name, count in (("folds", args.folds or 0), ("seeds", args.seeds)) if count > 1]
        return f"training on {args.data}{of}{search}{''.join(more)}"
    own = args.experiments is None and (args.layers or args.activation or args.labels or args.init_from)
    chosen = ["custom"] if own else dict.fromkeys(chain.from_iterable(args.experiments or [["all"]]))
    axes = args.grid or args.random or (PRESETS[args.preset].axes if args.preset in PRESETS else ())
    over = f" over {' '.join(axes)}" if axes else ""
    seeds = f", {args.seeds} seeds" if args.seeds > 1 else ""
    precision = "the fastest precision that holds" if args.precision == AUTO else args.precision
    return f"training {', '.join(chosen)}{over} on data set {args.dataset} in {precision}{seeds}"


def build_parser(prog: str = "python -m fastmlp.train") -> Parser:
    """Return the parser. An option that overrides an experiment's own setting is None where it was not given."""
    parser = Parser(prog=prog, usage="%(prog)s [options]", description=_DESCRIPTION, epilog=_EXAMPLES)
    parser.add_argument("--version", action="version", version=f"fastmlp {__version__}")
    _add_own(parser)
    _add_choice(parser)
    _add_search(parser)
    _add_network(parser)
    _add_training(parser)
    _add_steps(parser)
    _add_work(parser)
    _add_output(parser)
    return parser


def _add_own(parser: ArgumentParser) -> None:
    text = "nothing but --data need be given, and for a table --target; --dry-run shows how they are understood"
    add = parser.add_argument_group("your own data", text).add_argument
    text = (
        "a table (.csv, .tsv, .parquet, .arrow, or several as in 'part-*.csv'); a folder with a folder of pictures for "
        "each class, or a CSV of path,label; .npz or a folder of .npy with x and y (x_train, y_train, x_test ...); "
        "MNIST's *-ubyte files; svmlight; or sklearn:NAME, openml:NAME"
    )
    add("--data", type=source, metavar="PATH", help=text)
    text = "the column to predict; several are labels of 0 and 1, or numbers"
    add("--target", nargs="+", metavar="NAME", help=text)
    text = "what the target is (default: texts and few whole numbers are classes, other numbers a regression)"
    add("--task", choices=("classification", "labels", "regression"), help=text)
    text = "kinds of a table's columns, number, category, date or drop, where they are not as found: age=number,id=drop"
    add("--columns", metavar="NAME=KIND,...", help=text)
    add("--weights", metavar="NAME", help="a column: how much each row counts")
    add("--group", metavar="NAME", help="a column: rows of a group are all in one part")
    add("--order", metavar="NAME", help="a column: its last rows are for the test")
    add("--test-data", type=source, metavar="PATH", help="the test rows, where they are not in PATH")
    text = "share of the rows, or their number (default: 0.2)"
    add("--test-size", type=size, metavar="X", help=text)
    text = "cross-validate: each row is tested in one of K folds"
    add("--folds", type=whole(2), metavar="K", help=text)
    add("--validation-size", type=size, metavar="X", help="of the others, to stop and to choose by (0.2)")
    add("--split-seed", type=whole(0), metavar="N", help="of the split, the same for all runs (default: 0)")
    text = "pictures are scaled to N x N pixels (default: 32)"
    add("--image-size", type=whole(1, 1024), metavar="N", help=text)
    add("--grey", action="store_true", help="pictures without their colours")
    text = "how a table's numbers are scaled: standard (mean and deviation), robust (median and quartiles), quantile"
    add("--scale", choices=("standard", "robust", "quantile"), help=f"{text} (default: standard)")
    add("--hidden", type=units, metavar="N-N-...", help=f"hidden units of each layer (default: {dashed(HIDDEN)})")
    add("--baselines", action="store_true", help="also two models of scikit-learn's")


def _add_choice(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("what to run").add_argument
    known = names("experiment", [*EXPERIMENTS, "all", *BEST])
    add("--experiments", nargs="+", type=known, metavar="NAME", help="by name, or all (default: all)")
    add("--list", action="store_true", help="list the experiments and their published figures")
    norms = names("normalisation", [*NORMALIZATIONS, STANDARD, AS_THEY_ARE])
    text = f"of {', '.join(NORMALIZATIONS)} (default: image channel); of features {STANDARD} or {AS_THEY_ARE}"
    add("--normalize", nargs="+", type=norms, metavar="NAME", help=text)
    text = "auto: CIFAR-100 if there, else embedded (the default)"
    add("--dataset", choices=DATASET_NAMES, default="auto", help=text)
    add("--data-dir", type=place, metavar="DIR", help="where the data lie (default: the user's cache)")
    add("--mirror", type=mirror, metavar="URL", help="fetch from this address instead of the public host")
    text = "refuse data of another one, as sweep.toml does (default: any)"
    add("--fingerprint", type=fingerprint, default="any", metavar="HEX", help=text)
    add("--seed", type=whole(0, 2**63 - 1), default=0, metavar="N", help="the first seed (default: %(default)s)")
    add("--seeds", type=whole(), default=1, metavar="N", help="how many; several give mean and spread (default: 1)")


def _add_search(parser: ArgumentParser) -> None:
    text = "the best candidate on validation is then tested; an AXIS is a setting and its values, as in lr=0.001,0.01"
    add = parser.add_argument_group("search", text).add_argument
    add("--grid", nargs="+", metavar="AXIS", help="every combination; layers=3072-64-20")
    text = "N draws; ranges are log-uniform: lr=1e-4..1e-1"
    add("--random", nargs="+", metavar=("N", "AXIS"), help=text)
    text = "at each rung, go on with the best 1/ETA alone (3)"
    add("--halving", nargs="?", type=whole(2), const=3, metavar="ETA", help=text)
    text = "report: its 16 runs; " + "; ".join(f"{n}: {p.description}" for n, p in PRESETS.items())
    add("--preset", choices=["report", *PRESETS], default="report", help=f"{text} (default: report)")


def _add_network(parser: ArgumentParser) -> None:
    text = "these replace each chosen experiment's own; without --experiments they make one row, custom, out of l2"
    add = parser.add_argument_group("network", text).add_argument
    add("--layers", type=layers, metavar="N-N-...", help="inputs, hidden units, classes: 3072-256-20")
    text = f"{', '.join(ACTIVATIONS)}; or several, one a hidden layer: relu-tanh"
    add("--activation", type=activations, metavar="NAME", help=text)
    add("--loss", choices=list(LOSSES), help="as the target allows (default: its usual one)")
    add("--labels", choices=LABELS, help="which of CIFAR-100's: 20 coarse or 100 fine classes")


def _add_training(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("training").add_argument
    add("--batch-size", type=whole(), default=BATCH_SIZE, metavar="N", help="(default: %(default)s)")
    add("--epochs", type=whole(), default=RunConfig.epochs, metavar="N", help="at most (default: %(default)s)")
    text = "epochs to wait, counted by --stopping (default: %(default)s)"
    add("--patience", type=whole(), default=RunConfig.patience, metavar="N", help=text)
    text = "of rising loss, or since its best (default: %(default)s)"
    add("--stopping", choices=list(STOPPING), default="rises", help=text)
    add("--dropout", type=number, metavar="X", help="share of hidden outputs that a step drops (default: 0)")
    add("--input-dropout", type=number, metavar="X", help="and of inputs (default: 0)")
    text = "share of a label spread over all classes (default: 0)"
    add("--label-smoothing", type=number, metavar="X", help=text)
    text = "change training images at random (default: %(default)s)"
    add("--augment", choices=AUGMENTS, default="none", help=text)
    text = "initial weights (default: as the table says)"
    add("--init", choices=INITS, help=text)
    add("--init-from", type=place, metavar="MODEL", help="train on from DIR/models/RUN_ID.npz")
    text = "auto: the fastest here whose gradients hold; bfloat16 and int8 are of products (default: %(default)s)"
    add("--precision", choices=(AUTO, *PRECISIONS), default="float32", help=text)
    text = "packed kernels, numpy's BLAS, or the faster (auto)"
    add("--matmul", choices=(AUTO, *PRECISIONS["float32"].matmuls), default=AUTO, help=text)


_STEPS_HELP = {
    "lr": "learning rate",
    "warmup": "epochs in which lr rises first",
    "schedule_every": "epochs from step to step",
    "schedule_factor": "of lr, at each step or plateau",
    "schedule_patience": "epochs without a better one",
    "schedule_tol": "by which one is better",
    "schedule_power": "lr / rows^X",
}


def _add_steps(parser: ArgumentParser) -> None:
    text = "some have settings that others refuse; they are told with their defaults"
    add = parser.add_argument_group("optimiser and schedule", text).add_argument
    add("--optimizer", choices=list(OPTIMIZERS), default="sgd", help="(default: %(default)s)")
    defaults = {kind: {name: s.default for name, s in one.SETTINGS.items()} for kind, one in OPTIMIZERS.items()}
    for name in OPTIMIZER_SETTINGS:
        if name != "weight_decay":
            add(f"--{name}", type=number, metavar="X", help=_usual(name, name, defaults))
    text = f"(default: the experiment's, {WEIGHT_DECAY} or, for momentum, 0)"
    add("--weight-decay", type=number, metavar="X", help=text)
    text = "batch: divide it by the batch's rows, as scikit-learn does (default: the experiment's)"
    add("--decay-per", choices=DECAY_PER, help=text)
    add("--clip-norm", type=number, metavar="X", help="scale larger gradients down to this (default: 0, none)")
    text = "how lr changes over the epochs; cosine: it falls to 0 (default: %(default)s)"
    add("--schedule", choices=list(SCHEDULES), default="constant", help=text)
    defaults = {kind: one.defaults for kind, one in SCHEDULES.items()}
    for name, own in SCHEDULE_SETTINGS.items():
        numbers = RANGES[own]
        kind, metavar = (whole(numbers.least), "N") if isinstance(numbers, Whole) else (number, "X")
        add(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=_usual(name, own, defaults))


def _usual(name: str, own: str, defaults: Mapping[str, Mapping[str, float]]) -> str:
    """Return the help of a setting, with its default in each kind that has it, those of one default together."""
    kinds: dict[float, list[str]] = {}
    for kind, settings in defaults.items():
        if own in settings:
            kinds.setdefault(settings[own], []).append(kind)
    each = "; ".join(f"{', '.join(having)} {value:g}" for value, having in kinds.items())
    return f"{_STEPS_HELP.get(name, '')} ({each})".strip()


def _add_work(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("work").add_argument
    add("--threads", type=whole(), metavar="N", help="threads a run (default: 1; of a single run: all)")
    text = "at once; auto: as many as the cores take (default)"
    add("--jobs", type=_jobs, default="auto", metavar="N", help=text)
    text = "a killed process costs its run alone (the default)"
    add("--workers", choices=WORKERS, default=WORKERS[0], help=text)
    text = "run on a dask cluster instead: tcp://host:8786"
    add("--scheduler", type=address, metavar="URL", help=text)
    add("--dry-run", action="store_true", help="list the runs and the time that each takes at most")
    text = "compare a batch's gradients with float64's, by layer"
    add("--check-precision", action="store_true", help=text)


def _add_output(parser: ArgumentParser) -> None:
    add = parser.add_argument_group("output").add_argument
    text = "keep runs and tables here; the same command goes on"
    add("--out", type=place, metavar="DIR", help=text)
    text = f"run these of DIR anew: {', '.join(RETRIES)}"
    add("--retry", type=names("status", RETRIES), default=[], metavar="STATUS,...", help=text)
    add(
        "--config",
        type=place,
        metavar="FILE",
        help="options from a TOML file, as DIR/sweep.toml is one",
    )
    add("--report", action="store_true", help="then draw it all on a page, DIR/report.html")
    text = "add what is said to FILE, with the time (UTC); or log epochs for another tool: " + ", ".join(LOGGERS)
    add("--log", action=LogAction, metavar="FILE|TOOL", help=text)
    add("--clean", action="store_true", help="remove what a killed sweep left in DIR, then end")
    add("--quiet", action="store_true", help="print the table alone")


def _jobs(text: str) -> int | str:
    return text if text == "auto" else whole()(text)
