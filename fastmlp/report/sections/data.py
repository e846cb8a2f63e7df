"""The section of a sweep's page on its data: an image of each class, counts, and the effect of normalisation."""

from functools import partial

from fastmlp.data.cifar import REPORT_IMAGE
from fastmlp.data.tables import class_table, split_table, statistics_table
from fastmlp.report.page import Section, folded
from fastmlp.report.paper import Paper
from fastmlp.report.plots import counts, images
from fastmlp.report.plots.style import MOST_NAMES


def section(paper: Paper) -> Section:
    """Return the section on the data set, which depends on no run."""
    blocks, dataset = list[str](), paper.sweep.dataset
    if dataset is None:
        blocks.append(paper.missing_data("The images and their counts"))
        return Section("Data", blocks)
    for kind in dict.fromkeys(run.config.labels for run in paper.sweep.runs):
        if kind not in dataset.label_names:  # such a run is none of these data's
            continue
        words = f"One training image of each class, drawn at random; {kind} labels."
        tiles = images.class_samples(dataset, kind)
        blocks.append(paper.show(f"classes-{kind}", f"One image of each {kind} class", words, tiles, []))
        if len(dataset.label_names[kind]) <= MOST_NAMES:
            words, make = f"By {kind} class, in all and by split.", partial(counts.classes, dataset, kind)
            blocks.append(paper.draw(f"counts-{kind}", f"Images by {kind} class", words, make, []))
        table = paper.table(f"classes-{kind}", class_table(dataset, kind))
        blocks.append(folded(f"Images by {kind} class, as a table", [table]))
    words = "Training images, of which a part is held out for validation, and test images."
    blocks.append(paper.draw("splits", "Images by split", words, partial(counts.splits, dataset), []))
    blocks.append(paper.table("splits", split_table(dataset)))
    index = REPORT_IMAGE if dataset.name == "cifar100" else 0
    blocks.append(f"<h3>Training image {index} before and after normalisation</h3>")
    blocks.append(paper.table("normalisation", statistics_table(dataset, index)))
    return Section("Data", blocks)
