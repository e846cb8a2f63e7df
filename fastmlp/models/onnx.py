"""Models as ONNX graphs, checked against this package's output, as `python -m fastmlp.export` writes them."""

import json
from argparse import Namespace
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console

from fastmlp import __version__
from fastmlp.data import load_dataset
from fastmlp.data.columns import Columns
from fastmlp.data.dataset import CIFAR_SHAPE
from fastmlp.errors import ConfigError, MissingExtraError, OutputError
from fastmlp.files import replacing
from fastmlp.models.file import FORMATS, load_model, save_model
from fastmlp.models.model import Model
from fastmlp.models.onnx_columns import ML, ML_OPSET, add_columns, check_exportable, feeds_of, inputs_of, made_up
from fastmlp.nn.activations import ACTIVATIONS
from fastmlp.nn.precision import PRECISIONS, byte_layers
from fastmlp.terminal import Compiling, say

CHECKED = 1000  # images
OPSET, IR_VERSION = 18, 9  # of 2022: old enough for any runtime in use
# In int8, where bytes go from one layer to the next, a difference of rounding can move a value to the next byte.
BYTES_BETWEEN_LAYERS = 1e-2


class Check(NamedTuple):
    """A graph against its model: rows, largest difference of an output, share of rows with the same largest one.

    A difference of outputs above 1 is a share of them.
    """

    rows: int
    difference: float
    agreement: float


class Graph:
    """An ONNX graph in the making: its nodes and its constants, all known by the names of their values.

    prefix : of all names that are not given, so that no input of another's naming is called so
    """

    def __init__(self, dtype: np.dtype, prefix: str = "") -> None:
        self.dtype, self._prefix = dtype, prefix
        self.nodes, self.constants = list[Any](), dict[str, Any]()

    def node(self, kind: str, *inputs: str, named: str = "", **attributes: Any) -> str:
        """Add an operator; return the name of its output, `named` where that is given."""
        from onnx import helper

        out = named or f"{self._prefix}{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    def constant(self, name: str, value: Any, kind: Any = None) -> str:
        """Add a constant, of the graph's dtype where none is given; return its name."""
        from onnx import numpy_helper

        name = f"{self._prefix}{name}"
        self.constants[name] = numpy_helper.from_array(np.asarray(value, kind or self.dtype), name)
        return name


def to_onnx(model: Model, *, prepared: bool = False) -> Any:
    """Return the model as an `onnx.ModelProto`, with the normalisation inside the graph.

    Its output, (rows, K), is called "probabilities", or "outputs" where the model's loss is one of numbers. A bfloat16
    or int8 network's operands are rounded in the graph as they are here. Its input is "inputs", rows (rows, D); of a
    model of a table each column, as of `fastmlp.models.onnx_columns`, unless rows are to be `prepared`. Raises
    MissingExtraError without onnx, ConfigError for columns that ONNX has no operators for.
    """
    try:
        import onnx
        from onnx import TensorProto, helper
    except ImportError as error:
        raise _missing(error) from error
    element = TensorProto.DOUBLE if model.parameters.dtype == np.float64 else TensorProto.FLOAT
    images, rounds = model.of_images, model.precision == "bfloat16"
    columns = None if prepared else columns_of(model)
    graph = Graph(model.parameters.dtype, "" if columns is None else "/")
    node, constant = graph.node, graph.constant

    def rounded(x: str) -> str:
        return node("Cast", node("Cast", x, to=TensorProto.BFLOAT16), to=element)

    def in_bytes(x: str) -> str:
        step = node("Div", node("ReduceMax", x, constant("units", [1], np.int64), keepdims=1), constant("most", 255))
        some = node("Where", node("Equal", step, constant("none", 0)), constant("whole", 1), step)
        return node("Mul", node("Round", node("Div", x, some)), some)

    def normalized(x: str) -> str:
        channels = 1 if model.normalize == "image" else model.channels
        x = node("Reshape", x, constant("blocks", [-1, channels, model.layers[0] // channels], np.int64))
        if model.moments is not None:
            mean, inv_std = model.moments.reshape(2, 1, channels, 1)
            x = node("Mul", node("Sub", x, constant("mean", mean)), constant("inv_std", inv_std))
        else:
            axes = constant("axes", [2], np.int64)
            x = node("Sub", x, node("ReduceMean", x, axes, keepdims=1))
            variance = node("ReduceMean", node("Mul", x, x), axes, keepdims=1)
            even = node("Equal", variance, constant("zero", 0))  # pixels that are all the same become zero
            x = node("Div", x, node("Where", even, constant("one", 1), node("Sqrt", variance)))
        return node("Reshape", x, constant("rows", [-1, model.layers[0]], np.int64))

    h = "inputs"
    if columns is not None:
        check_exportable(columns, (_output(model), "standardised"))
        h = node("Cast", add_columns(graph, columns), to=element)
    if images:
        h = normalized(node("Cast", h, to=element))
    elif model.moments is not None:  # in float64, as here: features may be large beside their deviations
        means, deviations = (constant(f"moments_{i}", row, np.float64) for i, row in enumerate(model.moments))
        h = node("Div", node("Sub", node("Cast", h, to=TensorProto.DOUBLE), means), deviations)
        h = node("Cast", h, to=element)
    layers, activations = model.arrays(), model.activations()
    of_bytes = _byte_layers(model)
    for i, (weight, bias) in enumerate(layers, 1):
        # Of images, the pixels themselves are what is multiplied, and bfloat16 holds these as they are.
        if rounds and not (images and i == 1):
            h = rounded(h)
        if rounds:
            weight = _bfloat16(weight)
        elif i - 1 in of_bytes:
            weight = _int8(weight)
            if i > 1:
                h = in_bytes(h)
        weights = constant(f"weight_{i}", weight)
        h = node("Gemm", h, weights, constant(f"bias_{i}", bias))
        if i < len(layers):
            h = ACTIVATIONS[activations[i - 1]].onnx(graph, h)
    if model.target_moments is None:
        model.loss.onnx(graph, h, _output(model))
    else:
        model.loss.onnx(graph, h, "standardised")
        mean, deviation = (constant(f"target_{i}", row) for i, row in enumerate(model.target_moments))
        node("Add", node("Mul", "standardised", deviation), mean, named=_output(model))
    kind = TensorProto.UINT8 if images else element
    given = [helper.make_tensor_value_info("inputs", kind, ["rows", model.layers[0]])]
    opsets = [helper.make_opsetid("", OPSET)]
    if columns is not None:
        given, opsets = inputs_of(columns), [*opsets, helper.make_opsetid(ML, ML_OPSET)]
    found = helper.make_tensor_value_info(_output(model), element, ["rows", model.layers[-1]])
    whole = helper.make_graph(graph.nodes, "fastmlp", given, [found], list(graph.constants.values()))
    proto = helper.make_model(whole, opset_imports=opsets, ir_version=IR_VERSION)
    proto.producer_name, proto.producer_version = "fastmlp", __version__
    config = {} if model.config is None else model.config.to_json()
    about = {"classes": model.names(), "config": config, "weights_sha256": model.weights_sha256}
    helper.set_model_props(proto, {name: json.dumps(value) for name, value in about.items()})
    onnx.checker.check_model(proto, full_check=True)
    return proto


def columns_of(model: Model) -> Columns | None:
    """Return the columns of a model of a table, None of any other."""
    return None if model.reading is None else model.reading.columns


def _output(model: Model) -> str:
    return "probabilities" if model.loss.of_probabilities else "outputs"


def _byte_layers(model: Model) -> list[int]:
    return byte_layers(model.layers, model.activations()) if model.precision == "int8" else []


def tolerance(model: Model) -> float:
    """Return the largest allowed difference of the graph's outputs from the model's, of a 1 or of a number above."""
    return BYTES_BETWEEN_LAYERS if len(_byte_layers(model)) > 1 else PRECISIONS[model.precision].tolerance


def check(proto: Any, model: Model, x: np.ndarray | Mapping[str, np.ndarray]) -> Check:
    """Run the graph on rows x (M, D), or columns (M,) by name, by onnxruntime, and compare with `Model.outputs`."""
    try:
        import onnxruntime
    except ImportError as error:
        raise _missing(error) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    columns = columns_of(model)
    feeds = {"inputs": x} if columns is None or isinstance(x, np.ndarray) else feeds_of(columns, x)
    [found], ours = session.run([_output(model)], feeds), model.outputs(x)
    theirs = np.asarray(found)
    same = (theirs.argmax(axis=1) == ours.argmax(axis=1)).mean()
    size = np.maximum(np.abs(ours), 1)  # of a probability 1; a larger number is rounded by as much more
    return Check(len(ours), float((np.abs(theirs - ours) / size).max()), float(same))


def export_onnx(path: Path, model: Model, x: np.ndarray | Mapping[str, np.ndarray]) -> Check:
    """Write a model as ONNX to `path` in one step, after a check on x.

    x : rows (M, D) as `Model.inputs` takes them; or the columns of a table by name, (M,) float64 or str each, which
        are then the inputs of the graph

    Raises OutputError, and writes nothing, where it cannot be written or the difference is above `tolerance(model)`.
    """
    proto = to_onnx(model, prepared=isinstance(x, np.ndarray))
    found = check(proto, model, x)
    allowed = tolerance(model)
    if not found.difference <= allowed:
        raise OutputError(
            f"{path} was not written: the {_output(model)} of onnxruntime differ by {found.difference:.2g}; "
            f"allowed is {allowed:g}. Try another version of onnxruntime, and please report it."
        )
    with replacing(path, elsewhere="choose another place") as part:
        part.file.write(proto.SerializeToString())
    return found


def export(args: Namespace, console: Console) -> int:
    """Run `python -m fastmlp.export` with these options; return its exit status."""
    model = load_model(args.model)
    if args.data_dir is not None and args.out.suffix != ".onnx":
        raise ConfigError("--data-dir has images for the check of an .onnx file; leave it away for other formats.")
    columns = columns_of(model)
    if args.prepared and (columns is None or args.out.suffix != ".onnx"):
        raise ConfigError("--prepared is for a model of a table and an .onnx file; leave it away for others.")
    if args.out.suffix in FORMATS:
        save_model(args.out, model)
        say(console, f"{args.out}: the same weights and facts, read back and compared.")
    elif args.out.suffix == ".onnx":
        if columns is None or args.prepared:
            x, source = _rows(model, args.data_dir)
        else:
            check_exportable(columns, (_output(model), "standardised"))
            x, source = made_up(columns, CHECKED), "rows of columns with random values"
        with Compiling(console).here():
            found = export_onnx(args.out, model, x)
        # of several labels, or numbers, the largest says nothing
        same = f", the most probable class is the same for {100 * found.agreement:.1f} %" * model.loss.of_classes
        say(
            console,
            f"{args.out}: onnxruntime on {found.rows:,} {source}: {_output(model)} differ by at most "
            f"{found.difference:.2g}{same}.",
        )
    else:
        raise ConfigError(f"{args.out.name} ends in none of {', '.join(('.onnx', *FORMATS))}.")
    return 0


def _rows(model: Model, data_dir: Path | None) -> tuple[np.ndarray, str]:
    """Return rows (M, D) to check the graph on, and their source in words."""
    if model.of_images and model.layers[0] == prod(CIFAR_SHAPE):
        dataset = load_dataset("auto", data_dir)
        return dataset.test_images[:CHECKED], f"test images ({dataset.name})"
    rng, shape = np.random.default_rng(0), (CHECKED, model.layers[0])
    if model.of_images:
        return rng.integers(0, 256, shape, np.uint8), "random images"
    means, deviations = (0, 1) if model.moments is None else model.moments
    x = means + deviations * rng.standard_normal(shape)
    return x.astype(model.parameters.dtype), "rows of random numbers"


def _int8(weight: np.ndarray) -> np.ndarray:
    """Return the weights (D, H) rounded as in int8 products: to multiples of a 127th of the column's largest."""
    steps = np.abs(weight).max(axis=0) / np.float32(127)
    return np.rint(weight / np.where(steps, steps, 1)) * steps


def _bfloat16(weight: np.ndarray) -> np.ndarray:
    from fastmlp_kernels.bfloat16 import round_to_bfloat16

    out = np.empty_like(weight)
    round_to_bfloat16(np.ascontiguousarray(weight), out)
    return out


def _missing(error: ImportError) -> MissingExtraError:
    return MissingExtraError(f"ONNX needs the packages onnx and onnxruntime ({error}): pip install 'fastmlp[onnx]'.")
