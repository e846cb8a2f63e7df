"""A log says what stderr says, with the time, also what is refused before training; and results have their dates."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from command import embedded_made_once, fails, run, table_rows  # noqa: F401 - a fixture is found by its name
from fastmlp.report.tables import results_table
from fastmlp.runs.results import RunResult, load_results, now
from fastmlp.sweep.folder import opened
from samples import ENVIRONMENT, result

pytestmark = pytest.mark.usefixtures("embedded_made_once")
SMALL = ["--layers", "3072-4-20", "--normalize", "image"]
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (.*)")


def lines(path: Path) -> list[str]:
    """Return what the log says, having looked at the time of each line."""
    found = [LINE.fullmatch(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert all(found)
    return [line[1] for line in found if line]


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_it_says_what_stderr_says_quiet_or_not(quiet, tmp_path, capsys) -> None:
    log = tmp_path / "log"
    log.write_text("2026-01-01T00:00:00Z from before\n")
    assert run(*SMALL, "--log", str(log), *quiet) == 0
    said = capsys.readouterr().err.splitlines()
    before, command, *rest = lines(log)
    assert before == "from before"
    assert command.endswith(f"--log {log}{' --quiet' * len(quiet)}")
    assert rest == said or (quiet and said == [])
    assert any(line.startswith("run 1/1: custom") for line in rest)


def test_what_ends_a_sweep_is_in_it(tmp_path, monkeypatch) -> None:
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastmlp.sweep.conduct.Sweep", stop)
    assert run(*SMALL, "--log", str(tmp_path / "log")) == 130
    assert lines(tmp_path / "log")[-1].startswith("Stopped by Ctrl-C.")


def test_what_is_refused_before_training_is_in_it(tmp_path, capsys) -> None:
    log = tmp_path / "log"
    said = fails(capsys, *SMALL, "--log", str(log), "--layers", "3072-4-9", "--out", str(tmp_path / "out"))
    assert lines(log)[1:] == said.splitlines()
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_there_is_none_where_nothing_is_to_be_trained(tmp_path) -> None:
    assert run(*SMALL, "--log", str(tmp_path / "log"), "--dry-run") == 0
    assert list(tmp_path.iterdir()) == []


def test_runs_have_the_dates_of_their_start_and_end_in_results_and_table(tmp_path, capsys) -> None:
    earliest = datetime.now(UTC) - timedelta(seconds=1)
    assert run(*SMALL, "--seeds", "2", "--out", str(tmp_path)) == 0
    runs = load_results(tmp_path / "results.json")[1]
    for one in runs:
        started, finished = map(datetime.fromisoformat, (one.started, one.finished))
        assert earliest <= started <= finished <= datetime.now(UTC)
        assert one.started.endswith("Z")
    fact = f"- Dates (UTC): {runs[0].started} to {runs[1].finished}."
    assert fact in capsys.readouterr().out.splitlines()


def test_older_results_have_no_dates_and_are_read() -> None:
    written = result().to_json()
    for name in ("started", "finished"):
        del written[name]
    assert RunResult.from_json(written) == result()
    assert not any(fact.startswith("Dates") for fact in results_table([result()], ENVIRONMENT).facts)


def test_a_run_that_goes_on_started_when_it_first_did_and_one_begun_anew_does_not(tmp_path) -> None:
    first = replace(result(status="interrupted"), started="2026-01-01T00:00:00Z", finished="2026-01-01T00:01:00Z")
    second = replace(first, status="done", started="2026-02-01T00:00:00Z", finished="2026-02-01T00:01:00Z")
    with opened(tmp_path) as folder:
        for retry, started in ((), first.started), (("done", "interrupted"), second.started):
            folder.keep(first) if not retry else folder.missing([first.config], "0123456789abcdef", retry)
            folder.keep(second)
            kept = folder.known[first.run_id]
            assert (kept.started, kept.finished) == (started, second.finished)
    assert datetime.fromisoformat(now()).utcoffset() == timedelta(0)


def test_the_order_of_several_normalisations_is_told_and_of_one_is_not() -> None:
    pair = [result(), result(normalize="channel")]
    assert "in this order" in " ".join(results_table(pair, ENVIRONMENT).facts)
    assert "Normalisation: image." in results_table(pair[:1], ENVIRONMENT).facts


@pytest.mark.parametrize("halving", [[], ["--halving", "2"]])
def test_a_searchs_runs_are_never_numbered_beyond_the_last(halving, tmp_path, capsys) -> None:
    search = ["--grid", "lr=0.001,0.01,0.02,0.03", *halving, "--epochs", "4", "--out", str(tmp_path)]
    assert run(*SMALL, *search) == 0
    numbers = re.findall(r"^run (\d+)/(\d+):", capsys.readouterr().err, re.M)
    assert {int(of) for _, of in numbers} == {4}
    assert {int(number) for number, _ in numbers} == {1, 2, 3, 4}
    assert len(numbers) > 4
