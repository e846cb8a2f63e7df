"""The page of a sweep whose data are in memory alone: with them it shows all that a file's would."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp.errors import ConfigError, DataError
from fastmlp.report.make import make_report
from fastmlp.sweep import run_sweep
from own import config_of, features, images

pytest.importorskip("matplotlib")
pytestmark = pytest.mark.usefixtures("undrawn")


def swept(data, folder: Path) -> Path:
    with ThreadPoolExecutor(1) as executor:
        run_sweep([config_of(data, epochs=2)], data, out=folder, executor=executor)
    return folder


@pytest.mark.parametrize("data", [features("classes"), features("labels"), features("numbers"), images()])
def test_a_sweep_from_python_shows_its_data_where_they_are_given(data, tmp_path) -> None:
    folder = swept(data, tmp_path / "out")
    poor = make_report(folder).read_text()
    assert poor.count("make_report(folder, data=dataset)") > 1  # what is missing, and how to have it
    rich = make_report(folder, data=data).read_text()
    assert rich.count("make_report(folder, data=dataset)") == 1  # how to draw it again
    assert "python -m fastmlp.report" not in rich
    assert "Source: made for a test." in rich
    assert (folder / "tables" / "metrics.json").exists()
    with pytest.raises(ConfigError):
        make_report(folder)  # which would be poorer


def test_other_data_than_the_sweeps_are_refused(tmp_path) -> None:
    data = features()
    folder = swept(data, tmp_path / "out")
    with pytest.raises(DataError, match="give the one that it ran on"):
        make_report(folder, data=replace(data, test_images=data.test_images + 1))
    assert not (folder / "report.html").exists()


def test_train_in_python_makes_the_page_of_a_table_in_memory(tmp_path) -> None:
    pytest.importorskip("polars")
    rng = np.random.default_rng(0)
    table = {"age": rng.normal(40, 9, 120), "job": rng.choice(["a", "b"], 120), "pay": rng.normal(size=120)}
    settings = {"hidden": [4], "epochs": 2, "threads": 1, "workers": "threads", "matmul": "packed"}
    fastmlp.train(table, "job", out=tmp_path / "out", report=True, **settings)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Columns, as they were understood" in page
    assert "Importance of the columns" in page
    with pytest.raises(ConfigError, match="give --out DIR"):
        fastmlp.train(table, "job", report=True, **settings)
