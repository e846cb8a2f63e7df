"""The table of optimisers: of each its settings, its state, its step, and its form in other libraries.

It loads neither numpy nor numba before a step is taken, as settings are checked before these are needed. The formula of
a step is in the kernels' table, `fastmlp_kernels._optimizers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import ABOVE_0, FROM_0, FROM_0_BELOW_1, Range, check_name
from fastmlp.nn.decay import DECAY_PER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np


class Setting(NamedTuple):
    """A setting of an optimiser: its default and its range."""

    default: float
    range: Range


# Where some of the parameters lie, and their weight_decay.
Part = tuple[slice, float]


class Optimizer(ABC):
    """The base of all optimisers: it checks settings, and keeps the state of each network.

    SETTINGS : by name, each of which is an attribute too; lr and weight_decay are among them
    PLAIN : name of its step in `fastmlp.reference`, of (w, each slot of the state, g, the compiled settings)

    penalty : whether training adds up the decay's share of the loss, half of weight_decay times the weights' squares

    An optimiser keeps the state of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
    """

    SETTINGS: ClassVar[dict[str, Setting]]
    PLAIN: ClassVar[str]
    penalty: bool = False
    lr: float
    weight_decay: float

    def __init__(self, settings: Mapping[str, float], decay_per: str) -> None:
        self.check(settings)
        check_name("decay_per", decay_per, DECAY_PER)
        for name, value in settings.items():
            setattr(self, name, float(value))
        self.decay_per = decay_per
        self._checked: tuple[Any, ...] | None = None
        self._state: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def check(cls, settings: Mapping[str, Any], *, float32: bool = False, lr_name: str = "lr") -> None:
        """Raise ConfigError for the first of these settings that is no number in its range.

        float32 : whether training computes in float32, which cannot hold a rate above 3.4e38, nor a momentum so near
            to 1 that it rounds to 1
        """
        for name, setting in cls.SETTINGS.items():
            setting.range.check(lr_name if name == "lr" else name, settings[name], float32=float32)

    @staticmethod
    @abstractmethod
    def sklearn(settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of MLPClassifier that takes the same steps, but for the weight decay."""

    @staticmethod
    @abstractmethod
    def torch(optim: Any, groups: list[dict[str, Any]], settings: Mapping[str, Any]) -> Any:
        """Return the same optimiser of `torch.optim`, for groups of parameters with a weight_decay each."""

    @abstractmethod
    def compiled(self) -> Any:
        """Return the settings for compiled code, as a record of `fastmlp_kernels._optimizers`."""

    @abstractmethod
    def _take(self, parameters: np.ndarray, state: np.ndarray, gradient: np.ndarray, parts: Iterable[Part]) -> None:
        """In place: parameters (P,), with state (slots, P), take a step with gradient (P,), by a kernel."""

    def state_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the state of an array of parameters of any shape, (slots, *shape) of its dtype: zeros at first."""
        key = id(parameters)  # safe: the entry keeps the array alive
        if key not in self._state:
            from fastmlp_kernels._align import aligned_zeros

            self._state[key] = (parameters, aligned_zeros((self.compiled().SLOTS, *parameters.shape), parameters.dtype))
        return self._state[key][1]

    def check_for(self, dtype: np.dtype) -> None:
        """Raise ConfigError where a setting's present value is out of its range or out of this dtype's."""
        settings = [getattr(self, name) for name in self.SETTINGS]
        now = *settings, dtype, self.decay_per
        if now != self._checked:  # asked in each step
            self.check(dict(zip(self.SETTINGS, settings, strict=True)), float32=dtype.itemsize < 8)
            check_name("decay_per", self.decay_per, DECAY_PER)
            self._checked = now

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_state": list(self._state.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = {id(pair[0]): pair for pair in state["_state"]}  # the arrays are others now
        for name, value in (state | {"_state": own}).items():
            setattr(self, name, value)

    def step(
        self, parameters: np.ndarray, gradient: np.ndarray, parts: Iterable[tuple[slice, bool]], rows: float = 1
    ) -> None:
        """In place: parameters (P,), float32 or float64, take a step with the gradient (P,) of a batch's mean loss.

        parts : (slice of the parameters, whether they decay); rows : of the batch, or the sum of their weights
        """
        self.check_for(parameters.dtype)
        weight_decay = self.weight_decay / rows if self.decay_per == "batch" else self.weight_decay
        own = [(at, weight_decay if decays else 0.0) for at, decays in parts]
        self._take(parameters, self.state_of(parameters), gradient, own)


# Looked up once: an import within a function takes a microsecond, which a step on a small network feels.
@cache
def _momentum_step() -> Any:
    from fastmlp_kernels import jit

    return jit.momentum_step


@cache
def _momentum() -> Any:
    from fastmlp_kernels._optimizers import Momentum

    return Momentum


class SGD(Optimizer):
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch. With decay_per "update" the decay is not divided by the batch's
    rows: PyTorch's `SGD` takes the same steps as long as lr stays constant. With "batch" it is weight_decay / rows, as
    scikit-learn's `alpha` is; an epoch's last, smaller batch decays more then.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0; decay_per : one of DECAY_PER. Raises ConfigError outside, also
        when it trains a network that computes in float32 and cannot hold the number: a rate above 3.4e38, or a momentum
        that rounds to 1.
    An optimiser keeps the velocity of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
    """

    SETTINGS: ClassVar = {
        "lr": Setting(0.005, ABOVE_0),
        "momentum": Setting(0.9, FROM_0_BELOW_1),
        "weight_decay": Setting(0.0, FROM_0),
    }
    PLAIN = "momentum_step"
    momentum: float

    def __init__(
        self,
        lr: float = SETTINGS["lr"].default,
        momentum: float = SETTINGS["momentum"].default,
        weight_decay: float = SETTINGS["weight_decay"].default,
        decay_per: str = "update",
    ) -> None:
        super().__init__({"lr": lr, "momentum": momentum, "weight_decay": weight_decay}, decay_per)

    @staticmethod
    def sklearn(settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of MLPClassifier, whose steps are the same but for the weight decay."""
        return {
            "solver": "sgd",
            "learning_rate_init": settings["lr"],
            "momentum": settings["momentum"],
            "nesterovs_momentum": False,
        }

    @staticmethod
    def torch(optim: Any, groups: list[dict[str, Any]], settings: Mapping[str, Any]) -> Any:
        """Return `torch.optim.SGD`, which takes the same steps while lr is constant."""
        return optim.SGD(groups, lr=settings["lr"], momentum=settings["momentum"])

    def compiled(self) -> Any:
        """Return the settings as a `Momentum`."""
        return _momentum()(self.lr, self.momentum, self.weight_decay)

    def velocity_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the velocity of an array of parameters (P,), float32 or float64: its state's only slot, alike."""
        return self.state_of(parameters)[0]

    def _take(self, parameters: np.ndarray, state: np.ndarray, gradient: np.ndarray, parts: Iterable[Part]) -> None:
        step, (velocity,) = _momentum_step(), state
        for at, weight_decay in parts:
            step(parameters[at], velocity[at], gradient[at], self.lr, self.momentum, weight_decay)


OPTIMIZERS = {"sgd": SGD}


def check_optimizer(optimizer: object, dtype: np.dtype) -> None:
    """Raise ConfigError unless `optimizer` is one, with settings that this dtype can hold."""
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"optimizer is {optimizer!r}, allowed is an optimiser such as SGD(lr=0.01)")
    optimizer.check_for(dtype)
