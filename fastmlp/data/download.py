"""The download of one file over HTTP from slow hosts: resumed after a cut, verified, and only then given its name."""

import http.client
import re
import shutil
import time
import urllib.error
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastmlp.data.layout import FileSpec, check_digest, check_size
from fastmlp.data.meter import Meter, OnProgress
from fastmlp.data.part import Part
from fastmlp.data.places import wrong_address
from fastmlp.data.web import opener, plain, request_for, shown
from fastmlp.errors import ConfigError, DataError, DownloadError
from fastmlp.files import opened

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
    """Download `base_url/spec.name` into `folder` and return its path; a whole file of that name is kept as it is.

    The bytes go to `<name>.part`, which a later call continues (HTTP Range). It is renamed once length and checksum are
    those of `spec`, which must state its size. Of several processes that fetch it into one folder, one does and the
    others wait for it.

    pauses : seconds to wait after the first, second, ... attempt in a row that brought nothing; one more ends it
    timeout : seconds of silence after which a connection counts as lost

    Raises DownloadError, naming the cause and what to do; ConfigError for an address that is no web folder.
    """
    if wrong := wrong_address(base_url):
        raise ConfigError(f"--mirror {wrong}")
    if spec.size is None:
        raise ConfigError(f"{spec.name} has no known size and cannot be downloaded.")
    target, meter = folder / spec.name, Meter(spec.name, spec.size, on_progress)
    try:
        if target.exists():
            if not (fault := _fault(spec, target)):
                return target
            meter.report(0, f"{fault} Fetching it again.")
        folder.mkdir(parents=True, exist_ok=True)
        waiting = f"Another process is downloading {spec.name} into {folder}; waiting for its end."
        with Part(folder / f"{spec.name}.part", lambda: meter.report(0, waiting)) as part:
            if target.exists() and not _fault(spec, target):  # the other one's
                return target
            _fetch(_Transfer(spec, spec.size, f"{base_url.rstrip('/')}/{spec.name}", part, meter, timeout), pauses)
            part.become(target)
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(f"Cannot write into {folder}: {error.strerror}. Name another with --data-dir.") from error
    return target


def _fetch(transfer: "_Transfer", pauses: Sequence[float]) -> None:
    transfer.make_room()
    resumed = transfer.have > 0
    transfer.fill(pauses)
    if resumed and (fault := transfer.fault()):
        # The bytes of an earlier session may be the bad ones: one clean try is due before the host is blamed.
        transfer.discard(fault)
        transfer.fill(pauses)
    if fault := transfer.fault():
        transfer.discard(fault)
        raise DownloadError(f"{transfer.shown} is not the published file. {fault} {_ELSEWHERE}")


def _fault(spec: FileSpec, path: Path) -> str:
    """Return how the file at `path` differs from the published one, as a sentence; empty where it does not."""
    try:
        with opened(path) as file:
            check_size(spec, str(path), path.stat().st_size, "")
            check_digest(spec, str(path), file, "")
    except DataError as error:
        return str(error).strip()
    return ""


class _CutError(Exception):
    """The connection ended early; the bytes that arrived are kept, and another attempt may continue after them."""


class _Transfer:
    """One download: its part file, the requests that fill it, and the reports on its progress."""

    def __init__(self, spec: FileSpec, total: int, url: str, part: Part, meter: Meter, timeout: float) -> None:
        self.spec, self.total, self.part, self.meter, self.timeout = spec, total, part, meter, timeout
        self.url, self.shown = url, shown(url)
        self.ranged = True  # whether the host is believed to serve ranges

    @property
    def have(self) -> int:
        """Bytes in the part file."""
        return self.part.size

    def fault(self) -> str:
        """Return how the part file differs from the published one, as a sentence; empty where it does not."""
        return _fault(self.spec, self.part.path)

    def tell(self, note: str = "") -> None:
        """Report the length of the part file, and a note with it."""
        self.meter.report(self.have, note)

    def make_room(self) -> None:
        """Check that the disk has room for the rest; DownloadError where it has not."""
        folder = self.part.path.parent
        free, rest = shutil.disk_usage(folder).free, self.total - self.have
        if free < rest:
            raise DownloadError(
                f"{folder} has {free:,} bytes free and {self.spec.name} needs {rest:,} more. "
                "Make room, or name another folder with --data-dir."
            )

    def discard(self, why: str) -> None:
        """Empty the part file and report why."""
        self.part.clear()
        self.tell(f"{why} The part is discarded.")

    def fill(self, pauses: Sequence[float]) -> None:
        """Request until the part file has its full length, however often the connection is cut."""
        if self.have > self.total:
            self.discard(f"{self.part.path} is longer than the published file.")
        fruitless = 0
        self.tell()
        while (have := self.have) < self.total:
            try:
                self._request(have)
            except _CutError as cut:
                fruitless = 1 if self.have > have else fruitless + 1
                if fruitless > len(pauses):
                    raise DownloadError(
                        f"{self.shown}: {cut}; gave up after {fruitless} attempts in a row that brought nothing. "
                        f"{self.have:,} of {self.total:,} bytes are kept in {self.part.path}: the same command goes on "
                        f"from there. {_ELSEWHERE}"
                    ) from cut
                pause = pauses[fruitless - 1]
                self.tell(f"{cut}; going on at byte {self.have:,} in {pause:g} s.")
                time.sleep(pause)
        self.tell()

    def _request(self, have: int) -> None:
        """Request the bytes from `have` on and write what arrives."""
        try:
            response = opener().open(request_for(self.url, have if self.ranged else 0), timeout=self.timeout)
        except urllib.error.HTTPError as error:
            with error:
                self._refused(error.code, plain(error.reason))
        except DownloadError as error:  # of a redirection
            raise DownloadError(f"{self.shown}: {error} {_ELSEWHERE}") from error
        except ValueError as error:  # not in words of its own: they have the proxy's password
            raise DownloadError(
                f"{self.shown} cannot be asked: the proxy that the environment names (http_proxy, https_proxy, "
                "all_proxy) is no address that can be used."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise _CutError(f"no connection ({plain(getattr(error, 'reason', None) or error)})") from error
        else:
            with response:
                self._write(self._blocks(response, skip=self._start(response, have)), have)

    def _refused(self, code: int, reason: str) -> None:
        if code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            self.ranged = False
        elif code not in _PASSING:
            raise DownloadError(f"{self.shown}: the host answers {code} {reason}. {_ELSEWHERE}")
        raise _CutError(f"the host answers {code} {reason}")

    def _start(self, response: http.client.HTTPResponse, have: int) -> int:
        """Check length and range that the host announces; return how many of its first bytes the part file has."""
        start, total = 0, response.headers.get("Content-Length")
        if response.status == http.client.PARTIAL_CONTENT:
            stated = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            start, total = (int(stated[1]), stated[2]) if stated else (-1, None)
        if total not in (None, "*", str(self.total)):
            raise DownloadError(
                f"{self.shown} has {plain(total)} bytes, the published file {self.total}: this is another file, "
                f"perhaps an error page. {_ELSEWHERE}"
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
                raise _CutError(f"connection lost ({plain(error)})") from error
            if not block:
                return
            yield block[skip:]
            skip = max(0, skip - len(block))

    def _write(self, blocks: Iterator[bytes], have: int) -> None:
        for block in blocks:
            have += self.part.write(block[: self.total - have], have)
            self.meter.advance(have)
            if have == self.total:
                return
        raise _CutError("connection closed early")
