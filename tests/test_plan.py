"""From options to runs: which ones, in which order, under which names, and how many at once."""

from dataclasses import replace
from itertools import product

import pytest

from fastmlp.cli.options import build_parser
from fastmlp.cli.plan import make_plan, settings_of
from fastmlp.data import Dataset
from fastmlp.errors import ConfigError
from fastmlp.runs.experiments import EXPERIMENTS
from fastmlp.sweep.plan import Plan, candidates_of
from samples import config, dataset

DATA = dataset("cifar100", images=2)
ONE = ("--experiments", "relu", "--normalize", "image")


@pytest.fixture(autouse=True)
def cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine of four cores."""
    for module in ("cli.plan", "nn.threads"):
        monkeypatch.setattr(f"fastmlp.{module}.usable_cores", lambda: 4)


def plan(*argv: str, data: Dataset = DATA) -> Plan:
    return make_plan(build_parser().parse_args(argv), data)


def test_by_default_the_report_under_both_normalisations() -> None:
    made = plan()
    assert [(c.experiment, c.normalize) for c in made.configs] == list(product(EXPERIMENTS, ("image", "channel")))
    assert {(c.seed, c.threads, c.matmul) for c in made.configs} == {(0, 1, "packed")}
    assert (made.jobs, made.threads, made.search, made.left_out) == (4, 1, False, "")


def test_what_does_not_fit_the_data_is_left_out_in_words() -> None:
    made = plan(data=dataset("embedded", kinds=("fine",), images=2))
    assert {c.experiment for c in made.configs} == set(EXPERIMENTS) - {"classes100"}
    assert made.left_out.startswith("classes100 is left out")


def test_options_of_the_network_alone_make_one_custom_row() -> None:
    made = plan("--activation", "relu", "--normalize", "image")
    assert [(c.experiment, c.activation, c.layers) for c in made.configs] == [("custom", "relu", (3072, 128, 20))]
    made = plan("--activation", "relu", "--experiments", "l2,sigmoid", "--normalize", "image")
    assert [(c.experiment, c.activation) for c in made.configs] == [("l2", "relu"), ("sigmoid", "relu")]


def test_seeds_are_outermost_and_count_from_the_first() -> None:
    made = plan("--experiments", "l2", "relu", "--normalize", "image", "--seed", "3", "--seeds", "2")
    assert [(c.seed, c.experiment) for c in made.configs] == [(3, "l2"), (3, "relu"), (4, "l2"), (4, "relu")]


def test_what_is_given_twice_runs_once() -> None:
    assert len(plan("--experiments", "relu,relu", "relu", "--normalize", "image", "image,image").configs) == 1


def test_a_grid_makes_each_combination_a_candidate_of_its_name() -> None:
    made = plan(*ONE, "--grid", "lr=0.01,0.02", "layers=3072-8-20,3072-16-8-20")
    assert [(c.experiment, c.lr, c.layers) for c in made.configs] == [
        ("lr 0.01, layers 3072-8-20", 0.01, (3072, 8, 20)),
        ("lr 0.01, layers 3072-16-8-20", 0.01, (3072, 16, 8, 20)),
        ("lr 0.02, layers 3072-8-20", 0.02, (3072, 8, 20)),
        ("lr 0.02, layers 3072-16-8-20", 0.02, (3072, 16, 8, 20)),
    ]
    assert {(c.activation, c.normalize) for c in made.configs} == {("relu", "image")}
    assert made.search


def test_candidates_of_several_experiments_bear_their_names() -> None:
    made = plan("--experiments", "l2", "relu", "--normalize", "image", "--grid", "lr=0.01,0.02", "--seeds", "2")
    wanted = [f"{name}, lr {lr}" for _ in range(2) for name in ("l2", "relu") for lr in (0.01, 0.02)]
    assert [c.experiment for c in made.configs] == wanted
    assert [c.seed for c in made.configs] == [0] * 4 + [1] * 4


def test_an_axis_wins_over_the_option_of_the_same_setting() -> None:
    made = plan(*ONE, "--lr", "0.5", "--batch-size", "7", "--grid", "lr=0.01,0.02")
    assert [(c.lr, c.batch_size) for c in made.configs] == [(0.01, 7), (0.02, 7)]


def test_an_axis_of_precision_brings_the_way_to_multiply() -> None:
    made = plan(*ONE, "--grid", "precision=float32,float64")
    assert [(c.precision, c.matmul) for c in made.configs] == [("float32", "packed"), ("float64", "packed")]


def test_an_axis_of_normalize_makes_no_run_twice() -> None:
    made = plan("--experiments", "relu", "--grid", "normalize=image,dataset", "--seeds", "2")  # --normalize has two
    wanted = [("normalize image", "image"), ("normalize dataset", "dataset")] * 2
    assert [(c.experiment, c.normalize) for c in made.configs] == wanted


def test_a_search_over_optimisers_gives_each_its_own_settings() -> None:
    made = plan(*ONE, "--grid", "optimizer=sgd,adam", "dropout=0,0.5", "activation=relu,gelu")
    assert [(c.optimizer, c.lr, c.momentum, c.beta1) for c in made.configs[::4]] == [
        ("sgd", 0.005, 0.9, None),
        ("adam", 0.001, None, 0.9),
    ]
    assert [c.experiment for c in made.configs[-2:]] == [
        "optimizer adam, dropout 0.5, activation relu",
        "optimizer adam, dropout 0.5, activation gelu",
    ]
    assert len(plan(*ONE, "--optimizer", "adam", "--random", "4", "beta2=0.9..0.999", "eps=1e-8..1e-4").configs) == 4
    with pytest.raises(ConfigError, match="momentum is 0.8, and optimizer adam has no momentum"):
        plan(*ONE, "--grid", "optimizer=sgd,adam", "--momentum", "0.8")
    with pytest.raises(ConfigError, match="beta1 is 0.8, and optimizer sgd has no beta1"):
        plan(*ONE, "--grid", "beta1=0.8,0.9")


def test_options_of_steps_reach_the_config() -> None:
    made = plan(
        "--layers", "3072-8-7-20", "--activation", "relu,gelu", "--normalize", "image", "--optimizer", "adamw", "--lr", "0.01",
        "--beta1", "0.8", "--beta2", "0.9", "--eps", "1e-7", "--clip-norm", "1", "--label-smoothing", "0.1", "--dropout",
        "0.5", "--input-dropout", "0.2", "--schedule", "step", "--warmup", "2", "--schedule-every", "5",
        "--schedule-factor", "0.5",
    )  # fmt: skip
    [one] = made.configs
    assert one.activation == ("relu", "gelu")
    assert one.changed == {
        "optimizer": "adamw", "beta1": 0.8, "beta2": 0.9, "eps": 1e-7, "clip_norm": 1.0, "label_smoothing": 0.1,
        "dropout": 0.5, "input_dropout": 0.2, "warmup": 2, "schedule_every": 5, "schedule_factor": 0.5,
    }  # fmt: skip
    [one] = plan(*ONE, "--schedule", "plateau", "--schedule-patience", "7", "--schedule-tol", "0").configs
    assert (one.schedule_patience, one.schedule_tol, one.patience) == (7, 0.0, 5)


def test_random_candidates_follow_the_seed_and_all_seeds_run_the_same_ones() -> None:
    argv = (*ONE, "--random", "5", "lr=1e-4..1e-1", "batch_size=16,32", "--seeds", "2")
    made = plan(*argv)
    assert made.search
    assert [len(runs) for runs in candidates_of(made.configs)] == [2] * 5
    assert [replace(c, seed=0) for c in made.configs[:5]] == [replace(c, seed=0) for c in made.configs[5:]]
    assert all(1e-4 <= c.lr <= 1e-1 and c.batch_size in (16, 32) for c in made.configs)
    assert made == plan(*argv)
    assert {c.lr for c in made.configs}.isdisjoint(c.lr for c in plan(*argv, "--seed", "1").configs)


def test_a_preset_that_searches_is_its_grid() -> None:
    made = plan(*ONE, "--preset", "report-grid")
    settings = {(c.lr, c.batch_size, c.weight_decay) for c in made.configs}
    assert settings == set(product((0.001, 0.005, 0.01), (256, 1024), (0.01, 0.001, 0.0001)))
    assert len(made.configs) == 18
    assert made.search


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--grid", "lr=0.1", "--random", "2", "lr=0.1,0.2"], "--grid and --random are two searches"),
        (["--grid", "lr=0.1", "--preset", "report-grid"], "--grid and --preset report-grid are two searches"),
        (["--random", "2", "lr=1..2", "--preset", "report-grid"], "--random and --preset report-grid are two searches"),
        (["--halving"], "--halving needs candidates .* add --grid"),
        (["--halving", "2", "--preset", "report"], "--halving needs candidates"),
        (["--random", "5"], r"--random is 5; allowed is a number of draws and then axes"),
        (["--random", "lr=0.1,0.2"], r"--random is lr=0.1,0.2; allowed"),
        (["--random", "-1", "lr=0.1,0.2"], r"--random is -1 lr=0.1,0.2; allowed"),
        (["--random", "0", "lr=0.1,0.2"], r"draw 0 candidates; allowed"),
        (["--grid", "lr=0.1..0.2"], "A grid needs values"),
        (["--grid", "seed=1,2"], "names no field that a search can vary"),
        (["--grid", "lr=0.1", "lr=0.2"], "more than one axis of lr"),
        (["--grid", "layers=3072-8-10"], "layers is 3072,8,10; on cifar100"),
        (["--lr", "-1"], "lr is -1.0; allowed"),
        (["--threads", "5"], "threads is 5; allowed is a whole number from 1 to 4"),
        (["--precision", "bfloat16", "--matmul", "blas"], "--matmul is blas; allowed with --precision bfloat16"),
    ],
)
def test_what_does_not_fit_is_refused(argv: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(*argv)


@pytest.mark.parametrize("more", [("--halving",), ("--halving", "4")])
def test_halving_leaves_the_candidates_as_they_are(more: tuple[str, ...]) -> None:
    argv = (*ONE, "--grid", "lr=0.01,0.02")
    assert replace(plan(*argv, *more), eta=None) == plan(*argv)


@pytest.mark.parametrize(
    ("argv", "jobs", "threads"),
    [
        ((), 4, 1),
        (ONE, 1, 4),  # nothing else to do: it has all cores
        ((*ONE, "--threads", "2"), 1, 2),
        ((*ONE, "--jobs", "1"), 1, 4),
        ((*ONE, "--seeds", "2"), 2, 1),  # no more jobs than runs
        ((*ONE, "--seeds", "2", "--jobs", "4"), 2, 1),
        (("--threads", "2"), 2, 2),
        (("--threads", "3"), 1, 3),
        (("--threads", "4"), 1, 4),
        (("--jobs", "3"), 3, 1),
        (("--jobs", "2", "--threads", "2"), 2, 2),
        (("--jobs", "1"), 1, 1),  # threads are part of a run's identity, jobs are not
    ],
)
def test_jobs_and_threads_fill_the_cores(argv: tuple[str, ...], jobs: int, threads: int) -> None:
    made = plan(*argv)
    assert (made.jobs, made.threads) == (jobs, threads)
    assert {c.threads for c in made.configs} == {threads}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--jobs", "5"), "--jobs 5 of --threads 1 are 5 threads; allowed is no more than the 4 cores .* --jobs 4"),
        (("--jobs", "2", "--threads", "3"), "are 6 threads; .*Give --jobs 1 or auto"),
    ],
)
def test_more_threads_than_cores_are_refused(argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(*argv)


def test_a_number_of_jobs_fits_any_number_of_runs() -> None:
    """A single run has all cores, and would then leave none for the second job, which it has no use for."""
    made = plan(*ONE, "--jobs", "2")
    assert (made.jobs, made.threads) == (1, 4)


def test_how_many_work_at_once_changes_no_run() -> None:
    assert plan("--jobs", "1").configs == plan("--jobs", "4").configs == plan().configs


def test_the_products_are_those_that_were_asked_for() -> None:
    assert {c.matmul for c in plan("--matmul", "blas").configs} == {"blas"}
    assert "matmul" not in settings_of(build_parser().parse_args([]))


def test_runs_of_one_candidate_differ_in_their_seed_alone() -> None:
    a, b = config(seed=1), config(seed=1, lr=0.5)
    runs = [a, b, replace(b, seed=0), replace(a, seed=2), config(experiment="other")]
    assert candidates_of(runs) == [[a, replace(a, seed=2)], [b, replace(b, seed=0)], [runs[-1]]]
    assert candidates_of([]) == []
