# SPDX-License-Identifier: Apache-2.0
"""Errors that people met in Keras and could not read: what is said here instead, in full, where no other test of the mistake stands.

docs/migrating.md lists all of them with the test of each.
"""

import warnings

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, CorruptFileError, StateError, StructureError, UnknownObjectError, UnsafeObjectError
from nyala.testing import installed_engines
from tests.training.tools import X, Y, linear, raises

ENGINES = [engine.name for engine in installed_engines()]
COMPILE = [engine.name for engine in installed_engines() if engine.compiles]
VALUES = (
    "{} needs the values of a tensor, but shapes are being inferred and there is no value here.\n"
    "  fix: choose with ops.cond or ops.where instead of if and while, and pass sizes and settings as plain Python numbers"
)


def sequential(layer):
    config = {"layers": [{"module": "keras.layers", "registered_name": None, **layer}]}
    return {"module": "keras", "class_name": "Sequential", "config": config, "registered_name": None}


def load(layer):
    import json

    return nyala.models.model_from_json(json.dumps(sequential(layer)))


def test_the_tensors_of_a_sequential_model():
    """Never called: "and thus has no defined input"."""
    model = nyala.Sequential([layers.Dense(2), layers.Dense(1)], name="net")
    text = (
        "Sequential 'net'.{} needs a model whose input shape is known, got one that has seen no data.\n"
        "  fix: begin it with nyala.Input(shape), or call it once"
    )
    for name in ("input", "output"):
        with raises(StateError, text.format(name)):
            getattr(model, name)
    model(X)
    features = nyala.Model(model.input, model.layers[0].output)
    np.testing.assert_allclose(features.predict(X), np.asarray(model.layers[0](X)), rtol=1e-5, atol=1e-6)


def test_what_is_no_layer():
    """Must be an instance of class Layer."""
    model = nyala.Sequential(name="net")
    with raises(ArgumentTypeError, "Sequential 'net'.add needs a layer of Nyala, got object from 'builtins'."):
        model.add(object())


def test_paths_that_hold_no_model(tmp_path, monkeypatch):
    """File format not supported: a missing file, an empty path, another kind of file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with raises(ArgumentError, "load_model('nowhere.keras') needs a file, got nothing at that path.\n  rule: file-missing"):
        nyala.saving.load_model("nowhere.keras")
    with raises(ArgumentError, "load_model('') needs a path, got an empty one."):
        nyala.saving.load_model("")
    text = (
        "load_model('notes.txt') needs a file of a model or of weights, got one that begins with b'hello'.\n"
        "  why: it is none of HDF5, zip, safetensors and JSON\n  fix: get the file again\n  rule: file-unknown"
    )
    with raises(CorruptFileError, text):
        nyala.saving.load_model("notes.txt")


def test_a_class_that_nobody_knows():
    """Could not locate class: near names, and the two ways out."""
    text = (
        "model_from_json(json_string) at /config/layers/0: the config of 'Dens' needs a class or function that is public as 'layers', "
        "registered or given, got 'Dens' from module 'keras.layers'; near: Dense.\n"
        "  why: a config is data: nothing is imported because a file names it\n"
        "  fix: pass custom_objects={'Dens': Dens}, or put @nyala.saving.register_keras_serializable() above its definition\n"
        "  rule: object-unknown"
    )
    with raises(UnknownObjectError, text):
        load({"class_name": "Dens", "config": {"name": "d", "units": 2}})


def test_a_lambda_as_code():
    """Deserialization of a Lambda disallowed: from JSON too there is a way."""
    function = {"class_name": "__lambda__", "config": {"code": "4wEAAA==", "defaults": None, "closure": None}}
    layer = {"class_name": "Lambda", "config": {"name": "scale", "function": function}}
    text = (
        "model_from_json(json_string) at /config/layers/0/config/function: a config needs objects that are data, "
        "got the bytes of a lambda, which are code.\n"
        "  why: a config holds no code: nothing in a file is ever run\n"
        "  fix: write the function with def, and pass it in custom_objects under the name of its layer\n"
        "  rule: object-lambda"
    )
    with raises(UnsafeObjectError, text):
        load(layer)


def test_metrics_of_an_output_that_is_not_there():
    """Key does not correspond to any model output: keys are those of the dict, not names of layers."""
    x = nyala.Input((3,))
    model = nyala.Model(x, {"b": layers.Dense(1, name="one")(x), "c": layers.Dense(1, name="two")(x)})
    text = "compile(metrics) needs the output names ['b', 'c'] as keys, got ['{}'].\n  fix: use these names, or name the output layers with name="
    for name in ("d", "one"):
        model.compile("sgd", "mse", metrics={name: "mae"})
        with raises(StructureError, text.format(name)):
            model.evaluate(X, {"b": Y, "c": Y}, verbose=0)


class Careless(layers.Layer):
    """Asks for values while the model is only being made."""

    def __init__(self, question):
        super().__init__(name="careless")
        self.question = question

    def call(self, x):
        return x * self.question(ops.max(x))


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        (lambda most: 1 if most > 0 else -1, "bool(), if, while, and, or, not"),
        (float, "float()"),
        (lambda most: np.asarray(most) + 1, "conversion to a NumPy array"),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_values_where_there_are_none(question, asked, engine):
    """ConcretizationTypeError, UnexpectedTracerError: one sentence, before anything is compiled. Engines that compile nothing have the values."""
    with nyala.backend(engine):
        if engine not in COMPILE:
            assert nyala.Sequential([nyala.Input((3,)), Careless(question)]).predict(X).shape == X.shape
            return
        with raises(TypeError, VALUES.format(asked)):
            nyala.Sequential([nyala.Input((3,)), Careless(question)])
        with raises(TypeError, VALUES.format(asked)):
            nyala.jit(Careless(question).call)(X)


def test_functions_of_other_libraries_in_a_model():
    """A KerasTensor cannot be used as input to a function of another library: what to write instead."""
    x = nyala.Input((3,), name="x")
    got = "got shape (None, 3), dtype float32, and no values: it stands for the data a model will get.\n"
    fix = "  fix: use nyala.ops in the model, or make a Model and call it on data"
    if "torch" in ENGINES:
        import torch

        text = "torch function 'squeeze' needs tensors with values, got a symbolic tensor.\n"
        with raises(StateError, text + "  fix: use nyala.ops.squeeze if there is one, or put the call in a layer or Lambda"):
            torch.squeeze(x)
    if "jax" in ENGINES:
        import jax.numpy as jnp

        with raises(StateError, "a JAX function of the symbolic tensor 'x' needs a tensor with values, " + got + fix):
            jnp.squeeze(x)
    with raises(StateError, "numpy.array of the symbolic tensor 'x' needs a tensor with values, " + got + fix):
        np.exp(x)


def test_an_optimizer_meets_new_variables():
    """Unknown variable: this optimizer can only be called for the variables it was built with. It takes them."""
    engine = next((e.name for e in installed_engines() if e.differentiable and not e.compiles), "jax")
    with nyala.backend(engine), warnings.catch_warnings():
        warnings.simplefilter("error")
        model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2, name="below", trainable=False), layers.Dense(1, name="above")])
        model.compile(nyala.optimizers.Adam(0.1), "mse")
        model.fit(X, Y, verbose=0)
        frozen = model.layers[0].get_weights()[0]
        model.layers[0].trainable = True
        model.fit(X, Y, verbose=0)
        assert not np.allclose(model.layers[0].get_weights()[0], frozen)
        other = linear()
        other.compile(model.optimizer, "mse")
        other.fit(X, Y, verbose=0)


def test_a_target_for_each_step_may_have_weights_of_classes():
    """class_weight not supported for targets with 3 or more dimensions: it is."""
    engine = next((e.name for e in installed_engines() if e.differentiable), "jax")
    with nyala.backend(engine):
        model = nyala.Sequential([nyala.Input((5, 3)), layers.Dense(4, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        steps, labels = np.ones((6, 5, 3), "float32"), np.arange(30).reshape(6, 5, 1) % 4
        assert np.isfinite(model.fit(steps, labels, class_weight={0: 1.0, 1: 5.0, 2: 0.0, 3: 1.0}, verbose=0).history["loss"][0])


@pytest.mark.parametrize(("call", "text"), [
    (
        lambda: nyala.utils.normalize(np.ones((2, 3)), axis=None),
        "normalize(axis) needs one axis, an integer, got None.\n  fix: divide by the norm of all: x / np.linalg.norm(x)",
    ),
    (
        lambda: nyala.Sequential([layers.Dense(1)], name="linear").get_layer(index=0.5),
        "Model 'linear'.get_layer(index) needs an integer, got 0.5.\n  fix: for a name pass name=",
    ),
    (
        lambda: nyala.Sequential([layers.Dense(1)], name="linear").get_layer(index="last"),
        "Model 'linear'.get_layer(index) needs an integer, got 'last'.\n  fix: for a name pass name=",
    ),
    (lambda: nyala.config.set_epsilon("a"), "set_epsilon(value) needs a number between 0 and 1, got 'a'."),
    (
        lambda: nyala.config.set_image_data_format(None),
        "set_image_data_format(data_format) needs one of ('channels_last', 'channels_first'), got None.",
    ),
])  # fmt: skip
def test_arguments_of_another_kind(call, text):
    with pytest.raises((ArgumentError, ArgumentTypeError)) as caught:
        call()
    assert str(caught.value) == text


@pytest.mark.parametrize(("size", "fix"), [(4, "\n  fix: pass (4, 4)"), ((4,), "")])
def test_the_size_of_an_image_is_two_numbers(size, fix, tmp_path):
    nyala.utils.save_img(tmp_path / "image.png", np.zeros((5, 6, 3)))
    with pytest.raises(ArgumentError) as caught:
        nyala.utils.load_img(tmp_path / "image.png", target_size=size)
    assert str(caught.value) == f"load_img(target_size) needs None or (height, width), got {size!r}.{fix}"


def test_functions_of_numpy_in_a_lambda():
    with pytest.raises(ArgumentTypeError) as caught:
        layers.Lambda(np.log)(nyala.Input((3,)))
    assert str(caught.value) == (
        "a function on symbolic tensors needs functions of nyala.ops, got one of NumPy.\n"
        "  why: NumPy computes on arrays, and these tensors have no values yet\n"
        "  fix: write nyala.ops.log for np.log, and the like"
    )
