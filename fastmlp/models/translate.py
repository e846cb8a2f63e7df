"""A run's network in scikit-learn and in PyTorch, its settings translated into their conventions.

What is translated: layers, activation, initial weights where they are given, learning rate, momentum, weight decay,
batch size and epochs. What stays with the caller: images and their normalisation, shuffling, and early stopping, which
here looks at the validation loss, in scikit-learn at the accuracy, and in PyTorch is a matter of one's own loop.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, MissingExtraError
from fastmlp.nn.activations import ACTIVATIONS, hidden_activations
from fastmlp.nn.layers import parameter_count, split_parameters
from fastmlp.nn.optimizer import SGD
from fastmlp.nn.precision import PRECISIONS
from fastmlp_kernels._check import unmasked


def _check(config: RunConfig, parameters: npt.ArrayLike | None) -> None:
    """Raise ConfigError for settings without a counterpart; a changing rate acts otherwise on other velocities."""
    allowed = {"schedule": ("constant",), "augment": ("none",), "precision": ("float32", "float64")}
    for name, values in allowed.items():
        if (value := getattr(config, name)) not in values:
            raise ConfigError(f"{name} is {value!r}; allowed is {' or '.join(values)}, where a config is translated.")
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
    through all epochs. It computes in the dtype of the rows that it is given.
    Raises ConfigError for two classes, which are one logistic unit there, for a schedule, for augmentation, bfloat16
    and int8, and for `init_from` without parameters; MissingExtraError without scikit-learn.
    """
    try:
        from sklearn.neural_network import MLPClassifier
    except ImportError as error:
        raise MissingExtraError(f"to_sklearn needs scikit-learn ({error}): pip install 'fastmlp[sklearn]'.") from error
    _check(config, parameters)
    if config.layers[-1] == 2:
        raise ConfigError(
            "layers end in 2 classes, for which scikit-learn has one logistic unit, which learns otherwise than "
            "the two units of a softmax; allowed is 3 classes or more."
        )
    activation = ACTIVATIONS[config.activation].sklearn
    if activation is None:
        allowed = ", ".join(name for name, known in ACTIVATIONS.items() if known.sklearn)
        raise ConfigError(f"activation is {config.activation!r}, which scikit-learn does not have; allowed: {allowed}.")
    options = {"batch_size": config.batch_size, **SGD.sklearn(vars(config))}
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
    """Set the model's weights, and its velocities to zero: a first step makes the arrays, as nothing public does."""
    arrays = _arrays(config, parameters)
    rows, classes = max(config.batch_size, config.layers[-1]), config.layers[-1]
    nothing = np.zeros((rows, config.layers[0]), _dtype(config))
    model.partial_fit(nothing, np.arange(rows) % classes, classes=np.arange(classes))
    for coef, intercept, (weight, bias) in zip(model.coefs_, model.intercepts_, arrays, strict=True):
        coef[...], intercept[...] = weight, bias
    for velocity in model._optimizer.velocities:
        velocity[...] = 0
    model.loss_curve_, model.n_iter_, model.t_ = [], 0, 0
    model.best_loss_, model._no_improvement_count = np.inf, 0


def to_torch(config: RunConfig, parameters: npt.ArrayLike | None = None) -> tuple[Any, Any]:
    """Return a `torch.nn.Sequential` that gives logits, and the optimiser that trains it as a run here does.

    parameters : (P,) numbers, the initial weights and biases in the order of `MLP.parameters`; None: PyTorch draws them

    Train with `torch.nn.functional.cross_entropy`, whose mean over the batch is this package's loss. PyTorch keeps the
    learning rate out of the velocity, v <- momentum v + g, w <- w - lr v: the same steps while the rate is constant. It
    decays whatever is in a group, so that the biases are in one of their own. It divides the decay by nothing: that of
    decay_per "batch" is weight_decay / batch_size, so that only an epoch's last, smaller batch decays its weights less
    than here. Raises ConfigError as `to_sklearn` does,
    save for two classes; MissingExtraError without PyTorch.
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
    parts = [
        part for layer, name in zip(linear, hidden, strict=False) for part in (layer, ACTIVATIONS[name].torch(torch.nn))
    ]
    groups = [
        {"params": [layer.weight for layer in linear], "weight_decay": config.decay_an_update},
        {"params": [layer.bias for layer in linear]},
    ]
    return torch.nn.Sequential(*parts, linear[-1]), SGD.torch(torch.optim, groups, vars(config))
