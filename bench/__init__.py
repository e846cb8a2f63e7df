"""Benchmarks: `pytest --benchmark-only` from the root runs them; `bench.table` writes the table of the README."""
