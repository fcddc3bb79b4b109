# SPDX-License-Identifier: Apache-2.0
"""Activations that are no ops of the same name, or have other arguments. Composed from public ops. Start at relu."""

from __future__ import annotations

from nyala import ops
from nyala.core.op import convert
from nyala.core.symbolic import Symbolic
from nyala.engines.protocol import Tensor


def relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """max(x, 0), with a slope below the threshold and a largest value if wanted; integers stay integers. Gradient 0 at 0.

    Args:
        negative_slope: up to threshold the result is negative_slope * (x - threshold).
        max_value: largest result; None for no limit.
        threshold: above it the result is x.

    >>> relu([-2.0, 0.5, 3.0], negative_slope=0.5, max_value=2.0).tolist()
    [-1.0, 0.5, 2.0]
    """
    if not threshold:
        result = ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    else:
        below = ops.multiply(ops.subtract(x, threshold), negative_slope) if negative_slope else 0.0
        result = ops.threshold(x, threshold, below)
    return result if max_value is None else ops.minimum(result, max_value)


def gelu(x: Tensor, approximate: bool = False) -> Tensor:
    """x * Phi(x), Phi the cumulative distribution of the standard normal; see nyala.ops.gelu.

    >>> gelu([0.0, 1.0]).tolist()
    [0.0, 0.8413447]
    """
    return ops.gelu(x, approximate)


def exponential(x: Tensor) -> Tensor:
    """e**x.

    >>> exponential([0.0, 1.0]).tolist()
    [1.0, 2.7182818]
    """
    return ops.exp(x)


def mish(x: Tensor) -> Tensor:
    """x * tanh(softplus(x)).

    Source: Misra 2019, Mish: a self regularized non-monotonic activation function.

    >>> mish([0.0, 1.0]).tolist()
    [0.0, 0.8650984]
    """
    return ops.multiply(x, ops.tanh(ops.softplus(x)))


def linear(x: Tensor) -> Tensor:
    """x itself.

    >>> linear([1.0]).tolist()
    [1.0]
    """
    return x if isinstance(x, Symbolic) else convert(x)
