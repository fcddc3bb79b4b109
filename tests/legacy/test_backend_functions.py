# SPDX-License-Identifier: Apache-2.0
"""The functions of `keras.backend` against NumPy and against what Keras's own give: words, defaults and edges."""

import numpy as np
import pytest

import nyala.legacy.k as K
from nyala import backend, ops
from nyala.core.errors import ArgumentError
from nyala.testing import installed_engines
from tests.ops.table import host

ENGINES = [engine.name for engine in installed_engines()]


def draws(*shape):
    return np.random.default_rng(sum(shape)).normal(size=shape).astype("float32")


@pytest.mark.parametrize("engine", ENGINES)
def test_words_of_then(engine):
    a, b = draws(3, 5), draws(5, 3).T
    with backend(engine):
        np.testing.assert_array_equal(host(K.maximum(x=a, y=b)), np.maximum(a, b))
        np.testing.assert_array_equal(host(K.minimum(x=a, y=b)), np.minimum(a, b))
        for ours, theirs in [
            (K.equal, np.equal), (K.not_equal, np.not_equal), (K.greater, np.greater), (K.greater_equal, np.greater_equal),
            (K.less, np.less), (K.less_equal, np.less_equal),
        ]:  # fmt: skip
            np.testing.assert_array_equal(host(ours(x=a, y=b)), theirs(a, b))
        np.testing.assert_array_equal(host(K.reshape(x=a, shape=(5, 3))), a.reshape(5, 3))


@pytest.mark.parametrize("engine", ENGINES)
def test_the_root_of_what_is_below_0_is_0(engine):
    x = draws(3, 5)
    with backend(engine):
        np.testing.assert_allclose(host(K.sqrt(ops.array(x))), np.sqrt(np.maximum(x, 0)), 1e-6)


def test_variables_of_zeros_and_ones():
    for make, number in ((K.zeros, 0), (K.ones, 1)):
        for shape, dtype in (((3, 5), None), ((), "int32")):
            value = K.get_value(make(shape, dtype=dtype))
            assert value.dtype == (dtype or "float32")
            np.testing.assert_array_equal(value, np.full(shape, number))


@pytest.mark.parametrize("engine", ENGINES)
def test_bias_of_each_place(engine):
    for shape in [(2, 3, 5), (2, 3, 5, 7), (2, 3, 5, 7, 4)]:
        x, last, first = draws(*shape), draws(*shape[1:]), draws(*shape[2:], 3)
        with backend(engine):
            np.testing.assert_array_equal(host(K.bias_add(x, last, data_format="channels_last")), x + last)
            np.testing.assert_array_equal(host(K.bias_add(x, first, data_format="channels_first")), x + first.reshape(x.shape[1:]))
    with pytest.raises(ArgumentError, match="data_format needs 'channels_first' or 'channels_last', got 'first'"):
        K.bias_add(x, last, data_format="first")


def test_ranges_of_floats_stay_floats():
    np.testing.assert_array_equal(host(K.arange(1.0, 3.0, 0.5)), np.arange(1, 3, 0.5, "float32"))
    assert K.arange(1.0, 3.0).dtype == np.float32
    assert K.arange(3).dtype == np.int32


def test_integers_by_chance():
    x = host(K.random_uniform((300,), minval=2, maxval=7, dtype="int32", seed=3))
    assert x.dtype == np.int32
    assert set(x) == {2, 3, 4, 5, 6}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ignore", [None, 1])
def test_outputs_that_do_not_add_up_to_1_are_shares(engine, ignore):
    output, target = np.abs(draws(7, 3)).clip(0.05, 0.9), np.array([0, 2, 1, 1, 0, 2, 2])
    expected = -np.log((output / output.sum(-1, keepdims=True))[np.arange(7), target])
    with backend(engine):
        found = host(K.sparse_categorical_crossentropy(ops.array(target), ops.array(output), ignore_class=ignore))
    np.testing.assert_allclose(found, np.where(target == ignore, 0, expected), 1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_binary_cross_entropy_of_certainties(engine):
    output, target = np.array([0, 1, 0, 1, 0.3, 0.8], "float32"), np.array([0, 1, 1, 0, 1, 0], "float32")
    limit = -np.log(2e-7)
    expected = [0, 0, limit, limit, -np.log(0.3), -np.log(0.2)]
    with backend(engine):
        given = ops.array(target), ops.array(output)
        np.testing.assert_allclose(host(K.binary_crossentropy(*given)), expected, 2e-2, 1e-6)
        np.testing.assert_allclose(host(K.binary_crossentropy(*given))[4:], expected[4:], 1e-5)
        focal = host(K.binary_focal_crossentropy(*given, gamma=2.0))
    np.testing.assert_allclose(focal, np.array(expected) * np.array([0, 0, 1, 1, 0.7**2, 0.8**2]), 2e-2, 1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_last_output_of_a_loop(engine):
    x, start = draws(3, 5, 2), np.zeros((3, 2), "float32")
    mask = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 1, 0], [0, 0, 1, 1, 1]], bool)
    summed = np.cumsum(x * mask[..., None], 1)

    def step(now, states):
        total = ops.add(now, states[0])
        return total, [total]

    with backend(engine):
        for time_major in (False, True):
            way = (lambda a: np.swapaxes(a, 0, 1)) if time_major else (lambda a: a)
            given = {"mask": ops.array(way(mask)), "time_major": time_major}
            last, outputs, states = K.rnn(step, ops.array(way(x)), [ops.array(start)], return_all_outputs=False, **given)
            np.testing.assert_allclose(host(last), summed[:, -1], 1e-5)
            np.testing.assert_allclose(way(host(outputs)), summed[:, -1:], 1e-5)
            np.testing.assert_allclose(host(states[0]), summed[:, -1], 1e-5)
            for some in ({}, {"return_all_outputs": False}):
                last, outputs, states = K.rnn(step, ops.array(way(x)), [ops.array(start)], zero_output_for_mask=True, **given, **some)
                np.testing.assert_allclose(host(last), summed[:, -1] * mask[:, -1:], 1e-5)
                kept = summed * mask[..., None]
                np.testing.assert_allclose(way(host(outputs)), kept[:, -1:] if some else kept, 1e-5)
                np.testing.assert_allclose(host(states[0]), summed[:, -1], 1e-5)
