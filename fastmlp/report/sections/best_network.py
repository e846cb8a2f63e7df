"""The section of the best network: its confusion matrix, its mistakes, and the weights of its first layer."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from fastmlp.errors import DataError
from fastmlp.models.file import load_model
from fastmlp.models.model import Model
from fastmlp.report.page import Section, text
from fastmlp.report.paper import Paper
from fastmlp.report.plots import images
from fastmlp.report.plots.confusion import confusion
from fastmlp.report.words import title
from fastmlp.runs.results import RunResult
from fastmlp.sweep.job import MODELS, model_path


def section(paper: Paper) -> Section:
    """Return the section on the saved network of the best validation accuracy: confusions, mistakes, first weights."""
    blocks, run = list[str](), paper.sweep.best
    if run is None:
        blocks.append(text("No network is saved in models/ yet: those of tested runs are."))
        return Section("The best network", blocks)
    try:
        model = load_model(model_path(paper.sweep.folder / MODELS, run.run_id))
        _check_fits(paper, run, model)
    except DataError as error:
        blocks.append(paper.missing("The best network's figures", str(error)))
        return Section("The best network", blocks)
    words = f"{title(run.config)}, run {run.run_id}: the best validation accuracy of those that were tested."
    blocks += [text(words), *_of_test_images(paper, run, model)]
    if model.of_images and model.shape is not None:
        tiles, units = images.first_weights(model.arrays()[0][0], model.shape), model.layers[1]
        which = f"{len(tiles.pictures)} of {units} hidden units, those with the largest weights first"
        words = f"Weights of the first layer for each pixel, a picture a unit: {which}; grey is zero, each has a scale"
        words = f"{words} of its own."
        blocks.append(paper.show("weights", "First-layer weights", words, tiles, [run]))
    return Section("The best network", blocks)


def _check_fits(paper: Paper, run: RunResult, model: Model) -> None:
    """Raise DataError where the layers of model, run and data set differ."""
    dataset, layers = paper.sweep.dataset, run.config.layers
    if model.layers != layers:
        raise DataError(f"the model of run {run.run_id} is of another network")
    if dataset is not None:
        names = dataset.label_names.get(run.config.labels, ())
        if (dataset.test_images.shape[1], len(names)) != (layers[0], layers[-1]):
            raise DataError(f"run {run.run_id} has other inputs or classes than {dataset.name}")


def _of_test_images(paper: Paper, run: RunResult, model: Model) -> Iterator[str]:
    dataset, kind = paper.sweep.dataset, run.config.labels
    if dataset is None:
        yield paper.missing_data("The confusion matrix and the mistakes")
        return
    labels, names = dataset.test_labels[kind], dataset.label_names[kind]
    probabilities = model.predict_proba(dataset.test_images)
    predicted = probabilities.argmax(axis=1)
    words = f"Test images, accuracy {100 * np.mean(predicted == labels):.2f} %."
    if kind == "fine" and "coarse" in dataset.label_names:  # a hundred names find no room
        superclass = np.zeros(len(names), np.int64)
        superclass[dataset.train_labels["fine"]] = dataset.train_labels["coarse"]
        labels, predicted, names = superclass[labels], superclass[predicted], dataset.label_names["coarse"]
        words += f" The superclass of what it said is right for {100 * np.mean(predicted == labels):.2f} %."
    words += " Down is what an image is, across, in the same order, what it was taken for, in % of the class's images;"
    words += " shares below 0.5 % are not written."
    yield paper.draw("confusion", "Confusion matrix", words, partial(confusion, labels, predicted, names), [run])
    tiles = images.mistakes(dataset, kind, probabilities)
    words = f"The {len(tiles.pictures)} test images of which the network was most certain, wrongly: its probability in"
    words += " % and the class that it said, and what the image is."
    yield paper.show("mistakes", "Most confident mistakes", words, tiles, [run])
