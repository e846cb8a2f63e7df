"""The loop that measures the peak: one multiply-add an accumulator and turn, in each precision that the CPU has."""

import numpy as np
import pytest

from bench import peak
from fastmlp_kernels._target import BFLOAT16_IN_HARDWARE, INT8_IN_HARDWARE


@pytest.mark.parametrize("precision", peak.UNITS)
def test_the_loop_does_as_many_multiply_adds_as_it_is_credited_with(precision):
    # Accumulator i starts from i; each turn adds x * y, or the sum of two or four such products. All is exact.
    unit, products = peak.UNITS[precision]
    each = {"float32": 0.25, "float64": 0.25, "bfloat16": 1.0, "int8": 1.0}[precision] * products
    turns, count = 8, peak.ACCUMULATORS
    assert peak._spin(turns, unit, unit) == count * (count - 1) / 2 + count * turns * each


def test_a_peak_is_measured_in_the_precisions_that_the_cpu_multiplies_in():
    there = {"float32": True, "float64": True, "bfloat16": BFLOAT16_IN_HARDWARE, "int8": INT8_IN_HARDWARE}
    assert peak.precisions() == [precision for precision in there if there[precision]]
    for precision in peak.precisions():
        assert np.isfinite(peak.measure(1, precision, repeats=1))
    with pytest.raises(KeyError, match="float16"):
        peak.measure(1, "float16")
