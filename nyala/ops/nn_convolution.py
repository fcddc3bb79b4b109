# SPDX-License-Identifier: Apache-2.0
"""Convolutions in one to three spatial axes: plain, depthwise, separable and transposed.

Composed from the primitives conv and conv_input_gradient, which have channels last. Start at conv.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.nn_windows import channels_first, channels_last, is_channels_first, need_space, paddings, spatial

Sizes = int | Sequence[int]


@op(promote="float")
def conv(
    inputs: Tensor, kernel: Tensor, strides: Sizes = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Sizes = 1
) -> Tensor:
    """Correlation of inputs with a kernel, in one to three spatial axes.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        kernel: (*k, c / groups, o); the number of groups follows from the channels.
        strides, dilation_rate: one integer, or one per spatial axis.
        padding: "valid" none, "same" zeros for s / strides results, "causal" (one spatial axis) zeros before.
    Returns: (b, *s', o), or (b, o, *s').

    >>> conv([[[1.0], [2.0], [4.0]]], [[[1.0]], [[10.0]]]).tolist()
    [[[21.0], [42.0]]]
    """
    return _convolved(engine.conv, inputs, (kernel,), strides, padding, data_format, dilation_rate)


@op(promote="float")
def conv_with_bias(
    inputs: Tensor,
    kernel: Tensor,
    bias: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """`conv`, and a bias (o,) added for each output.

    >>> conv_with_bias([[[1.0], [2.0], [4.0]]], [[[1.0]], [[10.0]]], [0.5]).tolist()
    [[[21.5], [42.5]]]
    """
    if tuple(bias.shape) != tuple(kernel.shape[-1:]):
        raise ShapeError("conv_with_bias(bias)", need=f"shape {tuple(kernel.shape[-1:])}, one for each output", got=f"shape {tuple(bias.shape)}")
    return _convolved(windows_with_bias, inputs, (kernel, bias), strides, padding, data_format, dilation_rate)


@op
def windows_with_bias(x: Tensor, kernel: Tensor, bias: Tensor, strides: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """The primitive conv, and a bias for each output."""
    return engine.add(engine.conv(x, kernel, strides, padding, dilation, groups), bias)


def _convolved(
    convolve: Callable, inputs: Tensor, weights: tuple[Tensor, ...], strides: Sizes, padding: str, data_format: str | None, dilation_rate: Sizes
) -> Tensor:
    kernel, number = weights[0], need_space("conv(inputs)", inputs)
    first = is_channels_first("conv", data_format)
    x = channels_last(inputs) if first else inputs
    groups = _groups("conv(kernel)", x, kernel)
    strides, dilation = spatial("conv(strides)", strides, number), spatial("conv(dilation_rate)", dilation_rate, number)
    pairs = paddings("conv", padding, x.shape[1:-1], kernel.shape[:-2], strides, dilation)
    result = convolve(x, *weights, strides, pairs, dilation, groups)
    return channels_first(result) if first else result


def _groups(where: str, x: Tensor, kernel: Tensor) -> int:
    """In how many groups the channels of x and the outputs of the kernel fall."""
    if kernel.ndim != x.ndim or kernel.shape[-2] == 0 or x.shape[-1] % kernel.shape[-2] or kernel.shape[-1] % (x.shape[-1] // kernel.shape[-2] or 1):
        raise ShapeError(where, need=f"shape (*k, c / groups, o) of rank {x.ndim} for {x.shape[-1]} input channels",
                         got=f"shape {tuple(kernel.shape)}", why="the groups share the input channels and the outputs evenly")  # fmt: skip
    return x.shape[-1] // kernel.shape[-2] or 1


@op(promote="float")
def depthwise_conv(
    inputs: Tensor, kernel: Tensor, strides: Sizes = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Sizes = 1
) -> Tensor:
    """Each channel correlated with its own kernels.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        kernel: (*k, c, m), m kernels per channel.
    Returns: (b, *s', c * m); the results of one channel lie together.

    >>> depthwise_conv([[[1.0, 2.0], [3.0, 4.0]]], [[[1.0], [10.0]]]).tolist()
    [[[1.0, 20.0], [3.0, 40.0]]]
    """
    channels = inputs.shape[1 if is_channels_first("depthwise_conv", data_format) else -1] if inputs.ndim else 0
    if kernel.ndim != inputs.ndim or kernel.shape[-2] != channels:
        raise ShapeError("depthwise_conv(kernel)", need=f"shape (*k, {channels}, m) of rank {inputs.ndim}", got=f"shape {tuple(kernel.shape)}")
    kernel = engine.reshape(kernel, (*kernel.shape[:-2], 1, channels * kernel.shape[-1]))
    return conv(inputs, kernel, strides, padding, data_format, dilation_rate)


@op(promote="float")
def separable_conv(
    inputs: Tensor,
    depthwise_kernel: Tensor,
    pointwise_kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """A depthwise convolution, then one with windows of size 1 that mixes the channels.

    Args:
        depthwise_kernel: (*k, c, m).
        pointwise_kernel: (*1, c * m, o).

    >>> separable_conv([[[1.0, 2.0]]], [[[1.0], [10.0]]], [[[1.0], [100.0]]]).tolist()
    [[[2001.0]]]
    """
    x = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(x, pointwise_kernel, 1, "valid", data_format)


@op(promote="float")
def conv_transpose(
    inputs: Tensor,
    kernel: Tensor,
    strides: Sizes = 1,
    padding: str = "valid",
    output_padding: Sizes | None = None,
    data_format: str | None = None,
    dilation_rate: Sizes = 1,
) -> Tensor:
    """The transpose of conv: each element of inputs adds the kernel, times itself, to the result, strides apart.

    Args:
        inputs: (b, *s, c), or (b, c, *s) with data_format "channels_first".
        kernel: (*k, o, c).
        output_padding: further elements at the end of each spatial axis; None makes s * strides of them for "same", and
            s * strides + max(k - strides, 0) for "valid".

    >>> conv_transpose([[[1.0], [2.0]]], [[[1.0]], [[10.0]]], strides=2).tolist()
    [[[1.0], [10.0], [2.0], [20.0]]]
    """
    number = need_space("conv_transpose(inputs)", inputs)
    first = is_channels_first("conv_transpose", data_format)
    x = channels_last(inputs) if first else inputs
    if kernel.ndim != x.ndim or kernel.shape[-1] != x.shape[-1]:
        raise ShapeError("conv_transpose(kernel)", need=f"shape (*k, o, {x.shape[-1]}) of rank {x.ndim}", got=f"shape {tuple(kernel.shape)}")
    strides, dilation = spatial("conv_transpose(strides)", strides, number), spatial("conv_transpose(dilation_rate)", dilation_rate, number)
    sizes, before = conv_transpose_sizes(x.shape[1:-1], kernel.shape[:-2], strides, padding, output_padding, dilation)
    pairs, reached = [], []
    for size, n, k, step, d, skipped in zip(sizes, x.shape[1:-1], kernel.shape[:-2], strides, dilation, before, strict=True):
        end = (n - 1) * step + d * (k - 1) + 1 - skipped  # beyond the last element that the kernel touches
        reached.append(min(size, end + step - 1))
        pairs.append((skipped, max(end - size, 0)))
    result = engine.conv_input_gradient(x, kernel, (x.shape[0], *reached, kernel.shape[-2]), strides, pairs, dilation, 1)
    if tuple(reached) != tuple(sizes):
        result = engine.pad(result, [(0, 0), *((0, size - n) for size, n in zip(sizes, reached, strict=True)), (0, 0)], 0)
    return channels_first(result) if first else result


def conv_transpose_sizes(
    sizes: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: str, output_padding: Any, dilation: Sequence[int]
) -> tuple[list[int], list[int]]:
    """Spatial sizes of the result of conv_transpose, and how many elements are cut off before each.

    >>> conv_transpose_sizes([5], [3], [2], "same", None, [1])
    ([10], [0])
    """
    name = padding.lower() if isinstance(padding, str) else padding
    if name not in ("valid", "same"):
        raise ArgumentError("conv_transpose(padding)", need="'valid' or 'same'", got=repr(padding))
    number = len(sizes)
    extras = (
        [None] * number
        if output_padding is None
        else list(output_padding)
        if isinstance(output_padding, (list, tuple))
        else [output_padding] * number
    )
    if len(extras) != number or any(extra is not None and extra < 0 for extra in extras):
        raise ArgumentError("conv_transpose(output_padding)", need=f"None, an integer from 0, or {number} of them", got=repr(output_padding))
    results, cut = [], []
    for size, k, step, d, extra in zip(sizes, window, strides, dilation, extras, strict=True):
        span = d * (k - 1) + 1
        whole = (size - 1) * step + span  # what all kernels touch
        if name == "valid":
            result = size * step + max(span - step, 0) if extra is None else whole + extra
        else:
            result = size * step if extra is None else whole - 2 * (span // 2) + extra
        results.append(result)
        cut.append(0 if name == "valid" else max((whole - result) // 2, 0))
    if min(results) < 1:
        raise ShapeError(
            "conv_transpose", need="an input and a kernel that leave a result", got=f"spatial sizes {tuple(sizes)} and window {tuple(window)}"
        )
    return results, cut
