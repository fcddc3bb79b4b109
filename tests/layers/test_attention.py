# SPDX-License-Identifier: Apache-2.0
"""MultiHeadAttention: the contract of layers, a float64 oracle that loops over positions, masks of every kind, axes, configs, errors."""

import itertools
import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ShapeError
from nyala.testing import check_layer, installed_engines
from tests.layers.tools import array, close, mask_of, normals, raises

Q, V, K = normals(1, (2, 5, 7), (2, 3, 11), (2, 3, 13))
HEADS, KEY, VALUE = 2, 3, 5


def made(query=Q, value=V, key=None, **arguments):
    """A built layer with weights that are all different."""
    layer = layers.MultiHeadAttention(HEADS, KEY, **{"value_dim": VALUE, **arguments})
    layer(query, value, key)
    random = np.random.default_rng(2)
    layer.set_weights([random.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.weights])
    return layer


def project(layer, x):
    kernel, bias = (w.astype("float64") for w in layer.get_weights())
    return np.einsum("...d,dnh->...nh", x.astype("float64"), kernel) + bias


def oracle(layer, query, value, key=None, allowed=None):
    """(result, weights) for (b, t, d): for each sample, head and position by itself. allowed: (b, heads, t, s) bool."""
    key = value if key is None else key
    q, k, v = project(layer._query_dense, query), project(layer._key_dense, key), project(layer._value_dense, value)
    (b, t, n, h), s = q.shape, k.shape[1]
    weights, joined = np.zeros((b, n, t, s)), np.zeros((b, t, n, v.shape[-1]))
    for i, head, row in itertools.product(range(b), range(n), range(t)):
        open_ = [column for column in range(s) if allowed is None or np.broadcast_to(allowed, weights.shape)[i, head, row, column]]
        scores = np.array([np.exp(q[i, row, head] @ k[i, column, head] / np.sqrt(h)) for column in open_])
        for column, score in zip(open_, scores, strict=True):
            weights[i, head, row, column] = score / scores.sum()
            joined[i, row, head] += weights[i, head, row, column] * v[i, column, head]
    if layer.use_gate:
        joined *= 1 / (1 + np.exp(-project(layer._gate_dense, query)))
    kernel, bias = (w.astype("float64") for w in layer._output_dense.get_weights())
    return np.einsum("btnh,nh...->bt...", joined, kernel) + bias, weights


@pytest.mark.parametrize(
    ("arguments", "inputs", "call"),
    [
        ({"num_heads": 2, "key_dim": 3, "value_dim": 5}, [Q, V], {}),
        ({"num_heads": 2, "key_dim": 3, "use_gate": True, "output_shape": (2, 3)}, [Q, V, K], {"return_attention_scores": True}),
        ({"num_heads": 3, "key_dim": 2, "use_bias": False, "sliding_window": 2}, [Q, Q], {"use_causal_mask": True}),
    ],
)
def test_contract(arguments, inputs, call):
    check_layer(layers.MultiHeadAttention, arguments, *inputs, call=call, unknown=(1,))


def test_numbers(each_engine):
    layer = made(key=K)
    result, weights = oracle(layer, Q, V, K)
    got, scores = layer(Q, V, K, return_attention_scores=True)
    close(got, result)
    close(scores, weights)
    close(layer(Q, V, K), result)


@pytest.mark.parametrize(
    "arguments",
    [{}, {"value_dim": None}, {"use_gate": True}, {"output_shape": 4}, {"output_shape": (2, 3), "use_gate": True}, {"flash_attention": True}],
)
def test_arguments(arguments):
    layer = made(**arguments)
    close(layer(Q, V), oracle(layer, Q, V)[0])
    assert layer.output_dense.get_weights()[0].shape == (
        HEADS,
        layer.value_dim,
        *{4: (4,), (2, 3): (2, 3), None: (7,)}[arguments.get("output_shape")],
    )


# Masks

SEEN = np.array([[1, 0, 1], [1, 1, 0]], bool)
KEYS = np.array([[1, 1, 1], [0, 1, 1]], bool)
PAIRS = np.random.default_rng(3).random((2, 5, 3)) < 0.6
PAIRS[0, 2] = False  # a row that may look at nothing


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ({"value_mask": SEEN}, SEEN[:, None, None]),
        ({"key_mask": KEYS}, KEYS[:, None, None]),
        ({"value_mask": SEEN, "key_mask": KEYS}, (SEEN & KEYS)[:, None, None]),
        ({"attention_mask": PAIRS}, PAIRS[:, None]),
        ({"attention_mask": PAIRS.astype("int32")}, PAIRS[:, None]),
        ({"attention_mask": PAIRS[:1]}, PAIRS[:1, None]),
        ({"attention_mask": PAIRS[0]}, PAIRS[None, :1]),
        ({"attention_mask": SEEN[:, None]}, SEEN[:, None, None]),
        ({"attention_mask": np.stack([PAIRS, ~PAIRS], axis=1)}, np.stack([PAIRS, ~PAIRS], axis=1)),
        ({"attention_mask": PAIRS, "value_mask": SEEN}, (PAIRS & SEEN[:, None])[:, None]),
        ({"use_causal_mask": True}, np.tril(np.ones((5, 3), bool))[None, None]),
        ({"use_causal_mask": True, "attention_mask": PAIRS}, (PAIRS & np.tril(np.ones((5, 3), bool)))[:, None]),
        ({"query_mask": np.array([[1, 0, 1, 1, 1], [0, 0, 1, 1, 1]], bool)}, None),
    ],
)  # fmt: skip
def test_masks(call, allowed):
    if isinstance(call.get("attention_mask"), np.ndarray) and call["attention_mask"].ndim == 2:
        allowed = call["attention_mask"][None, None]
    layer = made()
    result, weights = oracle(layer, Q, V, allowed=allowed)
    got, scores = layer(Q, V, **call, return_attention_scores=True)
    close(got, result)
    close(scores, weights)


@pytest.mark.parametrize("window", [1, 2, 4])
@pytest.mark.parametrize("causal", [False, True])
def test_sliding_window(window, causal):
    layer = made(Q, Q, sliding_window=window)
    distance = np.arange(5)[:, None] - np.arange(5)
    allowed = (np.abs(distance) < window) & ((distance >= 0) | (not causal))
    close(layer(Q, Q, use_causal_mask=causal), oracle(layer, Q, Q, allowed=allowed[None, None])[0])


def test_rows_that_may_look_at_nothing_get_zeros(each_engine):
    for policy in ("float32", "mixed_float16", "mixed_bfloat16"):
        layer = made(dtype=policy)
        got, scores = layer(Q, V, attention_mask=PAIRS, return_attention_scores=True)
        close(scores[0, :, 2], np.zeros((HEADS, 3)))
        close(got[0, 2], layer.output_dense.get_weights()[1], 1e-2)  # its bias alone


def test_masks_travel():
    words = np.array([[1, 2, 0, 3, 0], [0, 4, 5, 6, 1]])
    x = layers.Embedding(7, 7, mask_zero=True)(words)
    layer = made(array(x).astype("float32"), array(x).astype("float32"))
    y = layer(x, x)
    allowed = (words != 0)[:, None, None]
    close(y, oracle(layer, array(x), array(x), allowed=allowed)[0])
    np.testing.assert_array_equal(mask_of(y), words != 0)
    plain = made(array(x).astype("float32"), V)
    np.testing.assert_array_equal(mask_of(plain(x, V)), words != 0)
    assert mask_of(plain(array(x), V)) is None


# Axes


@pytest.mark.parametrize(
    ("axes", "shape"),
    [((1, 2), (2, 3, 5, 7)), (None, (2, 3, 5, 7)), (1, (2, 5, 7)), ((-2,), (2, 5, 7)), ((1, 2, 3), (2, 3, 2, 5, 7))],
)
def test_all_axes_are_one_long_axis(axes, shape):
    x = normals(4, shape)
    layer = made(x, x, attention_axes=axes)
    flat = x.reshape(shape[0], -1, shape[-1])
    result, weights = oracle(layer, flat, flat)
    got, scores = layer(x, x, return_attention_scores=True)
    close(got, result.reshape(*shape[:-1], 7))
    close(scores, weights.reshape(2, HEADS, *shape[1:-1], *shape[1:-1]))


def test_positions_come_in_the_order_of_attention_axes():
    x = normals(14, (2, 3, 2, 5, 7))
    layer, turned = made(x, x, attention_axes=(1, 3)), made(x, x, attention_axes=(3, 1))
    turned.set_weights(layer.get_weights())
    seen = np.random.default_rng(15).random((2, 2, 1, 3, 5, 3, 5)) < 0.7
    result, scores = layer(x, x, attention_mask=seen, return_attention_scores=True)
    got, back = turned(x, x, attention_mask=seen.transpose(0, 1, 2, 4, 3, 6, 5), return_attention_scores=True)
    close(got, array(result))
    close(back, array(scores).transpose(0, 1, 2, 4, 3, 6, 5))
    assert turned.get_config()["attention_axes"] == [3, 1]


@pytest.mark.parametrize("axis", [1, 2])
def test_one_axis_of_an_image_leaves_the_other_apart(axis):
    x = normals(5, (2, 3, 5, 7))
    layer = made(x, x, attention_axes=(axis,))
    rows = x if axis == 2 else x.swapaxes(1, 2)
    result, weights = oracle(layer, rows.reshape(-1, *rows.shape[2:]), rows.reshape(-1, *rows.shape[2:]))
    result = result.reshape(*rows.shape[:3], 7)
    got, scores = layer(x, x, return_attention_scores=True)
    close(got, result if axis == 2 else result.swapaxes(1, 2))
    close(scores, weights.reshape(*rows.shape[:2], *weights.shape[1:]))
    seen = np.random.default_rng(6).random((2, 3, 5)) < 0.7
    flat = (seen if axis == 2 else seen.swapaxes(1, 2)).reshape(-1, 1, 1, x.shape[axis])
    result = oracle(layer, rows.reshape(-1, *rows.shape[2:]), rows.reshape(-1, *rows.shape[2:]), allowed=flat)[0].reshape(*rows.shape[:3], 7)
    close(layer(x, x, value_mask=seen), result if axis == 2 else result.swapaxes(1, 2))


# Training, gradients, dtypes


def test_dropout():
    layer = made(Q, Q, dropout=0.5, seed=3)
    quiet, weights = oracle(layer, Q, Q)
    close(layer(Q, Q), quiet)
    got, scores = layer(Q, Q, return_attention_scores=True, training=True)
    assert np.abs(array(got) - quiet).max() > 1e-2
    close(scores, weights)  # as they are before
    many = np.mean([array(layer(Q, Q, training=True)) for _ in range(300)], axis=0)
    assert np.abs(many - quiet).max() < 0.5 * np.abs(quiet).max()
    again = made(Q, Q, dropout=0.5, seed=3)
    close(again(Q, Q, training=True), array(got))


def test_gradients():
    layer = made()
    weights, cotangent, random = layer.get_weights(), normals(7, (2, 5, 7)), np.random.default_rng(8)

    def value(values):
        layer.set_weights([v.astype("float32") for v in values])
        return float(np.sum(oracle(layer, Q, V, allowed=PAIRS[:, None])[0] * cotangent))

    directions = [random.normal(size=w.shape) for w in weights]
    step = 1e-2
    ends = [[value([w + sign * step * d if i == j else w for j, w in enumerate(weights)]) for sign in (1, -1)] for i, d in enumerate(directions)]
    layer.set_weights(weights)
    for engine in (e for e in installed_engines() if e.differentiable):
        with nyala.backend(engine.name):
            _, gradients = nyala.value_and_grad(
                lambda: (ops.sum(ops.multiply(layer(Q, V, attention_mask=PAIRS), cotangent)), ()), layer.trainable_variables
            )()
            gradients = [array(g) for g in gradients]
        assert all(np.isfinite(g).all() for g in gradients)
        for gradient, direction, (above, below) in zip(gradients, directions, ends, strict=True):
            np.testing.assert_allclose(np.sum(gradient * direction), (above - below) / (2 * step), rtol=5e-3, atol=5e-3)


def test_initial_projections_differ_and_have_the_fans_of_the_whole():
    layer = layers.MultiHeadAttention(3, 5, kernel_initializer="glorot_uniform")
    layer.build((2, 5, 7), (2, 5, 7))
    q, k = layer.query_dense.get_weights()[0], layer.key_dense.get_weights()[0]
    assert not np.allclose(q, k)
    assert np.abs(q).max() <= np.sqrt(6 / (7 + 15))
    fixed = layers.MultiHeadAttention(3, 5, kernel_initializer=nyala.initializers.GlorotUniform(seed=1))
    fixed.build((2, 5, 7), (2, 5, 7))
    np.testing.assert_array_equal(fixed.query_dense.get_weights()[0], fixed.key_dense.get_weights()[0])


# Symbols, configs, names


def test_symbols():
    x, y = nyala.Input((None, 7)), nyala.Input((3, 11))
    result, scores = layers.MultiHeadAttention(HEADS, KEY)(x, y, return_attention_scores=True)
    assert (result.shape, scores.shape) == ((None, None, 7), (None, HEADS, None, 3))
    assert layers.MultiHeadAttention(HEADS, KEY, output_shape=4).compute_output_shape((2, None, 7), (2, 3, 11)) == (2, None, 4)
    causal = layers.MultiHeadAttention(HEADS, KEY)(x, x, use_causal_mask=True)
    assert causal.shape == (None, None, 7)


def test_config_and_names():
    nyala.utils.clear_session()
    layer = layers.MultiHeadAttention(HEADS, KEY, output_shape=(4, 2), name="a")
    assert set(layer.get_config()) == {
        "name", "trainable", "dtype", "num_heads", "key_dim", "value_dim", "dropout", "use_bias", "use_gate", "output_shape",
        "attention_axes", "sliding_window",
        "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer", "kernel_constraint",
        "bias_constraint", "seed",
    }  # fmt: skip
    assert (layer.get_config()["output_shape"], layer.get_config()["attention_axes"]) == ([4, 2], None)
    layer.build((2, 5, 7), (2, 3, 11))
    assert layer.get_config()["attention_axes"] == [1]
    assert layer.get_build_config() == {"shapes_dict": {"query_shape": (2, 5, 7), "value_shape": (2, 3, 11)}}
    assert [w.path for w in layer.weights] == [f"a/{part}/{w}" for part in ("query", "key", "value", "attention_output") for w in ("kernel", "bias")]
    twin = layers.MultiHeadAttention.from_config(json.loads(json.dumps(layer.get_config())))
    twin.build_from_config(json.loads(json.dumps(layer.get_build_config())))
    twin.set_weights(layer.get_weights())
    close(twin(Q, V), array(layer(Q, V)))


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.MultiHeadAttention(0, 3), ArgumentError, "MultiHeadAttention(num_heads) needs an integer of at least 1, got 0."),
        (lambda: layers.MultiHeadAttention(2, 3, dropout=1.0), ArgumentError, "MultiHeadAttention(dropout) needs a share in [0, 1), got 1.0."),
        (lambda: layers.MultiHeadAttention(2, 3, name="a")(Q, V, K[:, :2]), ShapeError,
         "MultiHeadAttention 'a' needs keys with the positions of the values, (3,), got (2,)."),
        (lambda: layers.MultiHeadAttention(2, 3, name="a")(Q[0], V[0]), ShapeError,
         "MultiHeadAttention 'a' needs a query with 3 axes (batch, time, features), got shape (5, 7).\n  fix: add the missing axis"),
        (lambda: layers.MultiHeadAttention(2, 3, name="a")(Q, V, attention_mask=PAIRS.swapaxes(1, 2)), ShapeError,
         "MultiHeadAttention 'a'(attention_mask) needs shape (2, 5, 3), sizes 1 allowed, or heads after the batch, got (2, 3, 5)."),
        (lambda: layers.MultiHeadAttention(2, 3, name="a")(nyala.Input((5, None)), V), ShapeError,
         "HeadProjection 'query' needs an input whose last axis has a known size, got shape (None, 5, None)."),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with raises(kind, text):
        make()


@pytest.mark.parametrize("gate", [False, True])
def test_each_projection_has_the_activity_regularizer(gate):
    """As in Keras: what is made of queries, keys and values counts beside the result, each per sample."""
    layer = made(activity_regularizer=nyala.regularizers.L2(0.1), use_gate=gate)
    y = array(layer(Q, V)).astype("float64")
    parts = [y, *(project(projection, x) for projection, x in ((layer.query_dense, Q), (layer.key_dense, V), (layer.value_dense, V)))]
    parts += [project(layer._gate_dense, Q)] if gate else []
    assert len(layer.losses) == len(parts)
    close(sum(layer.losses), 0.1 * sum((part**2).sum() for part in parts) / len(Q))
    shared = layers.GroupQueryAttention(3, 4, 2, activity_regularizer="l2", use_gate=gate)
    shared(Q, V)
    assert len(shared.losses) == 5 + gate  # the result by itself, too
