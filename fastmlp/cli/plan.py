"""From the command's options to the runs that they ask for."""

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from fastmlp.config import OPTIMIZER_SETTINGS, SCHEDULE_SETTINGS, RunConfig, check_belongs, check_fields, dashed
from fastmlp.errors import ConfigError
from fastmlp.nn.loss import LOSSES_OF, outputs_of
from fastmlp.nn.precision import PRECISIONS
from fastmlp.nn.threads import check_threads, usable_cores
from fastmlp.runs.experiments import CUSTOM, Experiment, make_config, select
from fastmlp.runs.usual import HIDDEN, OF_OPTIMIZER, OWN_OPTIMIZER, usual_normalization, usual_settings
from fastmlp.sweep.halving import rungs
from fastmlp.sweep.plan import WORKERS, Plan
from fastmlp.sweep.space import MOST_RUNS, PRESETS, Axis, grid, label, parse_axis, sample

if TYPE_CHECKING:
    from fastmlp.data import Dataset
    from fastmlp.models.model import Model

AUTO = "auto"
"""The word for what is to be measured and chosen: a precision, or a way to multiply."""

_NETWORK = ("layers", "activation", "labels")
# Options that say what own data are, each a field of `fastmlp.data.own.Own`.
OWN = (
    "target",
    "task",
    "columns",
    "weights",
    "group",
    "order",
    "test_data",
    "test_size",
    "folds",
    "validation_size",
    "split_seed",
    "image_size",
    "grey",
    "scale",
)
# Options whose usual values depend on own data, and are chosen once these are read.
BY_DATA = ("optimizer", "batch_size", "epochs", "patience", "stopping")
_TRAINING = (
    "loss",
    "optimizer",
    *OPTIMIZER_SETTINGS,
    "decay_per",
    "clip_norm",
    "batch_size",
    "label_smoothing",
    "dropout",
    "input_dropout",
    "epochs",
    "patience",
    "stopping",
    "schedule",
    *SCHEDULE_SETTINGS,
    "augment",
    "init",
    "precision",
)


def settings_of(args: Namespace) -> dict[str, Any]:
    """Return the fields of RunConfig that options set; ConfigError for a value that is not allowed."""
    settings = {name: getattr(args, name) for name in (*_NETWORK, *_TRAINING) if getattr(args, name) is not None}
    if args.matmul != AUTO:
        settings["matmul"] = args.matmul
    if args.precision == AUTO:
        settings["precision"] = "float64"  # which all runs can have, until `cli.sweep.with_precision` chooses
    check_fields(settings)
    axes = _check_together(args)
    usual = {} if args.data is None else {"optimizer": OWN_OPTIMIZER}
    check_belongs({name: value for name, value in (usual | settings).items() if name not in axes})
    if args.threads is not None:
        check_threads(args.threads)
    if args.matmul not in (AUTO, *PRECISIONS[settings["precision"]].matmuls):
        allowed = " or ".join((AUTO, *PRECISIONS[settings["precision"]].matmuls))
        raise ConfigError(f"--matmul is {args.matmul}; allowed with --precision {args.precision} is {allowed}.")
    return settings


def _check_together(args: Namespace) -> list[str]:
    """Raise ConfigError for options of which one would have no effect beside the others; return the fields of axes."""
    for name in ("retry", "clean"):
        if getattr(args, name) and args.out is None:
            raise ConfigError(
                f"--{name} is about the runs in the folder of --out, which is missing; give --out DIR too."
            )
    if args.clean and args.dry_run:
        raise ConfigError("--clean removes files, and --dry-run changes nothing; give one of them.")
    if args.mirror is not None and args.data_dir is not None:
        raise ConfigError(
            "--mirror says where to download from, and nothing is downloaded into --data-dir. Leave one of them away, "
            "or fetch the data first: python -m fastmlp.data fetch NAME --data-dir DIR --mirror URL"
        )
    if args.mirror is not None and args.dataset in ("auto", "embedded"):
        raise ConfigError(f"--mirror has no use where --dataset is {args.dataset}, which is not downloaded; name one.")
    if args.init is not None and args.init_from is not None:
        raise ConfigError("--init and --init-from are two beginnings; give one of them.")
    _check_own(args)
    if args.scheduler is not None and args.workers != WORKERS[0]:
        raise ConfigError(
            f"--workers {args.workers} are on this machine, and --scheduler has its own; give one of them."
        )
    texts = (*(args.grid or ()), *(args.random or ())[1:])
    axes = [parse_axis(with_ends(text, 1, 1)).field for text in texts]
    if args.precision == AUTO and "precision" in axes:
        raise ConfigError(
            "--precision auto chooses one for all runs, and precision is an axis of the search, with a value for each; "
            "leave one of them away."
        )
    return axes


def _check_own(args: Namespace) -> None:
    """Raise ConfigError for options about own data without `--data`, and for those of other data beside it."""
    if args.data is None:
        given = [*(name for name in OWN if getattr(args, name) not in (None, False)), *["hidden"] * bool(args.hidden)]
        given += ["baselines"] * args.baselines
        texts = (*(args.grid or ()), *(args.random or ())[1:])
        given += ["grid hidden=..."] * any(text.startswith("hidden=") for text in texts)
        if given:
            raise ConfigError(
                f"--{given[0].replace('_', '-')} is about own data, and there is no --data PATH; give it."
            )
        return
    others = {
        "dataset": args.dataset != "auto",
        "data-dir": args.data_dir is not None,
        "mirror": args.mirror is not None,
        "preset": args.preset != "report",  # before experiments, which it may set
        "experiments": args.experiments is not None,
        "labels": args.labels is not None,
    }
    if wrong := next((name for name, is_given in others.items() if is_given), None):
        instead = " Its target is named by --target." if wrong == "labels" else ""
        raise ConfigError(
            f"--data is your own data, and --{wrong} is about CIFAR and the report; give one of them.{instead}"
        )
    tested = {"test-data": args.test_data, "test-size": args.test_size}
    if args.folds and (wrong := next((name for name, value in tested.items() if value is not None), None)):
        raise ConfigError(
            f"--folds {args.folds} tests each row once, in a fold, and --{wrong} names test rows. Give one of them."
        )
    if args.layers and args.hidden:
        raise ConfigError("--layers has the hidden units too; give it or --hidden.")


def with_ends(text: str, inputs: int, outputs: int) -> str:
    """Return the axis `hidden=64,128-64` as one of `layers`, between inputs and outputs; any other as it is."""
    name, _, values = text.partition("=")
    if name != "hidden":
        return text
    if wrong := [value for value in values.split(",") if not re.fullmatch(r"\d+(-\d+)*", value)]:
        raise ConfigError(
            f"hidden is {wrong[0]!r} in {text!r}; allowed are the units of each hidden layer, as in hidden=64,128-64 "
            "for one of 64, and for 128 and 64."
        )
    return "layers=" + ",".join(f"{inputs}-{value}-{outputs}" for value in values.split(","))


def make_plan(args: Namespace, dataset: "Dataset", start: "Model | None" = None) -> Plan:
    """Return the runs that the options ask for; start : the model that `--init-from` names.

    Raises ConfigError where they do not fit each other or the data.
    Seeds are outermost: a sweep that is interrupted has the whole table of its first seeds. Then come the folds of a
    cross-validation, which have the same settings but for the inputs: a fold's columns may make more than another's.
    """
    given = _network_of(start) | settings_of(args) | {"threads": 1}
    of_folds = {fold: _settings_of(args, given, dataset, one.width, start) for fold, one in dataset.outlines.items()}
    settings, ends, candidates = next(iter(of_folds.values()))
    if ends is not None:
        experiments, left_out = [replace(CUSTOM, name="network", decay_per="update")], ""
    elif args.experiments is None and any(name in settings for name in _NETWORK):
        experiments, left_out = [CUSTOM], ""
    else:
        experiments, left_out = select(chain.from_iterable(args.experiments or [["all"]]), dataset)
    usual_norms = ["image", "channel"] if ends is None else [usual_normalization(dataset)]
    norms = args.normalize or [usual_norms if start is None else [start.normalize]]
    count = (
        args.seeds * len(of_folds) * len(experiments) * len(list(chain.from_iterable(norms))) * len(candidates or [{}])
    )
    if count > MOST_RUNS:
        raise ConfigError(
            f"These options make {count:,} runs; allowed are {MOST_RUNS:,}. Give fewer --seeds, --folds or values."
        )
    configs = [
        make_config(
            experiment,
            dataset,
            normalize=normalize,
            seed=seed,
            settings=_joined(settings, candidate, args, ends) | {"fold": fold},
            inputs=None if ends is None else ends[0],
        )
        for seed in range(args.seed, args.seed + args.seeds)
        for fold, (settings, ends, candidates) in of_folds.items()
        for experiment in experiments
        for normalize in dict.fromkeys(chain.from_iterable(norms))
        for candidate in _named(candidates, experiment.name, fold, alone=len(experiments) == 1)
    ]
    if start is not None:
        _check_start(start, configs, experiments)
    rows = _training_rows(configs[0], dataset)
    if (largest := max(config.batch_size for config in configs)) > max(rows, RunConfig.batch_size):
        of = "images" if dataset.of_images else "rows"
        raise ConfigError(
            f"batch_size is {largest}, and {dataset.name} has {rows:,} {of} to train on; allowed is no more."
        )
    configs = list(dict.fromkeys(configs))  # an axis of normalize makes the same runs for each --normalize
    threads = args.threads or (1 if len(configs) > 1 or args.scheduler else usable_cores())
    configs = [replace(config, threads=threads) for config in configs]
    return Plan(
        configs,
        _jobs(args, threads, len(configs)),
        threads,
        args.scheduler or args.workers,
        search=candidates is not None,
        eta=args.halving,
        retry=args.retry,
        left_out=left_out,
    )


_Settings = tuple[dict[str, Any], tuple[int, int] | None, list[dict[str, Any]] | None]


def _settings_of(
    args: Namespace, given: dict[str, Any], dataset: "Dataset", width: int, start: "Model | None"
) -> _Settings:
    """Return the settings of networks of so many inputs, their two ends on own data, and the candidates of a search."""
    settings, ends = given, None
    if dataset.reading is not None:
        settings, ends = _own_settings(args, given, dataset, width, start)
    return settings, ends, _candidates(args, ends)


def _own_settings(
    args: Namespace, settings: dict[str, Any], dataset: "Dataset", width: int, start: "Model | None"
) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return the settings of networks on own data, those that are given before the usual ones, and their two ends."""
    (target,) = dataset.label_names
    kind = dataset.kinds[target]
    loss = settings.get("loss", LOSSES_OF[kind][0])
    ends = width, outputs_of(loss, kind, len(dataset.label_names[target]))
    layers = {} if start is not None else {"layers": (ends[0], *(args.hidden or HIDDEN), ends[1])}
    if args.hidden:
        settings = settings | {"layers": (ends[0], *args.hidden, ends[1])}
    usual = usual_settings(dataset)
    if settings.get("optimizer", OWN_OPTIMIZER) != OWN_OPTIMIZER:
        usual = {name: value for name, value in usual.items() if name not in OF_OPTIMIZER}
    return layers | usual | settings | {"labels": target}, ends


def _joined(
    settings: dict[str, Any], candidate: dict[str, Any], args: Namespace, ends: tuple[int, int] | None
) -> dict[str, Any]:
    """Return settings with those of a candidate; one with an optimiser of its own has that one's, on own data."""
    if ends is not None and candidate.get("optimizer", settings["optimizer"]) != settings["optimizer"]:
        left = [name for name in OF_OPTIMIZER if getattr(args, name) is None]
        settings = {name: value for name, value in settings.items() if name not in left}
    return settings | candidate


def _training_rows(config: RunConfig, dataset: "Dataset") -> int:
    images = len(dataset.train_images)
    if dataset.validation_images is not None:
        return images
    return images - round(config.validation_fraction * images)


def _network_of(start: "Model | None") -> dict[str, Any]:
    """Return the settings of the network of `--init-from`; options of the command win over them."""
    if start is None:
        return {}
    settings = {"layers": start.layers, "activation": start.activation, "init_from": start.weights_sha256}
    return settings | ({"labels": start.config.labels} if start.config is not None else {})


def _check_start(start: "Model", configs: Sequence[RunConfig], experiments: Sequence[Experiment]) -> None:
    for one in experiments:
        if one is not CUSTOM and (one.hidden, one.activation) != (start.layers[1:-1], start.activation):
            raise ConfigError(
                f"--init-from has the network {dashed(start.layers)} {dashed(start.activation)}, which is not that "
                f"of --experiments {one.name}. Leave --experiments away, or choose another model."
            )
    for config in configs:
        if (config.layers, config.activation) != (start.layers, start.activation):
            given, there = (f"{dashed(net.layers)} {dashed(net.activation)}" for net in (config, start))
            raise ConfigError(
                f"--init-from has the network {there}, and {given} is to be trained. Leave --layers, --activation and "
                "--labels away, or choose another model."
            )


def _candidates(args: Namespace, ends: tuple[int, int] | None) -> list[dict[str, Any]] | None:
    """Return the settings of each candidate of a search; None where the options ask for no search.

    ends : inputs and outputs of networks on own data, None for others
    """

    def axis(text: str) -> Axis:
        return parse_axis(text if ends is None else with_ends(text, *ends))

    asked = [f"--{name}" for name in ("grid", "random") if getattr(args, name)]
    preset_axes = PRESETS[args.preset].axes if args.preset in PRESETS else ()
    asked += [f"--preset {args.preset}"] if preset_axes else []
    if len(asked) > 1:
        raise ConfigError(f"{' and '.join(asked)} are two searches; give one of them.")
    if args.halving is not None:
        rungs(1, 1, args.halving)  # refuses what is no share
    if args.grid:
        return grid([axis(text) for text in args.grid])
    if args.random:
        count, *axes = args.random
        if not (count.isdecimal() and len(count) < 10) or not axes:
            raise ConfigError(
                f"--random is {' '.join(args.random)}; allowed is a number of draws and then axes, as in "
                "--random 20 lr=1e-4..1e-1"
            )
        return sample([axis(text) for text in axes], int(count), args.seed)
    if preset_axes:
        return grid([parse_axis(text) for text in preset_axes])
    if args.halving is not None:
        raise ConfigError(
            "--halving needs candidates to choose from: add --grid, --random or a --preset that searches."
        )
    return None


def _named(candidates: list[dict[str, Any]] | None, experiment: str, fold: int, *, alone: bool) -> list[dict[str, Any]]:
    if candidates is None:
        return [{}]
    prefix = "" if alone else f"{experiment}, "
    return [{**one, "experiment": prefix + label(_without_ends(one) if fold else one)} for one in candidates]


def _without_ends(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return a candidate by its hidden units, so that it has one name in all folds, whose inputs may differ."""
    return {
        ("hidden" if name == "layers" else name): (value[1:-1] if name == "layers" else value)
        for name, value in candidate.items()
    }


def _jobs(args: Namespace, threads: int, runs: int) -> int:
    if args.scheduler:  # whose workers, not these cores, are the limit
        return runs if args.jobs == "auto" else min(args.jobs, runs)
    cores = usable_cores()
    jobs = min(cores // threads if args.jobs == "auto" else args.jobs, runs)
    if jobs * threads > cores:
        raise ConfigError(
            f"--jobs {jobs} of --threads {threads} are {jobs * threads} threads; allowed is no more than the "
            f"{cores} cores that this process may use. Give --jobs {max(1, cores // threads)} or auto."
        )
    return max(1, jobs)
