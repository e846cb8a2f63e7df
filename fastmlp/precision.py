"""The precisions that a network can train in, and the ways to multiply matrices in each."""

# packed: whole steps in this package's compiled code; blas: numpy's products. The usual one first.
MATMULS = {"float32": ("packed", "blas"), "float64": ("blas",), "bfloat16": ("packed",), "int8": ("packed",)}
PRECISIONS = tuple(MATMULS)
