# SPDX-License-Identifier: Apache-2.0
"""Famous networks: their graphs, files and outputs against recorded answers of Keras, their arguments and what they refuse.

tests/golden/make_applications.py asked Keras.
"""

import inspect
import json
import lzma
import pickle

import numpy as np
import pytest

import nyala
from nyala import applications
from nyala.applications import imagenet_utils
from nyala.applications.convnext import LayerScale
from nyala.applications.inception_resnet_v2 import CustomScaleLayer
from nyala.core.errors import ArgumentError, ShapeError
from nyala.files import published
from nyala.initializers import VarianceScaling
from nyala.testing.layers import check_layer
from tests.golden.application_cases import FIRST, GRAPHS, MODULES, NETWORKS, OUTPUTS, WHOLE, images, output_of, scores, text_of
from tests.golden.store import read
from tests.layers.tools import normals, raises

CASES = read("applications")
TEXTS = json.loads(lzma.decompress(CASES["graphs"]["text"].tobytes()))
NETWORKS_ASKED = read("networks")
ASKED = {name[5:]: case for name, case in CASES.items() if name.startswith("file/")}


@pytest.fixture
def empty(monkeypatch):
    """Weights begin as zeros, which cost no time and no memory."""
    monkeypatch.setattr(VarianceScaling, "__call__", lambda self, shape, dtype=None: np.zeros(shape, "float32"))


@pytest.fixture
def asked(monkeypatch):
    """What is asked of get_file; nothing is got, nothing is read."""
    found = []

    def get_file(name, origin, file_hash, cache_dir, max_bytes, **_):
        found.append([name, origin, file_hash, cache_dir.name])
        assert 16 << 20 < max_bytes < 2 << 30
        return name

    monkeypatch.setattr(published, "get_file", get_file)
    monkeypatch.setattr(nyala.Model, "load_weights", lambda self, path: found.append(path))
    return found


def build(network, arguments):
    nyala.utils.clear_session(free_memory=False)
    return getattr(applications, network)(**arguments)


def parents(layer):
    nodes = [node for node in layer.inbound_nodes if node.input_tensors]
    return [tensor.node.operation.name for tensor in nodes[-1].input_tensors] if nodes else []


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_and_files_are_those_of_keras(name, empty, asked):
    network, arguments = GRAPHS[name]
    model = build(network, arguments)
    assert text_of(model, parents).splitlines() == TEXTS[name].splitlines()
    file = ASKED[name]["file"]
    assert asked == ([file, file[0]] if file else [])


@pytest.mark.parametrize("name", FIRST)
def test_graphs_with_channels_first(name, empty):
    nyala.config.set_image_data_format("channels_first")
    try:
        text = text_of(build(*FIRST[name]), parents)
    finally:
        nyala.config.set_image_data_format("channels_last")
    assert text.splitlines() == TEXTS[name].splitlines()


@pytest.mark.parametrize("name", sorted(set(ASKED) - set(GRAPHS)))
def test_files_of_other_trained_weights(name, empty, asked):
    build(ASKED[name]["network"], ASKED[name]["arguments"])
    assert asked[0] == ASKED[name]["file"]


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_are_those_of_keras(name):
    pytest.importorskip("torch")
    network, arguments = OUTPUTS[name]
    with nyala.backend("torch"):  # eager: most of these have hundreds of different layers
        check_output(network, arguments, name)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_networks_say_what_those_of_keras_say(name):
    pytest.importorskip("torch")
    network, arguments = WHOLE[name]
    with nyala.backend("torch"):
        model = build(network, {"weights": None, **arguments})
        assert model.count_params() == NETWORKS_ASKED[name]["weights"]
        y, expected = output_of(model, network), NETWORKS_ASKED[name]["y"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert np.abs(expected[0] - expected[1]).max() > 5e-4 * np.abs(expected).max()


@pytest.mark.parametrize("name", ["MobileNet", "MobileNetV3Large"])
def test_outputs_on_the_engine_in_force(name):
    check_output(*OUTPUTS[name], name)


def check_output(network, arguments, name):
    y, expected = output_of(build(network, {"weights": None, **arguments}), network), CASES[f"output/{name}"]["y"]
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    apart = expected[0] - expected[1]  # what of it the images make
    assert np.abs(apart).max() > 5e-4 * np.abs(expected).max()
    np.testing.assert_allclose(y[0] - y[1], apart, atol=2e-3 * np.abs(apart).max())


@pytest.mark.parametrize("module", MODULES)
def test_preprocess_input(module):
    pixels = images((3, 5, 3))
    y = getattr(applications, module).preprocess_input(pixels)
    np.testing.assert_allclose(y, CASES[f"pixels/{module}"]["y"], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(pixels, images((3, 5, 3)))


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocess_input_forms(mode):
    pixels, expected = images((3, 5, 3)), CASES[f"pixels first/{mode}"]["y"]
    first = imagenet_utils.preprocess_input(pixels.transpose(0, 3, 1, 2), data_format="channels_first", mode=mode)
    np.testing.assert_allclose(first, expected, rtol=1e-5, atol=1e-5)
    assert type(first) is np.ndarray
    assert first.dtype == "float32"
    last = expected.transpose(0, 2, 3, 1)
    tensor = imagenet_utils.preprocess_input(nyala.ops.convert_to_tensor(pixels[0]), mode=mode)
    np.testing.assert_allclose(nyala.ops.convert_to_numpy(tensor), last[0], rtol=1e-5, atol=1e-5)
    x = nyala.Input((3, 5, 3))
    model = nyala.Model(x, imagenet_utils.preprocess_input(x, mode=mode))
    np.testing.assert_allclose(model.predict(pixels, verbose=0), last, rtol=1e-5, atol=1e-5)
    integers = imagenet_utils.preprocess_input(pixels.astype("uint8"), mode=mode)
    assert integers.dtype == "float32"
    np.testing.assert_allclose(integers, imagenet_utils.preprocess_input(np.floor(pixels), mode=mode), rtol=1e-6)
    assert imagenet_utils.preprocess_input(pixels.astype("float64"), mode=mode).dtype == "float64"


def test_preprocess_input_refuses():
    with raises(ArgumentError, "preprocess_input(mode) needs one of 'caffe', 'tf', 'torch', got 'keras'."):
        imagenet_utils.preprocess_input(np.zeros((2, 2, 3)), mode="keras")
    with raises(ShapeError, "preprocess_input(x) needs an image (h, w, c) or a batch of them, got shape (2, 3)."):
        imagenet_utils.preprocess_input(np.zeros((2, 3)))


@pytest.fixture
def class_index(tmp_path, monkeypatch):
    path = tmp_path / "index.json"
    path.write_text(json.dumps({str(i): [f"n{i:08d}", f"class {i}"] for i in range(1000)}), encoding="utf-8")
    monkeypatch.setattr(published, "get_file", lambda *_, **__: str(path))


def test_decode_predictions(class_index):
    words = applications.resnet50.decode_predictions(scores(), top=3)
    assert [[tuple(word) for word in row] for row in CASES["words"]["words"]] == words
    tensor = applications.vgg16.decode_predictions(nyala.ops.convert_to_tensor(scores()))
    assert [row[:3] for row in tensor] == words
    assert len(tensor[0]) == 5
    tied = np.zeros((1, 1000))
    tied[0, [7, 300]] = 0.5
    assert [word[1] for word in imagenet_utils.decode_predictions(tied, top=3)[0]] == ["class 7", "class 300", "class 0"]


def test_decode_predictions_refuses(class_index):
    with raises(
        ShapeError,
        "decode_predictions(preds) needs shape (n, 1000), got (1000,).\n"
        "  why: only the classes of ImageNet have names here\n"
        "  fix: of one image pass preds[None]",
    ):
        imagenet_utils.decode_predictions(np.zeros(1000))
    with pytest.raises(ShapeError, match=r"needs shape \(n, 1000\), got \(2, 10\)"):
        imagenet_utils.decode_predictions(np.zeros((2, 10)))
    with raises(ArgumentError, "decode_predictions(top) needs a positive integer, got 0."):
        imagenet_utils.decode_predictions(np.zeros((2, 1000)), top=0)


def test_input_tensor_and_transfer():
    x = nyala.Input((64, 48, 3), name="pixels")
    y = nyala.layers.Rescaling(1 / 127.5, offset=-1.0, name="small")(x)
    base = applications.MobileNetV2(alpha=0.35, include_top=False, weights=None, input_tensor=y, pooling="avg")
    assert base.input_shape == (None, 64, 48, 3)
    assert [layer.name for layer in base.layers][:2] == ["pixels", "small"]
    base.trainable = False
    model = nyala.Sequential([base, nyala.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    before = base.get_weights()
    model.fit(images((64, 48, 3)), np.array([0, 2]), epochs=1, verbose=0)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    features = applications.VGG16(include_top=False, weights=None, input_shape=(32, None, 3))
    assert features.output_shape == (None, 1, None, 512)


WEIGHTS = "needs None, 'imagenet' or the path of a file, got"
TRAINED = "the trained top knows the classes of ImageNet"
REFUSED = [
    (
        "VGG16",
        {"weights": "imagnet"},
        ArgumentError,
        f"vgg16(weights) {WEIGHTS} 'imagnet', where no file is.\n  fix: 'imagenet' gets the trained weights, None draws new ones",
    ),
    ("VGG19", {"weights": 3}, ArgumentError, f"vgg19(weights) {WEIGHTS} int."),
    ("VGG16", {"pooling": "mean"}, ArgumentError, "vgg16(pooling) needs one of 'avg', 'max', got 'mean'."),
    (
        "ResNet50",
        {"classes": 10},
        ArgumentError,
        f"resnet50(classes) needs 1000, got 10.\n  why: {TRAINED}\n  fix: pass include_top=False and add a top",
    ),
    (
        "ResNet50",
        {"classifier_activation": "relu"},
        ArgumentError,
        f"resnet50(classifier_activation) needs 'softmax' or None, got 'relu'.\n  why: {TRAINED}",
    ),
    ("Xception", {"weights": None, "classes": 0}, ArgumentError, "xception(classes) needs a positive integer, got 0."),
    (
        "DenseNet121",
        {"input_shape": (64, 64, 3)},
        ShapeError,
        "densenet121(input_shape) needs (224, 224, 3), got (64, 64, 3).\n  why: with the trained top the network takes images of this size\n"
        "  fix: leave it out, or pass include_top=False",
    ),
    (
        "NASNetMobile",
        {"input_shape": (64, 64, 1), "include_top": False},
        ShapeError,
        "nasnet_mobile(input_shape) needs 3 channels, got (64, 64, 1).\n  why: the trained weights are for RGB images",
    ),
    (
        "InceptionV3",
        {"weights": None, "input_shape": (74, 80, 3)},
        ShapeError,
        "inception_v3(input_shape) needs at least 75 x 75 places, got (74, 80, 3).",
    ),
    (
        "EfficientNetB0",
        {"weights": None, "input_shape": (None, 64, 3)},
        ShapeError,
        "efficientnetb0(input_shape) needs known sizes, got (None, 64, 3).",
    ),
    (
        "ConvNeXtTiny",
        {"weights": None, "input_shape": (64, 64)},
        ShapeError,
        "convnext_tiny(input_shape) needs three sizes, without the batch axis, got (64, 64).",
    ),
    (
        "MobileNet",
        {"alpha": 0.3},
        ArgumentError,
        "mobilenet(alpha) needs one of 0.25, 0.5, 0.75, 1.0, got 0.3 with weights='imagenet'.\n  fix: pass weights=None",
    ),
    (
        "MobileNet",
        {"depth_multiplier": 2},
        ArgumentError,
        "mobilenet(depth_multiplier) needs one of 1, got 2 with weights='imagenet'.\n  fix: pass weights=None",
    ),
    (
        "MobileNetV3Small",
        {"alpha": 0.75, "minimalistic": True},
        ArgumentError,
        "MobileNetV3Small(alpha) needs one of 1.0, got 0.75 with weights='imagenet'.\n  fix: pass weights=None",
    ),
    (
        "VGG19",
        {"weights": None, "input_tensor": np.zeros((1, 32, 32, 3))},
        ArgumentError,
        "vgg19(input_tensor) needs a symbolic tensor, got ndarray.\n  fix: call the model on it",
    ),
]


@pytest.mark.parametrize("network, arguments, kind, text", REFUSED)
def test_refused(network, arguments, kind, text):
    with raises(kind, text):
        getattr(applications, network)(**arguments)


@pytest.mark.parametrize("network", ["ConvNeXtTiny", "NASNetMobile"])
def test_channels_last_only(network):
    nyala.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ArgumentError, match="needs image_data_format\\(\\) 'channels_last', got 'channels_first'"):
            getattr(applications, network)(weights=None)
    finally:
        nyala.config.set_image_data_format("channels_last")


def test_functions():
    for network in NETWORKS:
        function = getattr(applications, network)
        assert function.__name__ == network
        assert function.__doc__.startswith(f"{network}: ")
        assert {"include_top", "weights", "classes", "name"} <= set(inspect.signature(function).parameters)
        assert pickle.loads(pickle.dumps(function)) is function
    assert inspect.signature(applications.ResNet50).parameters["name"].default == "resnet50"
    with pytest.raises(TypeError, match="tops"):
        applications.ResNet50(tops=True)
    assert applications.resnet50.ResNet50 is applications.resnet.ResNet50 is applications.ResNet50


def test_layers():
    check_layer(LayerScale, {"init_values": 0.3, "projection_dim": 5}, normals(0, (2, 3, 5)), unknown=(1,))
    check_layer(CustomScaleLayer, {"scale": 0.3}, normals(1, (2, 3, 5), (2, 3, 5)), unknown=(1, 2))
