"""What a bad disk, or someone who means ill, makes of a file: bytes changed at random, documents changed in kind."""

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

Maker = Callable[[Random], bytes]

_EDGES = [edge for bits in (7, 8, 15, 16, 31, 32, 63, 64) for edge in (2**bits - 1, 2**bits)]
_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400, 0.0, -0.0, 0.5, 1e-320, 1e308, -1e308)
_NO_NUMBERS = (float("nan"), float("inf"), -float("inf"), None, True, False)
_TEXTS = (
    "", " ", "a", "../../../../X", "/", "\0", "\n\r\t", "a|b", "$x$", "=1", "\x1b[2J", "\ud800", "\N{SNOWMAN}",
    "0" * 16, "f" * 64, "x" * 5000,
)  # fmt: skip
_NESTED = ([], [[]], [None], ["a"], [0] * 300, {}, {"": None}, {"a": {"b": []}})
_ODD: list[Any] = [*_NUMBERS, *_NO_NUMBERS, *_TEXTS, *_NESTED]


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    name : of the file, as the reader wants it; makers : of damaged ones
    read(path) : reads it and checks what comes back: raises AssertionError where that is no valid object
    """

    about: str
    name: str
    makers: Sequence[Maker]
    read: Callable[[Path], None]

    def make(self, rng: Random) -> bytes:
        """Return a damaged file."""
        return rng.choice(self.makers)(rng)


def need(*, holds: bool, what: object = "") -> None:
    """Raise AssertionError unless it holds, also where Python leaves assertions out."""
    if not holds:
        raise AssertionError(str(what)[:200])


def of_bytes(samples: Sequence[bytes], pack: Callable[[bytes], bytes] = bytes) -> Maker:
    """Return what makes files of these, changed byte by byte; pack : what is done with the bytes after that."""

    def make(rng: Random) -> bytes:
        content = rng.choice(samples)
        for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
            if rng.random() < 0.1:  # the end of another
                other = rng.choice(samples)
                content = content[: rng.randrange(len(content) + 1)] + other[rng.randrange(len(other) + 1) :]
            content = rng.choice(_BYTES)(content, rng)[: 1 << 20]
        return pack(content)

    return make


def of_documents(samples: Sequence[Any], pack: Callable[[Any], bytes]) -> Maker:
    """Return what makes files of these values of JSON, changed in type, depth, size and number."""

    def make(rng: Random) -> bytes:
        document = rng.choice(samples)
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            document = _changed(document, rng)
        return pack(document)

    return make


def of_json(samples: Sequence[Any], pack: Callable[[bytes], bytes] = bytes) -> Maker:
    """Return what makes JSON texts of these values; some have a key twice, or are nested deeper than Python goes."""

    def text(document: Any) -> bytes:
        return pack(json.dumps(document).encode())

    plain, byte_wise = of_documents(samples, text), of_bytes([json.dumps(one).encode() for one in samples], pack)

    def make(rng: Random) -> bytes:
        chance = rng.random()
        if chance < 0.01:
            return pack(rng.choice((b"[", b'{"a":')) * rng.choice((900, 100_000)))
        if chance < 0.05 and isinstance(sample := rng.choice(samples), dict) and sample:
            twice = json.dumps({rng.choice(list(sample)): rng.choice(_ODD)})
            return pack((json.dumps(sample)[:-1] + ", " + twice[1:]).encode())
        return (plain if chance < 0.6 else byte_wise)(rng)

    return make


def zipped(samples: Mapping[str, bytes]) -> Maker:
    """Return what makes zips of these members, one of them changed, with the right CRCs."""
    facts = {name: json.loads(content) for name, content in samples.items() if name.endswith(".json")}

    def make(rng: Random) -> bytes:
        name = rng.choice(list(samples))
        maker = of_json([facts[name]]) if name in facts else of_bytes([samples[name]])
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for member, content in (dict(samples) | {name: maker(rng)}).items():
                archive.writestr(zipfile.ZipInfo(member), content)
        return data.getvalue()

    return make


def members(content: bytes) -> dict[str, bytes]:
    """Return what is in a zip, by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _changed(value: Any, rng: Random) -> Any:
    """Return a copy with one place in it changed."""
    if isinstance(value, dict | list) and value and rng.random() < 0.9:
        items = dict(value) if isinstance(value, dict) else list(value)
        key = rng.choice(list(items)) if isinstance(items, dict) else rng.randrange(len(items))
        chance = rng.random()
        if chance < 0.08:
            del items[key]
        elif chance < 0.16:
            other = rng.choice(list(items)) if isinstance(items, dict) else rng.randrange(len(items))
            items[key], items[other] = items[other], items[key]  # type: ignore[index] - a key of either kind
        elif chance < 0.2 and isinstance(items, dict):
            items[str(rng.choice(_ODD))] = items.pop(key)
        elif chance < 0.2:
            items = items * rng.choice((2, 50))  # type: ignore[operator] - a list
        else:
            items[key] = _changed(items[key], rng)  # type: ignore[index]
        return items
    chance = rng.random()
    if chance < 0.1:
        return [value] if chance < 0.05 else {"a": value}
    if isinstance(value, float) and chance < 0.4:
        return value * rng.choice((-1, 2, 10, 1e9))
    if isinstance(value, int) and chance < 0.4:
        return value * rng.choice((-1, 2, 10, 10**9)) + rng.choice((0, 1, -1))
    if isinstance(value, str) and value and chance < 0.4:
        at = rng.randrange(len(value))
        return value[:at] + rng.choice(("", "a", "7", "\0", "/", "..", value)) + value[at + rng.randrange(2) :]
    return rng.choice(_ODD)


def _bits(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(content: bytes, rng: Random) -> bytes:
    return content[: rng.randrange(len(content) + 1)]


def _remove(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at + rng.choice((1, 2, 4, 100, 4096)) :]


def _repeat(content: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + content[at : at + rng.choice((1, 4, 64))] * rng.choice((2, 100)) + content[at:]


def _zero(content: bytes, rng: Random) -> bytes:
    at, count = rng.randrange(len(content) + 1), rng.choice((1, 8, 512))
    return content[:at] + bytes([rng.choice((0, 255, rng.randrange(256)))]) * count + content[at + count :]


def _integer(content: bytes, rng: Random) -> bytes:
    at, width = rng.randrange(len(content) + 1), rng.choice((1, 2, 4, 8))
    number = (rng.choice(_EDGES) + rng.choice((-1, 0, 1))) % 256**width
    return content[:at] + number.to_bytes(width, rng.choice(("little", "big"))) + content[at + width :]


def _digits(content: bytes, rng: Random) -> bytes:
    """Put another number in the place of one that is written in digits."""
    places = [i for i, byte in enumerate(content[:2000]) if 48 <= byte < 58]
    if not places:
        return content
    at = end = rng.choice(places)
    while end < len(content) and 48 <= content[end] < 58:
        end += 1
    return content[:at] + str(rng.choice((*_EDGES, -1, 10**20, 10**100))).encode() + content[end:]


_BYTES = (_bits, _bits, _cut, _remove, _repeat, _zero, _integer, _integer, _digits)
