# SPDX-License-Identifier: Apache-2.0
"""Flatten, Permute, RepeatVector, Reshape: the same numbers under another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.symbolic import Symbolic, plain_shape
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class Flatten(Layer):
    """All axes but the batch as one.

    Args:
        data_format: "channels_last" or "channels_first", whose channels are moved last before; None means the default.

    >>> import nyala
    >>> nyala.layers.Flatten()(nyala.ops.zeros((2, 3, 5))).shape
    (2, 15)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.data_format = data_format
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Tensor) -> Tensor:
        if self.data_format == "channels_first" and len(inputs.shape) > 2:
            inputs = ops.moveaxis(inputs, 1, -1)
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


class Permute(Layer):
    """Axes in another order.

    Args:
        dims: order of the axes after the batch, counted from 1: (2, 1) swaps two.

    >>> import nyala
    >>> nyala.layers.Permute((2, 1))(nyala.ops.zeros((2, 3, 5))).shape
    (2, 5, 3)
    """

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ArgumentError(
                "Permute(dims)",
                need=f"each of {tuple(range(1, len(dims) + 1))} once",
                got=repr(dims),
                why="axis 0 is the batch and stays",
                fix="count from 1",
            )
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.transpose(inputs, (0, *self.dims))


class RepeatVector(Layer):
    """Each row n times: (b, c) becomes (b, n, c).

    Args:
        n: how many times.

    >>> import nyala
    >>> nyala.layers.RepeatVector(3)(nyala.ops.zeros((2, 5))).shape
    (2, 3, 5)
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        if not is_int(n):
            raise ArgumentTypeError("RepeatVector(n)", need="a positive integer", got=repr(n))
        n = as_count("RepeatVector(n)", n)
        super().__init__(**kwargs)
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Tensor) -> Tensor:
        batch, features = inputs.shape
        return ops.broadcast_to(ops.expand_dims(inputs, 1), (batch, self.n, features))


class Reshape(Layer):
    """Another shape for each sample, in row-major order.

    Args:
        target_shape: without the batch; one size may be -1, what is left.

    >>> import nyala
    >>> nyala.layers.Reshape((-1, 5))(nyala.ops.zeros((2, 3, 10))).shape
    (2, 6, 5)
    """

    def __init__(self, target_shape: Sequence[int] | int, **kwargs: Any) -> None:
        sizes = (target_shape,) if is_int(target_shape) else tuple(target_shape)
        sizes = tuple(-1 if n is None else n for n in sizes)
        if sizes.count(-1) > 1 or not all(is_int(n) and n >= -1 for n in sizes):
            raise ArgumentError("Reshape(target_shape)", need="sizes, at most one of them -1", got=repr(target_shape))
        super().__init__(**kwargs)
        self.target_shape = sizes

    def call(self, inputs: Tensor) -> Tensor:
        batch, *sizes = inputs.shape
        size, known = math.prod(sizes), math.prod(n for n in self.target_shape if n != -1)
        if size != known if -1 not in self.target_shape else not known or size % known:
            wanted = f"{known} numbers a sample" if -1 not in self.target_shape else f"a multiple of {known} numbers a sample"
            where = f"Reshape {self.name!r} to {self.target_shape}"
            raise ShapeError(
                where,
                need=wanted,
                got=f"{size}: shape {plain_shape(inputs.shape)}",
                fix="sizes of both shapes, without the batch, multiply to the same number",
            )
        return ops.reshape(inputs, (batch, *(size // known if n == -1 else n for n in self.target_shape)))

    def compute_output_spec(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if None not in inputs.shape[1:]:
            return super().compute_output_spec(inputs, *args, **kwargs)
        dtype = self.compute_dtype if self.autocast and dtypes.is_float(inputs.dtype) else inputs.dtype
        return Symbolic((inputs.shape[0], *(None if n == -1 else n for n in self.target_shape)), dtype)
