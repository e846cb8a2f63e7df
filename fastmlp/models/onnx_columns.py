"""The columns of a table as operators of ONNX: what stands in a graph before the network of a model of a table.

Each column is an input of its own, called as in the table, of shape (rows, 1): double for a number, of which NaN and
infinities are missing; string for a category, of which "" and the words for it in a CSV are missing.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastmlp.data.cells import MISSING, TRUTHS
from fastmlp.data.columns import Columns
from fastmlp.data.encoders import LIMIT, Category, Encoder, Number
from fastmlp.data.library import listed
from fastmlp.errors import ConfigError

if TYPE_CHECKING:
    from fastmlp.models.onnx import Graph

ML, ML_OPSET = "ai.onnx.ml", 3  # of LabelEncoder


def check_exportable(columns: Columns, taken: tuple[str, ...]) -> None:
    """Raise ConfigError for columns that ONNX has no operators for, or that are called as other values of the graph."""
    others = [one for one in columns.encoders if not isinstance(one, Number | Category)]
    advice = "--prepared exports the network alone, for the rows that load_model(path).rows(data) makes of a table."
    if others:
        kinds = ", ".join(sorted({{"hashed": "hashes of texts", "date": "dates"}[one.kind] for one in others}))
        raise ConfigError(
            f"ONNX has no operators for {kinds}, as the model has them in {listed([one.name for one in others])}. "
            f"{advice}"
        )
    if wrong := next((one.name for one in columns.encoders if one.name in taken or one.name.startswith("/")), None):
        raise ConfigError(f"A column is called {wrong!r}, as a value of the graph. {advice}")


def inputs_of(columns: Columns) -> list[Any]:
    """Return the inputs of a graph, as ONNX describes them."""
    from onnx import TensorProto, helper

    kinds = {Number: TensorProto.DOUBLE, Category: TensorProto.STRING}
    return [helper.make_tensor_value_info(one.name, kinds[type(one)], ["rows", 1]) for one in columns.encoders]


def add_columns(graph: "Graph", columns: Columns) -> str:
    """Add what makes rows (rows, D) float32 of the inputs; return its name."""
    parts = [_of_column(graph, one, f"{i}") for i, one in enumerate(columns.encoders)]
    return graph.node("Concat", *parts, axis=1)


def _of_column(graph: "Graph", one: Encoder, number: str) -> str:
    from onnx import TensorProto

    if isinstance(one, Number):
        features = _of_number(graph, one, number)
    else:
        assert isinstance(one, Category)
        features = [_of_category(graph, one, number)]
    floats = [graph.node("Cast", name, to=TensorProto.FLOAT) for name in features]
    return floats[0] if len(floats) == 1 else graph.node("Concat", *floats, axis=1)


def _of_number(graph: "Graph", one: Number, number: str) -> list[str]:
    node = graph.node

    def constant(name: str, value: Any, kind: Any = np.float64) -> str:
        return graph.constant(f"{name}_{number}", value, kind)

    unknown = node("Or", node("IsNaN", one.name), node("IsInf", one.name))
    x = node("Where", unknown, constant("median", one.median), one.name)
    if one.points:  # as np.interp has it
        points, scores = np.array(one.points) / 2, np.array(one.scores)
        slopes = np.append(np.diff(scores) / np.diff(points), 0)
        x = node("Clip", node("Div", x, constant("two", 2)), constant("low", points[0]), constant("high", points[-1]))
        above = node("Cast", node("GreaterOrEqual", x, constant("points", points[None])), to=_int64())
        place = node("ReduceSum", above, constant("axis", [1], np.int64), keepdims=1)
        place = node("Sub", place, constant("one", 1, np.int64))
        left, slope, score = (
            node("Gather", constant(name, values), place)
            for name, values in (("left", points), ("slopes", slopes), ("scores", scores))
        )
        x = node("Add", node("Mul", node("Sub", x, left), slope), score)
    elif one.scale:
        x = node("Div", node("Sub", x, constant("center", one.center)), constant("scale", one.scale))
        x = node("Clip", x, constant("least", -LIMIT), constant("most", LIMIT))
    else:
        x = node("Mul", x, constant("zero", 0))
    return [x, unknown][: len(one.features)]


def _of_category(graph: "Graph", one: Category, number: str) -> str:
    codes = _codes(one)
    numbers = np.arange(len(one.features))[None]
    default = len(one.levels) if one.other else -1
    code = graph.node(
        "LabelEncoder",
        one.name,
        domain=ML,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=default,
    )
    return graph.node("Equal", code, graph.constant(f"codes_{number}", numbers, np.int64))


def _codes(one: Category) -> dict[str, int]:
    """Return the feature that each text is a 1 in, -1 for none: as `level_texts` has it, however a text is written."""
    missing = len(one.levels) + one.other if one.missing else -1
    codes: dict[str, int] = {text: missing for text in MISSING}  # noqa: C420 - of texts, not of these alone
    for code, level in enumerate(one.levels):
        forms = [form for form in TRUTHS if form.lower() == level]
        if level.lstrip("+-").isdecimal():
            forms.append(f"{level}.0")
        codes |= dict.fromkeys([*forms, level], code)
    return codes


def _int64() -> int:
    from onnx import TensorProto

    return TensorProto.INT64


def made_up(columns: Columns, rows: int) -> dict[str, NDArray[Any]]:
    """Return `rows` values (M,) float64 or str of each column: about those of training, missing and unseen ones too."""
    rng, made = np.random.default_rng(0), dict[str, NDArray[Any]]()
    for one in columns.encoders:
        if isinstance(one, Number):
            low, high = (one.points[0], one.points[-1]) if one.points else (one.center - 3 * one.scale, 0.0)
            high = high if one.points else one.center + 3 * one.scale
            with np.errstate(over="ignore"):
                values = low / 2 + (high / 2 - low / 2) * rng.uniform(-0.1, 1.1, rows)
                values = np.clip(2 * values, -1e300, 1e300)
            made[one.name] = np.where(rng.random(rows) < 0.1, rng.choice([np.nan, np.inf], rows), values)
        else:
            assert isinstance(one, Category)
            made[one.name] = rng.choice([*one.levels, "", "unseen: ONNX"], rows)
    return made


def feeds_of(columns: Columns, values: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return columns as the inputs of a graph, (M, 1) float64 or object; values : (M,) float64 or str, by name."""
    return {
        one.name: np.asarray(values[one.name])[:, None].astype(np.float64 if isinstance(one, Number) else object)
        for one in columns.encoders
    }
