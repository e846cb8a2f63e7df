"""The section of the best network on own data: its metrics beside simple models', its figures, its worst answers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data import Dataset
from fastmlp.errors import DataError
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.report.baselines import Baseline
from fastmlp.report.importance import MOST_ROWS, permutation_importance
from fastmlp.report.numbers import writer
from fastmlp.report.page import Section, folded, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import images
from fastmlp.report.plots.calibration import calibration, calibration_of, calibration_table
from fastmlp.report.plots.confusion import FEW, confusion
from fastmlp.report.plots.importance import MOST_COLUMNS, importance, importance_table
from fastmlp.report.plots.residuals import MOST_PANELS, residuals, residuals_of, residuals_table
from fastmlp.report.plots.roc import MOST_CURVES, curves_of, roc, roc_table
from fastmlp.report.plots.style import class_words
from fastmlp.report.score import score_of
from fastmlp.report.words import duration, title
from fastmlp.runs.metrics import METRICS, Answers, answers_of, measure
from fastmlp.runs.results import RunResult
from fastmlp.sweep.job import MODELS, model_path
from fastmlp.table import Table

MOST_SHUFFLED = 500  # columns whose importance is measured
WORK, LEAST_ROWS, REPEATS = 1e11, 500, 5  # multiply-adds of a measure of importance, by which it takes fewer rows
MOST_WRONG = 20
MOST_LISTED = 4  # labels of a row


@dataclass(frozen=True, eq=False)
class Best:
    """The best network of a sweep, and what it says of the test rows."""

    paper: Paper
    run: RunResult
    model: Model
    dataset: Dataset
    answers: Answers

    @property
    def kind(self) -> str:
        """The kind of its targets."""
        return self.answers.kind

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its classes, labels or numbers."""
        return self.dataset.label_names[self.run.config.labels]

    @property
    def rows(self) -> str:
        """What the rows are called."""
        return "images" if self.dataset.of_images else "rows"

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Which rows of their source those of the answers are, (M,) int64, counted from 0."""
        understood, fold = self.paper.sweep.understood, self.run.config.fold
        if understood is None:
            return self.answers.rows
        return (understood.of_folds[fold - 1] if fold else understood.numbers)[self.answers.rows]


def section(paper: Paper) -> Section:
    """Return the section on the saved network of the best validation score, and its answers to the test rows."""
    blocks, run = list[str](), paper.sweep.best
    if run is None:
        blocks.append(text("No network is saved in models/ yet: those of tested runs are."))
        return Section("The best network", blocks)
    score = score_of(run.config).name
    words = f"{title(run.config)}, run {run.run_id}: the best validation {score} of those that were tested."
    words += f" All below is of the test rows of its fold, {run.config.fold}." if run.config.fold else ""
    blocks.append(text(words))
    dataset = paper.sweep.dataset_of(run)
    if dataset is None:
        blocks.append(paper.missing_data("The metrics and figures of the best network"))
        return Section("The best network", blocks)
    try:
        model = load_model(model_path(paper.sweep.folder / MODELS, run.run_id))
        best = Best(paper, run, model, dataset, _answers(run, model, dataset))
    except DataError as error:
        blocks.append(paper.missing("The best network's figures", str(error)))
        return Section("The best network", blocks)
    blocks += [*_metrics(best), *_figures(best), *_importance(best), *_worst(best)]
    if model.of_images and model.shape is not None and len(model.layers) > 2:
        tiles, units = images.first_weights(model.arrays()[0][0], model.shape), model.layers[1]
        words = f"Weights of the first layer for each pixel, a picture a unit: {len(tiles.pictures)} of {units} hidden"
        words += " units, those with the largest weights first; grey is zero, each has a scale of its own."
        blocks.append(paper.show("weights", "First-layer weights", words, tiles, [run]))
    return Section("The best network", blocks)


def _answers(run: RunResult, model: Model, dataset: Dataset) -> Answers:
    kind = dataset.kinds.get(run.config.labels, "")
    if kind != model.kind or model.layers != run.config.layers or dataset.width != model.layers[0]:
        raise DataError(f"the model of run {run.run_id} is of another network, or has other rows than {dataset.name}")
    targets, told = dataset.test_labels[run.config.labels], _says(model)(dataset.test_images)
    return answers_of(kind, targets, told, dataset.test_weights)


def _says(model: Model) -> Callable[[NDArray[Any]], NDArray[np.floating]]:
    return model.predict if model.kind == "numbers" else model.predict_proba


def _metrics(best: Best) -> Iterator[str]:
    """Yield the tables of metrics: of the network and simple models, and of each label or number."""
    dataset, paper = best.dataset, best.paper
    scores, others = measure(best.answers), [one for one in paper.others if one.fold == best.run.config.fold]
    network = Baseline("this network", scores, best.run.seconds)
    metrics = METRICS[best.kind].values()
    learnt = f"the models below the network learn from the same {len(dataset.train_images):,} training {best.rows}"
    facts = [f"Of {len(best.answers.outputs):,} test {best.rows}; {learnt}."]
    facts += [f"{metric.name}: {metric.words}" for metric in metrics]
    for one in (network, *others):
        notes = [one.note] if one.note else []
        notes += [f"{name} {why}" for name, why in (one.scores.notes if one.scores else {}).items()]
        facts += [f"{one.name}: {'; '.join(dict.fromkeys(notes))}."] if notes else []
    if len(others) == 1:
        facts.append("--baselines trains scikit-learn's gradient boosting and a linear model, to compare.")
    rows = [
        [
            one.name,
            *(metric.text(one.scores.values[metric.name] if one.scores else None) for metric in metrics),
            "-" if one.scores is None else duration(one.seconds) if one.seconds >= 0.05 else "< 0.1 s",
        ]
        for one in (network, *others)
    ]
    yield paper.table("metrics", Table(facts, ["model", *(one.heading for one in metrics), "time"], rows, words=1))
    if scores.each:
        one = "label" if best.kind == "labels" else "number"
        table = METRICS[best.kind]
        rows = [
            [name, *(table[metric].text(values[i]) for metric, values in scores.each.items())]
            for i, name in enumerate(best.names)
        ]
        columns = [one, *(table[metric].heading for metric in scores.each)]
        yield paper.table(f"metrics-{one}", Table([f"Of each {one}, by this network."], columns, rows, words=1))


def _figures(best: Best) -> Iterator[str]:
    paper, kind = best.paper, best.kind
    try:
        best.answers.check_finite()
        yield from _of_numbers(best) if kind == "numbers" else _of_probabilities(best)
    except DataError as error:
        yield paper.missing("Figures of the answers", f"{error}.")


def _of_numbers(best: Best) -> Iterator[str]:
    found = residuals_of(best.answers, best.names)
    words = f"How far targets lie above the prediction, of test {best.rows}."
    if len(found) > MOST_PANELS:
        words += f" The first {MOST_PANELS} of {len(found)} numbers."
    yield best.paper.draw("residuals", "Residuals", words, partial(residuals, found), [best.run])
    yield folded("Residuals, as a table", [best.paper.table("residuals", residuals_table(found))])


def _of_probabilities(best: Best) -> Iterator[str]:
    paper, answers, run = best.paper, best.answers, [best.run]
    if best.kind == "classes":
        words = (
            f"Down is the class of the test {best.rows}, across, in the same order, what they were taken for: shares"
        )
        words += f" in % of the class's {best.rows}"
        words += ", and their number." if len(best.names) <= FEW else "; shares below 0.5 % are not written."
        words += " Each counts as one here, whatever its weight." if best.dataset.test_weights is not None else ""
        make = partial(confusion, answers.targets, answers.outputs.argmax(axis=1), best.names, rows=best.rows)
        yield paper.draw("confusion", "Confusion matrix", words, make, run)
    curves = curves_of(answers, best.names)
    what = "class" if best.kind == "classes" else "label"
    of = f", here of {best.names[1]}" if len(curves) == 1 and best.kind == "classes" else ""
    words = f"For each threshold of the probability of a {what}{of}: which share of the test {best.rows} that have it"
    words += " reach it (true positives), and which share of all others (false positives)."
    if len(curves) > MOST_CURVES:
        words += f" Of {len(curves)} curves the mean, the range and the lowest."
    yield paper.draw("roc", "ROC curves" if len(curves) > 1 else "ROC curve", words, partial(roc, curves), run)
    yield folded("ROC, as a table", [paper.table("roc", roc_table(curves, best.kind))])
    found = calibration_of(answers, best.names)
    words = f"How often it is so, of {best.rows} by the probability that the network gives {found.of}."
    yield paper.draw("calibration", "Calibration", words, partial(calibration, found), run)
    yield folded("Calibration, as a table", [paper.table("calibration", calibration_table(found))])


def _importance(best: Best) -> Iterator[str]:
    """Yield the importance of the columns that the rows were made of; of images, whose values are pixels, nothing."""
    paper, dataset, reading = best.paper, best.dataset, best.dataset.reading
    if dataset.of_images or dataset.shape is not None:
        return
    columns: dict[str, Any] = {name: [i] for i, name in enumerate(dataset.features)}
    if reading is not None and reading.columns is not None:
        slices = reading.columns.slices.items()
        columns = {name: range(part.start, part.stop) for name, part in slices if part.stop > part.start}
    if not 2 <= len(columns) <= MOST_SHUFFLED:
        return
    most = int(WORK / (best.model.parameters.size * len(columns) * REPEATS))
    try:
        found = permutation_importance(
            _says(best.model),
            dataset.test_images,
            dataset.test_labels[best.run.config.labels],
            best.kind,
            columns,
            weights=dataset.test_weights,
            repeats=REPEATS,
            most_rows=min(MOST_ROWS, max(LEAST_ROWS, most)),
        )
    except DataError as error:
        yield paper.missing("Importances of the columns", str(error))
        return
    words = f"How much worse the {found.metric.name} is where a column's values are shuffled among {found.rows:,} test"
    words += f" rows: the mean of {REPEATS} times, and the range. Of columns that say the same, each may look needless."
    if len(columns) > MOST_COLUMNS:
        words += f" The first {MOST_COLUMNS} of {len(columns)} columns."
    yield paper.draw("importance", "Importance of the columns", words, partial(importance, found), [best.run])
    yield folded("Importance, as a table", [paper.table("importance", importance_table(found))])


def _worst(best: Best) -> Iterator[str]:
    """Yield the rows with the worst answers: a table of their numbers, or of images these themselves."""
    order, told = _RANKS[best.kind](best)
    if not len(order):
        yield text(f"All of the test {best.rows} are answered rightly.")
        return
    heading = {"classes": "Most confident mistakes", "labels": "Labels most wrong", "numbers": "Largest errors"}
    words = {
        "classes": f"The test {best.rows} of which the network was most certain, wrongly.",
        "labels": f"The test {best.rows} with a wrong label whose labels have the largest log loss together.",
        "numbers": f"The test {best.rows} whose answers are farthest from the target"
        + (", in deviations of each number." if len(best.names) > 1 else "."),
    }[best.kind]
    numbers = best.numbers[order]
    if best.dataset.of_images and best.dataset.shape is not None:
        texts = [told.picture(i) for i in order]
        pixels = best.dataset.test_images[best.answers.rows[order]]
        shown = [images.as_picture(one, best.dataset.shape) for one in pixels]
        yield best.paper.show("mistakes", heading[best.kind], words, images.Tiles(shown, texts, 5), [best.run])
    is_table = best.dataset.reading is not None and best.dataset.reading.form == "table"
    counted = "from 1, under the line of names" if is_table else "from 0"
    rows = [[f"{number + is_table:,}", *told.cells(i)] for i, number in zip(order, numbers, strict=True)]
    table = Table([f"{words} Rows are counted {counted}."], ["row", *told.columns], rows, words=1 + told.words)
    if best.dataset.of_images:
        yield folded(f"{heading[best.kind]}, as a table", [best.paper.table("mistakes", table)])
    else:
        yield f"<h3>{heading[best.kind]}</h3>"
        yield best.paper.table("mistakes", table)


@dataclass(frozen=True)
class _Told:
    """How the answer to a row is told: in a table of these columns, the first `words` of them words; on a picture."""

    columns: tuple[str, ...]
    words: int
    cells: Callable[[int], list[str]]
    picture: Callable[[int], str]


def _wrong_classes(best: Best) -> tuple[NDArray[np.intp], _Told]:
    p, targets, names = best.answers.outputs, best.answers.targets, best.names
    said, shown = p.argmax(axis=1), class_words(best.names)
    wrong = np.flatnonzero(said != targets)
    order = wrong[np.argsort(-p[wrong, said[wrong]], kind="stable")][:MOST_WRONG]

    def cells(i: int) -> list[str]:
        of = [f"{100 * p[i, k]:.2f}" for k in (said[i], targets[i])]
        return [names[targets[i]], names[said[i]], *of]

    def picture(i: int) -> str:
        return f"{100 * p[i, said[i]]:.0f} % {shown[said[i]]}, is {shown[targets[i]]}"

    return order, _Told(("target", "answer", "probability in %", "of the target in %"), 2, cells, picture)


def _wrong_labels(best: Best) -> tuple[NDArray[np.intp], _Told]:
    p, targets, names = best.answers.outputs, best.answers.targets, best.names
    right = np.where(targets, p, 1 - p)
    losses = -np.log(np.maximum(right, np.finfo(np.float64).eps)).sum(axis=1)
    wrong = np.flatnonzero(((p > 0.5) != targets).any(axis=1))
    order = wrong[np.argsort(-losses[wrong], kind="stable")][:MOST_WRONG]

    def listed(holds: NDArray[np.bool_]) -> str:
        some = [names[k] for k in np.flatnonzero(holds)]
        more = f" and {len(some) - MOST_LISTED} more" if len(some) > MOST_LISTED else ""
        return ", ".join(some[:MOST_LISTED]) + more or "none"

    def cells(i: int) -> list[str]:
        k = int(right[i].argmin())
        return [listed(targets[i]), listed(p[i] > 0.5), names[k], f"{100 * p[i, k]:.2f}", f"{losses[i]:.4f}"]

    def picture(i: int) -> str:
        return f"{listed(p[i] > 0.5)}, is {listed(targets[i])}"

    columns = ("target", "answer", "worst label", "its probability in %", "log loss in nats")
    return order, _Told(columns, 3, cells, picture)


def _wrong_numbers(best: Best) -> tuple[NDArray[np.intp], _Told]:
    told, targets, names = best.answers.outputs, best.answers.targets, best.names
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.abs(targets - told)
        spread = np.array([np.std(column) or 1.0 for column in targets.T])
        far = np.nan_to_num(apart / spread, nan=np.inf)
    written = [writer(column) for column in targets.T]
    order = np.argsort(-far.max(axis=1), kind="stable")[:MOST_WRONG]
    order = order[far[order].max(axis=1) > 0]

    def cells(i: int) -> list[str]:
        k = int(far[i].argmax())
        numbers = map(written[k], (targets[i, k], told[i, k], targets[i, k] - told[i, k]))
        return [*([names[k]] if len(names) > 1 else []), *numbers]

    def picture(i: int) -> str:
        k = int(far[i].argmax())
        of = f"{class_words([names[k]])[0]} " if len(names) > 1 else ""
        return f"{of}{written[k](told[i, k])}, is {written[k](targets[i, k])}"

    several = len(names) > 1
    columns = (*(["number"] if several else []), "target", "answer", "target - answer")
    return order, _Told(columns, int(several), cells, picture)


_RANKS: dict[str, Callable[[Best], tuple[NDArray[np.intp], _Told]]] = {
    "classes": _wrong_classes,
    "labels": _wrong_labels,
    "numbers": _wrong_numbers,
}
