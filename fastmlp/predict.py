"""`python -m fastmlp.predict`: predictions of a saved model on pictures, arrays, or a data set's test images."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.predict")

from fastmlp.cli.parser import Parser, place, whole
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.data import DATASET_NAMES

FORMATS = ("table", "json", "csv")
_EXAMPLES = """examples:
  %(prog)s runs/all/models/RUN_ID.npz cat.jpg holiday/       pictures, and folders of them
  %(prog)s model.npz images.npy --format csv > answers.csv   uint8 arrays (M, 32, 32, 3)
  %(prog)s model.npz --dataset cifar100                      accuracy by class on its test images

Pictures of any size are cut to their centre square and scaled to 32 x 32. Exit status: 0; 1 where a file could not be
read, which is told and left out; 2 where nothing could be done."""


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
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


def _load(_: Call) -> Work:
    from fastmlp.models.predictor import predict

    return predict


main = Door("predict", _parser, lambda args: f"predicting by {args.model}", _load)
