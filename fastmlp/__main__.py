"""The program `fastmlp`, also `python -m fastmlp`: see `fastmlp.cli.commands`."""

from fastmlp.cli import program

TYPE_CHECKING = False  # its module takes as long as all others of this one
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> "NoReturn":
    """Run the command that the process's arguments name, and end the process."""
    program.run("fastmlp.cli.commands")


if __name__ == "__main__":
    main()
