"""Benchmarks: `pytest --benchmark-only` from the root runs them; `bench.table` writes the tables of bench/README.md."""
