"""Loading a data set by its name: from disk, by a download, or the embedded one in place of CIFAR-100."""

from collections.abc import Iterable
from pathlib import Path

from fastmlp.data.archives import fetch_command, read_archive, read_folder
from fastmlp.data.cifar import HOST, LAYOUTS, TITLES
from fastmlp.data.dataset import Dataset
from fastmlp.data.decode import decode
from fastmlp.data.download import download_file
from fastmlp.data.embedded import embedded_dataset
from fastmlp.data.layout import Layout
from fastmlp.data.meter import OnProgress
from fastmlp.data.places import DATASET_NAMES, cache_dir
from fastmlp.errors import ConfigError, DataError, FastMLPError, MissingDataError, suggestion


def load_dataset(
    name: str = "auto",
    data_dir: str | Path | None = None,
    *,
    mirror: str | None = None,
    download: bool | None = None,
    on_progress: OnProgress | None = None,
    layouts: Iterable[Layout] = LAYOUTS,
) -> Dataset:
    """Load a data set by name, verified against its published checksums.

    name : one of `DATASET_NAMES`. "auto" is CIFAR-100; where `data_dir` is None and the cache has none, it is the
        embedded set, whose `notice` then says so
    data_dir : the only place that is looked at: a folder with the extracted folder or the archive, of the binary or the
        python form, or one of these two itself. Nothing is ever written there. None: `cache_dir()`
    mirror : web folder that holds the archive, instead of the public host
    download : whether a missing set is downloaded into the cache; None: unless `name` is "auto"
    on_progress(progress) : called a few times a second during a download

    Raises ConfigError for an unknown name, MissingDataError, DataError for a damaged file, DownloadError.
    """
    if name not in DATASET_NAMES:
        meant = suggestion(name, DATASET_NAMES)
        raise ConfigError(f"Unknown data set {name!r}; choose one of {', '.join(DATASET_NAMES)}.{meant}")
    if name == "embedded":
        if data_dir is not None:
            raise ConfigError(
                f"--data-dir is {data_dir}, but the embedded data set is drawn and lies nowhere. Leave --data-dir "
                "away, or choose another --dataset."
            )
        return embedded_dataset()
    wanted = "cifar100" if name == "auto" else name
    layouts = list(layouts)
    known = [layout for layout in layouts if layout.dataset == wanted]
    if data_dir is not None:
        return _read_given(given_folder(data_dir), known, layouts)
    if form := _find_in_cache(known):
        return _read(*form)
    if name != "auto" if download is None else download:
        return _read(known[0], fetch(known[0], mirror=mirror, on_progress=on_progress))
    looked = cache_dir() or "a cache (there is no HOME for one)"
    if name == "auto":
        return embedded_dataset(
            notice=f"{TITLES[wanted]} is not in {looked}: using the embedded set of drawn images. "
            f"To fetch the real data: {fetch_command(known[0])}"
        )
    raise MissingDataError(
        f"{TITLES[wanted]} is not in {looked}. Point --data-dir at the archive or its extracted folder, or fetch it: "
        f"{fetch_command(known[0])} (with --mirror URL where the public host is slow)."
    )


def given_folder(data_dir: str | Path) -> Path:
    """Return a user's path with `~` expanded to the home folder; ConfigError where it is empty or has no such home."""
    try:
        if str(data_dir):
            return Path(data_dir).expanduser()
        reason: Exception | str = "it is empty"
    except RuntimeError as error:
        reason = error
    raise ConfigError(f"--data-dir is {str(data_dir)!r}, no folder: {reason}. Give the folder in which the data lie.")


def _read_given(place: Path, known: list[Layout], every: list[Layout]) -> Dataset:
    """Read the data set in a user's folder or file; MissingDataError says what was looked for, and what to do."""
    try:
        if form := _find(place, known):
            return _read(*form)
        other = _find(place, every)
        state = "It is a file, and none of these." if place.is_file() else "" if place.exists() else "It is not there."
        cut = [one for one in known if (place / f"{one.archive.name}.part").exists()]
    except OSError as error:
        raise _unreadable(error, place) from error
    forms = " or ".join(f"{layout.folder}/ or {layout.archive.name}" for layout in known)
    sentences = [f"--data-dir {place} does not hold {TITLES[known[0].dataset]}; looked for there: {forms}."]
    sentences += [state] if state else []
    sentences += ["A download into it was cut; fetching goes on from there."] if cut else []
    sentences += [f"It holds {TITLES[other[0].dataset]}: --dataset {other[0].dataset} takes that."] if other else []
    folder = place.parent if place.is_file() else place
    sentences += [f"Correct --data-dir, or fetch the data: {fetch_command((cut or known)[0], folder)}"]
    raise MissingDataError(" ".join(sentences))


def fetch(
    layout: Layout,
    data_dir: str | Path | None = None,
    *,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download the layout's archive into `data_dir` or the cache, continuing where an earlier attempt stopped.

    Returns the path of the verified archive; one that is whole is not downloaded again. Raises DownloadError, and
    ConfigError where the user has no folder for a cache.
    """
    folder = given_folder(data_dir) if data_dir is not None else cache_dir()
    if folder is None:
        raise ConfigError("No HOME says where your files lie: name a folder for the download with --data-dir.")
    return download_file(layout.archive, folder, mirror or HOST, on_progress=on_progress)


def _find_in_cache(layouts: list[Layout]) -> tuple[Layout, Path] | None:
    """Return the form of `_find` in the cache; None also where that cannot be entered, as in another user's home."""
    cache = cache_dir()
    try:
        return _find(cache, layouts) if cache else None
    except OSError:
        return None


def _find(place: Path, layouts: list[Layout]) -> tuple[Layout, Path] | None:
    """Return the first form that a place holds, with its folder or archive: folders first, they load five times faster.

    None where it holds none.
    """
    for layout in layouts:
        # A folder of the right name counts with any of its files, so that a damaged one is reported, not skipped.
        named = place / layout.folder, place if place.name == layout.folder else None
        for folder, enough in ((named[0], any), (named[1], any), (place, all)):
            if folder and enough((folder / spec.name).is_file() for spec in layout.train + layout.test):
                return layout, folder
    for layout in layouts:
        for archive in (place / layout.archive.name, place):
            if archive.name == layout.archive.name and archive.is_file():
                return layout, archive
    return None


def _unreadable(error: OSError, place: Path) -> DataError:
    reason = "permission denied. Check who owns it" if isinstance(error, PermissionError) else error.strerror
    return DataError(f"{error.filename or place} cannot be read: {reason}.")


def _read(layout: Layout, path: Path) -> Dataset:
    is_folder = path.is_dir()
    kind = "files" if is_folder else "archive"
    try:
        raw = read_folder(path, layout) if is_folder else read_archive(path, layout)
    except OSError as error:
        if isinstance(error, FastMLPError):
            raise
        raise _unreadable(error, path) from error
    return decode(layout, raw, f"{TITLES[layout.dataset]}, official {layout.form} {kind}, checksums verified")
