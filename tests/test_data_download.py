import hashlib
from dataclasses import replace
from itertools import count
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import pytest

from data_forms import miniature, spec
from data_server import Handler, cut, fixed, proper, serving
from fastmlp.data import Progress, load_dataset
from fastmlp.data.download import download_file
from fastmlp.errors import ConfigError, DownloadError

CONTENT = b"".join(hashlib.sha256(bytes([n])).digest() for n in range(250)) * 40  # 320,000 bytes
SPEC = spec("a.tar.gz", CONTENT, "md5")
TOTAL = len(CONTENT)
QUICK = (0.0, 0.0, 0.0)


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def told() -> list[Progress]:
    return []


def get(folder, url, told, pauses=QUICK, timeout=5.0):
    return download_file(SPEC, folder, url, on_progress=told.append, pauses=pauses, timeout=timeout)


def notes(told: list[Progress]) -> str:
    return "\n".join(one.note for one in told if one.note)


def test_a_whole_download_takes_its_name_last(tmp_path, told):
    with serving(CONTENT) as server:
        path = get(tmp_path / "new" / "folder", server.url, told)
        assert get(tmp_path / "new" / "folder", server.url + "/", told) == path  # nothing is fetched twice
    assert path == tmp_path / "new" / "folder" / "a.tar.gz"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]
    assert server.ranges == [None]
    assert notes(told) == ""
    assert (told[0].done, told[-1].done, told[-1].total, told[-1].name) == (0, TOTAL, TOTAL, "a.tar.gz")


def test_a_cut_connection_goes_on_where_it_stopped(tmp_path, told):
    with serving(CONTENT, cut(100_000), cut(1), cut(0), cut(100_000)) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=100001-", "bytes=100001-", "bytes=200001-"]
    assert notes(told).count("connection closed early") == 4
    assert "going on at byte 100,001" in notes(told)


def test_a_later_call_goes_on_with_the_part(tmp_path, told):
    with serving(CONTENT, cut(200_000)) as server, pytest.raises(DownloadError):
        get(tmp_path, server.url, told, pauses=())
    assert (tmp_path / "a.tar.gz.part").read_bytes() == CONTENT[:200_000]
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == ["bytes=200000-"]


def test_progress_in_between_restores_patience(tmp_path, told):
    script = [answer for n in range(5) for answer in (cut(1000 + n), cut(0), cut(0))]
    with serving(CONTENT, *script) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert len(server.ranges) == 16


def test_it_gives_up_and_says_how_to_go_on(tmp_path, told):
    with serving(CONTENT, cut(5000), *[fixed(503)] * 9) as server, pytest.raises(DownloadError) as caught:
        get(tmp_path, server.url, told)
    assert len(server.ranges) == 4
    for part in (server.url, "503", "5,000 of 320,000", str(tmp_path / "a.tar.gz.part"), "--mirror", "--data-dir"):
        assert part in str(caught.value)
    assert not (tmp_path / "a.tar.gz").exists()


def test_a_host_that_is_not_there(tmp_path, told):
    with serving(CONTENT) as server:
        url = server.url
    with pytest.raises(DownloadError, match=r"no connection .* gave up after 4 attempts"):
        get(tmp_path, url, told)


def test_a_host_that_falls_silent(tmp_path, told):
    asked_again = Event()

    def keep_open(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(TOTAL))
        handler.end_headers()
        handler.wfile.write(CONTENT[:1000])
        handler.wfile.flush()
        assert asked_again.wait(60)

    def go_on(handler: Handler) -> None:
        asked_again.set()
        proper(handler)

    with serving(CONTENT, keep_open, go_on) as server:
        assert get(tmp_path, server.url, told, timeout=0.2).read_bytes() == CONTENT
    assert "connection lost" in notes(told)
    assert server.ranges == [None, "bytes=1000-"]


def test_a_host_that_ignores_ranges_is_read_from_the_start(tmp_path, told):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:150_000])
    with serving(CONTENT, fixed(200, CONTENT[:1000], Content_Length=str(TOTAL)), fixed(200, CONTENT)) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == ["bytes=150000-"] * 2


@pytest.mark.parametrize(
    "answer",
    [
        fixed(206, CONTENT[7:], Content_Range=f"bytes 7-{TOTAL - 1}/{TOTAL}"),
        fixed(206, CONTENT[1000:]),
        fixed(206, CONTENT[1000:], Content_Range="nonsense"),
        fixed(416),
    ],
    ids=["wrong start", "no Content-Range", "nonsense", "416"],
)
def test_a_host_that_gets_ranges_wrong_is_asked_for_the_whole(tmp_path, told, answer):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:1000])
    with serving(CONTENT, answer) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_an_altered_part_is_thrown_away_and_said(tmp_path, told):
    (tmp_path / "a.tar.gz.part").write_bytes(bytes(1000))
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]
    assert "a.tar.gz.part is altered" in notes(told)
    assert "discarded" in notes(told)


def test_a_part_that_is_too_long_is_thrown_away_and_said(tmp_path, told):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT + b"!")
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert server.ranges == [None]
    assert "longer than the published file" in notes(told)


def test_a_part_that_is_whole_needs_no_host(tmp_path, told):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT)
    assert get(tmp_path, "http://127.0.0.1:9", told).read_bytes() == CONTENT


def test_altered_bytes_from_the_host_never_get_the_name(tmp_path, told):
    altered = CONTENT[:-1] + b"!"
    with serving(altered) as server, pytest.raises(DownloadError, match="is not the published file") as caught:
        get(tmp_path, server.url, told)
    for digest in (SPEC.digest, spec("", altered, "md5").digest):
        assert str(digest).removeprefix("md5:") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (fixed(404), "answers 404"),
        (fixed(403), "answers 403"),
        (fixed(200, b"<html>log in</html>"), "has 19 bytes, the published file 320000"),
        (fixed(206, b"x", Content_Range="bytes 0-0/99"), "has 99 bytes, the published file 320000"),
    ],
)
def test_a_wrong_answer_is_not_tried_again(tmp_path, told, answer, fault):
    with serving(CONTENT, answer) as server, pytest.raises(DownloadError, match=fault) as caught:
        get(tmp_path, server.url, told)
    assert len(server.ranges) == 1
    assert "--mirror" in str(caught.value)


@pytest.mark.parametrize("more", [b"", b"and more"])
def test_a_body_of_unknown_length_is_read_to_the_published_end(tmp_path, told, more):
    def nameless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(CONTENT + more)

    with serving(CONTENT, nameless) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert notes(told) == ""


def test_redirects_keep_the_range(tmp_path, told):
    (tmp_path / "a.tar.gz.part").write_bytes(CONTENT[:1000])
    with serving(CONTENT) as target, serving(b"", fixed(302, Location=f"{target.url}/a.tar.gz")) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert target.ranges == ["bytes=1000-"]


def test_a_damaged_file_under_the_name_is_fetched_again(tmp_path, told):
    (tmp_path / "a.tar.gz").write_bytes(b"old")
    with serving(CONTENT) as server:
        assert get(tmp_path, server.url, told).read_bytes() == CONTENT
    assert "Fetching it again" in notes(told)


def test_an_interrupt_keeps_the_part(tmp_path):
    def stop(progress: Progress) -> None:
        if progress.done:
            raise KeyboardInterrupt

    with serving(CONTENT, cut(50_000)) as server, pytest.raises(KeyboardInterrupt):
        download_file(SPEC, tmp_path, server.url, on_progress=stop, pauses=QUICK)
    part = (tmp_path / "a.tar.gz.part").read_bytes()
    assert part
    assert part == CONTENT[: len(part)]


def test_the_speed_is_above_zero_while_bytes_arrive(tmp_path, told, monkeypatch):
    monkeypatch.setattr("fastmlp.data.download._BLOCK", 80_000)
    clock = count(100.0, 0.27)  # each look at it is later by more than two reports must be apart
    monkeypatch.setattr("fastmlp.data.meter.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with serving(CONTENT) as server:
        get(tmp_path, server.url, told)
    assert told[0].bytes_per_second == 0
    assert any(0 < one.done < TOTAL and one.bytes_per_second > 0 for one in told)


@pytest.mark.parametrize("url", ["ftp://host/x", "file:///etc", "mirror.org/x", ""])
def test_only_web_addresses(tmp_path, told, url):
    with pytest.raises(ConfigError, match="must begin with https:// or http://"):
        get(tmp_path, url, told)


def test_a_folder_that_cannot_be_made(tmp_path, told):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match=r"Cannot write into .*file.*--data-dir"):
        get(tmp_path / "file" / "folder", "http://127.0.0.1:9", told)


def test_a_full_disk_is_seen_before_the_download(tmp_path, told):
    huge = replace(SPEC, size=1 << 60)
    with pytest.raises(DownloadError, match=r"bytes free and a\.tar\.gz needs 1,152,921,504,606,846,976 more"):
        download_file(huge, tmp_path, "http://127.0.0.1:9", on_progress=told.append)


def test_a_file_of_unknown_size_is_no_download(tmp_path, told):
    with pytest.raises(ConfigError, match="no known size"):
        download_file(replace(SPEC, size=None), tmp_path, "http://127.0.0.1:9", on_progress=told.append)


def test_a_folder_that_cannot_be_entered_is_named(tmp_path, monkeypatch):
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)
    with pytest.raises(DownloadError, match=r"Cannot write into .*Permission denied\. Name another with --data-dir"):
        download_file(SPEC, tmp_path, "http://127.0.0.1:9")


@pytest.mark.parametrize("name", ["cifar100", "cifar10"])
def test_load_dataset_fetches_and_reads(tmp_path, monkeypatch, told, name):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    mini = miniature(name, "binary")
    content = mini.archive(tmp_path / "host").read_bytes()
    with serving(content, proper) as server:
        for _ in range(2):
            data = load_dataset(name, mirror=server.url, on_progress=told.append, layouts=[mini.layout])
            assert data.source.endswith("official binary archive, checksums verified")
    assert len(server.ranges) == 1
    assert (tmp_path / "fastmlp" / mini.layout.archive.name).exists()
    assert told[-1].done == len(content)
