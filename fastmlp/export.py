"""`python -m fastmlp.export`: a saved model as ONNX, checked against this package's answers, or in another format."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.begin()

from collections.abc import Sequence

from fastmlp.cli.parser import Parser, place
from fastmlp.terminal import Command, run_command

_EXAMPLES = """examples:
  python -m fastmlp.export runs/all/models/RUN_ID.npz model.onnx
  python -m fastmlp.export model.npz model.safetensors

The graph takes `inputs`: (M, 3072) uint8, the red, the green and the blue plane of each image, and normalises them
itself. It gives `probabilities`, (M, classes). The classes' names are in its metadata: "classes", as JSON."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    args = _parser().parse_args(argv)
    return run_command(_load, args, f"writing {args.model} as {args.out}")


def _load() -> Command:
    from fastmlp.models.onnx import export

    return export


def _parser() -> Parser:
    parser = Parser(
        prog="python -m fastmlp.export",
        description="Write a saved model as ONNX, checked by onnxruntime, or in the other format.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="a .npz or .safetensors file")
    parser.add_argument("out", type=place, metavar="OUT", help="a file that ends in .onnx, .npz or .safetensors")
    text = "where the images for the check are looked for (default: the user's cache; else embedded ones)"
    parser.add_argument("--data-dir", type=place, metavar="DIR", help=text)
    return parser


if __name__ == "__main__":
    from fastmlp.cli import program

    program.end(main)
