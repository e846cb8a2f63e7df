"""`python -m fastmlp.train`: say what is asked for and choose the BLAS kernels, before numpy loads; then do it."""

if __name__ == "__main__":  # before all other imports, which take a while
    from fastmlp.cli import program

    program.begin()

import sys
from collections.abc import Sequence

from fastmlp import coretype
from fastmlp.cli.options import asked_for, parse
from fastmlp.cli.plan import settings_of
from fastmlp.report.tables import experiments_table
from fastmlp.terminal import ERRORS, Command, print_table, refused, run_command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the process's arguments) and return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(argv)
        settings_of(args)  # refuses what no data can mend
    except ERRORS as error:
        return refused(error)
    if args.list:
        print_table(experiments_table())
        return 0
    note = coretype.apply()

    def load() -> Command:
        from fastmlp.cli import sweep as cli  # loads numpy and the kernels

        return lambda *_: cli.main(argv, notes=[note] if note else [])

    return run_command(load, args, asked_for(args))


if __name__ == "__main__":
    from fastmlp.cli import program

    program.end(main)
