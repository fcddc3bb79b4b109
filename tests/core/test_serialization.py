# SPDX-License-Identifier: Apache-2.0
"""Objects as configs and back; what a config can name, and what it cannot."""

import json
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core import serialization
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed
from nyala.saving import register_keras_serializable
from nyala.utils import (
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    serialize_keras_object,
)
from tests.training.tools import numbers, raises


def through_json(value):
    return deserialize_keras_object(json.loads(json.dumps(serialize_keras_object(value))))


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        2.5,
        "text",
        [1, [2, None]],
        {"a": [1], "b": {"c": 2}},
        (1, (2, "x")),
        b"\x00\xff",
        "Dürer".encode(),
        ...,
        slice(1, None, 2),
        {"class": (1,)},
    ],
)
def test_plain_values(value):
    got = through_json(value)
    assert got == value
    assert type(got) is type(value)


def test_bytes_are_written_as_keras_does():
    assert serialize_keras_object("Dürer".encode()) == {"class_name": "__bytes__", "config": {"value": "Dürer"}}
    assert deserialize_keras_object({"class_name": "__bytes__", "value": "D\xfcrer"}) == b"D\xfcrer"  # as it was written before


def test_arrays_tensors_and_dtypes(each_engine):
    array = numbers(2, 3)
    np.testing.assert_array_equal(through_json(array), array)
    np.testing.assert_array_equal(ops.convert_to_numpy(through_json(ops.convert_to_tensor(array))), array)
    assert serialize_keras_object(np.float32(2.5)) == 2.5
    assert serialize_keras_object(np.dtype("int8")) == "int8"


@pytest.mark.parametrize(
    "thing",
    [
        nyala.layers.Dense(3, activation="relu", kernel_regularizer="l2", name="d"),
        nyala.initializers.VarianceScaling(2.0, "fan_out", "uniform", seed=3),
        nyala.losses.Huber(0.5, name="h"),
        nyala.optimizers.Adam(0.01, clipnorm=1.0),
        nyala.optimizers.SGD(nyala.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)),
        nyala.metrics.MeanSquaredError(name="m"),
        nyala.regularizers.L2(0.25),
        nyala.constraints.MaxNorm(3),
        nyala.activations.relu,
        nyala.dtype_policies.get("mixed_float16"),
    ],
    ids=lambda thing: getattr(thing, "__name__", type(thing).__name__),
)
def test_objects_and_functions(thing):
    got = through_json(thing)
    assert type(got) is type(thing)
    if hasattr(thing, "get_config"):
        assert serialize_keras_object(got) == serialize_keras_object(thing)
    else:
        assert got is thing


def test_configs_look_like_keras():
    assert serialize_keras_object(nyala.initializers.Zeros()) == {
        "module": "keras.initializers",
        "class_name": "Zeros",
        "config": {},
        "registered_name": None,
    }
    config = serialize_keras_object(nyala.activations.leaky_relu)
    assert config == {"module": "builtins", "class_name": "function", "config": "leaky_relu", "registered_name": "function"}


def test_configs_of_other_spellings():
    for module in ("keras.layers", "keras.src.layers.core.dense", "tensorflow.keras.layers", "tf_keras.layers", "nyala.layers"):
        layer = deserialize_keras_object({"module": module, "class_name": "Dense", "config": {"units": 3}, "registered_name": None})
        assert (type(layer), layer.units) == (layers.Dense, 3)


class Own:
    def __init__(self, size):
        self.size = size

    def get_config(self):
        return {"size": self.size}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def own_function(x):
    return x


def test_own_objects_must_be_given():
    config = serialize_keras_object(Own(3))
    assert (config["class_name"], config["registered_name"], config["config"]) == ("Own", "Own", {"size": 3})
    with pytest.raises(LookupFailed) as info:
        deserialize_keras_object(config)
    assert str(info.value).startswith(
        "deserialize_keras_object(config): the config of 'Own' needs a class or function that is public, registered or given, got 'Own' from module "
    )
    assert str(info.value).endswith(
        "\n  why: a config is data: nothing is imported because a file names it"
        "\n  fix: pass custom_objects={'Own': Own}, or put @nyala.saving.register_keras_serializable() above its definition"
        "\n  rule: object-unknown"
    )
    assert deserialize_keras_object(config, custom_objects={"Own": Own}).size == 3
    with custom_object_scope({"Own": Own}):
        assert deserialize_keras_object(config).size == 3
        assert get_registered_object("Own") is Own
    assert get_registered_object("Own") is None
    function = serialize_keras_object(own_function)
    assert deserialize_keras_object(function, custom_objects={"own_function": own_function}) is own_function


def test_registered_objects():
    try:
        kind = register_keras_serializable("here", "Renamed")(type("Registered", (Own,), {}))
        assert get_registered_name(kind) == "here>Renamed"
        assert through_json(kind(5)).size == 5
        assert get_registered_object("here>Renamed") is kind
        assert get_custom_objects()["here>Renamed"] is kind
    finally:
        get_custom_objects().pop("here>Renamed", None)


def test_refusals():
    with raises(
        ArgumentTypeError,
        "a config needs a function with a name, got a lambda.\n  why: a config holds no code\n  fix: define it with def and register it",
    ):
        serialize_keras_object(lambda x: x)
    text = "a config needs plain values and objects with a method get_config(), got object.\n  fix: give object get_config and from_config"
    with raises(ArgumentTypeError, text):
        serialize_keras_object(object())
    with raises(ArgumentTypeError, "deserialize_keras_object(config) needs plain values, got object.\n  rule: config-argument"):
        deserialize_keras_object(object())
    with raises(ArgumentError, "loss needs a config with 'class_name' and 'config', got {'a': 1}."):
        serialization.from_identifier({"a": 1}, "nyala.losses", None, "loss")


def test_a_config_imports_nothing():
    """Names of modules in a config are data; those that Python has loaded already cannot be reached either."""
    code = (
        "import sys, nyala\n"
        "before = set(sys.modules)\n"
        "for module, name in [('antigravity', 'geohash'), ('os', 'system'), ('subprocess', 'Popen'), "
        "('nyala.core.serialization', 'importlib'), ('keras.os', 'system')]:\n"
        "    for config in ({'module': module, 'class_name': name, 'config': {}, 'registered_name': None}, "
        "{'module': module, 'class_name': 'function', 'config': name, 'registered_name': name}):\n"
        "        try:\n"
        "            nyala.utils.deserialize_keras_object(config)\n"
        "        except ValueError:\n"
        "            continue\n"
        "        raise SystemExit(f'{config} was accepted')\n"
        "assert 'antigravity' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_objects_without_arguments_are_cheap(monkeypatch):
    """To find the arguments of a class without a constructor, inspect copies the table of all modules: a MiB where many are loaded."""
    monkeypatch.setattr("inspect.signature", lambda thing: pytest.fail(f"{thing} was looked at"))
    assert nyala.initializers.Zeros().get_config() == {}


def test_identifiers():
    assert nyala.losses.get(None) is None
    zeros = nyala.initializers.Zeros()
    assert nyala.initializers.get(zeros) is zeros
    for identifier in ("glorot_uniform", "GlorotUniform", nyala.initializers.GlorotUniform, {"class_name": "GlorotUniform", "config": {}}):
        assert type(nyala.initializers.get(identifier)).__name__ == "GlorotUniform"
    assert nyala.activations.get("relu") is nyala.activations.relu
    with raises(LookupFailed, "optimizer needs a name known in nyala.optimizers, got 'adamm'.\n  fix: did you mean 'adam' or 'nadam' or 'adamw'?"):
        nyala.optimizers.get("adamm")
