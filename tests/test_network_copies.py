"""Copies of a network: deep, pickled, and in a forked process; each is whole, and on its own."""

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fastmlp import MLP, SGD

ROOT = Path(__file__).parents[1]
X = np.random.default_rng(0).standard_normal((50, 12)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 50)


def parameters(model: MLP) -> list[np.ndarray]:
    return [array for layer in model.layers for array in (layer.weight, layer.bias)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("matmul", ["packed", "blas"])
@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deep", "pickled"])
def test_a_copy_is_equal_and_trains_by_itself(duplicate, matmul, threads, monkeypatch):
    monkeypatch.setattr("fastmlp.nn.threads.usable_cores", lambda: 2)
    model = MLP([12, 5, 3], matmul=matmul, threads=threads)
    model.train_epoch(X, LABELS, SGD(), np.arange(50), 16)
    other = duplicate(model)
    assert (other.sizes, other.precision, other.matmul) == (model.sizes, model.precision, model.matmul)
    assert other.evaluate(X, LABELS) == model.evaluate(X, LABELS)
    before = [array.copy() for array in parameters(model)]
    other.train_epoch(X, LABELS, SGD(), np.arange(50), 16)
    for array, same, trained in zip(parameters(model), before, parameters(other), strict=True):
        np.testing.assert_array_equal(array, same)
        assert (trained != same).any()
    model.train_epoch(X, LABELS, SGD(), np.arange(50), 16)
    for array, same in zip(parameters(model), parameters(other), strict=True):
        np.testing.assert_array_equal(array, same)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_copy_whose_arrays_came_read_only_predicts_and_trains(matmul):
    model, other = MLP([12, 5, 3], matmul=matmul), MLP([12, 5, 3], matmul=matmul, rng=1)
    state = copy.deepcopy(model.__getstate__())
    for array in (state["parameters"], state["gradient"]):
        array.flags.writeable = False
    other.__setstate__(state)
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))
    assert other.train_step(X, LABELS, SGD()) == model.train_step(X, LABELS, SGD())
    np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("matmul", ["packed", "blas"])
def test_a_network_copied_with_its_optimizer_goes_on_alike(matmul):
    model, optimizer = MLP([12, 5, 3], matmul=matmul), SGD()
    model.train_epoch(X, LABELS, optimizer, np.arange(50), 16)
    other, others = copy.deepcopy((model, optimizer))
    for one, sgd in ((model, optimizer), (other, others)):
        one.train_epoch(X, LABELS, sgd, np.arange(50), 16)
    np.testing.assert_array_equal(model.parameters, other.parameters)


IN_A_FORK = """
import os, signal
import numpy as np
import fastmlp.nn.threads
fastmlp.nn.threads.usable_cores = lambda: 2
from fastmlp import MLP
from fastmlp.nn.packed import engine

engine.TEAM_FLOP = 0
x, labels = np.ones((5, 4), np.float32), np.zeros(5, int)
model = MLP([4, 3], threads=2)
print(model.evaluate(x, labels), flush=True)
child = os.fork()
if child == 0:
    signal.alarm(30)  # ends it where it waits for ever
    print(model.evaluate(x, labels), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_goes_on_with_threads_of_its_own():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    done = subprocess.run(
        [sys.executable, "-c", IN_A_FORK], env=environment, capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first == second
