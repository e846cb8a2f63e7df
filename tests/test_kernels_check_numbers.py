"""Bad numbers given to the kernels: rates, settings, axes and channels are named, and nothing is written."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import fastmlp_kernels
from fastmlp_kernels import _check
from test_kernels_check import ADAM, GOOD, RATES, SUMS, D, H, N, assert_refused


@pytest.mark.parametrize(
    ("function", "setting"),
    [("logistic_loss", "label_smoothing"), ("softmax_cross_entropy", "label_smoothing"), ("huber_loss", "delta")],
)
@pytest.mark.parametrize("value", ["0.1", None, True, -0.5, np.nan, np.inf, 1.0], ids=repr)
def test_a_setting_of_a_loss_that_does_not_fit_is_refused(function, setting, value):
    for form in ("", "_eval"):
        if (setting, value) == ("delta", 1.0):
            continue
        with pytest.raises((TypeError, ValueError), match=f"{setting} is .*, allowed is a .*number"):
            getattr(fastmlp_kernels, function + form)(**GOOD[function + form](), **{setting: value})


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", ["0.1", None, np.ones(2), 1j, True, np.True_, np.timedelta64(1)], ids=repr)
def test_a_rate_that_is_no_number_is_refused(name, value):
    arguments = GOOD["momentum_step"]() | {name: value}
    assert_refused("momentum_step", arguments, TypeError, f"{name} is .*, allowed is a finite number")


@pytest.mark.parametrize("function", ADAM)
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("lr", "0.1", TypeError, "lr is '0.1', allowed is a finite number"),
        ("eps", 1e39, ValueError, r"eps is 1e\+39, allowed is a finite number: from .* in float32"),
        ("beta1", 1, ValueError, "beta1 is 1.0, allowed is a number from 0 up to, not including, 1"),
        ("beta2", -0.5, ValueError, "beta2 is -0.5, allowed is a number from 0 up to, not including, 1"),
        ("step", 0, ValueError, "step is 0, allowed is a whole number from 1 to"),
        ("step", 1.0, TypeError, "step is 1.0, allowed is a whole number"),
    ],
)
def test_settings_of_adam_that_are_none_are_refused(function, name, value, error, message):
    assert_refused(function, GOOD[function]() | {name: value}, error, message)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("rate", 1.0, ValueError, "rate is 1.0, allowed is a number from 0 up to, not including, 1"),
        ("rate", "0.5", TypeError, "rate is '0.5', allowed is a finite number"),
        ("seed", -1, ValueError, r"seed is -1, allowed is a whole number from 0 to 2\*\*64 - 1"),
        ("step", 2**32, ValueError, r"step is 4294967296, allowed is a whole number from 0 to 2\*\*32 - 1"),
        ("layer", 0.5, TypeError, "layer is 0.5, allowed is a whole number"),
        ("first", 2**32 - N + 1, ValueError, rf"first is .*, allowed is .* 2\*\*32 less the {N} rows of x"),
    ],
)
def test_numbers_of_dropout_that_are_none_are_refused(name, value, error, message):
    assert_refused("dropout", GOOD["dropout"]() | {name: value}, error, message)


@pytest.mark.parametrize("value", [0.0, -1e-5, 1e-310, np.nan, "1", None], ids=repr)
def test_an_eps_without_an_inverse_root_is_refused(value):
    with pytest.raises((TypeError, ValueError), match=r"eps is .*, allowed is a .*number"):
        fastmlp_kernels.layer_norm(**GOOD["layer_norm"](), eps=value)


@pytest.mark.parametrize("function", ["softmax_cross_entropy", "softmax_cross_entropy_eval"])
def test_a_label_to_ignore_is_a_whole_number_and_excuses_no_other(function):
    for value in (1.0, "1", True):
        with pytest.raises(TypeError, match=r"ignore_index is .*, allowed is a whole number"):
            getattr(fastmlp_kernels, function)(**GOOD[function](), ignore_index=value)
    arguments = GOOD[function]()
    arguments["labels"][:2] = -100, -1
    with pytest.raises(ValueError, match=rf"labels\[1\] is -1, allowed is 0 to {H - 1}$"):
        getattr(fastmlp_kernels, function)(**arguments, ignore_index=-100)


BEYOND = [np.nan, np.inf, -np.inf, np.float64(-1e39), 1e39, 10**39, Fraction(10**39), 10**400, -(10**400), 10**5000]


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("value", BEYOND, ids=range(len(BEYOND)))
def test_a_rate_that_is_not_finite_in_the_array_s_dtype_is_refused(name, value):
    arguments = GOOD["momentum_step"]() | {name: value}
    allowed = r"allowed is a finite number: from -3.4028\d+e\+38 to 3.4028\d+e\+38 in float32$"
    assert_refused("momentum_step", arguments, ValueError, f"^{name} is .{{,150}}, {allowed}")
    wide: dict[str, Any] = {k: v.astype(np.float64) if isinstance(v, np.ndarray) else v for k, v in arguments.items()}
    if abs(value) < 1e300:
        fastmlp_kernels.momentum_step(**wide)
        assert np.isfinite(wide["w"]).all()
    else:
        assert_refused("momentum_step", wide, ValueError, rf"^{name} is .*, allowed .* to 1\.79.*e\+308 in float64$")


def test_numbers_of_hundreds_of_digits_are_shown_short():
    for value, text in ((10**400, "about 10**400"), (-(10**5000), "about -10**5000"), (7, "7"), (0.5, "0.5")):
        assert _check.shown(value) == text


@pytest.mark.parametrize("function", SUMS)
@pytest.mark.parametrize("axis", [True, False, np.True_, 1.0, "1", (1,)], ids=repr)
def test_an_axis_that_is_no_whole_number_is_refused(function, axis):
    arguments = GOOD[function]() | {"axis": axis}
    assert_refused(function, arguments, TypeError, "axis is .*, allowed is a whole number")


@pytest.mark.parametrize("function", SUMS)
def test_an_axis_of_thousands_of_digits_is_refused_by_name(function):
    assert_refused(function, GOOD[function]() | {"axis": 10**5000}, ValueError, r"axis is about 10\*\*5000, allowed is")


def test_any_whole_number_is_one(rng):
    x = rng.normal(size=(4, 3)).astype(np.float32)
    axes: tuple[Any, ...] = (1, np.int8(-1), np.array(1))
    for axis in axes:
        np.testing.assert_array_equal(fastmlp_kernels.accurate_sum(x, axis), fastmlp_kernels.accurate_sum(x, -1))


@pytest.mark.parametrize("channels", [0, -1, 4, D + 1, np.int64(4)])
def test_channels_that_do_not_divide_the_image_are_refused(channels):
    arguments = GOOD["image_moments"]() | {"channels": channels}
    message = f"channels is {channels}, allowed is a divisor of the image's {D} values"
    assert_refused("image_moments", arguments, ValueError, message)


@pytest.mark.parametrize("channels", [2.0, "2", None, True])
def test_channels_that_are_no_whole_number_are_refused(channels):
    arguments = GOOD["image_moments"]() | {"channels": channels}
    assert_refused("image_moments", arguments, TypeError, f"channels is {channels!r}, allowed is a whole number")
