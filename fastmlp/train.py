"""`python -m fastmlp.train`: choose the BLAS kernels before numpy loads, then run the command line."""

import sys
from collections.abc import Sequence

from fastmlp import coretype


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line on `argv` (default: the process's arguments) and return its exit status."""
    note = coretype.apply()
    try:
        from fastmlp import cli  # loads numpy and the kernels
    except ValueError as error:  # FASTMLP_NUMBA_CACHE is neither 0 nor 1
        print(f"error: {error}", file=sys.stderr)
        return 2
    return cli.main(argv, notes=[note] if note else [])


if __name__ == "__main__":
    sys.exit(main())
