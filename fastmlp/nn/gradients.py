"""The comparisons of `fastmlp.gradcheck`: backpropagated gradients with differences of the loss, in float64."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fastmlp.errors import ConfigError
from fastmlp.nn.activations import activation_named
from fastmlp.nn.layers import Dense
from fastmlp.nn.loss import Loss
from fastmlp.nn.network import MLP
from fastmlp.table import Table

EPSILON = 1e-2  # the report's
STEP = 5e-4  # along a random direction: truncation (~ step^4) and rounding (~ 1e-16 / step) are both near 1e-12
TOLERANCE = 1e-8
IMAGES = 64
DIRECTIONS = 3


@dataclass(frozen=True)
class Check:
    """A comparison of a numerical with a backpropagated gradient; `allowed` bounds their difference."""

    name: str
    numerical: float
    backpropagated: float
    allowed: float

    @property
    def difference(self) -> float:
        """The absolute difference of the two gradients."""
        return abs(self.numerical - self.backpropagated)

    @property
    def passed(self) -> bool:
        """Whether the difference is within its bound; a NaN never is."""
        return self.difference <= self.allowed


class Move(NamedTuple):
    """A direction in one parameter array: parameter, gradient and direction, float64, all (D, H) or all (H,)."""

    parameter: np.ndarray
    gradient: np.ndarray
    direction: np.ndarray


class Line:
    """The loss along a straight line through the parameters, over rows without a kink within `reach` of its start.

    x : (N, D) float64; targets : (N,) int64 or (N, K) float64, as the loss wants them
    moves : the line's direction in each array, zero in all others
    """

    def __init__(self, model: MLP, x: np.ndarray, targets: np.ndarray, moves: Sequence[Move], reach: float) -> None:
        self.model, self.x, self.targets, self.moves = model, x, targets, moves
        self._kinks = [activation_named(layer.activation).kinks for layer in model.layers[:-1]]
        if any(self._kinks) or model.loss.kinks:
            with self.moved(-reach):
                before = self._switches()
            with self.moved(reach):
                clear = np.all(before == self._switches(), axis=1)
            if not clear.any():
                names = " and ".join(dict.fromkeys(layer.activation for layer in model.layers[:-1]))
                raise ConfigError(f"No image keeps clear of the kinks of so many {names} units: name fewer units.")
            self.x, self.targets = x[clear], targets[clear]

    @contextmanager
    def moved(self, t: float) -> Iterator[None]:
        """Hold the parameters at distance `t` along the line within the body."""
        starts = [move.parameter.copy() for move in self.moves]
        for move in self.moves:
            move.parameter[...] += t * move.direction
        try:
            yield
        finally:
            for move, start in zip(self.moves, starts, strict=True):
                move.parameter[...] = start

    def _switches(self) -> np.ndarray:
        """Return on which side of each kink each hidden unit's input and each error lie, (N, all kinks) bool."""
        x, sides = self.x, []
        for layer, kinks in zip(self.model.layers[:-1], self._kinks, strict=True):
            z, h = x @ layer.weight + layer.bias, np.empty((len(x), layer.bias.size))
            sides += [z > kink for kink in kinks]
            layer.forward(x, h)
            x = h
        if self.model.loss.kinks:
            last = self.model.layers[-1]
            errors = x @ last.weight + last.bias - self.targets
            sides += [errors > kink for kink in self.model.loss.kinks]
        return np.hstack(sides)

    def loss(self, t: float) -> float:
        """Mean loss at distance `t`, by the forward pass alone."""
        with self.moved(t):
            return self.model.evaluate(self.x, self.targets)[0]

    def central_difference(self, t: float) -> float:
        """Slope at 0 from the losses at `t` and `-t`, with an error of order t^2."""
        return (self.loss(t) - self.loss(-t)) / (2 * t)

    def backpropagated(self) -> float:
        """Slope at 0 from the gradients that the network computes."""
        self.model.loss_and_gradients(self.x, self.targets)
        return float(sum(np.vdot(move.gradient, move.direction) for move in self.moves))


def check_weight(model: MLP, x: np.ndarray, targets: np.ndarray, name: str, move: Move) -> Check:
    """Compare one weight's gradient with the central difference at EPSILON, to its error; x, targets as of `Line`."""
    line = Line(model, x, targets, [move], EPSILON)
    whole, half = line.central_difference(EPSILON), line.central_difference(EPSILON / 2)
    error = 4 / 3 * abs(whole - half)  # C EPSILON^2, as whole - half is three quarters of it
    rounding = 4 * np.spacing(line.loss(0)) / EPSILON
    return Check(name, whole, line.backpropagated(), allowed=1.25 * error + rounding)  # 1.25: the terms after e^2


def check_direction(model: MLP, x: np.ndarray, targets: np.ndarray, name: str, moves: Sequence[Move]) -> Check:
    """Compare the slope along a line with a fourth-order difference, to TOLERANCE relative; x, targets as of `Line`."""
    line = Line(model, x, targets, moves, 2 * STEP)
    numerical = (4 * line.central_difference(STEP) - line.central_difference(2 * STEP)) / 3
    slope = line.backpropagated()
    # A direction can happen to lie almost level; then the slope that such a direction usually has is the measure.
    usual = np.sqrt(sum(np.vdot(move.gradient**2, move.direction**2) for move in moves))
    return Check(name, numerical, slope, allowed=TOLERANCE * max(abs(slope), usual))


def single_weights(model: MLP, rng: np.random.Generator) -> Iterator[tuple[str, Move]]:
    """Yield an output bias, a hidden bias, two hidden-to-output and two input-to-hidden weights, picked at random."""
    first, last = model.layers[0], model.layers[-1]
    for name, layer in (("output bias", last), ("hidden bias", first)):
        unit = int(rng.integers(len(layer.bias)))
        yield f"{name} {unit}", _one(layer.bias, layer.dbias, unit)
    for source, target, layer in (("hidden", "output", last), ("input", "hidden", first)):
        for flat in rng.choice(layer.weight.size, size=2, replace=False):
            place = np.unravel_index(flat, layer.weight.shape)
            yield f"{source} {place[0]} to {target} {place[1]}", _one(layer.weight, layer.dweight, place)


def _one(parameter: np.ndarray, gradient: np.ndarray, place: int | tuple[np.intp, ...]) -> Move:
    direction = np.zeros_like(parameter)
    direction[place] = 1
    return Move(parameter, gradient, direction)


def random_moves(layer: Dense, rng: np.random.Generator) -> list[Move]:
    """Return a random direction in a layer's weights and biases, of a size by which its sums move by about 1."""
    dweight = rng.standard_normal(layer.weight.shape) / np.sqrt(len(layer.weight))
    dbias = rng.standard_normal(layer.bias.shape)
    return [Move(layer.weight, layer.dweight, dweight), Move(layer.bias, layer.dbias, dbias)]


def _targets_of(model: MLP, rng: np.random.Generator) -> np.ndarray:
    """Return random targets of the kind that the network's loss wants."""
    shape, kind = (IMAGES, model.sizes[-1]), model.loss.targets
    if kind == "classes":
        return rng.integers(0, shape[1], IMAGES)
    if kind == "labels":
        return rng.integers(0, 2, shape).astype(np.float64)
    return rng.poisson(2, shape).astype(np.float64) if kind == "counts" else 2 * rng.standard_normal(shape)


def run_checks(
    layers: Sequence[int], activation: str | Sequence[str], seed: int = 0, loss: str | Loss = "cross-entropy"
) -> tuple[list[Check], list[Check]]:
    """Check the gradients of a newly drawn network on random images and targets.

    activation, loss : as of `fastmlp.MLP`

    Returns the checks of six single weights and of random directions. Raises ConfigError for layers without a hidden
    one.
    """
    if len(layers) < 3:
        raise ConfigError(f"layers is {list(layers)}; allowed are inputs, at least one hidden layer, and classes.")
    if seed < 0:
        raise ConfigError(f"seed is {seed}; allowed is a whole number of at least 0.")
    rng = np.random.default_rng(seed)
    model = MLP(list(layers), activation, loss=loss, precision="float64", rng=rng)
    for layer in model.layers:
        layer.bias[...] = 0.1 * rng.standard_normal(layer.bias.shape)
    pixels = rng.integers(0, 256, (IMAGES, layers[0])).astype(np.float64)
    x = (pixels - pixels.mean()) / pixels.std()
    targets = _targets_of(model, rng)
    weights = [check_weight(model, x, targets, name, move) for name, move in single_weights(model, rng)]
    parts = [(f"layer {i}", [layer]) for i, layer in enumerate(model.layers, start=1)]
    directions = [
        check_direction(model, x, targets, name, [move for layer in part for move in random_moves(layer, rng)])
        for name, part in [*parts, ("all layers", model.layers)]
        for _ in range(DIRECTIONS)
    ]
    return weights, directions


def to_table(checks: Sequence[Check], heading: str, facts: Sequence[str] = ()) -> Table:
    """Return checks as a table, a row each."""
    rows = [
        [
            check.name,
            *(f"{figure:.9e}" for figure in (check.numerical, check.backpropagated)),
            *(f"{figure:.1e}" for figure in (check.difference, check.allowed)),
            "pass" if check.passed else "FAIL",
        ]
        for check in checks
    ]
    columns = [heading, "numerical", "backpropagated", "difference", "allowed", "verdict"]
    return Table(facts, columns, rows, words=1, verdict=True)
