"""The matrix products of the benchmarks: shapes, operands, and every rival's ways to multiply them.

Operands come "plain", as float32 matrices, as the library's own bfloat16, or as bytes; or as "images": the left one is
picked by an index from uint8 images, converted and normalised in the time that counts. This package's products are the
public ones of `fastmlp_kernels.gemm`, which pack their operands in each call; the transposed one of images is that of
a gradient, and goes on into an update of weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.networks import Data

Multiply = Callable[[], Any]


@dataclass(frozen=True)
class Product:
    """A product of (m, k) and (k, n), the left one given as (k, m) where it is `transposed`."""

    m: int
    k: int
    n: int
    transposed: bool = False
    source: str = "plain"
    images: int = 40_000  # to pick from

    @property
    def flop(self) -> int:
        """A multiply-add is two."""
        return 2 * self.m * self.k * self.n


class Operands:
    """The operands of one product; but for the source "plain" the left one is made of images."""

    def __init__(self, product: Product) -> None:
        rng = np.random.default_rng(3)
        self.product = product
        self.b = rng.standard_normal((product.k, product.n), dtype=np.float32)
        self.out = np.empty((product.m, product.n), np.float32)
        rows, columns = (product.k, product.m) if product.transposed else (product.m, product.k)
        if product.source == "plain":
            self.a = rng.standard_normal((rows, columns), dtype=np.float32)
            self.bytes = rng.integers(0, 256, self.a.shape, np.uint8), rng.integers(-127, 128, self.b.shape, np.int8)
            return
        data = Data((columns, 1), product.images)
        assert data.images is not None
        self.images, self.index = data.images, rng.permutation(product.images)[:rows]
        self.a = data.normalized(np.float32, self.index)

    def left(self, a: Any) -> Any:
        """Return `a`, an array or tensor of the shape of `self.a`, as the left operand (m, k)."""
        return a.T if self.product.transposed else a

    def wanted(self) -> np.ndarray:
        """Return the product in float64."""
        return self.left(self.a).astype(np.float64) @ self.b


class Multiplier:
    """A rival: a method for each source that it knows, which returns the call that is timed."""

    precision = "float32"

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def wanted(self, o: Operands) -> np.ndarray:
        """Return the product in float64."""
        return o.wanted()

    def as_array(self, product: Any) -> np.ndarray:
        """Return what the timed call returned as an array."""
        return product


class Numpy(Multiplier):
    def plain(self, o: Operands) -> Multiply:
        return partial(np.matmul, o.left(o.a), o.b, out=o.out)

    def images(self, o: Operands) -> Multiply:
        pixels, mean, inv_std = o.images
        picked, x = np.empty(o.a.shape, np.uint8), np.empty_like(o.a)

        def multiply() -> np.ndarray:
            np.take(pixels, o.index, axis=0, out=picked, mode="clip")
            np.subtract(picked, mean[o.index], out=x)
            np.multiply(x, inv_std[o.index], out=x)
            return np.matmul(o.left(x), o.b, out=o.out)

        return multiply


class Torch(Multiplier):
    def __init__(self, threads: int) -> None:
        import torch  # pyright: ignore[reportMissingImports] - optional

        super().__init__(threads)
        torch.set_num_threads(threads)
        self.torch, self.dtype = torch, getattr(torch, self.precision)

    def _tensors(self, *arrays: np.ndarray) -> list[Any]:
        return [self.torch.from_numpy(array).to(self.dtype) for array in arrays]

    def plain(self, o: Operands) -> Multiply:
        a, b, out = self._tensors(o.a, o.b, o.out)
        return partial(self.torch.mm, o.left(a), b, out=out)

    def images(self, o: Operands) -> Multiply:
        pixels, mean, inv_std = map(self.torch.from_numpy, o.images)
        (b, out), index = self._tensors(o.b, o.out), self.torch.from_numpy(o.index)

        def multiply() -> Any:
            center, scale = mean.index_select(0, index), inv_std.index_select(0, index)
            x = pixels.index_select(0, index).to(self.torch.float32).sub_(center).mul_(scale)
            return self.torch.mm(o.left(x.to(self.dtype)), b, out=out)

        return multiply

    def as_array(self, product: Any) -> np.ndarray:
        return product.float().numpy()


class TorchBfloat16(Torch):
    precision = "bfloat16"


class TorchInt8(Multiplier):
    """Both operands signed: PyTorch's CPU kernel takes no others, and has no public name."""

    precision = "int8"

    def __init__(self, threads: int) -> None:
        import torch  # pyright: ignore[reportMissingImports] - optional

        super().__init__(threads)
        torch.set_num_threads(threads)
        self.torch = torch

    def plain(self, o: Operands) -> Multiply:
        a, b = map(self.torch.from_numpy, self._signed(o))
        return partial(self.torch._int_mm, o.left(a), b, out=self.torch.empty(o.out.shape, dtype=self.torch.int32))

    def _signed(self, o: Operands) -> tuple[np.ndarray, np.ndarray]:
        return (o.bytes[0] ^ 0x80).view(np.int8), o.bytes[1]  # less 128

    def wanted(self, o: Operands) -> np.ndarray:
        a, b = self._signed(o)
        return o.left(a).astype(np.float64) @ b

    def as_array(self, product: Any) -> np.ndarray:
        return product.numpy()


class FastMLP(Multiplier):
    def plain(self, o: Operands) -> Multiply:
        from fastmlp_kernels import gemm

        def multiply() -> np.ndarray:
            gemm.matmul(o.a, o.b, o.out, transpose_a=o.product.transposed, **self._options())
            return o.out

        return multiply

    def images(self, o: Operands) -> Multiply:
        from fastmlp_kernels import gemm

        x, options = gemm.Images(o.images[0], o.index, *o.images[1:]), self._options()
        weight, bias = np.zeros_like(o.out), np.zeros(o.product.n, np.float32)
        o.out[...] = 0  # the velocity before: no momentum times NaN would be NaN

        def forward() -> np.ndarray:
            gemm.dense_forward(x, o.b, bias, "identity", o.out, **options)
            return o.out

        def update() -> np.ndarray:
            gemm.dense_update(x, o.b, weight, o.out, lr=1.0, momentum=0.0, weight_decay=0.0, **options)
            return o.out

        return update if o.product.transposed else forward

    def wanted(self, o: Operands) -> np.ndarray:
        """Return the product, of an update the velocity: the gradient goes straight into it, and down."""
        return -o.wanted() if o.product.transposed and o.product.source == "images" else o.wanted()

    def _options(self) -> dict[str, Any]:
        return {"precision": self.precision, "threads": self.threads}


class FastMLPBfloat16(FastMLP):
    precision = "bfloat16"


class FastMLPInt8(Multiplier):
    precision = "int8"

    def wanted(self, o: Operands) -> np.ndarray:
        a, b = o.bytes
        return o.left(a).astype(np.float64) @ b

    def plain(self, o: Operands) -> Multiply:
        from fastmlp_kernels import gemm

        out = np.empty(o.out.shape, np.int32)

        def multiply() -> np.ndarray:
            gemm.matmul_int8(*o.bytes, out, transpose_a=o.product.transposed, threads=self.threads)
            return out

        return multiply


MULTIPLIERS: dict[str, type[Multiplier]] = {
    "fastmlp": FastMLP,
    "fastmlp_bf16": FastMLPBfloat16,
    "fastmlp_int8": FastMLPInt8,
    "torch": Torch,
    "torch_bf16": TorchBfloat16,
    "torch_int8": TorchInt8,
    "numpy": Numpy,
    "numpy_default_blas": Numpy,
}
