import json
import platform
import re
import socket
from pathlib import Path

import numpy as np
import pytest

from fastmlp import __version__
from fastmlp.nn.threads import blas_info, blas_threads, usable_cores
from fastmlp.runs import environment
from samples import dataset


@pytest.mark.skipif(not blas_info(), reason="threadpoolctl finds no BLAS in this numpy")
def test_blas_is_as_it_is_inside_the_held_threads() -> None:
    with blas_threads(1):
        blas = environment.environment(dataset())["blas"]
    assert blas["threads"] == 1
    assert blas["name"] == blas_info()[0]["internal_api"]
    assert blas["kernels"] == blas_info()[0].get("architecture")


def test_environment_names_machine_versions_and_data() -> None:
    data = dataset()
    found = environment.environment(data)
    assert found["usable_cores"] == usable_cores()
    assert (found["numpy"], found["python"], found["fastmlp"]) == (
        np.__version__,
        platform.python_version(),
        __version__,
    )
    assert {"cpu", "cores", "os", "numba", "llvmlite"} <= found.keys()
    assert found["dataset"] == {
        "name": "embedded",
        "source": "made for a test",
        "fingerprint": data.fingerprint,
        "train_images": 200,
        "test_images": 200,
    }


def test_environment_is_strict_json_without_host_or_home() -> None:
    text = json.dumps(environment.environment(dataset()), allow_nan=False)
    assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", text)
    assert str(Path.home()) not in text


def test_no_blas_is_said_as_none(monkeypatch) -> None:
    monkeypatch.setattr(environment, "blas_info", list)
    assert environment.environment(dataset())["blas"] is None


def test_cpu_model_is_read_where_linux_gives_it(monkeypatch) -> None:
    monkeypatch.setattr(
        Path, "read_text", lambda *_, **__: "vendor_id : X\nmodel name\t: Fast CPU: 3 GHz\nmodel name\t: b\n"
    )
    assert environment.cpu_model() == "Fast CPU: 3 GHz"


def test_cpu_model_is_never_empty_elsewhere(monkeypatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert environment.cpu_model() == platform.machine()
