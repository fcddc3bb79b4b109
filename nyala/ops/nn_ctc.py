# SPDX-License-Identifier: Apache-2.0
"""Connectionist temporal classification: labels against longer sequences of scores, without an alignment given. Start at ctc_loss.

Labels appear in order, each over one time or more; blanks may stand anywhere and must stand between equal labels.
"""

from __future__ import annotations

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import engine, op
from nyala.engines.protocol import Tensor
from nyala.ops._dtypes import NARROW
from nyala.ops.comparison import equal, greater, less, not_equal
from nyala.ops.contractions import matmul
from nyala.ops.control import scan
from nyala.ops.core import cast, one_hot, top_k
from nyala.ops.creation import arange
from nyala.ops.elementwise import add, floor_divide, maximum, mod, multiply, negative, subtract
from nyala.ops.indexing import take_along_axis
from nyala.ops.logical import logical_and, logical_not, logical_or, where
from nyala.ops.nn_activations import log_softmax
from nyala.ops.reductions import all as every
from nyala.ops.reductions import argmax, logsumexp
from nyala.ops.reductions import max as largest
from nyala.ops.reductions import sum as total
from nyala.ops.shaping import broadcast_to, concatenate, expand_dims, pad, reshape, stack, transpose
from nyala.ops.sorting import argsort
from nyala.ops.transcendental import logaddexp

IMPOSSIBLE = -1e5  # the logarithm that stands for probability 0, so that gradients stay finite
NEVER = float("-inf")  # the same where there are none


@op
def ctc_loss(target: Tensor, output: Tensor, target_length: Tensor, output_length: Tensor, mask_index: int = 0) -> Tensor:
    """-log of the probability that output spells target, summed over all alignments, for each sample.

    Args:
        target: class ids, (b, labels).
        output: logits, (b, t, classes).
        target_length: how many labels count, (b,).
        output_length: how many times count, (b,).
        mask_index: class of the blank.
    Returns: (b,); about 1e5 where no alignment fits.
    Source: Graves, Fernandez, Gomez, Schmidhuber 2006, Connectionist temporal classification.

    >>> round(float(ctc_loss([[1]], [[[0.0, 0.0], [0.0, 0.0]]], [1], [2])[0]), 4)  # blank 1, 1 blank and 1 1, of four
    0.2877
    """
    logs = _log_probabilities("ctc_loss(output)", output)
    batch, times, _ = logs.shape
    _check_batch("ctc_loss", batch, target=(target, 2), target_length=(target_length, 1), output_length=(output_length, 1))
    labels, lengths = target.shape[1], expand_dims(cast(target_length, "int32"), 1)
    states = 2 * labels + 1
    target = where(less(arange(labels), lengths), cast(target, "int32"), mask_index)
    spelled = reshape(stack([engine.full((batch, labels), mask_index, "int32"), target], -1), (batch, 2 * labels))  # blank l1 blank l2 ...
    spelled = pad(spelled, ((0, 0), (0, 1)), constant_values=mask_index)  # b s
    may_skip = logical_and(not_equal(spelled, mask_index), not_equal(spelled, _shifted(spelled, 2, mask_index)))
    emitted = take_along_axis(logs, broadcast_to(expand_dims(spelled, 1), (batch, times, states)), 2)  # b t s

    def step(reached: Tensor, now: tuple[Tensor, Tensor]) -> tuple[Tensor, None]:
        """Log-probability of being in each state after one more time."""
        here, counts = now
        skipped = where(may_skip, _shifted(reached, 2, IMPOSSIBLE), IMPOSSIBLE)
        moved = add(logaddexp(logaddexp(reached, _shifted(reached, 1, IMPOSSIBLE)), skipped), here)
        return where(counts, moved, reached), None

    first = cast(where(equal(arange(states), 0), 0.0, IMPOSSIBLE), engine.dtype(logs))  # as if a blank had come before
    reached, _ = scan.function(step, broadcast_to(first, (batch, states)), (transpose(emitted, (1, 0, 2)), _counted(output_length, times)))
    last = multiply(lengths, 2)
    ends = logical_or(equal(arange(states), last), equal(arange(states), subtract(last, 1)))
    return negative(logsumexp(where(ends, reached, IMPOSSIBLE), -1))


@op
def ctc_decode(
    inputs: Tensor,
    sequence_lengths: Tensor,
    strategy: str = "greedy",
    beam_width: int = 100,
    top_paths: int = 1,
    merge_repeated: bool = True,
    mask_index: int = 0,
) -> tuple[Tensor, Tensor]:
    """The labels that scores spell.

    Args:
        inputs: logits, (b, t, classes).
        sequence_lengths: how many times count, (b,).
        strategy: "greedy" takes the best class of each time; "beam_search" looks for the most probable labels over all their alignments.
        beam_width: how many beginnings the search keeps, at least top_paths.
        top_paths: how many results of the search are wanted.
        merge_repeated: whether equal classes at neighbouring times are one label.
        mask_index: class of the blank.
    Returns: labels (paths, b, t), int32, with -1 behind their end; and (b, paths): log-probabilities from the search, or for the greedy
        strategy, which has one path, minus the sum of the best logits.
    Source: Graves 2012, Sequence transduction with recurrent neural networks, on the search.
    Differs from Keras: merge_repeated counts in the search, too.

    >>> logits = [[[0.0, 5.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]]]
    >>> ctc_decode(logits, [3])[0].tolist()
    [[[1, 2, -1]]]
    """
    if strategy not in ("greedy", "beam_search"):
        raise ArgumentError("ctc_decode(strategy)", need="'greedy' or 'beam_search'", got=repr(strategy))
    for name, value in (("beam_width", beam_width), ("top_paths", top_paths)):
        if not isinstance(value, int) or value < 1:
            raise ArgumentError(f"ctc_decode({name})", need="an integer from 1", got=repr(value))
    logs = _log_probabilities("ctc_decode(inputs)", inputs)
    _check_batch("ctc_decode", logs.shape[0], sequence_lengths=(sequence_lengths, 1))
    if strategy == "greedy":
        return _greedy(inputs, sequence_lengths, merge_repeated, mask_index)
    return _search(logs, sequence_lengths, max(beam_width, top_paths), top_paths, merge_repeated, mask_index % logs.shape[2])


def _greedy(inputs: Tensor, lengths: Tensor, merge: bool, blank: int) -> tuple[Tensor, Tensor]:
    best, times = argmax(inputs, -1), inputs.shape[1]  # b t
    counts = less(arange(times), expand_dims(cast(lengths, "int32"), 1))
    kept = logical_and(counts, not_equal(best, blank % inputs.shape[2]))
    if merge:
        kept = logical_and(kept, not_equal(best, _shifted(best, 1, -1)))
    order = argsort(where(kept, arange(times), add(arange(times), times)), -1)  # what is kept comes first
    labels = take_along_axis(where(kept, best, -1), order, 1)
    score = negative(total(where(counts, largest(inputs, -1), 0.0), -1, keepdims=True))
    return expand_dims(cast(labels, "int32"), 0), score


def _search(logs: Tensor, lengths: Tensor, width: int, wanted: int, merge: bool, blank: int) -> tuple[Tensor, Tensor]:
    """Prefix beam search. A beam is the beginning of a result, with the log-probabilities of the alignments that end in a blank, or in its label."""
    batch, times, classes = logs.shape

    def step(beams: tuple[Tensor, ...], now: tuple[Tensor, Tensor]) -> tuple[tuple[Tensor, ...], None]:
        (paths, sizes, last, in_blank, in_label), (scores, counts) = beams, now  # b k t, then b k; b c, b 1
        either = logaddexp(in_blank, in_label)
        said = one_hot(last, classes, dtype="bool")  # b k c; an empty beam has said nothing
        stay_blank = add(either, engine.slice(scores, (0, blank), (batch, blank + 1), (1, 1)))
        scores = expand_dims(scores, 1)  # b 1 c
        longer = add(expand_dims(either, 2), scores)  # b k c: the beam with one label more
        again = NEVER
        if merge:
            longer = where(said, add(expand_dims(in_blank, 2), scores), longer)
            again = largest(where(said, add(expand_dims(in_label, 2), scores), NEVER), -1)
        longer = where(equal(arange(classes), blank), NEVER, longer)
        # a beam i with one label more may be another beam j: then that one gets its probability
        agree = logical_or(equal(expand_dims(paths, 2), expand_dims(paths, 1)), equal(arange(times), expand_dims(sizes, (2, 3))))  # b i j t
        grown = logical_and(every(agree, -1), equal(add(expand_dims(sizes, 2), 1), expand_dims(sizes, 1)))
        to_last = broadcast_to(expand_dims(maximum(last, 0), 1), (batch, width, width))
        joined = logsumexp(where(grown, take_along_axis(longer, to_last, 2), NEVER), 1)
        taken = matmul(cast(grown, "float32"), cast(said, "float32"))  # b i c
        longer = where(greater(taken, 0.0), NEVER, longer)
        stay_label = logaddexp(again, joined)
        candidates = concatenate([logaddexp(stay_blank, stay_label), reshape(longer, (batch, width * classes))], 1)
        best, index = top_k(candidates, width)
        stays, place = less(index, width), maximum(subtract(index, width), 0)
        parent = where(stays, index, floor_divide(place, classes))
        label = mod(place, classes)
        of_parent = lambda x: take_along_axis(x, parent, 1)  # noqa: E731
        paths_, sizes_ = take_along_axis(paths, expand_dims(parent, 2), 1), of_parent(sizes)
        ends_here = logical_and(equal(arange(times), expand_dims(sizes_, 2)), logical_not(expand_dims(stays, 2)))
        after = (
            where(ends_here, expand_dims(label, 2), paths_),
            where(stays, sizes_, add(sizes_, 1)),
            where(stays, of_parent(last), label),
            where(stays, of_parent(stay_blank), NEVER),
            where(stays, of_parent(stay_label), best),
        )
        return tuple(where(expand_dims(counts, 2) if x.ndim == 3 else counts, x, y) for x, y in zip(after, beams, strict=True)), None

    none, never = engine.full((batch, width), 0, "int32"), engine.full((batch, width), NEVER, engine.dtype(logs))
    one = where(equal(arange(width), 0), 0.0, never)  # at first there is one beam, and nothing in it
    first = (engine.full((batch, width, times), -1, "int32"), none, subtract(none, 1), one, never)
    (paths, _, _, in_blank, in_label), _ = scan.function(step, first, (transpose(logs, (1, 0, 2)), _counted(lengths, times)))
    scores = logaddexp(in_blank, in_label)
    paths = where(expand_dims(greater(scores, NEVER), 2), paths, -1)
    paths = engine.slice(transpose(paths, (1, 0, 2)), (0, 0, 0), (wanted, batch, times), (1, 1, 1))
    return paths, engine.slice(scores, (0, 0), (batch, wanted), (1, 1))


def _log_probabilities(where_: str, logits: Tensor) -> Tensor:
    if logits.ndim != 3:
        raise ShapeError(where_, need="shape (batch, time, classes)", got=f"shape {tuple(logits.shape)}")
    return log_softmax(cast(logits, "float32") if engine.dtype(logits) in NARROW else logits, -1)


def _check_batch(where_: str, batch: int, **given: tuple[Tensor, int]) -> None:
    for name, (x, ndim) in given.items():
        if x.ndim != ndim or x.shape[0] != batch:
            need = f"shape ({batch}, labels)" if ndim == 2 else f"shape ({batch},)"
            raise ShapeError(f"{where_}({name})", need=f"{need}, as the batch has", got=f"shape {tuple(x.shape)}")


def _shifted(x: Tensor, places: int, fill: float) -> Tensor:
    """(b, n) moved to the right along n, with fill in front."""
    return engine.slice(pad(x, ((0, 0), (places, 0)), constant_values=fill), (0, 0), tuple(x.shape), (1, 1))


def _counted(lengths: Tensor, times: int) -> Tensor:
    """Which times count, (t, b, 1)."""
    return expand_dims(transpose(less(arange(times), expand_dims(cast(lengths, "int32"), 1))), 2)
