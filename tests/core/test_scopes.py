# SPDX-License-Identifier: Apache-2.0
"""StatelessScope, RematScope, device: what programs of Keras do with them."""

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.engines import available_engines, get_engine
from tests.layers.tools import array, close, normals, raises

COMPUTING = [name for name in ("numpy", "jax", "torch") if name in available_engines()]
DIFFERENTIABLE = [name for name in COMPUTING if get_engine(name).differentiable]


@pytest.fixture(params=COMPUTING)
def each_engine(request):
    with nyala.backend(request.param):
        yield request.param


def test_a_stateless_scope(each_engine):
    given, other, free = nyala.Variable([3.0, 5.0]), nyala.Variable(2.0), nyala.Variable(7.0)
    with nyala.StatelessScope(state_mapping=[(given, np.array([1.0, 2.0]))]) as scope:
        close(given.value, [1.0, 2.0])
        other.assign(given[1] * 4)
        assert float(other) == 8
        scope.add_update((free, 9))
        assert float(free) == 9
    close(scope.get_current_value(given), [1.0, 2.0])
    assert float(scope.get_current_value(other)) == 8
    assert nyala.backend.standardize_dtype(scope.get_current_value(free).dtype) == "float32"
    assert scope.get_current_value(nyala.Variable(1.0)) is None
    assert (given.numpy().tolist(), float(other), float(free)) == ([3, 5], 2, 7)
    with nyala.StatelessScope() as outer:
        other.assign(10.0)
        with nyala.StatelessScope() as inner:
            assert float(other) == 10
            other.assign(20.0)
        assert (float(other), float(inner.get_current_value(other)), float(outer.get_current_value(other))) == (10, 20, 10)


class Adds(layers.Layer):
    def call(self, x):
        self.add_loss(ops.sum(x))
        return x


def test_losses_of_a_scope():
    layer, x = Adds(), np.ones((2, 3), "float32")
    with nyala.StatelessScope(collect_losses=True) as scope:
        layer(x)
    assert [float(loss) for loss in scope.losses] == [6.0]
    assert layer.losses == []
    with nyala.StatelessScope() as scope:
        layer(x)
    assert scope.losses == []
    scope.add_loss(3.0)
    assert scope.losses == [3.0]


def test_a_functional_training_step_as_in_keras():
    """Gradients by JAX itself, through a scope and through stateless_call."""
    jax = pytest.importorskip("jax")
    with nyala.backend("jax"):
        layer, x = layers.Dense(3), normals(0, (5, 2))
        layer.build((None, 2))
        values = [v.value for v in layer.trainable_variables]

        def by_scope(values):
            with nyala.StatelessScope(state_mapping=list(zip(layer.trainable_variables, values, strict=True))):
                return ops.sum(ops.square(layer(x)))

        def by_call(values):
            return ops.sum(ops.square(layer.stateless_call(values, [], x)[0]))

        for one, other in zip(jax.jit(jax.grad(by_scope))(values), jax.grad(by_call)(values), strict=True):
            close(one, array(other))


def test_scopes_refuse():
    v = nyala.Variable([1.0, 2.0], name="v")
    with raises(ShapeError, "StatelessScope('v') needs a value of shape (2,), got shape (3,)."):
        nyala.StatelessScope([(v, np.zeros(3))])
    with raises(ArgumentTypeError, "StatelessScope needs pairs (variable, value), got (3, 1.0)."):
        nyala.StatelessScope([(3, 1.0)])
    with raises(ArgumentError, "RematScope(mode) needs one of 'full', 'activations', 'larger_than', 'list_of_layers', or None, got 'all'."):
        nyala.RematScope("all")
    with nyala.SymbolicScope():
        assert nyala.Input((3,)).shape == (None, 3)


# Recomputing


class Counting(layers.Layer):
    """Counts how often its call runs, adds a loss, draws at random and keeps a count."""

    def __init__(self, activation=None, **kwargs):
        super().__init__(**kwargs)
        self.activation, self.runs = activation, 0

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 7), name="kernel")
        self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False, name="calls")
        self.drop = layers.Dropout(0.5, seed=3)

    def call(self, x):
        self.runs += 1
        self.calls.assign_add(1.0)
        x = self.drop(ops.matmul(x, self.kernel))
        self.add_loss(ops.sum(ops.square(x)))
        return ops.tanh(x) if self.activation is None else self.activation(x)


def slopes(layer, x):
    layer.drop.seed_generator.state.assign([3, 0])
    (loss, _), gradients = nyala.value_and_grad(
        lambda: (ops.sum(ops.square(layer(x, training=True))) + sum(layer.losses), None), layer.trainable_variables
    )()
    return float(loss), [array(g) for g in gradients]


@pytest.mark.parametrize("engine", DIFFERENTIABLE)
@pytest.mark.parametrize(
    ("scope", "again"),
    [
        (None, False), ({}, True), ({"mode": None}, False), ({"mode": "larger_than", "output_size_threshold": 34}, True),
        ({"mode": "larger_than", "output_size_threshold": 35}, False), ({"mode": "list_of_layers", "layer_names": ["counts"]}, True),
        ({"mode": "list_of_layers", "layer_names": ["other"]}, False), ({"mode": "activations"}, False),
    ],
)  # fmt: skip
def test_recomputing_changes_nothing_but_the_work(engine, scope, again):
    with nyala.backend(engine):
        x, plain = normals(1, (5, 3)), Counting()
        if scope is None:
            layer = Counting(name="counts")
        else:
            with nyala.RematScope(**scope):
                layer = Counting(name="counts")
        plain(x)
        layer(x)
        layer.set_weights(plain.get_weights())
        expected = slopes(plain, x)
        layer.runs = 0
        loss, gradients = slopes(layer, x)
        assert loss == pytest.approx(expected[0], rel=1e-5)
        close(gradients[0], expected[1][0])
        assert float(layer.calls) == 2
        assert (layer.runs > 1) == (again or bool(scope and scope.get("mode") == "larger_than"))


@pytest.mark.parametrize("engine", DIFFERENTIABLE)
def test_recomputing_activations(engine):
    runs = []

    def activation(x):
        runs.append(1)
        return ops.tanh(x)

    with nyala.backend(engine):
        x, plain = normals(1, (5, 3)), Counting(activation)
        with nyala.RematScope("activations"):
            layer = Counting(activation)
        plain(x)
        layer(x)
        layer.set_weights(plain.get_weights())
        expected, _ = slopes(plain, x), runs.clear()
        close(slopes(layer, x)[1][0], expected[1][0])
        assert len(runs) > 1
        assert layer.activation is activation


def test_models_recompute_and_train():
    x = normals(2, (32, 5))
    losses = []
    for scope in (nyala.RematScope(None), nyala.RematScope()):
        nyala.utils.set_random_seed(3)
        with scope:
            model = nyala.Sequential([layers.Dense(7, "relu", activity_regularizer="l2"), layers.Dropout(0.2), layers.Dense(1)])
        model.compile("adam", "mse")
        losses.append(model.fit(x, x[:, :1], epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_add_metric_says_what_to_do():
    text = r"Identity\.add_metric needs Keras 2, got Keras 3, where it is gone\.\n  fix: make a metric in __init__"
    with pytest.raises(NotImplementedError, match=text):
        layers.Identity().add_metric(1)


# Devices


def test_devices(each_engine):
    with nyala.device("cpu:0"):
        close(ops.add(ops.ones((2,)), 1.0), [2.0, 2.0])
    with nyala.device("CPU"):
        close(ops.ones((2,)), [1.0, 1.0])
    with pytest.raises(ArgumentError, match=r"device\(device_name\) needs one of .*cpu:0.*, got 'gpu:71'"), nyala.device("gpu:71"):
        pass
    with raises(ArgumentTypeError, "device(device_name) needs a name such as 'cpu:0' or 'gpu:1', got 3."), nyala.device(3):
        pass
