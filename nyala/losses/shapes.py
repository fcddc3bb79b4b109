# SPDX-License-Identifier: Apache-2.0
"""How targets meet predictions and how weights meet losses: one rank, one dtype, or an error that shows both shapes.

Start at paired, which every loss function calls first.
"""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ShapeError
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor

SPARSE = ("sparse_categorical_crossentropy", "sparse_categorical_accuracy")


def same_rank(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors whose ranks differ by a last axis of 1 with one rank: a vector gets that axis, a larger tensor loses it.

    >>> x, y = same_rank(ops.zeros((5,)), ops.zeros((5, 1)))
    >>> x.shape, y.shape
    ((5, 1), (5, 1))
    """
    if len(x.shape) > len(y.shape):
        return same_rank(y, x)[::-1]
    if len(y.shape) != len(x.shape) + 1 or y.shape[-1] != 1:
        return x, y
    return (ops.expand_dims(x, -1), y) if len(x.shape) == 1 else (x, ops.squeeze(y, -1))


def paired(y_true: Any, y_pred: Any, where: str, broadcast: bool = True) -> tuple[Tensor, Tensor]:
    """Targets and predictions as tensors of one float dtype, that of the predictions, and of shapes that fit.

    Args:
        where: the function to name in an error.
        broadcast: whether axes of size 1 may stand for any size.
    Raises: ShapeError if the shapes do not fit, or if broadcasting would compare every target with every prediction.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if not dtypes.is_float(ops.dtype(y_pred)):
        y_pred = ops.cast(y_pred, dtypes.settle("float"))
    y_true, y_pred = same_rank(ops.convert_to_tensor(y_true, ops.dtype(y_pred)), y_pred)
    target, prediction = tuple(y_true.shape), tuple(y_pred.shape)
    if target != prediction and not (_broadcasts(target, prediction) if broadcast else _may_be_equal(target, prediction)):
        raise _mismatch(where, target, prediction)
    return y_true, y_pred


def _may_be_equal(x: tuple, y: tuple) -> bool:
    """Whether two shapes can be equal; None is a size not known yet."""
    return len(x) == len(y) and all(a == b or a is None or b is None for a, b in zip(x, y, strict=True))


def _broadcasts(x: tuple, y: tuple) -> bool:
    """Whether two shapes broadcast; those of different ranks only to one of the two, since more would be pairs of all with all."""
    pairs = list(zip(x[::-1], y[::-1], strict=False))
    if not all(a == b or 1 in (a, b) or None in (a, b) for a, b in pairs):
        return False
    short, long = (0, 1) if len(x) < len(y) else (1, 0)
    return len(x) == len(y) or not min(len(x), len(y)) or all(pair[short] == 1 or pair[short] == pair[long] or None in pair for pair in pairs)


def _mismatch(where: str, target: tuple, prediction: tuple) -> ShapeError:
    target, prediction = plain_shape(target), plain_shape(prediction)
    fix = "reshape y_true, or give the output layer as many units as there are targets"
    if where.startswith("categorical") and (len(target) < len(prediction) or target[-1:] == (1,)):
        fix = "make the targets one-hot with nyala.utils.to_categorical"
        fix = f"for class ids use sparse_{where}, or {fix}" if f"sparse_{where}" in SPARSE else fix
    return ShapeError(where, need="y_true and y_pred of one shape", got=f"y_true {target} and y_pred {prediction}", fix=fix)


def fit_weight(values: Tensor, weight: Tensor, what: str = "sample_weight") -> tuple[Tensor, Tensor]:
    """Losses and weights (or a mask) that broadcast: weights belong to the first axes of the losses.

    A scalar loss becomes as many as there are weights. Raises ShapeError, showing both shapes.

    >>> values, weight = fit_weight(ops.zeros((2, 5)), ops.ones((2,)))
    >>> values.shape, weight.shape
    ((2, 5), (2, 1))
    """
    values, weight = same_rank(values, weight)
    shape, given = tuple(values.shape), tuple(weight.shape)
    if not shape:
        return ops.broadcast_to(values, given), weight
    if len(given) < len(shape) and all(b in (1, a) for a, b in zip(shape, given, strict=False)):
        return values, ops.reshape(weight, (*given, *(1 for _ in shape[len(given) :])))
    pairs = zip(shape[::-1], given[::-1], strict=False)
    if len(given) > len(shape) or not all(b in (1, None) or a is None or a == b for a, b in pairs):
        raise ShapeError(
            what,
            need=f"the shape {plain_shape(shape)} of the values it weights, or that of their first axes",
            got=f"shape {plain_shape(given)}",
            fix=f"pass one number per sample, shape {plain_shape(shape[:1])}, or one per value",
        )
    return values, weight


def weights_of(values: Tensor, sample_weight: Any) -> Tensor:
    """One weight for each of the values, in their shape and dtype; ones for None.

    >>> weights_of(ops.zeros((2, 3)), [1.0, 5.0]).tolist()
    [[1.0, 1.0, 1.0], [5.0, 5.0, 5.0]]
    """
    ones = ops.ones_like(values)
    if sample_weight is None:
        return ones
    weight, given = fit_weight(ones, ops.convert_to_tensor(sample_weight, ops.dtype(values)))
    return ops.reshape(weight * given, tuple(values.shape))
