"""The table of optimisers: of each its settings, its state, its step, and its form in other libraries.

It loads neither numpy nor numba before a step is taken, as settings are checked before these are needed. The formula of
a step is in the kernels' table, `fastmlp_kernels._optimizers`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from fastmlp.errors import ConfigError
from fastmlp.nn.checks import ABOVE_0, ABOVE_0_NORMAL, FROM_0, FROM_0_BELOW_1, Range, check_name
from fastmlp.nn.decay import DECAY_PER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np


class Setting(NamedTuple):
    """A setting of an optimiser: its default and its range."""

    default: float
    range: Range


@dataclass
class Memory:
    """What an optimiser keeps of one network: its parameters, of any shape, the state of each, and the steps taken.

    slots : (slots, *shape of the parameters) of their dtype, float32 or float64; zeros before the first step
    """

    parameters: np.ndarray
    slots: np.ndarray
    steps: int = 0

    def clear(self) -> None:
        """Forget all steps."""
        self.slots[...] = 0
        self.steps = 0


# Looked up once: an import within a function takes a microsecond, which a step on a small network feels.
@cache
def _kernels() -> Any:
    from fastmlp_kernels import update

    return update


@cache
def _records() -> Any:
    from fastmlp_kernels import _optimizers

    return _optimizers


class Optimizer(ABC):
    """The base of all optimisers: it checks settings, and keeps the state of each network.

    SETTINGS : by name, each of which is an attribute too; lr and weight_decay are among them
    PLAIN : name of its step in `fastmlp.reference`, of (w, each slot of the state, g) and the settings by name, where
        it asks for them with eps_hat, and `step`, the number of the step

    decay_per : one of DECAY_PER
    clip_norm : the largest norm of a step's gradient, that of all parameters as one vector, or 0 for none. A larger one
        is scaled down to it, as by PyTorch's `clip_grad_norm_`, before any weight decay. Then the whole gradient is
        formed before the first weight is updated, which takes a phase more; `bench.optimizers` tells what it costs
    penalty : whether training adds up the decay's share of the loss, half of weight_decay times the weights' squares

    An optimiser keeps the state of each network that it trains. Copied or pickled together with the network, as in
    `copy.deepcopy((model, optimizer))`, it goes on from there; copied alone, its copy knows the old network only.
    """

    SETTINGS: ClassVar[dict[str, Setting]]
    PLAIN: ClassVar[str]
    penalty: bool = False
    lr: float
    weight_decay: float

    def __init__(self, settings: Mapping[str, float], decay_per: str, clip_norm: float) -> None:
        self.check(settings)
        check_name("decay_per", decay_per, DECAY_PER)
        FROM_0.check("clip_norm", clip_norm)
        for name, value in settings.items():
            setattr(self, name, float(value))
        self.decay_per, self.clip_norm = decay_per, float(clip_norm)
        self._checked: tuple[Any, ...] | None = None
        self._memories: dict[int, Memory] = {}

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

    def memory_of(self, parameters: np.ndarray) -> Memory:
        """Return what is kept of an array of parameters of any shape, float32 or float64: nothing yet at first."""
        key = id(parameters)  # safe: the entry keeps the array alive
        if key not in self._memories:
            from fastmlp_kernels._align import aligned_zeros

            zeros = aligned_zeros((self.slots, *parameters.shape), parameters.dtype)
            self._memories[key] = Memory(parameters, zeros)
        return self._memories[key]

    @property
    def slots(self) -> int:
        """How many numbers it keeps of each parameter."""
        return _records().settings_of_step(self.compiled(), 1).SLOTS

    def state_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the state of an array of parameters of any shape, (slots, *shape) of its dtype: zeros at first."""
        return self.memory_of(parameters).slots

    def check_for(self, dtype: np.dtype) -> None:
        """Raise ConfigError where a setting's present value is out of its range or out of this dtype's."""
        settings = [getattr(self, name) for name in self.SETTINGS]
        now = *settings, dtype, self.decay_per, self.clip_norm
        if now != self._checked:  # asked in each step
            self.check(dict(zip(self.SETTINGS, settings, strict=True)), float32=dtype.itemsize < 8)
            check_name("decay_per", self.decay_per, DECAY_PER)
            FROM_0.check("clip_norm", self.clip_norm)
            self._checked = now

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_memories": list(self._memories.values())}

    def __setstate__(self, state: dict[str, Any]) -> None:
        own = {id(memory.parameters): memory for memory in state["_memories"]}  # the arrays are others now
        for name, value in (state | {"_memories": own}).items():
            setattr(self, name, value)

    def step(
        self, parameters: np.ndarray, gradient: np.ndarray, parts: Iterable[tuple[slice, bool]], rows: float = 1
    ) -> None:
        """In place: parameters (P,), float32 or float64, take a step with the gradient (P,) of a batch's mean loss.

        parts : (slice of the parameters, whether they decay); rows : of the batch, or the sum of their weights. Where
        the gradient is clipped, it is overwritten.
        """
        self.check_for(parameters.dtype)
        memory, kernels = self.memory_of(parameters), _kernels()
        memory.steps += 1
        settings = _records().settings_of_step(self.compiled(), memory.steps)
        weight_decay = self.weight_decay / rows if self.decay_per == "batch" else self.weight_decay
        if self.clip_norm > 0:
            kernels.clip(gradient, self.clip_norm)
        for at, decays in parts:
            own = weight_decay if decays else 0.0
            kernels.take_step(parameters, memory.slots, at.start or 0, gradient[at], settings, own)


class SGD(Optimizer):
    """v <- momentum * v - lr * (g + weight_decay * w), then w <- w + v; biases are not decayed.

    g is the gradient of the mean loss over the batch. With decay_per "update" the decay is not divided by the batch's
    rows: PyTorch's `SGD` takes the same steps as long as lr stays constant. With "batch" it is weight_decay / rows, as
    scikit-learn's `alpha` is; an epoch's last, smaller batch decays more then.

    lr : > 0; momentum : in [0, 1); weight_decay : >= 0; decay_per : one of DECAY_PER; clip_norm : 0 for none, see
        `Optimizer`. Raises ConfigError outside, also when it trains a network that computes in float32 and cannot hold
        the number: a rate above 3.4e38, or a momentum that rounds to 1.
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
        clip_norm: float = 0.0,
    ) -> None:
        super().__init__({"lr": lr, "momentum": momentum, "weight_decay": weight_decay}, decay_per, clip_norm)

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
        return _records().Momentum(self.lr, self.momentum, self.weight_decay)

    def velocity_of(self, parameters: np.ndarray) -> np.ndarray:
        """Return the velocity of an array of parameters (P,), float32 or float64: its state's only slot, alike."""
        return self.state_of(parameters)[0]


class Nesterov(SGD):
    """v <- momentum * v - lr * g', then w <- w + momentum * v - lr * g', where g' = g + weight_decay * w.

    SGD with Nesterov's momentum, as scikit-learn has it by default, and PyTorch where it is asked for; all else is as
    in `SGD`.
    """

    PLAIN = "nesterov_step"

    @staticmethod
    def sklearn(settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of MLPClassifier, whose steps are the same but for the weight decay."""
        return SGD.sklearn(settings) | {"nesterovs_momentum": True}

    @staticmethod
    def torch(optim: Any, groups: list[dict[str, Any]], settings: Mapping[str, Any]) -> Any:
        """Return `torch.optim.SGD`, which takes the same steps while lr is constant."""
        momentum = settings["momentum"]
        return optim.SGD(groups, lr=settings["lr"], momentum=momentum, nesterov=momentum > 0)  # it refuses one of 0

    def compiled(self) -> Any:
        """Return the settings as a `Nesterov` of the kernels."""
        return _records().Nesterov(self.lr, self.momentum, self.weight_decay)


class Adam(Optimizer):
    """m <- beta1 m + (1 - beta1) g', v <- beta2 v + (1 - beta2) g' g', then w <- w - lr m' / (sqrt(v') + eps).

    g' = g + weight_decay * w, biases are not decayed; m' = m / (1 - beta1**t) and v' = v / (1 - beta2**t) in step t:
    PyTorch's `Adam` takes the same steps. See `SGD` for g, decay_per, and what a copy of an optimiser knows.

    lr : > 0; beta1, beta2 : in [0, 1); eps : > 0; weight_decay : >= 0; clip_norm : 0 for none, see `Optimizer`
    eps_hat : whether eps is added to sqrt(v), which is then corrected with it, as scikit-learn has it: the "epsilon
        hat" of the paper (D. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015, section 2)
    Raises ConfigError outside, also when it trains a network that computes in float32 and cannot hold the number: a
    rate above 3.4e38, a beta that rounds to 1, or an eps below 1.2e-38.
    """

    SETTINGS: ClassVar = {
        "lr": Setting(0.001, ABOVE_0),
        "beta1": Setting(0.9, FROM_0_BELOW_1),
        "beta2": Setting(0.999, FROM_0_BELOW_1),
        "eps": Setting(1e-8, ABOVE_0_NORMAL),
        "weight_decay": Setting(0.0, FROM_0),
    }
    PLAIN = "adam_step"
    DECOUPLED: ClassVar = False
    beta1: float
    beta2: float
    eps: float

    def __init__(
        self,
        lr: float = SETTINGS["lr"].default,
        beta1: float = SETTINGS["beta1"].default,
        beta2: float = SETTINGS["beta2"].default,
        eps: float = SETTINGS["eps"].default,
        weight_decay: float = SETTINGS["weight_decay"].default,
        decay_per: str = "update",
        clip_norm: float = 0.0,
        *,
        eps_hat: bool = False,
    ) -> None:
        settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "eps": eps, "weight_decay": weight_decay}
        super().__init__(settings, decay_per, clip_norm)
        self.eps_hat = bool(eps_hat)

    @staticmethod
    def sklearn(settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options of MLPClassifier, whose steps are those with eps_hat but for the weight decay."""
        return {
            "solver": "adam",
            "learning_rate_init": settings["lr"],
            "beta_1": settings["beta1"],
            "beta_2": settings["beta2"],
            "epsilon": settings["eps"],
        }

    @staticmethod
    def torch(optim: Any, groups: list[dict[str, Any]], settings: Mapping[str, Any]) -> Any:
        """Return `torch.optim.Adam`, which takes the same steps without eps_hat."""
        return optim.Adam(groups, lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"])

    def compiled(self) -> Any:
        """Return the settings as an `Adam` of the kernels."""
        eps_hat = bool(self.eps_hat)
        numbers = self.lr, self.beta1, self.beta2, self.eps, self.weight_decay
        return _records().Adam(*numbers, self.DECOUPLED, eps_hat)


class AdamW(Adam):
    """w <- w - lr * weight_decay * w, then a step of `Adam` without weight decay, as PyTorch's `AdamW` takes it.

    Settings are those of `Adam`. scikit-learn has no such optimiser; its Adam takes the same steps without decay.
    """

    SETTINGS: ClassVar = Adam.SETTINGS | {"weight_decay": Setting(0.01, FROM_0)}
    PLAIN = "adamw_step"
    DECOUPLED: ClassVar = True

    def __init__(
        self,
        lr: float = SETTINGS["lr"].default,
        beta1: float = SETTINGS["beta1"].default,
        beta2: float = SETTINGS["beta2"].default,
        eps: float = SETTINGS["eps"].default,
        weight_decay: float = SETTINGS["weight_decay"].default,
        decay_per: str = "update",
        clip_norm: float = 0.0,
        *,
        eps_hat: bool = False,
    ) -> None:
        super().__init__(lr, beta1, beta2, eps, weight_decay, decay_per, clip_norm, eps_hat=eps_hat)

    @staticmethod
    def torch(optim: Any, groups: list[dict[str, Any]], settings: Mapping[str, Any]) -> Any:
        """Return `torch.optim.AdamW`, which takes the same steps without eps_hat."""
        return optim.AdamW(groups, lr=settings["lr"], betas=(settings["beta1"], settings["beta2"]), eps=settings["eps"])


OPTIMIZERS = {"sgd": SGD, "nesterov": Nesterov, "adam": Adam, "adamw": AdamW}


def check_optimizer(optimizer: object, dtype: np.dtype) -> None:
    """Raise ConfigError unless `optimizer` is one, with settings that this dtype can hold."""
    if not isinstance(optimizer, Optimizer):
        raise ConfigError(f"optimizer is {optimizer!r}, allowed is an optimiser such as SGD(lr=0.01)")
    optimizer.check_for(dtype)
