# SPDX-License-Identifier: Apache-2.0
"""Recurrent layers, their cells and wrappers: the contract of layers, float64 loops as oracles, masks, states, dropout, configs, errors."""

import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError
from nyala.testing import check_layer, installed_engines
from tests.layers.tools import array, close, mask_of, normals, raises

X = normals(1, (3, 5, 2))
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]], bool)  # holes, nothing, a late start
UNITS = 7


# The oracle: one step of each cell on float64 arrays, and a loop over time


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simple_step(x, states, kernel, recurrent, bias):
    h = np.tanh(x @ kernel + states[0] @ recurrent + bias)
    return h, [h]


def lstm_step(x, states, kernel, recurrent, bias):
    h, c = states
    i, f, g, o = np.split(x @ kernel + h @ recurrent + bias, 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return h, [h, c]


def gru_step(x, states, kernel, recurrent, bias):
    (h,), u = states, states[0].shape[-1]
    if bias.ndim == 2:  # reset after the product
        x_z, x_r, x_g = np.split(x @ kernel + bias[0], 3, axis=-1)
        h_z, h_r, h_g = np.split(h @ recurrent + bias[1], 3, axis=-1)
        z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
        g = np.tanh(x_g + r * h_g)
    else:
        x_z, x_r, x_g = np.split(x @ kernel + bias, 3, axis=-1)
        z, r = sigmoid(x_z + h @ recurrent[:, :u]), sigmoid(x_r + h @ recurrent[:, u : 2 * u])
        g = np.tanh(x_g + (r * h) @ recurrent[:, 2 * u :])
    h = z * h + (1 - z) * g
    return h, [h]


def loop(step, x, weights, states, mask=None, go_backwards=False, zero_output=False):
    """(all outputs in the order they are made, the last output, the last states)."""
    x, weights, states = x.astype("float64"), [w.astype("float64") for w in weights], [s.astype("float64") for s in states]
    shown, outputs = np.zeros_like(states[0]), []
    for t in range(x.shape[1])[:: -1 if go_backwards else 1]:
        output, new = step(x[:, t], states, *weights)
        seen = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        shown = np.where(seen, output, shown)
        states = [np.where(seen, a, b) for a, b in zip(new, states, strict=True)]
        outputs.append(np.where(seen, output, 0.0) if zero_output else shown)
    return np.stack(outputs, axis=1), shown, states


KINDS = {
    "SimpleRNN": (layers.SimpleRNN, {}, simple_step, 1),
    "LSTM": (layers.LSTM, {}, lstm_step, 2),
    "GRU": (layers.GRU, {}, gru_step, 1),
    "GRU_before": (layers.GRU, {"reset_after": False}, gru_step, 1),
}


def made(kind, x=X, **arguments):
    """A built layer with weights that are all different, its step and zero states."""
    cls, own, step, count = KINDS[kind]
    layer = cls(UNITS, **own, **arguments)
    layer(x)
    random = np.random.default_rng(2)
    layer.set_weights([random.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.weights])
    if layer.stateful:
        layer.reset_state()
    return layer, step, [np.zeros((len(x), UNITS))] * count


# Contract and numbers


@pytest.mark.parametrize(
    ("kind", "arguments", "inputs", "call"),
    [
        ("SimpleRNN", {"units": 3, "return_sequences": True, "return_state": True}, [X], {"mask": MASK}),
        ("LSTM", {"units": 3, "return_sequences": True, "return_state": True}, [X], {"mask": MASK}),
        ("GRU", {"units": 3, "reset_after": False, "return_state": True}, [X], {"mask": MASK}),
        ("GRU", {"units": 3, "go_backwards": True, "return_sequences": True}, [X], {}),
        ("Bidirectional", {"layer": layers.LSTM(3, return_sequences=True)}, [X], {"mask": MASK}),
        ("RNN", {"cell": [layers.LSTMCell(3), layers.GRUCell(2)], "return_state": True}, [X], {"mask": MASK}),
        ("TimeDistributed", {"layer": layers.Dense(3)}, [X], {}),
    ],
)
def test_contract(kind, arguments, inputs, call):
    own = "units" in arguments  # the layers in wrappers keep a dtype of their own
    check_layer(getattr(layers, kind), arguments, *inputs, call=call, unknown=(1,), mixed=own, gradients=own)


@pytest.mark.parametrize(
    ("kind", "states"), [("SimpleRNNCell", [normals(4, (5, 3))]), ("GRUCell", [normals(4, (5, 3))]), ("LSTMCell", normals(4, (5, 3), (5, 3)))]
)
def test_contract_of_cells(kind, states):
    check_layer(getattr(layers, kind), {"units": 3}, normals(3, (5, 2)), states)


@pytest.mark.parametrize("unroll", [False, True], ids=["loop", "unrolled"])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "mask"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers(each_engine, kind, mask, backwards, unroll):
    layer, step, zeros = made(kind, return_sequences=True, return_state=True, go_backwards=backwards, unroll=unroll)
    every, _, states = loop(step, X, layer.get_weights(), zeros, mask, backwards)
    outputs, *after = layer(X, mask=mask)
    close(outputs, every)
    assert len(after) == len(states)
    for a, b in zip(after, states, strict=True):
        close(a, b)


@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "mask"])
@pytest.mark.parametrize("kind", KINDS)
def test_last_output_alone(kind, mask):
    layer, step, zeros = made(kind)
    close(layer(X, mask=mask), loop(step, X, layer.get_weights(), zeros, mask)[1])


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_zero_output_for_mask(kind, backwards):
    layer, step, zeros = made(kind, return_sequences=True, zero_output_for_mask=True, go_backwards=backwards)
    close(layer(X, mask=MASK), loop(step, X, layer.get_weights(), zeros, MASK, backwards, zero_output=True)[0])


def test_a_cell_in_rnn_equals_the_layer():
    for kind, cell in (("SimpleRNN", layers.SimpleRNNCell), ("LSTM", layers.LSTMCell), ("GRU", layers.GRUCell)):
        layer, _, _ = made(kind, return_sequences=True)
        other = layers.RNN(cell(UNITS), return_sequences=True)
        other(X)
        other.set_weights(layer.get_weights())
        close(other(X, mask=MASK), array(layer(X, mask=MASK)))


def test_no_bias_and_other_activations():
    layer = layers.LSTM(3, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False, return_sequences=True)
    cell = layers.RNN(layers.LSTMCell(3, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False), return_sequences=True)
    layer(X)
    cell(X)
    cell.set_weights(layer.get_weights())
    assert len(layer.weights) == 2
    close(layer(X), array(cell(X)))


def test_first_bias_of_the_forget_gate_is_one():
    for given, expected in ((True, [0] * 3 + [1] * 3 + [0] * 6), (False, [0] * 12)):
        layer = layers.LSTM(3, unit_forget_bias=given)
        layer(X)
        np.testing.assert_array_equal(layer.get_weights()[2], expected)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_all_engines_agree_with_central_differences(kind):
    layer, step, zeros = made(kind, return_sequences=True)
    weights, cotangent = layer.get_weights(), normals(5, (3, 5, UNITS))
    value = lambda ws: float(np.sum(loop(step, X, ws, zeros, MASK)[0] * cotangent))  # noqa: E731
    random = np.random.default_rng(6)
    for engine in (e for e in installed_engines() if e.differentiable):
        with nyala.backend(engine.name):
            _, gradients = nyala.value_and_grad(lambda: (ops.sum(ops.multiply(layer(X, mask=MASK), cotangent)), ()), layer.trainable_variables)()
            gradients = [array(g) for g in gradients]
        for i, gradient in enumerate(gradients):
            direction = random.normal(size=gradient.shape)
            ends = [value([w + sign * 1e-6 * direction if i == j else w.astype("float64") for j, w in enumerate(weights)]) for sign in (1, -1)]
            np.testing.assert_allclose(np.sum(gradient * direction), (ends[0] - ends[1]) / 2e-6, rtol=1e-3, atol=1e-3)


def test_dtypes():
    for policy, tolerance in (("float64", 1e-5), ("mixed_float16", 0.02), ("mixed_bfloat16", 0.1)):
        layer, step, zeros = made("LSTM", dtype=policy, return_sequences=True)
        with nyala.backend("numpy"):
            y = layer(X)
        assert nyala.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
        assert layer.weights[0].dtype == ("float64" if policy == "float64" else "float32")
        close(y, loop(step, X, layer.get_weights(), zeros)[0], tolerance)


# States


@pytest.mark.parametrize("kind", KINDS)
def test_initial_state(kind):
    layer, step, zeros = made(kind, return_sequences=True)
    states = [normals(7 + i, (3, UNITS)) for i in range(len(zeros))]
    expected = loop(step, X, layer.get_weights(), states)[0]
    close(layer(X, initial_state=states), expected)
    if len(states) == 1:
        close(layer(X, initial_state=states[0]), expected)


def test_encoder_and_decoder_by_symbols():
    x, y = nyala.Input((None, 2), name="x"), nyala.Input((None, 2), name="y")
    _, h, c = layers.LSTM(UNITS, return_state=True, name="encoder")(x)
    model = nyala.Model([x, y], layers.LSTM(UNITS, return_sequences=True, name="decoder")(y, initial_state=[h, c]))
    assert model.output_shape == (None, None, UNITS)
    encoder, decoder = (model.get_layer(n).get_weights() for n in ("encoder", "decoder"))
    target = normals(8, (3, 2, 2))
    states = loop(lstm_step, X, encoder, [np.zeros((3, UNITS))] * 2)[2]
    close(model([X, target]), loop(lstm_step, target, decoder, states)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_stateful(each_engine, kind):
    layer, step, zeros = made(kind, stateful=True, return_sequences=True)
    whole = loop(step, X, layer.get_weights(), zeros)[0]
    close(layer(X[:, :2]), whole[:, :2])
    close(layer(X[:, 2:]), whole[:, 2:])
    layer.reset_state()
    close(layer(X), whole)
    layer.reset_states()
    close(layer(X), whole)
    assert len(layer.weights) == 3  # states are state, but no weights
    assert len(layer.variables) == 3 + len(zeros)
    assert [s.name for s in nyala.tree.flatten(layer.states)] == ["rnn_state"] * len(zeros)


def test_states_of_a_model_go_on_through_compiled_prediction():
    model = nyala.Sequential([nyala.Input(batch_shape=(3, 2, 2)), layers.GRU(UNITS, stateful=True)])
    weights = model.get_weights()
    first, second = model.predict(X[:, :2], batch_size=3, verbose=0), model.predict(X[:, 2:4], batch_size=3, verbose=0)
    close(first, loop(gru_step, X[:, :2], weights, [np.zeros((3, UNITS))])[1])
    close(second, loop(gru_step, X[:, :4], weights, [np.zeros((3, UNITS))])[1])
    model.reset_states()
    close(model.predict(X[:, :2], batch_size=3, verbose=0), array(first))


def test_unknown_time_and_batch():
    for layer in (
        layers.LSTM(3, return_sequences=True, return_state=True),
        layers.RNN([layers.GRUCell(2), layers.LSTMCell(3)], return_sequences=True, return_state=True),
    ):
        outputs = layer(nyala.Input((None, 5)))
        assert outputs[0].shape == (None, None, 3)
        assert layer.compute_output_shape((7, None, 5))[0] == (7, None, 3)


# Cells on top of one another, and cells of users


def test_stacked_cells():
    layer = layers.RNN([layers.LSTMCell(3), layers.GRUCell(5), layers.SimpleRNNCell(2)], return_sequences=True, return_state=True)
    layer(X)
    random = np.random.default_rng(9)
    layer.set_weights([random.normal(size=w.shape).astype("float32") for w in layer.weights])
    weights = layer.get_weights()
    first, _, (h, c) = loop(lstm_step, X, weights[:3], [np.zeros((3, 3))] * 2)
    second, _, (g,) = loop(gru_step, first, weights[3:6], [np.zeros((3, 5))])
    third, _, (s,) = loop(simple_step, second, weights[6:], [np.zeros((3, 2))])
    outputs, (got_h, got_c), got_g, got_s = layer(X)
    for got, want in ((outputs, third), (got_h, h), (got_c, c), (got_g, g), (got_s, s)):
        close(got, want)
    again, *_ = layer(X[:, ::-1], initial_state=[[got_h, got_c], got_g, got_s])
    first, _, _ = loop(lstm_step, X[:, ::-1], weights[:3], [h, c])
    second, _, _ = loop(gru_step, first, weights[3:6], [g])
    close(again, loop(simple_step, second, weights[6:], [s])[0])
    assert layer.cell.state_size == [[3, 3], 5, 2]
    assert layer.cell.output_size == 2


class Leaky(layers.Layer):
    """A user's cell: s = rate * s + x w, output 2 s."""

    def __init__(self, units, rate=0.5, **kwargs):
        super().__init__(**kwargs)
        self.units, self.rate, self.state_size = units, rate, units

    def build(self, input_shape):
        self.w = self.add_weight(shape=(input_shape[-1], self.units), name="w")

    def call(self, inputs, states):
        assert isinstance(states, list)
        s = states[0] * self.rate + ops.matmul(inputs, self.w)
        return s * 2.0, [s]


class Plain:
    """A user's cell that is no layer."""

    state_size = 2

    def call(self, inputs, states):
        return inputs + states[0], [inputs + states[0]]


@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "mask"])
def test_cells_of_users(mask):
    layer = layers.RNN(Leaky(3, 0.25), return_sequences=True, return_state=True)
    outputs, state = layer(X, mask=mask)
    step = lambda x, states, w: (2 * (0.25 * states[0] + x @ w), [0.25 * states[0] + x @ w])  # noqa: E731
    every, _, states = loop(step, X, layer.get_weights(), [np.zeros((3, 3))], mask)
    close(outputs, every)
    close(state, states[0])
    twin = layers.RNN.from_config(json.loads(json.dumps(layer.get_config())), custom_objects={"Leaky": Leaky})
    twin(X)
    twin.set_weights(layer.get_weights())
    close(twin(X, mask=mask)[0], every)
    assert twin.cell.rate == 0.25
    stacked = layers.RNN([Leaky(3), Leaky(2)])
    assert stacked(X).shape == (3, 2)


@pytest.mark.parametrize("kind", [layers.SimpleRNNCell, layers.GRUCell])
def test_a_cell_gives_its_one_state_as_it_got_it(kind):
    cell, h = kind(2), np.ones((3, 2), "float32")
    y, alone = cell(X[:, 0], h)
    _, [listed] = cell(X[:, 0], [h])
    close(alone, array(y))
    close(listed, array(y))


def test_cells_that_are_no_layers():
    close(layers.RNN(Plain(), return_sequences=True)(X), np.cumsum(X, axis=1))


# Dropout


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_dropout_holds_for_a_whole_sequence(kind):
    cls = getattr(layers, kind)
    x = np.repeat(normals(10, (50, 1, 11)), 5, axis=1)  # the same at each time
    layer = cls(3, dropout=0.5, recurrent_initializer="zeros", return_sequences=True, seed=4)
    close(layer(x), array(layer(x)))  # inference: nothing is dropped
    y = array(layer(x, training=True))
    if kind == "SimpleRNN":  # without recurrence equal inputs give equal outputs, if the mask is the same
        np.testing.assert_allclose(y, np.repeat(y[:, :1], 5, axis=1), rtol=1e-5, atol=1e-6)
    assert np.abs(y - array(layer(x, training=True))).max() > 1e-3  # another mask at each call
    again = cls(3, dropout=0.5, recurrent_initializer="zeros", return_sequences=True, seed=4)
    again(x)
    again.set_weights(layer.get_weights())
    close(again(x, training=True), y)  # as the seed says


def test_dropped_inputs_keep_their_expectation():
    layer = layers.SimpleRNN(1, activation="linear", dropout=0.3, kernel_initializer="ones", recurrent_initializer="zeros", seed=1)
    y = array(layer(np.ones((2000, 2, 3), "float32"), training=True))
    assert abs(y.mean() - 3.0) < 0.15
    assert set(np.round(np.unique(y) * 0.7)) == {0.0, 1.0, 2.0, 3.0}


@pytest.mark.parametrize("kind", ["SimpleRNN", "LSTM", "GRU"])
def test_recurrent_dropout(kind):
    layer = getattr(layers, kind)(5, recurrent_dropout=0.5, seed=1)
    quiet = array(layer(X))
    close(layer(X, training=False), quiet)
    assert np.abs(array(layer(X, training=True)) - quiet).max() > 1e-3
    one = getattr(layers, kind)(5, recurrent_dropout=0.5, seed=1)
    close(one(X[:, :1], training=True), array(one(X[:, :1])))  # the first state is 0: nothing to drop


def test_recurrent_dropout_is_the_same_at_each_time():
    layer = layers.SimpleRNN(
        1, activation="linear", recurrent_dropout=0.5, kernel_initializer="ones", recurrent_initializer="ones", return_sequences=True, seed=3
    )
    y = array(layer(np.ones((200, 4, 1), "float32"), training=True))[:, :, 0]
    assert {tuple(row) for row in y} == {(1.0, 1.0, 1.0, 1.0), (1.0, 3.0, 7.0, 15.0)}


# Bidirectional


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
@pytest.mark.parametrize("mask", [None, MASK], ids=["plain", "mask"])
@pytest.mark.parametrize("sequences", [True, False])
def test_bidirectional(mode, mask, sequences):
    layer = layers.Bidirectional(layers.GRU(UNITS, return_sequences=sequences), merge_mode=mode)
    layer(X)
    random = np.random.default_rng(11)
    layer.set_weights([random.normal(scale=0.5, size=w.shape).astype("float32") for w in layer.weights])
    weights, zeros = layer.get_weights(), [np.zeros((3, UNITS))]
    ahead, back = loop(gru_step, X, weights[:3], zeros, mask, zero_output=True), loop(gru_step, X, weights[3:], zeros, mask, True, zero_output=True)
    a, b = (ahead[0], back[0][:, ::-1]) if sequences else (ahead[1], back[1])
    expected = {"concat": np.concatenate([a, b], -1), "sum": a + b, "mul": a * b, "ave": (a + b) / 2, None: None}[mode]
    y = layer(X, mask=mask)
    if mode is None:
        close(y[0], a)
        close(y[1], b)
    else:
        close(y, expected)


def test_bidirectional_states():
    layer = layers.Bidirectional(layers.LSTM(UNITS, return_state=True))
    start = list(normals(12, (3, UNITS), (3, UNITS), (3, UNITS), (3, UNITS)))
    _, *after = layer(X, initial_state=start)
    weights = layer.get_weights()
    expected = [*loop(lstm_step, X, weights[:3], start[:2])[2], *loop(lstm_step, X, weights[3:], start[2:], go_backwards=True)[2]]
    for a, b in zip(after, expected, strict=True):
        close(a, b)


def test_bidirectional_with_a_layer_backwards_of_its_own():
    layer = layers.Bidirectional(layers.LSTM(3, name="one"), backward_layer=layers.GRU(5, go_backwards=True, name="other"))
    assert layer(X).shape == (3, 8)
    assert [w.path.split("/")[1] for w in layer.weights] == ["forward_one"] * 3 + ["other"] * 3
    twin = layers.Bidirectional.from_config(json.loads(json.dumps(layer.get_config())))
    twin(X)
    assert twin.get_config() == layer.get_config()


def test_bidirectional_with_a_layer_backwards_of_its_own_shows_zeros_where_masked():
    layer = layers.Bidirectional(
        layers.GRU(3, return_sequences=True), merge_mode=None, backward_layer=layers.LSTM(5, return_sequences=True, go_backwards=True)
    )
    for y in layer(X, mask=MASK):
        np.testing.assert_array_equal(np.any(array(y) != 0, axis=-1), MASK)
    last = layers.Bidirectional(layers.GRU(3, zero_output_for_mask=True), backward_layer=layers.LSTM(5, go_backwards=True, zero_output_for_mask=True))
    assert [last.forward_layer.zero_output_for_mask, last.backward_layer.zero_output_for_mask] == [False, False]


class Doubled(layers.Layer):
    """A layer over time that knows nothing of zero_output_for_mask."""

    def __init__(self, return_sequences=True, go_backwards=False, **kwargs):
        super().__init__(**kwargs)
        self.return_sequences, self.go_backwards, self.return_state, self.stateful = return_sequences, go_backwards, False, False

    def call(self, x, initial_state=None, mask=None, training=None):
        return ops.multiply(ops.flip(x, 1) if self.go_backwards else x, 2.0)


def test_bidirectional_takes_layers_without_zero_output_for_mask():
    np.testing.assert_array_equal(array(layers.Bidirectional(Doubled())(X)), np.concatenate([2 * X, 2 * X], -1))


# TimeDistributed


def test_time_distributed_leaves_masks_to_layers_that_take_them():
    x = normals(21, (2, 5, 3, 7))
    x[0, 1, 2] = x[1, 4] = 0
    masked = layers.Masking()(x)
    for inner in (layers.Dense(4), layers.Flatten(), layers.Conv1D(2, 3)):
        layer = layers.TimeDistributed(inner)
        np.testing.assert_array_equal(array(layer(masked)), array(layer(x)))
    layer = layers.TimeDistributed(layers.LSTM(4))
    close(layer(masked)[0, 1], layer.layer(x[:1, 1], mask=np.array([[True, True, False]]))[0])


def test_time_distributed(normal):
    layer = layers.TimeDistributed(layers.Dense(3))
    x = normal(2, 5, 7, 11)
    y = layer(x)
    kernel, bias = layer.get_weights()
    close(y, x @ kernel + bias)
    image = layers.TimeDistributed(layers.Conv2D(2, 3))
    frames = normal(2, 5, 7, 7, 1)
    y = image(frames)
    close(y[:, 3], array(image.layer(frames[:, 3])))
    assert layer(nyala.Input((None, 7, 11))).shape == (None, None, 7, 3)


def test_time_distributed_statistics_go_step_by_step(normal):
    layer, plain = layers.TimeDistributed(layers.BatchNormalization(momentum=0.5)), layers.BatchNormalization(momentum=0.5)
    x = normal(7, 3, 2) + np.arange(3)[:, None] * 5
    y = layer(x, training=True)
    for t in range(3):
        close(y[:, t], array(plain(x[:, t], training=True)))
    for a, b in zip(layer.get_weights(), plain.get_weights(), strict=True):
        close(a, b)
    close(layer(x), np.stack([array(plain(x[:, t])) for t in range(3)], axis=1))


# Masks


def test_masks_come_from_layers_before_and_go_on():
    words = np.array([[1, 2, 0, 3, 0], [0, 0, 0, 0, 0], [0, 4, 5, 6, 1]])
    embedding = layers.Embedding(7, 2, mask_zero=True)
    layer, step, zeros = made("LSTM", return_sequences=True)
    x = embedding(words)
    y = layer(x)
    close(y, loop(step, array(x), layer.get_weights(), zeros, words != 0)[0])
    np.testing.assert_array_equal(mask_of(y), words != 0)
    last, step, zeros = made("GRU", x=X)
    assert mask_of(last(x)) is None
    states = layers.LSTM(3, return_sequences=True, return_state=True)(x)
    np.testing.assert_array_equal(mask_of(states[0]), words != 0)
    assert [mask_of(s) for s in states[1:]] == [None, None]
    np.testing.assert_array_equal(mask_of(layers.Bidirectional(layers.GRU(2, return_sequences=True))(x)), words != 0)


# Configs and names, as Keras has them


def test_configs():
    common = {
        "name", "trainable", "dtype", "units", "activation", "use_bias", "kernel_initializer", "recurrent_initializer", "bias_initializer",
        "kernel_regularizer",
        "recurrent_regularizer", "bias_regularizer", "kernel_constraint", "recurrent_constraint", "bias_constraint", "dropout", "recurrent_dropout",
    }  # fmt: skip
    sequence = {"return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask"}
    assert set(layers.SimpleRNN(3).get_config()) == common | sequence | {"activity_regularizer"}
    assert set(layers.LSTM(3).get_config()) == common | sequence | {"activity_regularizer", "seed", "recurrent_activation", "unit_forget_bias"}
    assert set(layers.GRU(3).get_config()) == common | sequence | {"activity_regularizer", "seed", "recurrent_activation", "reset_after"}
    assert set(layers.SimpleRNNCell(3).get_config()) == common | {"seed"}
    assert set(layers.RNN(layers.GRUCell(3)).get_config()) == {"name", "trainable", "dtype", "cell"} | sequence
    assert set(layers.Bidirectional(layers.GRU(3)).get_config()) == {"name", "trainable", "dtype", "merge_mode", "layer", "backward_layer"}
    assert layers.SimpleRNN(3, seed=5).get_config()["seed"] == 5  # kept, where Keras forgets it


@pytest.mark.parametrize(
    ("make", "paths"),
    [
        (lambda: layers.LSTM(2, name="a"), ["a/lstm_cell"]),
        (
            lambda: layers.RNN([layers.GRUCell(2, name="g"), layers.LSTMCell(3, name="l")], name="a"),
            ["a/stacked_rnn_cells/g", "a/stacked_rnn_cells/l"],
        ),
        (lambda: layers.Bidirectional(layers.LSTM(2, name="q"), name="a"), ["a/forward_q/lstm_cell", "a/backward_q/lstm_cell"]),
    ],
)
def test_paths(make, paths):
    nyala.utils.clear_session()
    layer = make()
    layer(X)
    assert [w.path for w in layer.weights] == [f"{path}/{name}" for path in paths for name in ("kernel", "recurrent_kernel", "bias")]


def test_build_configs():
    layer = layers.LSTM(2)
    layer.build((3, 5, 2))
    assert layer.get_build_config() == {"input_shape": (3, 5, 2)}
    twin = layers.LSTM(2)
    twin.build_from_config(json.loads(json.dumps(layer.get_build_config())))
    assert [w.shape for w in twin.weights] == [(2, 8), (2, 8), (8,)]


def test_attributes_of_the_cell():
    layer = layers.GRU(3, dropout=0.25, reset_after=False)
    assert (layer.units, layer.dropout, layer.reset_after, layer.use_bias) == (3, 0.25, False, True)
    with pytest.raises(AttributeError, match=r"^'GRU' object has no attribute 'unitz'$"):
        layer.unitz  # noqa: B018


def test_freezing_and_regularizers():
    layer = layers.LSTM(3, kernel_regularizer="l2", trainable=False)
    layer(X)
    assert layer.trainable_weights == []
    layer.trainable = True
    close(layer.losses[0], 0.01 * np.sum(layer.get_weights()[0].astype("float64") ** 2))


# Errors


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.LSTM(0), ArgumentError, "LSTMCell(units) needs an integer of at least 1, got 0."),
        (lambda: layers.GRU(3, dropout=1.5), ArgumentError, "GRUCell(dropout) needs a share from 0 to 1, got 1.5."),
        (lambda: layers.LSTM(3, use_cudnn="yes"), ArgumentError, "LSTM(use_cudnn) needs 'auto', True or False, got 'yes'."),
        (lambda: layers.RNN(layers.Dense(3)), ArgumentTypeError,
         "RNN(cell) needs an object with call(input, states) and state_size, got Dense.\n  fix: see nyala.layers.LSTMCell"),
        (lambda: layers.StackedRNNCells([3]), ArgumentTypeError, "StackedRNNCells(cells) needs cells with call and state_size, got int."),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), ArgumentError,
         "Bidirectional(merge_mode) needs 'sum', 'mul', 'ave', 'concat' or None, got 'max'."),
        (lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)), ArgumentError,
         "Bidirectional(backward_layer) needs a layer that goes the other way, got go_backwards=False in both."),
        (lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3, go_backwards=True, return_state=True)), ArgumentError,
         "Bidirectional(backward_layer) with return_state needs False, as in layer, got True."),
        (lambda: layers.LSTM(3, name="l")(X[0]), ShapeError,
         "LSTM 'l' needs an input with 3 axes (batch, time, features), got shape (5, 2).\n  fix: add the missing axis: x[..., None] for one feature"),
        (lambda: layers.LSTM(3, name="l")(nyala.Input((5, None))), ShapeError,
         "LSTMCell 'lstm_cell' needs an input whose last axis has a known size, got shape (None, None)."),
        (lambda: layers.LSTM(3, stateful=True, name="l")(nyala.Input((5, 2))), StateError,
         "LSTM 'l' with stateful=True needs a fixed batch size, got an unknown one.\n"
         "  fix: nyala.Input(batch_shape=(n, t, d)) or batch_input_shape=(n, t, d)"),
        (lambda: layers.LSTM(3, name="l")(X, initial_state=[np.zeros((3, 3))]), ArgumentError,
         "LSTM 'l'(initial_state) needs 2 states, got 1.\n  fix: pass tensors (batch, size) of sizes [3, 3]"),
        (lambda: layers.GRU(3, name="g")(X, initial_state=np.zeros((3, 5))), ShapeError,
         "GRU 'g'(initial_state) needs states of shapes [(None, 3)], got [(3, 5)]."),
        (lambda: layers.TimeDistributed(layers.Dense(3), name="t")(X[0]), ShapeError,
         "TimeDistributed 't' needs an input with at least 3 axes (batch, time, ...), got shape (5, 2).\n"
         "  fix: apply the layer itself, without TimeDistributed"),
        (lambda: layers.TimeDistributed(layers.Dense), ArgumentTypeError,
         "TimeDistributed(layer) needs a layer, got <class 'nyala.layers.core.dense.Dense'>.\n  fix: make one: Dense(3), not Dense"),
    ],
)  # fmt: skip
def test_errors(make, kind, text):
    with raises(kind, text):
        make()


def test_a_batch_of_another_size_is_refused_by_stateful_layers():
    layer = layers.GRU(3, stateful=True, name="g")
    layer(X)
    with raises(
        ShapeError,
        "GRU 'g' with stateful=True needs batches of 3 samples, got 2.\n"
        "  why: its states go from batch to batch\n"
        "  fix: leave out the last, smaller batch",
    ):
        layer(X[:2])
