"""One file over HTTP, made for slow hosts and cut connections: resumed, verified, and only then given its name."""

import http.client
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastmlp.data.layout import FileSpec, check_digest, check_size
from fastmlp.data.meter import Meter, OnProgress
from fastmlp.errors import ConfigError, DataError, DownloadError

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait after the first, second, ... attempt in a row that brought nothing; then the download gives up."""

_BLOCK = 1 << 16
_PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses that another attempt may cure
_ELSEWHERE = "Name another host with --mirror URL, or fetch the file yourself and name its folder with --data-dir."


def download_file(
    spec: FileSpec,
    folder: Path,
    base_url: str,
    *,
    on_progress: OnProgress | None = None,
    pauses: Sequence[float] = PAUSES,
    timeout: float = 30.0,
) -> Path:
    """Download `base_url/spec.name` into `folder` and return its path; a file already there and whole is kept.

    The bytes go to `<name>.part`, which a later call goes on with (HTTP Range), and take their name only once length
    and checksum are those of `spec`, which must state its size. A connection counts as lost after `timeout` seconds of
    silence. Raises DownloadError, naming the cause and what to do; ConfigError for a URL that is not http or https.
    """
    if not base_url.startswith(("http://", "https://")):
        raise ConfigError(f"--mirror {base_url} is no web address; it must begin with https:// or http://.")
    target = folder / spec.name
    transfer = _Transfer(spec, f"{base_url.rstrip('/')}/{spec.name}", folder, on_progress, timeout)
    try:
        if target.exists():
            if not (fault := _fault(spec, target)):
                return target
            transfer.tell(f"{fault} Fetching it again.")
        transfer.make_room()
        resumed = transfer.have > 0
        transfer.fill(pauses)
        if resumed and (fault := _fault(spec, transfer.part)):
            # The bytes of an earlier session may be the bad ones: one clean try is due before the host is blamed.
            transfer.discard(fault)
            transfer.fill(pauses)
        if fault := _fault(spec, transfer.part):
            transfer.discard(fault)
            raise DownloadError(f"{transfer.url} is not the published file. {fault} {_ELSEWHERE}")
        transfer.part.replace(target)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"Cannot write into {folder}: {error.strerror}. Name another with --data-dir.") from error
    return target


def _fault(spec: FileSpec, path: Path) -> str:
    """Say what is wrong with the file at `path`; empty when it is the published one."""
    try:
        with path.open("rb") as file:
            check_size(spec, str(path), path.stat().st_size, "")
            check_digest(spec, str(path), file, "")
    except DataError as error:
        return str(error).strip()
    return ""


class _CutError(Exception):
    """The connection ended early; what arrived is kept and another attempt may go on from there."""


class _Transfer:
    """The part file, the requests that fill it, and the news about them."""

    def __init__(self, spec: FileSpec, url: str, folder: Path, on_progress: OnProgress | None, timeout: float) -> None:
        if spec.size is None:
            raise ConfigError(f"{spec.name} has no known size and cannot be downloaded.")
        self.name, self.total, self.url, self.timeout = spec.name, spec.size, url, timeout
        self.part = folder / f"{spec.name}.part"
        self.ranged = True  # whether the host is believed to serve ranges
        self.meter = Meter(spec.name, spec.size, on_progress)

    @property
    def have(self) -> int:
        """Bytes in the part file."""
        return self.part.stat().st_size if self.part.exists() else 0

    def tell(self, note: str = "") -> None:
        """Report how the part file stands."""
        self.meter.report(self.have, note)

    def make_room(self) -> None:
        """Make the folder and check that the rest fits."""
        self.part.parent.mkdir(parents=True, exist_ok=True)
        free, rest = shutil.disk_usage(self.part.parent).free, self.total - self.have
        if free < rest:
            raise DownloadError(
                f"{self.part.parent} has {free:,} bytes free and {self.name} needs {rest:,} more. "
                "Make room, or name another folder with --data-dir."
            )

    def discard(self, why: str) -> None:
        """Delete the part file and say why."""
        self.part.unlink()
        self.tell(f"{why} The part is discarded.")

    def fill(self, pauses: Sequence[float]) -> None:
        """Request until the part file has its full length, however often the connection is cut."""
        if self.have > self.total:
            self.discard(f"{self.part} is longer than the published file.")
        fruitless = 0
        self.tell()
        while (have := self.have) < self.total:
            try:
                self._request(have)
            except _CutError as cut:
                fruitless = 1 if self.have > have else fruitless + 1
                if fruitless > len(pauses):
                    raise DownloadError(
                        f"{self.url}: {cut}; gave up after {fruitless} attempts in a row that brought nothing. "
                        f"{self.have:,} of {self.total:,} bytes are kept in {self.part}: the same command goes on "
                        f"from there. {_ELSEWHERE}"
                    ) from cut
                pause = pauses[fruitless - 1]
                self.tell(f"{cut}; going on at byte {self.have:,} in {pause:g} s.")
                time.sleep(pause)
        self.tell()

    def _request(self, have: int) -> None:
        """Request the bytes from `have` on and write what arrives."""
        headers = {"User-Agent": "fastmlp", "Accept-Encoding": "identity"}
        if have and self.ranged:
            headers["Range"] = f"bytes={have}-"
        try:
            response = urllib.request.urlopen(  # noqa: S310 - the scheme was checked
                urllib.request.Request(self.url, headers=headers),  # noqa: S310
                timeout=self.timeout,
            )
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, error.reason)
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(f"no connection ({getattr(error, 'reason', None) or error})") from error
        else:
            with response:
                self._write(self._blocks(response, skip=self._start(response, have)), have)

    def _refused(self, code: int, reason: str) -> None:
        if code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.ranged = False
        elif code not in _PASSING:
            raise DownloadError(f"{self.url}: the host answers {code} {reason}. {_ELSEWHERE}")
        raise _CutError(f"the host answers {code} {reason}")

    def _start(self, response: http.client.HTTPResponse, have: int) -> int:
        """Check what the host is about to send; return how many of its first bytes are here already."""
        start, total = 0, response.headers.get("Content-Length")
        if response.status == http.client.PARTIAL_CONTENT:
            stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            start, total = (int(stated[1]), stated[2]) if stated else (-1, None)
        if total not in (None, "*", str(self.total)):
            raise DownloadError(
                f"{self.url} has {total} bytes, the published file {self.total}: this is another file, perhaps "
                f"an error page. {_ELSEWHERE}"
            )
        if start not in (0, have):
            self.ranged = False
            raise _CutError("the host sent another range than asked for")
        return have - start

    def _blocks(self, response: http.client.HTTPResponse, skip: int) -> Iterator[bytes]:
        """Yield what arrives, without the first `skip` bytes; a host that ignores ranges sends those again."""
        while True:
            try:
                block = response.read1(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _CutError(f"connection lost ({error})") from error
            if not block:
                return
            yield block[skip:]
            skip = max(0, skip - len(block))

    def _write(self, blocks: Iterator[bytes], have: int) -> None:
        self.part.touch()
        # Written in place rather than appended: two downloads at once then write the same bytes to the same places.
        with self.part.open("r+b") as file:
            file.seek(have)
            for block in blocks:
                have += file.write(block[: self.total - have])
                self.meter.advance(have)
                if have == self.total:
                    return
        raise _CutError("connection closed early")
