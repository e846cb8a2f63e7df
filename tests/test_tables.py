import io
import math
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from fastmlp.nn.initializers import resolve
from fastmlp.report.tables import experiments_table, plan_table, results_table, search_table
from fastmlp.report.words import duration, machine, network
from fastmlp.runs.experiments import EXPERIMENTS
from fastmlp.runs.results import RunResult
from fastmlp.table import Table
from samples import ENVIRONMENT, config, result


def columns(table: Table, row: int = 0) -> dict[str, str]:
    return dict(zip(table.columns, table.rows[row], strict=True))


def pair(**changes: Any) -> list:
    return [result(0.342, normalize="image", **changes), result(0.293, epochs=30, normalize="channel", **changes)]


def test_one_row_has_both_normalisations_beside_the_published_figures() -> None:
    table = results_table(pair(), ENVIRONMENT, 12.5)
    assert columns(table) == {
        "experiment": "relu",
        "row": "e_ReLU",
        "network": "3072-128-20 relu",
        "init": resolve("auto", "relu"),
        "image": "34.20",
        "image, report": "32.37",
        "channel": "29.30",
        "channel, report": "27.84",
        "best epoch": "2 / 29",
        "epochs": "3 / 30",
        "seconds": "6.2 / 6.2",
    }


def test_rows_stand_in_the_order_of_the_runs() -> None:
    runs = [result(experiment="l2", activation="tanh"), *pair(), result(experiment="momentum", weight_decay=0.0)]
    table = results_table(runs, ENVIRONMENT, 1)
    assert [row[0] for row in table.rows] == ["l2", "relu", "momentum"]
    assert columns(table, 2)["network"] == "3072-128-20 relu, no weight decay"


def test_a_decay_that_is_divided_by_the_batch_is_told_in_the_row_and_above() -> None:
    divided = result(experiment="sigmoid", activation="sigmoid", decay_per="batch")
    table = results_table([*pair(), divided], ENVIRONMENT, 1)
    assert [columns(table, i)["network"] for i in range(2)] == [
        "3072-128-20 relu",
        "3072-128-20 sigmoid, decay per batch",
    ]
    told = "weight decay 0.01, divided by the batch's rows where the network says so, batch"
    assert any(told in fact for fact in table.facts)
    told = "decay 0.01, divided by the batch's rows, batch"
    assert any(told in fact for fact in results_table([divided], ENVIRONMENT, 1).facts)
    assert not any("divided" in fact for fact in results_table(pair(), ENVIRONMENT, 1).facts)


def test_several_seeds_give_mean_and_standard_deviation() -> None:
    runs = [result(accuracy, seed=seed) for seed, accuracy in enumerate((0.30, 0.32, 0.34))]
    table = results_table(runs, ENVIRONMENT, 1)
    assert columns(table)["image"] == "32.00 ± 2.00"
    assert any("seed 0 and 1 and 2; mean ± standard deviation" in fact for fact in table.facts)
    assert not any("±" in fact for fact in results_table(runs[:1], ENVIRONMENT, 1).facts)


def test_runs_of_one_name_that_differ_in_more_than_their_seed_are_rows_of_their_own() -> None:
    runs = [result(0.30, lr=0.01), result(0.32, lr=0.01, seed=1), result(0.10, lr=0.1)]
    table = results_table(runs, ENVIRONMENT, 1)
    assert [(row[0], row[1], row[3]) for row in table.rows] == [
        ("relu, lr 0.01", "e_ReLU", "31.00 ± 1.41"),
        ("relu, lr 0.1", "e_ReLU", "10.00"),
    ]


def test_diverged_runs_are_marked_and_left_out_of_the_mean() -> None:
    lost = result(math.nan, status="diverged", seed=9)
    assert columns(results_table([lost], ENVIRONMENT, 1))["image"] == "diverged"
    mixed = [result(0.30), result(0.32, seed=1), lost]
    assert columns(results_table(mixed, ENVIRONMENT, 1))["image"] == "31.00 ± 1.41 (1 of 3 diverged)"


def test_runs_that_a_callback_ended_count_as_done() -> None:
    runs = [result(0.30), result(0.32, status="stopped", seed=1)]
    assert columns(results_table(runs, ENVIRONMENT, 1))["image"] == "31.00 ± 1.41"


def test_a_normalisation_that_has_not_run_yet_is_a_dash() -> None:
    runs = [*pair(), result(experiment="l2", activation="tanh")]
    row = columns(results_table(runs, ENVIRONMENT, 1), 1)
    assert (row["channel"], row["channel, report"], row["epochs"]) == ("-", "-", "3")


def test_published_figures_are_for_cifar100_only() -> None:
    table = results_table(pair(dataset="embedded"), ENVIRONMENT, 1)
    assert not any("report" in column for column in table.columns)
    assert any("are for CIFAR-100" in fact for fact in table.facts)


def test_published_figures_are_for_the_reports_settings_only() -> None:
    runs = [*pair(), result(experiment="custom", layers=(3072, 7, 20)), result(normalize="dataset")]
    table = results_table(runs, ENVIRONMENT, 1)
    assert (columns(table)["image, report"], columns(table, 1)["image, report"]) == ("32.37", "-")
    assert columns(table, 1)["row"] == "-"
    assert "dataset, report" not in table.columns
    assert any("left out where" in fact for fact in table.facts)


def test_facts_state_data_settings_and_machine() -> None:
    facts = "\n".join(results_table(pair(), ENVIRONMENT, 192).facts)
    for text in (
        "cifar100 (official files; fingerprint 0123456789abcdef)",
        "50,000 training images, 20% of them for validation",
        "lr 0.005, momentum 0.9, weight decay 0.01, batch 1024, up to 100 epochs, patience 5, float32, products packed",
        "Some CPU, 2 of 4 cores, Linux 6 x86_64, Python 3.12.1, numpy 2.4.6",
        "openblas 0.3.31 (SkylakeX kernels); threads a run: 1",
        "Runs: 2, in 3 min 12 s of wall time",
    ):
        assert text in facts
    assert "no BLAS found" in machine(ENVIRONMENT | {"blas": None})


def test_other_steps_are_told() -> None:
    adam = {"optimizer": "adam", "momentum": None, "lr": None, "dropout": 0.5, "label_smoothing": 0.1}
    two = {"layers": (3072, 8, 7, 20), "activation": ("relu", "tanh"), "schedule": "step", "schedule_every": 7}
    runs = [result(), result(**adam), result(**two)]
    table = results_table(runs, ENVIRONMENT, 1)
    told = (
        "Training: SGD and Adam, lr 0.005 and 0.001, momentum 0.9, weight decay 0.01, beta1 0.9, beta2 0.999, eps 1e-08, "
        "batch 1024, up to 100 epochs, patience 5, float32, products packed, schedule constant and step, label smoothing 0 "
        "and 0.1, dropout 0 and 0.5, schedule every 7."
    )
    assert told in table.facts
    assert [columns(table, i)["experiment"] for i in range(3)] == [
        "relu, layers 3072-128-20, activation relu, optimizer sgd, label_smoothing 0.0, dropout 0.0, schedule constant",
        "relu, layers 3072-128-20, activation relu, optimizer adam, label_smoothing 0.1, dropout 0.5, schedule constant",
        "relu, layers 3072-8-7-20, activation relu-tanh, optimizer sgd, label_smoothing 0.0, dropout 0.0, schedule step",
    ]
    assert columns(table, 2)["network"] == "3072-8-7-20 relu-tanh"
    assert (columns(table)["image, report"], columns(table, 1)["image, report"]) == ("32.37", "-")
    assert columns(table, 2)["init"] == "he and lecun"
    assert network(runs[1].config) == "3072-128-20 relu, optimizer adam, label smoothing 0.1, dropout 0.5"


def test_markdown_is_a_list_and_a_table() -> None:
    table = Table(["One.", "Two."], ["name", "figure"], [["a", "1"], ["b", "2"]], words=1)
    assert table.markdown() == ("- One.\n- Two.\n\n| name | figure |\n| :--- | ---: |\n| a | 1 |\n| b | 2 |\n")


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_terminal_of_any_width_shows_every_cell(width: int) -> None:
    table = results_table(pair(), ENVIRONMENT, 1)
    parts = table.rich(width)
    console = Console(width=width, file=io.StringIO())
    console.print(*parts)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, shown.splitlines())) <= width
    words = " ".join([*table.columns, *table.rows[0]]).split()
    assert set(words) <= set(shown.split())
    assert all(str(part.columns[0].header) == "experiment" for part in parts)
    assert (len(parts) == 1) == (width == 200)


def test_the_list_of_experiments_is_whole() -> None:
    table = experiments_table()
    assert [row[0] for row in table.rows] == list(EXPERIMENTS)
    assert table.rows[0] == ["momentum", "c", "3072-128-20 tanh, no weight decay", "24.46", "29.17"]
    assert table.rows[-1] == ["classes100", "g", "3072-256-100 relu", "17.55", "20.83"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59.4, "59.4 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (7320, "2 h 2 min"),
    ],
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_plan_has_a_row_a_run_with_the_time_that_it_takes_at_most() -> None:
    configs = [config(), config(seed=3, normalize="channel"), config(experiment="momentum", weight_decay=0.0)]
    table = plan_table(configs, [90.0, 0.0, 30.5], jobs=2)
    assert table.columns == ["experiment", "normalisation", "seed", "network", "at most"]
    assert table.rows == [
        ["relu", "image", "0", "3072-128-20 relu", "1 min 30 s"],
        ["relu", "channel", "3", "3072-128-20 relu", "finished"],
        ["momentum", "image", "0", "3072-128-20 relu, no weight decay", "30.5 s"],
    ]


@pytest.mark.parametrize(
    ("seconds", "jobs", "told"),
    [
        ([30.0, 30.0, 30.0, 30.0], 2, "Runs: 4, 4 of them to do, 2 at a time: 1 min 0 s at most."),
        ([30.0, 0.0], 1, "Runs: 2, 1 of them to do, 1 at a time: 30.0 s at most."),
        ([50.0, 10.0], 2, "Runs: 2, 2 of them to do, 2 at a time: 50.0 s at most."),  # no sooner than the longest
        ([0.0, 0.0], 2, "Runs: 2, 0 of them to do, 2 at a time: 0.0 s at most."),
    ],
)
def test_a_plan_tells_the_time_of_the_whole(seconds: list[float], jobs: int, told: str) -> None:
    assert plan_table([config(seed=i) for i in range(len(seconds))], seconds, jobs).facts == [told]


def candidate(lr: float, accuracies: list[float], tested: float = math.nan, **changes: Any) -> list[RunResult]:
    """The runs of one candidate of a search, a seed for each validation accuracy."""
    usual: dict[str, Any] = {"experiment": f"lr {lr}", "lr": lr} | changes
    return [
        replace(result(tested, seed=seed, **usual), val_accuracy=accuracy) for seed, accuracy in enumerate(accuracies)
    ]


def test_candidates_are_ranked_by_validation_and_the_best_alone_is_tested() -> None:
    poor, good = candidate(0.1, [0.20, 0.24]), candidate(0.2, [0.30, 0.32], 0.31)
    fair = candidate(0.3, [0.25, 0.31], status="pruned", epochs=12)
    runs = [run for trio in zip(poor, good, fair, strict=True) for run in trio]  # as they come: seeds outermost
    table = search_table(runs, [run.config for run in good], ENVIRONMENT)
    assert table.columns == [
        "candidate", "normalisation", "status", "validation", "test", "seeds", "epochs", "seconds"
    ]  # fmt: skip
    assert table.rows == [
        ["lr 0.2", "image", "done", "31.00 ± 1.41", "31.00 ± 0.00", "2", "3", "12.5"],
        ["lr 0.3", "image", "pruned", "28.00 ± 4.24", "-", "2", "12", "12.5"],
        ["lr 0.1", "image", "done", "22.00 ± 2.83", "-", "2", "3", "12.5"],
    ]
    assert "| lr 0.2 **(best)** | image | done |" in table.markdown()


def test_a_search_says_what_its_figures_are_and_what_was_tried() -> None:
    runs = [*candidate(0.1, [0.2]), *candidate(0.2, [0.3], 0.31)]
    facts = search_table(runs, [runs[1].config], ENVIRONMENT).facts
    assert facts[0].startswith("Data set: cifar100")
    assert "compared on the validation images, and the best one alone is tested" in facts[1]
    assert not any(fact.startswith("Figures: test accuracy") for fact in facts)
    assert any("lr 0.1 and 0.2" in fact for fact in facts)


def test_a_candidate_under_two_normalisations_is_two() -> None:
    runs = [*candidate(0.1, [0.2]), *candidate(0.1, [0.3], 0.31, normalize="channel")]
    table = search_table(runs, [runs[1].config], ENVIRONMENT)
    assert [row[:2] for row in table.marked_rows()] == [["lr 0.1 (best)", "channel"], ["lr 0.1", "image"]]


def test_a_candidate_without_a_figure_stands_last() -> None:
    lost = candidate(0.9, [0.4, math.nan], status="diverged")
    table = search_table([*lost, *candidate(0.1, [0.2]), *candidate(0.2, [0.3])], None, ENVIRONMENT)
    assert [row[0] for row in table.rows] == ["lr 0.2", "lr 0.1", "lr 0.9"]
    assert columns(table, 2)["validation"] == "-"


def test_the_statuses_of_a_candidates_seeds_are_told() -> None:
    runs = candidate(0.1, [0.2, 0.3, 0.4])
    runs[1] = replace(runs[1], status="interrupted")
    assert columns(search_table(runs, None, ENVIRONMENT))["status"] == "done interrupted"
