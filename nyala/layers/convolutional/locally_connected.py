# SPDX-License-Identifier: Apache-2.0
"""LocallyConnected1D and 2D: a convolution whose kernel differs from place to place. Start at LocallyConnected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count, as_sizes
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class LocallyConnected(Layer):
    """The layer of both ranks: one matrix product for each place. Subclasses set `rank`, the number of spatial axes.

    The kernel has shape (places, product of kernel_size * channels, filters), the bias (*output sizes, filters). In a row of the kernel the channels
    run fastest, with channels_first slowest, as in the files of Keras 2.
    """

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        implementation: int = 1,
        **kwargs: Any,
    ) -> None:
        kind, rank = type(self).__name__, self.rank
        filters = as_count(f"{kind}(filters)", filters)
        kernel_size, strides = as_sizes(f"{kind}(kernel_size)", kernel_size, rank), as_sizes(f"{kind}(strides)", strides, rank)
        as_choice(f"{kind}(padding)", padding, ("valid",), "put a ZeroPadding layer in front; each place has weights of its own, also at the border")
        if implementation not in (1, 2, 3):
            raise ArgumentError(
                f"{kind}(implementation)", need="1, 2 or 3", got=repr(implementation), why="in Keras 2 they differ in speed; here they are one"
            )
        data_format = standardize_data_format(data_format)
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters, self.kernel_size, self.strides, self.padding = filters, kernel_size, strides, padding
        self.data_format, self.use_bias, self.implementation = data_format, use_bias, implementation
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=rank + 2)

    def build(self, input_shape: Any) -> None:
        where, last = f"{type(self).__name__} {self.name!r}", self.data_format == "channels_last"
        sizes, channels = (input_shape[1:-1], input_shape[-1]) if last else (input_shape[2:], input_shape[1])
        if channels is None or None in sizes:
            raise ShapeError(where, need="known sizes beside the batch", got=f"shape {tuple(input_shape)}", why="it has weights for each place")
        places = tuple((size - k) // s + 1 for size, k, s in zip(sizes, self.kernel_size, self.strides, strict=True))
        if min(places) < 1:
            raise ShapeError(where, need=f"an input no smaller than its kernel {self.kernel_size}", got=f"shape {tuple(input_shape)}")
        self._output_sizes = places
        self.kernel = self.add_weight(
            name="kernel",
            shape=(math.prod(places), math.prod(self.kernel_size) * channels, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            shape = (*places, self.filters)
            self.bias = self.add_weight(
                name="bias", shape=shape, initializer=self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={i: n for i, n in enumerate(input_shape) if i})

    def call(self, inputs: Tensor) -> Tensor:
        first = self.data_format == "channels_first"
        x = ops.moveaxis(inputs, 1, -1) if first else inputs  # b *s c
        patches = ops.stack(
            [self._strided(x, offset) for offset in product(*map(range, self.kernel_size))], axis=-1 if first else -2
        )  # b *s' k c, or b *s' c k
        batch, places, features, filters = x.shape[0], *self.kernel.shape
        patches = ops.transpose(ops.reshape(patches, (batch, places, features)), (1, 0, 2))  # p b k*c
        y = ops.transpose(ops.matmul(patches, self.kernel), (1, 0, 2))  # b p f
        y = ops.reshape(y, (batch, *self._output_sizes, filters))
        if self.bias is not None:
            y = ops.add(y, self.bias)
        y = ops.moveaxis(y, -1, 1) if first else y
        return y if self.activation is None else self.activation(y)

    def _strided(self, x: Tensor, offset: tuple[int, ...]) -> Tensor:
        """What the weight at this offset of the kernel sees, from place to place."""
        steps = zip(offset, self.strides, self._output_sizes, strict=True)
        return ops.get_item(x, (slice(None), *(slice(start, start + (n - 1) * stride + 1, stride) for start, stride, n in steps)))


class LocallyConnected1D(LocallyConnected):
    """A layer like Conv1D with other weights at each place: y[b, t, f] = activation(sum over k of patch[b, t, k] * kernel[t, k, f] + bias[t, f]).

    Args:
        filters: number of output channels.
        kernel_size: how many places a patch covers.
        strides: places from one patch to the next.
        padding: "valid", the only one.
        data_format: "channels_last" (b, t, c) or "channels_first" (b, c, t); None means the default.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        kernel_initializer, bias_initializer: of kernel (t', kernel_size * c, filters) and bias (t', filters).
        kernel_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        kernel_constraint, bias_constraint: applied to the weights after each update.
        implementation: 1, 2 or 3, of Keras 2; all give the same numbers here.
    Differs: from Keras 2 in the shape of the kernel for implementation 2 and 3, which is that of implementation 1.

    >>> import nyala
    >>> nyala.layers.LocallyConnected1D(5, 3)(nyala.ops.zeros((2, 7, 4))).shape
    (2, 5, 5)
    """

    rank = 1


class LocallyConnected2D(LocallyConnected):
    """A layer like Conv2D with other weights at each place.

    Args:
        kernel_size, strides: one integer, or two, for height and width.
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        all others: as LocallyConnected1D; the kernel is (h' * w', kh * kw * c, filters), the bias (h', w', filters).

    >>> import nyala
    >>> nyala.layers.LocallyConnected2D(5, (3, 2))(nyala.ops.zeros((2, 7, 6, 3))).shape
    (2, 5, 5, 5)
    """

    rank = 2
