# SPDX-License-Identifier: Apache-2.0
"""SeparableConv1D, SeparableConv2D: first over places, each channel apart, then over channels. Start at SeparableConv."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.convolutional.conv import Sizes, Windowed


class SeparableConv(Windowed):
    """The layer of both ranks: activation(separable_conv(x, depthwise_kernel, pointwise_kernel) + bias). Subclasses set `rank`.

    The kernels have shapes (*kernel_size, channels, depth_multiplier) and (*1, channels * depth_multiplier, filters) in either data format.
    """

    strides_or_dilation = False

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        filters, depth_multiplier = as_count(f"{kind}(filters)", filters), as_count(f"{kind}(depth_multiplier)", depth_multiplier)
        kept = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "pointwise": (pointwise_initializer, pointwise_regularizer, pointwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, kept, activity_regularizer=activity_regularizer, **kwargs
        )
        self.filters, self.depth_multiplier = filters, depth_multiplier

    def build(self, input_shape: Any) -> None:
        channels = self.channels_of(input_shape)
        self.depthwise_kernel = self.add_kernel((*self.kernel_size, channels, self.depth_multiplier), "depthwise", "depthwise_kernel")
        shape = (*(1,) * self.rank, channels * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.add_kernel(shape, "pointwise", "pointwise_kernel")
        self.bias = self.add_bias(self.filters)

    def call(self, inputs: Tensor) -> Tensor:
        kernels = self.depthwise_kernel, self.pointwise_kernel
        return self.finish(ops.separable_conv(inputs, *kernels, self.strides, self.padding, self.data_format, self.dilation_rate))


class SeparableConv1D(SeparableConv):
    """A convolution over time in two steps: depth_multiplier kernels for each channel apart, then a mixture of all of them at each place.

    Args:
        filters: number of output channels.
        kernel_size, strides, padding, data_format, dilation_rate: as in Conv1D, but dilation_rate may be above 1 with any strides.
        depth_multiplier: kernels for each input channel.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: of depthwise_kernel (*kernel_size, channels, depth_multiplier),
            pointwise_kernel (*1, channels * depth_multiplier, filters) and bias (filters,).
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        depthwise_constraint, pointwise_constraint, bias_constraint: applied to the weights after each update.
    Source: Chollet 2017, Xception: deep learning with depthwise separable convolutions.
    Differs: from Keras 3, which refuses padding="causal"; Keras 2 took it.

    >>> import nyala
    >>> nyala.layers.SeparableConv1D(5, 3, depth_multiplier=2)(nyala.ops.zeros((2, 7, 4))).shape
    (2, 5, 5)
    """

    rank = 1


class SeparableConv2D(SeparableConv):
    """A convolution over images in two steps: as SeparableConv1D, for two spatial axes.

    Args:
        kernel_size, strides, dilation_rate: one integer, or two, for height and width.
        padding: "valid" or "same".
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        all others: as SeparableConv1D.

    >>> import nyala
    >>> nyala.layers.SeparableConv2D(5, (3, 2), padding="same")(nyala.ops.zeros((2, 7, 6, 3))).shape
    (2, 7, 6, 5)
    """

    rank = 2


SeparableConvolution1D, SeparableConvolution2D = SeparableConv1D, SeparableConv2D
