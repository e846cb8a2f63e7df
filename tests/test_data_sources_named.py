"""Sets by name: those that lie in scikit-learn, and OpenML's through its reader, which is replaced here."""

import sys
import urllib.error
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn import datasets
from sklearn.utils import Bunch

from fastmlp.data.sources.named import BUNDLED
from fastmlp.data.sources.read import read_raw
from fastmlp.errors import ConfigError, DataError, DownloadError, MissingExtraError

KINDS = {"diabetes": "numbers", "linnerud": "numbers"}


@pytest.mark.parametrize("name", BUNDLED)
def test_a_bundled_set_comes_back(name: str) -> None:
    bunch = getattr(datasets, f"load_{name}")()
    raw = read_raw(f"sklearn:{name}")
    np.testing.assert_array_equal(raw.rows, bunch.data)
    np.testing.assert_array_equal(raw.targets["target"], bunch.target)
    assert raw.kinds["target"] == KINDS.get(name, "classes")
    assert raw.source == f"scikit-learn's {name}"
    if name != "digits":
        assert raw.features == tuple(bunch.feature_names)


def test_digits_are_images_and_names_are_those_of_the_set() -> None:
    raw = read_raw("sklearn:digits")
    assert (raw.rows.dtype, raw.shape, raw.names["target"][3]) == (np.uint8, (1, 8, 8), "3")
    assert read_raw("sklearn:iris").names["target"] == ("setosa", "versicolor", "virginica")
    assert read_raw("sklearn:linnerud").names["target"] == ("Weight", "Waist", "Pulse")
    assert read_raw("sklearn:iris", task="numbers").names["target"] == ("target",)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("digts", "brings no set 'digts'; choose one of breast_cancer, .* Did you mean 'digits'"),
        ("", "brings no set ''"),
        ("california_housing", "keeps it as a pickle, which is never read here. .*numpy.savez"),
        ("fetch_covtype", "downloads covtype"),
    ],
)
def test_another_name_is_refused_with_a_reason(name: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_raw(f"sklearn:{name}")


@pytest.mark.parametrize("scheme", ["sklearn", "openml"])
def test_without_scikit_learn_the_extra_is_named(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(MissingExtraError, match=rf"{scheme}:iris needs scikit-learn .*'fastmlp\[sklearn\]'"):
        read_raw(f"{scheme}:iris")


@pytest.fixture
def openml(monkeypatch: pytest.MonkeyPatch) -> Bunch:
    """What OpenML answers; `asked` says what it was asked for."""
    answer = Bunch(
        data=np.arange(8.0).reshape(4, 2),
        target=np.array(["a", "b", "b", "a"], object),
        feature_names=["f", "g"],
        target_names=["kind"],
        categories={},
    )

    def fetch(**asked: Any) -> Bunch:
        answer.asked = asked
        warnings.warn("several versions", UserWarning, stacklevel=1)
        if isinstance(answer.data, Exception):
            raise answer.data
        return answer

    monkeypatch.setattr(datasets, "fetch_openml", fetch)
    return answer


def test_a_set_of_numbers_comes_back(openml: Bunch) -> None:
    told: list[str] = []
    raw = read_raw("openml:Some_Name@2", tell=told.append)
    assert told == ["several versions"]
    np.testing.assert_array_equal(raw.rows, openml.data, strict=True)
    assert (raw.features, raw.names["kind"], raw.targets["kind"].tolist()) == (("f", "g"), ("a", "b"), [0, 1, 1, 0])
    asked = {"name": "some_name", "version": 2, "target_column": "default-target", "as_frame": False}
    assert openml.asked == asked | {"parser": "liac-arff", "n_retries": 1}
    openml.target = np.array([0.5, 1, 2, 3])
    raw = read_raw("openml:554", target="amount")
    assert raw.kinds == {"amount": "numbers"}
    assert (openml.asked["data_id"], openml.asked["target_column"]) == (554, "amount")


@pytest.mark.parametrize("name", ["", "@1", "a@b", "a@", "a@²"])
def test_a_name_that_is_none_is_refused(name: str, openml: Bunch) -> None:
    if name == "a@":
        assert read_raw(f"openml:{name}").rows.shape == (4, 2)
        return
    with pytest.raises(ConfigError, match="names no set of OpenML"):
        read_raw(f"openml:{name}")
    assert "asked" not in openml


@pytest.mark.parametrize(
    ("changes", "error", "told"),
    [
        (
            {"data": urllib.error.URLError("no network")},
            DownloadError,
            "cannot be reached .*no network.* Try again online",
        ),
        ({"data": ConnectionResetError("reset")}, DownloadError, "cannot be reached"),
        ({"data": ValueError("No active dataset x found")}, DataError, "openml:x cannot be read .No active"),
        ({"categories": {"g": ["u", "v"]}}, DataError, "columns of words .g., or missing values: it is a table. Save"),
        ({"data": np.array([[1, np.nan]] * 4)}, DataError, "or missing values: it is a table"),
        ({"data": "sparse"}, DataError, "it is a table"),
        ({"target": None}, ConfigError, "names no target; choose one of f, g"),
        ({"target_names": []}, ConfigError, "names no target"),
        ({"target": np.array(["a", None, "b", "a"], object)}, DataError, "target kind of openml:x is missing in some"),
        ({"target": np.array(["a"] * 4, object)}, DataError, "of one class, 'a'"),
    ],
)
def test_what_openml_answers_is_looked_at(changes: Any, error: type[Exception], told: str, openml: Bunch) -> None:
    openml.update(changes)
    with pytest.raises(error, match=told):
        read_raw("openml:x")
