"""Checks of settings: numbers, counts, names, functions and random generators."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NamedTuple

from fastmlp.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

FLOAT64_MAX = math.nextafter(math.inf, 0)
FLOAT32_MAX = (2 - 2**-23) * 2.0**127
FLOAT32_NORMAL = 2.0**-126
# The largest float64 that float32 rounds to something below 1.
FLOAT32_BELOW_1 = math.nextafter(1 - 2**-25, 0)


def is_whole(value: Any, least: int) -> bool:
    """Whether a value is an integer, of Python or numpy, from `least` on; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_real(value: Any) -> bool:
    """Whether a value is a real number, of Python or numpy, that is finite in float64; True and False are none."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def check_count(name: str, value: Any) -> None:
    """Raise ConfigError unless a value is a whole number from 1 on."""
    Whole(1).check(name, value)


def check_name(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ConfigError unless a value is one of the allowed names."""
    allowed = tuple(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise ConfigError(f"{name} is {value!r}, allowed: {', '.join(allowed)}")


def check_function(name: str, value: Any) -> None:
    """Raise ConfigError unless a value can be called, or is None."""
    if value is not None and not callable(value):
        raise ConfigError(f"{name} is {value!r}, allowed is a function, or None")


class Range(NamedTuple):
    """A range of real numbers from 0 on, for a setting.

    zero : whether it includes 0; below_1 : whether it ends below 1
    allowed, rule : the range in words, for a message and for a config's rule
    normal : whether float32 must hold the number with all its digits, so that it is not rounded to 0
    """

    zero: bool
    below_1: bool
    allowed: str
    rule: str
    normal: bool = False

    def holds(self, value: Any, *, float32: bool = False) -> bool:
        """Whether a value is in the range; float32 : also once it is rounded to that dtype."""
        if self.below_1:
            most = FLOAT32_BELOW_1 if float32 else math.nextafter(1.0, 0.0)
        else:
            most = FLOAT32_MAX if float32 else FLOAT64_MAX
        if not is_real(value):
            return False
        number = float(value)  # beside a float32, `most` would be infinite, with a warning
        if self.normal and float32:
            return FLOAT32_NORMAL <= number <= most
        return 0 <= number <= most if self.zero else 0 < number <= most

    def check(self, name: str, value: Any, *, float32: bool = False) -> None:
        """Raise ConfigError unless a value is in the range."""
        if not self.holds(value, float32=float32):
            least = "from 1.2e-38 " if self.normal else ""
            within = ", in float32" if self.below_1 else f" that float32 holds, {least}up to 3.4e38"
            allowed = f"{self.allowed}{within if float32 else ''}"
            raise ConfigError(f"{name} is {shown(value)}, allowed is a finite number {allowed}")


ABOVE_0 = Range(False, False, "above 0", "a number above 0")
ABOVE_0_NORMAL = Range(False, False, "above 0", "a number above 0", normal=True)
FROM_0 = Range(True, False, "0 or more", "a number of at least 0")
FROM_0_BELOW_1 = Range(True, True, "from 0 up to, not including, 1", "a number from 0 to below 1")
ABOVE_0_BELOW_1 = Range(False, True, "above 0 and below 1", "a number above 0 and below 1")


class Whole(NamedTuple):
    """A range of whole numbers from `least` on, for a setting."""

    least: int

    def check(self, name: str, value: Any) -> None:
        """Raise ConfigError unless a value is in the range."""
        if not is_whole(value, self.least):
            raise ConfigError(f"{name} is {shown(value)}, allowed is a whole number from {self.least} on")


def generator(rng: Any) -> np.random.Generator:
    """Return a generator: `rng` itself, or a new one of that seed; ConfigError for anything else."""
    import numpy as np  # here: settings are checked before numpy is needed

    try:
        if not isinstance(rng, bool | np.bool_):
            return np.random.default_rng(rng)
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"rng is {rng!r}, allowed is a numpy generator or a seed, a whole number from 0 on")


def shown(value: Any) -> str:
    """Return a value as text for a message; Python refuses to write integers of thousands of digits."""
    return "a whole number of hundreds of digits" if isinstance(value, int) and abs(value) > 10**100 else repr(value)
