# SPDX-License-Identifier: Apache-2.0
"""Conv1DTranspose, Conv2DTranspose, Conv3DTranspose: a convolution from its outputs to its inputs. Start at ConvTranspose."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count, as_sizes
from nyala.layers.convolutional.conv import Sizes, Windowed


class ConvTranspose(Windowed):
    """The layer of all ranks: activation(conv_transpose(x, kernel) + bias). Subclasses set `rank`, the number of spatial axes.

    The kernel has shape (*kernel_size, filters, channels) in either data format.
    """

    causal = False

    def __init__(
        self,
        filters: int,
        kernel_size: Sizes,
        strides: Sizes = 1,
        padding: str = "valid",
        output_padding: Sizes | None = None,
        data_format: str | None = None,
        dilation_rate: Sizes = 1,
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
        filters = as_count(f"{kind}(filters)", filters)
        if output_padding is not None:
            output_padding = as_sizes(f"{kind}(output_padding)", output_padding, self.rank, minimum=0)
        kept = {
            "kernel": (kernel_initializer, kernel_regularizer, kernel_constraint),
            "bias": (bias_initializer, bias_regularizer, bias_constraint),
        }
        super().__init__(
            kernel_size, strides, padding, data_format, dilation_rate, activation, use_bias, kept, activity_regularizer=activity_regularizer, **kwargs
        )
        if output_padding is not None and any(extra >= step for extra, step in zip(output_padding, self.strides, strict=True)):
            raise ArgumentError(
                f"{kind}(output_padding)",
                need=f"less than strides={self.strides} in each axis",
                got=f"{output_padding}",
                why="a convolution with these strides loses fewer places than that at the end of its input",
            )
        self.filters, self.output_padding = filters, output_padding

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_kernel((*self.kernel_size, self.filters, self.channels_of(input_shape)))
        self.bias = self.add_bias(self.filters)

    def call(self, inputs: Tensor) -> Tensor:
        return self.finish(
            ops.conv_transpose(inputs, self.kernel, self.strides, self.padding, self.output_padding, self.data_format, self.dilation_rate)
        )


class Conv1DTranspose(ConvTranspose):
    """The transpose of Conv1D: each step of x adds the kernel, times itself, to the result, strides apart.

    Args:
        filters: number of output channels.
        kernel_size: how many places of the result each step reaches.
        strides: places of the result from one step to the next; above 1 the result is so many times longer.
        padding: "valid" keeps all that the kernel reaches; "same" cuts the ends so that the length becomes length * strides.
        output_padding: further places at the end, fewer than strides; None as many as the lengths above need.
        data_format: "channels_last" (b, t, c) or "channels_first" (b, c, t); None means the default.
        dilation_rate: places from one weight of the kernel to the next; above 1 only with strides 1.
        activation: name or function; None for none.
        use_bias: whether bias is added.
        kernel_initializer, bias_initializer: of kernel (*kernel_size, filters, channels) and bias (filters,).
        kernel_regularizer, bias_regularizer: of the weights, added to the loss.
        activity_regularizer: of the outputs, added to the loss.
        kernel_constraint, bias_constraint: applied to the weights after each update.
    Source: Dumoulin, Visin 2016, A guide to convolution arithmetic for deep learning, chapter 4.

    >>> import nyala
    >>> nyala.layers.Conv1DTranspose(5, 3, strides=2, padding="same")(nyala.ops.zeros((2, 7, 4))).shape
    (2, 14, 5)
    """

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """The transpose of Conv2D: as Conv1DTranspose, for two spatial axes.

    Args:
        kernel_size, strides, output_padding, dilation_rate: one integer, or two, for height and width.
        data_format: "channels_last" (b, h, w, c) or "channels_first" (b, c, h, w); None means the default.
        all others: as Conv1DTranspose.

    >>> import nyala
    >>> nyala.layers.Conv2DTranspose(5, (3, 2), strides=2)(nyala.ops.zeros((2, 7, 6, 3))).shape
    (2, 15, 12, 5)
    """

    rank = 2


class Conv3DTranspose(ConvTranspose):
    """The transpose of Conv3D: as Conv1DTranspose, for three spatial axes.

    Args:
        kernel_size, strides, output_padding, dilation_rate: one integer, or three.
        data_format: "channels_last" (b, d, h, w, c) or "channels_first" (b, c, d, h, w); None means the default.
        all others: as Conv1DTranspose.

    >>> import nyala
    >>> nyala.layers.Conv3DTranspose(2, 3)(nyala.ops.zeros((1, 5, 5, 5, 3))).shape
    (1, 7, 7, 7, 2)
    """

    rank = 3


Convolution1DTranspose, Convolution2DTranspose, Convolution3DTranspose = Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
