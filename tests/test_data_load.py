import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_forms import FORMS, miniature
from fastmlp.data import DATASET_NAMES, cache_dir, load_dataset, split_indices
from fastmlp.data.load import fetch
from fastmlp.errors import ConfigError, DataError, MissingDataError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """Keep this machine's own cache out of the tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    return tmp_path / "xdg" / "fastmlp"


@pytest.mark.parametrize("place", ["data_dir", "cache"])
@pytest.mark.parametrize("packed", [False, True], ids=["folder", "archive"])
@pytest.mark.parametrize(("dataset", "form"), FORMS)
def test_every_form_is_found_in_both_places(tmp_path, cache, dataset, form, packed, place):
    mini = miniature(dataset, form)
    parent = tmp_path / "mine" if place == "data_dir" else cache
    (mini.archive if packed else mini.folder)(parent)
    data_dir = parent if place == "data_dir" else None
    data = load_dataset(dataset, data_dir, download=False, layouts=[mini.layout])
    kind = "archive" if packed else "files"
    title = {"cifar100": "CIFAR-100", "cifar10": "CIFAR-10"}[dataset]
    assert data.source == f"{title}, official {form} {kind}, checksums verified"
    assert np.array_equal(np.concatenate([data.train_images, data.test_images]), mini.images)


@pytest.mark.parametrize(("dataset", "form"), FORMS)
def test_data_dir_may_be_the_folder_or_the_archive_itself(tmp_path, dataset, form):
    mini = miniature(dataset, form)
    folder, archive = mini.folder(tmp_path / "a"), mini.archive(tmp_path / "b")
    for data_dir in (folder, str(folder), folder.rename(tmp_path / "renamed"), archive):
        if Path(data_dir).exists():
            assert load_dataset(dataset, data_dir, download=False, layouts=[mini.layout]).name == dataset


def test_folders_go_before_archives(tmp_path):
    binary, python = miniature("cifar100", "binary"), miniature("cifar100", "python")

    def source() -> str:
        layouts = [binary.layout, python.layout]
        return load_dataset("cifar100", tmp_path / "mine", download=False, layouts=layouts).source

    python.archive(tmp_path / "mine")
    assert "python archive" in source()
    binary.archive(tmp_path / "mine")
    assert "binary archive" in source()
    python.folder(tmp_path / "mine")
    assert "python files" in source()


def test_auto_takes_cifar100_where_it_lies(tmp_path):
    mini = miniature("cifar100", "binary")
    mini.folder(tmp_path)
    data = load_dataset("auto", tmp_path, layouts=[mini.layout])
    assert (data.name, data.notice) == ("cifar100", "")


def test_auto_falls_back_and_says_so_in_one_line(cache):
    data = load_dataset("auto")
    assert data.name == "embedded"
    assert "\n" not in data.notice
    for part in (str(cache), "embedded", "python -m fastmlp.data fetch cifar100"):
        assert part in data.notice


def test_auto_reports_a_damaged_set_rather_than_passing_it_over(tmp_path):
    mini = miniature("cifar100", "binary")
    (mini.folder(tmp_path) / "test.bin").unlink()
    with pytest.raises(DataError, match=r"test\.bin is missing"):
        load_dataset("auto", tmp_path, layouts=[mini.layout])


def test_a_stray_file_of_a_common_name_is_not_taken_for_the_set(tmp_path):
    (tmp_path / "train").write_text("something else")
    with pytest.raises(MissingDataError):
        load_dataset("auto", tmp_path)


@pytest.mark.parametrize("name", ["cifar100", "cifar10"])
def test_missing_data_names_the_ways_out(cache, name):
    with pytest.raises(MissingDataError) as caught:
        load_dataset(name, download=False)
    for part in (str(cache), "--data-dir", f"python -m fastmlp.data fetch {name}", "--mirror"):
        assert part in str(caught.value)


def test_embedded_and_unknown_names():
    assert load_dataset("embedded").notice == ""
    with pytest.raises(ConfigError, match="'mnist'; choose one of auto, cifar100, cifar10, embedded"):
        load_dataset("mnist")
    assert DATASET_NAMES == ("auto", "cifar100", "cifar10", "embedded")


def test_only_a_name_or_a_word_downloads(monkeypatch):
    asked = []

    def refuse(layout, *_, **options):
        asked.append((layout.archive.name, options["mirror"]))
        raise InterruptedError

    monkeypatch.setattr("fastmlp.data.load.fetch", refuse)
    load_dataset("auto")
    load_dataset("auto", download=False)
    assert asked == []
    for name, download in (("cifar100", None), ("cifar10", True), ("auto", True)):
        with pytest.raises(InterruptedError):
            load_dataset(name, download=download, mirror="https://mirror")
    assert asked == [(f"{name}-binary.tar.gz", "https://mirror") for name in ("cifar-100", "cifar-10", "cifar-100")]


def test_fetch_keeps_what_is_there(tmp_path):
    mini = miniature("cifar100", "binary")
    path = mini.archive(tmp_path)
    assert fetch(mini.layout, tmp_path, mirror="http://127.0.0.1:9") == path  # port 9 answers nobody


def test_an_unreadable_file_is_named(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    mini = miniature("cifar100", "binary")
    mini.folder(tmp_path)
    monkeypatch.setattr(np, "fromfile", refuse)  # a real mode of 0 does not bind root
    with pytest.raises(DataError, match=r"train\.bin cannot be read: permission denied"):
        load_dataset("cifar100", tmp_path, download=False, layouts=[mini.layout])


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "~/.cache/fastmlp"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "~/.cache/fastmlp"),
        ("darwin", {}, "~/Library/Caches/fastmlp"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastmlp"),
        ("win32", {}, "~/AppData/Local/fastmlp"),
    ],
)
def test_cache_folder_of_each_platform(monkeypatch, platform, environment, expected):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_dir() == Path(expected).expanduser()


@pytest.fixture
def homeless(monkeypatch) -> None:
    """Leave nothing that says where this user's files lie."""

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", nowhere)


@pytest.mark.usefixtures("homeless")
def test_without_a_home_there_is_the_embedded_set_and_what_lies_in_a_given_folder(tmp_path):
    assert cache_dir() is None
    data = load_dataset("auto")
    assert data.name == "embedded"
    assert "no HOME" in str(data.notice)
    mini = miniature("cifar100", "binary")
    mini.folder(tmp_path)
    assert load_dataset("cifar100", tmp_path, layouts=[mini.layout]).name == "cifar100"
    with pytest.raises(MissingDataError, match=r"is not in a cache \(there is no HOME for one\)"):
        load_dataset("cifar100", download=False)
    with pytest.raises(ConfigError, match="--data-dir"):
        load_dataset("cifar100")


@pytest.mark.parametrize("name", ["auto", "cifar100"])
def test_a_cache_that_cannot_be_entered_holds_nothing(name, cache, monkeypatch):
    is_file = Path.is_file

    def refuse(path: Path) -> bool:
        if cache in path.parents:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", refuse)
    if name == "auto":
        assert load_dataset(name).name == "embedded"
    else:
        with pytest.raises(MissingDataError):
            load_dataset(name, download=False)
        with pytest.raises(DataError, match="permission denied"):  # one's own folder is another matter
            load_dataset(name, cache, download=False)


REAL = Path(os.environ.get("FASTMLP_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="module")
def real():
    if not (REAL / "cifar-100-binary" / "train.bin").exists():
        pytest.skip(f"no CIFAR-100 in {REAL}; set FASTMLP_TEST_DATA to the folder that holds cifar-100-binary")
    return load_dataset("cifar100", REAL, download=False)


def test_real_cifar100_has_the_known_counts_and_moments(real):
    for labels, each in ((real.train_labels, 500), (real.test_labels, 100)):
        assert (np.bincount(labels["fine"]) == np.full(100, each)).all()
        assert (np.bincount(labels["coarse"]) == np.full(20, 5 * each)).all()
    from fastmlp.data import NORMALIZATIONS

    mean, inv_std = NORMALIZATIONS["dataset"](real.train_images, np.arange(50_000), real.test_images, np.float64)
    np.testing.assert_allclose(mean[0] / 255, (0.50707516, 0.48654887, 0.44091784), atol=5e-9)
    np.testing.assert_allclose(1 / inv_std[0] / 255, (0.26733429, 0.25643846, 0.27615047), atol=5e-9)


def test_ten_real_images_stand_in_both_splits(real):
    digests = [{hashlib.sha256(image).digest() for image in part} for part in (real.train_images, real.test_images)]
    assert len(digests[0] & digests[1]) == 10


def test_the_split_of_real_labels_keeps_every_class(real, rng):
    train, _ = split_indices(len(real.train_images), 0.2, rng)
    assert np.bincount(real.train_labels["fine"][train]).min() > 300


def test_real_names_are_the_published_ones(real):
    fine, coarse = real.label_names["fine"], real.label_names["coarse"]
    assert (fine[0], fine[99], coarse[0], coarse[19]) == ("apple", "worm", "aquatic_mammals", "vehicles_2")


def test_a_byte_changed_in_the_layout_refuses_the_real_file(real, tmp_path):
    from fastmlp.data.cifar import LAYOUTS

    layout = LAYOUTS[0]
    other = replace(layout.test[0], digest="sha256:" + "0" * 64)
    with pytest.raises(DataError, match="SHA256 is d8b1e6b7"):
        load_dataset("cifar100", REAL, download=False, layouts=[replace(layout, test=(other,))])
    assert real.name == "cifar100"
    assert not list(tmp_path.iterdir())
