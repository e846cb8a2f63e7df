"""A folder that was named for the data: they lie there, or it is an error; nothing is ever made in it."""

import errno
import os
from pathlib import Path

import pytest

from data_forms import miniature
from fastmlp.data import load, load_dataset
from fastmlp.errors import ConfigError, DataError, MissingDataError

NAMES = ["auto", "cifar100"]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Hold the set in the cache: what is named must not be passed over for it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    MINI.folder(tmp_path / "xdg" / "fastmlp")
    monkeypatch.setattr(load, "fetch", None)  # nothing may be downloaded
    return tmp_path / "xdg" / "fastmlp"


MINI = miniature("cifar100", "binary")
OTHER = miniature("cifar10", "binary")
LAYOUTS = [MINI.layout, OTHER.layout]


def refused(name: str, place: Path | str, error: type[Exception] = MissingDataError, **options) -> str:
    with pytest.raises(error) as caught:
        load_dataset(name, place, layouts=LAYOUTS, **options)
    return str(caught.value)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("download", [None, True, False])
def test_a_place_without_the_data_is_an_error_and_stays_as_it_is(name, download, tmp_path) -> None:
    there = tmp_path / "typo"
    said = refused(name, there, download=download)
    for part in (f"--data-dir {there} does not hold CIFAR-100", MINI.layout.folder, MINI.layout.archive.name,
                 "It is not there.", f"python -m fastmlp.data fetch cifar100 --data-dir {there}"):  # fmt: skip
        assert part in said
    assert not there.exists()
    there.mkdir()
    assert "It is not there" not in refused(name, there, download=download)
    assert list(there.iterdir()) == []


def test_another_set_in_the_place_is_named(tmp_path) -> None:
    OTHER.folder(tmp_path / "data")
    assert "It holds CIFAR-10: --dataset cifar10 takes that." in refused("auto", tmp_path / "data")


def test_a_file_must_be_the_archive(tmp_path) -> None:
    mini = miniature("cifar100", "binary")
    archive = mini.archive(tmp_path / "data")
    (tmp_path / "data" / "notes.txt").write_text("mine")
    assert load_dataset("cifar100", archive, layouts=[mini.layout]).name == "cifar100"
    said = refused("auto", tmp_path / "data" / "notes.txt")
    assert "It is a file, and none of these." in said
    assert said.endswith(f"--data-dir {tmp_path / 'data'}")


def test_half_a_download_is_told_with_the_command_that_goes_on(tmp_path) -> None:
    part = tmp_path / f"{MINI.layout.archive.name}.part"
    part.write_bytes(b"half")
    said = refused("cifar100", tmp_path)
    assert "was cut; fetching goes on from there" in said
    assert f"fetch cifar100 --data-dir {tmp_path}" in said
    assert part.read_bytes() == b"half"


@pytest.mark.parametrize("name", NAMES)
def test_damaged_data_are_told_with_where_to_fetch_them_anew(name, tmp_path) -> None:
    archive = MINI.archive(tmp_path)
    archive.write_bytes(archive.read_bytes()[:99])
    said = refused(name, tmp_path, DataError)
    assert "it was cut short" in said
    assert said.endswith(f"python -m fastmlp.data fetch cifar100 --data-dir {tmp_path}")


def test_half_a_folder_is_told_whichever_way_it_is_named(tmp_path) -> None:
    folder = MINI.folder(tmp_path)
    (folder / "test.bin").unlink()
    for place in (tmp_path, folder):
        assert "test.bin is missing" in refused("auto", place, DataError)


def test_the_embedded_set_lies_nowhere(tmp_path) -> None:
    assert "drawn and lies nowhere" in refused("embedded", tmp_path, ConfigError)


def test_a_tilde_is_the_users_own_folder(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    MINI.folder(tmp_path / "data")
    assert load_dataset("cifar100", "~/data", layouts=LAYOUTS).name == "cifar100"


@pytest.mark.parametrize(("place", "said"), [("", "it is empty"), ("~nobody-has-this-name/x", "no folder")])
def test_what_is_no_path_is_an_error(place, said) -> None:
    assert said in refused("auto", place, ConfigError)


def test_a_path_that_the_system_refuses_is_an_error() -> None:
    assert os.strerror(errno.ENAMETOOLONG) in refused("auto", "x" * 5000, DataError)


@pytest.mark.parametrize(("name", "refused"), [("cifar100", True), ("embedded", False), ("mine", False)])
def test_a_cluster_worker_that_was_told_a_place_without_the_data_is_not_used(name, refused, tmp_path, monkeypatch):
    from fastmlp import __version__
    from fastmlp.runs.identity import TRAINING_VERSION
    from fastmlp.sweep import cluster_worker

    monkeypatch.setattr("threadpoolctl.threadpool_limits", lambda *_, **__: None)  # it would hold for other tests too
    monkeypatch.setattr("fastmlp.nn.threads.blas_info", list)
    monkeypatch.setenv("FASTMLP_DATA_DIR", str(tmp_path / "typo"))
    wanted = cluster_worker.Wanted(name, "0" * 16, tmp_path / "work", 1, (__version__, TRAINING_VERSION))
    if refused:
        with pytest.raises(ConfigError, match=r"its FASTMLP_DATA_DIR is .*typo: --data-dir .* does not hold CIFAR-100"):
            cluster_worker._set_up(wanted, None)
    else:
        assert not cluster_worker._set_up(wanted, None)["has_data"]  # which asks for the sweep's
    assert not (tmp_path / "typo").exists()
