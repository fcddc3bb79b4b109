# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification: sequences of labels against longer sequences of scores, without an alignment given. Start at ctc."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.symbolic import plain_shape
from nyala.engines.protocol import Tensor
from nyala.losses.loss import LossFunctionWrapper

IMPOSSIBLE = -1e5  # the logarithm that stands for probability 0, so that gradients stay finite


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
    batch, labels = y_true.shape
    states = 2 * labels + 1
    spelled = ops.reshape(ops.stack([ops.zeros_like(y_true), y_true], axis=-1), (batch, 2 * labels))  # blank l1 blank l2 ...
    spelled = ops.pad(spelled, ((0, 0), (0, 1)))  # b s
    two_before = ops.pad(spelled, ((0, 0), (2, 0)))[:, :states]
    may_skip = ops.logical_and(ops.not_equal(spelled, 0), ops.not_equal(spelled, two_before))
    logs = ops.log_softmax(y_pred, axis=-1)  # b t c
    places = ops.broadcast_to(ops.expand_dims(spelled, 1), (batch, logs.shape[1], states))
    emitted = ops.transpose(ops.take_along_axis(logs, places, axis=2), (1, 0, 2))  # t b s
    begins = ops.expand_dims(ops.arange(states, dtype="int32") < 2, 0)
    first = ops.where(begins, emitted[0], ops.full_like(emitted[0], IMPOSSIBLE))

    def step(reached: Tensor, here: Tensor) -> tuple[Tensor, None]:
        """Log-probability of being in each state after one more time step."""
        from_last = ops.pad(reached, ((0, 0), (1, 0)), constant_values=IMPOSSIBLE)[:, :states]
        from_before = ops.pad(reached, ((0, 0), (2, 0)), constant_values=IMPOSSIBLE)[:, :states]
        skipping = ops.where(may_skip, from_before, ops.full_like(reached, IMPOSSIBLE))
        return ops.logaddexp(ops.logaddexp(reached, from_last), skipping) + here, None

    reached, _ = ops.scan(step, first, emitted[1:])
    last = 2 * ops.sum(ops.cast(ops.not_equal(y_true, 0), "int32"), axis=-1)  # b
    ends = [ops.one_hot(last - i, states, dtype="bool") for i in (0, 1)]
    at_end = ops.where(ops.logical_or(*ends), reached, ops.full_like(reached, IMPOSSIBLE))
    return -ops.logsumexp(at_end, axis=-1)


class CTC(LossFunctionWrapper):
    """ctc, reduced over the batch."""

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = "ctc", dtype: Any = None) -> None:
        super().__init__(ctc, reduction, name, dtype)
