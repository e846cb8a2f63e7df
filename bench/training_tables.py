"""The tables of training steps, epochs, memory, answers and matrix products: a row a rival, or a product."""

from collections.abc import Callable, Iterable
from typing import Any

from bench.measured import Key, Row, in_units, over_turns, plural
from bench.readme import markdown

RIVALS = {
    "fastmlp": "**fastmlp**, float32",
    "fastmlp_bf16": "**fastmlp**, bfloat16",
    "fastmlp_int8": "**fastmlp**, int8",
    "fastmlp_steps": "fastmlp, float32, a call a batch",
    "fastmlp_blas": "fastmlp, float32, products by BLAS",
    "trial": "the trial before it, float32",
    "trial_bf16": "the trial before it, bfloat16",
    "torch": "PyTorch eager, float32",
    "torch_bf16": "PyTorch autocast, bfloat16",
    "torch_compile": "PyTorch compiled, float32",
    "torch_compile_bf16": "PyTorch compiled, autocast, bfloat16",
    "jax": "JAX jit, float32",
    "jax_bf16": "JAX jit, bfloat16",
    "sklearn": "scikit-learn, float32",
    "numpy": "plain numpy, float64",
    "numpy_default_blas": "the same, BLAS's own choice of kernels",
}
OURS = ("fastmlp", "fastmlp_bf16", "fastmlp_int8")
PREDICTORS = RIVALS | {"numpy": "numpy, float32"}
MULTIPLIERS = PREDICTORS | {
    "torch": "PyTorch, float32",
    "torch_bf16": "PyTorch, bfloat16",
    "torch_int8": "PyTorch, int8",
}
SOURCES = {
    "plain": "",
    "images": ", from uint8 images: gather, convert, normalise, pack",
}


def _by_rival(
    head: str, columns: dict[str, Row], cell: Callable[[str, Row], str], labels: dict[str, str] = RIVALS
) -> str:
    """Return a table of cell(rival, row) for all rivals that have a result in any of the columns."""
    lines = [
        [label, *(cell(rival, row) if rival in row else "-" for row in columns.values())]
        for rival, label in labels.items()
        if any(rival in row for row in columns.values())
    ]
    return markdown([head, *columns], lines)


def _speed(turns: list[dict[str, Any]]) -> str:
    rate, share = over_turns(turns, "gflop_per_s"), over_turns(turns, "peak_share")
    return f"{rate:,.0f} GFLOP/s ({share:.0%})" if rate >= 1000 else f"{rate:.3g} GFLOP/s ({share:.0%})"


def _time(rival: str, row: Row) -> str:
    """Return our time and speed, or a rival's time and what part of it we take in either precision."""
    seconds = over_turns(row[rival])
    if rival in OURS:
        return f"{in_units(seconds)}, {_speed(row[rival])}"
    ratios = [f"{seconds / over_turns(row[ours]):.2f}x" for ours in OURS if ours in row]
    return f"{in_units(seconds)} ({', '.join(ratios)})" if ratios else in_units(seconds)


def step_tables(rows: dict[Key, Row]) -> Iterable[tuple[str, str]]:
    """Yield titles and tables for each number of threads: by batch, and by hidden units where several were measured."""
    steps = {key[1:]: row for key, row in rows.items() if key[0] == "train_step"}
    images = [layers for layers, _, _ in steps if layers.count("-") == 2]  # the network that all batches were for first
    for threads in sorted({threads for _, _, threads in steps}):
        own = {(layers, batch): row for (layers, batch, t), row in steps.items() if t == threads}
        batches = sorted(batch for layers, batch in own if layers == images[0])
        columns = {f"batch {batch}": own[images[0], batch] for batch in batches}
        columns |= {f"{layers}, batch {batch}": row for (layers, batch), row in own.items() if layers not in images}
        yield f"A training step of {images[0]}, tanh, {plural(threads)}:", _by_rival("step", columns, _time)
        widths = {int(layers.split("-")[1]): row for (layers, b), row in own.items() if layers in images and b == 1024}
        if len(widths) > 1:
            columns = {f"{hidden} hidden": widths[hidden] for hidden in sorted(widths)}
            yield f"The same by hidden units, batch 1024, {plural(threads)}:", _by_rival("step", columns, _time)


def gain_table(rows: dict[Key, Row]) -> Iterable[tuple[str, str]]:
    """Yield the title and the table of what all cores gain a step, where there are any."""
    columns = {f"{case[0]}, batch {case[1]}": row for (group, *case), row in rows.items() if group == "threads"}
    if columns:
        table = _by_rival("step", columns, lambda rival, row: f"{over_turns(row[rival], 'gain'):.2f}x")
        yield (
            "One thread's time over that of all cores, in turns, as each network chose to share its steps or not:",
            table,
        )


def epoch_table(rows: dict[Key, Row]) -> Iterable[tuple[str, str]]:
    """Yield the title and the table of epochs, with each rival's memory on one thread."""
    columns, memory = {}, {}
    for (group, *case), row in rows.items():
        if group == "epoch":
            layers, batch, threads = case
            count = next(iter(row.values()))[0]["rows"]
            columns[f"{layers}, batch {batch}, {count:,} rows, {plural(threads)}"] = row
            memory |= {rival: turns for rival, turns in row.items() if threads == 1 and "peak_bytes" in turns[0]}
    if memory:
        columns["most memory, 1 thread"] = memory

    def cell(rival: str, row: Row) -> str:
        return f"{over_turns(row[rival], 'peak_bytes') / 1e6:,.0f} MB" if row is memory else _time(rival, row)

    yield "An epoch, shuffling included, validation not:", _by_rival("epoch", columns, cell)


def predict_table(rows: dict[Key, Row]) -> Iterable[tuple[str, str]]:
    """Yield the title and the table of answers for a few rows."""
    columns = {
        f"{layers}, {count} row{'s'[: count > 1]}": row
        for (group, *case), row in rows.items()
        if group == "predict"
        for layers, count, _ in [case]
    }

    def cell(rival: str, row: Row) -> str:
        seconds, ours = over_turns(row[rival]), over_turns(row["fastmlp"]) if "fastmlp" in row else None
        return in_units(seconds) if rival == "fastmlp" or not ours else f"{in_units(seconds)} ({seconds / ours:.2f}x)"

    yield "The most probable class (`predict`), 1 thread:", _by_rival("predict", columns, cell, PREDICTORS)


def product_tables(rows: dict[Key, Row]) -> Iterable[tuple[str, str]]:
    """Yield titles and tables of matrix products, for each thread count."""
    products = {key[1:]: row for key, row in rows.items() if key[0] == "gemm"}
    rivals = [rival for rival in MULTIPLIERS if any(rival in row for row in products.values())]
    for threads in sorted({key[-1] for key in products}):
        lines = []
        for (m, k, n, transposed, source, t), row in products.items():
            if t == threads:
                left = f"{k} x {m} transposed" if transposed else f"{m} x {k}"
                cells = (_speed(row[rival]) if rival in row else "-" for rival in rivals)
                lines.append([f"{left} by {k} x {n}{SOURCES[source]}", *cells])
        yield f"Matrix products, {plural(threads)}:", markdown(["product", *(MULTIPLIERS[r] for r in rivals)], lines)
