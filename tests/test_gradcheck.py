"""The gradient check passes on right gradients, for every activation and depth, and fails on wrong ones."""

import numpy as np
import pytest

from fastmlp import gradcheck
from fastmlp.errors import ConfigError
from fastmlp.nn import gradients
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.network import MLP

SMALL = ["--layers", "48,16,5"]


SIZES = (48, 16, 5), (30, 12, 10, 4)


# The report's size, which takes a second, with one whose slope has a corner and one whose has none.
@pytest.mark.parametrize(
    ("activation", "sizes"),
    [(name, sizes) for name in ACTIVATIONS for sizes in SIZES] + [(name, (3072, 128, 20)) for name in ("relu", "tanh")],
    ids=str,
)
def test_right_gradients_pass(activation, sizes):
    weights, directions = gradients.run_checks(sizes, activation, seed=3)
    assert [check.name for check in weights + directions if not check.passed] == []
    assert len(weights) == 6
    assert len(directions) == gradients.DIRECTIONS * len(sizes)  # every weight layer, and all of them


def test_every_gradient_that_moves_is_checked_to_1e8():
    _, directions = gradients.run_checks((48, 16, 5), "tanh")
    for check in directions:
        assert check.allowed == pytest.approx(1e-8 * abs(check.numerical), rel=0.9, abs=1e-8)
        assert check.difference < check.allowed / 10  # the difference itself is exact enough to tell


def _spoilt_gradients(monkeypatch, spoil):
    right = MLP.loss_and_gradients

    def wrong(self, x, labels):
        result = right(self, x, labels)
        for layer in self.layers:
            spoil(layer)
        return result

    monkeypatch.setattr(MLP, "loss_and_gradients", wrong)


def _scaled_weight_gradient(monkeypatch, factor, units=None):
    def spoil(layer):
        if units in (None, len(layer.bias)):
            layer.dweight *= factor

    _spoilt_gradients(monkeypatch, spoil)


@pytest.mark.parametrize(("units", "part"), [(16, "layer 1"), (5, "layer 2")])
def test_a_gradient_wrong_by_a_millionth_fails_where_it_is(monkeypatch, units, part):
    _scaled_weight_gradient(monkeypatch, 1 + 1e-6, units)
    _, directions = gradients.run_checks((48, 16, 5), "tanh")
    failed = {check.name for check in directions if not check.passed}
    assert part in failed
    assert failed <= {part, "all layers"}


def test_a_single_weight_wrong_by_a_hundredth_fails(monkeypatch):
    _scaled_weight_gradient(monkeypatch, 1.01)
    weights, _ = gradients.run_checks((48, 16, 5), "tanh")
    assert [check.passed for check in weights] == [True, True, False, False, False, False]


def test_a_wrong_bias_gradient_fails(monkeypatch):
    def spoil(layer):
        if len(layer.bias) == 16:  # the hidden one
            layer.dbias += 1e-4

    _spoilt_gradients(monkeypatch, spoil)
    weights, directions = gradients.run_checks((48, 16, 5), "sigmoid")
    assert "layer 1" in {check.name for check in directions if not check.passed}
    assert not weights[1].passed


def test_a_nan_gradient_fails():
    assert not gradients.Check("x", 1.0, float("nan"), allowed=1.0).passed
    assert not gradients.Check("x", 1.0, 1.0, allowed=float("nan")).passed


def test_relu_images_near_a_kink_are_left_out():
    rng = np.random.default_rng(0)
    model = MLP([1, 1, 2], "relu", precision="float64", rng=rng)
    model.layers[0].weight[...], model.layers[0].bias[...] = 1.0, 0.0
    x, labels = np.array([[1.0], [0.004], [-0.004], [-1.0]]), np.zeros(4, np.int64)
    bias = model.layers[0].bias
    move = gradients.Move(bias, model.layers[0].dbias, np.ones(1))
    line = gradients.Line(model, x, labels, [move], reach=0.01)
    np.testing.assert_array_equal(line.x, [[1.0], [-1.0]])
    assert bias[0] == 0.0  # moved back
    with pytest.raises(ConfigError, match="fewer units"):
        gradients.Line(model, x, labels, [move], reach=2.0)


def test_the_command_prints_both_tables_and_exits_0(capsys):
    assert gradcheck.main([*SMALL, "--activation", "tanh", "relu"]) == 0
    out = capsys.readouterr().out
    assert out.count("| numerical | backpropagated | difference |") == 4
    assert "output bias" in out
    assert out.count("to output") == out.count("to hidden") == 4
    assert "FAIL" not in out


def test_the_command_checks_each_loss_and_several_activations(capsys):
    argv = ["--layers", "48,16,8,5", "--activation", "relu-gelu", "elu", "--loss", "huber", "logistic"]
    assert gradcheck.main(argv) == 0
    out = capsys.readouterr().out
    titles = [line.split(", ")[1:3] for line in out.splitlines() if line.startswith("###")]
    assert titles == [["relu-gelu", "huber"], ["relu-gelu", "logistic"], ["elu", "huber"], ["elu", "logistic"]]
    assert gradcheck.main([*SMALL, "--activation", "relu-gelu"]) == 2
    assert "2 for 1 hidden layers" in capsys.readouterr().err


def test_the_command_exits_1_where_a_check_fails(monkeypatch, capsys):
    _scaled_weight_gradient(monkeypatch, 1.01)
    assert gradcheck.main([*SMALL, "--activation", "tanh"]) == 1
    assert "FAIL" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--layers", "48,5"], "hidden units"),
        (["--layers", "48,x,5"], "48,x,5"),
        (["--layers", "48,0,5"], "48,0,5"),
        (["--activation", "swish"], "swish"),
        (["--activation", "relu-swish"], "no activation is called 'swish'; choose from tanh, sigmoid"),
        (["--loss", "hinge"], "hinge"),
        (["--seed", "-1"], "-1"),
    ],
)
def test_bad_arguments_exit_2(argv, message, capsys):
    with pytest.raises(SystemExit) as error:
        gradcheck.main(argv)
    assert error.value.code == 2
    assert message in capsys.readouterr().err
