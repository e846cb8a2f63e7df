"""Two checkouts timed in turns: here this one beside itself."""

from pathlib import Path

import numpy as np
import pytest

from bench import versions

ROOT = Path(__file__).parents[1]


def test_cases_can_be_made_ready_and_give_seconds() -> None:
    for name in (
        "softmax_cross_entropy (64, 10) float32",
        "bias_tanh (1024, 128) float32",
        "image_moments (1024, 3072)",
    ):
        assert versions.cases()[name]()() > 0


def test_what_is_overwritten_gets_its_values_back() -> None:
    array, seen = np.zeros(3), []

    def call(array: np.ndarray) -> None:
        seen.append(array.copy())
        array += 1

    twice = versions._fresh(call, array)
    twice()
    twice()
    np.testing.assert_array_equal(seen, np.zeros((2, 3)))


@pytest.mark.process
def test_a_checkout_beside_itself_prints_a_row_a_case(capsys) -> None:
    assert versions.main([str(ROOT), "--only", "bias_softmax (64", "--rounds", "2"]) == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| bias_softmax (64, 10)")]
    before, now, ratio = (cell.strip() for cell in row.strip("|").split("|")[1:])
    assert before.endswith("us")
    assert now.endswith("us")
    assert float(ratio) > 0


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path, capsys) -> None:
    with pytest.raises(SystemExit):
        versions.main([str(tmp_path)])
    assert "is not a checkout of this repository" in capsys.readouterr().err
