"""Where a sweep's data lie: kept in its `sweep.toml`, found again for its page and for runs that are to be repeated."""

from pathlib import Path

from fastmlp.data import DATASET_NAMES, Dataset, load_dataset
from fastmlp.errors import DataError, FastMLPError, MissingDataError
from fastmlp.files import read_small, toml_of
from fastmlp.sweep.file import MOST_BYTES, SWEEP_FILE, resolved


def check_fingerprint(dataset: Dataset, wanted: str) -> None:
    """Raise DataError unless these are the wanted data."""
    if dataset.fingerprint != wanted:
        raise DataError(
            f"The {dataset.name} found here has fingerprint {dataset.fingerprint}, the sweep's had {wanted}; "
            "--data-dir names another place."
        )


def kept_place(folder: Path) -> Path | None:
    """Return where the data of the sweep in this folder lay, None where they were in the cache or that is not kept."""
    try:
        place = toml_of(read_small(folder / SWEEP_FILE, MOST_BYTES)).get("data_dir")
    except (OSError, ValueError):
        return None
    return resolved(folder, place) if isinstance(place, str) else None


def about_own(name: str) -> str:
    """Return why no command finds a data set of a user's own; nothing for those of this package."""
    if name in DATASET_NAMES:
        return ""
    return f"{name} is no data set of this package, and so only the program that gave it to run_sweep has it."


def dataset_of(folder: Path, name: str, fingerprint: str, given: Path | None = None) -> Dataset:
    """Return the data set of the sweep in `folder`, by its fingerprint; nothing is downloaded.

    given : where it lies, as a user says now; otherwise it is looked for where it lay, and then in the cache. Raises
    MissingDataError, as for any data set of a user's own, and DataError for damaged data or those of another
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
