"""The place of a sweep's data: kept in its `sweep.toml`, and used to load them for its page or to repeat a run."""

from pathlib import Path

from fastmlp.data import DATASET_NAMES, Dataset, load_dataset
from fastmlp.errors import DataError, FastMLPError, MissingDataError
from fastmlp.files import read_small, toml_of
from fastmlp.sweep.file import MOST_BYTES, SWEEP_FILE, resolved


def check_fingerprint(dataset: Dataset, wanted: str) -> None:
    """Raise DataError unless a data set has the wanted fingerprint."""
    if dataset.fingerprint != wanted:
        raise DataError(
            f"The {dataset.name} found here has fingerprint {dataset.fingerprint}, the sweep's had {wanted}; "
            "--data-dir names another place."
        )


def kept_place(folder: Path) -> Path | None:
    """Return the place of a sweep's data, from `sweep.toml` in its folder; None for the cache, or where it has none."""
    try:
        place = toml_of(read_small(folder / SWEEP_FILE, MOST_BYTES)).get("data_dir")
    except (OSError, ValueError):
        return None
    return resolved(folder, place) if isinstance(place, str) else None


def about_own(name: str) -> str:
    """Return why no command can load a data set of a user's own; empty for those of this package."""
    if name in DATASET_NAMES:
        return ""
    return f"{name} is no data set of this package, and so only the program that gave it to run_sweep has it."


def dataset_of(folder: Path, name: str, fingerprint: str, given: Path | None = None) -> Dataset:
    """Return the data set of the sweep in `folder`, checked by its fingerprint; nothing is downloaded.

    given : the folder where the user says it lies; None: the place kept in `sweep.toml`, then the cache

    Raises MissingDataError, also for any data set of a user's own, and DataError for damaged data or those of another
    fingerprint.
    """
    if own := about_own(name):
        raise MissingDataError(own)
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
