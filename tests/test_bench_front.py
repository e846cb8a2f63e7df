"""What the front page says of speed and accuracy is what the generated tables say."""

import re

import pytest

from bench import front
from bench.readme import FRONT, README

STEPS = f"""<!-- bench:start -->
Some CPU, 2 cores; numpy.

{front.STEPS}

| step | batch 1 | batch 1024 |
| --- | ---: | ---: |
| **fastmlp**, float32 | 1 us, 1 GFLOP/s (1%) | 10 ms, 160 GFLOP/s (67%) |
| **fastmlp**, int8 | - | - |
| fastmlp, float32, products by BLAS | - | 11 ms (1.10x) |
| PyTorch eager, float32 | 3 us (3.00x) | 12 ms (1.20x) |
| PyTorch autocast, bfloat16 | 3 us (3.00x) | 4.1 ms (0.41x) |
<!-- bench:end -->
"""


def test_the_front_page_is_what_the_tables_give() -> None:
    assert front.main(["--check"]) == 0
    assert len(FRONT.read_text(encoding="utf-8").splitlines()) < 150


def test_rivals_are_told_apart_by_who_is_faster() -> None:
    told = front.speed(STEPS)
    assert told.startswith("A training step of 3072-128-20 in batches of 1,024 takes 10 ms in float32 on one thread")
    assert "Beside it: PyTorch eager in float32 12 ms. Where we lose: PyTorch autocast in bfloat16 4.1 ms takes" in told
    assert "BLAS" not in told
    assert "Where we lose" not in front.speed(STEPS.replace("0.41x", "1.41x"))


def test_pages_without_the_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="no table under"):
        front.speed(STEPS.replace("| step |", "step"))
    measured = README.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="speed:start"):
        front.rendered("no markers", measured)
    assert re.search(r"^\| 3072-\d+", front.rows(measured), re.M)
