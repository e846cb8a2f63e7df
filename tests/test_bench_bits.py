"""The bits of two checkouts side by side: hashes that follow what is computed, and an exit status."""

import pytest

from bench import bits


def test_the_same_case_gives_the_same_bits_and_another_setting_others() -> None:
    way = "images", "float32", "packed"
    first, second = bits._network(*way), bits._network(*way)
    assert first == second
    assert len(first.weights) == len(first.figures) == bits.DIGITS
    assert bits._network(*way, momentum=0.0) != first
    assert bits._network(*way, threads=2) == first  # the bits do not depend on the threads


def test_every_precision_has_small_cases() -> None:
    names = list(bits.cases())
    for precision, matmul in bits.WAYS:
        assert any(name.startswith(f"{precision} {matmul}: images") for name in names)
    assert not any(name.startswith("int8 packed: float rows") for name in names)  # int8 takes images alone


@pytest.mark.parametrize("other", [bits.Bits("a", "c"), bits.Bits("b", "b"), None], ids=["figures", "weights", "none"])
def test_what_differs_is_told_and_sets_the_exit_status(other, monkeypatch, tmp_path, capsys) -> None:
    (tmp_path / "fastmlp").mkdir()
    here = {"one": bits.Bits("a", "b"), "two": bits.Bits("c", "d")}
    there = {name: value for name, value in ({**here, "one": other}).items() if value}
    monkeypatch.setattr(bits, "bits_of", lambda tree, _: there if tree == tmp_path else here)
    assert bits.main([str(tmp_path)]) == 1
    text = capsys.readouterr().out
    [line] = [line for line in text.splitlines() if line.endswith("DIFFERS")]
    assert line.startswith("one ")
    assert "2 compared, 1 differ." in text
    monkeypatch.setattr(bits, "bits_of", lambda *_: here)
    assert bits.main([]) == 0


@pytest.mark.process
def test_the_reports_runs_are_hashed_by_the_command() -> None:
    from bench.checkouts import ROOT

    options = "--experiments half_units --normalize image channel --matmul packed --epochs 1"
    found = bits._train(ROOT, options)
    assert set(found) == {"half_units, image", "half_units, channel"}
    assert len(set(found.values())) == 2
    assert bits._train(ROOT, options) == found
