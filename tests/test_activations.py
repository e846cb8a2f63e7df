"""The table of activations: each name has all that the package asks for, and does what its plain form does."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest

from fastmlp import MLP, FastMLPError, reference
from fastmlp.nn.activations import ACTIVATIONS, ALIASES, activation_named, hidden_activations
from fastmlp.nn.initializers import INITIALIZERS
from fastmlp_kernels._activation_table import ACTIVATIONS as COMPILED
from fastmlp_kernels._activation_table import CODES

INPUTS = np.array([-np.inf, -1e4, -30.0, -3.0, -0.5, -1e-3, 0.0, 1e-3, 0.5, 3.0, 30.0, 1e4, np.inf])


def test_the_tables_have_the_same_names():
    assert list(ACTIVATIONS) == list(COMPILED) == list(CODES) == list(reference.ACTIVATIONS)
    assert {name for name, compiled in COMPILED.items() if compiled.keeps_input} == reference.KEEP_INPUT
    assert [a.name for a in ACTIVATIONS.values()] == list(ACTIVATIONS)
    assert [a.code for a in ACTIVATIONS.values()] == list(range(len(ACTIVATIONS)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-13)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_name_has_its_own_pair(name, dtype, tolerance, rng):
    z, bias, delta = (rng.standard_normal(shape).astype(dtype) for shape in ((5, 7), 7, (5, 7)))
    forward, backward = reference.ACTIVATIONS[name]
    total, want = (z + bias).astype(float), forward(z.astype(float), bias.astype(float))
    activation, dbias, kept = activation_named(name), np.empty(7, dtype), np.empty_like(z)
    want_delta, want_dbias = backward(delta.astype(float), total if activation.keeps_input else want)
    activation.forward(z, bias, kept)
    activation.backward(delta, kept if activation.keeps_input else z, dbias)
    for got, expected in ((z, want), (delta, want_delta), (dbias, want_dbias)):
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def outputs(name, dtype=np.float32):
    z = INPUTS[:, None].astype(dtype)
    activation_named(name).forward(z, np.zeros(1, dtype))
    return z[:, 0]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_what_a_record_says_of_its_function_holds(name):
    activation = ACTIVATIONS[name]
    assert activation.init in INITIALIZERS
    assert not activation.as_bytes or outputs(name).min() >= 0
    for x in (-1.0, 0.0, 1.0):  # its bend left of x, across, and right of it: all alike where it is smooth
        y = reference.ACTIVATIONS[name][0](x + 1e-4 * np.arange(-2, 3), np.zeros(()))
        bends = np.diff(y, 2) / 1e-8
        assert (np.ptp(bends) > 0.1) == (x in activation.kinks)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_other_libraries_have_the_function_of_its_name(name):
    activation, x = ACTIVATIONS[name], INPUTS[1:-1]
    want = reference.ACTIVATIONS[name][0](x, np.zeros(1))
    if activation.sklearn is not None:
        from sklearn.neural_network._base import ACTIVATIONS as THEIRS

        theirs = x[:, None].copy()
        THEIRS[activation.sklearn](theirs)
        np.testing.assert_allclose(theirs[:, 0], want, rtol=1e-12, atol=1e-14)
    torch = pytest.importorskip("torch", reason="PyTorch is large, and not in the extra `test`")
    np.testing.assert_allclose(activation.torch(torch.nn)(torch.from_numpy(x)).numpy(), want, rtol=1e-12, atol=1e-14)


def test_an_alias_is_the_activation_of_the_table():
    for alias, name in ALIASES.items():
        assert alias not in ACTIVATIONS
        assert activation_named(alias) is ACTIVATIONS[name]
    assert hidden_activations(["logistic", "gelu"], 2) == ["sigmoid", "gelu"]
    assert MLP([3, 4, 2], "logistic", matmul="blas").layers[0].activation == "sigmoid"


@pytest.mark.parametrize("name", ["swish", "Tanh", "", None])
def test_an_unknown_name_is_told_with_the_allowed_ones(name):
    with pytest.raises(ValueError, match=f"unknown activation {name!r}, allowed: {', '.join(ACTIVATIONS)}") as error:
        activation_named(name)
    assert isinstance(error.value, FastMLPError)


def test_a_copy_of_a_record_is_the_table_s_own():
    for activation in ACTIVATIONS.values():
        assert pickle.loads(pickle.dumps(activation)) is copy.deepcopy(activation) is activation


NEW = """
import importlib, json, math
import numpy as np
import fastmlp_kernels._activation_passes, fastmlp_kernels.activations
from fastmlp_kernels import _activation_table as compiled
from fastmlp_kernels._jit import part

@part
def sine1(x):
    return math.sin(x)

@part
def times_sine_derivative1(d, x):
    return d * math.cos(x)

compiled.ACTIVATIONS["sine"] = compiled.Activation(sine1, times_sine_derivative1, keeps_input=True)
compiled.CODES["sine"] = compiled.code_of("sine")
for module in (fastmlp_kernels._activation_passes, fastmlp_kernels.activations):  # what makes the loops
    importlib.reload(module)

from fastmlp import reference
from fastmlp.nn.activations import ACTIVATIONS, Activation

def bias_sine(z, bias):
    return np.sin(z + bias)

def sine_backward(delta, x):
    dz = delta * np.cos(x)
    return dz, dz.sum(axis=0)

reference.ACTIVATIONS["sine"] = bias_sine, sine_backward
reference.KEEP_INPUT.add("sine")
ACTIVATIONS["sine"] = Activation("sine", lambda nn: None, lambda graph, x: graph.node("Sin", x))

from fastmlp import MLP, SGD, Model
from fastmlp.models import onnx
from fastmlp.nn.gradients import run_checks

rng = np.random.default_rng(1)
x, labels = rng.standard_normal((300, 12)), rng.integers(0, 5, 300)
found = {"checks": [check.name for part in run_checks((12, 9, 8, 5), "sine") for check in part if not check.passed]}
for precision, matmul in (("float64", "packed"), ("float32", "blas")):  # each dtype's function, and each way's passes
    model = MLP([12, 40, 9, 5], "sine", precision=precision, matmul=matmul, threads=1, rng=2)
    plain = reference.Network([la.weight for la in model.layers], [la.bias for la in model.layers], "sine")
    rows, optimizer = x.astype(model.dtype), SGD(0.05, 0.9, 0.01)
    for start in range(0, 300, 100):
        batch = slice(start, start + 100)
        model.train_step(rows[batch], labels[batch], optimizer)
        plain.train_step(x[batch], labels[batch], lr=0.05, momentum=0.9, weight_decay=0.01)
    apart = max(np.abs(la.weight - w).max() for la, w in zip(model.layers, plain.weights))
    graph = onnx.check(onnx.to_onnx(Model.of(model)), Model.of(model), rows)
    found[f"{precision} {matmul}"] = [float(apart), graph.difference]
print(json.dumps(found))
"""


@pytest.mark.process
def test_one_that_keeps_its_input_is_a_record_two_functions_and_a_plain_form(monkeypatch):
    """The sine, whose slope is no function of its output, is added to the tables and then is everywhere."""
    monkeypatch.setenv("FASTMLP_NUMBA_CACHE", "0")  # entries are named by the code on disk, which knows nothing of it
    done = subprocess.run([sys.executable, "-c", NEW], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("checks") == []
    # of weights, after three steps; of probabilities
    allowed = {"float64 packed": (1e-12, 1e-12), "float32 blas": (1e-6, 1e-5)}
    assert found.keys() == allowed.keys()
    for way, bounds in allowed.items():
        assert all(value <= bound for value, bound in zip(found[way], bounds, strict=True)), (way, found[way])
