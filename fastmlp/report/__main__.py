"""`python -m fastmlp.report DIR`: write a sweep's figures and tables, and one page of them, from the sweep's folder."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.run("fastmlp.report.__main__")

from fastmlp.cli.parser import Parser, place
from fastmlp.cli.shell import Call, Door, Work

_EXAMPLES = """examples:
  %(prog)s runs/all                          writes runs/all/report.html and runs/all/figures/
  %(prog)s runs/all --data-dir DIR           with figures that need the data, where they lie elsewhere
"""


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Draw a sweep's figures and put them, with its tables, on one page; also while it runs.",
        epilog=_EXAMPLES,
    )
    parser.add_argument("folder", type=place, metavar="DIR", help="the folder that --out named")
    parser.add_argument("--data-dir", type=place, metavar="DIR", help="where the data lie (default: as in training)")
    text = "of own data, what scikit-learn's usual models reach on the same rows"
    parser.add_argument("--baselines", action="store_true", help=text)
    return parser


def _load(_: Call) -> Work:
    from fastmlp.report.make import report

    return report


main = Door("report", _parser, lambda args: f"drawing the page of {args.folder}", _load)
