"""A run of a sweep can be trained once more, and the command says whether it is the same."""

import pytest

from fastmlp import load_model, reproduce
from fastmlp.runs.results import load_results
from fastmlp.sweep.store import Store
from fastmlp.train import main
from own_models import table_rows, write_table


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


def test_a_run_on_own_data_comes_again_and_its_model_too(tmp_path, capsys):
    table = write_table(tmp_path / "people.csv", table_rows(120))
    quick = ["--epochs", "2", "--hidden", "4", "--threads", "1", "--workers", "threads", "--quiet"]
    columns = ["--columns", "name=drop,price=drop,red=drop,green=drop"]
    out = tmp_path / "out"
    assert main(["--data", str(table), "--target", "bought", *columns, *quick, "--out", str(out)]) == 0
    [run] = load_results(out / "results.json")[1]
    path = out / "models" / f"{run.run_id}.npz"
    before = load_model(path)
    assert len(before.predict(table)) == 120
    path.unlink()
    capsys.readouterr()
    assert reproduce.main([str(out), run.run_id]) == 0
    assert "The same bits." in capsys.readouterr().err
    assert load_model(path).reading == before.reading
    (tmp_path / "moved").mkdir()
    table.rename(tmp_path / "moved" / "people.csv")
    assert reproduce.main([str(out), run.run_id]) == 2
    assert "--data-dir names their new place" in " ".join(capsys.readouterr().err.split())
    assert reproduce.main([str(out), run.run_id, "--data-dir", str(tmp_path / "moved")]) == 0
    write_table(table, table_rows(120, seed=9))
    capsys.readouterr()
    assert reproduce.main([str(out), run.run_id]) == 2
    assert "have changed since the sweep" in " ".join(capsys.readouterr().err.split())
