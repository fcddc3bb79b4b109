# SPDX-License-Identifier: Apache-2.0
"""Losses of margins: hinges of signs and of classes, and the circle loss of embeddings. Start at hinge."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.masks import set_mask
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper
from nyala.losses.shapes import paired


def _signs(y_true: Tensor) -> Tensor:
    """Targets of -1 and 1, made from those of 0 and 1 where there are no others in the batch."""
    bits = ops.all(ops.logical_or(ops.equal(y_true, 0.0), ops.equal(y_true, 1.0)))
    return ops.where(bits, 2.0 * y_true - 1.0, y_true)


def hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0), axis=-1)

    Args:
        y_true: -1 or 1; a batch of only 0 and 1 is taken as -1 and 1.

    >>> hinge([[-1.0, 1.0]], [[0.5, 3.0]]).tolist()
    [0.75]
    """
    y_true, y_pred = paired(y_true, y_pred, "hinge")
    return ops.mean(ops.relu(1.0 - _signs(y_true) * y_pred), axis=-1)


def squared_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(max(1 - y_true * y_pred, 0)**2, axis=-1), targets as in hinge."""
    y_true, y_pred = paired(y_true, y_pred, "squared_hinge")
    return ops.mean(ops.square(ops.relu(1.0 - _signs(y_true) * y_pred)), axis=-1)


def categorical_hinge(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """max(1 + best score of the other classes - score of the target class, 0)

    Args:
        y_true: one-hot rows.
        y_pred: scores.
    """
    y_true, y_pred = paired(y_true, y_pred, "categorical_hinge")
    target = ops.sum(y_true * y_pred, axis=-1)
    others = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.relu(others - target + 1.0)


def circle(
    y_true: Tensor,
    y_pred: Tensor,
    ref_labels: Tensor | None = None,
    ref_embeddings: Tensor | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Tensor:
    """softplus(logsumexp over other classes + logsumexp over the own class) of weighted cosine similarities, for each sample.

    With the cosine s between two embeddings, other classes give gamma * max(s + margin, 0) * (s - margin) and
    the own class gives gamma * max(1 + margin - s, 0) * (1 - margin - s). A sample without a partner or without others gives 0, and means
    leave it out.

    Args:
        y_true: class ids, (b,).
        y_pred: embeddings of length 1, (b, c).
        ref_labels, ref_embeddings: what to compare with; the batch itself by default.
        remove_diagonal: whether sample i is not compared with reference i.
        gamma: scale, above 0.
        margin: relaxation, from 0.
    Source: Sun and others 2020, Circle Loss: A Unified Perspective of Pair Similarity Optimization.
    Differs: the paper takes the weights max(...) as constants for the gradient; here, as in Keras, they are differentiated.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    if len(y_pred.shape) != 2:
        raise ShapeError("circle", need="embeddings of shape (batch, size)", got=f"shape {tuple(y_pred.shape)}")
    dtype = ops.dtype(y_pred)
    labels = ops.cast(ops.reshape(ops.convert_to_tensor(y_true), (-1, 1)), "int32")  # b 1
    references = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings, dtype)
    others = labels if ref_labels is None else ops.cast(ops.reshape(ops.convert_to_tensor(ref_labels), (-1, 1)), "int32")
    cosine = ops.minimum(ops.matmul(y_pred, ops.transpose(references)), 1.0)  # b r
    same = ops.equal(labels, ops.transpose(others))
    different = ops.logical_not(same)
    if remove_diagonal:
        same = ops.logical_and(same, ops.logical_not(ops.eye(cosine.shape[0], cosine.shape[1], dtype="bool")))
    positive = gamma * ops.relu(1.0 + margin - cosine) * (1.0 - margin - cosine)
    negative = gamma * ops.relu(cosine + margin) * (cosine - margin)
    losses = ops.softplus(_logsumexp_where(different, negative) + _logsumexp_where(same, positive))
    valid = ops.logical_and(ops.any(same, axis=-1), ops.any(different, axis=-1))
    losses = ops.where(valid, losses, ops.zeros_like(losses))
    set_mask(losses, valid)
    return losses


def _logsumexp_where(chosen: Tensor, x: Tensor) -> Tensor:
    """logsumexp of the chosen along the last axis, -1e9 and so on where nothing is chosen."""
    return ops.logsumexp(ops.where(chosen, x, ops.full_like(x, -1e9)), axis=-1)


class Hinge(LossFunctionWrapper):
    """hinge, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, reduction, name, dtype)


class SquaredHinge(LossFunctionWrapper):
    """squared_hinge, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


class CategoricalHinge(LossFunctionWrapper):
    """categorical_hinge, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)


class Circle(LossFunctionWrapper):
    """circle, reduced over the batch."""

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(circle, reduction, name, dtype, gamma=gamma, margin=margin, remove_diagonal=remove_diagonal)
