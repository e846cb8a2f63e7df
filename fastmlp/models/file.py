"""Models on disk: `.npz`, a plain zip of numpy arrays and `facts.json`, or `.safetensors`. Neither can hold code.

A file is read back and compared before it takes its name. Before any array of a file is loaded, its facts (all fields
but the arrays) are checked, and that names, shapes and dtypes of its arrays, and its size, are those of such a network.
"""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as numpy_format

from fastmlp import __version__
from fastmlp.config import RunConfig
from fastmlp.data.dataset import CIFAR_SHAPE, channels_of
from fastmlp.data.normalize import STANDARD
from fastmlp.data.reading import Reading
from fastmlp.errors import ConfigError, DataError, MissingExtraError
from fastmlp.files import json_of, opened, replacing
from fastmlp.models.model import NORMALIZES, Model, may_be_named
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.loss import CROSS_ENTROPY, Loss, loss_named
from fastmlp.nn.precision import PRECISIONS
from fastmlp.npy import members, read_member

FORMAT, VERSION = "fastmlp model", 1
_FACTS = "facts.json"
_MOST_FACTS = 1 << 24  # bytes: a hundred thousand names of features take a tenth of it
_DIGEST = "sha256"
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the same model makes the same file
_PLAIN = ("layers", "activation", "precision", "normalize", "class_names", "fingerprint")  # fields that are facts


# Facts that are written only where they are others, as a file without them is of a version that knew none.
_USUAL: dict[str, Any] = {
    "loss": {"name": CROSS_ENTROPY.name},
    "shape": None,
    "features": [],
    "target_moments": None,
    "reading": None,
}
_SHARED = ("layers", "activation", "precision", "normalize")  # with the config of its run


class _Wanted(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def nbytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def save_model(path: str | Path, model: Model) -> None:
    """Write a model to `path`, whose suffix chooses the format, in one step. OutputError where it cannot be written."""
    path = Path(path)
    write = _format(path).write
    with replacing(path, path.suffix, "choose another place") as part:
        part.file.write(write(model))
        part.sync()
        try:
            same = _as_facts(load_model(part.path)) == _as_facts(model)
        except DataError as error:
            raise OSError(f"it cannot be read back: {error}") from error
        if not same:
            raise OSError("what was read back is not what was written")


def load_model(path: str | Path) -> Model:
    """Return the model in a file of `save_model`; DataError, with the reason, for any other or damaged file."""
    path = Path(path)
    read = _format(path).read
    try:
        with read(path) as (text, wanted_of):
            if len(text) > _MOST_FACTS:
                raise DataError(f"its facts take {len(text)} bytes")
            facts = _checked(json_of(text))
            arrays = wanted_of(_wanted(facts))
        return _model(facts, arrays)
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is not there. `python -m fastmlp.train --out DIR` saves models in DIR/models."
        ) from error
    except MissingExtraError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        raise DataError(
            f"{path} is no model that this version can read ({error}). Allowed are files that fastmlp {__version__} "
            "saved, whole."
        ) from error


def _as_facts(model: Model) -> dict[str, Any]:
    later = {
        "loss": {"name": model.loss.name} | model.loss.changed,
        "shape": None if model.shape in (None, CIFAR_SHAPE) else list(model.shape),
        "features": list(model.features),
        "target_moments": None if model.target_moments is None else model.target_moments.tolist(),
        "reading": None if model.reading is None else model.reading.to_json(),
    }
    return {
        "format": FORMAT,
        "version": VERSION,
        "fastmlp": __version__,
        **{name: getattr(model, name) for name in _PLAIN},
        "layers": list(model.layers),
        "class_names": list(model.class_names),
        "dtype": model.parameters.dtype.name,
        "config": None if model.config is None else model.config.to_json(),
        "moments": _moments(model),
        "weights_sha256": model.weights_sha256,
        **{name: value for name, value in later.items() if value != _USUAL[name]},
    }


def _moments(model: Model) -> Any:
    """Return a model's moments as a fact; of those of features, which may be thousands, the hash of their array."""
    if model.moments is None:
        return None
    if model.normalize == STANDARD:
        return _digest(np.ascontiguousarray(model.moments).tobytes())
    return np.asarray(model.moments, np.float64).tolist()


def _loss(fact: Any) -> Loss | None:
    """Return the loss that a fact stands for, None where there is no such loss."""
    try:
        settings = dict(fact)
        return loss_named(settings.pop("name"), **settings)
    except (ConfigError, KeyError, TypeError, ValueError):
        return None


def _checked(facts: Any) -> dict[str, Any]:
    """Return a file's facts, checked: all keys known, all values allowed; DataError names the first that is not."""
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise DataError(f"its facts do not say {FORMAT!r}")
    if facts.get("version") != VERSION:
        raise DataError(f"its format has version {facts.get('version')!r}, this one reads {VERSION}")
    known = {"format", "version", "fastmlp", *_PLAIN, *_USUAL, "dtype", "config", "moments", "weights_sha256"}
    facts = _USUAL | facts
    if set(facts) != known:
        raise DataError(f"its facts have unknown or missing keys: {', '.join(sorted(set(facts) ^ known))}")

    def need(name: str, *, holds: bool) -> None:
        if not holds:
            raise DataError(f"its {name} is {str(facts[name])[:80]}")

    layers, names = facts["layers"], facts["class_names"]
    whole = isinstance(layers, list) and len(layers) >= 2 and all(type(n) is int and n > 0 for n in layers)
    need("layers", holds=whole)
    activation = facts["activation"]
    hidden = activation if isinstance(activation, list) else [activation]
    every = hidden == [activation] or len(hidden) == len(layers) - 2
    need("activation", holds=every and all(isinstance(name, str) and name in ACTIVATIONS for name in hidden))
    need("loss", holds=_loss(facts["loss"]) is not None)
    need("precision", holds=facts["precision"] in list(PRECISIONS))
    need("dtype", holds=facts["dtype"] == PRECISIONS[facts["precision"]].dtype)
    need("normalize", holds=facts["normalize"] in NORMALIZES)
    loss, named = _loss(facts["loss"]), isinstance(names, list) and all(isinstance(n, str) for n in names)
    need("class_names", holds=loss is not None and named and may_be_named(loss, layers[-1], len(names)))
    need("fingerprint", holds=isinstance(facts["fingerprint"], str))
    shape, has_moments = facts["shape"], facts["moments"] is not None
    whole = isinstance(shape, list) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    need("shape", holds=shape is None or (whole and prod(shape) == layers[0]))
    channels = channels_of(None if shape is None else tuple(shape), layers[0])
    need("moments", holds=has_moments == (facts["normalize"] in ("dataset", STANDARD)))
    if facts["normalize"] == "dataset":
        with np.errstate(over="ignore"):
            moments = np.array(facts["moments"], facts["dtype"])
        need("moments", holds=moments.shape == (2, channels) and bool(np.isfinite(moments).all()))
    own = facts["target_moments"]
    if own is not None:
        need("target_moments", holds=not loss.of_probabilities)  # pyright: ignore[reportOptionalMemberAccess]
        own = np.array(own, np.float64)
        need(
            "target_moments", holds=own.shape == (2, layers[-1]) and bool(np.isfinite(own).all() and (own[1] > 0).all())
        )
    names = facts["features"]
    need(
        "features",
        holds=isinstance(names, list) and len(names) in (0, layers[0]) and all(isinstance(n, str) for n in names),
    )
    return facts


def _wanted(facts: Mapping[str, Any]) -> dict[str, _Wanted]:
    """Return names, shapes and dtypes of the arrays of a network with these facts."""
    dtype = np.dtype(facts["dtype"])
    wanted = {}
    for i, (d, h) in enumerate(pairwise(facts["layers"]), 1):
        wanted |= {f"weight_{i}": _Wanted((d, h), dtype), f"bias_{i}": _Wanted((h,), dtype)}
    if facts["normalize"] == STANDARD:
        wanted["moments"] = _Wanted((2, facts["layers"][0]), np.dtype(np.float64))
    return wanted


def _model(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Model:
    arrays = dict(arrays)
    moments = arrays.pop("moments", None)
    parameters = np.concatenate([array.ravel() for array in arrays.values()])
    if not np.isfinite(parameters).all():
        raise DataError("its weights hold NaN or infinity")
    values = {field.name: facts[field.name] for field in fields(Model) if field.name in _PLAIN}
    values |= {"layers": tuple(facts["layers"]), "class_names": tuple(facts["class_names"])}
    if isinstance(facts["activation"], list):
        values["activation"] = tuple(facts["activation"])
    values["loss"] = _loss(facts["loss"])
    values["config"] = config = None if facts["config"] is None else RunConfig.from_json(facts["config"])
    if config is not None and any(getattr(config, name) != values[name] for name in _SHARED):
        raise DataError(f"its config is that of another model: {', '.join(_SHARED)} are not the same")
    if config is not None and config.new_loss() != values["loss"]:
        raise DataError("its config is that of a model with another loss")
    if moments is None and facts["moments"] is not None:
        moments = np.array(facts["moments"], facts["dtype"])
    elif moments is not None and not (np.isfinite(moments).all() and (moments[1] > 0).all()):
        raise DataError("its moments are no means and deviations")
    values["moments"] = moments
    own = facts["target_moments"]
    values |= {
        "target_moments": None if own is None else np.array(own, np.float64),
        "features": tuple(facts["features"]),
        "reading": None if facts["reading"] is None else Reading.from_json(facts["reading"]),
    }
    values["shape"] = None if facts["shape"] is None else tuple(facts["shape"])
    model = Model(**values, parameters=parameters)
    if model.reading is not None and _width(model.reading) != model.layers[0]:
        raise DataError("its reading is that of a model with other inputs")
    if _moments(model) != facts["moments"] and model.normalize == STANDARD:
        raise DataError("its moments are not those that their hash is of")
    if model.weights_sha256 != facts["weights_sha256"]:
        raise DataError("its weights are not those that its hash is of")
    return model


def _width(reading: Reading) -> int:
    """Return how many numbers a row has that is read so."""
    if reading.columns is not None:
        return len(reading.columns.feature_names)
    return reading.width or (1 if reading.grey else 3) * reading.size**2


# What reading a format gives: the facts as JSON, and a function that loads the arrays of these names and shapes.
_Parts = tuple[bytes, Callable[[dict[str, _Wanted]], dict[str, np.ndarray]]]


def _npz(model: Model) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(_FACTS, _ZIP_EPOCH), json.dumps(_as_facts(model), indent=1))
        for name, array in _named_arrays(model).items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH), "w", force_zip64=True) as member:
                numpy_format.write_array(member, array, version=(1, 0), allow_pickle=False)
    return data.getvalue()


@contextmanager
def _read_npz(path: Path) -> Iterator[_Parts]:
    with opened(path) as file, zipfile.ZipFile(file) as archive:
        infos = members(archive, os.fstat(file.fileno()).st_size)

        def arrays(wanted: dict[str, _Wanted]) -> dict[str, np.ndarray]:
            if set(infos) != {_FACTS, *(f"{name}.npy" for name in wanted)}:
                raise DataError(f"its arrays are not those of its layers: {', '.join(sorted(infos)[:9])}")
            return {name: _read_npy(archive, infos[f"{name}.npy"], one) for name, one in wanted.items()}

        with archive.open(_FACTS) as facts:
            yield facts.read(_MOST_FACTS + 1), arrays


def _read_npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo, wanted: _Wanted) -> np.ndarray:
    if info.file_size < wanted.nbytes:
        raise DataError(f"{info.filename} is too small for its shape {wanted.shape}")
    (shape, dtype, fortran_order, _), data = read_member(archive, info)
    if (shape, dtype) != wanted or fortran_order:
        raise DataError(f"{info.filename} is {dtype} of shape {shape}, expected {wanted.dtype} of {wanted.shape}")
    return np.frombuffer(data, wanted.dtype).reshape(wanted.shape)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _safetensors(model: Model) -> bytes:
    with _extra():
        from safetensors.numpy import save
    facts = json.dumps(_as_facts(model))
    return save(_named_arrays(model), {FORMAT: facts, _DIGEST: _digest(facts.encode())})


@contextmanager
def _read_safetensors(path: Path) -> Iterator[_Parts]:
    with _extra():
        from safetensors import SafetensorError, safe_open
    try:
        with opened(path), safe_open(path, "numpy") as file:  # opened: it would wait for a FIFO

            def arrays(wanted: dict[str, _Wanted]) -> dict[str, np.ndarray]:
                letters = {"float32": "F32", "float64": "F64"}
                slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
                kinds = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
                if kinds != {name: (one.shape, letters[one.dtype.name]) for name, one in wanted.items()}:
                    raise DataError(f"its arrays are not those of its layers: {str(kinds)[:200]}")
                return {name: file.get_tensor(name) for name in wanted}

            metadata = file.metadata() or {}
            facts = metadata.get(FORMAT, "null").encode()
            digest = _digest(facts)
            # Weights have a hash of their own; older versions left the facts without one.
            if not set(metadata) <= {FORMAT, _DIGEST} or metadata.get(_DIGEST, digest) != digest:
                raise DataError("its facts are not those that their hash is of")
            yield facts, arrays
    except SafetensorError as error:
        raise DataError(str(error)) from error


@contextmanager
def _extra() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"A .safetensors file needs the package safetensors ({error}): pip install 'fastmlp[safetensors]', or "
            "choose .npz."
        ) from error


def _named_arrays(model: Model) -> dict[str, np.ndarray]:
    moments = {} if model.moments is None or model.normalize != STANDARD else {"moments": model.moments}
    return moments | {
        f"{kind}_{i}": np.ascontiguousarray(array)  # safetensors would write other arrays in the wrong order
        for i, pair in enumerate(model.arrays(), 1)
        for kind, array in zip(("weight", "bias"), pair, strict=True)
    }


class _Format(NamedTuple):
    write: Callable[[Model], bytes]
    read: Callable[[Path], Any]


FORMATS = {".npz": _Format(_npz, _read_npz), ".safetensors": _Format(_safetensors, _read_safetensors)}


def _format(path: Path) -> _Format:
    if path.suffix not in FORMATS:
        raise ConfigError(f"{path.name} is no name for a model; allowed are names that end in {' or '.join(FORMATS)}.")
    return FORMATS[path.suffix]
