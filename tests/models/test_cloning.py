# SPDX-License-Identifier: Apache-2.0
"""clone_model: same architecture, own layers and weights."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.models import clone_model
from tests.models.tools import array, close, raises, randomize


def functional():
    x, y = nyala.Input((3,), name="x"), nyala.Input((3,), name="y")
    shared = layers.Dense(3, name="shared")
    inner = nyala.Sequential([nyala.Input((3,)), layers.Dense(3, name="a")], name="inner")
    return randomize(nyala.Model({"x": x, "y": y}, [shared(x) - shared(y) * 2.0, inner(x)], name="f"))


def sequential():
    return randomize(nyala.Sequential([nyala.Input((3,)), layers.Dense(5, name="a"), layers.Dense(2, name="b")], name="s"))


@pytest.mark.parametrize("make", [functional, sequential])
def test_clones_are_equal_but_independent(make, normal):
    model = make()
    twin = clone_model(model)
    assert type(twin) is type(model)
    assert twin.get_config() == model.get_config()
    assert not {id(w) for w in twin.weights} & {id(w) for w in model.weights}
    assert not {id(layer) for layer in twin.layers} & {id(layer) for layer in model.layers}
    x = {"x": normal(7, 3), "y": normal(7, 3)} if make is functional else normal(7, 3)
    before = [array(t) for t in np.atleast_1d(model(x))] if make is functional else array(model(x))
    twin.set_weights(model.get_weights())
    for a, b in zip(twin(x) if make is functional else [twin(x)], before if make is functional else [before], strict=True):
        close(a, b)
    twin.set_weights([w + 1.0 for w in twin.get_weights()])
    close(model(x)[0] if make is functional else model(x), before[0] if make is functional else before)


def test_clone_function_sees_every_layer_but_inputs():
    seen = []

    def wider(layer):
        seen.append(layer.name)
        config = layer.get_config()
        return type(layer).from_config({**config, "units": 7} if config.get("name") == "a" else config)

    twin = clone_model(sequential(), clone_function=wider)
    assert seen == ["a", "b"]
    assert [w.shape for w in twin.weights] == [(3, 7), (7,), (7, 2), (2,)]


def test_recursive_goes_into_nested_models():
    flat, deep = [], []
    clone_model(functional(), clone_function=lambda layer: flat.append(layer.name) or type(layer).from_config(layer.get_config()))
    clone_model(functional(), clone_function=lambda layer: deep.append(layer.name) or type(layer).from_config(layer.get_config()), recursive=True)
    assert (sorted(flat), sorted(deep)) == (["inner", "shared"], ["a", "shared"])


def test_call_function_makes_the_calls(normal):
    x = nyala.Input((3,))
    model = nyala.Model(x, layers.Dense(3)(x))
    twin = clone_model(model, call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs) * 2.0)
    twin.set_weights(model.get_weights())
    values = normal(2, 3)
    close(twin(values), 2.0 * array(model(values)))


def test_input_tensors(normal):
    wide = nyala.Input(batch_shape=(7, 3), name="other")
    twin = clone_model(sequential(), input_tensors=wide)
    assert twin.input_shape == (7, 3)
    x = nyala.Input((3,), name="p")
    z = nyala.Input((3,), name="q")
    assert clone_model(functional(), input_tensors=[x, z]).input_names == ["p", "q"]
    with raises(ArgumentError, "clone_model(input_tensors) needs 2 tensors, got 1."):
        clone_model(functional(), input_tensors=[x])
    with raises(ArgumentError, "clone_model(input_tensors) needs 1 tensor, got 2."):
        clone_model(sequential(), input_tensors=[wide, x])
    for model in (sequential(), functional()):
        with raises(ArgumentTypeError, "clone_model(input_tensors) needs symbolic tensors, from nyala.Input, got ndarray."):
            clone_model(model, input_tensors=[normal(5, 3), x])


def test_functions_that_make_no_copy():
    for model in (sequential(), functional()):
        with pytest.raises(ArgumentTypeError, match=r"clone_model\(clone_function\) needs a function that returns a layer, got None for '"):
            clone_model(model, clone_function=lambda layer: None)
    text = "clone_model(call_function) needs a functional model, got a Sequential.\n  why: it lists layers, and calls none"
    with raises(ArgumentError, text):
        clone_model(sequential(), call_function=lambda layer, x: layer(x))


def test_unbuilt_frozen_and_subclassed(normal):
    unbuilt = clone_model(nyala.Sequential([layers.Dense(2)]))
    assert not unbuilt.built
    frozen = sequential()
    frozen.trainable = False
    assert clone_model(frozen).trainable_weights == []
    for model in (functional(), sequential()):
        model.trainable = False
        assert not clone_model(model).trainable

    class Own(nyala.Model):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units, self.d = units, layers.Dense(units)

        def call(self, x):
            return self.d(x)

    assert clone_model(Own(3))(normal(2, 5)).shape == (2, 3)
    with raises(ArgumentError, "clone_model needs a Sequential or functional model for these arguments, got a subclass, Own."):
        clone_model(Own(3), clone_function=lambda layer: layer)


def test_refused():
    with raises(ArgumentTypeError, "clone_model(model) needs a model, got Dense."):
        clone_model(layers.Dense(2))
    with raises(ArgumentTypeError, "clone_model needs arguments that it knows, got ['deep']."):
        clone_model(sequential(), deep=True)
