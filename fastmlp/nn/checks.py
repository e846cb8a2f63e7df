"""What a number, a count, a name or a generator among the settings may be: the one place that refuses others."""

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
# The largest float64 that float32 rounds to something below 1.
FLOAT32_BELOW_1 = math.nextafter(1 - 2**-25, 0)


def is_whole(value: Any, least: int) -> bool:
    """Whether it is an integer of at least this, of Python or numpy; True and False are none."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def is_real(value: Any) -> bool:
    """Whether it is a number that float64 holds, of Python or numpy; neither True, nor NaN, nor 10**400."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def check_count(name: str, value: Any) -> None:
    """Raise ConfigError unless it is a whole number from 1 on."""
    if not is_whole(value, 1):
        raise ConfigError(f"{name} is {shown(value)}, allowed is a whole number from 1 on")


def check_name(name: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ConfigError unless it is one of these names."""
    allowed = tuple(allowed)
    if not (isinstance(value, str) and value in allowed):
        raise ConfigError(f"{name} is {value!r}, allowed: {', '.join(allowed)}")


def check_function(name: str, value: Any) -> None:
    """Raise ConfigError unless it can be called, or is None."""
    if value is not None and not callable(value):
        raise ConfigError(f"{name} is {value!r}, allowed is a function, or None")


class Range(NamedTuple):
    """Numbers from 0 on that a setting may be.

    zero : whether 0 is one of them; below_1 : whether they end below 1
    allowed, rule : both in words, for a message and for a config's rule
    """

    zero: bool
    below_1: bool
    allowed: str
    rule: str

    def holds(self, value: Any, *, float32: bool = False) -> bool:
        """Whether it is such a number, and is one in float32 too where training computes in that."""
        if self.below_1:
            most = FLOAT32_BELOW_1 if float32 else math.nextafter(1.0, 0.0)
        else:
            most = FLOAT32_MAX if float32 else FLOAT64_MAX
        return is_real(value) and (0 <= value <= most if self.zero else 0 < value <= most)

    def check(self, name: str, value: Any, *, float32: bool = False) -> None:
        """Raise ConfigError unless it is such a number."""
        if not self.holds(value, float32=float32):
            within = ", in float32" if self.below_1 else " that float32 holds, up to 3.4e38"
            allowed = f"{self.allowed}{within if float32 else ''}"
            raise ConfigError(f"{name} is {shown(value)}, allowed is a finite number {allowed}")


ABOVE_0 = Range(False, False, "above 0", "a number above 0")
FROM_0 = Range(True, False, "0 or more", "a number of at least 0")
FROM_0_BELOW_1 = Range(True, True, "from 0 up to, not including, 1", "a number from 0 to below 1")


def generator(rng: Any) -> np.random.Generator:
    """Return the generator, or one of this seed; ConfigError where it is neither."""
    import numpy as np  # here: settings are checked before numpy is needed

    try:
        if not isinstance(rng, bool | np.bool_):
            return np.random.default_rng(rng)
    except (TypeError, ValueError):
        pass
    raise ConfigError(f"rng is {rng!r}, allowed is a numpy generator or a seed, a whole number from 0 on")


def shown(value: Any) -> str:
    """Return a value as a message shows it: an integer of thousands of digits cannot be written out."""
    return "a whole number of hundreds of digits" if isinstance(value, int) and abs(value) > 10**100 else repr(value)
