"""What a reader is asked for: the path and all settings of `read_raw`, as one record."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fastmlp.data.raw import KINDS
from fastmlp.errors import ConfigError, suggestion

MOST_SIDE = 1024  # pixels


@dataclass(frozen=True)
class Ask:
    """The arguments of `fastmlp.data.sources.read.read_raw`; ConfigError where one is none that is allowed."""

    path: Path
    target: str | None
    task: str | None
    image_size: int
    grey: bool
    cache: Path | None
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        if self.task is not None and self.task not in KINDS:
            raise ConfigError(
                f"task is {self.task!r}; allowed are {', '.join(KINDS)}, or None to tell it from the target."
                f"{suggestion(str(self.task), KINDS)}"
            )
        size = self.image_size
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST_SIDE:
            raise ConfigError(f"image_size is {size!r}; allowed is a whole number of pixels from 1 to {MOST_SIDE:,}.")

    def target_called(self, name: str) -> str:
        """Return the name of the only target that a source has; ConfigError where another one was asked for."""
        if self.target not in (None, name):
            raise ConfigError(f"target is {self.target!r}, but the only target there is {name!r}: leave it out.")
        return name
