"""What a run is said to take is what it takes, by Python's own count of what is allocated."""

import re
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from fastmlp.runs.run import compile_for, run_one
from fastmlp.sweep.size import out_of_memory, size_of
from samples import config, dataset

NOISE = dataset(images=1000)


@pytest.mark.parametrize(
    "changes",
    [
        {"precision": "float32", "layers": (3072, 512, 20)},
        {"precision": "float64", "layers": (3072, 256, 20), "normalize": "channel"},
        {"precision": "bfloat16", "layers": (3072, 512, 20), "batch_size": 64},
        {"precision": "int8", "layers": (3072, 256, 256, 20)},
        {"precision": "float32", "layers": (3072, 64, 20), "augment": "mirror-shift", "batch_size": 64},
        {"precision": "float32", "layers": (3072, 512, 20), "optimizer": "adam", "lr": None, "momentum": None,
         "dropout": 0.5, "input_dropout": 0.1},
    ],
    ids=lambda changes: changes["precision"] + "-augmented" * ("augment" in changes) + "-adam" * ("dropout" in changes),
)  # fmt: skip
def test_a_runs_size_is_within_a_third_of_what_it_allocates(tmp_path: Path, changes: dict[str, Any]) -> None:
    made = config(**({"dataset": "embedded", "batch_size": 1024, "epochs": 1} | changes))
    compile_for(made)
    tracemalloc.start()
    try:
        run_one(made, NOISE, model_file=tmp_path / "model.npz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 0.7 < sum(size_of(made, NOISE)) / peak < 1.3


def test_the_size_is_told_with_its_parts_and_what_would_need_less() -> None:
    told = out_of_memory(config(layers=(3072, 100_000, 20), precision="float64", threads=2), NOISE)
    # its work holds tiles, of which each CPU has its own size
    assert re.match(
        r"The run takes about 2[12]\.\d GB \(19\.8 GB for its weights, [12]\.\d GB for its work, 0 MB for", told
    )
    assert told.endswith(
        "smaller layers, a smaller batch, precision float32, fewer --threads, and by fewer --jobs at once."
    )
    assert out_of_memory(config(), None).startswith("Less is needed by smaller layers, a smaller batch, and")
