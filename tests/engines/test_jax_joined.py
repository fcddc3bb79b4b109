# SPDX-License-Identifier: Apache-2.0
"""Convolutions of the JAX engine joined to what follows them: the same values, one kernel, and nothing joined that somebody else reads."""

import functools
import random

import numpy as np
import pytest

import nyala

pytest.importorskip("jax")
import jax
import jax.numpy as jnp
from jax import lax

from nyala.core import twins
from nyala.engines import _jax_joined as joining
from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_windows as windows

pytestmark = pytest.mark.usefixtures("kernels_of_jax")


RNG = np.random.default_rng(7)
X = RNG.normal(size=(3, 21, 22, 18)).astype(np.float32)
KERNEL = RNG.normal(size=(3, 3, 18, 40), scale=0.08).astype(np.float32)
ROW = RNG.normal(size=40).astype(np.float32)
WHOLE = RNG.normal(size=(3, 21, 22, 40)).astype(np.float32)
SHAPE = (3, 21, 22, 40)


def conv(x, kernel=KERNEL):
    return windows.conv(x, kernel, (1,) * (x.ndim - 2), ((1, 1),) * (x.ndim - 2), (1,) * (x.ndim - 2), 1)


def pool(y, k=2, step=2):
    return lax.reduce_window(y, -jnp.inf, lax.max, (1, k, k, 1), (1, step, step, 1), "VALID")


def primitives(function, *args):
    return [equation.primitive.name for equation in jax.make_jaxpr(joining.joined(function))(*args).jaxpr.eqns]


def same(got, expected):
    for one, other in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=0, atol=3e-5 * max(1, float(jnp.abs(other).max())))


def check(function, *args, joined):
    """joined: what of the traced program may be left, besides work on channels; None: nothing is joined."""
    args = args or (X, ROW, WHOLE)
    same(jax.jit(joining.joined(function))(*args), jax.jit(function)(*args))
    found = primitives(function, *args)
    assert found.count("nyala_finished_convolution") == (0 if joined is None else 1)
    if joined is not None:
        small = {"reshape", "broadcast_in_dim", "nyala_finished_convolution", "neg", "mul", "add", "sub", "rsqrt", "squeeze"}
        large = [name for name in found if name not in small]
        assert large == joined


@pytest.mark.parametrize(
    "function",
    [
        lambda x, row, whole: conv(x) + row,
        lambda x, row, whole: row + conv(x),
        lambda x, row, whole: conv(x) * row - row,
        lambda x, row, whole: jnp.maximum(conv(x), 0),
        lambda x, row, whole: nyala.ops.relu(conv(x) + row),
        lambda x, row, whole: jnp.maximum((conv(x) + row - row * 2) * (row + 1) + row + whole, 0),
        lambda x, row, whole: whole + conv(x),
        lambda x, row, whole: (conv(x) + whole) + row,
        lambda x, row, whole: conv(x) * 2.5 + 1,
        lambda x, row, whole: pool(conv(x)),
        lambda x, row, whole: pool(nyala.ops.relu(conv(x) * row + whole), 3, 3),
        lambda x, row, whole: jax.jit(lambda y: y + row)(conv(x)),
    ],
)
def test_what_is_joined(function):
    check(function, joined=[])


@pytest.mark.parametrize(
    ("function", "left"),
    [
        (lambda x, row, whole: jnp.tanh(conv(x) + row), ["tanh"]),
        (lambda x, row, whole: jnp.exp(jnp.maximum(conv(x), 0) + row), ["exp"]),  # what follows relu is XLA's
        (lambda x, row, whole: pool(conv(x) + row, 3, 2), ["reduce_window_max"]),  # pools that overlap
        (lambda x, row, whole: jnp.sum(pool(pool(conv(x)))), ["reduce_window_max", "reduce_sum"]),
        (lambda x, row, whole: jnp.maximum(conv(x) + row, row), ["max"]),
        (lambda x, row, whole: jnp.maximum(conv(x) + row, 1.0), ["max"]),
        (
            lambda x, row, whole: jnp.sum(lax.slice(row, (0,), (22,)).reshape(22, 1) + (conv(x) + row)),
            ["slice", "reduce_sum"],
        ),  # not one number for each channel
        (lambda x, row, whole: jnp.sum((conv(x) + row) * whole), ["reduce_sum"]),
    ],
)
def test_what_is_left_to_xla(function, left):
    check(function, joined=left)


@pytest.mark.parametrize(
    "function",
    [
        conv,
        lambda x: conv(x).astype("float16"),
        lambda x: jnp.tanh(conv(x)),
        lambda x: (lambda y: (y, y + 1))(conv(x)),  # two readers
        lambda x: (lambda y: y + y)(conv(x)),
        lambda x: 1 - conv(x),
        lambda x: conv(x.astype("float16"), KERNEL.astype("float16")) + 1,
        lambda x: conv(x[:, :3, :3, :2], KERNEL[:, :, :2, :4]) + 1,  # too small
        lambda x: conv(x[:, :, :19]) + 1,  # as large as all of a small network: 7.8 million
        lambda x: windows.conv(x, KERNEL[:, :, :9], (1, 1), ((1, 1), (1, 1)), (1, 1), 2) + 1,  # groups
        lambda x: windows.conv(x, KERNEL[:1, :1], (1, 1), ((0, 0), (0, 0)), (1, 1), 1) + 1,  # a product
        lambda x: jnp.sum(x) + 1,
    ],
)
def test_what_is_not_joined(function):
    check(function, X, joined=None)


def test_a_value_that_two_read_is_computed_once():
    def two(x, row):
        y = jnp.maximum(conv(x) + row, 0)
        return y, y * 2

    check(two, X, ROW, joined=[])
    residual = lambda x, row: (lambda y: jnp.maximum(conv(y[..., :18]) + y, 0))(jnp.maximum(conv(x) + row, 0))  # noqa: E731
    assert primitives(residual, X, ROW).count("nyala_finished_convolution") == 2
    same(jax.jit(joining.joined(residual))(X, ROW), jax.jit(residual)(X, ROW))


def test_two_convolutions_added_are_one_with_something_to_add():
    function = lambda x, row: jnp.maximum(conv(x) * row + conv(x * 2) * 3, 0)  # noqa: E731
    assert primitives(function, X, ROW).count("nyala_finished_convolution") == 2
    assert "max" not in primitives(function, X, ROW)
    same(jax.jit(joining.joined(function))(X, ROW), jax.jit(function)(X, ROW))


def test_rows_strides_and_dilation():
    kernel = KERNEL[0]
    x = np.concatenate([X.reshape(3, -1, 18)] * 4)
    check(lambda x, row: jnp.maximum(conv(x, kernel) + row, 0), x, ROW, joined=[])
    for strides, padding, dilation in [((2, 1), ((0, 1), (2, 0)), (1, 1)), ((1, 1), ((0, 0), (0, 0)), (2, 3))]:
        function = lambda x, row: jnp.maximum(windows.conv(x, KERNEL, strides, padding, dilation, 1) + row, 0)  # noqa: E731, B023
        check(function, np.concatenate([X] * 3), ROW, joined=[])


@pytest.mark.parametrize("seed", range(60))
def test_any_chain_of_operations(seed):
    rng = random.Random(seed)
    operations = {
        "bias": lambda y: y + ROW[: y.shape[-1]],
        "scale": lambda y: y * ROW[: y.shape[-1]],
        "center": lambda y: y - ROW.reshape(1, 1, 1, -1),
        "residual": lambda y: y + jnp.resize(WHOLE, y.shape),
        "relu": lambda y: nyala.ops.relu(y),
        "maximum": lambda y: jnp.maximum(0.0, y),
        "double": lambda y: 2 * y,
        "negative": lambda y: -y,
        "self": lambda y: y + 0.5 * y,
        "tanh": jnp.tanh,
        "pool": lambda y: pool(y) if min(y.shape[1:3]) >= 2 else y,
        "tall": lambda y: lax.reduce_window(y, -jnp.inf, lax.max, (1, 2, 1, 1), (1, 2, 1, 1), "VALID") if y.shape[1] >= 2 else y,
        "nested": jax.jit(lambda y: jnp.maximum(y + ROW, 0)),
        "row": lambda y: y + jnp.arange(y.shape[2], dtype=y.dtype)[:, None],
        "again": lambda y: conv(y[..., :18]),
    }
    chain = [rng.choice(list(operations)) for _ in range(rng.randint(1, 7))]
    function = lambda x: functools.reduce(lambda y, name: operations[name](y), chain, conv(x))  # noqa: E731
    same(jax.jit(joining.joined(function))(X), jax.jit(function)(X))


@pytest.mark.parametrize("gradients", [False, True])
def test_transposed_convolutions_with_strides_are_not_joined(gradients):
    x = WHOLE  # 40 channels to 18

    def function(x, row):
        y = windows.conv_input_gradient(x, KERNEL, (3, 42, 44, 18), (2, 2), ((0, 1), (0, 1)), (1, 1), 1)
        return nyala.ops.relu(y + row[:18])

    if gradients:
        loss = lambda values: (jnp.sum(jnp.sin(function(values["x"], values["row"]))), ())  # noqa: E731
        values = {"x": x, "row": ROW}
        step = lambda values: jax.value_and_grad(joining.differentiable(loss), has_aux=True)(values)  # noqa: E731
        same(jax.jit(joining.joined(step))(values), jax.jit(jax.value_and_grad(loss, has_aux=True))(values))
    else:
        same(jax.jit(joining.joined(function))(x, ROW), jax.jit(function)(x, ROW))
        assert "nyala_finished_convolution" not in primitives(function, x, ROW)


def test_a_convolution_before_one_that_is_not_joined_is_computed_once():
    small = KERNEL[:, :, :3, :2]
    function = lambda x, row: conv(jnp.maximum(conv(x) + row, 0)[:, :4, :4, :3], small)  # noqa: E731
    assert primitives(function, X, ROW).count("nyala_finished_convolution") == 1
    grouped = lambda x, row: windows.conv(conv(x) + row, KERNEL[:, :, :2], (1, 1), ((1, 1), (1, 1)), (1, 1), 20)  # noqa: E731
    assert primitives(grouped, X, ROW).count("nyala_finished_convolution") == 1
    for each in (function, grouped):
        same(jax.jit(joining.joined(each))(X, ROW), jax.jit(each)(X, ROW))


def test_programs_without_convolutions_do_not_wait_for_the_kernels(monkeypatch):
    monkeypatch.setattr(kernels._kernels, "ready", lambda: pytest.fail("it waited"))
    assert jax.jit(joining.joined(lambda x: x + 1))(X[0, 0, 0])[0] == X[0, 0, 0, 0] + 1
    small = jax.jit(joining.joined(lambda x: jax.nn.relu(conv(x[:1, :4, :4, :3], KERNEL[:, :, :3, :5]))))(X)
    assert small.shape == (1, 4, 4, 5)


def test_results_of_any_kind():
    function = lambda tree: {"y": conv(tree["x"]) + 1, "n": None, "same": tree["x"], "rest": [tree["row"], 2.0]}  # noqa: E731
    got = jax.jit(joining.joined(function))({"x": X, "row": ROW})
    same(got, jax.jit(function)({"x": X, "row": ROW}))
    assert jax.tree.structure(got) == jax.tree.structure(function({"x": X, "row": ROW}))


def network():
    nyala.utils.set_random_seed(3)
    layers = nyala.layers
    inputs = nyala.Input((20, 24, 16))
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    y = layers.Conv2D(32, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    y = layers.Activation("relu")(y)
    y = layers.BatchNormalization()(layers.Conv2D(32, 3, padding="same")(y))
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.MaxPooling2D()(layers.Conv2D(48, 3, activation="relu")(x))
    model = nyala.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    for variable in model.variables:
        variable.assign(RNG.uniform(0.5, 1, variable.shape) if "moving" in variable.name or "gamma" in variable.name else variable)
    return model


def test_a_network_predicts_as_without_kernels(monkeypatch):
    model, x = network(), RNG.normal(size=(32, 20, 24, 16)).astype(np.float32)
    called, found = [], []
    finished = kernels.finished_convolution
    monkeypatch.setattr(kernels, "finished_convolution", lambda *args, **kwargs: called.append(kwargs) or finished(*args, **kwargs))
    for usable in (True, False):
        monkeypatch.setattr(kernels._kernels, "usable", usable)
        twins.forget()
        again = nyala.models.clone_model(model)
        again.set_weights(model.get_weights())
        found.append([again.predict(x, verbose=0), np.asarray(again(x))])
    assert len(called) >= 4  # four convolutions
    assert any(call["pool"] == (2, 2) for call in called)
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=0, atol=1e-5 * np.abs(found[1][0]).max())
    np.testing.assert_allclose(found[0][1], found[1][1], rtol=0, atol=1e-5 * np.abs(found[1][0]).max())


def test_side_effects_and_random_numbers_stay_in_order():
    seen = []

    def function(x):
        y = conv(x) + 1
        jax.debug.callback(lambda value: seen.append(float(value)), jnp.max(y))
        return jnp.maximum(y, 0) + jax.random.normal(jax.random.key(1), ())

    same(jax.jit(joining.joined(function))(X), jax.jit(function)(X))
    jax.effects_barrier()
    assert len(seen) == 2
    assert seen[0] == pytest.approx(seen[1], rel=1e-5)


# With gradients ---------------------------------------------------------------------------------------------------------------------------

ARGS = {"x": X, "kernel": KERNEL, "row": ROW, "whole": WHOLE}


def tiles(y, k=2):
    return windows.max_pool(y, (k, k), (k, k), ((0, 0), (0, 0)))


def twice(y):
    return y.repeat(2, 1).repeat(2, 2)


def with_gradients(function, joining_them, order=1):
    """values -> the sum of the sines of its results, and its gradients; of order 2 those of the sum of their squares."""

    def loss(values):
        y = function(values["x"], values["kernel"], values["row"], values["whole"])
        return jnp.sum(jnp.sin(y)), {"y": y, "text": "kept", "none": None}

    def gradients(values):
        (value, aux), found = jax.value_and_grad(joining.differentiable(loss) if joining_them else loss, has_aux=True)(values)
        assert aux["text"] == "kept"
        return value, aux["y"], found

    if order == 1:
        return gradients
    return jax.grad(lambda values: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(gradients(values)[2])))


def names(function, *args):
    """Of all primitives in a program, also within calls."""

    def walk(jaxpr):
        for equation in jaxpr.eqns:
            yield equation.primitive.name
            for value in equation.params.values():
                yield from walk(value.jaxpr) if hasattr(value, "jaxpr") else ()

    return list(walk(jax.make_jaxpr(joining.joined(function))(*args).jaxpr))


BLOCKS = {
    "bias": lambda x, k, row, whole: conv(x, k) + row,
    "center": lambda x, k, row, whole: conv(x, k) - row,
    "relu": lambda x, k, row, whole: nyala.ops.relu(conv(x, k) + row),
    "relu alone": lambda x, k, row, whole: nyala.ops.relu(conv(x, k)),
    "residual": lambda x, k, row, whole: nyala.ops.relu(whole + (conv(x, k) + row)),
    "pool": lambda x, k, row, whole: tiles(conv(x, k)),
    "relu and pool": lambda x, k, row, whole: tiles(nyala.ops.relu(conv(x, k) + row)),
    "pool of 3": lambda x, k, row, whole: tiles(nyala.ops.relu(conv(x, k) + row + whole), 3),
    "called": lambda x, k, row, whole: jax.jit(lambda y: nyala.ops.relu(y + row))(conv(x, k)),
    "strides": lambda x, k, row, whole: tiles(nyala.ops.relu(windows.conv(jnp.tile(x, (3, 1, 1, 1)), k, (2, 1), ((0, 1), (2, 0)), (1, 1), 1) + row)),
    "again": lambda x, k, row, whole: tiles(nyala.ops.relu(conv(twice(tiles(nyala.ops.relu(conv(x, k) + row)))[..., :18], k) + row)),
}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("block", BLOCKS)
def test_gradients_of_what_is_joined(block, order):
    expected = jax.jit(with_gradients(BLOCKS[block], False, order))(ARGS)
    function = with_gradients(BLOCKS[block], True, order)
    same(jax.jit(joining.joined(function))(ARGS), expected)
    found = names(function, ARGS)
    kind = "nyala_pooled_convolution" if "pool" in block or block in ("strides", "again") else "nyala_finished_convolution"
    assert found.count(kind) >= (2 if block == "again" else 1)
    assert kind not in names(with_gradients(BLOCKS[block], False, order), ARGS)


def test_gradients_of_convolutions_along_one_axis():
    values = {**ARGS, "x": np.concatenate([X.reshape(3, -1, 18)] * 4), "kernel": KERNEL[0]}

    def function(x, kernel, row, whole):
        y = nyala.ops.relu(windows.conv(x, kernel, (1,), ((2, 1),), (1,), 1) + row)
        return windows.max_pool(y, (4,), (4,), ((0, 0),))  # of 463: the last three are in none

    expected = jax.jit(with_gradients(function, False))(values)
    joined = with_gradients(function, True)
    same(jax.jit(joining.joined(joined))(values), expected)
    assert "nyala_pooled_gradient" in names(joined, values)


@pytest.mark.parametrize("block", ["relu", "relu and pool", "residual"])
def test_gradients_of_each_of_some(block):
    """vmap of value_and_grad: the composed forms, which are mapped."""
    several = jax.tree.map(lambda leaf: np.stack([leaf, leaf * 0.5, -leaf]), ARGS)
    expected = jax.jit(jax.vmap(with_gradients(BLOCKS[block], False)))(several)
    joined = jax.vmap(with_gradients(BLOCKS[block], True))
    same(jax.jit(joining.joined(joined))(several), expected)


def test_gradients_of_sums_of_columns():
    g, weights = RNG.normal(size=(3000, 40)).astype(np.float32), RNG.normal(size=40).astype(np.float32)
    assert kernels.totals(g) is not None
    assert kernels.totals(g[:100]) is None
    slope = jax.jit(jax.grad(lambda g: jnp.sum(kernels.totals(g) * weights)))(g)
    np.testing.assert_array_equal(slope, np.broadcast_to(weights, g.shape))
    np.testing.assert_allclose(jax.jvp(kernels.totals, (g,), (g * 2,))[1], 2 * g.sum(0), rtol=0, atol=1e-3)


def test_slopes_of_a_pool_of_equals_go_to_the_first():
    function = lambda values: (jnp.sum(tiles(nyala.ops.relu(conv(values["x"]) + values["row"]))), ())  # noqa: E731
    values = {"x": jnp.ones_like(X), "row": ROW}  # pixels within the image are all the same
    plain = jax.jit(jax.grad(lambda values: function(values)[0]))(values)
    same(jax.jit(joining.joined(lambda values: jax.grad(joining.differentiable(function), has_aux=True)(values)[0]))(values), plain)


@jax.custom_jvp
def guided(x):
    return jnp.maximum(x, 0)


guided.defjvp(lambda primals, tangents: (guided(*primals), tangents[0] * (primals[0] > 0) * 3))


@jax.custom_jvp
def raised(x, by):
    return x + by


raised.defjvp(lambda primals, tangents: (raised(*primals), tangents[0] * 5))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, k, row, whole: guided(conv(x, k)),  # with a derivative of its own
        lambda x, k, row, whole: raised(conv(x, k), whole),
        lambda x, k, row, whole: jnp.maximum(conv(x, k), 0),  # which divides slopes among equals
        lambda x, k, row, whole: pool(conv(x, k)),
        lambda x, k, row, whole: conv(x, k) * row,  # whose gradient needs what is between
        lambda x, k, row, whole: (lambda y: y * nyala.ops.sigmoid(y))(conv(x, k)),
        lambda x, k, row, whole: conv(x[:, :3, :3, :2], k[:, :, :2, :4]) + 1,  # too small
        lambda x, k, row, whole: windows.conv(x, k[:1, :1], (1, 1), ((0, 0), (0, 0)), (1, 1), 1) + row,  # a product
        lambda x, k, row, whole: jnp.sum(x) * row,
    ],
)
def test_gradients_of_what_is_not_joined(function):
    expected = jax.jit(with_gradients(function, False))(ARGS)
    joined = with_gradients(function, True)
    same(jax.jit(joining.joined(joined))(ARGS), expected)
    assert not {"nyala_finished_convolution", "nyala_pooled_convolution"} & {*names(joined, ARGS)}


def test_only_programs_that_are_compiled_are_gone_through(monkeypatch):
    monkeypatch.setattr(jax, "make_jaxpr", lambda *args, **kwargs: pytest.fail("it was"))
    value, _, gradients = with_gradients(BLOCKS["relu"], True)(ARGS)
    assert gradients["x"].shape == X.shape
    assert np.isfinite(value)


def test_a_network_trains_as_without_joining(monkeypatch):
    x, y = RNG.normal(size=(48, 20, 24, 16)).astype(np.float32), RNG.normal(size=(48, 3)).astype(np.float32)
    model, found, called = network(), [], []
    block, differentiable = joining._block, joining.differentiable
    monkeypatch.setattr(joining, "_block", lambda *args: called.append(args[-1]) or block(*args))
    for way in (differentiable, lambda function: function):
        monkeypatch.setattr(joining, "differentiable", way)
        twins.forget()
        again = nyala.models.clone_model(model)
        again.set_weights(model.get_weights())
        again.compile(nyala.optimizers.SGD(0.01), "mse")
        losses = again.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0).history["loss"]
        found.append((losses, again.get_weights(), len(called)))
    assert {each.pool for each in called} == {(1, 1), (2, 2)}
    assert found[0][2] == found[1][2]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * max(1, np.abs(other).max()))
