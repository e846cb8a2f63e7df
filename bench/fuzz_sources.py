"""The files of anyone's own data, for `bench.fuzz`: arrays, IDX and svmlight files, lists of pictures and pictures."""

import io
from collections.abc import Callable, Mapping
from functools import partial
from gzip import compress
from pathlib import Path

import numpy as np

from bench.fuzz_mutations import Reader, members, need, of_bytes, zipped
from fastmlp.data.sources.picture import SUFFIXES, check_pillow, read_whole_picture
from fastmlp.data.sources.read import read_raw


def own_data() -> list[Reader]:
    """Return the readers of anyone's own data."""
    return [*_arrays(), *_idx(), _svmlight(), _list(), *_pictures()]


def _reader(about: str, name: str, makers: list, beside: Mapping[str, bytes] | None = None) -> Reader:
    def read(path: Path) -> None:
        for other, content in (beside or {}).items():
            if not (path.parent / other).exists():
                (path.parent / other).parent.mkdir(exist_ok=True)
                (path.parent / other).write_bytes(content)
        raw = read_raw(path, cache=path.parent / "cache", image_size=4)  # which checks itself
        need(holds=bool(np.isfinite(raw.rows.astype(np.float64)).all()) and len(raw.targets) == 1, what=raw.rows)

    return Reader(about, name, makers, read)


def _arrays() -> list[Reader]:
    rng = np.random.default_rng(6)
    rows: list[np.ndarray] = [rng.normal(size=(6, 3)).astype(np.float32), rng.integers(0, 9, (6, 2, 3, 3), np.uint8)]
    targets: list[np.ndarray] = [np.arange(6) % 2, np.array(["a", "ü", "c"] * 2)]
    savers: list[Callable[..., None]] = [np.savez, np.savez_compressed]
    contents = []
    for save, x, y in zip(savers, rows, targets, strict=True):
        data = io.BytesIO()
        save(data, x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
        contents.append(data.getvalue())
    return [_reader("own .npz", "data.npz", [of_bytes(contents), *(zipped(members(one)) for one in contents)])]


def _idx() -> list[Reader]:
    images = b"\0\0\10\3\0\0\0\6\0\0\0\4\0\0\0\3" + np.random.default_rng(7).bytes(72)
    labels = {f"labels-idx1-ubyte{end}": b"\0\0\10\1\0\0\0\6" + bytes([3, 1, 4, 1, 5, 9]) for end in ("", ".gz")}
    pack = partial(compress, compresslevel=1, mtime=0)
    labels["labels-idx1-ubyte.gz"] = pack(labels["labels-idx1-ubyte.gz"])
    return [
        _reader("IDX", "images-idx3-ubyte", [of_bytes([images])], labels),
        _reader("IDX.gz", "images-idx3-ubyte.gz", [of_bytes([images], pack), of_bytes([pack(images)])], labels),
    ]


def _svmlight() -> Reader:
    contents = [b"1 1:0.5 3:-2\n-1 2:7\n", b"# words\n0,2 1:1\n1 2:3e2 # more\n", b"0.5 qid:1 1:1\n2.5 qid:1 2:1\n"]
    return _reader("svmlight", "data.svm", [of_bytes(contents)])


def _picture(suffix: str) -> bytes:
    from PIL import Image

    pixels = np.random.default_rng(8).integers(0, 256, (7, 5, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, suffix.removeprefix(".").replace("jpg", "jpeg"))
    return data.getvalue()


def _list() -> Reader:
    contents = [
        b"path,label\np/a.png,1\np/b.png,2\n",
        b'\xef\xbb\xbffile;kind;split\np/a.png;x;train\r\np/b.png;"y";train\n',
    ]
    return _reader(
        "list of pictures", "list.csv", [of_bytes(contents)], dict.fromkeys(("p/a.png", "p/b.png"), _picture(".png"))
    )


def _pictures() -> list[Reader]:
    def read(path: Path) -> None:
        check_pillow()
        row = read_whole_picture(path, 4, grey=False)
        need(holds=(row.shape, row.dtype, row.flags.c_contiguous) == ((48,), np.uint8, True), what=row)

    return [Reader(f"own {suffix}", f"a{suffix}", [of_bytes([_picture(suffix)])], read) for suffix in SUFFIXES]
