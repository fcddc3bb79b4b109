# SPDX-License-Identifier: Apache-2.0
"""Convolution and pooling in TensorFlow, channels last, one to three spatial axes.

One axis is seen as two. TensorFlow's own operations are used throughout, so that graphs can be taken elsewhere; where its kernels for CPUs know no
groups or dilations, XLA compiles the same operations on their own. Start at `conv`. Nothing here knows about engines.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nyala.engines._tensorflow_tracing import by_xla, use_xla
from nyala.engines.protocol import Shape, Tensor

Padding = Sequence[tuple[int, int]]


class Geometry(NamedTuple):
    """What a convolution of two or three axes is besides its tensors; `shape` is that of the result that a gradient has."""

    strides: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int
    shape: Shape = ()


def conv(x: Tensor, kernel: Tensor, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    """The primitive `conv`."""
    if x.shape.rank == 3:
        return tf.squeeze(conv(tf.expand_dims(x, 1), tf.expand_dims(kernel, 0), *_of_two_axes(strides, padding, dilation), groups), 1)
    if _is_uneven(dilation):
        return conv(x, _spread(kernel, dilation), strides, padding, (1, 1, 1), groups)
    return _run(_conv, x, kernel, Geometry(tuple(strides), _pairs(padding), tuple(dilation), groups))


def conv_input_gradient(g: Tensor, kernel: Tensor, input_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    """The primitive `conv_input_gradient`."""
    if g.shape.rank == 3:
        shape = (input_shape[0], 1, *input_shape[1:])
        wide = conv_input_gradient(tf.expand_dims(g, 1), tf.expand_dims(kernel, 0), shape, *_of_two_axes(strides, padding, dilation), groups)
        return tf.squeeze(wide, 1)
    if _is_uneven(dilation):
        return conv_input_gradient(g, _spread(kernel, dilation), input_shape, strides, padding, (1, 1, 1), groups)
    return _run(_input_gradient, g, kernel, Geometry(tuple(strides), _pairs(padding), tuple(dilation), groups, tuple(input_shape)))


def conv_kernel_gradient(x: Tensor, g: Tensor, kernel_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
    """The primitive `conv_kernel_gradient`."""
    if x.shape.rank == 3:
        wide = (tf.expand_dims(x, 1), tf.expand_dims(g, 1), (1, *kernel_shape))
        return tf.squeeze(conv_kernel_gradient(*wide, *_of_two_axes(strides, padding, dilation), groups), 0)
    if _is_uneven(dilation):
        shape = (*(d * (k - 1) + 1 for k, d in zip(kernel_shape, dilation, strict=False)), *kernel_shape[-2:])
        return conv_kernel_gradient(x, g, shape, strides, padding, (1, 1, 1), groups)[tuple(slice(None, None, d) for d in dilation)]
    return _run(_kernel_gradient, x, g, Geometry(tuple(strides), _pairs(padding), tuple(dilation), groups, tuple(kernel_shape)))


def _is_uneven(dilation: Shape) -> bool:
    """Whether TensorFlow takes this dilation of three axes for that of others: its inference of shapes mixes their order up."""
    return len(dilation) == 3 and len(set(dilation)) > 1


def _spread(kernel: Tensor, dilation: Shape) -> Tensor:
    """The kernel with zeros between its elements, which does without a dilation."""
    for axis, step in enumerate(dilation):
        if step > 1:
            before, size, after = kernel.shape[:axis], kernel.shape[axis], kernel.shape[axis + 1 :]
            gaps = [(0, 0)] * (axis + 1) + [(0, step - 1)] + [(0, 0)] * len(after)
            wide = tf.reshape(tf.pad(tf.expand_dims(kernel, axis + 1), gaps), (*before, size * step, *after))
            kernel = wide[(*[slice(None)] * axis, slice(step * (size - 1) + 1))]
    return kernel


def _of_two_axes(strides: Shape, padding: Padding, dilation: Shape) -> tuple:
    return (1, *strides), ((0, 0), *padding), (1, *dilation)


def _pairs(padding: Padding) -> tuple[tuple[int, int], ...]:
    return tuple((int(before), int(after)) for before, after in padding)


def _run(function: Callable, x: Tensor, y: Tensor, geometry: Geometry) -> Tensor:
    """The function, compiled by XLA where only XLA knows how, and zeros of its shape for nothing at all, where kernels forget the shape."""
    if 0 in x.shape or 0 in y.shape:
        return tf.zeros(geometry.shape or _counts(x.shape, y.shape, geometry), x.dtype)
    plain = geometry.groups == 1 and all(step == 1 for step in geometry.dilation)
    return function(x, y, geometry) if plain else _COMPILED[function](x, y, geometry)


def _counts(shape: Shape, kernel: Shape, geometry: Geometry) -> Shape:
    """The shape of a convolution."""
    sizes = zip(shape[1:-1], kernel[:-2], geometry.strides, geometry.padding, geometry.dilation, strict=True)
    return (shape[0], *((n + sum(sides) - d * (k - 1) - 1) // step + 1 for n, k, step, sides, d in sizes), kernel[-1])


def _settings(geometry: Geometry) -> dict[str, Any]:
    """Of TensorFlow's operations on two axes."""
    sides = [0, 0, *(side for pair in geometry.padding for side in pair), 0, 0]
    return {"strides": [1, *geometry.strides, 1], "dilations": [1, *geometry.dilation, 1], "padding": "EXPLICIT", "explicit_paddings": sides}


def _settings_3d(geometry: Geometry) -> dict[str, Any]:
    """Of TensorFlow's operations on three axes, which take no explicit padding."""
    return {"strides": [1, *geometry.strides, 1], "dilations": [1, *geometry.dilation, 1], "padding": "VALID"}


def _padded(x: Tensor, padding: Padding, value: float = 0) -> Tensor:
    if not any(before or after for before, after in padding):
        return x
    return tf.pad(x, [(0, 0), *padding, (0, 0)], constant_values=tf.constant(value, x.dtype))


def _conv(x: Tensor, kernel: Tensor, geometry: Geometry) -> Tensor:
    if len(geometry.strides) == 2:
        return tf.raw_ops.Conv2D(input=x, filter=kernel, **_settings(geometry))
    return tf.raw_ops.Conv3D(input=_padded(x, geometry.padding), filter=kernel, **_settings_3d(geometry))


def _input_gradient(g: Tensor, kernel: Tensor, geometry: Geometry) -> Tensor:
    shape = geometry.shape
    if len(geometry.strides) == 2:
        return tf.raw_ops.Conv2DBackpropInput(input_sizes=shape, filter=kernel, out_backprop=g, **_settings(geometry))
    sizes = [size + before + after for size, (before, after) in zip(shape[1:-1], geometry.padding, strict=True)]
    padded = tf.raw_ops.Conv3DBackpropInputV2(input_sizes=[shape[0], *sizes, shape[-1]], filter=kernel, out_backprop=g, **_settings_3d(geometry))
    return tf.slice(padded, [0, *(before for before, _ in geometry.padding), 0], shape)


def _kernel_gradient(x: Tensor, g: Tensor, geometry: Geometry) -> Tensor:
    if len(geometry.strides) == 2:
        return tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=geometry.shape, out_backprop=g, **_settings(geometry))
    x = _padded(x, geometry.padding)
    return tf.raw_ops.Conv3DBackpropFilterV2(input=x, filter_sizes=geometry.shape, out_backprop=g, **_settings_3d(geometry))


_COMPILED = {function: by_xla(function) for function in (_conv, _input_gradient, _kernel_gradient)}


# Pooling --------------------------------------------------------------------------------------------------------------------------


def max_pool(x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
    """The primitive `max_pool`."""
    x = _padded(x, padding, -math.inf if x.dtype.is_floating else x.dtype.min)
    if len(window) < 3 and x.dtype.is_floating:
        pooled = _pooled(tf.nn.max_pool2d, x, window, strides)
        if use_xla() and not tf.executing_eagerly():
            return pooled
        lost = _pooled(tf.nn.max_pool2d, tf.cast(tf.math.is_nan(x), x.dtype), window, strides)  # the kernel passes nan over
        return tf.where(lost > 0, tf.constant(math.nan, x.dtype), pooled)
    for axis, (k, step) in enumerate(zip(window, strides, strict=True), 1):
        x = functools.reduce(tf.maximum, _shifted(x, k, step, axis))
    return x


def sum_pool(x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
    """The primitive `sum_pool`."""
    x = _padded(x, padding)
    if len(window) < 3:
        return _pooled(tf.nn.avg_pool2d, x, window, strides) * tf.constant(math.prod(window), x.dtype)
    for axis, (k, step) in enumerate(zip(window, strides, strict=True), 1):
        x = functools.reduce(tf.add, _shifted(x, k, step, axis))
    return x


def _pooled(kernel: Callable, x: Tensor, window: Shape, strides: Shape) -> Tensor:
    if len(window) == 1:
        return tf.squeeze(kernel(tf.expand_dims(x, 1), (1, *window), (1, *strides), "VALID"), 1)
    return kernel(x, window, strides, "VALID")


def _shifted(x: Tensor, k: int, step: int, axis: int) -> Iterator[Tensor]:
    """What lies in all windows at each position of an axis."""
    count = (x.shape[axis] - k) // step + 1
    ends = [slice(None)] * axis
    return (x[(*ends, slice(i, i + (count - 1) * step + 1, step))] for i in range(k))
