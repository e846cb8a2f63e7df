"""The table of the drop-in estimators: that both sides get the same, and what it shows."""

import numpy as np
import pytest

from bench import dropin
from bench.dropin import ADAM, CASES, Case, flop, kinds, render, rows, sklearn_fit

TINY = Case("tiny", "tiny", (5,), ADAM | {"batch_size": 20}, 2, (5, 3))


@pytest.fixture
def tiny(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4))
    monkeypatch.setattr(dropin, "rows", lambda *_: (x, (x[:, 0] > 0).astype(int)))
    monkeypatch.setitem(CASES, "tiny", TINY)
    return x


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.rows != "images"])
def test_each_case_has_float64_rows_with_targets(name):
    x, y = rows(CASES[name].rows, None)
    assert x.dtype == np.float64
    assert x.shape[0] == len(y)
    assert f"{len(x):,}" in CASES[name].title or CASES[name].title.startswith("the same")


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_both_take_the_same_steps(tiny):
    import sklearn.neural_network

    import fastmlp.sklearn

    y = (tiny[:, 0] > 0).astype(int)
    ours, theirs = (sklearn_fit(module, TINY, tiny, y) for module in (fastmlp.sklearn, sklearn.neural_network))
    assert type(ours) is not type(theirs)
    np.testing.assert_allclose(ours.loss_curve_, theirs.loss_curve_, rtol=1e-12)


@pytest.mark.usefixtures("tiny")
def test_the_table_has_a_ratio_for_each_rival(monkeypatch):
    able = {name: fit for name, fit in kinds().items() if name in ("fastmlp", "scikit-learn")}
    monkeypatch.setattr(dropin, "kinds", lambda: able)
    head, _, *lines = render(None, ["tiny"], 1).partition("\n\n")[2].splitlines()
    assert head == (
        "| work | dtype | epochs | fastmlp | scikit-learn | asked for | roof | BLAS's roof | "
        "predict a row, scikit-learn |"
    )
    assert [line.split(" | ")[:2] for line in lines] == [["| tiny", "float32"], ["| tiny", "float64"]]
    assert [line.split(" | ")[5] for line in lines] == ["5", "3"]


def test_the_roof_counts_no_gradient_of_the_inputs():
    # of 60 rows in two epochs: forward and the weights' gradient of both layers, and back through the second one
    assert flop(TINY, 4, 1, 60) == 2 * 60 * 2 * (2 * (4 * 5 + 5 * 1) + 5 * 1)


def test_blas_multiplies_what_the_roof_counts(monkeypatch):
    counted = 0

    def matmul(a, b, out):
        nonlocal counted
        assert out.shape == (a.shape[0], b.shape[1])
        counted += 2 * a.size * b.shape[1]

    monkeypatch.setattr(dropin.np, "matmul", matmul)
    dropin.multiply(TINY, np.ones((63, 4)), 1)  # and a batch of three
    assert counted == flop(TINY, 4, 1, 63)
