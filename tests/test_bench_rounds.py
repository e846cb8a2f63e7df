"""What the benchmarks' processes do: rivals are checked before they are timed, rounds last, the processes answer."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from bench import rounds
from bench.networks import LR, Data, Work
from bench.predictors import PREDICTORS
from bench.products import MULTIPLIERS, Numpy, Operands, Product
from bench.rivals import IMPLEMENTATIONS, PACKAGES, speed, why_not
from bench.rounds import Predictions, Products, Rounds, Training, check_losses
from bench.trainers import TRAINERS, FastMLP, FastMLPBfloat16, Reference
from bench.training_tables import MULTIPLIERS as MULTIPLIER_LABELS
from bench.training_tables import PREDICTORS as PREDICTOR_LABELS
from bench.training_tables import RIVALS, SOURCES
from bench.worker import TookTooLong, Worker

WORK, ROWS = Work((4, 5, 3), 8), 24


class TwiceTheRate(FastMLP):
    def __init__(self, data, work, threads):
        super().__init__(data, work, threads)
        self.optimizer.lr = 2 * LR


class BiasedLoss(FastMLPBfloat16):
    def train(self, order):
        return super().train(order) * 1.01


@pytest.mark.parametrize("rival", ["fastmlp", "fastmlp_bf16", "fastmlp_steps", "fastmlp_blas", "numpy"])
@pytest.mark.parametrize("layers", [(4, 5, 3), (3072, 4, 3)], ids=["rows", "images"])
def test_our_own_rivals_compute_the_reference_loss(rival, layers):
    work = Work(layers, 8)
    data = Data(work.layers, ROWS)
    check_losses(TRAINERS[rival](data, work, 1), data, work, np.arange(ROWS))


@pytest.mark.parametrize("wrong", [TwiceTheRate, BiasedLoss])
def test_a_rival_that_trains_otherwise_is_refused(wrong):
    data = Data(WORK.layers, ROWS)
    with pytest.raises(AssertionError):
        check_losses(wrong(data, WORK, 1), data, WORK, np.arange(ROWS))


OURS_AND_NUMPY = ["fastmlp", "fastmlp_bf16", "fastmlp_int8", "numpy"]
FORMS = [(rival, source) for rival in OURS_AND_NUMPY for source in SOURCES if hasattr(MULTIPLIERS[rival], source)]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("rival", "source"), FORMS)
def test_products_are_checked_in_every_form(rival, source, transposed):
    m, k = (3072, 90) if transposed else (90, 3072)
    start = {"m": m, "k": k, "n": 40, "transposed": transposed, "source": source, "images": 100}
    assert Products(rival, 1).start(short=True, **start) == (1, 0.0)


def test_a_wrong_product_is_refused(monkeypatch):
    class Wrong(Numpy):
        def plain(self, o: Operands):
            return lambda: o.a @ (1.0001 * o.b)

    monkeypatch.setitem(MULTIPLIERS, "numpy", Wrong)
    with pytest.raises(AssertionError, match="off by"):
        Products("numpy", 1).start(short=True, m=5, k=6, n=7)


@pytest.mark.parametrize("rival", ["fastmlp", "numpy"])
def test_answers_are_checked(monkeypatch, rival):
    assert Predictions(rival, 1).start(short=True, layers=[4, 5, 3], batch=2) == (1, 0.0)
    monkeypatch.setitem(PREDICTORS, rival, lambda *_: lambda x: np.full(len(x), -1))
    with pytest.raises(AssertionError):
        Predictions(rival, 1).start(short=True, layers=[4, 5, 3], batch=2)


def test_the_flop_of_a_product_and_of_a_row():
    assert Product(2, 3, 5).flop == 60
    assert Work((3072, 128, 20), 1).flop_per_row == 2 * (2 * 3072 * 128 + 3 * 128 * 20)


def test_a_round_is_repeated_until_it_lasts(monkeypatch):
    done, clock = [], [0.0]
    monkeypatch.setattr(rounds, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def work(times):
        done.append(times)
        clock[0] += 1e-3 * times

    class Steady(Rounds):
        def prepare(self, arguments):  # noqa: ARG002
            return work

    times, seconds = Steady().start(short=False)
    assert seconds >= rounds.ROUND_SECONDS
    assert done[-2:] == [times, times]  # once to compile that length, once to time it
    assert done[0] == 1


def test_steps_walk_through_the_rows_and_begin_anew(monkeypatch):
    taken = []

    class Recorder(Reference):
        def train(self, order):
            taken.append(order)
            return super().train(order)

    monkeypatch.setitem(TRAINERS, "numpy", Recorder)
    training = Training("numpy", 1)
    training.start(short=True, layers=list(WORK.layers), batch=WORK.batch, count=20)
    del taken[:]
    training.round(times=2)
    training.round(times=2)
    np.testing.assert_array_equal(taken[0][:4], taken[1][4:8])  # rows 20 to 23 of 20 are rows 0 to 3
    assert len(taken[0]) == 2 * WORK.batch
    training.epoch()
    assert sorted(taken[2]) == list(range(20))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux lets a process forget its peak")
def test_memory_counts_from_the_start_of_the_rounds():
    size = 64 << 20
    before = np.ones(size, np.uint8)
    del before
    rounds.reset_peak_memory()
    at_start = rounds.peak_memory()
    held = np.ones(size, np.uint8)
    grown = rounds.peak_memory() - at_start
    assert grown > 0.9 * held.nbytes  # some of the process's own pages may go meanwhile


@pytest.mark.process
def test_a_process_answers_and_can_be_too_slow():
    start = {"short": True, "layers": [4, 5, 3], "batch": 4, "count": 9}
    worker = Worker("train", "numpy", 1)
    try:
        assert worker.start(60, **start) == [1, 0.0]
        assert worker.start(0, **start) == [1, 0.0]  # it is ready: not asked again
        assert worker.ask("round", times=2) is None
        assert worker.ask("memory") > 1 << 20
        for _ in range(2):
            with pytest.raises(TookTooLong, match="'start' took more than 0 s"):
                worker.start(0, **start | {"batch": 3})
    finally:
        worker.close()


@pytest.mark.process
def test_a_process_that_ends_says_at_what():
    worker = Worker("train", "numpy", 1)
    try:
        with pytest.raises(RuntimeError, match="'nonsense'"):
            worker.ask("nonsense")
    finally:
        worker.close()


def test_every_rival_has_a_label_and_says_what_it_lacks(monkeypatch):
    assert set(TRAINERS) == set(RIVALS)
    assert set(MULTIPLIERS) <= set(MULTIPLIER_LABELS)
    assert set(PREDICTORS) <= set(PREDICTOR_LABELS)
    assert set(IMPLEMENTATIONS) <= set(TRAINERS)
    monkeypatch.setattr("bench.rivals.find_spec", lambda _: None)
    monkeypatch.setattr("bench.rivals.TRIAL", Path("nowhere"))
    for library, package in PACKAGES.items():
        assert why_not(library) == f"{library} is not installed: pip install {package}"
    assert "not installed" in (why_not("torch_bf16") or "")
    assert "trial" in (why_not("trial_bf16") or "")
    assert why_not("fastmlp_bf16") is None


def test_speed_is_a_share_of_the_peak_in_its_precision():
    peak = {"float32": 100.0, "bfloat16": 200.0}
    assert speed(1e9, 0.02, peak, "bfloat16")["peak_share"] == pytest.approx(0.25)
    assert speed(1e9, 0.02, peak, "float64")["peak_share"] == pytest.approx(0.5)
    assert speed(1e9, 0.02, {"float32": 100.0}, "bfloat16")["peak_gflop_per_s"] == 100
