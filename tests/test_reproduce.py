"""A run of a sweep can be trained once more, and the command says whether it is the same."""

import pytest

from fastmlp import reproduce
from fastmlp.runs.results import load_results
from fastmlp.sweep.store import Store
from fastmlp.train import main


@pytest.fixture
def sweep(tmp_path):
    small = ["--dataset", "embedded", "--layers", "3072,4,20", "--epochs", "1", "--workers", "threads", "--quiet"]
    assert main([*small, "--normalize", "image", "channel", "--out", str(tmp_path)]) == 0
    return tmp_path


def test_the_same_bits_come_again(sweep, capsys):
    run = load_results(sweep / "results.json")[1][1]
    capsys.readouterr()
    assert reproduce.main([str(sweep), run.run_id[:6]]) == 0
    told = capsys.readouterr()
    assert told.out.count("| same |") == 6
    assert "The same bits." in told.err


def test_other_weights_are_told(sweep, capsys):
    from dataclasses import replace

    run = load_results(sweep / "results.json")[1][0]
    Store(sweep / "runs.jsonl").append(replace(run, weights_sha256="0" * 64, test_accuracy=0.5))
    capsys.readouterr()
    assert reproduce.main([str(sweep), run.run_id]) == 1
    assert capsys.readouterr().out.count("| differs |") == 2


def test_what_cannot_be_tried_is_told(sweep, tmp_path_factory, capsys):
    for arguments, told in (
        ([str(sweep), "zz"], "No single run is called 'zz'; there are "),
        ([str(sweep), ""], "; 2 begin so"),
        ([str(tmp_path_factory.mktemp("empty")), "a"], "holds no runs"),
    ):
        assert reproduce.main(arguments) == 2
        assert told in " ".join(capsys.readouterr().err.split())
