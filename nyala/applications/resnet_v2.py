# SPDX-License-Identifier: Apache-2.0
"""ResNet50V2, 101V2, 152V2: bottlenecks that normalize first. Start at resnet_v2 and the rows below it."""

from __future__ import annotations

from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, kernels, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.applications.resnet import FILTERS, norm_relu
from nyala.layers import Add, Conv2D, MaxPooling2D, ZeroPadding2D
from nyala.models.functional import Functional

__all__ = ["ResNet50V2", "ResNet101V2", "ResNet152V2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")


def resnet_v2(
    depths: tuple[int, ...],
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnetv2",
) -> Functional:
    """Residual bottlenecks that normalize first, for images of 224 x 224 (without the top from 32 x 32) from preprocess_input.

    Source: He, Zhang, Ren, Sun 2016, Identity mappings in deep residual networks.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = chain(frame.begin(224), ZeroPadding2D(3, name="conv1_pad"), Conv2D(64, 7, 2, name="conv1_conv"))
    x = chain(x, ZeroPadding2D(1, name="pool1_pad"), MaxPooling2D(3, 2, name="pool1_pool"))
    for stage, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 2):
        for i in range(1, depth + 1):
            x = _bottleneck(x, filters, 2 if i == depth and stage < 5 else 1, i == 1, f"conv{stage}_block{i}")
    return frame.model(frame.top(chain(x, *norm_relu("post"))), files)


def _bottleneck(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """x + 1x1, 3x3, 1x1 convolutions of relu(norm(x)); x itself projected, or thinned out, where the shape changes."""
    active = chain(x, *norm_relu(f"{name}_preact"))
    past = Conv2D(4 * filters, 1, strides, name=f"{name}_0_conv")(active) if project else MaxPooling2D(1, strides)(x) if strides > 1 else x
    x = chain(active, Conv2D(filters, 1, use_bias=False, name=f"{name}_1_conv"), *norm_relu(f"{name}_1"), ZeroPadding2D(1, name=f"{name}_2_pad"))
    x = chain(x, Conv2D(filters, 3, strides, use_bias=False, name=f"{name}_2_conv"), *norm_relu(f"{name}_2"))
    return Add(name=f"{name}_out")([past, Conv2D(4 * filters, 1, name=f"{name}_3_conv")(x)])


# fmt: off
ResNet50V2 = variant(resnet_v2, "ResNet50V2", "resnet50v2", (3, 4, 6, 3),
                     kernels("resnet/resnet50v2", "3ef43a0b657b3be2300d5770ece849e0", "fac2f116257151a9d068a22e544a4917"))
ResNet101V2 = variant(resnet_v2, "ResNet101V2", "resnet101v2", (3, 4, 23, 3),
                      kernels("resnet/resnet101v2", "6343647c601c52e1368623803854d971", "c0ed64b8031c3730f411d2eb4eea35b5"))
ResNet152V2 = variant(resnet_v2, "ResNet152V2", "resnet152v2", (3, 8, 36, 3),
                      kernels("resnet/resnet152v2", "a49b44d1979771252814e80f8ec446f9", "ed17cf2e0169df9d443503ef94b23b33"))
