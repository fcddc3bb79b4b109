# SPDX-License-Identifier: Apache-2.0
"""Conv1D, Conv2D, Conv3D: one kernel slid over all places. Start at Conv, of which they are the three ranks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count, as_sizes
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class Conv(Layer):
    """The layer of all ranks: activation(conv(x, kernel) + bias). Subclasses set `rank`, the number of spatial axes.

    The kernel has shape (*kernel_size, channels // groups, filters) in either data format.
    """

    rank: int

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kind, rank = type(self).__name__, self.rank
        filters, groups = as_count(f"{kind}(filters)", filters), as_count(f"{kind}(groups)", groups)
        sizes = {"kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation_rate}
        sizes = {name: as_sizes(f"{kind}({name})", value, rank) for name, value in sizes.items()}
        padding = padding.lower() if isinstance(padding, str) else padding
        as_choice(f"{kind}(padding)", padding, ("valid", "same", "causal") if rank == 1 else ("valid", "same"), _no_causal(padding))
        data_format = standardize_data_format(data_format)
        if filters % groups:
            raise ArgumentError(
                f"{kind}(filters)", need=f"a multiple of groups={groups}", got=f"{filters}", why="each group makes as many filters as the others"
            )
        if max(sizes["strides"]) > 1 and max(sizes["dilation_rate"]) > 1:
            got = f"strides={sizes['strides']} and dilation_rate={sizes['dilation_rate']}"
            raise ArgumentError(kind, need="strides or dilation_rate, the other one 1", got=got, why="their combination is not defined in Keras")
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.filters, self.groups, self.padding, self.data_format, self.use_bias = filters, groups, padding, data_format, use_bias
        self.kernel_size, self.strides, self.dilation_rate = sizes["kernel_size"], sizes["strides"], sizes["dilation_rate"]
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.input_spec = InputSpec(ndim=rank + 2)

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels, where = input_shape[axis], f"{type(self).__name__} {self.name!r}"
        if channels is None:
            raise ShapeError(where, need="a known number of channels", got=f"shape {tuple(input_shape)}", why="its kernel has one weight per channel")
        if channels % self.groups:
            raise ShapeError(where, need=f"a multiple of groups={self.groups} channels", got=f"{channels} (shape {tuple(input_shape)})")
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: channels})

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)  # b *s filters, or b filters *s
        if self.bias is not None:
            x = ops.add(x, self.bias if self.data_format == "channels_last" else ops.reshape(self.bias, (self.filters, *(1,) * self.rank)))
        return self.activation(x)


def _no_causal(padding: Any) -> str:
    return "only Conv1D has a time axis; pad with ZeroPadding2D or 3D and use 'valid'" if padding == "causal" else ""


class Conv1D(Conv):
    """A convolution over time: y[b, t, f] = activation(sum over k, c of x[b, strides * t + dilation_rate * k, c] * kernel[k, c, f] + bias[f]).

    Args:
        filters: number of output channels.
        kernel_size: how many places the kernel covers.
        strides: places from one window to the next.
        padding: "valid" none; "same" zeros so that the length becomes ceil(length / strides); "causal" zeros in front, no output sees the future.
        data_format: "channels_last" (b, t, c) or "channels_first" (b, c, t); None means the default.
        dilation_rate: places from one weight of the kernel to the next; above 1 only with strides 1.
        groups: the channels are split into so many groups, convolved apart.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        kernel_initializer, bias_initializer: of kernel (*kernel_size, channels // groups, filters) and bias (filters,).
        kernel_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        kernel_constraint, bias_constraint: applied to the weights after each update.

    >>> import nyala
    >>> nyala.layers.Conv1D(5, 3)(nyala.ops.zeros((2, 7, 4))).shape
    (2, 5, 5)
    """

    rank = 1


class Conv2D(Conv):
    """A convolution over images: as Conv1D, for two spatial axes.

    Args:
        kernel_size, strides, dilation_rate: one integer, or two, for height and width.
        padding: "valid" or "same".
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        all others: as Conv1D.

    >>> import nyala
    >>> nyala.layers.Conv2D(5, (3, 2), padding="same", strides=2)(nyala.ops.zeros((2, 7, 6, 3))).shape
    (2, 4, 3, 5)
    """

    rank = 2


class Conv3D(Conv):
    """A convolution over volumes: as Conv1D, for three spatial axes.

    Args:
        kernel_size, strides, dilation_rate: one integer, or three.
        padding: "valid" or "same".
        data_format: "channels_last" (b, d, h, w, c) or "channels_first" (b, c, d, h, w); None means the default.
        all others: as Conv1D.

    >>> import nyala
    >>> nyala.layers.Conv3D(2, 3)(nyala.ops.zeros((1, 5, 5, 5, 3))).shape
    (1, 3, 3, 3, 2)
    """

    rank = 3


Convolution1D, Convolution2D, Convolution3D = Conv1D, Conv2D, Conv3D
