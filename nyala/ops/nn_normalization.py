# SPDX-License-Identifier: Apache-2.0
"""Normalization: moments, and what divides by them. 16-bit floats are computed in float32. Start at moments."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nyala.core import config
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.op import engine, normalize_axes, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW
from nyala.ops.core import cast, saturate_cast

Axis = int | Sequence[int] | None


@op(promote="float")
def moments(x: Tensor, axes: Axis, keepdims: bool = False, synchronized: bool = False) -> tuple[Tensor, Tensor]:
    """Mean and variance of x over axes; the variance divides by the number of elements.

    Args:
        synchronized: whether replicas on several devices count as one; there is one program here, so they always do.

    >>> mean, variance = moments([[1.0, 5.0], [3.0, 5.0]], axes=0)
    >>> mean.tolist(), variance.tolist()
    ([2.0, 5.0], [1.0, 0.0])
    """
    dtype, axes = engine.dtype(x), normalize_axes(axes, x.ndim, "moments(axes)")
    mean, variance = _moments(_wide(x), axes)
    if not keepdims:
        rest = tuple(n for i, n in enumerate(x.shape) if i not in axes)
        mean, variance = engine.reshape(mean, rest), engine.reshape(variance, rest)
    return saturate_cast(mean, dtype), saturate_cast(variance, dtype)


def _wide(x: Tensor) -> Tensor:
    """x with at least 32 bits."""
    return engine.cast(x, "float32") if engine.dtype(x) in NARROW else x


def _mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    return engine.divide(engine.sum(x, axes, True), float(math.prod(x.shape[axis] for axis in axes)))


def _moments(x: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance, axes kept."""
    mean = _mean(x, axes)
    return mean, _mean(engine.power(engine.subtract(x, mean), 2), axes)


def _along(where: str, weights: Tensor, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Weights with the sizes of these axes, shaped to broadcast against x."""
    sizes = tuple(x.shape[axis] for axis in axes)
    if tuple(weights.shape) != sizes:
        raise ShapeError(where, need=f"shape {sizes}, as x has along axis {axes[0] if len(axes) == 1 else axes}", got=f"shape {tuple(weights.shape)}")
    return engine.reshape(weights, tuple(n if i in axes else 1 for i, n in enumerate(x.shape)))


@op(promote="float")
def batch_normalization(
    x: Tensor, mean: Tensor, variance: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset, with one mean, variance, scale and offset per channel.

    Args:
        mean, variance, offset, scale: (c,), the size of x along axis.

    Source: Ioffe, Szegedy 2015, Batch normalization: accelerating deep network training by reducing internal covariate shift.

    >>> batch_normalization([[3.0], [5.0]], mean=[4.0], variance=[4.0], axis=-1, epsilon=0.0).tolist()
    [[-0.5], [0.5]]
    """
    dtype, axes = engine.dtype(x), (normalize_axis(axis, x.ndim, "batch_normalization(axis)"),)
    factor = engine.rsqrt(engine.add(_wide(variance), epsilon))
    if scale is not None:
        factor = engine.multiply(factor, _wide(scale))
    result = engine.subtract(_wide(x), _along("batch_normalization(mean)", _wide(mean), x, axes))
    result = engine.multiply(result, _along("batch_normalization(variance)", factor, x, axes))
    if offset is not None:
        result = engine.add(result, _along("batch_normalization(offset)", _wide(offset), x, axes))
    return cast(result, dtype)


@op(promote="float")
def normalize_batch(
    x: Tensor, axis: int, offset: Tensor | None = None, scale: Tensor | None = None, epsilon: float = 1e-3
) -> tuple[Tensor, Tensor, Tensor]:
    """`batch_normalization` of x by its own moments, and these: mean and variance, (c,). No gradient goes through those two.

    >>> [part.tolist() for part in normalize_batch([[3.0], [5.0]], axis=-1, epsilon=0.0)]
    [[[-1.0], [1.0]], [4.0], [1.0]]
    """
    axis = normalize_axis(axis, x.ndim, "normalize_batch(axis)")
    mean, variance = moments.function(x, tuple(i for i in range(x.ndim) if i != axis))
    result = batch_normalization.function(x, mean, variance, axis, offset, scale, epsilon)
    return result, engine.stop_gradient(mean), engine.stop_gradient(variance)


@op
def layer_normalization(
    x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, axis: Axis = -1, epsilon: float | None = None, **kwargs: Any
) -> Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, with the moments of x over axis.

    Args:
        gamma, beta: with the sizes of x along axis.
        epsilon: nyala.config.epsilon() by default.
    Returns: shape and dtype of x.

    Source: Ba, Kiros, Hinton 2016, Layer normalization.

    >>> layer_normalization([[3.0, 5.0]], epsilon=0.0).tolist()
    [[-1.0, 1.0]]
    """
    rms_scaling = kwargs.pop("rms_scaling", False)  # an older spelling: scale by the deviation, shift by nothing
    if kwargs:
        raise ArgumentTypeError("layer_normalization", need="arguments that it knows", got=", ".join(kwargs))
    x, dtype = _float(x)
    axes = normalize_axes(axis, x.ndim, "layer_normalization(axis)")
    mean, variance = _moments(x, axes)
    result = engine.multiply(
        x if rms_scaling else engine.subtract(x, mean), engine.rsqrt(engine.add(variance, config.epsilon() if epsilon is None else epsilon))
    )
    if gamma is not None:
        result = engine.multiply(result, _along("layer_normalization(gamma)", cast(gamma, engine.dtype(x)), x, axes))
    if beta is not None and not rms_scaling:
        result = engine.add(result, _along("layer_normalization(beta)", cast(beta, engine.dtype(x)), x, axes))
    return cast(result, dtype)


def _float(x: Tensor) -> tuple[Tensor, str]:
    """x as a float of at least 32 bits, and the float dtype of a result that looks like x."""
    dtype = engine.dtype(x)
    if "float" not in dtype:
        dtype = engine.canonical_dtype(config.floatx())
        x = engine.cast(x, dtype)
    return _wide(x), dtype


@op
def rms_normalization(x: Tensor, scale: Tensor | None = None, axis: Axis = -1, epsilon: float | None = None) -> Tensor:
    """x / sqrt(mean(x**2) + epsilon) * scale, the mean over axis.

    Args:
        scale: with the sizes of x along axis.
        epsilon: nyala.config.epsilon() by default.
    Returns: shape and dtype of x.

    Source: Zhang, Sennrich 2019, Root mean square layer normalization.

    >>> rms_normalization([[3.0, -3.0]]).tolist()
    [[1.0, -1.0]]
    """
    x, dtype = _float(x)
    axes = normalize_axes(axis, x.ndim, "rms_normalization(axis)")
    result = engine.multiply(x, engine.rsqrt(engine.add(_mean(engine.power(x, 2), axes), config.epsilon() if epsilon is None else epsilon)))
    if scale is not None:
        result = engine.multiply(result, _along("rms_normalization(scale)", cast(scale, engine.dtype(x)), x, axes))
    return cast(result, dtype)


@op(promote="float")
def normalize(x: Tensor, axis: Axis = -1, order: int = 2, epsilon: float | None = None) -> Tensor:
    """x divided by its norm of the given order over axis, or by epsilon where that is larger.

    >>> normalize([3.0, 4.0]).tolist()
    [0.6, 0.8]
    """
    if not isinstance(order, int) or isinstance(order, bool) or order < 1:
        raise ArgumentError("normalize(order)", need="an integer from 1", got=repr(order))
    dtype, axes = engine.dtype(x), normalize_axes(axis, x.ndim, "normalize(axis)")
    least = (config.epsilon() if epsilon is None else epsilon) ** order
    x = _wide(x)
    powers = engine.abs(x) if order == 1 else engine.power(x if order % 2 == 0 else engine.abs(x), order)
    total = engine.maximum(engine.sum(powers, axes, True), max(least, 1e-37))  # before the root, whose slope at 0 is infinite
    return cast(engine.multiply(x, engine.rsqrt(total)) if order == 2 else engine.divide(x, engine.power(total, 1.0 / order)), dtype)
