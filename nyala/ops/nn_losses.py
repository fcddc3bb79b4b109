# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies, element by element or along a class axis, from probabilities or from logits; and the signal-to-noise ratio of images.

Probabilities are kept epsilon away from 0 and 1; 16-bit floats are computed in float32. Start at categorical_crossentropy.
"""

from __future__ import annotations

import math

from nyala.core import config, dtypes, logits
from nyala.core.errors import ShapeError
from nyala.core.op import engine, normalize_axis, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW
from nyala.ops.core import cast, one_hot
from nyala.ops.nn_activations import log_softmax


def _wide(x: Tensor) -> Tensor:
    """x as a float of at least 32 bits."""
    dtype = engine.dtype(x)
    return x if dtypes.is_float(dtype) and dtype not in NARROW else cast(x, "float32")


def _inside(probability: Tensor, epsilon: float) -> Tensor:
    """Probabilities kept epsilon away from 0 and 1."""
    return engine.minimum(engine.maximum(probability, epsilon), 1.0 - epsilon)


def _by_logits(output: Tensor, from_logits: bool, kind: str, axis: int = 0) -> tuple[Tensor, bool]:
    """The logits of probabilities, where they are known, and that they are logits; else what was given."""
    known = None if from_logits else logits.of(output, kind, axis)
    return (output, from_logits) if known is None else (known, True)


def _need_equal_shapes(where: str, target: Tensor, output: Tensor) -> None:
    if tuple(target.shape) != tuple(output.shape):
        raise ShapeError(where, need="target and output of one shape", got=f"{tuple(target.shape)} and {tuple(output.shape)}")


@op(promote="float")
def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """-target * log(p) - (1 - target) * log(1 - p), element by element.

    Args:
        output: probabilities p, or with from_logits their logits.

    >>> binary_crossentropy([0.0, 1.0], [0.5, 1.0]).tolist()
    [0.6931472, 0.0000001]
    """
    _need_equal_shapes("binary_crossentropy", target, output)
    output, from_logits = _by_logits(output, from_logits, "sigmoid")
    dtype, target, x = engine.dtype(output), _wide(target), _wide(output)
    return cast(binary_crossentropy_of_logits(target, x) if from_logits else binary_crossentropy_within(target, x, config.epsilon()), dtype)


@op(promote="float")
def binary_crossentropy_of_logits(target: Tensor, x: Tensor) -> Tensor:
    """max(x, 0) - x * target + log(1 + exp(-|x|)), element by element: -target * log(p) - (1 - target) * log(1 - p) of p = sigmoid(x).

    >>> binary_crossentropy_of_logits([0.0, 1.0], [0.0, -1000.0]).tolist()
    [0.6931472, 1000.0]
    """
    loss = engine.subtract(engine.maximum(x, 0.0), engine.multiply(x, target))
    return engine.add(loss, engine.log1p(engine.exp(engine.negative(engine.abs(x)))))


@op(promote="float")
def binary_crossentropy_within(target: Tensor, output: Tensor, epsilon: float) -> Tensor:
    """-target * log(p) - (1 - target) * log(1 - p), element by element, with the probabilities p kept epsilon away from 0 and 1.

    >>> binary_crossentropy_within([0.0, 1.0], [0.5, 0.0], 0.25).tolist()
    [0.6931472, 1.3862944]
    """
    p = _inside(output, epsilon)
    one, zero = engine.log(p), engine.log(engine.subtract(1.0, p))
    return engine.negative(engine.add(engine.multiply(target, one), engine.multiply(engine.subtract(1.0, target), zero)))


def _log_probability(x: Tensor, from_logits: bool, axis: int) -> Tensor:
    """Logarithms of the probabilities along axis, which are made to sum to 1."""
    if from_logits:
        return log_softmax(x, axis)
    total = engine.sum(x, (axis,), True)
    return engine.log(_inside(engine.divide(x, engine.where(engine.equal(total, 0.0), 1.0, total)), config.epsilon()))


@op(promote="float")
def categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-sum(target * log(p)) along axis; a class of target 0 counts nothing, whatever its p.

    Args:
        output: probabilities p, which are scaled to sum to 1, or with from_logits their logits.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.25, 0.75]]).tolist()
    [0.287682]
    """
    _need_equal_shapes("categorical_crossentropy", target, output)
    dtype, axis = engine.dtype(output), normalize_axis(axis, output.ndim, "categorical_crossentropy(axis)")
    output, from_logits = _by_logits(output, from_logits, "softmax", axis)
    target = _wide(target)
    terms = engine.multiply(target, _log_probability(_wide(output), from_logits, axis))
    if from_logits:
        terms = engine.where(engine.equal(target, 0.0), 0.0, terms)
    return cast(engine.negative(engine.sum(terms, (axis,), False)), dtype)


@op
def sparse_categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    """-log(p) of the class that target names along axis; 0 where it names none.

    Args:
        target: integers, with the shape of output without axis; a last axis of size 1 more is allowed.
        output: probabilities p, which are scaled to sum to 1, or with from_logits their logits.

    >>> sparse_categorical_crossentropy([1], [[0.25, 0.75]]).tolist()
    [0.287682]
    """
    axis = normalize_axis(axis, output.ndim, "sparse_categorical_crossentropy(axis)")
    rest = (*output.shape[:axis], *output.shape[axis + 1 :])
    if tuple(target.shape) == (*rest, 1):
        target = engine.reshape(target, rest)
    if tuple(target.shape) != rest:
        raise ShapeError("sparse_categorical_crossentropy", need=f"one integer for each row of classes, shape {rest}",
                         got=f"target of shape {tuple(target.shape)}", why=f"output has shape {tuple(output.shape)} with classes along axis {axis}",
                         fix="use categorical_crossentropy for one-hot targets")  # fmt: skip
    dtype = engine.dtype(output) if dtypes.is_float(engine.dtype(output)) else engine.canonical_dtype(config.floatx())
    output, from_logits = _by_logits(output, from_logits, "softmax", axis)
    logs = _log_probability(_wide(output), from_logits, axis)
    return cast(engine.negative(chosen_class(cast(target, "int32"), logs, axis)), dtype)


@op
def chosen_class(target: Tensor, x: Tensor, axis: int) -> Tensor:
    """The value of x at the class that target names along axis; 0 where it names none.

    >>> chosen_class([1, 0, 2], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], -1).tolist()
    [2.0, 3.0, 0.0]
    """
    axis = normalize_axis(axis, x.ndim, "chosen_class(axis)")
    chosen = one_hot(target, x.shape[axis], axis, "bool")
    return engine.sum(engine.where(chosen, x, 0.0), (axis,), False)


@op(promote="float")
def psnr(x1: Tensor, x2: Tensor, max_val: float) -> Tensor:
    """Peak signal-to-noise ratio in decibels: 20 * log10(max_val) - 10 * log10(mean((x1 - x2)**2)); inf of equals.

    >>> float(psnr([0.0, 1.0], [0.1, 0.9], max_val=1.0))
    20.0
    """
    _need_equal_shapes("psnr", x1, x2)
    error = engine.power(engine.subtract(x1, x2), 2)
    mean = engine.divide(engine.sum(error, tuple(range(x1.ndim)), False), float(max(math.prod(x1.shape), 1)))
    return engine.subtract(20.0 * math.log10(max_val), engine.multiply(engine.log(mean), 10.0 / math.log(10.0)))
