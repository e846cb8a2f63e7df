"""Whom a download asks, with whose password, and what it believes of what a host says."""

import base64
import io
from http.client import HTTPMessage

import pytest

from data_server import Handler, fixed, serving
from fastmlp.data import Progress, web
from fastmlp.errors import ConfigError, DownloadError
from test_data_download import CONTENT, direct, get, notes  # noqa: F401 - a fixture is found by its name


@pytest.fixture
def told() -> list[Progress]:
    return []


@pytest.mark.parametrize(
    "url",
    [
        "http://[::1", "http://", "http:///x", "http://a b/", "http://a\x1b[2J/", "http://h:99999/", "http://h:0/",
        "http://h:x/", "http://\xfc.org/", "http://\udcff/", "http://a..b/", "http://" + "a" * 300, "http://h/?q", "http://h/#f",
        "http://h\\x/", "http://who:secret@/", "http://who:secret@h:99999", "ftp://who:secret@h/", "who:secret@h/",
        "http:/who:secret@h/", "http://who:se cret@h/",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_asked_is_refused_without_its_password(tmp_path, told, url):
    with pytest.raises(ConfigError, match=r"^--mirror '.* Allowed is a web folder") as caught:
        get(tmp_path, url, told)
    assert "cret" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert told == []


def with_password(url: str) -> str:
    return url.replace("//", "//who:s%65cret@")


def test_a_password_goes_to_its_host_alone_and_is_never_told(tmp_path, told):
    asked = []

    def note(handler: Handler) -> None:
        asked.append(handler.headers["Authorization"])
        handler.send(503, b"")

    def send_on(handler: Handler) -> None:
        asked.append(handler.headers["Authorization"])
        handler.send(302, b"", Location=f"{other.url}/a.tar.gz")

    with (
        serving(CONTENT, note) as other,
        serving(CONTENT, note, send_on) as server,
        pytest.raises(DownloadError) as caught,
    ):
        get(tmp_path, with_password(server.url), told, pauses=(0,))
    basic = f"Basic {base64.b64encode(b'who:secret').decode()}"
    assert asked == [basic, basic, None]
    for said in (str(caught.value), notes(told)):
        assert "secret" not in said
        assert "s%65cret" not in said
    assert server.url in str(caught.value)


@pytest.mark.parametrize(
    "to", ["ftp://h/x", "file:///etc/passwd", "data:,x", "http://[::1", "http://h:99999/", "gopher://who:secret@h"]
)
def test_an_answer_may_send_on_to_web_addresses_alone(tmp_path, told, to):
    with serving(b"", fixed(302, Location=to)) as server, pytest.raises(DownloadError) as caught:
        get(tmp_path, server.url, told)
    assert "the host sends on to" in str(caught.value) or "is not allowed" in str(caught.value)
    assert "secret" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_https_is_never_left_for_http():
    redirects, request = web._Redirects(), web.request_for("https://h/x", 0)
    assert redirects.redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), "https://other/x")
    with pytest.raises(DownloadError, match="followed are redirections to https alone"):
        redirects.redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), "http://h/x")


def test_a_host_that_sends_on_for_ever_is_an_error(tmp_path, told):
    def again(handler: Handler) -> None:
        handler.send(302, b"", Location=handler.path)

    with serving(b"", *[again] * 20) as server, pytest.raises(DownloadError, match="answers 302") as caught:
        get(tmp_path, server.url, told)
    assert "\n" not in str(caught.value)
    assert len(server.ranges) <= 11


def test_what_a_host_says_is_told_without_control_characters(tmp_path, told):
    def rude(handler: Handler) -> None:
        handler.send_response(404, "\x1b]0;title\x07 \x9b2J" + "x" * 1000)
        handler.end_headers()

    with serving(b"", rude) as server, pytest.raises(DownloadError, match="answers 404") as caught:
        get(tmp_path, server.url, told)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


def test_a_proxy_that_is_no_address_is_told_without_its_password(tmp_path, told, monkeypatch):
    monkeypatch.setenv("http_proxy", "http:/who:secret@proxy:80")
    with pytest.raises(DownloadError, match="the proxy that the environment names") as caught:
        get(tmp_path, "http://h.invalid", told)
    assert "cret" not in str(caught.value)
