"""The block of results from finished runs."""

import pytest

from bench import results
from bench.readme import markers
from fastmlp.runs.results import write_results
from samples import ENVIRONMENT, dataset, result

START, END = markers("results")


@pytest.fixture
def folders(tmp_path):
    made = []
    for seed, accuracy in ((0, 0.34), (1, 0.36)):
        folder = tmp_path / f"seed{seed}"
        folder.mkdir()
        write_results(folder / "results.json", ENVIRONMENT, [result(accuracy, seed=seed)])
        made.append(str(folder))
    return made


def test_runs_of_several_folders_become_one_table_in_the_readme(folders, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{START}\nold\n{END}\nafter\n", encoding="utf-8")
    assert results.main([*folders, "--readme", str(readme)]) == 0
    text = readme.read_text(encoding="utf-8")
    assert "| relu | e_ReLU | 3072-128-20 relu | 35.00 ± 1.41 | 32.37 | he |" in text  # the spread is that of a sample
    assert text.startswith(f"before\n{START}\n- Data set: cifar100")
    assert text.endswith(f"|\n{END}\nafter\n")
    assert "old" not in text


def test_the_table_of_one_folder_is_taken_as_it_is(folders, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text("\n".join(markers("grid")), encoding="utf-8")
    (tmp_path / "seed0" / "table.md").write_text("- Runs: 1, in 5 s of wall time.\n", encoding="utf-8")
    assert results.main([folders[0], "--block", "grid", "--readme", str(readme)]) == 0
    assert "\n- Runs: 1, in 5 s of wall time.\n" in readme.read_text(encoding="utf-8")


def test_the_reference_is_timed_on_the_runs_own_network():
    run = result(layers=(3072, 4, 20), batch_size=64)
    assert results.reference_epoch_seconds(run, dataset("cifar100", images=100)) > 0
