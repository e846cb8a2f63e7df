"""Calls of the packed engine: threads, cuts and failures do not show in the numbers, and weights may change between."""

import math
import os
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastmlp import MLP, SGD, ImageInput, reference
from fastmlp.nn import slices
from fastmlp.nn.examples import Examples
from fastmlp.nn.fit import fit
from fastmlp.nn.history import FitResult
from fastmlp.nn.inputs import ArrayInput, Input
from fastmlp.nn.packed import engine as engine_module
from fastmlp.nn.packed.engine import Packed
from fastmlp.nn.packed.run import EVALUATE
from fastmlp.nn.packed.sharing import AGAIN, LATEST, TRIES, TURNS, Sharing
from fastmlp_kernels._team import Member

ROOT = Path(__file__).parents[1]
SIZES = (150, 70, 37, 5)  # several panels of columns; with 400 rows, several blocks of those
ROWS = 400
SETTINGS: dict[str, Any] = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}


@pytest.fixture(autouse=True)
def any_threads_for_any_size(monkeypatch):
    """More threads than cores, and for networks that one thread would do for."""
    monkeypatch.setattr("fastmlp.nn.threads.usable_cores", lambda: 8)
    monkeypatch.setattr(engine_module, "TEAM_FLOP", 0)


def make(sizes: tuple[int, ...] = SIZES, activation: str = "tanh", **options: Any) -> tuple[MLP, Packed]:
    defaults: dict[str, Any] = {"threads": 1}
    model = MLP(sizes, activation, **(defaults | options))
    assert isinstance(model._engine, Packed)
    return model, model._engine


def array(rows: int = ROWS, values: int = SIZES[0]) -> ArrayInput:
    return ArrayInput(np.random.default_rng(0).standard_normal((rows, values)).astype(np.float32))


def images(channels: int = 3) -> ImageInput:
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, SIZES[0]), np.uint8)
    return ImageInput(pixels, *(a.astype(np.float32) for a in reference.image_moments(pixels, channels)))


SOURCES = {"array": array, "images": images}
LABELS = np.random.default_rng(1).integers(0, SIZES[-1], ROWS)
ORDER = np.random.default_rng(2).permutation(ROWS)


def parameters(model: MLP) -> list[np.ndarray]:
    return [array for layer in model.layers for array in (layer.weight, layer.bias)]


def bits(model: MLP) -> list[bytes]:
    return [array.tobytes() for array in parameters(model)]


def worked(model: MLP, engine: Packed, inputs: Input) -> list[Any]:
    """All that an engine does, to the bit; batches of 150 are a block of 128 rows and one of 22, where L2 has 1 MiB."""
    x, labels = np.empty((150, SIZES[0]), np.float32), LABELS[:150]
    inputs.gather(np.arange(150), x)
    gradients = engine.gradients(x, labels)
    arrays = [array.tobytes() for layer in model.layers for array in (layer.dweight, layer.dbias)]
    optimizer = SGD(**SETTINGS)
    trained = [engine.train(Examples(inputs, LABELS), ORDER, batch, optimizer) for batch in (150, 7)]
    told = engine.evaluate(Examples(inputs, LABELS), ORDER, 150), model.predict_proba(inputs, 150).tobytes()
    return [gradients, *arrays, *trained, *told, *bits(model)]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_any_number_of_threads_gives_the_same_bits(precision, source):
    alone = worked(*make(precision=precision), SOURCES[source]())
    for threads in (2, 3):
        assert worked(*make(precision=precision, threads=threads), SOURCES[source]()) == alone


def test_small_batches_stay_on_one_thread(monkeypatch):
    monkeypatch.setattr(engine_module, "TEAM_FLOP", 6 * MLP(SIZES).parameter_count * 50)
    model, engine = make(threads=2)
    asked = []
    monkeypatch.setattr(engine._team, "run", lambda *_: asked.append(1) or (1.0, 1, ROWS))
    model.evaluate(array(), LABELS, 49)
    assert asked == []
    model.train_epoch(array(), LABELS, SGD(), ORDER, 50)
    assert asked == [1]


def test_the_way_that_was_faster_is_kept_and_the_other_one_tried_again():
    for faster in (False, True):
        sharing, ways = Sharing(), []
        for _ in range(2 * AGAIN):
            ways.append(sharing.of_next_call())
            sharing.took(ways[-1], 8, 8 * (1.0 if ways[-1] == faster else 2.0))
            sharing.took(ways[-1], 1, 1e9)  # of so few steps it says nothing
        assert ways[:TURNS] == [False] * (TURNS // 2) + [True] * (TURNS // 2)
        assert [call for call in range(TURNS, 2 * AGAIN) if ways[call] != faster] == [AGAIN + i for i in range(TRIES)]


def test_a_call_of_far_more_steps_begins_the_tries_of_its_way_again():
    """The first one of so many may be slow, as threads have just begun."""
    sharing, ways = Sharing(), []
    for call in range(AGAIN):
        ways.append(sharing.of_next_call())
        first_of_many = call == TURNS - 1
        steps = 1 if call < TURNS - 1 else 100
        sharing.took(ways[-1], steps, steps * (3.0 if first_of_many else 1.0 if ways[-1] else 2.0))
    assert ways[TURNS - 1]
    assert all(ways[TURNS + 3 :])


def test_calls_of_fewer_and_fewer_steps_end_the_turns_too():
    sharing, ways = Sharing(), []
    for call in range(AGAIN):
        ways.append(sharing.of_next_call())
        steps = max(1, 1000 // 3**call)
        sharing.took(ways[-1], steps, steps * (1.0 if ways[-1] else 2.0))
    assert all(ways[TURNS:])


def test_a_slow_moment_does_not_turn_the_choice():
    sharing, ways = Sharing(), []
    for call in range(AGAIN):
        ways.append(sharing.of_next_call())
        slow_moment = call > TURNS and call % 5 == 0
        sharing.took(ways[-1], 8, 80.0 if slow_moment else 16.0 if ways[-1] else 8.0)
    assert not any(ways[TURNS:])


def test_the_choice_turns_with_the_machine():
    sharing, ways = Sharing(), []
    for call in range(4 * AGAIN):
        ways.append(sharing.of_next_call())
        sharing.took(ways[-1], 8, 16.0 if ways[-1] == (call < 2 * AGAIN) else 8.0)
    assert ways[2 * AGAIN - 1] is False
    assert all(ways[2 * AGAIN + LATEST + TRIES : 3 * AGAIN])


def test_a_way_whose_first_calls_are_slow_is_found_to_be_faster():
    """Beside other work at first; later a call after others of the other way wakes threads, and is slow."""
    sharing, ways = Sharing(), []
    for call in range(2 * AGAIN):
        ways.append(sharing.of_next_call())
        slow = call < TURNS or ways[-2] is False
        sharing.took(ways[-1], 8, 8.0 if not ways[-1] else 16.0 if slow else 5.0)
    assert not any(ways[TURNS:AGAIN])
    assert all(ways[AGAIN + TRIES :])


def test_sharing_that_saves_next_to_nothing_leaves_the_other_cores_alone():
    sharing, ways = Sharing(), []
    for _ in range(AGAIN):
        ways.append(sharing.of_next_call())
        sharing.took(ways[-1], 8, 7.9 if ways[-1] else 8.0)
    assert not any(ways[TURNS:])


def test_steps_in_between_are_tried_both_ways_with_the_same_bits(monkeypatch):
    monkeypatch.setattr(engine_module, "ALONE_FLOP", 0)
    alone = worked(*make(), array())
    monkeypatch.setattr(engine_module, "TEAM_FLOP", 1e30)
    model, engine = make(threads=2)
    assert worked(model, engine, array()) == alone
    for _ in range(TURNS):
        model.evaluate(array(), LABELS, 50)
    assert all(np.isfinite(way.seconds) for way in engine._sharing[EVALUATE, 50]._ways)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_any_cut_between_batches_gives_the_same_bits(precision, source):
    wanted = None
    for cuts in ([0, 400], [0, 30, 400], [*range(0, 400, 30), 400], [0, 390, 400]):
        (model, engine), optimizer, inputs = make(precision=precision), SGD(**SETTINGS), SOURCES[source]()
        parts = [ORDER[start:end] for start, end in pairwise(cuts)]
        totals = [engine.train(Examples(inputs, LABELS), part, 30, optimizer) for part in parts]
        assert [part.rows for part in totals] == list(map(len, parts))
        result = sum(part.correct for part in totals), bits(model)
        wanted = wanted or result
        assert result == wanted
        assert math.isclose(sum(part.loss for part in totals), 400 * np.log(5), rel_tol=0.5)


def trained(**options: Any) -> tuple[MLP, FitResult]:
    model, _ = make(**options)
    inputs = array()
    settings: dict[str, Any] = {"epochs": 4, "batch_size": 30, "rng": np.random.default_rng(4)}
    result = fit(model, inputs, LABELS, validation=(inputs, LABELS), optimizer=SGD(**SETTINGS), **settings)
    return model, result


def test_how_often_training_looks_up_does_not_show(monkeypatch):
    results = []
    for seconds in (0.0, 1e-3, 1e9):
        monkeypatch.setattr(slices, "SLICE", seconds)
        model, result = trained()
        results.append((bits(model), result.history))
    assert results[0] == results[1] == results[2]


def test_training_leaves_the_best_weights_where_they_were():
    model, _ = make()
    x, held_out = array(60), ArrayInput(array(ROWS)._x[200:])
    before = [a.ctypes.data for a in parameters(model)]
    optimizer = SGD(0.1, 0.9)
    result = model.fit(
        x, LABELS[:60], validation=(held_out, LABELS[200:]), optimizer=optimizer, epochs=60, batch_size=20, patience=3
    )
    assert 1 <= result.best_epoch < result.epochs < 60  # noise to learn by heart
    assert [a.ctypes.data for a in parameters(model)] == before
    # to the bit: they are the very weights that were evaluated
    assert model.evaluate(held_out, LABELS[200:], 20)[0] == min(result.history.val_loss)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_changed_by_hand_are_seen_by_the_next_call(precision):
    (model, _), (other, _) = make(precision=precision), make(precision=precision, rng=9)
    inputs = array()
    x, optimizer = inputs._x, SGD(**SETTINGS)
    model.train_epoch(inputs, LABELS, optimizer, ORDER, 64)
    for mine, given in zip(parameters(model), parameters(other), strict=True):
        mine[...] = given
    assert model.evaluate(inputs, LABELS) == other.evaluate(inputs, LABELS)
    np.testing.assert_array_equal(model.predict_proba(inputs), other.predict_proba(inputs))
    assert model.loss_and_gradients(x, LABELS) == other.loss_and_gradients(x, LABELS)
    assert model.train_step(x, LABELS, SGD(0.1)) == other.train_step(x, LABELS, SGD(0.1))
    assert bits(model) == bits(other)
    model.layers[-1].bias[2] += 100
    assert set(model.predict(inputs)) == {2}
    assert model.evaluate(inputs, LABELS)[1] == np.mean(LABELS == 2)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_calls_of_all_kinds_in_turns_are_as_if_each_were_the_first(precision):
    model, _ = make(precision=precision)
    kinds = [
        (array(), 16),
        (images(3), 16),
        (images(1), 16),
        (images(3), 150),
        (array(), 300),
        (images(1), 1),
        (array(), 7),
    ]
    for inputs, batch in kinds:
        fresh, _ = make(precision=precision)
        for mine, kept in zip(parameters(fresh), parameters(model), strict=True):
            mine[...] = kept
        assert model.evaluate(inputs, LABELS, batch) == fresh.evaluate(inputs, LABELS, batch)
        told = [m.train_epoch(inputs, LABELS, SGD(0.001), ORDER, batch) for m in (model, fresh)]
        assert told[0] == told[1]
        assert bits(model) == bits(fresh)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("hidden", [(), (8,)])
def test_a_loss_that_is_not_finite_ends_the_run_after_its_batch(hidden, threads):
    x, labels = array(50, 12)._x.copy(), LABELS[:50]
    x[23] = 3e38  # finite itself; its products with these weights are not
    models = [make((12, *hidden, 5), "relu", threads=threads) for _ in range(2)]
    for model, _ in models:
        model.layers[0].weight[...] = 10 * np.sign(model.layers[0].weight)
    (model, engine), (_, until_then) = models
    totals = engine.train(Examples(ArrayInput(x), labels), np.arange(50), 10, SGD(0.01))
    healthy = until_then.train(Examples(ArrayInput(x), labels), np.arange(20), 10, SGD(0.01))
    assert totals.rows == 30
    assert not math.isfinite(totals.loss)
    assert math.isfinite(healthy.loss)
    assert healthy.correct <= totals.correct <= healthy.correct + 10
    result = model.fit(x, labels, epochs=3, batch_size=10)
    assert (result.status, result.epochs) == ("diverged", 1)


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_an_error_in_one_thread_is_raised_and_stops_none(failing, monkeypatch):
    model, _ = make(threads=3)
    wanted, run = model.evaluate(array(), LABELS), engine_module.run

    def broken(member: Member, *rest: Any) -> Any:
        if member.number == failing:
            raise ZeroDivisionError(f"in thread {member.number}")
        return run(member, *rest)

    monkeypatch.setattr(engine_module, "run", broken)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match=f"in thread {failing}"):
            model.train_epoch(array(), LABELS, SGD(), ORDER, 50)
    monkeypatch.undo()
    assert model.evaluate(array(), LABELS) == wanted  # the others waited for the failing one, and did no step


def test_networks_in_threads_of_their_own_do_not_disturb_each_other():
    wanted, results = trained(threads=2), []
    threads = [threading.Thread(target=lambda: results.append(trained(threads=2))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3
    for model, result in results:
        assert (bits(model), result.history) == (bits(wanted[0]), wanted[1].history)


# Minutes of work: the images are few, their rows are many. The third call of compiled code says that it begins.
ENDLESS = """
import signal
from itertools import count
import numpy as np
from fastmlp import MLP, SGD, ImageInput
from fastmlp.nn.fit import fit
from fastmlp.nn.threads import usable_cores

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have the tests' background job ignore it
rng = np.random.default_rng(0)
pixels, rows = rng.integers(0, 256, (512, 3072), np.uint8), rng.integers(0, 512, 4_000_000)
inputs = ImageInput(pixels, np.full((512, 1), 128, np.float32), np.full((512, 1), 0.01, np.float32), rows)
model = MLP([3072, 512, 512, 10], "identity", threads=min(2, usable_cores()))
labels = rng.integers(0, 10, len(rows))
few = ImageInput(pixels, inputs.source().center, inputs.source().scale)
model.train_epoch(few, labels[:512], SGD(1e-6), np.arange(512))  # compiles
calls, engine = count(1), model._engine

def telling(work):
    def call(*arguments):
        if next(calls) == 3:
            print("begins", flush=True)
        return work(*arguments)
    return call

engine.train, engine.evaluate = telling(engine.train), telling(engine.evaluate)
WORK
print("done")
"""
WORK = {
    "train_on": "fit(model, inputs, labels, optimizer=SGD(1e-6), epochs=1, batch_size=64)",
    "evaluate": "model.evaluate(inputs, labels)",
}


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT as a terminal does")
@pytest.mark.parametrize("work", WORK)
def test_an_interrupt_ends_long_work_soon(work):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])}
    code = ENDLESS.replace("WORK", WORK[work])
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begins\n"
            process.send_signal(signal.SIGINT)
            out, complaint = process.communicate(timeout=20)  # a call takes a tenth of a second, all of it far longer
        finally:
            process.kill()
    assert "done" not in out
    assert f"in {work}" in complaint
    assert complaint.rstrip().endswith("KeyboardInterrupt")
    assert process.returncode == -signal.SIGINT
