# SPDX-License-Identifier: Apache-2.0
"""Objects in the form of Keras 2: there and back, and what is refused. Names and forms are those that Keras 3.15.1 gives."""

import pytest

import nyala
from nyala.core.errors import ArgumentError, ArgumentTypeError, UnknownObjectError
from nyala.legacy.saving import deserialize_keras_object, serialize_keras_object

KNOWN = {
    "Dense": nyala.layers.Dense,
    "Adam": nyala.optimizers.Adam,
    "relu": nyala.activations.relu,
    "MeanSquaredError": nyala.losses.MeanSquaredError,
}


@pytest.mark.parametrize("thing", [nyala.layers.Dense(3, "tanh", name="d"), nyala.optimizers.Adam(0.25), nyala.losses.MeanSquaredError(name="e")])
def test_objects_come_back(thing):
    written = serialize_keras_object(thing)
    assert set(written) == {"class_name", "config"} and written["class_name"] == type(thing).__name__
    found = deserialize_keras_object(written, KNOWN)
    assert type(found) is type(thing) and found.get_config() == thing.get_config()


def test_functions_go_by_their_names():
    assert serialize_keras_object(nyala.activations.relu) == "relu" and serialize_keras_object(None) is None
    assert deserialize_keras_object("relu", KNOWN) is nyala.activations.relu
    assert deserialize_keras_object("MeanSquaredError", KNOWN).name == "mean_squared_error"
    assert deserialize_keras_object(None) is None and deserialize_keras_object(3.5) == 3.5


def test_custom_objects_come_first():
    class Mine(nyala.layers.Dense):
        pass

    assert type(deserialize_keras_object({"class_name": "Dense", "config": {"units": 2}}, KNOWN, {"Dense": Mine})) is Mine


@pytest.mark.parametrize(
    ("identifier", "kind", "text"),
    [
        ("tanh", UnknownObjectError, "needs a loss of the name 'tanh' in module_objects, custom_objects or among those registered, got none"),
        ({"class_name": "relu", "config": {}}, ArgumentTypeError, "needs a class of the name 'relu'"),
        (
            {"class_name": "Dense"},
            ArgumentError,
            r"the config of a loss needs 'class_name', a string, and 'config', a dict, got a dict with \['class_name'\]",
        ),
        ({"class_name": ["Dense"], "config": {}}, ArgumentError, "needs 'class_name', a string"),
    ],
)
def test_what_is_refused(identifier, kind, text):
    with pytest.raises(kind, match=text):
        deserialize_keras_object(identifier, KNOWN, printable_module_name="loss")


def test_what_has_no_config():
    with pytest.raises(ArgumentTypeError, match="needs an object with get_config, or a function, got 3"):
        serialize_keras_object(3)
