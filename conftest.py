"""Which tests a bare `pytest` runs: tests/ without timing, or bench/ alone under --benchmark-only."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest-benchmark reads its options
def pytest_configure(config: pytest.Config) -> None:
    """Choose folder, timing and markers where the command line leaves them open."""
    option = config.option
    if getattr(option, "benchmark_only", False):
        if config.args_source != pytest.Config.ArgsSource.ARGS:  # no path was given
            config.args = [str(config.rootpath / "bench")]
    elif hasattr(option, "benchmark_disable") and not option.benchmark_enable:
        option.benchmark_disable = True  # a benchmark named without --benchmark-only runs once, as a quick test
    if not option.markexpr:
        option.markexpr = "not slow"
