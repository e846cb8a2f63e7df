"""Random bits by counters: those of the reference, and no pattern in them along any of their counters; dropout."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import fastmlp_kernels as fk
from fastmlp import reference
from fastmlp_kernels._random import drop, dropout_of

SEEDS = [0, 1, 2**32, 2**64 - 1]
N, H = 37, 45


def dropped(x: np.ndarray, rate: float, seed: int = 0, step: int = 0, layer: int = 0, first: int = 0) -> np.ndarray:
    out = np.empty_like(x)
    drop(x, out, dropout_of(rate, seed), step, layer, first)
    return out


def bits(seed: int, step: int, layer: int, rows: int, units: int) -> np.ndarray:
    return reference.dropout_bits(seed, step, layer, np.arange(rows, dtype=np.uint64), units)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rate", [0.0, 1e-6, 0.1, 0.5, 0.99])
def test_dropout_is_the_references(dtype, rate):
    x = np.random.default_rng(0).standard_normal((N, H)).astype(dtype)
    for seed in SEEDS:
        for step, layer in ((0, 0), (1, 0), (0, 1), (2**32 - 1, 3)):
            wanted = reference.drop_rows(x.astype(np.float64), rate, bits(seed, step, layer, N, H))
            # the factor and the product are each rounded once; zeros are where they are
            np.testing.assert_allclose(
                dropped(x, rate, seed, step, layer), wanted, rtol=1.5 * np.finfo(dtype).eps, atol=0
            )


def test_a_rate_of_0_keeps_all_bits_of_the_units():
    x = np.random.default_rng(0).standard_normal((N, H)).astype(np.float32)
    np.testing.assert_array_equal(dropped(x, 0.0), x)


def test_blocks_of_rows_drop_what_the_batch_does_and_in_place_too():
    x = np.random.default_rng(0).standard_normal((N, H)).astype(np.float32)
    whole = dropped(x, 0.3, 5, 6, 7)
    parts = [dropped(x[at : at + 8], 0.3, 5, 6, 7, first=at) for at in range(0, N, 8)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    drop(x, x, dropout_of(0.3, 5), 6, 7, 0)
    np.testing.assert_array_equal(x, whole)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_public_function_drops_the_same_in_any_parts_and_threads_and_on_the_way_back(dtype):
    x = np.random.default_rng(0).standard_normal((5, N, H)).astype(dtype)
    numbers: dict[str, Any] = {"seed": 2**64 - 1, "step": 2**32 - 1, "layer": 3}
    whole = fk.dropout(x, 0.3, **numbers)
    np.testing.assert_array_equal(whole.reshape(-1, H), dropped(x.reshape(-1, H), 0.3, *numbers.values()))
    wanted = reference.dropout(x.reshape(-1, H).astype(np.float64), 0.3, **numbers)
    np.testing.assert_allclose(whole.reshape(-1, H), wanted, rtol=1.5 * np.finfo(dtype).eps, atol=0)
    with ThreadPoolExecutor(3) as pool:
        parts = pool.map(lambda i: fk.dropout(x[i], 0.3, **numbers, first=i * N), range(5))
        np.testing.assert_array_equal(np.stack(list(parts)), whole)
    gradient = np.ones_like(x)
    assert fk.dropout(gradient, 0.3, **numbers, out=gradient) is gradient  # the way back
    np.testing.assert_array_equal(gradient == 0, whole == 0)
    np.testing.assert_array_equal(fk.dropout(x[0, 0], 0.0, 1), x[0, 0])


def test_a_dropped_unit_is_0_whatever_it_was():
    x = np.full((N, H), np.nan, np.float32)
    zeros = dropped(np.ones_like(x), 0.5) == 0
    np.testing.assert_array_equal(dropped(x, 0.5) == 0, zeros)
    np.testing.assert_array_equal(np.isnan(dropped(x, 0.5)), ~zeros)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9])
def test_the_rate_is_met_and_the_mean_kept(rate):
    x = np.ones((512, 512))
    out = dropped(x, rate, seed=3)
    sigma = np.sqrt(rate * (1 - rate) / x.size)
    assert abs(np.mean(out == 0) - rate) < 4 * sigma
    assert abs(out.mean() - 1) < 4 * sigma / (1 - rate)


def excess(values: np.ndarray, cells: int) -> float:
    """Return by how many standard deviations chi-square exceeds its mean, for whole numbers that are equally likely."""
    counts = np.bincount(values.ravel().astype(np.int64), minlength=cells)
    mean = values.size / cells
    return (((counts - mean) ** 2).sum() / mean - (cells - 1)) / np.sqrt(2 * (cells - 1))


COUNTERS: dict[str, Callable[[int], tuple[int, int, int]]] = {
    "seed": lambda i: (i, 0, 0),
    "step": lambda i: (0, i, 0),
    "layer": lambda i: (0, 0, i),
}


def along(counter: str) -> np.ndarray:
    """Return the bits of 4,096 values of a counter, for 64 units; rows of one batch, or the first row of each."""
    if counter == "row":
        return bits(1, 2, 3, 4096, 64)
    return np.concatenate([bits(*COUNTERS[counter](i), 1, 64) for i in range(4096)])


# Each test looks at some 10 figures that are standard normal where bits are random, 40 in all; the seeds are fixed, so
# that it is not a matter of luck. 4.5 is one in 150,000.
FAR = 4.5


@pytest.mark.parametrize("counter", [*COUNTERS, "row"])
def test_bits_have_no_pattern_along_a_counter_or_the_units(counter):
    words = along(counter)
    for x in (words, words.T):
        flat = x.ravel()
        for byte in range(4):
            assert abs(excess(flat >> np.uint64(8 * byte) & np.uint64(255), 256)) < FAR
        for shift in (28, 0):  # pairs of neighbours, by their highest and their lowest four bits
            four = flat >> np.uint64(shift) & np.uint64(15)
            assert abs(excess(four[:-1] * np.uint64(16) + four[1:], 256)) < FAR
            assert abs(excess(four[:-64] * np.uint64(16) + four[64:], 256)) < FAR


@pytest.mark.parametrize("counter", [*COUNTERS, "row"])
def test_no_two_units_are_dropped_together(counter):
    words = along(counter)
    # pairs of units over the counter; pairs of its values over the units, too few for a rate that is far from a half
    for x, rate in ((words, 0.5), (words, 0.9), (words[:512].T, 0.5)):
        dropped = ((x < rate * 2**32) - rate) / np.sqrt(rate * (1 - rate))
        together = dropped.T @ dropped / np.sqrt(len(x))
        pairs = together[np.triu_indices(len(together), 1)]  # about normal; the largest of 130,000 such is about 4.9
        assert np.abs(pairs).max() < 6.5
        assert abs(pairs.var() - 1) < 0.15  # of 2,016 pairs: five standard deviations


def test_each_bit_of_a_counter_turns_half_of_all_bits():
    rows = np.arange(4096, dtype=np.uint64)
    key = reference.key_below((1, 2), 3)
    for of in (
        lambda n: reference.random_bits(key, n),
        lambda n: reference.random_bits(reference.key_below(key, n), 5),
    ):
        for bit in range(32):
            turned = of(rows) ^ of(rows ^ np.uint64(1 << bit))
            share = [np.mean(turned >> np.uint64(at) & np.uint64(1)) for at in range(32)]
            # of a counter alone the hash is a fixed map: 0.06 is 8 standard deviations of 4,096 throws
            assert np.abs(np.array(share) - 0.5).max() < 0.06


def test_no_two_numbers_of_a_key_have_the_same_bits():
    assert len(np.unique(bits(0, 0, 0, 1, 1 << 18))) == 1 << 18
