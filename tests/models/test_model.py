# SPDX-License-Identifier: Apache-2.0
"""Models as programs: subclasses, their weights, freezing, and what building costs."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, LookupFailed, ShapeError
from nyala.testing import installed_engines
from tests.models.tools import array, close, dense, raises, randomize


class Tower(nyala.Model):
    """Layers as attributes, in a list and in a dict."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = layers.Dense(3, name="first")
        self.middle = [layers.Dense(5, name="middle_0"), layers.Dense(7, name="middle_1")]
        self.ends = {"b": layers.Dense(units, name="end"), "drop": layers.Dropout(0.5, name="drop")}

    def call(self, x, training=None):
        x = self.first(x)
        for layer in self.middle:
            x = layer(x)
        return self.ends["b"](self.ends["drop"](x, training=training))


def answer(model, x):
    for layer in (model.first, *model.middle, model.ends["b"]):
        x = dense(layer, x)
    return x


@pytest.mark.parametrize(
    "begin", [lambda m: m(np.zeros((7, 11))), lambda m: m.build((None, 11)), lambda m: m(nyala.Input((11,)))], ids=["call", "build", "symbol"]
)
def test_built_by_call_or_shape(begin, normal):
    model = Tower(name="tower")
    assert model.weights == []
    begin(model)
    assert model.built
    x = normal(2, 11)
    close(randomize(model)(x), answer(model, x))
    assert [layer.name for layer in model.layers] == ["first", "middle_0", "middle_1", "end", "drop"]
    assert [w.path for w in model.weights][:2] == ["tower/first/kernel", "tower/first/bias"]
    assert model.count_params() == 11 * 3 + 3 + 3 * 5 + 5 + 5 * 7 + 7 + 7 * 2 + 2
    assert model.compute_output_shape((None, 11)) == (None, 2)


def test_get_layer_and_its_errors():
    model = Tower(name="tower")
    assert model.get_layer("end") is model.ends["b"]
    assert model.get_layer(index=1) is model.middle[0]
    names = ["first", "middle_0", "middle_1", "end", "drop"]
    with raises(LookupFailed, f"Model 'tower'.get_layer needs the name of one of its layers, got 'ende'.\n  fix: it has {names}"):
        model.get_layer("ende")
    with raises(LookupFailed, "Model 'tower'.get_layer needs an index below 5, got 5."):
        model.get_layer(index=5)
    with raises(ArgumentError, "get_layer needs a name or an index, got neither."):
        model.get_layer()
    with raises(ArgumentError, "get_layer needs a name or an index, got both."):
        model.get_layer("end", 3)


def test_set_weights_is_all_or_nothing(normal):
    model = Tower(name="tower")
    with raises(
        ArgumentError,
        "Tower 'tower'.set_weights needs 0 arrays, got 1.\n"
        "  why: it is not built yet: call it once, or build(input_shape)\n"
        "  fix: shapes in order: []",
    ):
        model.set_weights([np.zeros(3)])
    model.build((None, 11))
    before = model.get_weights()
    wrong = [w + 1.0 for w in before]
    wrong[5] = np.zeros((7, 5))
    with raises(ShapeError, "Tower 'tower'.set_weights needs shape (7,) for 'tower/middle_1/bias', got (7, 5).\n  fix: no weight was changed"):
        model.set_weights(wrong)
    with pytest.raises(ArgumentError):
        model.set_weights(wrong[:3])
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    model.get_weights()[0][:] = 9.0  # copies
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_freezing():
    model = Tower()
    model.middle[0].trainable = False  # before it is built
    model.build((None, 11))
    assert (len(model.trainable_weights), len(model.non_trainable_weights), len(model.weights)) == (6, 2, 8)
    model.trainable = False
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (0, 8)
    assert not model.ends["b"].trainable
    model.trainable = True  # sets all below
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (8, 0)
    model.first.trainable = False
    assert [w.name for w in model.non_trainable_weights] == ["kernel", "bias"]
    assert [w.path.split("/")[-2] for w in model.weights][:2] == ["first", "first"]  # the order does not change


def test_frozen_statistics_stay_frozen():
    model = nyala.Sequential([nyala.Input((3,)), layers.BatchNormalization(), layers.Dense(2)])
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (4, 2)
    model.trainable = False
    model.trainable = True
    assert (len(model.trainable_weights), len(model.non_trainable_weights)) == (4, 2)


def test_arguments_and_config(normal):
    model = Tower(units=3, name="tower")
    config = model.get_config()
    assert (config["units"], config["name"]) == (3, "tower")
    assert Tower.from_config(config)(normal(2, 11)).shape == (2, 3)
    with raises(ArgumentError, "Model(...) needs both inputs and outputs, symbolic tensors, or keyword arguments only, got outputs."):
        nyala.Model(outputs=nyala.Input((3,)))


class Wired(nyala.Model):
    """A subclass that is a graph."""

    def __init__(self, units, **kwargs):
        x = nyala.Input((3,), name="x")
        super().__init__(x, layers.Dense(units, name="d")(x), **kwargs)
        self.units = units

    def twice(self, x):
        return self(x) * 2.0

    def get_config(self):
        return {"units": self.units, "name": self.name}


@pytest.mark.parametrize("duplicate", [lambda m: m, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["itself", "deepcopy", "pickle"])
def test_a_subclass_can_be_a_graph(duplicate, normal):
    model = duplicate(randomize(Wired(2, name="wired")))
    x = normal(7, 3)
    assert isinstance(model, Wired)
    assert isinstance(model, nyala.Model)
    assert model.output_shape == (None, 2)
    close(model.twice(x), 2.0 * dense(model.get_layer("d"), x))
    close(Wired.from_config(model.get_config())(x).shape, (7, 2))
    close(nyala.Model(model.input, model.output)(x), array(model(x)))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies_of_subclasses_trained_or_not(duplicate, normal):
    model, x = Tower(), normal(5, 11)
    with nyala.backend(next(engine.name for engine in installed_engines() if engine.differentiable)):
        model(x)
        model.compile("sgd", "mse")
        model.train_on_batch(x, normal(5, 2))
        twin = duplicate(model)
        close(twin(x), array(model(x)))
        twin.train_on_batch(x, normal(5, 2))
        assert np.abs(array(twin(x)) - array(model(x))).max() > 1e-6


def test_what_is_missing_in_a_subclass():
    class Empty(nyala.Model):
        pass

    with pytest.raises(NotImplementedError, match=r"^Empty needs a method call\(self, inputs\)"):
        Empty()(np.zeros((2, 3)))


def test_building_and_showing_a_model_loads_no_engine():
    program = """
import sys, nyala
x = nyala.Input((7, 5))
y = nyala.layers.MultiHeadAttention(2, 3)(nyala.layers.LSTM(5, return_sequences=True)(x), x)
model = nyala.Model(x, nyala.layers.Dense(2)(y[:, 0] * 2 + 1))
nyala.Sequential([model, nyala.layers.Dense(2)]).summary(print_fn=lambda text: None)
model.summary(print_fn=lambda text: None)
nyala.models.model_from_json(model.to_json())
print([name for name in ("jax", "torch", "tensorflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


class Scales(layers.Layer):
    """Weights made by add_weight and as attributes, in the constructor and in build."""

    def __init__(self, shared=None, **kwargs):
        super().__init__(**kwargs)
        self.factor = self.add_weight(shape=(3,), name="factor")
        self.shared = shared
        self.plain = nyala.Variable(np.ones(3, "float32"), name="plain")

    def build(self, shape):
        self.late = self.add_weight(shape=(3,), name="late")

    def call(self, x):
        return x * self.factor * self.plain * self.late


def test_weights_are_named_after_their_layer_and_come_in_the_order_in_which_they_were_made(normal):
    """As in Keras, whose files number them so."""
    layer = Scales(nyala.Variable(np.ones(2, "float32"), name="before"), name="scales")
    layer(normal(2, 3))
    assert [w.path for w in layer.weights] == ["before", "scales/factor", "plain", "scales/late"]
    tied = layers.Dense(3, name="tied")
    tied.build((None, 2))
    layer = Scales(tied.kernel, name="scales")
    layer(normal(2, 3))
    assert [w.path for w in layer.weights] == ["scales/factor", "plain", "scales/late", "tied/kernel"]
    inside = nyala.Sequential([nyala.Input((3,)), Scales(name="scales")], name="model")
    assert [w.path for w in inside.weights] == ["scales/factor", "plain", "model/scales/late"]
    generator = nyala.random.SeedGenerator(3, name="draws")
    assert generator.state.path == "draws/seed_generator_state"


def test_losses_are_those_of_the_last_call_and_none_of_inferred_shapes():
    class Sum(nyala.layers.Layer):
        def call(self, x):
            self.add_loss(ops.sum(x))
            return x

    class Own(nyala.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = Sum(), Sum()

        def call(self, x):
            self.add_loss(10 * ops.sum(x))
            return self.second(self.first(x) + 1) + self.first(x)

    x = np.ones((2, 3), "float32")
    losses = lambda layer: [float(loss) for loss in layer.losses]  # noqa: E731
    model = Own()
    model.build((None, 3))
    assert model.losses == []
    model(nyala.Input((3,)))
    model.compute_output_shape((5, 3))
    assert model.losses == []
    for _ in range(2):
        model(x)
        assert losses(model) == [60, 6, 6, 12]
    model.first(x)
    assert losses(model) == [60, 6, 12]
    model.predict(x, verbose=0)
    assert model.losses == []
    chain = nyala.Sequential([Sum(), model])
    for _ in range(2):
        chain(x)
        assert losses(chain) == [6, 60, 6, 6, 12]
    wrapped = nyala.Model(inputs := nyala.Input((3,)), chain(inputs))
    assert wrapped.losses == []
    wrapped(x)
    assert losses(wrapped) == [6, 60, 6, 6, 12]
