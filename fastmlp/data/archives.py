"""Reading the files of a published data set, verified, from an extracted folder or straight from the archive.

Nothing is ever extracted to disk, and of an archive only the members that the layout names are read.
"""

import shlex
import tarfile
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.layout import FileSpec, Layout, check_digest, check_member, check_size
from fastmlp.data.places import cache_dir
from fastmlp.errors import DataError


def read_folder(folder: Path, layout: Layout) -> dict[str, NDArray[np.uint8]]:
    """Read and verify the layout's files in an extracted folder.

    Returns the bytes of each file by its name, flat uint8. Raises DataError naming the file, what was expected and what
    it has.
    """
    return {spec.name: _read_file(folder / spec.name, spec, layout) for spec in layout.files}


def read_archive(path: Path, layout: Layout) -> dict[str, NDArray[np.uint8]]:
    """Verify an archive as a whole, then read the layout's members by exact name; any other member is passed over.

    Returns and raises as `read_folder` does.
    """
    advice = f"Delete it and fetch it again: {fetch_command(layout, path.parent)}"
    with path.open("rb") as file:
        check_size(layout.archive, str(path), path.stat().st_size, advice)
        check_digest(layout.archive, str(path), file, advice)
        file.seek(0)
        try:
            contents = _read_members(file, path, layout)
        except DataError:
            raise
        except Exception as error:  # a damaged archive can raise nearly anything
            raise DataError(f"{path} cannot be read as a .tar.gz archive: {error}. {advice}") from error
    missing = [f"{layout.folder}/{spec.name}" for spec in layout.files if spec.name not in contents]
    if missing:
        raise DataError(f"{path} holds no {', '.join(missing)}: it is another archive. {advice}")
    return contents


def fetch_command(layout: Layout, folder: Path | None = None) -> str:
    """Return the command line that downloads this form of a data set into `folder`, or into the cache where None."""
    form = "" if layout.form == "binary" else f" --form {layout.form}"
    where = "" if folder in (None, cache_dir()) else f" --data-dir {shlex.quote(str(folder))}"
    return f"python -m fastmlp.data fetch {layout.dataset}{form}{where}"


def _read_file(path: Path, spec: FileSpec, layout: Layout) -> NDArray[np.uint8]:
    advice = f"Delete the folder and fetch the archive: {fetch_command(layout, path.parent.parent)}"
    if not path.is_file():
        raise DataError(f"{path} is missing from the {layout.form} form of {layout.dataset}. {advice}")
    check_member(layout, spec, str(path), path.stat().st_size, advice)
    content = np.fromfile(path, dtype=np.uint8)
    check_size(spec, str(path), content.size, advice)
    check_digest(spec, str(path), content.data, advice)
    return content


def _read_members(file: BufferedReader, path: Path, layout: Layout) -> dict[str, NDArray[np.uint8]]:
    wanted = {f"{layout.folder}/{spec.name}": spec for spec in layout.files}
    contents: dict[str, NDArray[np.uint8]] = {}
    # One pass from front to back: seeking backwards in a gzip stream would decompress it again.
    with tarfile.open(fileobj=file, mode="r|gz", bufsize=1 << 20) as archive:
        for member in archive:
            spec = wanted.get(member.name)
            if spec is None:
                continue
            where = f"{member.name} in {path}"
            if not member.isreg():
                raise DataError(f"{where} is a link or a device, not a file: this is not the published archive.")
            advice = f"This is not the published archive; fetch that: {fetch_command(layout, path.parent)}"
            check_member(layout, spec, where, member.size, advice)  # its checksum is covered by the archive's
            stream = archive.extractfile(member)
            contents[spec.name] = np.frombuffer(stream.read() if stream else b"", dtype=np.uint8)
    return contents
