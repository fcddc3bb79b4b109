# SPDX-License-Identifier: Apache-2.0
"""Recurrence against plain loops in float64: gates, masks, directions; gradients against finite differences."""

import numpy as np
import pytest
from scipy.special import expit

import nyala
from nyala.core.variable import Variable
from nyala.engines import backend, current
from nyala.ops.nn_recurrence import gru_sequence, lstm_sequence, recurrent
from tests.ops.table import Row, bools, checks, engines, normal


def loop(step, projected, states, mask, go_backwards):
    outputs = []
    for t in reversed(range(projected.shape[1])) if go_backwards else range(projected.shape[1]):
        new = step(projected[:, t], *states)
        seen = np.ones(projected.shape[0], bool) if mask is None else mask[:, t]
        states = [np.where(seen[:, None], a, b) for a, b in zip(new, states, strict=True)]
        outputs.append(states[0])
    return (np.stack(outputs, 1), *states)


def lstm(inputs, hidden, cell, kernel, recurrent_kernel, bias=None, mask=None, go_backwards=False):
    def step(x, h, c):
        i, f, g, o = np.split(x + h @ recurrent_kernel, 4, -1)
        c = expit(f) * c + expit(i) * np.tanh(g)
        return expit(o) * np.tanh(c), c

    return loop(step, inputs @ kernel + (0 if bias is None else bias), [hidden, cell], mask, go_backwards)


def gru(inputs, hidden, kernel, recurrent_kernel, bias=None, recurrent_bias=None, mask=None, go_backwards=False, reset_after=True):
    def step(x, h):
        (xz, xr, xh), (uz, ur, uh) = np.split(x, 3, -1), np.split(recurrent_kernel, 3, -1)
        bz, br, bh = np.split(np.zeros(kernel.shape[1]) if recurrent_bias is None else recurrent_bias, 3)
        z, r = expit(xz + h @ uz + bz), expit(xr + h @ ur + br)
        candidate = np.tanh(xh + (r * (h @ uh + bh) if reset_after else (r * h) @ uh))
        return [z * h + (1 - z) * candidate]

    return loop(step, inputs @ kernel + (0 if bias is None else bias), [hidden], mask, go_backwards)


LSTM = [normal(2, 5, 7), normal(2, 3), normal(2, 3), normal(7, 12), normal(3, 12)]
GRU = [normal(2, 5, 7), normal(2, 3), normal(7, 9), normal(3, 9)]

ROWS = [
    Row(
        lstm_sequence,
        lstm,
        LSTM,
        [{}, {"go_backwards": True}],
        takes="",
        more=[
            ([*LSTM, normal(12)], {}),
            ([*LSTM, normal(12), bools(2, 5)], {}),
            ([*LSTM, None, bools(2, 5)], {"go_backwards": True}),
        ],
        errors=[(LSTM, {"activation": "swish"}, "activation needs a function, 'tanh' or 'sigmoid', got 'swish'.")],
    ),
    Row(
        gru_sequence,
        gru,
        GRU,
        [{}, {"go_backwards": True}],
        takes="",
        more=[
            ([*GRU, normal(9), normal(9)], {}),
            ([*GRU, normal(9), normal(9), bools(2, 5)], {}),
            ([*GRU, None, normal(9), bools(2, 5)], {"go_backwards": True}),
            ([*GRU, normal(9), None], {"reset_after": False}),
        ],
    ),
]

globals().update(checks(ROWS))

X = np.arange(6.0, dtype="float32").reshape(1, 3, 2) + 1  # sums 3, 7, 11
START = [[10.0]]


def total(x, states):
    """The output is the state."""
    new = nyala.ops.sum(x, 1, keepdims=True) + states[0]
    return new, [new]


def shifted(x, states):
    """The output is not the state."""
    new, _ = total(x, states)
    return new + 100.0, [new]


@pytest.mark.parametrize("name", engines())
@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize(
    ("step", "mask", "options", "expected"),
    [
        (total, None, {}, [13, 20, 31]),
        (total, None, {"go_backwards": True}, [21, 28, 31]),
        (total, [1, 0, 1], {}, [13, 13, 24]),
        (total, [0, 1, 0], {}, [10, 17, 17]),
        (total, [0, 1, 1], {"go_backwards": True}, [21, 28, 28]),
        (total, [0, 1, 0], {"zero_output_for_mask": True}, [0, 17, 0]),
        (shifted, None, {}, [113, 120, 131]),
        (shifted, [1, 0, 1], {}, [113, 113, 124]),
        (shifted, [0, 1, 0], {}, [0, 117, 117]),
        (shifted, [0, 1, 0], {"zero_output_for_mask": True}, [0, 117, 0]),
    ],
)
def test_masks_and_directions(name, unroll, step, mask, options, expected):
    with backend(name):
        mask = None if mask is None else np.array([mask], bool)
        last, outputs, states = recurrent(step, X, [nyala.ops.array(START)], mask, unroll=unroll, **options)
        again, nothing, _ = recurrent(step, X, [nyala.ops.array(START)], mask, unroll=unroll, return_all=False, **options)
        values = nyala.ops.convert_to_numpy(outputs).ravel()
        np.testing.assert_array_equal(values, expected)
        assert float(last[0, 0]) == float(again[0, 0]) == max(values)
        assert float(states[0][0, 0]) == max(values) - (100 if step is shifted else 0)
        assert nothing is None


@pytest.mark.parametrize("name", engines())
def test_trees_of_inputs_and_states_and_variables_of_the_step(name):
    counter = Variable(0.0)

    def step(x, states):
        counter.assign_add(1.0)
        new = {"sum": states["sum"] + x["a"], "product": states["product"] * x["b"]}
        return new["sum"] + counter, new

    with backend(name):
        inputs = {"a": np.array([[[1.0], [2.0], [3.0]]], "float32"), "b": np.array([[[2.0], [3.0], [4.0]]], "float32")}
        states = {"sum": np.zeros((1, 1), "float32"), "product": np.ones((1, 1), "float32")}
        _, outputs, after = recurrent(step, inputs, states, np.ones((1, 3), bool))
        np.testing.assert_array_equal(nyala.ops.convert_to_numpy(outputs).ravel(), [2.0, 5.0, 9.0])
        assert float(after["product"][0, 0]) == 24.0
        assert float(counter) == 3.0


@pytest.mark.parametrize("name", [name for name in engines() if name != "numpy"])
def test_gradient_goes_through_time(name):
    with backend(name):
        engine = current()
        loss = lambda xs: (engine.sum(recurrent(total, xs[0], [nyala.ops.array(START)], np.array([[True, False, True]]))[1], (0, 1, 2), False), None)  # noqa: E731
        _, (gradient,) = engine.value_and_grad(loss)([engine.asarray(X)])
        np.testing.assert_array_equal(engine.to_numpy(gradient)[0], [[3, 3], [0, 0], [1, 1]])
