# SPDX-License-Identifier: Apache-2.0
"""Attention, AdditiveAttention and GroupQueryAttention: contract, float64 oracles, masks, dropout, errors."""

import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.testing import check_layer
from tests.layers.tools import array, close, mask_of, normals, raises

Q, V, K = normals(3, (2, 3, 5), (2, 7, 11), (2, 7, 5))
Q_MASK = np.array([[1, 1, 0], [0, 1, 1]], bool)
V_MASK = np.array([[1, 1, 0, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1, 0]], bool)


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("kind", "arguments", "inputs", "options"),
    [
        ("Attention", {}, [Q, V, K], {"unknown": (1,)}),
        ("Attention", {"use_scale": True}, [Q, K], {"call": {"return_attention_scores": True}}),
        ("Attention", {"score_mode": "concat", "use_scale": True}, [Q, V, K], {"call": {"use_causal_mask": True}}),
        ("Attention", {}, [Q, Q], {"call": {"use_causal_mask": True}, "unknown": (1,)}),
        ("AdditiveAttention", {}, [Q, V, K], {"unknown": (1,)}),
        ("AdditiveAttention", {"use_scale": False}, [Q, K], {"call": {"return_attention_scores": True}}),
    ],
)
def test_contract(kind, arguments, inputs, options):
    check_layer(getattr(layers, kind), arguments, inputs, **options)


def scores_of(kind, query, key, scale, weight):
    query, key = query.astype("float64")[:, :, None], key.astype("float64")[:, None]
    if kind == "dot":
        return scale * (query * key).sum(-1)
    return weight * np.tanh(scale * (query + key)).sum(-1) if kind == "concat" else (scale * np.tanh(query + key)).sum(-1)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["dot", "concat", "additive"])
def test_numbers(each_engine, kind, causal):
    layer = layers.AdditiveAttention() if kind == "additive" else layers.Attention(True, kind)
    layer([Q, V, K])
    weights = [normals(5, w.shape) for w in layer.weights]
    layer.set_weights(weights)
    scale, weight = (*weights, np.float32(1.0))[:2]
    allowed = V_MASK[:, None] & (np.tril(np.ones((3, 7), bool)) if causal else True)
    shares = softmax(np.where(allowed, scores_of(kind, Q, K, scale, weight), -1e9))
    result, got = layer([Q, V, K], mask=[Q_MASK, V_MASK], return_attention_scores=True, use_causal_mask=causal)
    close(got, shares)
    close(result, shares @ V.astype("float64") * Q_MASK[..., None])


def test_rows_without_any_place_are_means(each_engine):
    result, scores = layers.Attention()([Q, V, K], mask=[None, np.zeros((2, 7), bool)], return_attention_scores=True)
    close(scores, np.full((2, 3, 7), 1 / 7))
    close(result, np.broadcast_to(V.mean(axis=1, keepdims=True), (2, 3, 11)))


def test_half_precision_stays_finite():
    hidden = layers.Attention(dtype="float16")([-100 * Q, V, 100 * K], mask=[None, np.zeros((2, 7), bool)])
    assert np.isfinite(array(hidden)).all()
    assert nyala.backend.standardize_dtype(hidden.dtype) == "float16"


def test_masks_travel():
    sequence = layers.Masking()(np.where(Q_MASK[..., None], Q, 0.0).astype("float32"))
    result = layers.Attention()([sequence, sequence])
    np.testing.assert_array_equal(mask_of(result), Q_MASK)
    close(result, array(layers.Attention()([sequence, sequence], mask=[Q_MASK, Q_MASK])))
    assert layers.Attention().compute_mask([Q, V]) is None


def test_other_ranks(each_engine):
    query, value = normals(9, (2, 3, 5, 7), (2, 3, 2, 7))
    by_pair = [array(layers.Attention()([query[i], value[i]])) for i in range(2)]
    close(layers.Attention()([query, value]), np.stack(by_pair))


@pytest.mark.parametrize("kind", ["Attention", "AdditiveAttention", "GroupQueryAttention"])
def test_dropout(kind):
    arguments = (2, 4, 2) if kind == "GroupQueryAttention" else ()
    layer = getattr(layers, kind)(*arguments, dropout=0.4, seed=7)
    ones = np.ones((20, 7, 5), "float32")
    inputs = (ones, ones) if arguments else ([ones, ones],)
    layer(*inputs)
    _, kept = layer(*inputs, return_attention_scores=True)
    close(kept, np.full(kept.shape, 1 / 7))
    result = array(layer(*inputs, training=True))
    assert np.abs(result - array(layer(*inputs))).max() > 0.1
    if not arguments:
        _, dropped = layer(*inputs, return_attention_scores=True, training=True)
        assert set(np.round(np.unique(array(dropped)), 4)) == {0.0, round(1 / 7 / 0.6, 4)}
        assert abs((array(dropped) == 0).mean() - 0.4) < 0.06
    assert layer.get_config()["seed"] == 7


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.Attention(score_mode="dott"), ArgumentError,
         "Attention(score_mode) needs one of 'dot', 'concat', got 'dott'.\n  fix: did you mean 'dot'?"),
        (lambda: layers.AdditiveAttention(dropout=2), ArgumentError, "AdditiveAttention(dropout) needs a number from 0 to 1, got 2."),
        (lambda: layers.Attention(name="a")(Q), ArgumentTypeError, "Attention 'a' needs a list [query, value] or [query, value, key], got one."),
        (lambda: layers.Attention(name="a")([Q]), ArgumentTypeError,
         "Attention 'a' needs a list [query, value] or [query, value, key], got 1 inputs."),
        (lambda: layers.Attention(name="a")([Q, K], mask=V_MASK), ShapeError,
         "Attention 'a'(mask) needs a list [query_mask, value_mask], None where there is none, got one."),
        (lambda: layers.GroupQueryAttention(3, 4, 3), ArgumentError,
         "GroupQueryAttention(num_query_heads) needs a multiple of num_key_value_heads=3, got 4."),
        (lambda: layers.GroupQueryAttention(0, 4, 2), ArgumentError, "GroupQueryAttention(head_dim) needs an integer of at least 1, got 0."),
        (lambda: layers.GroupQueryAttention(3, 4, 2, name="a")(Q[0], K[0]), ShapeError,
         "GroupQueryAttention 'a' needs a query with 3 axes (batch, time, features), got shape (3, 5)."),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with raises(kind, text):
        make()


# Groups of heads

GROUPED = {"head_dim": 3, "num_query_heads": 6, "num_key_value_heads": 2}
PAIRS = np.random.default_rng(4).random((2, 3, 7)) > 0.4


@pytest.mark.parametrize(
    ("arguments", "inputs", "call"),
    [
        (GROUPED, [Q, V], {}),
        ({**GROUPED, "use_gate": True, "use_bias": False}, [Q, V, K], {"return_attention_scores": True, "attention_mask": PAIRS}),
        ({**GROUPED, "sliding_window": 2, "flash_attention": True}, [Q, Q], {"use_causal_mask": True, "query_mask": Q_MASK}),
    ],
)
def test_grouped_contract(arguments, inputs, call):
    check_layer(layers.GroupQueryAttention, arguments, *inputs, call=call, unknown=() if "attention_mask" in call else (1,))


def made(**arguments):
    layer = layers.GroupQueryAttention(**{**GROUPED, **arguments})
    layer(Q, V, K)
    layer.set_weights([normals(i, w.shape) for i, w in enumerate(layer.weights)])
    return layer


@pytest.mark.parametrize("gate", [False, True])
@pytest.mark.parametrize("heads", [1, 2, 6])
def test_groups_are_heads_with_repeated_keys(each_engine, heads, gate):
    """MultiHeadAttention whose heads 0, 1, 2 have the keys and values of group 0, and so on, gives the same."""
    layer = made(num_key_value_heads=heads, use_gate=gate)
    other = layers.MultiHeadAttention(6, 3, use_gate=gate)
    other(Q, V, K)
    shared = [2, 3, 6, 7] if gate else [2, 3, 4, 5]
    weights = [np.repeat(w, 6 // heads, axis=-2) if i in shared else w for i, w in enumerate(layer.get_weights())]
    other.set_weights(weights)
    call = {"attention_mask": PAIRS, "value_mask": V_MASK, "return_attention_scores": True}
    for got, expected in zip(layer(Q, V, K, **call), other(Q, V, K, **call), strict=True):
        close(got, array(expected))


def test_query_mask_silences_rows(each_engine):
    layer = made()
    result, scores = layer(Q, V, K, query_mask=Q_MASK, return_attention_scores=True)
    free, open_scores = layer(Q, V, K, return_attention_scores=True)
    close(scores, array(open_scores) * Q_MASK[:, None, :, None])
    bias = layer.get_weights()[-1]
    close(result, np.where(Q_MASK[..., None], array(free), bias))


def test_the_window_and_the_future(each_engine):
    layer = layers.GroupQueryAttention(3, 4, 2, sliding_window=2)
    _, scores = layer(K, K, return_attention_scores=True, use_causal_mask=True)
    distance = np.arange(7)[:, None] - np.arange(7)
    np.testing.assert_array_equal(array(scores) > 0, np.broadcast_to((distance >= 0) & (distance < 2), (2, 4, 7, 7)))


def test_names_and_config():
    nyala.utils.clear_session()
    layer = layers.GroupQueryAttention(3, 4, 2, use_gate=True)
    layer(Q, V)
    parts = ("query", "key", "gate", "value", "attention_output")
    assert [w.path for w in layer.weights] == [f"grouped_query_attention/{part}/{w}" for part in parts for w in ("kernel", "bias")]
    assert nyala.saving.serialize_keras_object(layer)["class_name"] == "GroupQueryAttention"
    assert "flash_attention" not in layer.get_config()
    twin = layers.GroupQueryAttention.from_config(json.loads(json.dumps(layer.get_config())))
    twin.build_from_config(layer.get_build_config())
    twin.set_weights(layer.get_weights())
    close(twin(Q, V), array(layer(Q, V)))
    result, scores = layer(nyala.Input((None, 5)), nyala.Input((7, 11)), return_attention_scores=True)
    assert (result.shape, scores.shape) == ((None, None, 5), (None, 4, None, 7))
    assert ops.shape(layer(Q, V))[1:] == (3, 5)
