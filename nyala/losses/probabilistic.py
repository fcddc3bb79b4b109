# SPDX-License-Identifier: Apache-2.0
"""Losses of probabilities: cross-entropies and their focal forms, Kullback-Leibler divergence, Poisson.

Probabilities are kept epsilon away from 0 and 1; with from_logits the logarithms are taken of logits directly. Start at binary_crossentropy.
"""

from __future__ import annotations

import math
from typing import Any

from nyala import ops
from nyala.core import config, logits
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.masks import set_mask
from nyala.core.op import normalize_axis
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper
from nyala.losses.shapes import paired


def _smoothed(y_true: Tensor, label_smoothing: float, classes: int) -> Tensor:
    """Targets pulled towards 1 / classes."""
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes if label_smoothing else y_true


def _inside(probability: Tensor) -> Tensor:
    """Probabilities kept away from 0 and 1."""
    return ops.clip(probability, config.epsilon(), 1.0 - config.epsilon())


def binary_crossentropy(y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Tensor:
    """mean(-y_true * log(y_pred) - (1 - y_true) * log(1 - y_pred)) along axis

    Args:
        y_true: 0 or 1, or probabilities.
        y_pred: probabilities, or logits if from_logits.
        label_smoothing: from 0 to 1; how far targets are pulled towards 0.5.

    >>> binary_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).tolist()
    [0.6931472]
    """
    y_true, y_pred = paired(y_true, y_pred, "binary_crossentropy", broadcast=False)
    return ops.mean(ops.binary_crossentropy(_smoothed(y_true, label_smoothing, 2), y_pred, from_logits=from_logits), axis=axis)


def binary_focal_crossentropy(
    y_true: Tensor,
    y_pred: Tensor,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Tensor:
    """binary_crossentropy times (1 - p_t)**gamma, where p_t is the probability given to the target: easy samples count little.

    Args:
        apply_class_balancing: whether ones count alpha and zeros 1 - alpha.
    Source: Lin, Goyal, Girshick, He, Dollar 2017, Focal Loss for Dense Object Detection.
    """
    y_true, y_pred = paired(y_true, y_pred, "binary_focal_crossentropy", broadcast=False)
    y_true = _smoothed(y_true, label_smoothing, 2)
    p = ops.sigmoid(y_pred) if from_logits else y_pred
    missing = 1.0 - (y_true * p + (1.0 - y_true) * (1.0 - p))
    loss = ops.power(missing, gamma) * ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    if apply_class_balancing:
        loss = loss * (y_true * alpha + (1.0 - y_true) * (1.0 - alpha))
    return ops.mean(loss, axis=axis)


def categorical_crossentropy(y_true: Tensor, y_pred: Tensor, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1) -> Tensor:
    """-sum(y_true * log(y_pred)) along the class axis

    Args:
        y_true: one-hot rows, or probabilities of classes.
        y_pred: probabilities, which are scaled to sum to 1, or logits if from_logits.
        label_smoothing: from 0 to 1; how far targets are pulled towards 1 / classes.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.25, 0.75]]).tolist()
    [0.287682]
    """
    y_true, y_pred = paired(y_true, y_pred, "categorical_crossentropy", broadcast=False)
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


def categorical_focal_crossentropy(
    y_true: Tensor, y_pred: Tensor, alpha: Any = 0.25, gamma: float = 2.0, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """-sum(alpha * (1 - y_pred)**gamma * y_true * log(y_pred)) along the class axis: easy samples count little.

    Args:
        alpha: one factor, or one for each class of the last axis.
    Source: Lin, Goyal, Girshick, He, Dollar 2017, Focal Loss for Dense Object Detection.
    """
    y_true, y_pred = paired(y_true, y_pred, "categorical_focal_crossentropy", broadcast=False)
    y_true = _smoothed(y_true, label_smoothing, y_pred.shape[axis])
    p = ops.softmax(y_pred, axis=axis) if from_logits else ops.divide_no_nan(y_pred, ops.sum(y_pred, axis=axis, keepdims=True))
    raw = y_pred if from_logits else logits.of(y_pred, "softmax", axis % len(y_pred.shape))
    logs = ops.log(_inside(p)) if raw is None else ops.log_softmax(raw, axis=axis)
    alpha = ops.convert_to_tensor(alpha, ops.dtype(p))
    return -ops.sum(alpha * ops.power(1.0 - _inside(p), gamma) * y_true * logs, axis=axis)


def sparse_categorical_crossentropy(
    y_true: Tensor, y_pred: Tensor, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """-log(y_pred) of the class that y_true names along the class axis

    Args:
        y_true: class ids, with the shape of y_pred without its class axis; a last axis of 1 more is allowed.
        y_pred: probabilities, which are scaled to sum to 1, or logits if from_logits.
        ignore_class: an id whose positions count nothing: their loss is 0, and means leave them out.

    >>> sparse_categorical_crossentropy([1], [[0.25, 0.75]]).tolist()
    [0.287682]
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = class_ids(y_true, y_pred, axis, "sparse_categorical_crossentropy")
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    valid = ops.not_equal(y_true, ignore_class)
    losses = ops.sparse_categorical_crossentropy(ops.where(valid, y_true, ops.zeros_like(y_true)), y_pred, from_logits=from_logits, axis=axis)
    losses = ops.where(valid, losses, ops.zeros_like(losses))
    set_mask(losses, valid)
    return losses


def class_ids(y_true: Any, y_pred: Tensor, axis: int, where: str) -> Tensor:
    """int32 class ids in the shape of y_pred without its class axis, or an error that says what to do."""
    y_true = ops.cast(ops.convert_to_tensor(y_true), "int32")
    target, prediction = plain_shape(tuple(y_true.shape)), plain_shape(tuple(y_pred.shape))
    at = normalize_axis(axis, len(prediction), f"{where}(axis)")
    rest = (*prediction[:at], *prediction[at + 1 :])
    if len(target) == len(rest) + 1 and target[-1] == 1:
        y_true, target = ops.squeeze(y_true, -1), target[:-1]
    if len(target) != len(rest) or any(a != b for a, b in zip(target, rest, strict=True) if None not in (a, b)):
        one_hot = f"these look like one-hot rows: use {where.removeprefix('sparse_')}, or pass y_true.argmax(-1)"
        raise ShapeError(
            where,
            need=f"class ids of shape {rest}, that of y_pred without its class axis",
            got=f"y_true {target} and y_pred {prediction}",
            fix=one_hot if target == prediction and where.startswith("sparse_") else "pass one id for each row of y_pred",
        )
    return y_true


def categorical_generalized_cross_entropy(y_true: Tensor, y_pred: Tensor, q: float) -> Tensor:
    """(1 - p**q) / q of the probability p of the class that y_true names: cross-entropy for q to 0, absolute error for 1; wrong labels harm less.

    Args:
        y_true: class ids, (...).
        y_pred: probabilities, (..., classes).
        q: between 0 and 1.
    Source: Zhang, Sabuncu 2018, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = class_ids(y_true, y_pred, -1, "categorical_generalized_cross_entropy")
    chosen = ops.one_hot(y_true, y_pred.shape[-1], dtype=ops.dtype(y_pred))
    p = ops.sum(chosen * y_pred, axis=-1)
    return (1.0 - ops.power(ops.clip(p, config.epsilon(), 1.0), q)) / q


def kl_divergence(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """sum(y_true * log(y_true / y_pred), axis=-1), both kept between epsilon and 1.

    >>> kl_divergence([[0.5, 0.5]], [[0.5, 0.5]]).tolist()
    [0.0]
    """
    y_true, y_pred = (ops.clip(y, config.epsilon(), 1.0) for y in paired(y_true, y_pred, "kl_divergence"))
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


def poisson(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """mean(y_pred - y_true * log(y_pred + epsilon), axis=-1): the likelihood of counts y_true with rates y_pred."""
    y_true, y_pred = paired(y_true, y_pred, "poisson")
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


class BinaryCrossentropy(LossFunctionWrapper):
    """binary_crossentropy, reduced over the batch.

    >>> float(BinaryCrossentropy(from_logits=True)([[0.0], [1.0]], [[0.0], [0.0]]))
    0.6931471824645996
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(binary_crossentropy, reduction, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class BinaryFocalCrossentropy(LossFunctionWrapper):
    """binary_focal_crossentropy, reduced over the batch."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"apply_class_balancing": apply_class_balancing, "alpha": alpha, "gamma": gamma, "from_logits": from_logits}
        super().__init__(binary_focal_crossentropy, reduction, name, dtype, **options, label_smoothing=label_smoothing, axis=axis)


class CategoricalCrossentropy(LossFunctionWrapper):
    """categorical_crossentropy, reduced over the batch."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_crossentropy, reduction, name, dtype, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis)


class CategoricalFocalCrossentropy(LossFunctionWrapper):
    """categorical_focal_crossentropy, reduced over the batch."""

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        options = {"alpha": alpha, "gamma": gamma, "from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(categorical_focal_crossentropy, reduction, name, dtype, **options)


class SparseCategoricalCrossentropy(LossFunctionWrapper):
    """sparse_categorical_crossentropy, reduced over the batch.

    Differs: Keras's config leaves axis out; here it is there unless it is -1.
    """

    OPTIONAL = ("axis",)

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(sparse_categorical_crossentropy, reduction, name, dtype, from_logits=from_logits, ignore_class=ignore_class, axis=axis)


class CategoricalGeneralizedCrossEntropy(LossFunctionWrapper):
    """categorical_generalized_cross_entropy, reduced over the batch.

    Args:
        q: strictly between 0 and 1.
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not isinstance(q, (int, float)) or math.isnan(q) or not 0 < q < 1:
            raise ArgumentError("CategoricalGeneralizedCrossEntropy(q)", need="a number strictly between 0 and 1", got=repr(q))
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)


class KLDivergence(LossFunctionWrapper):
    """kl_divergence, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


class Poisson(LossFunctionWrapper):
    """poisson, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, reduction, name, dtype)
