# SPDX-License-Identifier: Apache-2.0
"""Configs in the form of Keras 1 and 2."""

import pytest

import nyala
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed
from nyala.utils.legacy import deserialize_keras_object, serialize_keras_object
from tests.layers.tools import raises


class Plain:
    def __init__(self, a):
        self.a = a


def triple(x):
    return 3 * x


def test_objects_and_functions_go_there_and_back():
    layer = nyala.layers.Dense(3, name="d")
    config = serialize_keras_object(layer)
    assert sorted(config) == ["class_name", "config"] and config["class_name"] == "Dense"
    again = deserialize_keras_object(config, {"Dense": nyala.layers.Dense})
    assert again.get_config() == layer.get_config()
    assert serialize_keras_object(triple) == "triple" and serialize_keras_object(None) is None
    assert deserialize_keras_object("triple", custom_objects={"triple": triple}) is triple
    assert deserialize_keras_object({"class_name": "Plain", "config": {"a": 2}}, {"Plain": Plain}).a == 2
    assert isinstance(deserialize_keras_object("Zeros", {"Zeros": nyala.initializers.Zeros}), nyala.initializers.Zeros)
    assert deserialize_keras_object(None) is None


@pytest.mark.parametrize(
    ("kind", "call", "text"),
    [
        (
            ArgumentError,
            lambda: serialize_keras_object(3),
            "utils.legacy.serialize_keras_object needs an object with get_config, or a function, got 3.",
        ),
        (
            ArgumentTypeError,
            lambda: deserialize_keras_object({"a": 1}),
            "a legacy object needs a name, or a dict of class_name and config, got {'a': 1}.",
        ),
        (
            LookupFailed,
            lambda: deserialize_keras_object("no_such_thing", printable_module_name="layer"),
            "a legacy layer needs a name that is known, got 'no_such_thing'.\n  fix: pass it in custom_objects",
        ),
    ],
)
def test_what_it_refuses(kind, call, text):
    with raises(kind, text):
        call()
