"""The widest vectors of the CPU, asked for by a function for itself."""

from typing import Any

from numba import types

from fastmlp_kernels._llvm import intrinsic


@intrinsic
def widest_vectors(typingctx: Any) -> Any:
    """Have LLVM make loops of the function around this call, a compiled one, of the CPU's widest vectors.

    On many CPUs with 512 bits LLVM takes 256, as the wider ones lower the clock of some: loops over the functions of
    one element gain 20 to 40 % from 512 where they do not. It stands for no instruction, and may stand anywhere in the
    function; inside of `prange` it is for the loop's body.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # llvmlite checks names of attributes, and knows none of a target's
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), codegen
