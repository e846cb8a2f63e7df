import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastmlp.errors import ConfigError
from fastmlp.sweep.halving import rungs, survivors

ETAS = st.integers(2, 5)
COUNTS = st.integers(1, 300)
SCORES = st.lists(st.one_of(st.sampled_from([0.1, 0.2, math.nan]), st.floats(allow_nan=True)), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("epochs", "candidates", "eta", "expected"),
    [
        (27, 27, 3, [1, 3, 9, 27]),
        (100, 16, 4, [7, 25, 100]),
        (100, 2, 3, [100]),
        (125, 125, 5, [1, 5, 25, 125]),  # where math.log(125, 5) is 2.9999999999999996
        (5, 1000, 2, [2, 3, 5]),  # few epochs: more than one candidate is left for the last rung
        (1, 9, 3, [1]),
    ],
)
def test_rungs_worked_by_hand(epochs: int, candidates: int, eta: int, expected: list[int]) -> None:
    assert rungs(epochs, candidates, eta) == expected


@given(COUNTS, COUNTS, ETAS)
def test_rungs_rise_to_the_last_epoch_and_are_as_many_as_fit(epochs: int, candidates: int, eta: int) -> None:
    ends = rungs(epochs, candidates, eta)
    assert ends[0] >= 1
    assert ends[-1] == epochs
    assert all(a < b for a, b in pairwise(ends))
    assert candidates // eta ** (len(ends) - 1) >= 1
    assert eta ** len(ends) > min(epochs, candidates)
    for k, end in enumerate(reversed(ends)):
        assert 0 <= end - Fraction(epochs, eta**k) < 1


@given(COUNTS, COUNTS, ETAS)
def test_a_whole_search_leaves_the_best_and_costs_less_than_all_epochs(epochs: int, candidates: int, eta: int) -> None:
    alive, trained, before = list(range(candidates)), 0, 0
    ends = rungs(epochs, candidates, eta)
    for end in ends:
        if before:
            kept = survivors([-abs(i - candidates // 2) for i in alive], eta)
            assert len(kept) == len(alive) // eta
            alive = [alive[i] for i in kept]
        trained += len(alive) * (end - before)
        before = end
    assert candidates // 2 in alive
    assert len(alive) == candidates // eta ** (len(ends) - 1)
    assert trained <= candidates * epochs
    assert (trained < candidates * epochs) == (len(ends) > 1)


@pytest.mark.parametrize("eta", [1, 0, -3])
def test_an_eta_that_drops_nothing_is_refused(eta: int) -> None:
    with pytest.raises(ConfigError, match=f"^--halving is {eta}; allowed is a whole number of at least 2"):
        rungs(10, 10, eta)


@pytest.mark.parametrize(
    ("scores", "eta", "expected"),
    [
        ([0.1, 0.4, 0.3, 0.2], 2, [1, 2]),
        ([0.3, 0.3, 0.3, 0.3], 2, [0, 1]),
        ([math.nan, -math.inf, math.nan], 2, [1]),
        ([math.nan, math.nan], 2, [0]),
        ([0.1, 0.2], 3, [1]),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 2, [3, 4]),
        ([], 2, []),
    ],
)
def test_survivors_worked_by_hand(scores: list[float], eta: int, expected: list[int]) -> None:
    assert survivors(scores, eta) == expected


@given(SCORES, ETAS)
def test_no_score_that_is_dropped_is_better_than_one_that_stays(scores: list[float], eta: int) -> None:
    kept = survivors(scores, eta)
    assert len(kept) == max(1, len(scores) // eta)
    assert kept == sorted(set(kept))
    for out in set(range(len(scores))) - set(kept):
        for stays in kept:
            worse, better = scores[out], scores[stays]
            same = worse == better or (math.isnan(worse) and math.isnan(better))
            assert (stays < out) if same else (math.isnan(worse) or worse < better)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=40, unique=True), ETAS, st.randoms())
def test_the_order_of_the_candidates_does_not_matter(scores: list[float], eta: int, random) -> None:
    shuffled = random.sample(scores, len(scores))
    kept = {scores[i] for i in survivors(scores, eta)}
    assert {shuffled[i] for i in survivors(shuffled, eta)} == kept
