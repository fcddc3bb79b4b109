# SPDX-License-Identifier: Apache-2.0
"""Ops on images and bounding boxes against what Keras answers, recorded: values and gradients on the engine in force. Start at test_value."""

import json

import numpy as np
import pytest

import nyala
from tests.golden.store import build, find, leaves, map_tree, read

CASES = read("images")


def is_float(leaf):
    return isinstance(leaf, np.ndarray) and np.issubdtype(leaf.dtype, np.floating)


def all_close(results, expected, tolerance=1e-5):
    found = leaves(map_tree(nyala.ops.convert_to_numpy, results))
    assert [(a.shape, a.dtype) for a in found] == [(b.shape, b.dtype) for b in leaves(expected)]
    for a, b in zip(found, leaves(expected), strict=True):
        if is_float(b):
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, np.abs(b).max(initial=0)))
        else:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", CASES)
def test_value(name):
    case = CASES[name]
    all_close(find(nyala, case["function"])(*case["args"], **case["kwargs"]), case["value"])


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case["gradients"] is not None])
def test_gradient(name):
    case = CASES[name]
    floats = [leaf for leaf in leaves(case["args"]) if is_float(leaf)]
    variables = [nyala.Variable(leaf) for leaf in floats[: len(case["gradients"])]]

    def loss():
        supply = iter(variables)
        filled = map_tree(lambda leaf: getattr(next(supply, None), "value", leaf) if is_float(leaf) else leaf, case["args"])
        return nyala.ops.sum(nyala.ops.multiply(find(nyala, case["function"])(*filled, **case["kwargs"]), case["cotangent"])), ()

    try:
        found = nyala.value_and_grad(loss, variables)()[1]
    except NotImplementedError as error:  # the engine has no gradients
        pytest.skip(str(error).splitlines()[0])
    all_close(found, case["gradients"], 1e-4)


# Layers -------------------------------------------------------------------------------------------------------------------------------------

LAYERS = read("augmentations")
MORE_KEPT = {"RandomGrayscale": {"seed"}, "MaxNumBoundingBoxes": {"fill_value"}}  # Keras's configs lose these


@pytest.mark.parametrize("name", LAYERS)
def test_config(name):
    case = LAYERS[name]
    layer = build(nyala, case["layer"])
    config = layer.get_config()
    assert config["dtype"]["class_name"] == case["config"]["dtype"]["class_name"]
    mine = json.loads(json.dumps({key: value for key, value in config.items() if key not in ("name", "dtype")}))
    theirs = {key: value for key, value in case["config"].items() if key not in ("name", "dtype")}
    assert set(mine) - set(theirs) <= MORE_KEPT.get(name.split("/")[0], set())
    assert {key: mine[key] for key in theirs} == theirs
    assert type(layer).from_config(config).get_config() == config


@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if "transformation" in case])
def test_given_transformation(name):
    """The deterministic part: what a layer makes of a transformation that Keras drew."""
    case = LAYERS[name]
    layer, given = build(nyala, case["layer"]), map_tree(lambda leaf: leaf if leaf.ndim else leaf.item(), case["transformation"])
    given = given.get("", given)
    result = nyala.ops.convert_to_numpy(layer.transform_images(nyala.ops.convert_to_tensor(case["images"]), given, training=True))
    scale = case["layer"]["args"].get("value_range", (0, 255))[1]
    tolerance = 1e-4 if name.startswith(("RandomRotation", "RandomPerspective")) else 1e-5
    np.testing.assert_allclose(result / scale, case["outputs"] / scale, atol=tolerance, rtol=tolerance)
    if case["new_labels"] is not None:
        labels = layer.transform_labels(nyala.ops.convert_to_tensor(case["labels"]), given, training=True)
        np.testing.assert_allclose(nyala.ops.convert_to_numpy(labels), case["new_labels"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name, case in LAYERS.items() if "sound" in case])
def test_spectrogram(name):
    case = LAYERS[name]
    layer = build(nyala, case["layer"])
    result = nyala.ops.convert_to_numpy(layer(case["sound"]))
    assert result.shape == case["outputs"].shape
    if case["layer"]["args"].get("mode") == "angle":  # half a turn may have either sign
        assert np.abs(np.exp(1j * result) - np.exp(1j * case["outputs"])).max() < 1e-3
    else:
        tolerance = 1e-3 if case["layer"]["args"].get("mode") == "log" else 2e-5  # logarithms of nearly nothing
        np.testing.assert_allclose(result, case["outputs"], rtol=tolerance, atol=tolerance)
    assert [[w.name, list(w.shape), w.trainable] for w in layer.weights] == case["weights"]
    if case["output_shape"] is not None:
        assert list(layer.compute_output_shape((None, *case["sound"].shape[1:]))) == case["output_shape"]
