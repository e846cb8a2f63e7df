"""What a number, a count, a name or a generator among the settings may be: the one place that refuses others."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

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


def check_rates(lr: Any, momentum: Any, weight_decay: Any, *, float32: bool = False, lr_name: str = "lr") -> None:
    """Raise ConfigError for the first of an optimiser's settings that is no number in its range.

    float32 : whether training computes in float32, which holds less: no rate above 3.4e38, and a momentum so near to 1
        would be 1
    """
    most, within = (FLOAT32_MAX, " that float32 holds, up to 3.4e38") if float32 else (FLOAT64_MAX, "")
    below, to = (FLOAT32_BELOW_1, ", in float32") if float32 else (math.nextafter(1.0, 0.0), "")
    for name, value, fits, allowed in (
        (lr_name, lr, lambda v: 0 < v <= most, f"above 0{within}"),
        ("momentum", momentum, lambda v: 0 <= v <= below, f"from 0 up to, not including, 1{to}"),
        ("weight_decay", weight_decay, lambda v: 0 <= v <= most, f"0 or more{within}"),
    ):
        if not (is_real(value) and fits(value)):
            raise ConfigError(f"{name} is {shown(value)}, allowed is a finite number {allowed}")


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
