"""The choice between packed and BLAS: by what was measured, once a network and machine, and kept."""

import json
from pathlib import Path

import pytest

from fastmlp.runs import autotune as matmul
from samples import config


@pytest.fixture
def cache(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "fastmlp" / "matmul.json"


def pretend(monkeypatch, packed: float, blas: float) -> list[object]:
    """Have `measure` give these seconds; the list that is returned grows by each config that was measured."""
    measured: list[object] = []
    monkeypatch.setattr(matmul, "measure", lambda c: measured.append(c) or {"packed": packed, "blas": blas})
    return measured


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_both_ways_are_really_measured(precision) -> None:
    seconds = matmul.measure(config(layers=(12, 5, 3), batch_size=8, precision=precision))
    assert list(seconds) == ["packed", "blas"]
    assert all(0 < value < 60 for value in seconds.values())


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("packed", "blas", "way"), [(1.0, 2.0, "packed"), (2.0, 1.0, "blas"), (1.02, 1.0, "packed")])
def test_the_faster_way_is_chosen_and_within_the_noise_the_usual_one(packed, blas, way, monkeypatch) -> None:
    pretend(monkeypatch, packed, blas)
    assert matmul.choose(config()) == (way, {"packed": packed, "blas": blas})
    assert matmul.resolve([config()])[0][0].matmul == way


def test_a_measurement_is_made_once_a_network_batch_and_number_of_threads(cache, monkeypatch) -> None:
    measured = pretend(monkeypatch, 1.0, 2.0)
    for seed in range(3):
        matmul.choose(config(seed=seed, activation="tanh"))
    assert len(measured) == 1
    for change in ({"layers": (3072, 64, 20)}, {"batch_size": 16}, {"threads": 2}):
        matmul.choose(config(**change))
    assert len(measured) == 4
    matmul.choose(config(optimizer="adam", momentum=None))  # more work beside the products
    matmul.choose(config(optimizer="adam", momentum=None, beta1=0.8))
    assert len(measured) == 5
    [machine] = json.loads(cache.read_text()).values()
    assert len(machine) == 5


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', "null", '"text"'])
def test_a_damaged_memory_is_replaced(content, cache, monkeypatch) -> None:
    cache.parent.mkdir()
    cache.write_text(content)
    measured = pretend(monkeypatch, 1.0, 2.0)
    for _ in range(2):
        assert matmul.choose(config())[0] == "packed"
    assert len(measured) == 1


def test_damaged_figures_are_measured_again(cache, monkeypatch) -> None:
    measured = pretend(monkeypatch, 1.0, 2.0)
    matmul.choose(config())
    table = json.loads(cache.read_text())
    [machine] = table
    for wrong in ({"packed": 1.0}, {"packed": "fast", "blas": 1.0}, {"packed": -1.0, "blas": 1.0}, 7):
        cache.write_text(json.dumps({machine: dict.fromkeys(table[machine], wrong)}))
        assert matmul.choose(config())[1] == {"packed": 1.0, "blas": 2.0}
    assert len(measured) == 5


def test_a_cache_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "fastmlp").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    measured = pretend(monkeypatch, 1.0, 2.0)
    for _ in range(2):
        assert matmul.choose(config())[0] == "packed"
    assert len(measured) == 2


def test_without_a_home_each_question_is_measured(monkeypatch) -> None:
    monkeypatch.setattr(matmul, "cache_dir", lambda: None)
    measured = pretend(monkeypatch, 1.0, 2.0)
    for _ in range(2):
        assert matmul.choose(config())[0] == "packed"
    assert len(measured) == 2


@pytest.mark.usefixtures("cache")
def test_each_network_is_told_of_once(monkeypatch) -> None:
    pretend(monkeypatch, 0.001, 0.002)
    configs, notes = matmul.resolve([config(seed=0), config(seed=1), config(layers=(3072, 64, 20))])
    assert [c.seed for c in configs] == [0, 1, 0]
    assert notes == [
        "Products: packed for 3072-128-20, batch 1024, threads 1 (a step takes 1.00 ms packed, 2.00 ms blas).",
        "Products: packed for 3072-64-20, batch 1024, threads 1 (a step takes 1.00 ms packed, 2.00 ms blas).",
    ]


def test_measured_gives_the_seconds_and_keeps_them(cache, monkeypatch) -> None:
    measured = pretend(monkeypatch, 0.25, 0.5)
    assert matmul.measured(config()) == matmul.measured(config(seed=1)) == {"packed": 0.25, "blas": 0.5}
    assert len(measured) == 1
    [machine] = json.loads(cache.read_text()).values()
    assert list(machine.values()) == [{"packed": 0.25, "blas": 0.5}]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("precision", "way"), [("bfloat16", "packed"), ("int8", "packed")])
def test_a_precision_with_one_way_is_measured_too(precision, way, monkeypatch) -> None:
    """For the time that a run takes; and kept apart from float32's."""
    pretend(monkeypatch, 1.0, 2.0)
    matmul.measured(config())
    monkeypatch.setattr(matmul, "measure", lambda _: {way: 3.0})
    assert matmul.measured(config(precision=precision)) == {way: 3.0}
    assert matmul.choose(config(precision=precision)) == (way, {way: 3.0})
    assert matmul.measured(config()) == {"packed": 1.0, "blas": 2.0}


@pytest.mark.usefixtures("cache")
def test_networks_of_before_are_computed_as_they_were(monkeypatch) -> None:
    measured = pretend(monkeypatch, 0.001, 0.002)
    before = [config(matmul="blas", seed=8, activation="tanh", lr=0.5)]  # another run, but of the same products
    given = [config(), config(seed=1), config(batch_size=16), config(layers=(3072, 64, 20)), config(threads=2)]
    configs, notes = matmul.resolve(given, before)
    assert [c.matmul for c in configs] == ["blas", "blas", "packed", "packed", "packed"]
    assert [(c.seed, c.batch_size, c.layers) for c in configs] == [(c.seed, c.batch_size, c.layers) for c in given]
    assert measured == given[2:]
    assert len(notes) == 3
    assert not any("3072-128-20, batch 1024, threads 1 " in note for note in notes)


@pytest.mark.usefixtures("cache")
def test_a_sweep_that_goes_on_measures_nothing(monkeypatch) -> None:
    measured = pretend(monkeypatch, 0.002, 0.001)
    configs, notes = matmul.resolve([config(), config(batch_size=16)], iter([config(), config(batch_size=16)]))
    assert ([c.matmul for c in configs], notes, measured) == (["packed", "packed"], [], [])


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        "[1]",
        '{"a": 3, "b": {"c": 4, "d": {"packed": NaN}, "e": {"packed": 1e999}, "f": {"packed": -1.0}}}',
    ],
)
def test_nothing_but_seconds_is_remembered(content: str, tmp_path: Path) -> None:
    path = tmp_path / "matmul.json"
    path.write_text(content)
    assert [known for of_machine in matmul._remembered(path).values() for known in of_machine.values()] == []
