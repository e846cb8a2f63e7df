"""A run's network in scikit-learn and in PyTorch, its settings translated into their conventions.

What is translated: layers, activations, initial weights where they are given, the optimiser and its settings, weight
decay, batch size and epochs; to PyTorch dropout and the clipping of gradients too. What stays with the caller: images
and their normalisation, shuffling, and early stopping, which here looks at the validation loss, in scikit-learn at the
accuracy, and in PyTorch is a matter of one's own loop; there also the loss, with its label smoothing.
"""

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.activations import ACTIVATIONS, hidden_activations
from fastmlp.nn.layers import parameter_count, split_parameters
from fastmlp.nn.optimizer import OPTIMIZERS
from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels._check import unmasked

# Settings with counterparts for these values alone; a changing rate acts otherwise on other velocities.
_ALLOWED: dict[str, tuple[Any, ...]] = {
    "schedule": ("constant",),
    "warmup": (0,),
    "augment": ("none",),
    "precision": ("float32", "float64"),
}
_ALLOWED_SKLEARN = {
    "loss": ("cross-entropy",),
    "label_smoothing": (0,),
    "dropout": (0,),
    "input_dropout": (0,),
    "clip_norm": (0,),
}


def _check(
    config: RunConfig, parameters: npt.ArrayLike | None, more: Mapping[str, tuple[Any, ...]] = MappingProxyType({})
) -> None:
    """Raise ConfigError for settings without a counterpart; more : of some of them, the values that have one."""
    for name, values in {**_ALLOWED, **more}.items():
        if (value := getattr(config, name)) not in values:
            allowed = " or ".join(map(str, values))
            raise ConfigError(f"{name} is {value!r}; allowed is {allowed}, where a config is translated.")
    if config.init_from and parameters is None:
        raise ConfigError("init_from is set: give the weights that the run began with as parameters.")


def _arrays(config: RunConfig, parameters: npt.ArrayLike) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return weights (D, H) and biases (H,) of each layer, of the flat parameters W1, b1, W2, b2, ..."""
    wanted = parameter_count(config.layers)
    unmasked(parameters=parameters)
    given = np.asarray(parameters)
    if given.shape != (wanted,) or given.dtype.kind not in "fiu":
        sizes = "-".join(map(str, config.layers))
        raise ConfigError(
            f"parameters are {given.dtype} of shape {given.shape}; allowed are numbers of shape ({wanted},), those of "
            f"{sizes}."
        )
    parameters = given.astype(_dtype(config))
    if not np.isfinite(parameters).all():
        raise ConfigError(f"parameters hold NaN or infinity in {config.precision}; allowed are finite numbers.")
    return split_parameters(parameters, config.layers)


def _dtype(config: RunConfig) -> Any:
    return np.dtype(PRECISIONS[config.precision].dtype).type


def to_sklearn(config: RunConfig, parameters: npt.ArrayLike | None = None) -> Any:
    """Return an `MLPClassifier` that learns as a run of this config does.

    parameters : (P,) numbers, the initial weights and biases in the order of `MLP.parameters`: its `partial_fit`, an
        epoch a call, then goes on from these, while `fit` begins anew. None: it draws its own

    It divides alpha by the number of rows in a batch: alpha is the weight_decay of decay_per "batch"; of "update" it is
    weight_decay * batch_size, so that only an epoch's last, smaller batch decays its weights more than here. `fit` goes
    through all epochs. It computes in the dtype of the rows that it is given. Its Adam adds epsilon to the root of v
    before that is corrected, here it is afterwards: the same steps but where gradients are hardly larger than epsilon.
    Raises ConfigError for two classes, which are one logistic unit there, for what it does not have: an activation, or
    several, AdamW's weight decay, dropout, label smoothing, clipped gradients; for a schedule, for augmentation,
    bfloat16 and int8, for other losses, and for `init_from` without parameters; MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise MissingExtraError(f"to_sklearn needs scikit-learn ({error}): pip install 'fastmlp[sklearn]'.") from error
    _check(config, parameters, _ALLOWED_SKLEARN)
    if config.layers[-1] == 2:
        raise ConfigError(
            "layers end in 2 classes, for which scikit-learn has one logistic unit, which learns otherwise than "
            "the two units of a softmax; allowed is 3 classes or more."
        )
    if config.optimizer == "adamw" and config.weight_decay:
        raise ConfigError(
            f"optimizer is 'adamw' with a weight_decay of {config.weight_decay}, which scikit-learn does not have; "
            "allowed is adam, or a weight_decay of 0."
        )
    activation = ACTIVATIONS[config.activation].sklearn if isinstance(config.activation, str) else None
    if activation is None:
        allowed = ", ".join(name for name, known in ACTIVATIONS.items() if known.sklearn)
        raise ConfigError(
            f"activation is {config.activation!r}, which scikit-learn does not have; allowed: {allowed}, one for all "
            "hidden layers."
        )
    options = {"batch_size": config.batch_size, **OPTIMIZERS[config.optimizer].sklearn(vars(config))}
    model = MLPClassifier(
        config.layers[1:-1],
        activation=activation,
        alpha=config.weight_decay * (config.batch_size if config.decay_per == "update" else 1),
        max_iter=config.epochs,
        n_iter_no_change=config.epochs,  # no stopping by the training loss either
        random_state=config.seed,
        **options,
    )
    if parameters is not None:
        _begin_sklearn(model, config, parameters)
    return model


def _begin_sklearn(model: Any, config: RunConfig, parameters: npt.ArrayLike) -> None:
    """Set the model's weights, and its optimiser to no step: a first one makes the arrays, as nothing public does."""
    arrays = _arrays(config, parameters)
    rows, classes = max(config.batch_size, config.layers[-1]), config.layers[-1]
    nothing = np.zeros((rows, config.layers[0]), _dtype(config))
    model.partial_fit(nothing, np.arange(rows) % classes, classes=np.arange(classes))
    for coef, intercept, (weight, bias) in zip(model.coefs_, model.intercepts_, arrays, strict=True):
        coef[...], intercept[...] = weight, bias
    for name in ("velocities", "ms", "vs"):  # those of its optimiser
        for array in getattr(model._optimizer, name, ()):
            array[...] = 0
    if hasattr(model._optimizer, "t"):
        model._optimizer.t = 0
    model.loss_curve_, model.n_iter_, model.t_ = [], 0, 0
    model.best_loss_, model._no_improvement_count = np.inf, 0


def to_torch(config: RunConfig, parameters: npt.ArrayLike | None = None) -> tuple[Any, Any]:
    """Return a `torch.nn.Sequential` that gives logits, and the optimiser that trains it as a run here does.

    parameters : (P,) numbers, the initial weights and biases in the order of `MLP.parameters`; None: PyTorch draws them

    Train with `torch.nn.functional.cross_entropy(..., label_smoothing=config.label_smoothing)`, whose mean over the
    batch is this package's loss. Modules of dropout drop other outputs than here, until `.eval()`. Where the config has
    a `clip_norm`, the optimiser's `step` clips the gradients first. PyTorch's SGD keeps the
    learning rate out of the velocity, v <- momentum v + g, w <- w - lr v: the same steps while the rate is constant. It
    decays whatever is in a group, so that the biases are in one of their own. It divides the decay by nothing: that of
    decay_per "batch" is weight_decay / batch_size, so that only an epoch's last, smaller batch decays its weights less
    than here. Raises ConfigError for a schedule, augmentation, bfloat16 and int8, and for `init_from` without
    parameters; MissingExtraError without PyTorch.
    """
    try:
        import torch  # pyright: ignore[reportMissingImports] - optional
    except ImportError as error:
        raise MissingExtraError(
            f"to_torch needs PyTorch ({error}); it is in the extra `peers`. A plain pip install torch may bring "
            "gigabytes of GPU packages: PyTorch's site names the CPU build."
        ) from error
    _check(config, parameters)
    dtype = getattr(torch, PRECISIONS[config.precision].dtype)
    linear = [torch.nn.Linear(d, h, dtype=dtype) for d, h in pairwise(config.layers)]
    if parameters is not None:
        with torch.no_grad():
            for layer, (weight, bias) in zip(linear, _arrays(config, parameters), strict=True):
                layer.weight.copy_(torch.from_numpy(weight.T.copy()))
                layer.bias.copy_(torch.from_numpy(bias.copy()))
    hidden = hidden_activations(config.activation, len(linear) - 1)
    parts = [torch.nn.Dropout(config.input_dropout)] if config.input_dropout else []
    for layer, name in zip(linear, hidden, strict=False):
        parts += [layer, ACTIVATIONS[name].torch(torch.nn)]
        parts += [torch.nn.Dropout(config.dropout)] if config.dropout else []
    groups = [
        {"params": [layer.weight for layer in linear], "weight_decay": config.decay_an_update},
        {"params": [layer.bias for layer in linear], "weight_decay": 0.0},  # that of AdamW is another by default
    ]
    model, optimizer = (
        torch.nn.Sequential(*parts, linear[-1]),
        OPTIMIZERS[config.optimizer].torch(torch.optim, groups, vars(config)),
    )
    if config.clip_norm:

        def clip(*_: Any) -> None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)

        optimizer.register_step_pre_hook(clip)
    return model, optimizer
