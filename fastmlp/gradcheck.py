"""Is backpropagation right? `python -m fastmlp.gradcheck` compares it with differences of the loss, in float64.

For each activation, or several of them, one a hidden layer, and each loss: two questions, each with a bound that a wrong gradient does not meet:

1. Six single weights, as in the report's Figure 7, by the central difference (f(e) - f(-e)) / 2e with e = 1e-2. Its own
   error is C e^2, where C is a sixth of the third derivative. Halving e quarters that error, so two differences tell C;
   a backpropagated gradient further away than that is wrong, however small the difference looks.
2. Each layer and the whole network along random directions: every weight moves at once, so each has its part in the one
   number compared. A fourth-order difference over a small step is exact to far below the 1e-8 asked for.

A ReLU has no derivative where its input is 0. A difference across such a kink measures something else, so images for
which a unit switches between the points compared are left out of that comparison.
"""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.gradcheck")

import argparse
from itertools import product
from typing import TYPE_CHECKING

from fastmlp.cli.parser import Parser, activations, layers, whole
from fastmlp.cli.shell import Call, Door, Work
from fastmlp.config import MOST, dashed
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.loss import LOSSES
from fastmlp.terminal import Compiling

if TYPE_CHECKING:
    from rich.console import Console


def _network(args: argparse.Namespace) -> str:
    return "-".join(map(str, args.layers))


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description=__doc__)
    names, losses = list(ACTIVATIONS), list(LOSSES)
    text = f"of {', '.join(names)} (default: each), or several in one, one a hidden layer, as in relu-tanh"
    parser.add_argument("--activation", nargs="+", type=activations, metavar="NAME", default=names, help=text)
    text = f"of {', '.join(losses)} (default: cross-entropy)"
    parser.add_argument("--loss", nargs="+", choices=losses, metavar="NAME", default=losses[:1], help=text)
    parser.add_argument(
        "--layers", type=_sizes, default=[3072, 128, 20], help="such as 3072-123-123-20 (default: 3072-128-20)"
    )
    parser.add_argument(
        "--seed", type=whole(0, 2**63 - 1), default=0, help="of weights, images and what is checked (default: 0)"
    )
    return parser


def _sizes(text: str) -> list[int]:
    sizes = list(layers(text))
    if len(sizes) < 3 or min(sizes) < 1 or max(sizes) > MOST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not inputs, hidden units (one layer or more) and classes, such as 3072-128-20, each 1 to "
            f"{MOST}"
        )
    return sizes


def _load(_: Call) -> Work:
    from fastmlp.nn.gradients import EPSILON, IMAGES, STEP, run_checks, to_table

    def check(args: argparse.Namespace, console: "Console") -> int:
        compiling, failed = Compiling(console), 0
        for activation, loss in product(args.activation, args.loss):
            with compiling.here(f"Checking {dashed(activation)}, {loss}"):
                weights, directions = run_checks(args.layers, activation, args.seed, loss)
            print(f"### {_network(args)}, {dashed(activation)}, {loss}, float64, {IMAGES} random images\n")
            print(to_table(weights, f"weight, e = {EPSILON:g}").markdown())
            print(to_table(directions, f"random direction, step {STEP:g}").markdown())
            failed += sum(not check.passed for check in weights + directions)
        print(f"{failed} comparisons FAILED." if failed else "Every gradient is within its bound.")
        return 1 if failed else 0

    return check


def _sentence(args: argparse.Namespace) -> str:
    return f"checking gradients of {_network(args)}, {', '.join(map(dashed, args.activation))}, {', '.join(args.loss)}"


main = Door("gradcheck", _parser, _sentence, _load)
