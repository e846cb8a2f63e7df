"""The best network's part of a page, and the data's, where files in the folder do not belong together."""

from pathlib import Path

import pytest

from fastmlp.models.file import save_model
from fastmlp.report.paper import Paper
from fastmlp.report.sections import best_network as network
from fastmlp.report.sections import data
from fastmlp.report.sweep import Sweep
from fastmlp.runs.results import RunResult
from models import small_model
from samples import ENVIRONMENT, dataset, result


def paper_of(folder: Path, run: RunResult, layers: tuple[int, ...]) -> tuple[Paper, list[str]]:
    (folder / "models").mkdir()
    save_model(folder / "models" / f"{run.run_id}.npz", small_model(layers=layers))
    told: list[str] = []
    return Paper(Sweep(folder, [run], ENVIRONMENT, dataset(kinds=("coarse",))), told.append), told


@pytest.mark.parametrize(
    ("run", "layers", "why"),
    [
        (result(), (3072, 2, 7), "another network"),
        (result(layers=(3072, 2, 7)), (3072, 2, 7), "other inputs or classes"),
        (result(layers=(48, 2, 20)), (48, 2, 20), "other inputs or classes"),
        (result(labels="fine"), (3072, 128, 20), "other inputs or classes"),
    ],
)
def test_a_model_that_is_not_of_its_run_or_data_is_left_out_with_a_word(
    run: RunResult, layers: tuple[int, ...], why: str, tmp_path: Path
) -> None:
    paper, told = paper_of(tmp_path, run, layers)
    assert network.section(paper).blocks
    assert [why in sentence for sentence in told] == [True]
    assert not paper.pictures


def test_labels_that_the_data_do_not_have_are_no_part_of_their_section(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    from fastmlp.report.plots.style import styled

    paper, _ = paper_of(tmp_path, result(labels="fine"), (3072, 2, 20))
    with styled():
        assert data.section(paper).blocks
    assert [picture.name for picture in paper.pictures] == ["splits"]
