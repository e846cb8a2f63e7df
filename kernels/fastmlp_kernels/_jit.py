"""The one place that owns numba's options; every other file says only `@kernel` or `@scalar`.

Nothing compiles at import: each function compiles for the dtypes it meets at its first call, or in `warmup()`, and is
kept on disk for the next process (`_cache`).
"""

import gc
from collections.abc import Callable
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

from llvmlite.binding import Linkage
from numba import njit, typeof, types
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import register_pass
from numba.core.typed_passes import NativeLowering, NopythonTypeInference
from numba.extending import overload

from fastmlp_kernels import (
    _cache,
    _compiling,  # noqa: F401 - it watches from the first compilation on
    _whole,
)
from fastmlp_kernels._lowering import Lowering, PartLowering
from fastmlp_kernels._overloads import OwnContext

P = ParamSpec("P")
R = TypeVar("R")

# `contract` lets a*b+c become one fused multiply-add. Neither `nnan` nor `ninf` (a NaN stays a NaN), and not `reassoc`:
# the argument reductions in `elementary` rely on the order of operations.
FASTMATH = {"contract"}

_cache.wanted()  # refuses a wrong value now, rather than at the first call


class _Library(JITCodeLibrary):
    """LLVM code that is optimised once, when all is linked; functions of one element also by themselves, before."""

    is_element = False

    def _optimize_functions(self, ll_module: Any) -> None:
        if self.is_element:
            # makes selects of its branches, as long as there is nothing in them: later LLVM moves into one what
            # only that needs, and a loop with it stays scalar
            super()._optimize_functions(ll_module)
        else:
            ll_module.data_layout = self._codegen._data_layout


class _PartLibrary(_Library):
    """LLVM code of a part as it was generated: callers link it along with what it calls."""

    def add_ir_module(self, ir_module: Any) -> None:
        """Add LLVM code, of functions that are linked wherever they are, called yet or not."""
        for function in ir_module.functions:
            if function.blocks and not function.linkage:
                function.linkage = "weak_odr"
                if "alwaysinline" not in function.attributes:
                    # LLVM leaves calls of few arguments sooner, and records are one: small networks took 2 to 5 % more
                    function.attributes.add("inlinehint")
        super().add_ir_module(ir_module)

    def finalize(self) -> None:
        """Have nothing added any more; what is called stays apart, else it would be copied into each of its callers."""
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:
        # asked by libraries of other code, which know nothing of what a part calls
        if self._shared_module is None:
            self._shared_module = _linked([self._final_module.clone(), *_modules_called_by(self)])
        return self._shared_module


class _KernelLibrary(_Library):
    """LLVM code of a kernel, with internal linkage for all functions but its entry points.

    numba's names of functions are unique within one process. Code from the disk cache comes from several: parts of two
    kernels can have one name there, and the linker would take one for both.
    """

    def finalize(self) -> None:
        """Link all that is called, directly or by parts, optimise it, and make machine code of it."""
        modules = _modules_called_by(self)
        self._linking_libraries = []
        if modules:
            self._final_module.link_in(_linked(modules))
        super().finalize()

    def _optimize_final_module(self) -> None:
        # numba first runs a cheaper pipeline over each function and one over the module, so that reference counts can
        # be pruned: there are none
        manager, builder = self._codegen._module_pass_manager()
        manager.run(self._final_module, builder)

    def _finalize_final_module(self) -> None:
        _set_linkage(self._final_module, Linkage.linkonce_odr, Linkage.internal)
        super()._finalize_final_module()


def _set_linkage(module: Any, old: Linkage, new: Linkage) -> None:
    """Give all functions defined in an LLVM module that have one linkage another one."""
    for function in module.functions:
        if function.linkage == old and not function.is_declaration:
            function.linkage = new


def _modules_called_by(library: Any) -> list[Any]:
    """Return copies of the LLVM modules of what a library calls, directly or by parts, each once."""
    found: dict[Any, Any] = {}
    waiting = [library]
    while waiting:
        for called in waiting.pop()._linking_libraries:
            if called in found:
                continue
            if isinstance(called, _PartLibrary):
                waiting.append(called)
                found[called] = called._final_module.clone()
            else:
                found[called] = called._get_module_for_linking().clone()
                _set_linkage(found[called], Linkage.linkonce_odr, Linkage.weak_odr)
    return list(found.values())


def _linked(modules: list[Any]) -> Any:
    """Link LLVM modules to one, two and two, as each link walks all of both; only the one can be used afterwards."""
    while len(modules) > 1:
        for i in range(len(modules) // 2):
            modules[i].link_in(modules.pop())
    _set_linkage(modules[0], Linkage.weak_odr, Linkage.linkonce_odr)
    return modules[0]


class _KernelContext(OwnContext):
    """The context that kernels and parts compile in."""

    def get_constant_generic(self, builder: Any, ty: Any, val: Any) -> Any:
        """Return a constant, for a function among the arguments nothing: its type says which it is.

        numba's own is its address in this process. Where LLVM leaves it in the code, that cannot be kept on disk.
        """
        if isinstance(ty, types.Dispatcher):
            return self.get_constant_null(ty)
        return super().get_constant_generic(builder, ty, val)


@register_pass(mutates_CFG=True, analysis_only=False)
class _TypeInference(NopythonTypeInference):
    """numba's type inference with reference counting announced: without, it refuses functions that return a view."""

    _name = "fastmlp_type_inference"

    def run_pass(self, state: Any) -> Any:
        context = state.targetctx  # made for this function alone
        context.enable_nrt = True
        try:
            return super().run_pass(state)
        finally:
            context.enable_nrt = False


# What numba looks for in each function, and is in none of these: `with`, closures, comprehensions, array expressions.
_NEEDLESS = frozenset({
    "DumpParforDiagnostics", "FindLiterallyCalls", "InlineClosureLikes", "InlineInlinables", "InlineOverloads",
    "LiteralPropagationSubPipelinePass", "LiteralUnroll", "MakeFunctionToJitFunction", "NopythonRewrites",
    "RewriteDynamicRaises", "WithLifting",
})  # fmt: skip


class _KernelCompiler(Compiler):
    """numba's compiler without the passes of `_NEEDLESS`, and with the type inference above."""

    library_class: type[_Library] = _KernelLibrary
    lowering: type[NativeLowering] = Lowering

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        state = self.state
        state.targetctx.__class__ = _KernelContext  # of a context made for this function alone
        if state.library is None:
            state.library = self.library_class(state.targetctx.codegen(), "kernel")
            state.library.is_element = state.flags.forceinline
            state.library.enable_object_caching()

    def define_pipelines(self) -> list[Any]:
        own = {NopythonTypeInference: _TypeInference, NativeLowering: self.lowering}
        managers = super().define_pipelines()
        for manager in managers:
            manager.passes = [
                (own.get(kind, kind), text) for kind, text in manager.passes if kind.__name__ not in _NEEDLESS
            ]
            manager.finalize()
        return managers

    def compile_extra(self, func: Any) -> Any:
        # The compiler makes millions of objects that stay, and a tenth of its time went into looking for garbage among
        # them. numba compiles one function at a time.
        looks = gc.isenabled()
        gc.disable()
        try:
            return super().compile_extra(func)
        finally:
            if looks:
                gc.enable()


class _PartCompiler(_KernelCompiler):
    """The same compiler up to LLVM code, which it leaves for the callers to link."""

    library_class = _PartLibrary
    lowering = PartLowering

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state.flags = self.state.flags.copy()
        self.state.flags.no_compile = True

    def compile_extra(self, func: Any) -> Any:
        # numba looks the code up by its entry point, a builtin function: one of its own for each, never called
        result = super().compile_extra(func)._replace(entry_point=[].index)
        _whole.insert(self.state.targetctx, result.entry_point, result.fndesc, result.library)
        return result


# error_model="numpy": x / 0 is inf. With Python's model every division carries a branch and stays scalar.
# _nrt: arrays are not counted. A kernel makes none, and what it is given lives until it returns; the counts would be a
# fifth of what it compiles to.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "no_cfunc_wrapper": True,
    "_nrt": False,
    "pipeline_class": _KernelCompiler,
}
# For `numba.extending.overload`, whose functions are parts by nature.
PART: Any = _OPTIONS | {"fastmath": FASTMATH, "no_cpython_wrapper": True, "pipeline_class": _PartCompiler}


def _compile(function: Callable[P, R]) -> Callable[P, R]:
    return njit(**_OPTIONS, fastmath=FASTMATH)(function)


def _compile_part(function: Callable[P, R], fastmath: set[str], *, forceinline: bool = False) -> Callable[P, R]:
    compiled: Any = njit(**(PART | {"fastmath": fastmath, "forceinline": forceinline}))(function)
    if hasattr(compiled, "enable_caching"):  # a plain function under NUMBA_DISABLE_JIT=1

        def refuse(*_: Any, **__: Any) -> None:
            raise TypeError(f"{function.__name__} can only be called from compiled code")

        compiled._insert = lambda *_, **__: None  # unknown to the table that calls from Python are looked up in
        compiled._compile_for_args = refuse
    return compiled


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a loop over arrays, on its first call from Python or from other compiled code.

    It releases the GIL, checks no argument, and is kept on disk.
    """
    compiled: Any = _compile(function)
    if hasattr(compiled, "_cache"):  # not so a plain function under NUMBA_DISABLE_JIT=1
        compiled._cache = _cache.KernelCache(function)
    return compiled


def machine_code(function: Any, *arguments: Any) -> Callable[..., Any]:
    """Return what calls a kernel that is compiled for the types of these arguments, without looking at types again.

    It takes no others: to each of its arguments, but whether an array is read-only, the caller must see.
    """
    return function.overloads[tuple(map(typeof, arguments))].entry_point


def reduction(function: Callable[P, R]) -> Callable[P, R]:
    """Compile, as a part, a sum whose additions LLVM may reorder (`reassoc`), so that it runs in vector lanes."""
    return _compile_part(function, FASTMATH | {"reassoc"})


def scalar(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of one element, to be inlined by LLVM into the loops of kernels."""
    return _compile(function)


def long_scalar(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function of one element that is inlined however long it is, as LLVM leaves long ones as calls."""
    return njit(**_OPTIONS, fastmath=FASTMATH, forceinline=True)(function)


def part(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only other compiled functions call: it is linked into these, never compiled alone.

    numba would optimise it and make machine code for it alone, and again as a part of each of its callers, and of
    theirs: a tree of calls five deep costs five times its compile time. Such a function cannot be called from Python.
    """
    return _compile_part(function, FASTMATH)


def element(function: Callable[P, R]) -> Callable[P, R]:
    """Compile, as a part, a function of one element that is inlined however long it is.

    LLVM leaves long ones as calls, and a loop with a call in it scalar.
    """
    return _compile_part(function, FASTMATH, forceinline=True)


def body_of(function: Any) -> Callable[..., Any]:
    """Return the Python function of a part, or a plain one, for an `overload` that chooses among such.

    A lambda that calls the part would be one more function to compile for each choice. Without annotations, as numba
    compares signatures.
    """
    body = getattr(function, "py_func", function)
    return FunctionType(body.__code__, body.__globals__, body.__name__, body.__defaults__, body.__closure__)


def by_dtype(of_float32: Any, of_float64: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a plain function of elements as one of these two parts; it runs itself under NUMBA_DISABLE_JIT=1."""

    def decorate(plain: Callable[..., Any]) -> Any:
        def body(*kinds: Any) -> Callable[..., Any]:
            return body_of(of_float32 if all(kind == types.float32 for kind in kinds) else of_float64)

        of_two = plain.__code__.co_argcount == 2
        choose = (lambda x, y: body(x, y)) if of_two else lambda x: body(x)
        overload(plain, jit_options=PART | {"forceinline": True})(choose)
        return plain

    return decorate
