# SPDX-License-Identifier: Apache-2.0
"""CTC against all alignments, written out: loss, greedy decoding, beam search with and without merging."""

import collections
import itertools

import numpy as np
import pytest

import nyala
from nyala import losses, ops
from nyala.engines import backend, get_engine
from tests.ops.table import Row, checks, engines, fixed, normal


def spelled(path, blank, merge=True):
    """The labels of an alignment."""
    runs = [label for label, _ in itertools.groupby(path)] if merge else path
    return tuple(label for label in runs if label != blank)


def probabilities(scores, blank, merge=True):
    """{labels: probability}, summed over all alignments of scores (t, classes)."""
    p = np.exp(scores - scores.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    found = collections.defaultdict(float)
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        found[spelled(path, blank, merge)] += np.prod([p[t, label] for t, label in enumerate(path)])
    return found


def loss_oracle(target, output, target_length, output_length, mask_index=0):
    found = [probabilities(scores[:n], mask_index) for scores, n in zip(output, output_length, strict=True)]
    return np.array([-np.log(p[tuple(labels[:n])]) for p, labels, n in zip(found, target, target_length, strict=True)])


TARGET = fixed([[1, 2, 2], [2, 1, 9], [1, 9, 9]], "int32")
OTHER = fixed([[0, 2], [2, 0]], "int32")
LENGTHS = [fixed([3, 2, 1], "int32"), fixed([5, 4, 2], "int32")]

ROWS = [
    Row(
        "ctc_loss",
        loss_oracle,
        [TARGET, normal(3, 5, 3), *LENGTHS],
        more=[
            ([OTHER, normal(2, 5, 3), fixed([2, 1], "int32"), fixed([5, 3], "int32")], {"mask_index": 1}),
            ([TARGET, normal(3, 5, 3), fixed([0, 1, 0], "int32"), fixed([5, 1, 1], "int32")], {}),
        ],
        dtype=None,
        unknown=False,
        errors=[
            ([TARGET, normal(5, 3), *LENGTHS], {}, "ctc_loss(output) needs shape (batch, time, classes), got shape (5, 3)."),
            ([TARGET, normal(2, 5, 3), *LENGTHS], {}, "ctc_loss(target) needs shape (2, labels), as the batch has, got shape (3, 3)."),
            ([OTHER, normal(2, 5, 3), *LENGTHS], {}, "ctc_loss(target_length) needs shape (2,), as the batch has, got shape (3,)."),
        ],
    ),
    Row(
        "ctc_decode",
        lambda inputs, sequence_lengths: greedy(inputs, sequence_lengths),
        [normal(3, 7, 5), fixed([7, 4, 0], "int32")],
        dtype=None,
        gradient=False,
        errors=[
            ([normal(3, 7), fixed([7, 4, 0], "int32")], {}, "ctc_decode(inputs) needs shape (batch, time, classes), got shape (3, 7)."),
            ([normal(2, 7, 5), fixed([7, 4, 0], "int32")], {}, "ctc_decode(sequence_lengths) needs shape (2,), as the batch has, got shape (3,)."),
            ([normal(2, 7, 5), fixed([7, 4], "int32")], {"strategy": "beam"}, "ctc_decode(strategy) needs 'greedy' or 'beam_search', got 'beam'."),
            ([normal(2, 7, 5), fixed([7, 4], "int32")], {"top_paths": 0}, "ctc_decode(top_paths) needs an integer from 1, got 0."),
        ],
    ),
]


def padded(labels, times):
    return [*labels, *[-1] * (times - len(labels))]


def greedy(inputs, lengths, merge=True, blank=0):
    labels = [padded(spelled(scores[:n].argmax(-1), blank, merge), len(scores)) for scores, n in zip(inputs, lengths, strict=True)]
    return np.array([labels]), np.array([[-scores[:n].max(-1).sum()] for scores, n in zip(inputs, lengths, strict=True)])


globals().update(checks(ROWS))


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("blank", [0, 2, -1])
@pytest.mark.parametrize("name", engines())
def test_decoding(name, blank, merge):
    scores, lengths = np.random.default_rng(3).normal(size=(3, 5, 3)).astype("float32") * 2, np.array([5, 4, 1])
    with backend(name):
        labels, score = ops.ctc_decode(scores, lengths, merge_repeated=merge, mask_index=blank)
        expected = greedy(scores, lengths, merge, blank % 3)
        np.testing.assert_array_equal(ops.convert_to_numpy(labels), expected[0])
        np.testing.assert_allclose(ops.convert_to_numpy(score), expected[1], rtol=1e-5)
        labels, score = ops.ctc_decode(scores, lengths, "beam_search", 300, 3, merge, blank)
        labels, score = ops.convert_to_numpy(labels), ops.convert_to_numpy(score)
    for i, n in enumerate(lengths):
        best = sorted(((p, path) for path, p in probabilities(scores[i, :n].astype("float64"), blank % 3, merge).items()), reverse=True)[:3]
        assert labels[:, i].tolist() == [padded(path, 5) for _, path in best]
        np.testing.assert_allclose(score[i], np.log([p for p, _ in best]), rtol=1e-5)


@pytest.mark.parametrize("name", engines())
def test_a_narrow_beam_never_counts_twice(name):
    """What a beam reports is at most the probability of its labels, and the widest beam reports all of it."""
    scores = np.random.default_rng(5).normal(size=(1, 6, 4)).astype("float32")
    exact = probabilities(scores[0].astype("float64"), 0)
    before = -np.inf
    with backend(name):
        for width in (1, 2, 5, 17, 300):
            labels, score = map(ops.convert_to_numpy, ops.ctc_decode(scores, [6], "beam_search", width))
            path = tuple(label for label in labels[0, 0].tolist() if label >= 0)
            assert score[0, 0] <= np.log(exact[path]) + 1e-5
            before = score[0, 0]
        assert before == pytest.approx(np.log(max(exact.values())), abs=1e-5)
        labels, score = map(ops.convert_to_numpy, ops.ctc_decode(scores[:, :1], [1], "beam_search", 2, 7))
    assert (labels[4:] == -1).all()  # one time spells four results at most
    assert np.isneginf(score[0, 4:]).all()


@pytest.mark.parametrize("name", engines())
def test_edges_of_the_loss(name):
    scores = np.random.default_rng(7).normal(size=(4, 3, 4)).astype("float32")
    with backend(name):
        loss = ops.convert_to_numpy(ops.ctc_loss([[1, 1, 2]] * 4, scores, [3, 2, 0, 1], [3, 2, 0, 0]))
    np.testing.assert_allclose(loss[[0, 1, 3]], 1e5, rtol=1e-3)  # too short: between two equal labels there must be a blank
    assert loss[2] == 0


def test_shapes_and_dtypes():
    ids, lengths = nyala.KerasTensor((None, 3), "int32"), nyala.KerasTensor((None,), "int32")
    scores = nyala.KerasTensor((None, None, 5), "bfloat16")
    loss = ops.ctc_loss(ids, scores, lengths, lengths)
    assert (loss.shape, loss.dtype) == ((None,), "float32")
    for options, paths in (({}, 1), ({"strategy": "beam_search", "beam_width": 4, "top_paths": 3}, 3)):
        labels, score = ops.ctc_decode(scores, lengths, **options)
        assert (labels.shape, labels.dtype, score.shape) == ((paths, None, None), "int32", (None, paths))


@pytest.mark.parametrize("name", [name for name in engines() if get_engine(name).differentiable])
def test_the_loss_of_models_is_the_same(name):
    scores = np.random.default_rng(9).normal(size=(2, 7, 5)).astype("float32")
    with backend(name):
        ours = ops.convert_to_numpy(losses.ctc([[1, 2, 2], [3, 0, 0]], scores))
        np.testing.assert_allclose(ours, ops.convert_to_numpy(ops.ctc_loss([[1, 2, 2], [3, 4, 4]], scores, [3, 1], [7, 7])), rtol=1e-6)
