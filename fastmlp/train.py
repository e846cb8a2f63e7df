"""`python -m fastmlp.train`: say what is asked for and choose the BLAS kernels, before numpy loads; then do it."""

import sys
from collections.abc import Sequence

from fastmlp import coretype
from fastmlp.errors import FastMLPError
from fastmlp.options import asked_for, parse
from fastmlp.plan import settings_of
from fastmlp.tables import experiments_table
from fastmlp.terminal import Command, print_table, run_command
from fastmlp.text import visible


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the process's arguments) and return its exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parse(argv)
        settings_of(args)  # refuses what no data can mend
    except FastMLPError as error:
        print(f"error: {visible(str(error))}", file=sys.stderr)
        return 2
    if args.list:
        print_table(experiments_table())
        return 0
    note = coretype.apply()

    def load() -> Command:
        from fastmlp import cli  # loads numpy and the kernels

        return lambda *_: cli.main(argv, notes=[note] if note else [])

    return run_command(load, args, asked_for(args))


if __name__ == "__main__":
    sys.exit(main())
