"""`python -m fastmlp.predict`: what a saved model says of pictures, of arrays, or of a data set's test images."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.begin()

from collections.abc import Sequence

from fastmlp.cli.parser import Parser, place, whole
from fastmlp.data import DATASET_NAMES
from fastmlp.terminal import Command, run_command

FORMATS = ("table", "json", "csv")
_EXAMPLES = """examples:
  python -m fastmlp.predict runs/all/models/RUN_ID.npz cat.jpg holiday/       pictures, and folders of them
  python -m fastmlp.predict model.npz images.npy --format csv > answers.csv   uint8 arrays (M, 32, 32, 3)
  python -m fastmlp.predict model.npz --dataset cifar100                      accuracy by class on its test images

Pictures of any size are cut to their centre square and scaled to 32 x 32. Exit status: 0; 1 where a file could not be
read, which is told and left out; 2 where nothing could be done."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = _parser().parse_args(argv)
    return run_command(_load, args, f"predicting by {args.model}")


def _load() -> Command:
    from fastmlp.models.predictor import predict

    return predict


def _parser() -> Parser:
    parser = Parser(
        prog="python -m fastmlp.predict",
        description="Tell the most probable classes of images, by a model that training saved.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="a .npz or .safetensors file")
    text = "pictures, .npy files, folders of them; none with --dataset"
    parser.add_argument("images", type=place, nargs="*", default=[], metavar="IMAGE", help=text)
    parser.add_argument("--dataset", choices=DATASET_NAMES, help="a data set's test images instead")
    parser.add_argument("--data-dir", type=place, metavar="DIR", help="where the data lie (default: the user's cache)")
    parser.add_argument("--top", type=whole(), default=5, metavar="N", help="classes to tell (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="table", help="of what is printed (default: %(default)s)")
    parser.add_argument("--threads", type=whole(), metavar="N", help="(default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


if __name__ == "__main__":
    from fastmlp.cli import program

    program.end(main)
