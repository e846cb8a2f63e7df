"""Run a script with `fastmlp.sklearn.patch()` called before it: `python -m fastmlp.sklearn script.py [arguments]`.

What the script imports from `sklearn.neural_network` is then this package's, in this process; it runs as
`python script.py` would, with its own arguments, folder and exit status.
"""

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from fastmlp.cli.parser import Parser


def main(argv: Sequence[str] | None = None, prog: str = "python -m fastmlp.sklearn") -> int:
    """Run the script that the command line names, and return 0; it may end the process by itself."""
    argv = list(sys.argv[1:] if argv is None else argv)
    parser = Parser(prog=prog, description=__doc__)
    parser.add_argument("script", help="a Python file")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="given to the script as they are")
    # What stands after the script's name is not for this parser.
    own = next((i for i, word in enumerate(argv) if not word.startswith("-")), len(argv) - 1) + 1
    script = parser.parse_args(argv[:own]).script
    if not Path(script).is_file():
        parser.error(f"there is no file {script!r}: give the path of a Python script")
    from fastmlp.sklearn import patch

    patch()
    sys.argv[:] = [script, *argv[own:]]
    sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
