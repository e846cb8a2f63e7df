"""Arguments of parts: a record or an array is one value to LLVM, whatever it holds.

numba passes each number of it by itself, as C would want it, hundreds for a record of arrays. The caller takes it to
pieces and what is called puts it together again, which was nearly half of what LLVM was given to optimise. LLVM passes
the same numbers either way, where a call is left of it.
"""

import copy
from typing import Any

from numba.core import types
from numba.core.datamodel.packer import ArgPacker
from numba.core.imputils import user_function

from fastmlp_kernels._overloads import OwnContext


class _Whole:
    """The model of a type whose argument is its value."""

    def __init__(self, model: Any) -> None:
        self.get_argument_type = model.get_value_type

    def as_argument(self, _builder: Any, value: Any) -> Any:
        return value

    from_argument = as_argument


class _Arguments(ArgPacker):
    """numba's arguments, but arrays and records are whole; a plain tuple may have a value of another type than said."""

    def __init__(self, models: Any, kinds: Any) -> None:
        self._models = models
        super().__init__(self, kinds)

    def lookup(self, kind: Any) -> Any:
        """Return the model of a type's argument."""
        model = self._models.lookup(kind)
        whole = isinstance(kind, types.Array | types.BaseNamedTuple) and len(model.get_argument_type()) > 0
        return _Whole(model) if whole else model


class _Context(OwnContext):
    """A context that declares and calls functions with whole arguments."""

    def get_arg_packer(self, fe_args: Any) -> ArgPacker:
        return _Arguments(self.data_model_manager, fe_args)


def whole(context: Any) -> Any:
    """Return a copy of a context, by which functions with whole arguments are declared and called."""
    copied = copy.copy(context)
    copied.__class__ = _Context
    return copied


def insert(context: Any, function: Any, described: Any, library: Any) -> None:
    """Have all contexts call a function, looked up by this key, with whole arguments."""
    call: Any = user_function(described, [library])

    def emit(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return call(whole(context), builder, sig, args)

    emit.libs = call.libs  # pyright: ignore[reportFunctionMemberAccess] - where numba looks for them
    context.insert_func_defn([(emit, function, call.signature)])
