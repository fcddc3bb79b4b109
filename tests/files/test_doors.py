# SPDX-License-Identifier: Apache-2.0
"""Configs that come as dicts: every public function that makes an object of one refuses what files may not have, by the same rules and bounds.

A refusal says which rule, where in the config, and what to do instead. A function that is new here must be in this table.
"""

import importlib
import pkgutil

import pytest

import nyala
from nyala.core.errors import NyalaError
from nyala.core.plain import MAX_BYTES, MAX_VALUES
from tests.files.attacks.objects import CODE, LAMBDA
from tests.files.configs import PACKAGES, deep


def doors():
    """Each `deserialize` and `get` there is, by its name."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"nyala.{package}")
        for name in ("deserialize", "deserialize_keras_object", "get"):
            if name in dir(module):
                found[f"{package}.{name}"] = getattr(module, name)
    return found


INNER = ("nyala.core", "nyala.engines", "nyala.testing")  # no users' business
DOORS = doors()
MADE_OF_PARTS = {
    "Sequential": (nyala.Sequential, lambda part: {"name": "m", "layers": [part]}, "/layers/0"),
    "Model": (nyala.Model, lambda part: {"name": "m", "layers": [part], "input_layers": [], "output_layers": []}, "/layers/0"),
    "Dense": (nyala.layers.Dense, lambda part: {"units": 2, "kernel_initializer": part}, "/kernel_initializer"),
    "Bidirectional": (nyala.layers.Bidirectional, lambda part: {"layer": part}, ""),
    "TimeDistributed": (nyala.layers.TimeDistributed, lambda part: {"layer": part}, ""),
    "RNN": (nyala.layers.RNN, lambda part: {"cell": part}, ""),
    "StackedRNNCells": (nyala.layers.StackedRNNCells, lambda part: {"cells": [part]}, ""),
    "Adam": (nyala.optimizers.Adam, lambda part: {"learning_rate": part}, ""),
    "LossScaleOptimizer": (nyala.optimizers.LossScaleOptimizer, lambda part: {"inner_optimizer": part}, ""),
    "Lambda": (nyala.layers.Lambda, lambda part: {"name": "x", "function": part}, None),
}


def endless():
    config = {}
    config["a"] = config
    return config


def doubling():
    """2^60 values in 60 lists."""
    config = [1]
    for _ in range(60):
        config = [config, config]
    return config


WRONG = {
    "code": (LAMBDA, {"object-lambda"}),
    "a layer of code": ({"module": "keras.layers", "class_name": "Lambda", "config": {"name": "x", "function": [CODE, None, None]}},
        {"object-lambda", "object-unknown"}),
    "another module": ({"module": "os", "class_name": "System", "config": {}, "registered_name": None}, {"object-unknown"}),
    "a function that writes": ({"module": "keras.utils", "class_name": "function", "config": "get_file", "registered_name": "function"},
        {"object-unknown"}),
    "a pickle": ({"module": "keras.layers", "class_name": "TorchModuleWrapper", "config": {"module": "gASV"}}, {"object-pickle", "object-unknown"}),
    "another file": ({"module": "keras.layers", "class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}},
        {"path-vocabulary", "object-unknown"}),
    "a name that is none": ({"module": "keras.layers", "class_name": 3, "config": {}}, {"object-name"}),
}  # fmt: skip
TOO_MUCH = {
    "deep": (deep(), "json-depth"), "endless": (endless(), "json-depth"), "doubling": (doubling(), "json-values"),
    "wide": ([0] * (MAX_VALUES + 1), "json-values"), "long": (["x" * (MAX_BYTES // 4)] * 5, "json-size"), "digits": ([10**41], "json-digits"),
}  # fmt: skip


def refused(work):
    with pytest.raises(NyalaError) as caught:
        work()
    return caught.value


@pytest.mark.parametrize("door", DOORS)
def test_what_no_file_may_have_no_config_may_have(door):
    for name, (config, rules) in WRONG.items():
        error = refused(lambda config=config: DOORS[door](dict(config)))
        assert error.rule in rules, (name, error)
        assert f"rule: {error.rule}" in str(error), (name, error)
        assert "config" in error.where, (name, error)
        assert error.fix, (name, error)


@pytest.mark.parametrize("kind", MADE_OF_PARTS)
def test_from_config_of_objects_made_of_others(kind):
    target, around, place = MADE_OF_PARTS[kind]
    for name, (config, rules) in WRONG.items():
        if kind == "Lambda" and name == "a name that is none":
            continue
        error = refused(lambda config=config: target.from_config(around(dict(config))))
        assert error.rule in {*rules, "config-argument"}, (name, error)
        assert f"rule: {error.rule}" in str(error), (name, error)
        if place and error.rule != "config-argument":
            assert f" at {place}" in str(error), (name, error)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("what", ["deep", "endless", "wide", "digits"])
def test_configs_have_the_bounds_of_files(door, what):
    content, rule = TOO_MUCH[what]
    config = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 3, "x": content}, "registered_name": None}
    error = refused(lambda: DOORS[door](config))
    assert error.rule == rule, error


@pytest.mark.parametrize("kind", ["Sequential", "Model", "Dense"])
@pytest.mark.parametrize("what", TOO_MUCH)
def test_from_config_has_the_bounds_of_files(kind, what):
    target, around, _ = MADE_OF_PARTS[kind]
    content, rule = TOO_MUCH[what]
    assert refused(lambda: target.from_config({**around({"module": "keras.layers", "class_name": "Dense", "config": {}}), "x": content})).rule == rule


def test_code_in_what_compile_was_told_is_refused_before_the_model_is_made():
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    model.compile("sgd", "mse")
    config = nyala.saving.serialize_keras_object(model)
    assert nyala.saving.deserialize_keras_object(config).compiled
    config["compile_config"]["loss"] = LAMBDA
    error = refused(lambda: nyala.saving.deserialize_keras_object(config))
    assert error.rule == "object-lambda" and " at /compile_config/loss" in str(error)


def test_an_argument_that_is_wrong_says_of_which_object():
    config = {"name": "m", "layers": [{"module": "keras.layers", "class_name": "Dense", "config": {"name": "wide", "units": -3}}]}
    error = refused(lambda: nyala.Sequential.from_config(config))
    assert str(error) == (
        "Dense(units) needs a positive integer, got -3.\n  in: the config of 'Dense' named 'wide'\n  rule: config-argument"
    )  # fmt: skip


def test_objects_of_the_caller_are_left_to_the_caller():
    """What a class of the user's keeps in its config may look like an object that nobody knows: its from_config reads it."""

    class Holder(nyala.layers.Layer):
        def __init__(self, part=None, **kwargs):
            super().__init__(**kwargs)
            self.part = part

        def get_config(self):
            return {**super().get_config(), "part": {"class_name": "Part", "config": {"x": 1}}}

        @classmethod
        def from_config(cls, config):
            part = config.pop("part")
            return cls(part=part["config"]["x"], **config)

    config = nyala.saving.serialize_keras_object(Holder(part=1))
    assert nyala.saving.deserialize_keras_object(config, {"Holder": Holder}).part == 1


def test_every_module_with_deserialize_is_here():
    there = set()
    for module in pkgutil.iter_modules(nyala.__path__, "nyala."):
        names = dir(importlib.import_module(module.name)) if module.ispkg and module.name not in INNER else ()
        there |= {f"{module.name.removeprefix('nyala.')}.{name}" for name in ("deserialize", "deserialize_keras_object") if name in names}
    assert there <= set(DOORS)
