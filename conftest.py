"""What a bare `pytest` runs and how: tests/ on every core, or bench/ alone, in this process, under --benchmark-only."""

import os

import pytest

MOST_WORKERS = 8  # each holds kernels and data sets of its own, about 1.3 GB


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of the benchmarks; here, as that of a folder's conftest is too late where no path is given."""
    text = "measure every case of the benchmarks, not one or two for each verdict; not needed with -k or ids"
    parser.addoption("--full", action="store_true", help=text)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads its option
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Use every core for the whole suite; what was chosen by path or by name is sooner begun in this process alone."""
    option = config.option
    chosen = config.args_source == pytest.Config.ArgsSource.ARGS or option.keyword
    timed = getattr(option, "benchmark_only", False)
    inside = hasattr(config, "workerinput")  # a worker comes here too, and must start none
    if getattr(option, "numprocesses", 0) is None and not (inside or chosen or timed or option.usepdb):
        from loky import cpu_count

        option.numprocesses = min(cpu_count(), MOST_WORKERS)
        option.dist = "worksteal"  # a worker begins with neighbours, which share fixtures and kernels


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark reads its options
def pytest_configure(config: pytest.Config) -> None:
    """Choose folder and timing where the command line leaves them open."""
    config.addinivalue_line("markers", "full: a benchmark that only --full, or its name, measures")
    option = config.option
    if getattr(option, "benchmark_only", False):
        if config.args_source != pytest.Config.ArgsSource.ARGS:  # no path was given
            config.args = [str(config.rootpath / "bench")]
    elif hasattr(option, "benchmark_disable") and not option.benchmark_enable:
        option.benchmark_disable = True  # a benchmark named without --benchmark-only runs once, as a quick test


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let tests, and the processes that they start, share compiled kernels, whatever home a test gives them.

    The folder is pytest's own: a second run finds the kernels there, and `--cache-clear` begins without them.
    """
    cache = getattr(session.config, "cache", None)  # none under -p no:cacheprovider
    if cache is not None and not getattr(session.config.option, "benchmark_only", False):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(cache.mkdir("kernels")))
