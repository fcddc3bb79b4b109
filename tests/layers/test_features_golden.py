# SPDX-License-Identifier: Apache-2.0
"""Hashes, lookups, texts and FeatureSpace against recorded answers of Keras: tests/golden/make_features.py asked."""

import json

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from tests.golden.store import read
from tests.layers.tools import array

CASES = read("features")
INTEGERS = ("Hashing", "HashedCrossing", "IntegerLookup")


def plain(result):
    """Results as nested lists."""
    if isinstance(result, list):
        return [row.tolist() for row in result]
    return result.tolist() if isinstance(result, np.ndarray) else ops.convert_to_numpy(result).tolist()


def made(case):
    layer = getattr(layers, case["layer"])(**case["arguments"])
    if case["adapt"] is not None:
        layer.adapt(case["adapt"])
    return layer


def close(actual, expected, exact=False):
    """Equal lists: to the letter if they are ragged or of strings, else shapes and numbers."""
    if exact:
        assert actual == expected
    else:
        assert np.shape(actual) == np.shape(expected)
        np.testing.assert_allclose(np.array(actual, "float64"), np.array(expected, "float64"), rtol=1e-5, atol=1e-5)


LAYERS = [name for name in CASES if not name.startswith("FeatureSpace")]


@pytest.mark.parametrize("name", LAYERS)
def test_layer(name):
    case = CASES[name]
    layer = made(case)
    with nyala.backend("numpy" if "large" in name else nyala.backend.backend()):  # JAX keeps 64 bits off
        close(plain(layer(case["inputs"])), case["output"], case["ragged"] or name.startswith("StringLookup/invert"))
    if "vocabulary" in case:
        assert layer.get_vocabulary() == case["vocabulary"]


@pytest.mark.parametrize("name", LAYERS)
def test_config(name):
    case = CASES[name]
    first = made(case)
    for layer in (first, type(first).from_config(case["config"])):
        config, expected = json.loads(json.dumps(layer.get_config())), dict(case["config"])
        assert config.keys() == expected.keys()
        assert config.pop("name").rstrip("_0123456789") == expected.pop("name").rstrip("_0123456789")
        edges = config.pop("bin_boundaries", None), expected.pop("bin_boundaries", None)
        np.testing.assert_allclose(np.array(edges[0] or 0), np.array(edges[1] or 0), rtol=1e-5)
        if case["adapt"] is not None and layer is not first:  # what was learnt is in files, not in configs
            expected.pop("vocabulary_size", config.pop("vocabulary_size", None))
        assert config == expected


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("Normalization")])
def test_weights(name):
    case = CASES[name]
    weights = made(case).weights
    assert [(w.name, w.path.rpartition("/")[2]) for w in weights] == [(w["name"], w["path"].rpartition("/")[2]) for w in case["weights"]]
    for weight, expected in zip(weights, case["weights"], strict=True):
        np.testing.assert_allclose(weight.numpy(), expected["value"], rtol=1e-5, atol=1e-6)


def whole_numbers(case):
    inputs = case["inputs"] if isinstance(case["inputs"], tuple) else (case["inputs"],)
    return all(np.array(value).dtype.kind == "i" and np.abs(np.array(value)).max() <= 2**31 for value in inputs)


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith(INTEGERS) and whole_numbers(CASES[name])])
def test_integers_in_a_compiled_step(name, each_engine):
    case = CASES[name]
    layer = made(case)
    inputs = case["inputs"] if isinstance(case["inputs"], tuple) else [case["inputs"]]
    tensors = [ops.convert_to_tensor(np.array(value, "int32")) for value in inputs]
    result = nyala.jit(lambda *values: layer(values if isinstance(case["inputs"], tuple) else values[0]))(*tensors)
    close(array(result).tolist(), case["output"])


def built_space(arguments):
    """The FeatureSpace of a recorded description."""
    kind = nyala.utils.FeatureSpace
    make = lambda value: getattr(kind, value[0])(**value[1]) if isinstance(value[-1], dict) else value  # noqa: E731
    features = {key: value if isinstance(value, str) else make(value) for key, value in arguments["features"].items()}
    return kind(**{**arguments, "features": features, "crosses": [make(value) for value in arguments.get("crosses", [])]})


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("FeatureSpace")])
def test_feature_space(name, each_engine):
    case = CASES[name]
    used = case["space"]["features"]
    space = built_space(case["space"])
    space.adapt({key: case["table"][key][start:stop] for key in used} for start, stop in ((0, 2), (2, 5)))
    single = {key: value[0] for key, value in case["other"].items()}
    for data, expected in zip((case["table"], case["other"], single), case["outputs"], strict=True):
        result = space(data)
        if isinstance(expected, dict):
            assert set(result) == set(expected)
            for key, value in expected.items():
                close(array(result[key]).tolist(), value)
        else:
            close(array(result).tolist(), expected)
    config = json.loads(json.dumps(space.get_config()))
    assert set(config) == set(case["config"])
    assert config["features"].keys() == case["config"]["features"].keys()
    for key, entry in case["config"]["features"].items():
        mine = config["features"][key]
        for field in ("module", "class_name", "registered_name"):
            assert mine[field] == entry[field]
        assert mine["config"]["preprocessor"]["class_name"] == entry["config"]["preprocessor"]["class_name"]
        assert set(mine["config"]["preprocessor"]["config"]) == set(entry["config"]["preprocessor"]["config"])
