"""The table of element types beside that of precisions, and what one must agree with in the other."""

import numpy as np
import pytest

from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels.gemm import blocks
from fastmlp_kernels.gemm.elements import BRIGHTEST, BY_UNIT, ELEMENTS, LARGEST


def test_each_precision_of_packed_products_is_an_element():
    assert set(ELEMENTS) == {name for name, precision in PRECISIONS.items() if "packed" in precision.matmuls}
    for name, element in ELEMENTS.items():
        assert element.storage == PRECISIONS[name].dtype


def test_the_dtype_of_packed_arrays_tells_the_element():
    assert len(BY_UNIT) == len(ELEMENTS)


@pytest.mark.parametrize("name", ELEMENTS)
def test_no_block_leaves_the_accumulator_s_range(name):
    element = ELEMENTS[name]
    assert blocks.KC * element.per_unit <= blocks.most_at_once(element) <= element.exact_depth
    if element.accumulator.kind == "i":
        most = np.iinfo(element.accumulator).max
        assert element.exact_depth * BRIGHTEST * LARGEST <= most < (element.exact_depth + 1) * BRIGHTEST * LARGEST


def test_blocks_consist_of_whole_tiles_and_panels():
    assert blocks.MC % blocks.MR == 0 == blocks.MC % blocks.NR
