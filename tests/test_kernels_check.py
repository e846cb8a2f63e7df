"""Bad arrays given to the kernels: each fault, in each one of each function, is named and nothing is written."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastmlp_kernels
from fastmlp_kernels import _check
from fastmlp_kernels.activations import ALONE
from fastmlp_kernels.pointwise import POINTWISE

N, H, C, D = 4, 3, 2, 6


def _two(*shape: int) -> tuple[np.ndarray, ...]:
    return np.zeros(shape, np.float32), np.ones(H, np.float32)


def _backward() -> dict[str, Any]:
    return {"delta": np.ones((N, H), np.float32), "h": np.ones((N, H), np.float32), "dbias": np.ones(H, np.float32)}


def _loss() -> dict[str, Any]:
    logits, bias = _two(N, H)
    return {"logits": logits, "bias": bias, "labels": np.arange(N) % H}


def _outputs() -> dict[str, Any]:
    z, bias = _two(N, H)
    return {"z": z, "bias": bias, "targets": np.ones((N, H), np.float32)}


def _moments(dtype: type = np.float32) -> dict[str, Any]:
    return {"mean": np.zeros((N, C), dtype), "inv_std": np.ones((N, C), dtype)}


def _normal() -> dict[str, Any]:
    return dict(zip(("x", "gain"), _two(N, H), strict=True))


def _of_rows() -> dict[str, Any]:
    return {name: np.zeros(N, np.float32) for name in ("mean", "inv_std")}


NUMBERS = {"rate": 0.5, "seed": 1, "step": 2, "layer": 3, "first": 4}
MOMENTUM, ADAM = ("momentum_step", "nesterov_step"), ("adam_step", "adamw_step")


def _adam() -> dict[str, Any]:
    arrays = {"w": np.ones((N, H), np.float32), "state": np.ones((2, N, H), np.float32), "g": _two(N, H)[0]}
    return arrays | {"step": 1, "lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0}


PIXELS = {"images": np.zeros((N, D), np.uint8)}
RATES = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
FORWARD = tuple(f"bias_{name}" for name in ALONE)
BACKWARD = tuple(f"{name}_backward" for name in ALONE)
KEEP_INPUT = ("silu_backward", "gelu_backward")
SUMS = ("accurate_sum", "accurate_mean")
LOSSES = ("logistic_loss", "squared_error", "poisson_loss", "huber_loss")
ELEMENTS = (*POINTWISE, "pow")
LAST_AXIS = ("softmax", "log_softmax", "logsumexp", *SUMS)
# Good arguments of every function, by name and in order.
GOOD: dict[str, Callable[[], dict[str, Any]]] = {
    **dict.fromkeys(FORWARD, lambda: dict(zip(("z", "bias"), _two(N, H), strict=True))),
    **dict.fromkeys(BACKWARD, _backward),
    **dict.fromkeys(KEEP_INPUT, lambda: {name.replace("h", "x"): array for name, array in _backward().items()}),
    "softmax_cross_entropy": lambda: _loss() | {"dbias": np.ones(H, np.float32)},
    "softmax_cross_entropy_eval": _loss,
    **dict.fromkeys(LOSSES, lambda: _outputs() | {"dbias": np.ones(H, np.float32)}),
    **dict.fromkeys((f"{name}_eval" for name in LOSSES), _outputs),
    "bias_softmax": lambda: dict(zip(("logits", "bias"), _two(N, H), strict=True)),
    **dict.fromkeys(("softmax", "log_softmax", *POINTWISE), lambda: {"x": _two(N, H)[0], "out": _two(N, H)[0]}),
    "pow": lambda: {name: _two(N, H)[0] for name in ("x", "y", "out")},
    "layer_norm": lambda: _normal() | {"bias": np.ones(H, np.float32), "out": _two(N, H)[0]} | _of_rows(),
    "layer_norm_backward": lambda: (
        {"delta": _two(N, H)[0]}
        | _normal()
        | _of_rows()
        | {name: np.ones(H, np.float32) for name in ("dgain", "dbias")}
    ),
    "dropout": lambda: {"x": _two(N, H)[0], **NUMBERS, "out": _two(N, H)[0]},
    "logsumexp": lambda: {"x": _two(N, H)[0], "out": np.zeros(N, np.float32)},
    **dict.fromkeys(SUMS, lambda: {"x": _two(N, H)[0], "axis": -1, "out": np.zeros(N, np.float32)}),
    **dict.fromkeys(MOMENTUM, lambda: {name: np.ones((N, H), np.float32) for name in "wvg"} | RATES),
    **dict.fromkeys(ADAM, _adam),
    "image_moments": lambda: {k: v.copy() for k, v in PIXELS.items()} | {"channels": C} | _moments(),
    "gather_normalize": lambda: (
        {k: v.copy() for k, v in PIXELS.items()}
        | {"index": np.arange(N)}
        | _moments()
        | {"out": np.zeros((N, D), np.float32)}
    ),
}
WRITTEN = {
    **dict.fromkeys(FORWARD, ("z",)),
    **dict.fromkeys(BACKWARD, ("delta", "dbias")),
    "softmax_cross_entropy": ("logits", "dbias"),
    "softmax_cross_entropy_eval": (),
    **dict.fromkeys(LOSSES, ("z", "dbias")),
    **dict.fromkeys((f"{name}_eval" for name in LOSSES), ()),
    "bias_softmax": ("logits",),
    **dict.fromkeys((*LAST_AXIS, *ELEMENTS, "dropout"), ("out",)),
    "layer_norm": ("out", "mean", "inv_std"),
    "layer_norm_backward": ("delta", "dgain", "dbias"),
    **dict.fromkeys(MOMENTUM, ("w", "v")),
    **dict.fromkeys(ADAM, ("w", "state")),
    "image_moments": ("mean", "inv_std"),
    "gather_normalize": ("out",),
}


def _every_other(array: np.ndarray) -> np.ndarray:
    return np.repeat(array, 2, axis=-1)[..., ::2]


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


# What is wrong: a name, how a good array becomes so, the error, and what it must say of the argument {name}.
FAULTS = {
    "list": (lambda a: a.tolist(), TypeError, "{name} must be a numpy array.*, got list"),
    "masked": (lambda a: np.ma.array(a, mask=True), TypeError, "{name} is a masked array, whose mask would be ignored"),
    "none": (lambda _: None, TypeError, "{name} must be a numpy array.*, got NoneType"),
    "float16": (lambda a: a.astype(np.float16), TypeError, "{name} has dtype float16, allowed is .*{name}.astype"),
    "int32": (lambda a: a.astype(np.int32), TypeError, "{name} has dtype int32, allowed is "),
    "swapped": (lambda a: a.astype(a.dtype.newbyteorder("S")), TypeError, "{name} has dtype >.*, allowed is "),
    "rank": (lambda a: a[None], ValueError, r"{name} has shape \(1, .*expected"),
    "strided": (_every_other, ValueError, r"{name} is not C-contiguous: pass np.ascontiguousarray\({name}\)"),
}  # fmt: skip
# A 1-d w is as good as a 2-d one, swapping the bytes of a byte changes nothing, and no out asks for a new array.
FITS = {
    *((f, "w", "rank") for f in (*MOMENTUM, *ADAM)),
    *((f, "images", "swapped") for f in ("image_moments", "gather_normalize")),
}
FITS |= {(f, "out", "none") for f in (*LAST_AXIS, *ELEMENTS, "layer_norm", "dropout")}
FITS |= {("layer_norm", name, "none") for name in ("mean", "inv_std")}
FITS |= {(f, name, "strided") for f in ELEMENTS for name in ("x", "y", "out")}
# Which array does not fit where the first has another rank.
OTHERS = {"pow": "y", "layer_norm": "mean", "layer_norm_backward": "x"}
# Functions of each element share their checks: one stands for all.
ARRAYS = [
    (f, name)
    for f, good in GOOD.items()
    for name, value in good().items()
    if isinstance(value, np.ndarray) and (f == "exp" or f not in POINTWISE)
]


def assert_refused(function: str, arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    """The call raises, says so, and leaves every array as it was."""
    before = {k: v.copy() for k, v in arguments.items() if isinstance(v, np.ndarray)}
    with pytest.raises(error, match=message):
        getattr(fastmlp_kernels, function)(*arguments.values())
    for name, array in before.items():
        np.testing.assert_array_equal(arguments[name], array, err_msg=f"{name} was written")


NO_KERNELS = {"overload_numpy", "restore_numpy", "warmup"}


def test_the_tables_cover_every_function():
    assert {*GOOD, *NO_KERNELS} == set(fastmlp_kernels.__all__)
    assert GOOD.keys() == WRITTEN.keys()


@pytest.mark.parametrize("function", GOOD)
def test_good_arguments_pass_by_position_and_by_name(function):
    getattr(fastmlp_kernels, function)(*GOOD[function]().values())
    getattr(fastmlp_kernels, function)(**GOOD[function]())


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_each_fault_of_each_array_is_named(function, name, fault):
    if (function, name, fault) in FITS:
        return
    spoil, error, message = FAULTS[fault]
    arguments = GOOD[function]()
    arguments[name] = spoil(arguments[name])
    # x of any number of dimensions is right: it is out that does not fit it then
    also: dict[str, str] = (
        dict.fromkeys(MOMENTUM, "v")
        | dict.fromkeys(ADAM, "state")
        | (dict.fromkeys((*LAST_AXIS, *ELEMENTS, "dropout"), "out") | OTHERS if fault == "rank" else {})
    )
    others = f"{name}|{also.get(function, name)}"
    message = message.replace(r"\(1, ", r"\(") if also.get(function) in ("out", "y", "mean", "x") else message
    assert_refused(function, arguments, error, message.replace("{name}", f"({others})"))


@pytest.mark.parametrize(("function", "name"), [(f, n) for f, n in ARRAYS if GOOD[f]()[n].dtype == np.float32])
def test_float32_and_float64_do_not_mix(function, name):
    arguments = GOOD[function]()
    arguments[name] = arguments[name].astype(np.float64)  # where it comes first, the others are the odd ones
    assert_refused(function, arguments, TypeError, "has dtype float(64, allowed is float32|32, allowed is float64):")


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_a_wrong_size_is_told_with_the_expected_shape(function, name):
    if (name, arguments := GOOD[function]())[0] == "x" and "out" in arguments and arguments["out"].ndim == 1:
        return  # a longer row has a sum too
    good = arguments[name]
    arguments[name] = np.zeros((*good.shape[:-1], good.shape[-1] + 1), good.dtype)
    assert_refused(function, arguments, ValueError, r"has shape \(.*\), expected \(|channels is 2, allowed")


@pytest.mark.parametrize(
    ("function", "name"), [(f, n) for f, n in ARRAYS if GOOD[f]()[n].ndim == 2 and f not in ELEMENTS]
)
def test_fortran_order_is_refused(function, name):
    arguments = GOOD[function]()
    arguments[name] = np.asfortranarray(arguments[name])
    assert_refused(function, arguments, ValueError, f"{name} is not C-contiguous")


@pytest.mark.parametrize(("function", "name"), [(f, n) for f in WRITTEN for n in WRITTEN[f]])
def test_a_read_only_output_is_refused(function, name):
    arguments = GOOD[function]()
    _read_only(arguments[name])
    assert_refused(function, arguments, ValueError, f"{name} is read-only, but this kernel writes to it")


@pytest.mark.parametrize("function", ["bias_relu", "relu_backward", "softmax_cross_entropy_eval", "gather_normalize"])
def test_inputs_may_be_read_only(function):
    arguments = GOOD[function]()
    for name, value in arguments.items():
        if isinstance(value, np.ndarray) and name not in WRITTEN[function]:
            _read_only(value)
    getattr(fastmlp_kernels, function)(**arguments)


def _overlapping(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give both arrays one block of memory, the second one element further where both have one element's size."""
    shift = first.itemsize if first.itemsize == second.itemsize else 0
    memory = np.zeros(8 + max(first.nbytes, second.nbytes) // 8, np.int64).view(np.uint8)
    a = memory[: first.nbytes].view(first.dtype).reshape(first.shape)
    b = memory[shift : shift + second.nbytes].view(second.dtype).reshape(second.shape)
    return a, b


@pytest.mark.parametrize(
    ("function", "written", "other"),
    [(f, w, n) for f, n in ARRAYS for w in WRITTEN[f] if n != w and f not in ELEMENTS],
)
def test_an_output_that_overlaps_anything_else_is_refused(function, written, other):
    arguments = GOOD[function]()
    arguments[written], arguments[other] = _overlapping(arguments[written], arguments[other])
    assert_refused(function, arguments, ValueError, "overlap in memory: pass separate arrays")
    with pytest.raises(ValueError, match=f"{written}.* overlap|{other}.* overlap"):
        getattr(fastmlp_kernels, function)(**arguments)


@pytest.mark.parametrize("function", ["softmax_cross_entropy", "softmax_cross_entropy_eval"])
@pytest.mark.parametrize(("at", "label"), [(0, -1), (2, H), (3, 2**40)])
def test_a_label_out_of_range_is_told_with_index_value_and_range(function, at, label):
    arguments = GOOD[function]()
    arguments["labels"][at:] = label  # the first is named
    assert_refused(function, arguments, ValueError, rf"labels\[{at}\] is {label}, allowed is 0 to {H - 1}$")


@pytest.mark.parametrize("function", [f"{name}{form}" for name in LOSSES for form in ("", "_eval")])
@pytest.mark.parametrize("shape", [(0, H), (N, 0)])
def test_a_batch_without_rows_or_outputs_is_refused(function, shape):
    arguments = GOOD[function]() | {"z": np.zeros(shape, np.float32)}
    assert_refused(function, arguments, ValueError, r"z has shape \(.*\): the batch is empty or there are no outputs")


@pytest.mark.parametrize("form", ["", "_eval"])
def test_a_target_out_of_range_is_told_with_its_place(form):
    bounds = (("logistic_loss", 1.5, "0 to 1"), ("logistic_loss", -0.5, "0 to 1"), ("poisson_loss", -1, "0 or more"))
    for loss, value, allowed in bounds:
        arguments = GOOD[loss + form]()
        arguments["targets"][2, 1:] = value  # the first is named
        assert_refused(loss + form, arguments, ValueError, rf"targets\[2, 1\] is {value}.*, allowed is {allowed}$")


@pytest.mark.parametrize(("at", "value"), [(0, -1), (3, N)])
def test_an_index_out_of_range_is_told_with_place_value_and_range(at, value):
    arguments = GOOD["gather_normalize"]()
    arguments["index"][at] = value
    assert_refused("gather_normalize", arguments, ValueError, rf"index\[{at}\] is {value}, allowed is 0 to {N - 1}$")


@pytest.mark.parametrize("shape", [(0, H), (N, 0)])
@pytest.mark.parametrize("function", ["softmax_cross_entropy", "softmax_cross_entropy_eval", "bias_softmax"])
def test_a_loss_of_nothing_is_refused(function, shape):
    arguments = GOOD[function]()
    arguments["logits"] = np.zeros(shape, np.float32)
    assert_refused(function, arguments, ValueError, r"logits has shape \(.*\): the batch is empty or there are no")


@pytest.mark.parametrize("function", ["softmax", "log_softmax", "logsumexp", *FORWARD])
def test_arrays_of_their_own_are_asked_about_at_once(function, monkeypatch):
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was asked about one by one")

    call, of_rows = getattr(fastmlp_kernels, function), function not in FORWARD
    first, second = np.ones((N, H), np.float32), np.ones(N if function == "logsumexp" else H, np.float32)
    second = np.ones((N, H), np.float32) if function.endswith("softmax") else second
    for name in ("array", "apart", "of_rows"):
        monkeypatch.setattr(_check, name, refuse)
    call(first, second)
    for other in (first[:2], first.T.copy().T, np.ones((N, H), np.float64), np.ones((N, H), int), first[0].copy()):
        with pytest.raises(AssertionError, match="one by one"):
            call(other, second)
    if of_rows:
        with pytest.raises(AssertionError, match="one by one"):
            call(np.ones((N, 0), np.float32), second)
    second.flags.writeable = first.flags.writeable = False
    with pytest.raises(AssertionError, match="one by one"):
        call(first, second)


def test_arrays_overlap_where_they_share_an_element():
    whole, empty = np.zeros(6, np.float32), np.empty(0, np.float32)
    assert _check.overlap(whole, whole)
    assert _check.overlap(whole, whole[1:])
    assert _check.overlap(whole[:3], whole[2:])
    assert not _check.overlap(whole[:3], whole[3:])
    assert not _check.overlap(whole, whole.copy())
    assert not _check.overlap(empty, empty)


def test_what_has_nothing_masked_may_become_a_plain_array():
    for fine in ([1], None, np.ones(3), np.ma.array([1, 2]), np.ma.array([1, 2], mask=[False, False])):
        _check.unmasked(x=fine)
    masked = np.ma.array([1, 2], mask=[False, True])
    for wrong in (masked, [1, np.ma.masked], ([1, 2], masked)):
        with pytest.raises(TypeError, match=r"y is a masked array, whose mask would be ignored: pass y.filled\(...\)"):
            _check.unmasked(x=[[1, 2], np.ones(2)], y=wrong)


def test_moments_that_do_not_divide_the_image_are_refused_by_the_gather():
    arguments = GOOD["gather_normalize"]() | {k: np.ones((N, 4), np.float32) for k in ("mean", "inv_std")}
    assert_refused("gather_normalize", arguments, ValueError, "channels is 4, allowed is a divisor")


@pytest.mark.parametrize("dtype", [np.float16, int, "uint8"])
def test_warmup_refuses_other_dtypes(dtype):
    with pytest.raises(TypeError, match=r"dtype is (float16|int64|uint8), allowed is float32 or float64"):
        fastmlp_kernels.warmup(dtype)
