"""`python -m fastmlp.predict`: what a saved model says of tables, pictures, arrays, or a data set's test images."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.predict")

import re
from argparse import ArgumentTypeError

from fastmlp.cli.parser import Parser, place, whole
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.data import DATASET_NAMES

FORMATS = ("table", "json", "csv")
_EXAMPLES = """examples:
  %(prog)s model.npz new.csv -o out.csv                      an answer for each row of a table
  %(prog)s model.npz new.csv --keep id,name --format csv     with two of its columns in front, to stdout
  %(prog)s model.npz --data test.csv                         accuracy and other metrics, where answers are there
  %(prog)s runs/all/models/RUN_ID.npz cat.jpg holiday/       pictures, and folders of them
  %(prog)s model.npz images.npy --format csv > answers.csv   uint8 arrays (M, 32, 32, 3)
  %(prog)s model.npz --dataset cifar100                      accuracy by class on its test images

A model of your own data reads what it was trained on: tables, pictures whole, arrays. Each row of a table has a row in
the answers, empty where it is blank. Of CIFAR's models, pictures are cut to their centre square and scaled to 32 x 32.
Exit status: 0; 1 where a file could not be read, which is told and left out; 2 where nothing could be done."""


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Tell what a model that training saved says of the rows of a table, of pictures or arrays.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="a .npz or .safetensors file")
    text = "tables, pictures, .npy files, folders; none with --data or --dataset"
    parser.add_argument("inputs", type=place, nargs="*", default=[], metavar="FILE", help=text)
    text = "of a table or a folder that holds the answers too: print the metrics"
    parser.add_argument("--data", type=place, nargs="+", default=[], metavar="FILE", help=text)
    text = "the columns of --data with the answers (default: as in training)"
    parser.add_argument("--target", nargs="+", default=[], metavar="NAME", help=text)
    parser.add_argument("--weights", metavar="NAME", help="a column of --data: how much each row counts in the metrics")
    text = "write the answers there, .csv or .json, instead of printing them"
    parser.add_argument("-o", "--out", type=place, metavar="FILE", help=text)
    text = "columns of the table to keep in front of the answers"
    parser.add_argument("--keep", type=_names, default=(), metavar="NAME,...", help=text)
    text = "classes to tell, the most probable ones (default: 1; 5 of CIFAR's)"
    parser.add_argument("--top", type=whole(), metavar="N", help=text)
    parser.add_argument("--probabilities", action="store_true", help="of every class or label too")
    parser.add_argument("--dataset", choices=DATASET_NAMES, help="a data set's test images instead")
    parser.add_argument(
        "--data-dir", type=place, metavar="DIR", help="where --dataset lies (default: the user's cache)"
    )
    parser.add_argument("--format", choices=FORMATS, help="of what is printed (default: table)")
    parser.add_argument("--threads", type=whole(), metavar="N", help="(default: all cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    return parser


def _names(text: str) -> tuple[str, ...]:
    r"""Read names of columns with commas between them; a comma in a name is written `\,`."""
    names = tuple(name.replace("\\,", ",").strip() for name in re.split(r"(?<!\\),", text))
    if not all(names) or len(set(names)) < len(names):
        raise ArgumentTypeError(f"{text!r} is no list of different names; write such as id,name")
    return names


def _load(_: Call) -> Work:
    from fastmlp.cli.answering import predict

    return predict


main = Door("predict", _parser, lambda args: f"predicting by {args.model}", _load)
