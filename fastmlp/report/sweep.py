"""A sweep's folder, read for its page: its runs, its environment and, where it is on this machine, the data set."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path

from fastmlp.data import Dataset
from fastmlp.data.own import Loaded
from fastmlp.errors import DataError, FastMLPError
from fastmlp.runs.environment import environment as described
from fastmlp.runs.results import ENDED, RunResult, load_results
from fastmlp.sweep.job import MODELS, model_path
from fastmlp.sweep.source import about_own, dataset_of, kept_own, own_of
from fastmlp.sweep.store import Store, newest
from fastmlp.text import visible_in


@dataclass
class Sweep:
    """A sweep as its folder has it: the newest result of each run and, where it is on this machine, the data set.

    runs : those that have trained an epoch or more, in the order of the plan; every : all of them
    environment : that of `fastmlp.runs.environment`; why_no_data : where `dataset` is None, why, as a sentence
    """

    folder: Path
    runs: list[RunResult]
    environment: dict
    dataset: Dataset | None
    every: list[RunResult] = field(default_factory=list)
    why_no_data: str = ""
    understood: Loaded | None = None
    """Of own data that were found: what they hold."""

    def __post_init__(self) -> None:
        """Escape control characters in all texts that figures may show, here, once for all of them."""
        self.runs = [RunResult.from_json(visible_in(run.to_json())) for run in self.runs]
        self.environment = visible_in(self.environment)
        if self.dataset is not None:
            self.dataset = _shown(self.dataset)

    def about(self, runs: Sequence[RunResult]) -> str:
        """Return a sentence for captions: the data set and, of these runs, seeds and precisions."""
        if not runs:
            return f"{self.environment['dataset']['name']}."
        seeds, precisions = (
            ", ".join(dict.fromkeys(str(getattr(run, name)) for run in runs)) for name in ("seed", "precision")
        )
        folds = ", ".join(dict.fromkeys(str(run.config.fold) for run in runs if run.config.fold))
        fold = f"fold {folds}, " if folds else ""
        return f"{self.environment['dataset']['name']}, {fold}seed {seeds}, {precisions}."

    def dataset_of(self, run: RunResult) -> Dataset | None:
        """Return the data set of a run, that of its fold; None where they were not found, or have no such fold."""
        fold = run.config.fold
        if self.dataset is None or not 0 < fold <= len(self.dataset.folds):
            return self.dataset if fold == 0 else None
        return _shown(self.dataset.of_fold(fold))

    @property
    def is_own(self) -> bool:
        """Whether its data are a user's own, of which the report and CIFAR say nothing."""
        return self.understood is not None or bool(about_own(self.environment["dataset"]["name"]))

    @property
    def is_search(self) -> bool:
        """Whether its runs are candidates, of which the best alone is tested."""
        return any(
            run.status == "pruned" or (run.status in ENDED and not isfinite(run.test_accuracy)) for run in self.runs
        )

    @property
    def best(self) -> RunResult | None:
        """The run of the best validation score among those whose network was saved."""
        saved = [run for run in self.runs if model_path(self.folder / MODELS, run.run_id).exists()]
        return max(saved, key=lambda run: run.val_accuracy, default=None)


def _shown(dataset: Dataset) -> Dataset:
    """Return a data set with the control characters in its texts escaped."""
    texts = {name: getattr(dataset, name) for name in ("name", "source", "label_names", "words")}
    texts["label_names"] = dict(texts["label_names"])
    shown = visible_in(texts)
    return dataset if shown == texts else replace(dataset, **shown)


def read(
    folder: Path,
    data_dir: Path | None = None,
    tell: Callable[[str], None] = lambda _: None,
    data: Dataset | Loaded | None = None,
) -> Sweep:
    """Read a sweep's folder, changing nothing; tell(sentence) : told what takes long.

    data : its data set, where it is in memory: then nothing is looked for

    DataError where it holds no run, or `data_dir` or `data` are not its data.
    """
    results = newest(Store(folder / "runs.jsonl").load(mend=False)[0])
    if not any(run.epochs for run in results.values()):
        raise DataError(f"{folder} holds no run yet. Give the folder that --out named, once its first run has ended.")
    about, written = load_results(folder / "results.json")
    order = {run.run_id: i for i, run in enumerate(written)}  # the plan's, where runs.jsonl has that of their ends
    every = sorted(results.values(), key=lambda run: order.get(run.run_id, len(order)))
    runs = [run for run in every if run.epochs]
    fingerprint, understood = about["dataset"]["fingerprint"], data if isinstance(data, Loaded) else None
    try:
        if data is not None:
            dataset = data.dataset if isinstance(data, Loaded) else data
            if dataset.fingerprint != fingerprint:
                raise DataError(
                    f"The data set given has fingerprint {dataset.fingerprint}, and that of the sweep in {folder} "
                    f"{fingerprint}; give the one that it ran on."
                )
        elif (own := kept_own(folder)) is not None:
            understood = own_of(folder, own, fingerprint, data_dir, tell)
            dataset = understood.dataset
        else:
            dataset = dataset_of(folder, runs[0].dataset, fingerprint, data_dir)
    except FastMLPError as error:
        if data_dir is not None or data is not None:
            raise
        return Sweep(folder, runs, about, None, every, str(error))
    about |= {"dataset": described(dataset)["dataset"]}
    return Sweep(folder, runs, about, dataset, every, understood=understood)
