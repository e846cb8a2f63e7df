"""`python -m fastmlp.export`: write a saved model as ONNX, checked against this package's output, or as safetensors."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.export")

from fastmlp.cli.parser import Parser, place
from fastmlp.cli.shell import Call, Door, Work

_EXAMPLES = """examples:
  %(prog)s runs/all/models/RUN_ID.npz model.onnx
  %(prog)s model.npz model.safetensors
  %(prog)s own.npz own.onnx --prepared       of a model of a table, the network alone

The graph takes `inputs`: (M, 3072) uint8, the red, the green and the blue plane of each image, and normalises them
itself. Of a model of a table it takes each column, (M, 1) double with NaN, or string with "", where it is missing, and
imputes, standardises and encodes them itself. It gives `probabilities`, (M, classes), or `outputs`, numbers. The names
of classes are in its metadata: "classes", as JSON."""


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
    text = "of a model of a table: the graph takes rows as the network does, (M, D), not columns"
    parser.add_argument("--prepared", action="store_true", help=text)
    return parser


def _load(_: Call) -> Work:
    from fastmlp.models.onnx import export

    return export


main = Door("export", _parser, lambda args: f"writing {args.model} as {args.out}", _load)
