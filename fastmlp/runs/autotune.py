"""Measures which is faster for a network on this machine, packed products or BLAS, once, and keeps the choice.

The choice goes into each run's config: a run that is repeated has the same bits, whatever a new measurement says.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp import __version__
from fastmlp.config import RunConfig
from fastmlp.data import cache_dir
from fastmlp.errors import OutputError
from fastmlp.files import json_of, read_small, write_whole
from fastmlp.nn.inputs import ArrayInput, ImageInput, Input
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.threads import blas_info, blas_threads
from fastmlp.runs.environment import cpu_model

# BLAS must be faster by more than the noise of a short measurement: the two give different bits.
MARGIN = 1.05
# Rounds that are measured, and seconds up to which short ones are repeated more often.
_ROUNDS, _MOST_ROUNDS, _ENOUGH = 3, 40, 0.05
_REST = 0.5


def _network_key(config: RunConfig) -> str:
    sizes = "-".join(map(str, config.layers))
    precision = "" if config.precision == "float32" else f", {config.precision}"
    steps = [config.optimizer] * (config.optimizer != RunConfig.optimizer)
    steps += [config.loss] * (config.loss != RunConfig.loss) + ["features"] * (not config.of_images)
    steps += [name for name in ("clip_norm", "dropout", "input_dropout") if getattr(config, name)]
    return ", ".join([f"{sizes}, batch {config.batch_size}, threads {config.threads}{precision}", *steps])


def _key(config: RunConfig) -> str:
    """Return what runs have in common that are to have one way: the folds of a network may differ in their inputs."""
    return _network_key(config.candidate if config.fold else config)


def _machine_key() -> str:
    libraries = [f"{name} {version(name)}" for name in ("numpy", "numba")]
    blas = [str(library.get("architecture")) for library in blas_info()[:1]]
    return ", ".join([cpu_model(), f"fastmlp {__version__}", *libraries, *blas])


def _remembered(path: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    """Return the seconds a step that a file holds, by machine, network and way; what is no measurement is left out."""
    if path is None:
        return {}
    try:
        table = json_of(read_small(path))
    except (OSError, ValueError):
        return {}
    of_machines = {key: one for key, one in table.items() if isinstance(one, dict)} if isinstance(table, dict) else {}
    return {
        machine: {
            network: known
            for network, known in one.items()
            if isinstance(known, dict) and _is_measurement(known, known)
        }
        for machine, one in of_machines.items()
    }


def measure(config: RunConfig) -> dict[str, float]:
    """Measure and return the seconds of a training step of this network by each way, the best of a few, packed first.

    It ends with a pause after BLAS: its threads spin for a while after their work, and would slow down what comes next.
    """
    rng, n = np.random.default_rng(0), 2 * config.batch_size
    dtype, shape = PRECISIONS[config.precision].dtype, (n, config.layers[0])
    moments = np.full((n, 1), 128, dtype), np.full((n, 1), 1 / 74, dtype)
    inputs: Input = ArrayInput(rng.standard_normal(shape).astype(dtype))
    if config.of_images:
        inputs = ImageInput(rng.integers(0, 256, shape, np.uint8), *moments)
    targets = rng.integers(0, config.layers[-1], n)
    if not config.new_loss().of_classes:
        targets = rng.integers(0, 2, (n, config.layers[-1]))
    seconds = {}
    with blas_threads(config.threads):
        for way in PRECISIONS[config.precision].matmuls:
            model, optimizer, times = replace(config, matmul=way).new_network(0), config.new_optimizer(), []
            while len(times) <= _ROUNDS or (len(times) <= _MOST_ROUNDS and sum(times[1:]) < _ENOUGH):
                start = time.perf_counter()
                model.train_epoch(inputs, targets, optimizer, np.arange(n), config.batch_size)
                times.append((time.perf_counter() - start) / 2)
            seconds[way] = min(times[1:])  # the first compiles
    if "blas" in seconds:
        time.sleep(_REST)
    return seconds


def measured(config: RunConfig) -> dict[str, float]:
    """Return the seconds of a training step by each way, as kept for this network, batch, precision and threads.

    They are kept in the user's cache folder, by CPU and versions. Where nothing is kept, or the file cannot be read or
    written, they are measured anew.
    """
    cache, machine, network = cache_dir(), _machine_key(), _network_key(config)
    path = cache / "matmul.json" if cache else None
    table = _remembered(path)
    of_machine = table.get(machine, {})
    known = of_machine.get(network, {})
    if not _is_measurement(known, PRECISIONS[config.precision].matmuls):
        known = measure(config)
        table[machine] = of_machine | {network: known}
        if path is not None:
            with suppress(OSError, OutputError):
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, json.dumps(table, indent=1) + "\n")
    return known


def choose(config: RunConfig) -> tuple[str, dict[str, float]]:
    """Return the faster way for such a run, and the seconds a step of each."""
    seconds = measured(config)
    first, *others = PRECISIONS[config.precision].matmuls
    best = min(others, key=lambda way: seconds[way], default=first)
    return (best if seconds[best] * MARGIN < seconds[first] else first), seconds


def _is_measurement(known: Mapping[str, Any], ways: Iterable[str]) -> bool:
    return all(isinstance(known.get(way), float) and 0 < known[way] < inf for way in ways)


def resolve(configs: Sequence[RunConfig], before: Iterable[RunConfig] = ()) -> tuple[list[RunConfig], list[str]]:
    """Return the configs with the faster way in each, and a sentence on each network that was measured.

    before : configs of earlier runs; networks among them keep their way, so that a sweep that goes on keeps its bits
    """
    ways = {_key(config): config.matmul for config in before}
    chosen: dict[str, tuple[str, dict[str, float]]] = {}
    for config in configs:
        key = _key(config)
        if key not in ways:
            ways[key], _ = chosen[_network_key(config)] = choose(config)
    notes = [
        f"Products: {way} for {network} (a step takes "
        + ", ".join(f"{1000 * seconds[name]:.2f} ms {name}" for name in seconds)
        + ")."
        for network, (way, seconds) in chosen.items()
    ]
    return [replace(config, matmul=ways[_key(config)]) for config in configs], notes
