# SPDX-License-Identifier: Apache-2.0
"""DepthwiseConv1D, DepthwiseConv2D: each channel convolved with kernels of its own. Start at DepthwiseConv."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.convolutional.conv import Sizes, Windowed


class DepthwiseConv(Windowed):
    """The layer of both ranks: activation(depthwise_conv(x, kernel) + bias). Subclasses set `rank`, the number of spatial axes.

    The kernel has shape (*kernel_size, channels, depth_multiplier) in either data format.
    """

    strides_or_dilation = False

    def __init__(
        self,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        depth_multiplier = as_count(f"{type(self).__name__}(depth_multiplier)", depth_multiplier)
        kept = {
            "depthwise": (depthwise_initializer, depthwise_regularizer, depthwise_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, kept, activity_regularizer=activity_regularizer, **kwargs
        )
        self.depth_multiplier = depth_multiplier

    def build(self, input_shape: Any) -> None:
        channels = self.channels_of(input_shape)
        self.kernel = self.add_kernel((*self.kernel_size, channels, self.depth_multiplier), "depthwise")
        self.bias = self.add_bias(channels * self.depth_multiplier)

    def call(self, inputs: Tensor) -> Tensor:
        return self.finish(ops.depthwise_conv(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate))


class DepthwiseConv1D(DepthwiseConv):
    """A convolution over time of each channel apart: output channel c * depth_multiplier + m is channel c under its kernel m.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate: as in Conv1D, but dilation_rate may be above 1 with any strides.
        depth_multiplier: kernels, and so output channels, for each input channel.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        depthwise_initializer, bias_initializer: of kernel (*kernel_size, channels, depth_multiplier) and bias (channels * depth_multiplier,).
        depthwise_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        depthwise_constraint, bias_constraint: applied to the weights after each update.
    Differs: from Keras, which refuses padding="causal".

    >>> import nyala
    >>> nyala.layers.DepthwiseConv1D(3, depth_multiplier=2)(nyala.ops.zeros((2, 7, 4))).shape
    (2, 5, 8)
    """

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """A convolution over images of each channel apart: as DepthwiseConv1D, for two spatial axes.

    Args:
        kernel_size, strides, dilation_rate: one integer, or two, for height and width.
        padding: "valid" or "same".
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        all others: as DepthwiseConv1D.

    >>> import nyala
    >>> nyala.layers.DepthwiseConv2D((3, 2), padding="same", strides=2)(nyala.ops.zeros((2, 7, 6, 3))).shape
    (2, 4, 3, 3)
    """

    rank = 2
