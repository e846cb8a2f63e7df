"""The files that sweeps leave and read again, as `bench.fuzz_readers` has others."""

import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from bench.fuzz_mutations import Maker, Reader, members, need, of_bytes, of_documents, of_json, zipped
from fastmlp.cli.options import build_parser
from fastmlp.config import RunConfig
from fastmlp.data import Dataset
from fastmlp.data.mapped import read_mapped, write_mapped
from fastmlp.errors import DataError
from fastmlp.files import is_inside, json_of, read_small
from fastmlp.npy import read_zip
from fastmlp.report import record as records
from fastmlp.report.rivals import checked
from fastmlp.report.tables import results_table, search_table
from fastmlp.runs import autotune as matmul
from fastmlp.runs.identity import run_id
from fastmlp.runs.results import STATUSES, RunResult, failed_result, load_results
from fastmlp.sweep import file, lock, source
from fastmlp.sweep.derived import as_csv
from fastmlp.sweep.store import Store

FINGERPRINT = "0123456789abcdef"

_ENVIRONMENT: dict[str, Any] = {
    **dict.fromkeys(("cpu", "os", "python", "fastmlp", "numpy", "numba", "llvmlite", "bfloat16", "int8"), "1.0"),
    "cores": 2,
    "usable_cores": 2,
    "blas": {"name": "openblas", "version": "0.3", "kernels": "Zen", "threads": 1},
    "dataset": {"name": "cifar100", "source": "files", "fingerprint": FINGERPRINT, "train_images": 9, "test_images": 3},
}


def _runs() -> list[RunResult]:
    config = RunConfig(dataset="cifar100", layers=(3072, 8, 20), experiment="relu")
    failed = failed_result(config, run_id(config, FINGERPRINT), "an error")
    history = {name: [0.5, 0.25] for name in failed.history}
    done = replace(
        failed, status="done", test_accuracy=0.5, test_loss=2.0, val_accuracy=0.25, best_epoch=2, epochs=2,
        seconds=1.5, images_per_second=1e5, history=history, weights_sha256="a" * 64, error="",
        started="2026-01-31T08:00:00Z", finished="2026-01-31T08:00:09Z",
    )  # fmt: skip
    return [done, failed]


def _check_runs(runs: Sequence[RunResult], environment: dict[str, Any]) -> None:
    for run in runs:
        need(holds=len(run.run_id) == 16 and run.run_id.isalnum() and run.status in STATUSES, what=run)
        need(holds=RunResult.from_json(json.loads(json.dumps(run.to_json()))).to_json() == run.to_json(), what=run)
    if runs:
        results_table(runs, environment).markdown().encode()
        search_table(runs, [], environment).markdown().encode()
        as_csv(runs).encode()


def kept_by_sweeps() -> list[Reader]:
    documents = [run.to_json() for run in _runs()]

    def line(text: bytes) -> bytes:
        return b'{"length": %d, "crc32": "%08x", "run": %b}\n' % (len(text), zlib.crc32(text), text)

    def read_store(path: Path) -> None:
        runs, _ = Store(path).load(mend=False)
        _check_runs(runs, _ENVIRONMENT)
        if not runs:
            raise DataError("all lines are damaged")

    def read_results(path: Path) -> None:
        environment, runs = load_results(path)
        _check_runs(runs, environment)

    whole = b"".join(line(json.dumps(one, separators=(",", ":")).encode()) for one in documents)
    results = {"environment": _ENVIRONMENT, "runs": documents}
    settings = {
        "lr": 0.01, "layers": [3072, 256, 20], "normalize": ["image", "channel"], "grid": ["lr=0.001,0.005"],
        "quiet": True, "data_dir": "../data", "experiments": ["relu"],
    }  # fmt: skip
    parser = build_parser()

    def read_settings(path: Path) -> None:
        source.kept_place(path.parent)
        words = file.read(path, parser)
        need(holds=all(isinstance(word, str) and word.encode() is not None for word in words), what=words)

    def toml(document: Any) -> bytes:
        try:
            return tomli_w.dumps(document).encode()
        except (TypeError, AttributeError, ValueError, UnicodeError):  # TOML has no such thing
            return b"lr = " + json.dumps(document).encode()

    plain = tomli_w.dumps(settings).encode()
    deep = [b"lr = " + b"[" * 5000, b"lr = " + b"{a = " * 5000, b".".join([b"a"] * 9000) + b" = 1"]
    of_toml = [of_bytes([plain]), of_documents([settings], toml), of_bytes([plain, *deep])]
    return [
        Reader("runs.jsonl", "runs.jsonl", [of_bytes([whole]), of_json(documents, line)], read_store),
        Reader("results.json", "results.json", [of_json([results])], read_results),
        Reader("sweep.toml", "sweep.toml", of_toml, read_settings),
    ]


def small_ones() -> list[Reader]:
    """Return the readers of what is a few lines of JSON."""

    def read_owner(path: Path) -> None:
        words = lock._read(path)
        need(holds=words.isprintable() and len(words) > 0 and words.encode() is not None, what=words)
        if "damaged" in words:
            raise DataError(words)

    def read_matmul(path: Path) -> None:
        table = matmul._remembered(path)
        numbers = [n for one in table.values() for known in one.values() for n in known.values()]
        need(holds=all(isinstance(n, float) and 0 < n < float("inf") for n in numbers), what=table)
        json.dumps(table, indent=1).encode()
        if not numbers:
            raise DataError("measure anew")

    def read_record(path: Path) -> None:
        record = records.read(path.parent)
        need(holds=all(map(is_inside, record["files"])) and isinstance(record["with_data"], bool), what=record)
        if not record["files"]:
            raise DataError("no record")

    def read_rivals(path: Path) -> None:
        for one in checked(json_of(read_small(path)))["rivals"]:
            need(holds=len(one["seconds"]) == len(one["val_accuracy"]) > 0, what=one)
            np.array(one["val_accuracy"], np.float64)

    rival = {"name": "numpy", "seconds": [0.1, 0.2], "val_accuracy": [0.1, 0.2]}
    documents: dict[str, tuple[Any, Callable[[Path], None]]] = {
        "owner.json": ({"pid": 123, "host": "a", "since": "2026-01-31 08:00:00+00:00"}, read_owner),
        "matmul.json": ({"a cpu": {"4-3-2, batch 9, threads 1": {"packed": 0.25, "blas": 0.5}}}, read_matmul),
        ".report.json": ({"with_data": True, "files": {"figures/times.svg": "0" * 16}}, read_record),
        "rivals.json": ({"run_id": FINGERPRINT, "about": "words", "rivals": [rival, rival]}, read_rivals),
    }
    return [Reader(name, name, [of_json([sample])], read) for name, (sample, read) in documents.items()]


def check_dataset(dataset: Dataset) -> None:
    """Raise AssertionError unless a network can learn from it."""
    parts = ((dataset.train_images, dataset.train_labels), (dataset.test_images, dataset.test_labels))
    for images, labels in parts:
        need(holds=images.dtype == np.uint8 and images.ndim == 2 and len(images) > 0, what=images.shape)
        need(holds=set(labels) == set(dataset.label_names), what=labels)
        for kind, one in labels.items():
            fits = one.dtype == np.int64 and one.shape == (len(images),)
            need(holds=fits and one.min() >= 0 and one.max() < len(dataset.label_names[kind]), what=one)
    names = [name for some in dataset.label_names.values() for name in some]
    need(holds=all(isinstance(name, str) for name in (*names, dataset.name, dataset.source)), what=names)


def _digests(content: bytes) -> list[str]:
    """Return the SHA-256 of an array's bytes, which are less than a block, as a copy of data keeps it."""
    return [hashlib.sha256(content).hexdigest()] if content else []


def mapped(folder: Path) -> list[Reader]:
    """Return the readers of a sweep's copy of its data, one a file; the other files are whole."""
    rng = np.random.default_rng(6)
    images, labels = rng.integers(0, 256, (40, 30), np.uint8), {"fine": rng.integers(0, 2, 40)}
    dataset = Dataset("a", images, labels, images, labels, {"fine": ("one", "two")}, "made")
    write_mapped(dataset, folder)
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    facts = json.loads(whole["facts.json"])["facts"]

    def sealed(changed: Any) -> bytes:
        digest = hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()
        return json.dumps({"facts": changed, "sha256": digest}).encode()

    def read(name: str, path: Path) -> None:
        own = path.parent / f"copy with damaged {name}"
        if not own.exists():
            own.mkdir()
            for other, content in whole.items():
                (own / other).write_bytes(content)
        path = path.replace(own / name)
        if name != "facts.json":  # half of the time with digests that fit, as a file that was made to mislead has
            about, content = json.loads(json.dumps(facts)), path.read_bytes()
            try:
                if content[-3:] > b"\x80" and name.endswith(".npy"):
                    about["digests"]["train"]["images"] = _digests(content[128:])
                elif len(content) % 2 and name.endswith(".npz"):
                    found = read_zip(path)
                    about["digests"]["train"]["labels"] = {kind: _digests(one.tobytes()) for kind, one in found.items()}
            except DataError:
                pass
            (own / "facts.json").unlink()
            (own / "facts.json").write_bytes(sealed(about))
        check_dataset(read_mapped(own, dataset.fingerprint))

    makers: dict[str, list[Maker]] = {
        "facts.json": [of_json([json.loads(whole["facts.json"])]), of_documents([facts], sealed)],
        "train_images.npy": [of_bytes([whole["train_images.npy"]])],
        "train_labels.npz": [of_bytes([whole["train_labels.npz"]]), zipped(members(whole["train_labels.npz"]))],
    }
    return [Reader(f"mapped {name}", name, some, partial(read, name)) for name, some in makers.items()]
