# SPDX-License-Identifier: Apache-2.0
"""Conv1D, Conv2D, Conv3D: one kernel slid over all places. Start at Conv, of which they are the three ranks.

Windowed, above it, is what Conv shares with the transposed, depthwise and separable convolutions in the files beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.core.config import standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.layers.adaptable import Adaptable, main_weight
from nyala.layers.arguments import as_choice, as_count, as_sizes
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer

Sizes = int | Sequence[int]


class Windowed(Layer):
    """What all convolutions share: windows in `rank` spatial axes, a bias for each output channel, an activation.

    A subclass makes its kernels in `build`, with `add_kernel` and `add_bias`, and in `call` hands what it convolved to `finish`.
    Of each kind of weight it names in `kept` the constructor's initializer, regularizer and constraint are attributes.
    """

    rank: int
    bias: Variable | None
    causal = True  # whether padding="causal" means something where there is one axis
    strides_or_dilation = True  # whether only one of the two may be above 1

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes,
        padding: str,
        data_format: str | None,
        dilation_rate: Sizes,
        activation: Any,
        use_bias: bool,
        kept: dict[str, tuple[Any, Any, Any]],
        **kwargs: Any,
    ) -> None:
        sizes = check_windows(type(self).__name__, self.rank, kernel_size, strides, dilation_rate, self.strides_or_dilation)
        padding = check_padding(type(self).__name__, self.rank, padding, self.causal)
        data_format = standardize_data_format(data_format)
        super().__init__(**kwargs)
        self.kernel_size, self.strides, self.dilation_rate = sizes
        self.padding, self.data_format, self.use_bias = padding, data_format, use_bias
        self.activation = activations.get(activation)
        for name, (initializer, regularizer, constraint) in kept.items():
            setattr(self, f"{name}_initializer", initializers.get(initializer))
            setattr(self, f"{name}_regularizer", regularizers.get(regularizer))
            setattr(self, f"{name}_constraint", constraints.get(constraint))
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def channels_of(self, input_shape: Any) -> int:
        """The number of input channels; the layer is bound to it."""
        axis = -1 if self.data_format == "channels_last" else 1
        if input_shape[axis] is None:
            raise ShapeError(
                f"{type(self).__name__} {self.name!r}",
                need="a known number of channels",
                got=f"shape {tuple(input_shape)}",
                why="its kernel has one weight per channel",
            )
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: input_shape[axis]})
        return input_shape[axis]

    def add_kernel(self, shape: tuple[int, ...], kind: str = "kernel", name: str = "kernel") -> Variable:
        """A weight with the initializer, regularizer and constraint of its kind."""
        initializer, regularizer, constraint = (getattr(self, f"{kind}_{what}") for what in ("initializer", "regularizer", "constraint"))
        weight = self.add_weight(name=name, shape=shape, initializer=initializer, regularizer=regularizer, constraint=constraint)
        weight.of_windows = kind in ("kernel", "pointwise")
        return weight

    def add_bias(self, size: int) -> Variable | None:
        """A bias for each of so many output channels; None without use_bias."""
        return self.add_kernel((size,), "bias", "bias") if self.use_bias else None

    def finish(self, x: Tensor) -> Tensor:
        """activation(x + bias)"""
        if self.bias is not None:
            x = ops.add(x, self.bias if self.data_format == "channels_last" else ops.reshape(self.bias, (-1, *(1,) * self.rank)))
        return x if self.activation is None else self.activation(x)


def check_windows(
    kind: str, rank: int, kernel_size: Sizes, strides: Sizes, dilation_rate: Sizes, strides_or_dilation: bool
) -> tuple[tuple[int, ...], ...]:
    """kernel_size, strides and dilation_rate with one size per spatial axis."""
    given = {"kernel_size": kernel_size, "strides": strides, "dilation_rate": dilation_rate}
    kernel_size, strides, dilation_rate = (as_sizes(f"{kind}({name})", value, rank) for name, value in given.items())
    if strides_or_dilation and max(strides) > 1 and max(dilation_rate) > 1:
        got = f"strides={strides} and dilation_rate={dilation_rate}"
        raise ArgumentError(kind, need="strides or dilation_rate, the other one 1", got=got, why="their combination is not defined in Keras")
    return kernel_size, strides, dilation_rate


def check_padding(kind: str, rank: int, padding: Any, causal: bool) -> str:
    """The name of the padding in lower case."""
    padding = padding.lower() if isinstance(padding, str) else padding
    fix = "only Conv1D has a time axis; pad with ZeroPadding2D or 3D and use 'valid'" if padding == "causal" and rank > 1 else ""
    return as_choice(f"{kind}(padding)", padding, ("valid", "same", "causal") if rank == 1 and causal else ("valid", "same"), fix)


class Conv(Adaptable, Windowed):
    """The layer of all ranks: activation(conv(x, kernel) + bias). Subclasses set `rank`, the number of spatial axes.

    The kernel has shape (*kernel_size, channels // groups, filters) in either data format.
    """

    kernel = main_weight("kernel")

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        kind = type(self).__name__
        filters, groups = as_count(f"{kind}(filters)", filters), as_count(f"{kind}(groups)", groups)
        if filters % groups:
            raise ArgumentError(
                f"{kind}(filters)", need=f"a multiple of groups={groups}", got=f"{filters}", why="each group makes as many filters as the others"
            )
        kept = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, kept, activity_regularizer=activity_regularizer, **kwargs
        )
        self.filters, self.groups = filters, groups

    def build(self, input_shape: Any) -> None:
        channels = self.channels_of(input_shape)
        if channels % self.groups:
            need, got = f"a multiple of groups={self.groups} channels", f"{channels} (shape {tuple(input_shape)})"
            raise ShapeError(f"{type(self).__name__} {self.name!r}", need=need, got=got)
        self.kernel = self.add_kernel((*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self.add_bias(self.filters)
        self.adapt()

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """The convolution alone, with this kernel; subclasses may change the kernel first, say to standardize it."""
        return ops.conv(inputs, kernel, self.strides, self.padding, self.data_format, self.dilation_rate)  # b *s filters, or b filters *s

    def call(self, inputs: Tensor) -> Tensor:
        if self.bias is None or type(self).convolution_op is not Conv.convolution_op:
            return self.finish(self.convolution_op(inputs, self.kernel))
        x = ops.nn.conv_with_bias(inputs, self.kernel, self.bias, self.strides, self.padding, self.data_format, self.dilation_rate)
        return x if self.activation is None else self.activation(x)


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
