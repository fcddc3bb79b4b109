# SPDX-License-Identifier: Apache-2.0
"""VGG16 and VGG19: convolutions of 3 x 3 only, in five blocks that each halve the image. Start at vgg and the rows below it."""

from __future__ import annotations

from typing import Any

from nyala.applications.frame import Files, Frame, Shape, kernels, variant
from nyala.layers import Conv2D, Dense, Flatten, MaxPooling2D
from nyala.models.functional import Functional

FILTERS = (64, 128, 256, 512, 512)


def vgg(
    depths: tuple[int, ...],
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "vgg",
) -> Functional:
    """Five blocks of 3 x 3 convolutions, for images of 224 x 224 (without the top from 32 x 32) from preprocess_input.

    Source: Simonyan, Zisserman 2015, Very deep convolutional networks for large-scale image recognition.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = frame.begin(224)
    for block, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 1):
        for i in range(1, depth + 1):
            x = Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{i}")(x)
        x = MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    if include_top:
        x = Flatten(name="flatten")(x)
        x = Dense(4096, activation="relu", name="fc1")(x)
        x = Dense(4096, activation="relu", name="fc2")(x)
    return frame.model(frame.classifier()(x) if include_top else frame.pooled(x), files)


# fmt: off
VGG16 = variant(vgg, "VGG16", "vgg16", (2, 2, 3, 3, 3),
                kernels("vgg16/vgg16", "64373286793e3c8b2b4e3219cbf3544b", "6d6bbae143d832006294945121d1f1fc"))
VGG19 = variant(vgg, "VGG19", "vgg19", (2, 2, 4, 4, 4),
                kernels("vgg19/vgg19", "cbe5617147190e668d6c5d5026f83318", "253f8cb515780f3b799900260a226db6"))
