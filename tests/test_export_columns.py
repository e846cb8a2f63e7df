"""ONNX graphs of models of tables: their columns go in as they are, and what the model says comes out."""

import json

import numpy as np
import polars as pl
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dataclasses import replace

from fastmlp import export, save_model
from fastmlp.data.columns import Columns
from fastmlp.data.encoders import Category, Date, Hashed, Number
from fastmlp.data.own import load_own
from fastmlp.data.reading import Reading
from fastmlp.errors import ConfigError
from fastmlp.models import onnx as onnx_graph
from fastmlp.models.onnx_columns import feeds_of, made_up
from own_models import own_of, random_model, table_model, table_rows, write_table

LIMITS = Number("n", 0.0, 1e300, 1e-300, (), (), missing=False)


def columns_of(model):
    columns = onnx_graph.columns_of(model)
    assert columns is not None
    return columns


def outputs_of(proto, feeds):
    """Return the outputs by onnxruntime and by onnx's own evaluator."""
    import onnxruntime
    from onnx.reference import ReferenceEvaluator

    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    with np.errstate(over="ignore"):  # of what is then cut at a limit
        [ours], [own] = session.run(None, feeds), list(ReferenceEvaluator(proto).run(None, feeds))
    return np.asarray(ours), np.asarray(own)


@pytest.mark.parametrize("scale", ["standard", "robust", "quantile"])
@pytest.mark.parametrize("kind", ["classes", "labels", "numbers"])
def test_the_columns_of_a_file_go_in_as_they_are(tmp_path, kind, scale):
    model = table_model(tmp_path, kind, scale=scale)
    new = write_table(tmp_path / "new.csv", table_rows(60, seed=8))
    columns, table = columns_of(model), pl.read_csv(new, infer_schema=False)
    values = {
        one.name: table[one.name].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        if isinstance(one, Number)
        else table[one.name].fill_null("").to_numpy()
        for one in columns.encoders
    }
    proto = onnx_graph.to_onnx(model)
    assert [one.name for one in proto.graph.input] == ["age", "city", "member", "income"]
    expected = model.outputs(new)
    for found in outputs_of(proto, feeds_of(columns, values)):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)
    found = onnx_graph.check(proto, model, made_up(columns, 500))
    assert found.rows == 500
    assert found.difference <= onnx_graph.tolerance(model)


@pytest.mark.parametrize(
    "encoder",
    [
        Number("n", 3.0, 2.5, 0.7, (), (), missing=True),
        Number("n", 3.0, 3.0, 0.0, (), (), missing=True),
        Number("n", 3.0, 0.0, 1.0, (3.0,), (0.5,), missing=False),
        Number("n", 3.0, 0.0, 1.0, (-1e308, 0.0, 3.0, 1e308), (-1.0, 0.0, 0.5, 2.0), missing=True),
        LIMITS,
        Category("c", ("1", "12", "true", "Ätna"), other=True, missing=True),
        Category("c", ("1", "12", "true", "Ätna"), other=False, missing=False),
    ],
)
def test_each_column_is_as_in_training(encoder):
    numbers = [0.0, 3.0, -3.0, 1e308, -1e308, np.nan, np.inf, -np.inf, 2.999999, 1e-310]
    texts = ["1", "1.0", "12", "true", "True", "TRUE", "Ätna", "NA", "", "other"]
    values = np.array(numbers) if isinstance(encoder, Number) else np.array(texts)
    columns = Columns("standard", (encoder,))
    model = replace(
        random_model_of(len(columns.feature_names)), reading=Reading(form="table", columns=columns), features=()
    )
    expected = model.outputs({encoder.name: values})
    for found in outputs_of(onnx_graph.to_onnx(model), feeds_of(columns, {encoder.name: values})):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def random_model_of(width):
    from models import small_model

    return small_model("none", layers=(width, 5, 3))


def test_what_onnx_has_not_is_refused_and_rows_are_offered(tmp_path, capsys):
    columns = Columns(
        "standard",
        (
            Date("when", None, hours=False, first=0.0, year=(2000.0, 1.0), time=(0.0, 1.0), missing=False),
            Hashed("zip", 4, missing=False),
        ),
    )
    model = replace(random_model_of(len(columns.feature_names)), reading=Reading(form="table", columns=columns))
    with pytest.raises(ConfigError, match="no operators for dates, hashes of texts, as the model has them in 'when'"):
        onnx_graph.to_onnx(model)
    save_model(tmp_path / "m.npz", model)
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.onnx")]) == 2
    assert "--prepared exports the network alone" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "m.onnx").exists()
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "m.onnx"), "--prepared"]) == 0


def test_a_column_that_is_called_as_the_output_is_refused():
    columns = Columns("standard", (Category("probabilities", ("a", "b"), other=False, missing=False),))
    model = replace(random_model_of(2), reading=Reading(form="table", columns=columns))
    with pytest.raises(ConfigError, match="A column is called 'probabilities'"):
        onnx_graph.to_onnx(model)


def test_the_command_exports_both_forms(tmp_path, capsys):
    import onnx

    model = random_model(load_own(own_of(write_table(tmp_path / "train.csv", table_rows(300)))))
    save_model(tmp_path / "m.npz", model)
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "a.onnx")]) == 0
    assert "1,000 rows of columns with random values" in " ".join(capsys.readouterr().err.split())
    proto = onnx.load(tmp_path / "a.onnx")
    assert json.loads({one.key: one.value for one in proto.metadata_props}["classes"]) == ["no", "yes"]
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "b.onnx"), "--prepared"]) == 0
    assert [one.name for one in onnx.load(tmp_path / "b.onnx").graph.input] == ["inputs"]
    assert export.main([str(tmp_path / "m.npz"), str(tmp_path / "b.safetensors"), "--prepared"]) == 2
