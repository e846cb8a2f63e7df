"""The table of losses: each name has all that the package asks for, and does what its plain form does."""

import numpy as np
import pytest

from fastmlp import MLP, reference
from fastmlp.config import RunConfig
from fastmlp.nn.loss import LOSSES
from fastmlp_kernels import loss as compiled

K = 6


def test_the_tables_have_the_same_names():
    assert list(LOSSES) == list(reference.LOSSES)
    assert [loss.name for loss in LOSSES.values()] == list(LOSSES)
    assert MLP.loss in LOSSES.values()


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("name", LOSSES)
def test_each_loss_and_its_gradient_are_those_of_its_plain_form(name, dtype, tolerance, rng):
    loss = LOSSES[name]
    z, bias, weights = (
        rng.standard_normal(shape).astype(dtype) for shape in ((9, loss.outputs(K)), loss.outputs(K), 9)
    )
    targets, dbias = rng.integers(0, K, 9).astype(loss.targets), np.empty_like(bias)
    want = reference.LOSSES[name](z.astype(float), bias.astype(float), targets, abs(weights.astype(float)))
    value = loss.of_outputs(z, bias, targets, abs(weights))
    assert loss.of_batch(z, bias, targets, dbias, abs(weights)) == value
    assert value == (pytest.approx(want[0], rel=tolerance), want[1])
    for got, exact in ((z, want[2]), (dbias, want[3])):
        np.testing.assert_allclose(got, exact, rtol=0, atol=tolerance)
    assert getattr(compiled, loss.rows) is loss.of_rows


@pytest.mark.parametrize("name", LOSSES)
def test_each_output_function_and_its_logarithm_are_kernels(name, rng):
    loss = LOSSES[name]
    z = rng.standard_normal((4, loss.outputs(K)))
    out, log = np.empty_like(z), np.empty_like(z)
    loss.output_kernel(z, out)
    loss.log_output_kernel(z, log)
    np.testing.assert_allclose(log, np.log(out), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_other_libraries_have_the_loss(name, rng):
    loss = LOSSES[name]
    x, y = rng.standard_normal((20, 4)), np.arange(20) % 3
    model = RunConfig(dataset="embedded", layers=(4, 5, 3), batch_size=20).to_sklearn()
    model.partial_fit(x, y, classes=np.arange(3))
    assert model.out_activation_ == loss.sklearn
    torch = pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
    z, targets = rng.standard_normal((9, loss.outputs(K))), rng.integers(0, K, 9).astype(loss.targets)
    theirs = getattr(torch.nn.functional, loss.torch)(torch.from_numpy(z), torch.from_numpy(targets)).item()
    assert loss.of_outputs(z, np.zeros(z.shape[1]), targets)[0] == pytest.approx(theirs, rel=1e-12)
