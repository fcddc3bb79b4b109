# SPDX-License-Identifier: Apache-2.0
"""Activations: functions of one tensor that layers put between their sums, elementwise or along an axis.

Composed from engine primitives; nothing here knows which engine runs. Where a branch of `where` would give an infinite or nan gradient, its
argument is made harmless first. Start at relu; the ones along an axis begin at softmax.
"""

from __future__ import annotations

import math

from nyala.core.errors import ShapeError
from nyala.core.op import engine, normalize_axes, normalize_axis, op
from nyala.engines.protocol import Tensor

Axis = int | tuple[int, ...] | None

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805

# Piecewise linear ---------------------------------------------------------------------------------------------------------------


@op
def relu(x: Tensor) -> Tensor:
    """max(x, 0); integers stay integers. Gradient 0 at 0.

    >>> relu([-1.0, 0.5]).tolist()
    [0.0, 0.5]
    """
    if engine.dtype(x) == "bool":
        return engine.cast(x, "int32")
    return engine.where(engine.less_equal(x, 0), 0, x)


@op(promote="float")
def relu6(x: Tensor) -> Tensor:
    """min(max(x, 0), 6).

    >>> relu6([-1.0, 0.5, 7.0]).tolist()
    [0.0, 0.5, 6.0]
    """
    return engine.where(engine.less_equal(x, 0), 0.0, engine.where(engine.greater_equal(x, 6), 6.0, x))


@op(promote="float")
def leaky_relu(x: Tensor, negative_slope: float = 0.2) -> Tensor:
    """x from 0, below it negative_slope * x.

    >>> leaky_relu([-1.0, 0.5]).tolist()
    [-0.2, 0.5]
    """
    return engine.where(engine.less(x, 0), engine.multiply(x, negative_slope), x)


@op(promote="float")
def hard_sigmoid(x: Tensor) -> Tensor:
    """relu6(x + 3) / 6.

    >>> hard_sigmoid([-3.0, 0.0, 1.5]).tolist()
    [0.0, 0.5, 0.75]
    """
    return engine.divide(relu6(engine.add(x, 3.0)), 6.0)


@op(promote="float")
def hard_silu(x: Tensor) -> Tensor:
    """x * relu6(x + 3) / 6.

    >>> hard_silu([-3.0, 1.5]).tolist()
    [0.0, 1.125]
    """
    return engine.multiply(x, hard_sigmoid(x))


@op
def hard_tanh(x: Tensor) -> Tensor:
    """x between -1 and 1, these beyond; integers stay integers.

    >>> hard_tanh([-3.0, 0.5]).tolist()
    [-1.0, 0.5]
    """
    kind = engine.dtype(x)
    if kind == "bool":
        return engine.cast(x, "int32")
    x = engine.where(engine.greater(x, 1), 1, x)
    return x if kind.startswith("uint") else engine.where(engine.less(x, -1), -1, x)


@op(promote="float")
def hard_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x where |x| > threshold, else 0.

    >>> hard_shrink([-3.0, 0.5]).tolist()
    [-3.0, 0.0]
    """
    return engine.where(engine.greater(engine.abs(x), threshold), x, 0.0)


@op(promote="float")
def soft_shrink(x: Tensor, threshold: float = 0.5) -> Tensor:
    """x moved by threshold towards 0, and 0 where it would cross.

    >>> soft_shrink([-3.0, 0.25, 1.0]).tolist()
    [-2.5, 0.0, 0.5]
    """
    below = engine.where(engine.less(x, -threshold), engine.add(x, threshold), 0.0)
    return engine.where(engine.greater(x, threshold), engine.subtract(x, threshold), below)


@op(promote="float")
def sparse_plus(x: Tensor) -> Tensor:
    """0 below -1, x above 1, and (x + 1)**2 / 4 between.

    >>> sparse_plus([-2.0, 0.0, 3.0]).tolist()
    [0.0, 0.25, 3.0]
    """
    outside = engine.greater_equal(engine.abs(x), 1.0)
    middle = engine.add(engine.where(outside, 0.0, x), 1.0)
    return engine.where(outside, relu(x), engine.multiply(engine.power(middle, 2), 0.25))


@op(promote="float")
def sparse_sigmoid(x: Tensor) -> Tensor:
    """(x + 1) / 2 between -1 and 1, 0 below and 1 above.

    >>> sparse_sigmoid([-2.0, 0.0, 0.5]).tolist()
    [0.0, 0.5, 0.75]
    """
    return engine.multiply(engine.add(hard_tanh(x), 1.0), 0.5)


@op(promote="same")
def threshold(x: Tensor, threshold: Tensor, default_value: Tensor) -> Tensor:
    """x where it is above threshold, else default_value.

    >>> threshold([1.0, 3.0], 2.0, -5.0).tolist()
    [-5.0, 3.0]
    """
    return engine.where(engine.greater(x, threshold), x, default_value)


# Smooth -------------------------------------------------------------------------------------------------------------------------


@op(promote="float", probability=True)
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x)).

    >>> sigmoid([0.0, 1000.0]).tolist()
    [0.5, 1.0]
    """
    return engine.sigmoid(x)


@op(promote="float")
def log_sigmoid(x: Tensor) -> Tensor:
    """log(sigmoid(x)), exact where the sigmoid is 0 or 1 to all digits.

    >>> log_sigmoid([-1000.0, 0.0]).tolist()
    [-1000.0, -0.6931472]
    """
    return engine.negative(softplus(engine.negative(x)))


@op(promote="float")
def softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), without overflow.

    >>> softplus([0.0, 1000.0]).tolist()
    [0.6931472, 1000.0]
    """
    return engine.add(engine.maximum(x, 0.0), engine.log1p(engine.exp(engine.negative(engine.abs(x)))))


@op(promote="float")
def squareplus(x: Tensor, b: float = 4) -> Tensor:
    """(x + sqrt(x**2 + b)) / 2.

    Source: Barron 2021, Squareplus: a softplus-like algebraic rectifier.

    >>> squareplus([0.0, 1.5]).tolist()
    [1.0, 2.0]
    """
    return engine.multiply(engine.add(x, engine.sqrt(engine.add(engine.power(x, 2), b))), 0.5)


@op(promote="float")
def softsign(x: Tensor) -> Tensor:
    """x / (1 + |x|).

    >>> softsign([-1.0, 3.0]).tolist()
    [-0.5, 0.75]
    """
    return engine.divide(x, engine.add(engine.abs(x), 1.0))


@op(promote="float")
def tanh_shrink(x: Tensor) -> Tensor:
    """x - tanh(x).

    >>> tanh_shrink([0.0, 20.0]).tolist()
    [0.0, 19.0]
    """
    return engine.subtract(x, engine.tanh(x))


@op(promote="float")
def silu(x: Tensor) -> Tensor:
    """x * sigmoid(x), also called swish.

    Source: Elfwing, Uchibe, Doya 2017, Sigmoid-weighted linear units for neural network function approximation in reinforcement learning.

    >>> silu([0.0, 1.0]).tolist()
    [0.0, 0.7310586]
    """
    return engine.multiply(x, engine.sigmoid(x))


@op(promote="float")
def gelu(x: Tensor, approximate: bool = True) -> Tensor:
    """x * Phi(x), Phi the cumulative distribution of the standard normal.

    Args:
        approximate: with tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)) in the place of erf(x / sqrt(2)).
    Source: Hendrycks, Gimpel 2016, Gaussian error linear units.

    >>> gelu([0.0, 1.0], approximate=False).tolist()
    [0.0, 0.8413447]
    """
    if approximate:
        z = engine.multiply(engine.add(x, engine.multiply(engine.power(x, 3), 0.044715)), math.sqrt(8.0 / math.pi))
        return engine.multiply(x, engine.sigmoid(z))  # as (1 + tanh(z / 2)) / 2 = sigmoid(z)
    return engine.multiply(x, engine.multiply(engine.add(engine.erf(engine.multiply(x, math.sqrt(0.5))), 1.0), 0.5))


@op(promote="float")
def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x above 0, below it alpha * (exp(x) - 1).

    Source: Clevert, Unterthiner, Hochreiter 2015, Fast and accurate deep network learning by exponential linear units.

    >>> elu([-1.0, 2.0]).tolist()
    [-0.6321206, 2.0]
    """
    positive = engine.greater(x, 0)
    return engine.where(positive, x, engine.multiply(engine.expm1(engine.where(positive, 0.0, x)), alpha))


@op(promote="float")
def selu(x: Tensor) -> Tensor:
    """scale * elu(x, alpha), with the scale and alpha that keep mean 0 and variance 1 from layer to layer.

    Source: Klambauer, Unterthiner, Mayr, Hochreiter 2017, Self-normalizing neural networks.

    >>> selu([-1.0, 2.0]).tolist()
    [-1.1113307, 2.101402]
    """
    return engine.multiply(elu(x, SELU_ALPHA), SELU_SCALE)


@op(promote="float")
def celu(x: Tensor, alpha: float = 1.0) -> Tensor:
    """x above 0, below it alpha * (exp(x / alpha) - 1): an elu with a continuous derivative.

    Source: Barron 2017, Continuously differentiable exponential linear units.

    >>> celu([-1.0, 2.0]).tolist()
    [-0.6321206, 2.0]
    """
    positive = engine.greater(x, 0)
    return engine.where(positive, x, engine.multiply(engine.expm1(engine.divide(engine.where(positive, 0.0, x), alpha)), alpha))


# Along an axis --------------------------------------------------------------------------------------------------------------------


@op(promote="float")
def glu(x: Tensor, axis: int = -1) -> Tensor:
    """The first half of x along axis times the sigmoid of the second.

    Source: Dauphin, Fan, Auli, Grangier 2016, Language modeling with gated convolutional networks.

    >>> glu([2.0, 4.0, 0.0, 0.0]).tolist()
    [1.0, 2.0]
    """
    axis = normalize_axis(axis, x.ndim, "glu(axis)")
    size = x.shape[axis]
    if size % 2:
        raise ShapeError(
            "glu", need=f"an even size along axis {axis}", got=f"shape {tuple(x.shape)}", why="it multiplies one half by the sigmoid of the other"
        )
    half, ones = size // 2, (1,) * x.ndim
    stops, starts = list(x.shape), [0] * x.ndim
    stops[axis] = starts[axis] = half
    first = engine.slice(x, (0,) * x.ndim, tuple(stops), ones)
    return engine.multiply(first, engine.sigmoid(engine.slice(x, tuple(starts), tuple(x.shape), ones)))


@op(promote="float", probability=True)
def softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) along axis, without overflow.

    Args:
        axis: one axis, several, or None for all.

    >>> softmax([[0.0, 0.0], [1000.0, -1000.0]]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    axes = normalize_axes(axis, x.ndim, "softmax(axis)")
    weights = engine.exp(engine.subtract(x, _peak(x, axes)))
    return engine.divide(weights, engine.sum(weights, axes, True))


@op(promote="float")
def log_softmax(x: Tensor, axis: Axis = -1) -> Tensor:
    """log(softmax(x)) along axis, without overflow.

    Args:
        axis: one axis, several, or None for all.

    >>> log_softmax([0.0, -1000.0]).tolist()
    [0.0, -1000.0]
    """
    axes = normalize_axes(axis, x.ndim, "log_softmax(axis)")
    x = engine.subtract(x, _peak(x, axes))
    return engine.subtract(x, engine.log(engine.sum(engine.exp(x), axes, True)))


def _peak(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The largest along axes, a constant to the gradient; 0 over an empty axis."""
    if any(x.shape[axis] == 0 for axis in axes):
        return engine.full(tuple(1 if i in axes else n for i, n in enumerate(x.shape)), 0, engine.dtype(x))
    return engine.stop_gradient(engine.max(x, axes, True))


@op(promote="float")
def sparsemax(x: Tensor, axis: int = -1) -> Tensor:
    """The point of the probability simplex nearest to x along axis: like softmax, with exact zeros.

    Source: Martins, Astudillo 2016, From softmax to sparsemax: a sparse model of attention and multi-label classification.
    Differs: the values of Keras 3.15 do not sum to 1.

    >>> sparsemax([0.5, 1.0, -3.0]).tolist()
    [0.25, 0.75, 0.0]
    """
    axis = normalize_axis(axis, x.ndim, "sparsemax(axis)")
    size, kind = x.shape[axis], engine.dtype(x)
    descending = engine.flip(engine.sort(x, axis), (axis,))
    excess = engine.subtract(engine.cumsum(descending, axis), 1.0)  # of the k largest, k = 1, 2, ...
    counts = engine.reshape(engine.add(engine.arange(size, kind), 1), (size,) + (1,) * (x.ndim - axis - 1))
    supported = engine.cast(engine.greater(engine.multiply(descending, counts), excess), "int32")
    number = engine.maximum(engine.sum(supported, (axis,), True), 1)  # how many stay above 0; 0 only of nan
    shift = engine.divide(engine.take_along_axis(excess, engine.subtract(number, 1), axis), engine.cast(number, kind))
    return relu(engine.subtract(x, shift))


swish, hard_swish = silu, hard_silu
