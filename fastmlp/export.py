"""`python -m fastmlp.export`: write a saved model as ONNX, checked against this package's output, or as safetensors."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.export")

from fastmlp.cli.parser import Parser, place
from fastmlp.cli.shell import Call, Door, Work

_EXAMPLES = """examples:
  %(prog)s runs/all/models/RUN_ID.npz model.onnx
  %(prog)s model.npz model.safetensors

The graph takes `inputs`: (M, 3072) uint8, the red, the green and the blue plane of each image, and normalises them
itself. It gives `probabilities`, (M, classes). The classes' names are in its metadata: "classes", as JSON."""


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Write a saved model as ONNX, checked by onnxruntime, or in the other format.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("model", type=place, metavar="MODEL", help="a .npz or .safetensors file")
    parser.add_argument("out", type=place, metavar="OUT", help="a file that ends in .onnx, .npz or .safetensors")
    text = "where the images for the check are looked for (default: the user's cache; else embedded ones)"
    parser.add_argument("--data-dir", type=place, metavar="DIR", help=text)
    return parser


def _load(_: Call) -> Work:
    from fastmlp.models.onnx import export

    return export


main = Door("export", _parser, lambda args: f"writing {args.model} as {args.out}", _load)
