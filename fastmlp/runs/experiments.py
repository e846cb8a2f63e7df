"""The report's eight experiments as a table, and the configs of runs that are made from them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fastmlp.config import RunConfig
from fastmlp.errors import ConfigError, suggestion
from fastmlp.nn.loss import LOSSES_OF, outputs_of
from fastmlp.nn.precision import PRECISIONS

if TYPE_CHECKING:
    from fastmlp.data import Dataset

# The report's hyper-parameters. It gives neither its number of epochs nor its patience.
LR = 0.005
MOMENTUM = 0.9
BATCH_SIZE = 1024
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Experiment:
    """One row of the report's results table, or a network of ours in that form.

    hidden : units of each hidden layer; inputs and classes come from the data set
    published : the report's test accuracy on CIFAR-100, a fraction, by normalisation; empty for a network of ours
    init, decay_per : as of `RunConfig`; the report states neither
    """

    name: str
    row: str
    hidden: tuple[int, ...]
    activation: str
    weight_decay: float
    labels: str
    published: dict[str, float]
    init: str = "auto"
    decay_per: str = "update"


def _published(channel: float, image: float) -> dict[str, float]:
    return {"channel": channel, "image": image}


_ALL = (
    # Nothing but its start holds this network's weights back. Of the initial weights tried, small ones reach the best
    # validation loss and accuracy under both normalisations.
    Experiment("momentum", "c", (128,), "tanh", 0.0, "coarse", _published(0.2446, 0.2917), init="small"),
    Experiment("l2", "d", (128,), "tanh", WEIGHT_DECAY, "coarse", _published(0.2474, 0.2928)),
    # A decay of 0.01 as it is holds the sigmoid back for good, as its gradients are small beside it: validation is
    # better by far where it is divided by the batch. All others are better with it as it is.
    Experiment(
        "sigmoid", "e_sigmoid", (128,), "sigmoid", WEIGHT_DECAY, "coarse", _published(0.2417, 0.2872), decay_per="batch"
    ),
    Experiment("relu", "e_ReLU", (128,), "relu", WEIGHT_DECAY, "coarse", _published(0.2784, 0.3237)),
    Experiment("half_units", "f_1_half", (64,), "relu", WEIGHT_DECAY, "coarse", _published(0.2573, 0.3083)),
    Experiment("double_units", "f_1_double", (256,), "relu", WEIGHT_DECAY, "coarse", _published(0.2821, 0.3364)),
    Experiment("two_hidden", "f_2_equal", (123, 123), "relu", WEIGHT_DECAY, "coarse", _published(0.2797, 0.3267)),
    Experiment("classes100", "g", (256,), "relu", WEIGHT_DECAY, "fine", _published(0.1755, 0.2083)),
)

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in _ALL}

# The most accurate networks found, by their validation images, of those that one core trains in a quarter of an hour;
# with the settings of `--preset best`. Not the report's, so "all" leaves them out.
BEST: dict[str, Experiment] = {
    name: Experiment(name, "-", (2048,), "relu", 0.001, labels, {})
    for name, labels in (("best20", "coarse"), ("best100", "fine"))
}
# Where there is one set of labels, those with the finer ones would repeat these.
_COARSER = {"classes100": "double_units", "best100": "best20"}

# What `--layers`, `--activation` or `--labels` start from when no experiment is named.
CUSTOM = replace(EXPERIMENTS["l2"], name="custom", row="-", published={})


def published(config: RunConfig) -> float | None:
    """Return the report's test accuracy for this run, a fraction; None where its data or settings are not the report's.

    Settings that the report does not state may have any value: precision, initialisation, epochs, patience, threads,
    seed, and what the decay is scaled by.
    """
    experiment = EXPERIMENTS.get(config.experiment)
    if experiment is None or config.init_from or (config.dataset, config.labels) != ("cifar100", experiment.labels):
        return None
    same = (
        config.layers[1:-1] == experiment.hidden
        and config.activation == experiment.activation
        and config.weight_decay == experiment.weight_decay
        and (config.lr, config.momentum, config.batch_size) == (LR, MOMENTUM, BATCH_SIZE)
        and not config.changed
    )
    return experiment.published.get(config.normalize) if same else None


def select(names: Iterable[str], dataset: "Dataset") -> tuple[list[Experiment], str]:
    """Return the experiments of these names on this data set and a sentence on what was left out, or "".

    names : keys of `EXPERIMENTS` and `BEST`; "all" is every one of `EXPERIMENTS`

    On a data set with one set of labels, `classes100` would repeat `double_units`: "all" leaves it out there. Raises
    ConfigError where it is named, and for an unknown name.
    """
    names, known = list(dict.fromkeys(names)), EXPERIMENTS | BEST
    if unknown := [name for name in names if name not in known and name != "all"]:
        meant = suggestion(unknown[0], [*known, "all"])
        raise ConfigError(f"No experiment is called {unknown[0]!r}; there are {', '.join(known)}, and all.{meant}")
    chosen = list(EXPERIMENTS.values()) if "all" in names else [known[name] for name in names]
    finer = [experiment for experiment in chosen if experiment.labels == "fine"]
    if len(dataset.label_names) > 1 or not finer:
        return chosen, ""
    coarser = _COARSER[finer[0].name]
    reason = f"{dataset.name} has one set of labels, where {finer[0].name} would repeat {coarser}"
    if finer[0].name in names:
        raise ConfigError(f"{reason}; give --experiments {coarser}, or choose another --dataset.")
    return [experiment for experiment in chosen if experiment not in finer], f"{finer[0].name} is left out: {reason}."


def make_config(
    experiment: Experiment,
    dataset: "Dataset",
    *,
    normalize: str,
    seed: int,
    settings: dict[str, Any],
    inputs: int | None = None,
) -> RunConfig:
    """Return the config of one run of an experiment on a data set.

    settings : further fields of RunConfig, `precision` among them; they win over those of the experiment and the data
    inputs : values in a row, of a fold; None: those of the data set

    On a data set without the experiment's labels it uses the first target. Raises ConfigError where the layers do not
    fit the data.
    """
    own = experiment.labels if experiment.labels in dataset.label_names else next(iter(dataset.label_names))
    labels = settings.get("labels", own)
    if labels not in dataset.label_names:
        raise ConfigError(f"{dataset.name} has no {labels} labels; it has {', '.join(dataset.label_names)}.")
    inputs, kind = inputs or dataset.width, dataset.kinds[labels]
    loss = settings.get("loss", LOSSES_OF[kind][0])
    outputs = outputs_of(loss, kind, len(dataset.label_names[labels]))
    fields: dict[str, Any] = {
        "experiment": experiment.name,
        "dataset": dataset.name,
        "labels": labels,
        "normalize": normalize,
        "seed": seed,
        "layers": (inputs, *experiment.hidden, outputs),
        "loss": loss,
        "activation": experiment.activation,
        "weight_decay": experiment.weight_decay,
        "init": experiment.init,
        "decay_per": experiment.decay_per,
        "matmul": PRECISIONS[settings["precision"]].matmuls[0],
    }
    config = RunConfig(**(fields | settings))
    if (config.layers[0], config.layers[-1]) != (inputs, outputs):
        others = [f"--labels {name} has {len(classes)}" for name, classes in dataset.label_names.items()]
        raise ConfigError(
            f"layers is {','.join(map(str, config.layers))}; on {dataset.name} with its {labels} labels the first must "
            f"be {inputs}, the values of a row, and the last {outputs}, the outputs ({', '.join(others)})."
        )
    return config
