"""HTTP requests for a download: byte ranges, passwords, proxies, and which redirections are followed."""

import base64
import urllib.request
from http.client import HTTPMessage
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from fastmlp.data.places import without_password, wrong_host
from fastmlp.errors import DownloadError

_MOST_LETTERS = 200  # of what a host says, in a message


def shown(url: str) -> str:
    """Return an address without name and password, as it is shown in messages."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()


def request_for(url: str, start: int) -> urllib.request.Request:
    """Return the request for a file from byte `start` on, with the name and password in its address, if any."""
    request = urllib.request.Request(shown(url), headers={"User-Agent": "fastmlp", "Accept-Encoding": "identity"})  # noqa: S310 - the scheme was checked
    if start:
        request.add_header("Range", f"bytes={start}-")
    who, at, _ = urlsplit(url).netloc.rpartition("@")
    if at:
        # Unredirected: it is for no other host, to which an answer may send on.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(unquote(who).encode()).decode()}")
    return request


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections to web addresses alone, and from https never to http; ten at most, as urllib has it."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        """Follow a redirection, and close the connection where it is refused."""
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError as error:  # where it cannot be parsed
            fp.close()
            raise DownloadError(f"the host sends on to what is no address ({plain(error)}).") from error
        except DownloadError:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request for the new address; DownloadError where it is not to be followed."""
        old, new = (urlsplit(url).scheme for url in (req.full_url, newurl))
        allowed = ("https",) if old == "https" else ("http", "https")
        if new not in allowed or wrong_host(newurl):
            raise DownloadError(
                f"the host sends on to {plain(newurl)}; followed are redirections to {' and '.join(allowed)} alone."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opener() -> urllib.request.OpenerDirector:
    """Return an opener of requests that uses the proxies named in the environment."""
    return urllib.request.build_opener(_Redirects)


def plain(answer: object) -> str:
    """Return a host's answer as one short line, without control characters and passwords."""
    text = " ".join(without_password(str(answer)).split())
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_MOST_LETTERS])
