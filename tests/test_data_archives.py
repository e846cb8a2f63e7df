import gzip
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from data_forms import FORMS, Miniature, miniature, spec
from fastmlp.data.archives import fetch_command, read_archive, read_folder
from fastmlp.errors import DataError


@pytest.fixture(params=FORMS, ids="-".join)
def mini(request) -> Miniature:
    return miniature(*request.param)


@pytest.fixture
def cifar100() -> Miniature:
    return miniature("cifar100", "binary")


def test_folder_and_archive_give_the_published_bytes(tmp_path, mini):
    archive = mini.archive(tmp_path)
    for raw in (read_folder(mini.folder(tmp_path), mini.layout), read_archive(archive, mini.layout)):
        assert {name: content.tobytes() for name, content in raw.items()} == mini.files


@pytest.mark.parametrize("change", ["cut", "flipped", "grown", "missing"])
def test_a_damaged_file_is_named(tmp_path, mini, change):
    folder, name = mini.folder(tmp_path), mini.layout.train[0].name
    content = bytearray(mini.files[name])
    content[len(content) // 2] ^= 1
    damaged = {"cut": mini.files[name][:-7], "flipped": bytes(content), "grown": mini.files[name] + b"!"}
    if change == "missing":
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(damaged[change])
    fault = {"cut": "cut short", "flipped": "SHA1 is", "grown": "another file", "missing": "is missing"}[change]
    with pytest.raises(DataError, match=fault) as caught:
        read_folder(folder, mini.layout)
    assert str(folder / name) in str(caught.value)
    assert fetch_command(mini.layout) in str(caught.value)


def test_both_sizes_or_both_sums_are_in_the_message(tmp_path, cifar100):
    folder = cifar100.folder(tmp_path)
    (folder / "train.bin").write_bytes(b"short")
    with pytest.raises(DataError, match=r"5 bytes, expected 18,444"):
        read_folder(folder, cifar100.layout)
    (folder / "train.bin").write_bytes(bytes(18444))
    found, expected = (
        str(one.digest).removeprefix("sha1:") for one in (spec("", bytes(18444), "sha1"), cifar100.layout.train[0])
    )
    with pytest.raises(DataError, match=f"its SHA1 is {found}, expected {expected}"):
        read_folder(folder, cifar100.layout)


@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_a_damaged_archive_is_refused_before_it_is_opened(tmp_path, mini, change, monkeypatch):
    archive = mini.archive(tmp_path)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 1
    archive.write_bytes(content[:-9] if change == "cut" else content)
    monkeypatch.setattr(tarfile, "open", lambda *_, **__: pytest.fail("opened an unverified archive"))
    with pytest.raises(DataError, match={"cut": "cut short", "flipped": "MD5 is"}[change]) as caught:
        read_archive(archive, mini.layout)
    assert str(archive) in str(caught.value)
    assert fetch_command(mini.layout) in str(caught.value)


def link(name: str, to: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def plain(name: str, size: int = 5) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def test_members_that_point_outside_are_passed_over(tmp_path, cifar100):
    inside = tmp_path / "inside"
    strangers = [
        plain("../outside"),
        plain(str(tmp_path / "absolute")),
        plain("cifar-100-binary/../../outside"),
        plain("./cifar-100-binary/train.bin"),
        link("cifar-100-binary/other", "/etc/passwd", tarfile.SYMTYPE),
        link("cifar-100-binary/pipe", "", tarfile.FIFOTYPE),
    ]
    archive = cifar100.archive(inside, strangers)
    raw = read_archive(archive, cifar100.layout)
    assert {name: content.tobytes() for name, content in raw.items()} == cifar100.files
    assert [path.name for path in tmp_path.rglob("*")] == ["inside", archive.name]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_link_under_a_wanted_name_is_refused(tmp_path, cifar100, kind):
    archive = cifar100.archive(tmp_path, [link("cifar-100-binary/train.bin", "/etc/passwd", kind)])
    with pytest.raises(DataError, match=r"train\.bin in .* is a link or a device"):
        read_archive(archive, cifar100.layout)


def test_a_member_of_another_size_is_refused(tmp_path, cifar100):
    archive = cifar100.archive(tmp_path, [plain("cifar-100-binary/train.bin", 99)])
    with pytest.raises(DataError, match=r"train\.bin in .* has 99 bytes, expected 18,444"):
        read_archive(archive, cifar100.layout)


def test_a_member_of_unknown_size_has_a_limit(tmp_path, cifar100):
    names = (replace(cifar100.layout.names[0], size=None), cifar100.layout.names[1])
    cifar100.layout = replace(cifar100.layout, names=names)
    member = plain("cifar-100-binary/coarse_label_names.txt", 0)
    archive = cifar100.archive(tmp_path, [member])
    head = bytearray(gzip.decompress(archive.read_bytes()))
    member.size = 200_000_001
    head[:512] = member.tobuf()
    archive.write_bytes(gzip.compress(head))
    layout = replace(cifar100.layout, archive=spec(archive.name, archive.read_bytes(), "md5"))
    with pytest.raises(DataError, match="claims 200,000,001 bytes"):
        read_archive(archive, layout)


def test_another_archive_under_the_name_is_refused(tmp_path, cifar100):
    other = miniature("cifar10", "binary")
    archive = other.archive(tmp_path)
    with pytest.raises(DataError, match="expected 168,513,733"):
        read_archive(archive, cifar100.layout)
    layout = replace(cifar100.layout, archive=other.layout.archive)
    with pytest.raises(DataError, match=r"holds no cifar-100-binary/train\.bin"):
        read_archive(archive, layout)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>busy</html>", gzip.compress(b"not a tar", mtime=0), gzip.compress(b"", mtime=0)],
    ids=["empty", "page", "no tar", "empty tar"],
)
def test_what_is_no_archive_is_a_data_error(tmp_path, cifar100, content):
    path = tmp_path / "a.tar.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.tar\.gz"):
        read_archive(path, replace(cifar100.layout, archive=spec("a.tar.gz", content, "md5")))


def test_nothing_is_written(tmp_path, mini):
    archive = mini.archive(tmp_path)
    read_archive(archive, mini.layout)
    assert list(tmp_path.rglob("*")) == [archive]


def test_folder_bytes_are_uint8(tmp_path, cifar100):
    raw = read_folder(cifar100.folder(tmp_path), cifar100.layout)
    assert all(content.dtype == np.uint8 and content.ndim == 1 for content in raw.values())


def test_class_names_that_no_file_holds_are_not_read(cifar100, tmp_path):
    bare = replace(cifar100.layout.names[0], size=None, digest=None)
    layout = replace(cifar100.layout, names=(bare, *cifar100.layout.names[1:]))
    folder = cifar100.folder(tmp_path)
    with (folder / bare.name).open("r+b") as file:
        file.truncate(20 << 30)
    with pytest.raises(DataError, match="claims 21,474,836,480 bytes, more than any published file; 1,048,576 are"):
        read_folder(folder, layout)
