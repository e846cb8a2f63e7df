"""Data sets by name: those that scikit-learn brings along (`sklearn:digits`), and OpenML's (`openml:NAME`)."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastmlp.data.raw import Raw
from fastmlp.data.sources.ask import Ask
from fastmlp.data.sources.build import rows_of
from fastmlp.data.sources.target import target_of
from fastmlp.errors import ConfigError, DataError, DownloadError, MissingExtraError, suggestion

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")
# Which scikit-learn downloads, and keeps as pickles.
_FETCHED = (
    "20newsgroups",
    "20newsgroups_vectorized",
    "california_housing",
    "covtype",
    "kddcup99",
    "lfw_pairs",
    "lfw_people",
    "olivetti_faces",
    "rcv1",
    "species_distributions",
)


def read_bundled(ask: Ask) -> Raw:
    """Read a set that lies in scikit-learn itself, float64, but `digits`, which are uint8 images of 8 x 8 pixels."""
    datasets = _sklearn_datasets(ask)
    name = _name(ask)
    stem = name.removeprefix("load_").removeprefix("fetch_")
    if stem in _FETCHED:
        raise ConfigError(
            f"scikit-learn downloads {stem} and keeps it as a pickle, which is never read here. Save its rows and "
            f"targets once, as in `numpy.savez('{stem}.npz', x=x, y=y)`, and name that file."
        )
    if stem not in BUNDLED:
        raise ConfigError(
            f"scikit-learn brings no set {name!r}; choose one of {', '.join(BUNDLED)}.{suggestion(stem, BUNDLED)}"
        )
    bunch = getattr(datasets, f"load_{stem}")()
    if stem == "digits":
        bunch.data, bunch.feature_names = bunch.images.astype(np.uint8), ()
    target = ask.target_called("target")
    y = target_of(np.asarray(bunch.target), target, ask.task, bunch.target_names if bunch.target.ndim == 2 else ())
    names = tuple(map(str, bunch.get("target_names", ())))
    if y.kind == "classes" and len(names) == len(y.names):
        y = y._replace(names=names)
    return _raw(bunch.data, bunch.feature_names, target, y, f"scikit-learn's {stem}")


def read_openml(ask: Ask) -> Raw:
    """Read one of OpenML's sets of numbers, from scikit-learn's cache or OpenML itself.

    It is called by name, by name@version or by its number there. Raises DataError for one with columns of words or with
    missing values, which is a table, DownloadError where it cannot be had.
    """
    datasets = _sklearn_datasets(ask)
    name, _, version = _name(ask).partition("@")
    if not name or (version and not version.isascii()) or (version and not version.isdigit()):
        raise ConfigError(
            f"{ask.path} names no set of OpenML; as in openml:mnist_784, openml:mnist_784@1 or openml:554."
        )
    which: dict[str, Any] = {"data_id": int(name)} if name.isascii() and name.isdigit() else {"name": name.lower()}
    which |= {"version": int(version)} if version else {}
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            bunch = datasets.fetch_openml(
                **which, target_column=ask.target or "default-target", as_frame=False, parser="liac-arff", n_retries=1
            )
        for one in warned:  # such as that there are several versions
            ask.tell(str(one.message))
    except OSError as error:
        raise DownloadError(
            f"openml:{name} is not in scikit-learn's cache, and OpenML cannot be reached ({error}). Try again online, "
            "or name a file."
        ) from error
    except Exception as error:  # scikit-learn's, for sets that are not there or of another form, of many types
        raise DataError(f"openml:{name} cannot be read ({error})") from error
    data, targets = bunch.data, bunch.target
    words = sorted(set(bunch.categories or ()) & set(bunch.feature_names))
    if words or not isinstance(data, np.ndarray) or data.dtype.kind not in "biuf" or np.isnan(data.sum()):
        which_ones = f" ({', '.join(words[:5])})" if words else ""
        raise DataError(
            f"openml:{name} has columns of words{which_ones}, or missing values: it is a table. Save it as one, with "
            "fetch_openml(..., as_frame=True).frame.to_csv(...), and name that file"
        )
    if targets is None or not bunch.target_names:
        raise ConfigError(f"openml:{name} names no target; choose one of {', '.join(bunch.feature_names[:20])}.")
    target = ask.target or (bunch.target_names[0] if len(bunch.target_names) == 1 else "target")
    if targets.dtype.kind == "O":
        if any(one is None for one in targets.flat):
            raise DataError(f"the target {target} of openml:{name} is missing in some rows: leave them out")
        targets = targets.astype(str)
    y = target_of(targets, target, ask.task, bunch.target_names)
    return _raw(data, bunch.feature_names, target, y, f"OpenML's {name}")


def _name(ask: Ask) -> str:
    return str(ask.path).partition(":")[2]


def _sklearn_datasets(ask: Ask) -> Any:
    try:
        from sklearn import datasets
    except ImportError as error:
        raise MissingExtraError(f"{ask.path} needs scikit-learn ({error}): pip install 'fastmlp[sklearn]'.") from error
    return datasets


def _raw(x: np.ndarray, features: Sequence[str], target: str, y: Any, source: str) -> Raw:
    rows, shape = rows_of(x)
    names = () if shape else tuple(map(str, features))
    return Raw(rows, {target: y.values}, {target: y.kind}, {target: y.names}, shape, names, source)
