"""Chooses the precision of a sweep's runs: the fastest on this machine of those whose gradients hold.

It is chosen once for all of them, and goes into each run's config, so that no result depends on a later measurement.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from math import inf

from fastmlp.config import RunConfig, dashed
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError, DataError
from fastmlp.models.model import Model
from fastmlp.models.precision_check import HOLDS, gradient_errors
from fastmlp.nn.threads import blas_threads
from fastmlp.runs.autotune import MARGIN, measured
from fastmlp_kernels import bfloat16, int8

# The last resort, in which all runs can be: what is asked for others, and what others' gradients are compared with.
EXACT = "float64"
# Those that gain by instructions of their own alone, and the modules that know whether this CPU has them.
_WITH_INSTRUCTIONS = {"bfloat16": bfloat16, "int8": int8}
_BY_ROUNDING = ("float32", *_WITH_INSTRUCTIONS)
# Networks whose gradients are compared, and multiply-adds up to which rows of the batch are taken: both bound the time.
_MOST_COMPARED, _MOST_WORK, _FEWEST_ROWS = 8, 1 << 29, 64


def choose(
    configs: Sequence[RunConfig], dataset: Dataset, start: Model | None = None, *, any_matmul: bool = True
) -> tuple[list[RunConfig], str]:
    """Return the configs in one precision, and a sentence on what was measured.

    configs : of one sweep, in float64; start : the model that they begin with
    any_matmul : whether their way to multiply is still to be chosen, so that the faster one counts

    The network is timed that most of the runs' work goes to. A precision holds where the gradients of that network,
    and of those with other activations, depths or normalisations, are off by `HOLDS` at most. Precisions are taken that
    these configs can have, and that this CPU has instructions for.
    """
    network, *others = _networks(configs)
    seconds, left_out = dict[str, float](), dict[str, list[str]]()
    for name in _BY_ROUNDING:
        if name in _WITH_INSTRUCTIONS and _WITH_INSTRUCTIONS[name].INSTRUCTIONS is None:
            left_out.setdefault("for which this CPU has no instructions", []).append(name)
        elif in_precision(configs, name) is None:
            left_out.setdefault("which these runs cannot have", []).append(name)
        else:
            config = replace(network, precision=name)
            steps = measured(config)
            seconds[name] = min(steps.values()) if any_matmul else steps[config.matmul]
    # one gives way to one that rounds more only where that is faster by more than the noise
    order = sorted(seconds, key=lambda name: seconds[name] * MARGIN ** _BY_ROUNDING.index(name))
    errors, chosen = dict[str, float](), EXACT
    with blas_threads(network.threads):
        for name in order:
            errors[name] = _error([replace(config, precision=name) for config in (network, *others)], dataset, start)
            if errors[name] <= HOLDS:
                chosen = name
                break
    figures = [f"{1000 * seconds[name]:.2f} ms {name}" + _off(errors.get(name)) for name in order]
    words = [f"a step takes {', '.join(figures)}"] * bool(figures)
    words += [f"not tried: {', '.join(names)}, {reason}" for reason, names in left_out.items()]
    about = f"{dashed(network.layers)}, batch {network.batch_size}, threads {network.threads}"
    return in_precision(configs, chosen) or list(configs), f"Precision: {chosen} for {about} ({'; '.join(words)})."


def in_precision(configs: Sequence[RunConfig], precision: str) -> list[RunConfig] | None:
    """Return the configs in another precision; None where one of them cannot have it."""
    with suppress(ConfigError):
        return [replace(config, precision=precision) for config in configs]
    return None


def _networks(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return a run of each network to look at, those that take the most work first; all of them of one fold."""
    configs = [config for config in configs if config.fold == configs[0].fold]
    work, first = dict[tuple[object, ...], int](), dict[tuple[object, ...], RunConfig]()
    for config in configs:
        key = config.layers, config.batch_size
        work[key] = work.get(key, 0) + config.epochs * _weights(config)
    for config in sorted(configs, key=lambda config: -work[config.layers, config.batch_size]):
        first.setdefault((config.activation, len(config.layers), config.normalize, config.loss), config)
    return list(first.values())[:_MOST_COMPARED]


def _weights(config: RunConfig) -> int:
    return sum(d * h for d, h in pairwise(config.layers))


def _error(configs: Sequence[RunConfig], dataset: Dataset, start: Model | None) -> float:
    """Return the largest error of any layer's gradients, infinity where a network cannot take the data."""
    worst = 0.0
    for config in configs:
        rows = min(config.batch_size, max(_FEWEST_ROWS, _MOST_WORK // _weights(config)))
        try:
            errors = gradient_errors(replace(config, batch_size=rows), dataset, start)
        except (ConfigError, DataError):
            return inf
        for error in (error for pair in errors for error in pair):
            worst = max(worst, error) if error < inf else inf  # which NaN is not
        if worst > HOLDS:
            break
    return worst


def _off(error: float | None) -> str:
    """Return what is said of a precision's error; nothing where it was not looked for."""
    if error is None:
        return ""
    if error == inf:
        return " with no gradients that can be compared"
    return f" with gradients off by {100 * error:.2g} %" + f", more than {100 * HOLDS:g} %" * (error > HOLDS)
