# SPDX-License-Identifier: Apache-2.0
"""Sequential: ways to begin it, to grow and shrink it, and what may not go in."""

import copy
import pickle

import numpy as np
import pytest

import nyala
from nyala import Sequential, layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, NotYetError, ShapeError, StateError
from tests.models.tools import array, close, dense, raises, randomize


def chain():
    return randomize(Sequential([nyala.Input((3,), name="x"), layers.Dense(5, name="a"), layers.Dense(2, name="b")], name="chain"))


def answer(model, x):
    return dense(model.get_layer("b"), dense(model.get_layer("a"), x))


@pytest.mark.parametrize(
    "begin",
    [
        lambda: [nyala.Input((3,)), layers.Dense(5, name="a")],
        lambda: [layers.InputLayer(input_shape=(3,)), layers.Dense(5, name="a")],
        lambda: [layers.Dense(5, input_shape=(3,), name="a")],
        lambda: [layers.Dense(5, input_dim=3, name="a")],
        lambda: [layers.Dense(5, batch_input_shape=(None, 3), name="a")],
    ],
)
def test_ways_to_begin(begin, normal):
    model = Sequential([*begin(), layers.Dense(2, name="b")])
    assert model.built
    assert (model.input_shape, model.output_shape) == ((None, 3), (None, 2))
    assert [layer.name for layer in model.layers] == ["a", "b"]
    x = normal(7, 3)
    close(randomize(model)(x), answer(model, x))


def test_without_a_shape_it_is_built_by_the_first_call_or_by_build(normal):
    by_call, by_build = (Sequential([layers.Dense(5, name="a"), layers.Dense(2, name="b")]) for _ in range(2))
    assert not by_call.built
    assert by_call.weights == []
    with raises(
        StateError,
        "Sequential 'sequential'.output needs a model whose input shape is known, got one that has seen no data.\n"
        "  fix: begin it with nyala.Input(shape), or call it once",
    ):
        by_call.output  # noqa: B018
    by_call(normal(7, 3))
    by_build.build((7, 3))
    assert by_call.input_shape == (None, 3)
    assert by_build.input_shape == (7, 3)
    x = normal(2, 3)
    for model in (by_call, by_build):
        close(randomize(model)(x), answer(model, x))
        assert model.output.shape[1:] == (2,)
        assert [t.shape for t in model.inputs] == [model.input_shape]


def test_add_and_pop(normal):
    model = Sequential()
    model.add(nyala.Input((3,)))
    model.add(layers.Dense(5, name="a"))
    model.add(layers.Dense(2, name="b"))
    model.add(layers.Dense(7, name="c"))
    assert model.pop().name == "c"
    x = normal(2, 3)
    close(randomize(model)(x), answer(model, x))
    model.add(layers.Activation("tanh"))
    close(model(x), np.tanh(answer(model, x)))
    assert model.output_shape == (None, 2)


def test_functions_are_layers(normal):
    model = Sequential([nyala.Input((3,)), lambda x: x * 2.0])
    x = normal(2, 3)
    close(model(x), 2.0 * x)


def test_nested_and_one_model_in_another(normal):
    inner = chain()
    outer = randomize(Sequential([inner, layers.Dense(1, name="end")], name="outer"))
    x = normal(7, 3)
    close(outer(x), dense(outer.get_layer("end"), answer(inner, x)))
    assert outer.input_shape == (None, 3)
    tail = nyala.Model(inner.inputs, layers.Dense(4)(inner.output))
    assert tail.output_shape == (None, 4)


def test_lists_of_one_array_and_dtypes_of_the_first_layer(normal):
    model, x = chain(), normal(7, 3)
    close(model([x]), answer(model, x))
    words = Sequential([layers.Embedding(7, 3), layers.GlobalAveragePooling1D()])
    words.build((None, 5))
    assert words.input.dtype == "int32"


def test_paths_of_weights_begin_with_its_name():
    inner = Sequential([layers.Dense(2, name="q")], name="inner")
    model = Sequential([nyala.Input((3,)), inner, layers.Dense(4, name="z")], name="outer")
    assert [w.path for w in model.weights] == ["outer/inner/q/kernel", "outer/inner/q/bias", "outer/z/kernel", "outer/z/bias"]
    later = Sequential([layers.Dense(3, name="z")], name="later")
    later(np.zeros((2, 3)))
    assert [w.path for w in later.weights] == ["later/z/kernel", "later/z/bias"]


class Dense:
    """A layer of another library."""

    __module__ = "keras.src.layers.core.dense"

    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: Sequential([layers.Dense]), ArgumentTypeError, "Sequential 'sequential'.add needs a layer, got the class Dense.\n"
        "  fix: make one: Dense(...)"),
        (lambda: Sequential([Dense()]), ArgumentTypeError, "Sequential 'sequential'.add needs a layer of Nyala, got Dense from 'keras'.\n"
        "  fix: use nyala.layers.Dense"),
        (lambda: Sequential([3]), ArgumentTypeError, "Sequential 'sequential'.add needs a layer of Nyala, got int from 'builtins'."),
        (lambda: Sequential(layers.Dense(2, name="d")), ArgumentTypeError,
         "Sequential(layers) needs a list of layers, got <Dense name=d, built=False>.\n  fix: put it into a list: Sequential([...])"),
        (lambda: Sequential([layers.Dense(2, name="d"), layers.Dense(3, name="d")]), ArgumentError,
         "Sequential 'sequential'.add needs a layer with a name of its own, got 'd', which it has already.\n  fix: pass name= to the layer"),
        (lambda: Sequential([layers.Dense(2), nyala.Input((3,))]), ArgumentError,
         "Sequential 'sequential'.add needs an Input only at the beginning, got one after 1 layers."),
        (lambda: Sequential().pop(), StateError, "Sequential 'sequential'.pop needs at least one layer, got none."),
        (lambda: Sequential([])(np.zeros((2, 3))), StateError, "Sequential 'sequential' needs at least one layer, got none.\n"
        "  fix: add layers first"),
        (lambda: Sequential([layers.Dense(2)]).build(None), ArgumentError,
         "Sequential 'sequential'.build needs one shape, the batch axis included, got None."),
        (lambda: Sequential([nyala.Input((3,)), layers.Dense(2)]).build((None, 5)), ShapeError,
         "Sequential 'sequential'.build(input_shape) needs (None, 3), for which it is built, got (None, 5).\n"
         "  fix: make a new model for another shape"),
        (lambda: Sequential([nyala.Input((3, 5)), layers.LSTM(2, return_state=True, name="l")]), ArgumentTypeError,
         "Sequential 'sequential' needs layers with one output each, got LSTM 'l', which gives a tuple.\n"
         "  fix: use the functional API: nyala.Model(inputs, outputs)"),
        (lambda: Sequential([nyala.Input((3,)), layers.LSTM(2, name="l")]), ShapeError,
         "LSTM 'l' needs an input with 3 axes (batch, time, features), got shape (None, 3).\n"
         "  fix: add the missing axis: x[..., None] for one feature"),
    ],
)  # fmt: skip
def test_what_does_not_go(make, kind, text):
    with raises(kind, text):
        make()


def test_a_layer_that_does_not_fit_leaves_the_model_as_it_was(normal):
    model, x = chain(), normal(2, 3)
    with pytest.raises(ShapeError):
        model.add(layers.LSTM(2))
    close(model(x), answer(model, x))
    assert [layer.name for layer in model.layers] == ["a", "b"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))], ids=["deepcopy", "pickle"])
def test_copies(duplicate, normal):
    model, x = chain(), normal(7, 3)
    twin = duplicate(model)
    close(twin(x), answer(model, x))
    twin.set_weights([0 * w for w in twin.get_weights()])
    assert np.abs(array(model(x))).max() > 0
    assert (twin.input_shape, twin.output_shape) == ((None, 3), (None, 2))
    close(nyala.Model(twin.input, twin.get_layer("a").output)(x), dense(twin.get_layer("a"), x))
    twin.add(layers.Dense(4))
    assert twin.output_shape == (None, 4)


def test_stateful_layers_keep_the_batch_size_of_build_and_of_the_first_call(normal):
    for begin in (lambda m: m.build((2, 3, 5)), lambda m: m(normal(2, 3, 5))):
        model = Sequential([layers.SimpleRNN(2, stateful=True)])
        begin(model)
        assert model.input_shape == (2, 3, 5)


def test_training_reaches_the_layers(normal):
    model, x = Sequential([nyala.Input((3,)), layers.Dropout(0.5)]), np.abs(normal(50, 3)) + 1.0
    close(model(x), x)
    y = array(model(x, training=True))
    assert 0.2 < (y == 0).mean() < 0.8
    assert ops.shape(y) == (50, 3)


def test_begins_with_a_sequential_that_has_seen_no_data(normal):
    x = normal(5, 3)
    inner = Sequential([Sequential([layers.Dropout(0.5), layers.Dense(2, name="a")])])
    model = Sequential([inner, layers.Dense(7, name="b")])
    assert not model.built
    y = model(x)
    close(y, dense(model.get_layer("b"), dense(inner.layers[0].get_layer("a"), x)))
    assert (model.input_shape, inner.output_shape) == ((None, 3), (None, 2))
    twin = Sequential.from_config(model.get_config())
    assert [w.shape for w in twin.weights] == [(3, 2), (2,), (2, 7), (7,)]
    ids = Sequential([Sequential([layers.Embedding(5, 3)]), layers.Flatten()])
    assert ids(np.array([[1, 4]])).shape == (1, 6)
    assert ids.inputs[0].dtype == "int32"


def test_what_only_a_built_model_has_is_an_attribute_that_others_lack():
    model, rnn = Sequential([layers.Dense(2)]), layers.LSTM(2)
    assert not any(hasattr(model, name) for name in ("input", "output", "inputs", "outputs", "input_shape", "output_shape"))
    assert getattr(layers.Dense(2), "output", None) is None
    with raises(NotYetError, "LSTM 'lstm'.output needs a call on symbolic tensors, got none.\n  fix: call it on an Input first"):
        rnn.output  # noqa: B018
    assert not hasattr(rnn, "heads")
    assert rnn.units == 2
