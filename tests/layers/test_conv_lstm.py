# SPDX-License-Identifier: Apache-2.0
"""ConvLSTM1D to 3D: contract, a float64 loop over time as oracle, masks, states, dropout, errors."""

import numpy as np
import pytest

from nyala import layers, ops
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.testing import check_layer
from tests.layers.test_recurrent import loop, sigmoid
from tests.layers.tools import array, close, mask_of, normals, raises
from tests.ops.test_nn_windows import conv

FIRST = "channels_first"
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)  # holes, nothing, a late start
X = {1: normals(1, (3, 5, 7, 2)), 2: normals(2, (3, 5, 3, 5, 2)), 3: normals(3, (3, 5, 3, 2, 3, 2))}


def step_of(**options):
    """One step on float64 arrays, channels last."""

    def step(x, states, kernel, recurrent, bias):
        h, c = states
        z = conv(x, kernel, **options) + conv(h, recurrent, padding="same") + bias
        i, f, g, o = np.split(z, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), [sigmoid(o) * np.tanh(c), c]

    return step


def made(rank, x=None, **arguments):
    """A layer with 4 filters and weights that are all different."""
    layer = getattr(layers, f"ConvLSTM{rank}D")(4, **{"kernel_size": (3, 2, 2)[:rank], **arguments})
    layer(X[rank] if x is None else x)
    random = np.random.default_rng(2)
    layer.set_weights([random.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.weights])
    if layer.stateful:
        layer.reset_state()
    return layer


@pytest.mark.parametrize(
    ("kind", "arguments", "shape", "unknown", "mask"),
    [
        ("ConvLSTM1D", {"kernel_size": 3, "return_sequences": True, "return_state": True}, (3, 5, 7, 2), (1, 2), MASK),
        ("ConvLSTM2D", {"kernel_size": (3, 2), "padding": "same", "strides": 2, "data_format": FIRST}, (2, 3, 2, 5, 3), (1, 3, 4), None),
        ("ConvLSTM3D", {"kernel_size": 2, "use_bias": False, "go_backwards": True, "return_state": True}, (2, 2, 2, 3, 2, 2), (1,), None),
    ],
)
def test_contract(kind, arguments, shape, unknown, mask):
    call = {} if mask is None else {"mask": mask}
    check_layer(getattr(layers, kind), {"filters": 3, **arguments}, normals(5, shape), call=call, unknown=unknown)


@pytest.mark.parametrize("unroll", [False, True], ids=["loop", "unrolled"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "mask"])
@pytest.mark.parametrize(
    ("rank", "options"),
    [
        (1, {"padding": "same", "strides": (2,)}),
        (2, {}),
        (2, {"padding": "same", "dilation_rate": (1, 2)}),
        (3, {"padding": "same"}),
    ],
)
def test_numbers(each_engine, rank, options, mask, backwards, unroll):
    x = X[rank]
    arguments = {"return_sequences": True, "return_state": True, "go_backwards": backwards, "unroll": unroll}
    layer, first = made(rank, **options, **arguments), made(rank, np.moveaxis(x, -1, 2), **options, **arguments, data_format=FIRST)
    weights = layer.get_weights()
    first.set_weights(weights)
    zeros = np.zeros((*conv(x[:, 0], weights[0], **options).shape[:-1], 4))
    shown = loop_of(rank, x, weights, zeros, mask, backwards, options)
    for result, expected in zip(layer(x, mask=mask), shown, strict=True):
        close(result, expected)
    for i, (result, expected) in enumerate(zip(first(np.moveaxis(x, -1, 2), mask=mask), shown, strict=True)):
        close(result, np.moveaxis(expected, -1, 1 if i else 2))


def loop_of(rank, x, weights, zeros, mask=None, backwards=False, options=None, zero_output=False):
    """All outputs and both last states."""
    step, seen = step_of(**(options or {})), np.ones(x.shape[:2], bool) if mask is None else mask
    every, _, states = loop(step, x, weights, [zeros, zeros], MaskOfImages(seen, rank), backwards, zero_output)
    return every, *states


class MaskOfImages:
    """mask[:, t, None] of the loop, with axes for the images."""

    def __init__(self, mask, rank):
        self.mask, self.rank = mask, rank

    def __getitem__(self, key):
        return self.mask[key].reshape(-1, *(1,) * (self.rank + 1))


def test_last_output_and_masked_outputs(each_engine):
    zeros = np.zeros((3, 2, 4, 4))
    layer = made(2, kernel_size=2)
    close(layer(X[2], mask=MASK), loop_of(2, X[2], layer.get_weights(), zeros, MASK)[0][:, -1])
    layer = made(2, kernel_size=2, return_sequences=True, zero_output_for_mask=True)
    close(layer(X[2], mask=MASK), loop_of(2, X[2], layer.get_weights(), zeros, MASK, zero_output=True)[0])


def test_first_states_are_where_the_last_ones_were(each_engine):
    layer = made(2, return_state=True)
    whole = layer(X[2])
    _, *states = layer(X[2][:, :2])
    for a, b in zip(layer(X[2][:, 2:], initial_state=states), whole, strict=True):
        close(a, array(b))


def test_stateful(each_engine):
    layer, plain = made(1, stateful=True), made(1)
    assert [v.shape for v in layer.states] == [(3, 5, 4), (3, 5, 4)]
    whole = plain(X[1])
    layer(X[1][:, :2])
    close(layer(X[1][:, 2:]), array(whole))
    layer.reset_state()
    assert all(not array(v.value).any() for v in layer.states)
    close(layer(X[1]), array(whole))


def test_the_cell_alone_makes_one_step():
    layer = made(2, return_state=True)
    states = normals(7, (3, 1, 4, 4), (3, 1, 4, 4))
    for a, b in zip(layer.cell(X[2][:, 0], states)[1], layer(X[2][:, :1], initial_state=states)[1:], strict=True):
        close(a, array(b))


def test_get_initial_state():
    assert [s.shape for s in made(2).get_initial_state(7)] == [(7, 1, 4, 4), (7, 1, 4, 4)]
    why = "its states have as many places as its convolved inputs"
    layer = layers.ConvLSTM2D(4, 2, name="film")
    with raises(StateError, "ConvLSTM2D 'film'.get_initial_state() needs a built layer, got one without image sizes yet.\n"
                            "  fix: call build(sequences_shape) first"):  # fmt: skip
        layer.get_initial_state(7)
    layer.build((None, None, 5, None, 2))
    with raises(ShapeError, f"ConvLSTM2D 'film' needs images of known sizes, got shape (7, None, 5, None, 2).\n  why: {why}"):
        layer.get_initial_state(7)


def test_images_of_any_size():
    layer = layers.ConvLSTM2D(4, (3, 2), return_sequences=True)
    assert layer(layers.Input((None, None, None, 2))).shape == (None, None, None, None, 4)
    assert layer(X[2]).shape == (3, 5, 1, 4, 4)
    assert layer(normals(1, (2, 3, 7, 5, 2))).shape == (2, 3, 5, 4, 4)


def test_dropout():
    """While training, a share of inputs or of h is missing, the same at all times; else nothing is."""
    x, share = np.ones((3, 5, 3, 5, 2), "float32"), {"kernel_size": 1, "seed": 3}
    for name in ("dropout", "recurrent_dropout"):
        layer, plain = made(2, x, **share, **{name: 0.5}), made(2, x, **share)
        close(layer(x), array(plain(x)))
        assert np.abs(array(layer(x, training=True)) - array(plain(x))).max() > 0.01
    assert layers.ConvLSTM2D(4, (2, 3), dropout=0.5, recurrent_dropout=0.5)(x, training=True).shape == (3, 2, 3, 4)
    layer = layers.ConvLSTM2D(1, 1, dropout=0.5, seed=3, use_bias=False, return_sequences=True, recurrent_initializer="zeros")
    layer(x)
    layer.set_weights([np.full((1, 1, 2, 4), 0.7, "float32"), np.zeros((1, 1, 1, 4), "float32")])
    first = array(layer(x, training=True))[:, 0, ..., 0]
    values = np.unique(np.round(first, 5))  # both inputs dropped, one, none
    kept = sigmoid(0.7 * np.array([0.0, 2.0, 4.0]))
    close(values, np.round(kept * np.tanh(kept * np.tanh(0.7 * np.array([0.0, 2.0, 4.0]))), 5), 1e-4)
    outputs = array(layer(x, training=True))
    assert ((outputs[:, 0] == 0) == (outputs[:, -1] == 0)).all()


def test_mask_goes_on_with_sequences():
    tensor = ops.convert_to_tensor(X[1])
    layer = made(1, return_sequences=True, return_state=True)
    assert layer.compute_mask(tensor, MASK)[1:] == [None, None]
    assert mask_of(made(1)(tensor, mask=MASK)) is None


def test_bidirectional():
    layer = layers.Bidirectional(layers.ConvLSTM1D(4, 3, return_sequences=True))
    assert layer(X[1]).shape == (3, 5, 5, 8)


def test_attributes_of_the_cell():
    layer = layers.ConvLSTM2D(4, (3, 2), strides=2, dropout=0.1)
    assert (layer.filters, layer.kernel_size, layer.strides, layer.dropout, layer.unit_forget_bias) == (4, (3, 2), (2, 2), 0.1, True)


def test_errors():
    with raises(ArgumentError, "ConvLSTM2D(filters) needs a positive integer, got 0."):
        layers.ConvLSTM2D(0, 3)
    with raises(ArgumentError, "ConvLSTM1D(padding) needs one of 'valid', 'same', got 'causal'."):
        layers.ConvLSTM1D(4, 3, padding="causal")
    why = "\n  why: their combination is not defined in Keras"
    with raises(ArgumentError, f"ConvLSTM1D needs strides or dilation_rate, the other one 1, got strides=(2,) and dilation_rate=(3,).{why}"):
        layers.ConvLSTM1D(4, 3, strides=2, dilation_rate=3)
    layer = layers.ConvLSTM2D(4, 2, name="film")
    with raises(ShapeError, "ConvLSTM2D 'film'(initial_state) needs states of shapes [(None, 2, 4, 4), (None, 2, 4, 4)], "
                            "got [(3, 3, 5, 2), (3, 3, 5, 2)]."):  # fmt: skip
        layer(X[2], initial_state=[X[2][:, 0]] * 2)
    fix = "nyala.Input(batch_shape=(n, t, d)) or batch_input_shape=(n, t, d)"
    with raises(StateError, f"ConvLSTM2D 'film' with stateful=True needs a fixed batch size, got an unknown one.\n  fix: {fix}"):
        layers.ConvLSTM2D(4, 2, stateful=True, name="film")(layers.Input((5, 3, 5, 2)))
    why = "its kernel has weights for each"
    with raises(ShapeError, f"conv_lstm_cell needs a known number of channels, got shape (None, 3, 5, None).\n  why: {why}"):
        layers.ConvLSTM2D(4, 2)(layers.Input((5, 3, 5, None)))
