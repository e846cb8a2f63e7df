"""How numba writes LLVM code of kernels: without what it does for values that are counted, of which they have none."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numba.core import ir
from numba.core.analysis import compute_cfg_from_blocks, compute_use_defs, must_use_alloca
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering

from fastmlp_kernels._whole import whole


class _Lower(Lower):
    """numba's, but a variable that is assigned once needs no place in memory, wherever it is used.

    numba gives each one a place that is used in another block than its own: all of it, of a record of arrays a hundred
    numbers, is read at each use, before each assignment and at its end, and overwritten with zeros there, so that
    counts are right. LLVM then takes that away again, which was a fifth of its time.
    """

    def _find_singly_assigned_variable(self) -> None:
        # a generator keeps its variables between two values
        self._singly_assigned_vars = _assigned_before_use(self.func_ir) if self.generator_info is None else set()
        self._blk_local_varmap: dict[str, Any] = {}

    def storevar(self, value: Any, name: str, argidx: int | None = None) -> None:
        """Store a value in a variable, whatever that was before."""
        if argidx is None and (name not in self._singly_assigned_vars or self._disable_sroa_like_opt):
            self._alloca_var(name, self.typeof(name))
            self.builder.store(value, self.getvar(name))
        else:
            super().storevar(value, name, argidx)

    def delvar(self, name: str) -> None:
        """Do nothing at the end of a variable."""


class _PartLower(_Lower):
    """The same, of a part, whose arguments are whole."""

    @property
    def call_conv(self) -> Any:
        """How the part is called, and returns."""
        return whole(self.context).call_conv

    @contextmanager
    def _of_itself(self) -> Iterator[None]:
        own, self.context = self.context, whole(self.context)
        yield
        self.context = own

    def setup_function(self, fndesc: Any) -> None:
        """Begin the function; what it calls has arguments of its own kind."""
        with self._of_itself():
            super().setup_function(fndesc)

    def _lower_call_RecursiveCall(self, fnty: Any, expr: Any, signature: Any) -> Any:  # noqa: N802 - numba's name
        with self._of_itself():
            return super()._lower_call_RecursiveCall(fnty, expr, signature)


def _assigned_before_use(func_ir: Any) -> set[str]:
    """Return the variables that are assigned once, in a block through which all ways to their uses lead."""
    blocks = func_ir.blocks
    assigned = Counter(one.target.name for block in blocks.values() for one in block.find_insts(ir.Assign))
    use_defs = compute_use_defs(blocks)
    place = {name: offset for offset, names in use_defs.defmap.items() for name in names}
    used = defaultdict(set)
    for offset, names in use_defs.usemap.items():
        for name in names:
            used[name].add(offset)
    dominators = compute_cfg_from_blocks(blocks).dominators()
    in_memory = must_use_alloca(blocks)
    return {
        name
        for name, count in assigned.items()
        if count == 1
        and name not in in_memory
        # blocks are written in the order of their offsets
        and all(place[name] < at and place[name] in dominators[at] for at in used[name])
    }


def _pass_with(lower: type[Lower]) -> type[NativeLowering]:
    """Return numba's last pass with this lowering."""

    class Lowering(NativeLowering):
        """numba's last pass, which writes LLVM's code."""

        _name = f"fastmlp{lower.__name__.lower()}"
        lowering_class: Any = lower

    return register_pass(mutates_CFG=True, analysis_only=False)(Lowering)


Lowering, PartLowering = _pass_with(_Lower), _pass_with(_PartLower)
