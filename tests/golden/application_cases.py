# SPDX-License-Identifier: Apache-2.0
"""The questions about famous networks, and how a model is written as text. Imports neither Keras nor Nyala: the maker and the test share it."""

import json
import re
import zlib

import numpy as np

RESNETS = ["ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"]
OTHERS = [
    "VGG16", "VGG19", "Xception", "InceptionV3", "InceptionResNetV2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large",
    "DenseNet121", "DenseNet169", "DenseNet201", "NASNetMobile", "NASNetLarge",
    *(f"EfficientNetB{i}" for i in range(8)), *(f"EfficientNetV2{scale}" for scale in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(f"ConvNeXt{scale}" for scale in ("Tiny", "Small", "Base", "Large", "XLarge")),
]  # fmt: skip
NETWORKS = RESNETS + OTHERS

# Graphs beside those of all networks, trained, with the top and without: {case: (network, arguments)}.
GRAPHS = {
    "fresh": ("EfficientNetB0", {"weights": None, "include_top": True}),
    "odd sizes/MobileNet": ("MobileNet", {"weights": None, "alpha": 0.3, "depth_multiplier": 2, "input_shape": (65, 96, 3), "classes": 7}),
    "odd sizes/MobileNetV2": ("MobileNetV2", {"weights": None, "alpha": 1.4, "include_top": False, "input_shape": (65, 74, 3)}),
    "odd sizes/MobileNetV3": ("MobileNetV3Small", {"weights": None, "include_top": False, "input_shape": (65, 74, 3)}),
    "odd sizes/EfficientNet": ("EfficientNetB0", {"weights": None, "include_top": False, "input_shape": (65, 74, 3)}),
    "odd sizes/NASNet": ("NASNetMobile", {"weights": None, "input_shape": (65, 75, 3), "classes": 7, "name": "mine"}),
    "minimalistic": ("MobileNetV3Large", {"weights": None, "minimalistic": True, "alpha": 0.75, "include_preprocessing": False}),
    "no dropout": ("MobileNetV3Small", {"weights": None, "alpha": 1.3, "dropout_rate": 0.0, "classes": 7, "classifier_activation": None}),
    "no preprocessing/V2": ("EfficientNetV2S", {"weights": None, "include_preprocessing": False, "include_top": False}),
    "no preprocessing/ConvNeXt": ("ConvNeXtTiny", {"weights": None, "include_preprocessing": False, "classes": 7, "name": "mine"}),
    **{
        f"max/{network}": (network, {"weights": None, "include_top": False, "pooling": "max"})
        for network in ("ResNet50", "VGG16", "Xception", "InceptionV3", "MobileNet", "MobileNetV2", "MobileNetV3Small", "DenseNet121",
                        "NASNetMobile", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny")
    },
}  # fmt: skip
for _network in NETWORKS:
    _sizes = {"input_shape": (331, 331, 3)} if _network == "NASNetLarge" else {}  # without them Keras builds a network that cannot run
    GRAPHS[f"trained/{_network}"] = (_network, {})
    GRAPHS[f"features/{_network}"] = (_network, {"include_top": False, "pooling": "avg", **_sizes})

# Channels first: the same, after set_image_data_format.
FIRST = {
    f"channels first/{network}": (network, {"weights": None, "input_shape": (3, 64, 64), "classes": 7})
    for network in ("ResNet50V2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0")
}

# Files of trained weights beside those of the graphs.
FILES = {
    **{f"V1 {a} {top}": ("MobileNet", {"alpha": a, "input_shape": (128, 128, 3), "include_top": top}) for a in (0.25, 0.5) for top in (True, False)},
    **{f"V2 {a}": ("MobileNetV2", {"alpha": a, "input_shape": (96, 96, 3)}) for a in (0.35, 0.5, 0.75, 1.3, 1.4)},
    **{f"{n} {m}": (n, {"alpha": 1.0 if m else 0.75, "minimalistic": m}) for n in ("MobileNetV3Small", "MobileNetV3Large") for m in (True, False)},
}

LOGITS = {"classes": 7, "classifier_activation": None}

# Small configurations whose outputs are compared: {case: (network, arguments)}.
OUTPUTS = {
    "ResNet50": ("ResNet50", {"include_top": False, "pooling": "avg", "input_shape": (64, 43, 3)}),
    "ResNet50V2": ("ResNet50V2", {"include_top": False, "pooling": "max", "input_shape": (64, 43, 3)}),
    "VGG16": ("VGG16", {**LOGITS, "input_shape": (32, 37, 3)}),
    "Xception": ("Xception", {"include_top": False, "pooling": "avg", "input_shape": (71, 73, 3)}),
    "InceptionV3": ("InceptionV3", {"include_top": False, "pooling": "avg", "input_shape": (75, 79, 3)}),
    "InceptionResNetV2": ("InceptionResNetV2", {"include_top": False, "pooling": "avg", "input_shape": (75, 79, 3)}),
    "MobileNet": ("MobileNet", {"alpha": 0.25, **LOGITS, "input_shape": (65, 74, 3)}),
    "MobileNetV2": ("MobileNetV2", {"alpha": 0.35, **LOGITS, "input_shape": (65, 74, 3)}),
    "MobileNetV3Small": ("MobileNetV3Small", {"alpha": 0.75, **LOGITS, "input_shape": (65, 74, 3)}),
    "MobileNetV3Large": ("MobileNetV3Large", {"alpha": 0.75, "minimalistic": True, "include_top": False, "input_shape": (65, 74, 3)}),
    "DenseNet121": ("DenseNet121", {"include_top": False, "pooling": "avg", "input_shape": (65, 43, 3)}),
    "NASNetMobile": ("NASNetMobile", {**LOGITS, "input_shape": (65, 75, 3)}),
    "EfficientNetB0": ("EfficientNetB0", {**LOGITS, "input_shape": (65, 74, 3)}),
    "EfficientNetV2B0": ("EfficientNetV2B0", {**LOGITS, "input_shape": (65, 74, 3)}),
    "EfficientNetV2S": ("EfficientNetV2S", {"include_top": False, "pooling": "avg", "input_shape": (65, 43, 3)}),
    "ConvNeXtTiny": ("ConvNeXtTiny", {"include_top": False, "pooling": "avg", "input_shape": (65, 43, 3)}),
}

# The smallest of each family as it is, with images of the size that it is for: {case: (network, arguments)}.
WHOLE = {
    network: (network, {**arguments, "classifier_activation": None})
    for network, arguments in {
        "ResNet50": {}, "ResNet50V2": {}, "VGG16": {}, "Xception": {}, "InceptionV3": {}, "InceptionResNetV2": {}, "DenseNet121": {},
        "MobileNet": {"alpha": 0.25, "input_shape": (128, 128, 3)}, "MobileNetV2": {"alpha": 0.35, "input_shape": (96, 96, 3)},
        "MobileNetV3Small": {"alpha": 0.75, "minimalistic": True, "input_shape": (224, 224, 3)}, "NASNetMobile": {}, "EfficientNetB0": {},
        "EfficientNetV2B0": {}, "ConvNeXtTiny": {},
    }.items()
}  # fmt: skip

# Where preprocess_input is.
MODULES = [
    "resnet", "resnet50", "resnet_v2", "vgg16", "vgg19", "xception", "inception_v3", "inception_resnet_v2", "mobilenet", "mobilenet_v2",
    "mobilenet_v3", "densenet", "nasnet", "efficientnet", "efficientnet_v2", "convnext",
]  # fmt: skip


def text_of(model, parents):
    """A model as lines: one for each layer, with its class, the layers it is called on, its weights and its config.

    parents: function of a layer, the names of the operations it is called on."""
    lines = [f"{model.name} {model.count_params()} {tuple(model.input_shape)} -> {tuple(model.output_shape)}"]
    for layer in model.layers:
        weights = [f"{w.name.rstrip('_0123456789')}{tuple(w.shape)}".replace(" ", "") for w in layer.weights]
        config = json.dumps(_short({k: v for k, v in layer.get_config().items() if k not in ("name", "trainable", "dtype")}))
        lines.append(f"{layer.name} {type(layer).__name__} {','.join(parents(layer))} {','.join(weights)} {config}")
    return "\n".join(lines)


def _short(value):
    """A config without None, and objects by their class and config."""
    if isinstance(value, dict):
        if "class_name" in value:
            return [value["class_name"], _short(value["config"])]
        return {key: _short(item) for key, item in sorted(value.items()) if item is not None}
    return [_short(item) for item in value] if isinstance(value, (list, tuple)) else value


def draw(weight):
    """Values of a weight, that depend on the names of its layer and of itself."""
    name = "/".join(re.sub(r"_\d+$", "", part) if part.startswith("variable") else part for part in weight.path.split("/")[-2:])
    shape = tuple(weight.shape)
    values = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype="float32")
    if name.endswith("count"):
        return np.zeros(shape, "int32")
    if len(shape) > 1:
        inputs = np.prod(shape[:-2] if len(shape) == 4 and shape[-1] == 1 else shape[:-1])  # of one number: a depthwise kernel has one channel
        gain = 0.3 if "_se_" in name else 1.2 if "project_conv" in name else 1.5  # large gates would be switches
        return np.float32(gain / np.sqrt(inputs)) * values
    if name.endswith("variance"):
        return 1 + 0.05 * np.abs(values)
    return (1.0 if name.endswith(("gamma", "variable")) or "_se_" in name else 0.0) + 0.05 * values


def images(shape, scale=255.0):
    """Two pictures with pixels from 0 to scale: spots of light and shadow, and noise."""
    random = np.random.default_rng(3)
    coarse = random.uniform(size=(2, 3, 3, 3)).repeat(shape[0] // 3 + 1, 1).repeat(shape[1] // 3 + 1, 2)[:, : shape[0], : shape[1]]
    return (scale * (0.8 * coarse + 0.2 * random.uniform(size=coarse.shape))).astype("float32")


def output_of(model, network):
    """What a model with drawn weights says about two images."""
    model.set_weights([draw(weight) for weight in model.weights])
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # else Keras keeps the mean and variance of before
            layer.finalize_state()
    own = network.startswith(("EfficientNet", "ConvNeXt", "MobileNetV3"))  # they scale pixels themselves
    y = np.asarray(model.predict(images(model.input_shape[1:], 255.0 if own else 1.0), verbose=0)).reshape(2, -1)
    return y[:, :: max(1, y.shape[1] // 64)]


def scores():
    """What a network says about two images."""
    return np.random.default_rng(5).uniform(size=(2, 1000)).astype("float32")
