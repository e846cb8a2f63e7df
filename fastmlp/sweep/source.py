"""The place of a sweep's data: kept in its `sweep.toml`, and used to load them for its page or to repeat a run."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from fastmlp.data import DATASET_NAMES, Dataset, load_dataset
from fastmlp.data.own import Loaded, Own, load_understood
from fastmlp.errors import DataError, FastMLPError, MissingDataError
from fastmlp.files import read_small, toml_of
from fastmlp.sweep.file import MOST_BYTES, SWEEP_FILE, is_named, resolved


def check_fingerprint(dataset: Dataset, wanted: str) -> None:
    """Raise DataError unless a data set has the wanted fingerprint."""
    if dataset.fingerprint != wanted:
        raise DataError(
            f"The {dataset.name} found here has fingerprint {dataset.fingerprint}, the sweep's had {wanted}; "
            "--data-dir names another place."
        )


def _kept(folder: Path) -> dict[str, Any]:
    """Return what `sweep.toml` in a sweep's folder has; nothing where there is none, or one that is damaged."""
    try:
        return toml_of(read_small(folder / SWEEP_FILE, MOST_BYTES))
    except (OSError, ValueError):
        return {}


def kept_place(folder: Path) -> Path | None:
    """Return the place of a sweep's data, from `sweep.toml` in its folder; None for the cache, or where it has none."""
    place = _kept(folder).get("data_dir")
    return resolved(folder, place) if isinstance(place, str) else None


def kept_baselines(folder: Path) -> bool:
    """Whether a sweep was made with `--baselines`, by `sweep.toml` in its folder."""
    return _kept(folder).get("baselines") is True


def kept_own(folder: Path) -> Own | None:
    """Return what `sweep.toml` in a sweep's folder says of own data, with whole paths; None where it names none."""
    kept = _kept(folder)
    values = {field.name: kept[field.name] for field in fields(Own) if field.name in kept}
    if not isinstance(values.get("data"), str):
        return None
    if isinstance(values.get("target"), str):
        values["target"] = [values["target"]]
    try:
        own = Own.from_json(values)
    except FastMLPError:
        return None
    places = {"data": own.data, "test_data": own.test_data}
    return replace(own, **{name: str(resolved(folder, place)) for name, place in places.items()
                           if place and not is_named(place)})  # fmt: skip


def own_of(
    folder: Path, own: Own, fingerprint: str, given: Path | None = None, tell: Callable[[str], None] = lambda _: None
) -> Loaded:
    """Return the own data of the sweep in `folder`, with what was understood of them, checked by their fingerprint.

    given : where the user says that they lie: in place of the path kept in `sweep.toml`, or the folder that has it now
    tell(line) : told what takes long

    Raises MissingDataError where they are not there, DataError where they have changed.
    """
    if given is not None:
        within = given / Path(own.data).name
        place = within if "*" in within.name or within.exists() else given
        own = replace(own, data=str(place))
    try:
        loaded = load_understood(own, tell)
    except MissingDataError as error:
        raise MissingDataError(
            f"The data of the sweep in {folder} are not at {own.data}: {error} --data-dir names their new place."
        ) from error
    if loaded.dataset.fingerprint != fingerprint:
        raise DataError(
            f"The data at {own.data} have changed since the sweep: their fingerprint is {loaded.dataset.fingerprint}, "
            f"and the sweep's had {fingerprint}. --data-dir names another place."
        )
    return loaded


def about_own(name: str) -> str:
    """Return why no command can load a data set of a user's own; empty for those of this package."""
    if name in DATASET_NAMES:
        return ""
    return (
        f"{name} is no data set of this package, and so only the program that gave it to run_sweep has it. It can draw "
        "the page with it by fastmlp.report.make.make_report(folder, data=dataset)."
    )


def dataset_of(folder: Path, name: str, fingerprint: str, given: Path | None = None) -> Dataset:
    """Return the data set of the sweep in `folder`, checked by its fingerprint; nothing is downloaded.

    given : the folder where the user says it lies; None: the place kept in `sweep.toml`, then the cache

    Raises MissingDataError, also for any data set of a user's own, and DataError for damaged data or those of another
    fingerprint.
    """
    if (own := kept_own(folder)) is not None:
        return own_of(folder, own, fingerprint, given).dataset
    if why := about_own(name):
        raise MissingDataError(why)
    if given is not None:
        dataset = load_dataset(name, given)
        check_fingerprint(dataset, fingerprint)
        return dataset
    kept, told = kept_place(folder), list[str]()
    for place in (None,) if kept is None else (kept, None):
        try:
            dataset = load_dataset(name, place, download=False)
            check_fingerprint(dataset, fingerprint)
            return dataset
        except FastMLPError as error:
            if kept is None:
                raise
            told.append("" if isinstance(error, MissingDataError) else f" {error}")
    raise MissingDataError(
        f"The data of the sweep in {folder} are not where they were, {kept}, nor in the cache.{told[0]} --data-dir "
        "names the place."
    )
