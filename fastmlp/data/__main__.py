"""`python -m fastmlp.data`: fetch a data set, or describe one in tables."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.data.__main__")

import sys
from argparse import Namespace
from typing import TYPE_CHECKING

from fastmlp.cli.parser import Parser, mirror, place, whole
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.data import DATASET_NAMES, cache_dir
from fastmlp.data.cifar import LAYOUTS, REPORT_IMAGE, TITLES
from fastmlp.text import plain, visible

if TYPE_CHECKING:
    from rich.console import Console

    from fastmlp.data import Progress

_EXAMPLES = """examples:
  %(prog)s fetch cifar100                      into the cache, where training finds it
  %(prog)s fetch cifar100 --mirror URL         from another host: cs.toronto.edu is slow at times
  %(prog)s fetch cifar10 --data-dir data       into a folder of your own
  %(prog)s describe                            CIFAR-100 if it is there, else the embedded set
  %(prog)s describe --data-dir data --labels fine

A fetch that was cut goes on where it stopped when you run it again. The archive is checked against its published
checksum and is read as it is: there is no need to extract it, though an extracted folder loads faster.
"""


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Fetch the data sets that fastmlp trains on, and describe them in Markdown tables.",
        epilog=_EXAMPLES,
    )
    cache = str(cache_dir() or "none: there is no HOME").replace("%", "%%")  # argparse formats its help texts
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("fetch", help="download a data set, verified, resuming where a cut download stopped")
    command.add_argument("name", choices=sorted(TITLES), help="the data set")
    command.add_argument("--data-dir", type=place, metavar="DIR", help=f"where to put the archive (default: {cache})")
    command.add_argument(
        "--mirror", type=mirror, metavar="URL", help="web folder that holds the archive, instead of the public host"
    )
    command.add_argument(
        "--form", choices=("binary", "python"), default="binary", help="which published archive (default: %(default)s)"
    )
    command.set_defaults(load=_load_fetch, go_on=" A download goes on from here when the same command is run again.")

    command = commands.add_parser("describe", help="print counts by split and class, and one image's statistics")
    command.add_argument(
        "--dataset",
        choices=DATASET_NAMES,
        default="auto",
        help="default: CIFAR-100 where it lies, else the embedded set",
    )
    command.add_argument("--data-dir", type=place, metavar="DIR", help=f"where the data lie (default: {cache})")
    command.add_argument(
        "--labels", choices=("coarse", "fine"), help="classes to count (default: coarse where there are)"
    )
    command.add_argument(
        "--image",
        type=whole(0),
        metavar="N",
        help=f"training image for the statistics (default: {REPORT_IMAGE}, the report's, for CIFAR-100; else 0)",
    )
    command.set_defaults(load=_load_describe, go_on="")
    return parser


def _load_fetch(_: Call) -> Work:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    from fastmlp.data import load

    def fetch(options: Namespace, console: "Console") -> int:
        layout = next(one for one in LAYOUTS if (one.dataset, one.form) == (options.name, options.form))
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Bar(TextColumn("{task.description}"), *columns, console=console) as bar:
            task = bar.add_task(layout.archive.name, total=layout.archive.size)

            def show(progress: "Progress") -> None:
                bar.update(task, completed=progress.done)
                if progress.note:
                    bar.console.print(plain(progress.note))

            path = load.fetch(layout, options.data_dir, mirror=options.mirror, on_progress=show)
        print(f"{TITLES[options.name]} is in {visible(str(path))}, checksum verified.")
        return 0

    return fetch


def _load_describe(call: Call) -> Work:
    print(f"Reading the data set {call.args.dataset}.", file=sys.stderr, flush=True)  # before numpy loads
    from fastmlp.data import load_dataset
    from fastmlp.data.tables import class_table, split_table, statistics_table

    def describe(options: Namespace, _: "Console") -> int:
        # Describing never starts a download: that is what fetch is for.
        dataset = load_dataset(options.dataset, options.data_dir, download=False)
        if dataset.notice:
            print(visible(dataset.notice), file=sys.stderr)
        kind = options.labels or ("coarse" if "coarse" in dataset.label_names else "fine")
        image = options.image if options.image is not None else REPORT_IMAGE if dataset.name == "cifar100" else 0
        parts = (
            visible(f"Data set: {dataset.name} ({dataset.source}), fingerprint {dataset.fingerprint}"),
            f"Images by split\n\n{split_table(dataset).markdown()}",
            f"Images by {kind} class\n\n{class_table(dataset, kind).markdown()}",
            f"One image before and after normalisation\n\n{statistics_table(dataset, image).markdown()}",
        )
        print("\n\n".join(part.rstrip() for part in parts))
        return 0

    return describe


main = Door("data", _parser, lambda _: "", lambda call: call.args.load(call), go_on=lambda call: call.args.go_on)
