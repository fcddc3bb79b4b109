# SPDX-License-Identifier: Apache-2.0
"""Convolution and pooling in PyTorch over channels-last tensors.

PyTorch counts channels first, but reads memory in any order: a channels-last tensor seen through movedim is, of two or three spatial axes,
exactly its memory format channels_last, so that nothing is copied on the way in or out. Start at `conv`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import grad as gradients

from nyala.engines.protocol import Shape, Tensor

Padding = Sequence[tuple[int, int]]


def pad(x: Tensor, widths: Padding, value: float) -> Tensor:
    return torch.constant_pad_nd(x, [width for pair in reversed(widths) for width in pair], value)


FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}  # of kernels and inputs, by their rank


def arranged(kernel: Tensor) -> Tensor:
    """(*k, c, o) with the values of one output together, as PyTorch's convolutions would copy them otherwise at each call."""
    if kernel.ndim not in FORMATS or is_arranged(kernel):
        return kernel
    model = _kernel(torch.empty_like(_weight(kernel), memory_format=FORMATS[kernel.ndim], device="meta"))
    result = torch.empty_strided(kernel.shape, model.stride(), dtype=kernel.dtype, device=kernel.device)  # no view: its memory has one holder
    return result.copy_(kernel)


def is_arranged(x: Tensor) -> bool:
    """Whether x lies in memory as `arranged` puts it."""
    return x.ndim in FORMATS and _weight(x).is_contiguous(memory_format=FORMATS[x.ndim])


def as_it_lies(x: Tensor) -> Tensor:
    """A contiguous tensor on the memory of one that is contiguous or arranged."""
    return x if x.is_contiguous() else x.permute(-1, *range(x.ndim - 2), -2)


def conv(x: Tensor, kernel: Tensor, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    return conv_with_bias(x, kernel, None, strides, padding, dilation, groups)


def conv_with_bias(x: Tensor, kernel: Tensor, bias: Tensor | None, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    x, sides = _padded(x, padding, 0)
    function = (torch.conv1d, torch.conv2d, torch.conv3d)[len(strides) - 1]
    return _channels_last(function(_channels_first(x), _weight(kernel), bias, strides, sides, dilation, groups))


def conv_input_gradient(g: Tensor, kernel: Tensor, input_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    space = input_shape[1:-1]
    spans = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in zip(g.shape[1:-1], strides, dilation, kernel.shape[:-2], strict=True)]
    unread = [size + sum(pair) - span for size, pair, span in zip(space, padding, spans, strict=True)]
    symmetric = all(before == after for before, after in padding)
    crops = [before if symmetric else 0 for before, _ in padding]
    function = (torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d)[len(strides) - 1]
    result = _channels_last(function(_channels_first(g), _weight(kernel), None, strides, crops, unread, groups, dilation))
    return result if symmetric else result[(slice(None), *(slice(before, before + size) for (before, _), size in zip(padding, space, strict=True)))]


def conv_kernel_gradient(x: Tensor, g: Tensor, kernel_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    x, sides = _padded(x, padding, 0)
    function: Any = (gradients.conv1d_weight, gradients.conv2d_weight, gradients.conv3d_weight)[len(strides) - 1]
    shape = (kernel_shape[-1], kernel_shape[-2], *kernel_shape[:-2])
    weight = function(_channels_first(x), shape, _channels_first(g), strides, sides, dilation, groups)
    return _kernel(weight)


def max_pool(x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
    if not x.is_floating_point():  # sorting is what PyTorch has for every integer
        return _windows(x, window, strides, padding, torch.iinfo(x.dtype).min).flatten(x.ndim).sort(-1)[0][..., -1]
    x, sides = _padded(x, padding, -math.inf, window)
    return _channels_last((torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[len(window) - 1](_channels_first(x), window, strides, sides))


def sum_pool(x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
    if len(window) == 1 or not x.is_floating_point():
        return _windows(x, window, strides, padding, 0).flatten(x.ndim).sum(-1, dtype=x.dtype)
    x, sides = _padded(x, padding, 0, window)
    function = (torch.nn.functional.avg_pool2d, torch.nn.functional.avg_pool3d)[len(window) - 2]
    return _channels_last(function(_channels_first(x), window, strides, sides, divisor_override=1))


def _channels_first(x: Tensor) -> Tensor:
    return x.movedim(-1, 1)


def _channels_last(x: Tensor) -> Tensor:
    return x.movedim(1, -1)


def _weight(kernel: Tensor) -> Tensor:
    """(*k, c, o) as (o, c, *k)."""
    return kernel.permute(-1, -2, *range(kernel.ndim - 2))


def _kernel(weight: Tensor) -> Tensor:
    """(o, c, *k) as (*k, c, o)."""
    return weight.permute(*range(2, weight.ndim), 1, 0)


def _padded(x: Tensor, padding: Padding, value: float, window: Shape | None = None) -> tuple[Tensor, list[int]]:
    """x, and the padding that PyTorch can do itself: equal on both sides and, of pools, at most half a window. Else x is padded here."""
    if all(before == after for before, after in padding) and (window is None or all(2 * p[0] <= w for p, w in zip(padding, window, strict=True))):
        return x, [before for before, _ in padding]
    return pad(x, ((0, 0), *padding, (0, 0)), value), [0] * len(padding)


def _windows(x: Tensor, window: Shape, strides: Shape, padding: Padding, value: float) -> Tensor:
    """Every window of x, as a view (b, *s', c, *k)."""
    x = pad(x, ((0, 0), *padding, (0, 0)), value)
    for axis, (size, step) in enumerate(zip(window, strides, strict=True), 1):
        x = x.unfold(axis, size, step)
    return x
