# SPDX-License-Identifier: Apache-2.0
"""EfficientNetB0 to B7: one small network, made wider, deeper and larger together. Start at efficientnet, STAGES and the rows below."""

from __future__ import annotations

import math
from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, channel_axis, divisible, files, halving_pad, norm, variant
from nyala.applications.imagenet_utils import DEVIATION, decode_predictions, no_preprocessing
from nyala.core.config import image_data_format
from nyala.initializers import VarianceScaling
from nyala.layers import (
    Activation,
    Add,
    Conv2D,
    DepthwiseConv2D,
    Dropout,
    GlobalAveragePooling2D,
    Layer,
    Multiply,
    Normalization,
    Rescaling,
    Reshape,
)
from nyala.models.functional import Functional

__all__ = [
    "EfficientNetB0", "EfficientNetB1", "EfficientNetB2", "EfficientNetB3", "EfficientNetB4", "EfficientNetB5", "EfficientNetB6", "EfficientNetB7",
    "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = no_preprocessing
DROP = 0.2  # of the last block; less in those before it
# size of the windows, blocks, filters, expansion, strides of the first
STAGES = [(3, 1, 16, 1, 1), (3, 2, 24, 6, 2), (5, 2, 40, 6, 2), (3, 3, 80, 6, 2), (5, 3, 112, 6, 1), (5, 4, 192, 6, 2), (3, 1, 320, 6, 1)]


def efficientnet(
    scale: tuple[float, float, int, float],
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "efficientnet",
) -> Functional:
    """A network found by search, scaled in all its sizes together, for images (without the top from 32 x 32) with pixels from 0 to 255.

    Source: Tan, Le 2019, EfficientNet: rethinking model scaling for convolutional neural networks.
    """
    width, depth, size, dropout = scale
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = chain(frame.begin(size), Rescaling(1 / 255), Normalization(axis=channel_axis()))
    x = Rescaling([1 / math.sqrt(d) for d in DEVIATION])(x) if frame.trained else x  # what the trained weights were trained with
    x = chain(x, halving_pad(x, 3, "stem_conv_pad"), conv(divisible(32 * width), 3, "stem_conv", strides=2, padding="valid"))
    x = chain(x, norm("stem_bn"), swish("stem_activation"))
    blocks = [(name, *row) for name, row in stacked([(math.ceil(depth * row[1]), row) for row in STAGES])]
    for i, (block, row, first) in enumerate(blocks):
        window, _, filters, expansion, strides = row
        x = _block(x, window, divisible(filters * width), expansion, strides if first else 1, DROP * i / len(blocks), block)
    x = chain(x, conv(divisible(1280 * width), 1, "top_conv"), norm("top_bn"), swish("top_activation"))
    return frame.model(frame.top(x, Dropout(dropout, name="top_dropout"), kernel_initializer=outer()), files)


def _block(x: Any, window: int, filters: int, expansion: int, strides: int, drop: float, name: str) -> Any:
    """x + 1x1 to more channels, windows in each, excitation, 1x1 back to few; without x where the shape changes."""
    past, channels = x, x.shape[channel_axis()]
    if expansion > 1:
        x = chain(x, conv(channels * expansion, 1, f"{name}_expand_conv"), norm(f"{name}_expand_bn"), swish(f"{name}_expand_activation"))
    if strides == 2:
        x = halving_pad(x, window, f"{name}_dwconv_pad")(x)
    padding = "same" if strides == 1 else "valid"
    x = DepthwiseConv2D(window, strides, padding, use_bias=False, depthwise_initializer=inner(), name=f"{name}_dwconv")(x)
    x = chain(x, norm(f"{name}_bn"), swish(f"{name}_activation"))
    x = excited(x, max(1, channels // 4), name)
    x = chain(x, conv(filters, 1, f"{name}_project_conv"), norm(f"{name}_project_bn"))
    return with_past(x, past, drop, name) if strides == 1 and channels == filters else x


def stacked(stages: list[tuple[int, Any]]) -> list[tuple[str, tuple[Any, bool]]]:
    """The blocks of all stages, from (number, row) of each: "block2a", "block2b", ... with the row, and whether it is the first of its stage."""
    return [(f"block{s}{chr(97 + i)}", (row, i == 0)) for s, (number, row) in enumerate(stages, 1) for i in range(number)]


def excited(x: Any, few: int, name: str) -> Any:
    """Each channel times a number from 0 to 1, made from the means of all through `few` channels."""
    channels = x.shape[channel_axis()]
    shape = (1, 1, channels) if image_data_format() == "channels_last" else (channels, 1, 1)
    y = chain(x, GlobalAveragePooling2D(name=f"{name}_se_squeeze"), Reshape(shape, name=f"{name}_se_reshape"))
    y = Conv2D(few, 1, padding="same", activation="silu", kernel_initializer=inner(), name=f"{name}_se_reduce")(y)
    y = Conv2D(channels, 1, padding="same", activation="sigmoid", kernel_initializer=inner(), name=f"{name}_se_expand")(y)
    return Multiply(name=f"{name}_se_excite")([x, y])


def with_past(x: Any, past: Any, drop: float, name: str) -> Any:
    """past + x, in training without the x of some samples."""
    if drop > 0:
        x = Dropout(drop, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
    return Add(name=f"{name}_add")([x, past])


def conv(filters: int, size: int, name: str, strides: int = 1, padding: str = "same") -> Layer:
    """A convolution without bias."""
    return Conv2D(filters, size, strides, padding, use_bias=False, kernel_initializer=inner(), name=name)


def swish(name: str) -> Layer:
    """x * sigmoid(x)."""
    return Activation("silu", name=name)


def inner() -> VarianceScaling:
    """First weights of convolutions."""
    return VarianceScaling(2.0, "fan_out", "truncated_normal")


def outer() -> VarianceScaling:
    """First weights of the classifier."""
    return VarianceScaling(1 / 3, "fan_out", "uniform")


# width, depth, size of the images, dropout
# fmt: off
EfficientNetB0 = variant(efficientnet, "EfficientNetB0", "efficientnetb0", (1.0, 1.0, 224, 0.2),
    files("keras-applications/efficientnetb0", "902e53a9f72be733fc0bcb005b3ebbac", "50bc09e76180e00e4465e1a485ddc09d"))
EfficientNetB1 = variant(efficientnet, "EfficientNetB1", "efficientnetb1", (1.0, 1.1, 240, 0.2),
    files("keras-applications/efficientnetb1", "1d254153d4ab51201f1646940f018540", "74c4e6b3e1f6a1eea24c589628592432"))
EfficientNetB2 = variant(efficientnet, "EfficientNetB2", "efficientnetb2", (1.1, 1.2, 260, 0.3),
    files("keras-applications/efficientnetb2", "b15cce36ff4dcbd00b6dd88e7857a6ad", "111f8e2ac8aa800a7a99e3239f7bfb39"))
EfficientNetB3 = variant(efficientnet, "EfficientNetB3", "efficientnetb3", (1.2, 1.4, 300, 0.3),
    files("keras-applications/efficientnetb3", "ffd1fdc53d0ce67064dc6a9c7960ede0", "af6d107764bb5b1abb91932881670226"))
EfficientNetB4 = variant(efficientnet, "EfficientNetB4", "efficientnetb4", (1.4, 1.8, 380, 0.4),
    files("keras-applications/efficientnetb4", "18c95ad55216b8f92d7e70b3a046e2fc", "ebc24e6d6c33eaebbd558eafbeedf1ba"))
EfficientNetB5 = variant(efficientnet, "EfficientNetB5", "efficientnetb5", (1.6, 2.2, 456, 0.4),
    files("keras-applications/efficientnetb5", "ace28f2a6363774853a83a0b21b9421a", "38879255a25d3c92d5e44e04ae6cec6f"))
EfficientNetB6 = variant(efficientnet, "EfficientNetB6", "efficientnetb6", (1.8, 2.6, 528, 0.5),
    files("keras-applications/efficientnetb6", "165f6e37dce68623721b423839de8be5", "9ecce42647a20130c1f39a5d4cb75743"))
EfficientNetB7 = variant(efficientnet, "EfficientNetB7", "efficientnetb7", (2.0, 3.1, 600, 0.5),
    files("keras-applications/efficientnetb7", "8c03f828fec3ef71311cd463b6759d99", "cbcfe4450ddf6f3ad90b1b398090fe4a"))
