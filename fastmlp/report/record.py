"""The record of the files that a page consists of, by which the next one removes those that it no longer has.

A file that is not in the record, or was changed since, is a user's, and stays.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastmlp.errors import ConfigError, OutputError, remedy
from fastmlp.files import is_inside, json_of, read_small, write_whole

RECORD = ".report.json"
FOLDERS = ("figures", "tables")
"""The folders of all files but the page itself."""
# Of all pages that were made with the data, also by versions that kept no record.
_WITH_DATA = "figures/confusion.svg"


def read(folder: Path) -> dict[str, Any]:
    """Return the record of the page in a folder: `with_data`, and `files` with their digests; a guess without one."""
    try:
        record = json_of(read_small(folder / RECORD))
        files = {name: digest for name, digest in dict(record["files"]).items() if _may_be(name)}
        return {"with_data": bool(record["with_data"]), "files": files}
    except (OSError, ValueError, KeyError, TypeError):
        return {"with_data": (folder / _WITH_DATA).exists(), "files": {}}


def _may_be(name: str) -> bool:
    """Whether a name in the record, which others may have written, is one that a page gives to its files."""
    return is_inside(name) and name.count("/") == 1 and name.startswith(tuple(f"{folder}/" for folder in FOLDERS))


def check_not_poorer(folder: Path, why: str) -> None:
    """Raise ConfigError where the folder's present page was made with the data; why : a new one would lack them."""
    if (folder / "report.html").exists() and read(folder)["with_data"]:
        raise ConfigError(
            f"{folder / 'report.html'} was made with the data, and a new one would be poorer: {why} Give their place "
            "by --data-dir, or remove that page first."
        )


def write_files(folder: Path, files: Mapping[str, str | bytes], *, with_data: bool) -> None:
    """Write a page's files, by their names in the folder, and remove those of the page before that it no longer has.

    with_data : whether the page shows the data set. A file that was changed since the page before was made stays.
    Raises OutputError where a file cannot be written, or removed.
    """
    before = read(folder)["files"]
    for name, content in files.items():
        write_whole(folder / name, content)
    for name in set(before) - set(files):
        path = folder / name
        try:
            if path.is_file() and _digest(path.read_bytes()) == before[name]:
                path.unlink()
        except OSError as error:
            raise OutputError(
                f"{path}, of the page before, could not be removed ({error}). {remedy(error, 'remove it yourself')}"
            ) from error
    made = {name: _digest(content.encode() if isinstance(content, str) else content) for name, content in files.items()}
    write_whole(folder / RECORD, json.dumps({"with_data": with_data, "files": made}, indent=1) + "\n")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
