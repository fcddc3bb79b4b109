# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification as a loss: labels padded with blanks, all times of the scores. Start at ctc."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper


def ctc(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """-log of the probability that y_pred spells y_true, summed over all alignments, for each sample.

    Labels appear in order, each over one time step or more; blanks, class 0, may stand anywhere and must stand between equal labels.

    Args:
        y_true: class ids, (b, labels), from 1; 0 at the end is padding.
        y_pred: logits, (b, t, classes).
    Source: Graves, Fernandez, Gomez, Schmidhuber 2006, Connectionist Temporal Classification.

    >>> round(float(ctc([[1]], [[[0.0, 0.0], [0.0, 0.0]]])[0]), 4)  # blank 1, 1 blank and 1 1, of four
    0.2877
    """
    y_true, y_pred = ops.cast(ops.convert_to_tensor(y_true), "int32"), ops.convert_to_tensor(y_pred)
    target, prediction = plain_shape(tuple(y_true.shape)), plain_shape(tuple(y_pred.shape))
    if len(target) != 2 or len(prediction) != 3 or target[0] != prediction[0]:
        raise ShapeError("ctc", need="y_true of shape (batch, labels) and y_pred of shape (batch, time, classes)", got=f"{target} and {prediction}")
    lengths = ops.count_nonzero(y_true, axis=-1)
    return ops.ctc_loss(y_true, y_pred, lengths, ops.full_like(lengths, y_pred.shape[1]))


class CTC(LossFunctionWrapper):
    """ctc, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: Any = None) -> None:
        super().__init__(ctc, reduction, name, dtype)
