# SPDX-License-Identifier: Apache-2.0
"""Cross-entropies and connectionist temporal classification of `keras.backend`.

Positional arguments are those of Keras 2, (target, output); Keras 1 had them the other way round, which only names can tell.
"""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.config import epsilon
from nyala.engines.protocol import Tensor


def binary_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False) -> Tensor:
    """Entry by entry; of probabilities at most -log(2 epsilon)."""
    if from_logits:
        return ops.binary_crossentropy(target, output, from_logits=True)
    share, tiny = ops.clip(output, epsilon(), 1.0 - epsilon()), epsilon()
    right = ops.multiply(target, ops.log(ops.add(share, tiny)))
    wrong = ops.multiply(ops.subtract(1.0, target), ops.log(ops.add(ops.subtract(1.0, share), tiny)))
    return ops.negative(ops.add(right, wrong))


def categorical_crossentropy(target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1) -> Tensor:
    return ops.categorical_crossentropy(target, output, from_logits=from_logits, axis=axis)


def sparse_categorical_crossentropy(
    target: Tensor, output: Tensor, from_logits: bool = False, axis: int = -1, ignore_class: int | None = None
) -> Tensor:
    """Of class ids, whose shape is that of the output without its last axis, with a 1 there or not. Outputs that do not add up to 1 are shares."""
    logits = output if from_logits else ops.log(ops.clip(output, epsilon(), 1.0 - epsilon()))
    if ignore_class is not None:
        from nyala import losses

        return losses.sparse_categorical_crossentropy(target, logits, from_logits=True, ignore_class=ignore_class, axis=axis)
    return ops.sparse_categorical_crossentropy(ops.cast(target, "int32"), logits, from_logits=True, axis=axis)


def binary_focal_crossentropy(
    target: Tensor, output: Tensor, apply_class_balancing: bool = False, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False
) -> Tensor:
    """Entry by entry: cross-entropy times (1 - probability of the truth) ** gamma."""
    entropy = binary_crossentropy(target, output, from_logits=from_logits)
    share = ops.sigmoid(output) if from_logits else output
    right = ops.add(ops.multiply(target, share), ops.multiply(ops.subtract(1.0, target), ops.subtract(1.0, share)))
    loss = ops.multiply(ops.power(ops.subtract(1.0, right), gamma), entropy)
    if not apply_class_balancing:
        return loss
    return ops.multiply(loss, ops.add(ops.multiply(target, alpha), ops.multiply(ops.subtract(1.0, target), 1.0 - alpha)))


def categorical_focal_crossentropy(
    target: Tensor, output: Tensor, alpha: float = 0.25, gamma: float = 2.0, from_logits: bool = False, axis: int = -1
) -> Tensor:
    from nyala import losses

    return losses.categorical_focal_crossentropy(target, output, alpha=alpha, gamma=gamma, from_logits=from_logits, axis=axis)


def classification_error(target: Tensor, output: Tensor, axis: int = -1) -> Tensor:
    """The share of samples whose largest output is not the largest target."""
    wrong = ops.not_equal(ops.argmax(target, axis=axis), ops.argmax(output, axis=axis))
    return ops.mean(ops.cast(wrong, output.dtype))


def ctc_batch_cost(y_true: Tensor, y_pred: Tensor, input_length: Tensor, label_length: Tensor) -> Tensor:
    """-log of the probability that probabilities spell labels; the last class is the blank.

    Args:
        y_true: class ids, (b, labels).
        y_pred: probabilities, (b, t, classes).
        input_length, label_length: how many count, (b, 1).
    Returns: (b, 1).
    """
    lengths = [ops.reshape(ops.cast(n, "int32"), (-1,)) for n in (label_length, input_length)]
    logits = ops.log(ops.add(y_pred, epsilon()))
    return ops.expand_dims(ops.ctc_loss(ops.cast(y_true, "int32"), logits, *lengths, mask_index=y_pred.shape[-1] - 1), 1)


def ctc_decode(y_pred: Tensor, input_length: Tensor, greedy: bool = True, beam_width: int = 100, top_paths: int = 1) -> tuple[list, Tensor]:
    """What probabilities spell: a list of (b, labels), -1 behind the end, and scores."""
    lengths, blank = ops.reshape(ops.cast(input_length, "int32"), (-1,)), y_pred.shape[-1] - 1
    logits = ops.log(ops.add(y_pred, epsilon()))
    strategy = {"strategy": "greedy"} if greedy else {"strategy": "beam_search", "beam_width": beam_width, "top_paths": top_paths}
    decoded, scores = ops.ctc_decode(logits, lengths, mask_index=blank, **strategy)
    return [decoded[i] for i in range(decoded.shape[0])], scores


def ctc_label_dense_to_sparse(labels: Any, label_lengths: Any) -> Any:
    """The labels that count, in one row, sample by sample."""
    rows, lengths = ops.convert_to_numpy(labels), ops.convert_to_numpy(label_lengths).reshape(-1)
    import numpy as np

    return np.concatenate([row[: int(n)] for row, n in zip(rows, lengths, strict=True)])
