"""Every file that fastmlp reads: a valid one, what makes damaged ones of it, and how to tell what was read is right.

Where a file has checksums, some of the damaged ones have them reckoned anew, so that what lies behind is met too.
"""

import hashlib
import io
import json
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from gzip import compress
from itertools import pairwise
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from bench.fuzz_mutations import Reader, members, need, of_bytes, of_json, zipped
from bench.fuzz_sources import own_data
from bench.fuzz_sweeps import FINGERPRINT, check_dataset, kept_by_sweeps, mapped, small_ones
from fastmlp.config import RunConfig
from fastmlp.data.archives import read_archive
from fastmlp.data.cifar import LAYOUTS
from fastmlp.data.decode import PIXELS, decode
from fastmlp.data.layout import FileSpec, Layout
from fastmlp.errors import DataError
from fastmlp.models.file import FORMATS, load_model, save_model
from fastmlp.models.model import Model
from fastmlp.models.pictures import read_array, read_picture
from fastmlp.nn.history import History, State
from fastmlp.runs import checkpoint


def readers(folder: Path, *, networks: bool = False) -> dict[str, Reader]:
    """Return all readers by name; folder : an empty one for what their samples are made in.

    networks : whether models that are read predict as well, whose kernels take a while to compile
    """
    groups = (
        _archives(),
        _pictures(),
        _arrays(folder, networks=networks),
        kept_by_sweeps(),
        small_ones(),
        mapped(folder),
        own_data(),
    )
    return {reader.about: reader for group in groups for reader in group}


def _npy(array: Any) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def _small_layout(form: str) -> tuple[Layout, dict[str, bytes]]:
    """Return CIFAR-100's layout with two classes a label and no checksums, and files of three images."""
    real = next(one for one in LAYOUTS if (one.dataset, one.form) == ("cifar100", form))

    def bare(specs: Sequence[FileSpec]) -> tuple[FileSpec, ...]:
        return tuple(FileSpec(spec.name) for spec in specs)

    labels = tuple(replace(label, classes=2) for label in real.labels)
    layout = replace(
        real, archive=FileSpec(real.archive.name), train=bare(real.train), test=bare(real.test),
        names=bare(real.names), labels=labels,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    images = rng.integers(0, 4, (3, PIXELS), np.uint8)
    if form == "binary":
        batch = np.hstack([np.eye(3, 2, dtype=np.uint8), images]).tobytes()
        return layout, {"train.bin": batch, "test.bin": batch} | {spec.name: b"one\ntwo\n\n" for spec in layout.names}
    entries = {b"batch_label": b"a", b"data": images, b"filenames": [b"a.png", b"a.png"]}
    batch = _pickled(entries | {label.stem.encode() + b"s": [0, 1, 1] for label in labels})
    names = _pickled({label.stem.encode() + b"_names": [b"one", b"two"] for label in labels})
    return layout, {"train": batch, "test": batch, "meta": names}


def _pickled(value: object) -> bytes:
    return pickle.dumps(value, 3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def _archives() -> list[Reader]:
    found = []
    for form in ("binary", "python"):
        layout, files = _small_layout(form)

        def packed(members: Mapping[str, bytes], layout: Layout = layout) -> bytes:
            data = io.BytesIO()
            with tarfile.open(fileobj=data, mode="w") as archive:
                for name, content in members.items():
                    member = tarfile.TarInfo(f"{layout.folder}/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
            return data.getvalue().rstrip(b"\0") + bytes(1024)

        def read(path: Path, layout: Layout = layout) -> None:
            check_dataset(decode(layout, read_archive(path, layout), "a test"))

        tar = packed(files)
        packed_again = partial(compress, compresslevel=1, mtime=0)
        makers = [of_bytes([packed_again(tar)]), of_bytes([tar], packed_again)]
        found.append(Reader(f"{form} archive", layout.archive.name, makers, read))
        for name in [layout.train[0].name, layout.names[0].name]:

            def read_one(path: Path, layout: Layout = layout, files: Any = files, name: str = name) -> None:
                raw = files | {name: path.read_bytes()}
                arrays = {name: np.frombuffer(content, np.uint8) for name, content in raw.items()}
                check_dataset(decode(layout, arrays, "a test"))

            found.append(Reader(f"{form} {name}", name, [of_bytes([files[name]])], read_one))
    return found


def _sealed_png(content: bytes) -> bytes:
    """Return a PNG file with the CRC of each of its parts reckoned anew."""
    at, sealed = 8, content[:8]
    while at + 8 <= len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        body = content[at + 4 : at + 8 + min(length, 1 << 20)]
        sealed += content[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return sealed


def _pictures() -> list[Reader]:
    from PIL import Image

    pixels = np.random.default_rng(2).integers(0, 256, (9, 12, 4), np.uint8)
    samples = [Image.fromarray(pixels), Image.fromarray(pixels[..., :3])]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "words"
    samples += [samples[1].convert("P"), samples[1].convert("L")]
    found = []
    for suffix in ("png", "jpeg", "gif", "bmp", "webp", "tiff"):
        contents = []
        for picture in samples[1::2] if suffix == "jpeg" else samples:
            data = io.BytesIO()
            more = {"exif": exif} if suffix in ("png", "jpeg", "webp", "tiff") else {}
            more |= {"compression": "tiff_lzw"} if suffix == "tiff" and len(contents) == 1 else {}
            picture.save(data, suffix, **more)
            contents.append(data.getvalue())

        def read(path: Path) -> None:
            row = read_picture(path)
            need(holds=(row.shape, row.dtype, row.flags.c_contiguous) == ((3072,), np.uint8, True), what=row)

        makers = [of_bytes(contents)] + ([of_bytes(contents, _sealed_png)] if suffix == "png" else [])
        found.append(Reader(suffix, f"picture.{suffix}", makers, read))
    return found


def _model() -> Model:
    layers = (4, 3, 2)
    numbers = np.random.default_rng(3).normal(size=sum((d + 1) * h for d, h in pairwise(layers))).astype(np.float32)
    config = RunConfig(dataset="cifar100", layers=layers, normalize="image")
    return Model(layers, "tanh", "float32", numbers, "image", None, ("one", "two"), config, FINGERPRINT)


def _arrays(folder: Path, *, networks: bool) -> list[Reader]:
    rng = np.random.default_rng(4)
    rows = [_npy(rng.normal(size=(30, 4))), _npy(rng.integers(0, 9, (99, 4), np.uint8))]

    def read_rows(path: Path) -> None:
        x = read_array(path, 4, pictures=False)
        need(holds=x.ndim == 2 and x.shape[1] == 4 and x.dtype.kind in "fiub", what=x)
        x[:3].astype(np.float64)

    odd = [*rows, _npy("text"), b"PK\3\4" + rows[0]]
    found = [Reader(".npy", "rows.npy", [of_bytes(rows), of_bytes(odd)], read_rows)]
    model, seen = _model(), set[str]()
    if networks:
        model.predict_proba(np.zeros((2, 4), np.uint8), threads=1)  # compiled before the clock runs

    def read_model(path: Path) -> None:
        back = load_model(path)
        need(holds=len(back.names()) == back.layers[-1])
        facts = repr((back.layers, back.activation, back.precision, back.normalize, back.loss, back.config))
        if networks and facts not in seen and len(seen) < 50:  # a network takes a hundred times as long as its file
            seen.add(facts)
            probabilities = back.predict_proba(np.zeros((2, back.layers[0]), np.uint8), threads=1)
            need(holds=probabilities.shape == (2, back.layers[-1]), what=probabilities)

    for suffix in FORMATS:
        path = folder / f"model{suffix}"
        save_model(path, model)
        content = path.read_bytes()
        makers = [of_bytes([content])]
        if suffix == ".npz":
            makers.append(zipped(members(content)))
        else:
            head = 8 + int.from_bytes(content[:8], "little")

            def packed(text: bytes, rest: bytes = content[head:]) -> bytes:
                return len(text).to_bytes(8, "little") + text + rest

            facts = json.loads(content[8:head])

            def around(text: bytes, facts: Any = facts, packed: Any = packed) -> bytes:
                said = text.decode("latin1")
                digest = hashlib.sha256(said.encode()).hexdigest()
                metadata = {"fastmlp model": said, "sha256": digest}
                return packed(json.dumps(facts | {"__metadata__": metadata}).encode())

            makers += [of_json([facts], packed), of_json([json.loads(facts["__metadata__"]["fastmlp model"])], around)]
        found.append(Reader(f"{suffix} model", path.name, makers, read_model))
    return [*found, _checkpoint(folder)]


def _checkpoint(folder: Path) -> Reader:
    like, path = np.arange(6, dtype=np.float32), folder / "run.npz"
    generator = np.random.default_rng(5).bit_generator.state
    state = State(
        History([1.0, 0.5], [1.0, 0.5], [0.1, 0.2], [0.1, 0.2]), like, like[None] + 1, like + 2, generator, 2.5
    )
    checkpoint.save(path, FINGERPRINT, state)
    content = path.read_bytes()
    parts_of = members(content)
    with np.load(path) as parts:
        facts = json.loads(str(parts["facts"]))

    def packed(text: bytes) -> bytes:
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name, one in (parts_of | {"facts.npy": _npy(np.array(text.decode("latin1")))}).items():
                archive.writestr(zipfile.ZipInfo(name), one)
        return data.getvalue()

    def read(path: Path) -> None:
        back = checkpoint.load(path, FINGERPRINT, like)
        if back is None:
            raise DataError("begin anew")
        need(holds=back.slots.ndim == 2)
        for array in (back.parameters, *back.slots, back.best):
            need(holds=(array.shape, array.dtype) == (like.shape, like.dtype) and bool(np.isfinite(array).all()))
        np.random.default_rng().bit_generator.state = back.generator
        need(holds=all(isfinite(n) for series in vars(back.history).values() for n in series))
        need(holds=isfinite(back.seconds) and (back.began is None or len(back.began) == 2))

    return Reader("checkpoint", path.name, [of_bytes([content]), zipped(parts_of), of_json([facts], packed)], read)
