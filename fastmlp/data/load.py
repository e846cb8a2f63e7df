"""Finding a data set on disk, or fetching it, or falling back on the embedded one."""

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
from fastmlp.errors import ConfigError, DataError, MissingDataError


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

    Looked for in `data_dir` and then in `cache_dir()`: the extracted folder, or the archive, of the binary or the
    python form; `data_dir` may also be the extracted folder itself. "auto" takes CIFAR-100 where it is found, else the
    embedded set, and its `notice` then says so. What is missing is downloaded into `data_dir` or the cache when
    `download` is true; by default that is so for a set asked for by its own name and not for "auto".

    Raises ConfigError for an unknown name, MissingDataError, DataError for a damaged file, DownloadError.
    """
    if name not in DATASET_NAMES:
        raise ConfigError(f"Unknown data set {name!r}; choose one of {', '.join(DATASET_NAMES)}.")
    if name == "embedded":
        return embedded_dataset()
    wanted = "cifar100" if name == "auto" else name
    known = [layout for layout in layouts if layout.dataset == wanted]
    given = [Path(data_dir).expanduser()] if data_dir is not None else []
    try:
        if found := _find(given, known) or _find_in_cache(known):
            return _read(*found)
    except PermissionError as error:
        raise DataError(f"{error.filename} cannot be read: permission denied. Check who owns it.") from error
    if name != "auto" if download is None else download:
        return _read(known[0], fetch(known[0], data_dir, mirror=mirror, on_progress=on_progress))
    looked = " or ".join(str(place) for place in (*given, cache_dir() or "a cache (there is no HOME for one)"))
    if name == "auto":
        return embedded_dataset(
            notice=f"{TITLES[wanted]} is not in {looked}: using the embedded set of drawn images. "
            f"To fetch the real data: {fetch_command(known[0])}"
        )
    raise MissingDataError(
        f"{TITLES[wanted]} is not in {looked}. Point --data-dir at the archive or its extracted folder, or fetch it: "
        f"{fetch_command(known[0])} (with --mirror URL where the public host is slow)."
    )


def fetch(
    layout: Layout,
    data_dir: str | Path | None = None,
    *,
    mirror: str | None = None,
    on_progress: OnProgress | None = None,
) -> Path:
    """Download the layout's archive into `data_dir` or the cache, going on where an earlier attempt stopped.

    Returns the path of the archive, verified; nothing is downloaded when it is already there and whole. Raises
    DownloadError, and ConfigError where there is no cache.
    """
    folder = Path(data_dir).expanduser() if data_dir is not None else cache_dir()
    if folder is None:
        raise ConfigError("No HOME says where your files lie: name a folder for the download with --data-dir.")
    return download_file(layout.archive, folder, mirror or HOST, on_progress=on_progress)


def _find_in_cache(layouts: list[Layout]) -> tuple[Layout, Path] | None:
    """Return what `_find` finds in the cache: nothing where that cannot be entered, as in another user's home."""
    cache = cache_dir()
    try:
        return _find([cache], layouts) if cache else None
    except PermissionError:
        return None


def _find(places: list[Path], layouts: list[Layout]) -> tuple[Layout, Path] | None:
    """Return the first form that is there and its folder or archive: folders first, they load five times faster."""
    for place in places:
        base = place.parent if place.is_file() else place
        for layout in layouts:
            # A folder of the right name counts with any of its files, so that a damaged one is reported, not skipped.
            for folder, enough in ((base / layout.folder, any), (base, all)):
                if enough((folder / spec.name).is_file() for spec in layout.train + layout.test):
                    return layout, folder
        for layout in layouts:
            if (archive := base / layout.archive.name).is_file():
                return layout, archive
    return None


def _read(layout: Layout, path: Path) -> Dataset:
    is_folder = path.is_dir()
    kind = "files" if is_folder else "archive"
    raw = read_folder(path, layout) if is_folder else read_archive(path, layout)
    return decode(layout, raw, f"{TITLES[layout.dataset]}, official {layout.form} {kind}, checksums verified")
