# SPDX-License-Identifier: Apache-2.0
"""MobileNetV2: residual blocks that are wide inside and narrow between. Start at mobilenet_v2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.applications.frame import Files, Frame, Shape, WeightFile, chain, channel_axis, divisible, halving_pad, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.applications.mobilenet import trained_size
from nyala.layers import Add, Conv2D, DepthwiseConv2D, GlobalAveragePooling2D, ReLU
from nyala.models.functional import Functional

__all__ = ["MobileNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
SIZES = (96, 128, 160, 192, 224)
ALPHAS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
# expansion, filters, blocks, strides of the first
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


def mobilenet_v2(
    _: None,
    files: Callable[[float, int], Files],
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    """Residual blocks that are wide inside and narrow between, for images of 224 x 224 (from 32 x 32) from preprocess_input.

    Args:
        alpha: share of the filters. Trained are 0.35, 0.5, 0.75, 1, 1.3 and 1.4.
    Source: Sandler, Howard, Zhu, Zhmoginov, Chen 2018, MobileNetV2: inverted residuals and linear bottlenecks.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name or "mobilenetv2")
    size = trained_size(input_shape, SIZES)
    frame.check_trained("alpha", alpha, ALPHAS)
    x = frame.begin(size)
    frame.name = name or f"mobilenetv2_{alpha:0.2f}_{size if frame.trained else frame.rows}"
    x = chain(x, Conv2D(divisible(32 * alpha), 3, 2, padding="same", use_bias=False, name="Conv1"), _norm("bn_Conv1"), ReLU(6.0, name="Conv1_relu"))
    number = 0
    for expansion, filters, blocks, strides in STAGES:
        for i in range(blocks):
            prefix = f"block_{number}" if number else "expanded_conv"
            x = _inverted_residual(x, expansion, divisible(filters * alpha), strides if i == 0 else 1, prefix)
            number += 1
    x = chain(x, Conv2D(divisible(1280 * max(alpha, 1.0)), 1, use_bias=False, name="Conv_1"), _norm("Conv_1_bn"), ReLU(6.0, name="out_relu"))
    x = chain(x, GlobalAveragePooling2D(), frame.classifier()) if include_top else frame.pooled(x)
    return frame.model(x, files(alpha, size))


def _inverted_residual(x: Any, expansion: int, filters: int, strides: int, name: str) -> Any:
    """x + 1x1 to more channels, 3x3 in each, 1x1 back to few; without x where the shape changes."""
    past, channels = x, x.shape[channel_axis()]
    if expansion > 1:
        x = chain(x, Conv2D(expansion * channels, 1, padding="same", use_bias=False, name=f"{name}_expand"))
        x = chain(x, _norm(f"{name}_expand_BN"), ReLU(6.0, name=f"{name}_expand_relu"))
    if strides == 2:
        x = halving_pad(x, 3, f"{name}_pad")(x)
    x = DepthwiseConv2D(3, strides, "same" if strides == 1 else "valid", use_bias=False, name=f"{name}_depthwise")(x)
    x = chain(x, _norm(f"{name}_depthwise_BN"), ReLU(6.0, name=f"{name}_depthwise_relu"))
    x = chain(x, Conv2D(filters, 1, padding="same", use_bias=False, name=f"{name}_project"), _norm(f"{name}_project_BN"))
    return Add(name=f"{name}_add")([past, x]) if strides == 1 and channels == filters else x


def _norm(name: str) -> Any:
    return norm(name, last=-1, momentum=0.999)


def _files(alpha: float, size: int) -> Files:
    place = f"tensorflow/keras-applications/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{float(alpha)}_{size}"
    return WeightFile(f"{place}.h5"), WeightFile(f"{place}_no_top.h5")


MobileNetV2 = variant(mobilenet_v2, "MobileNetV2", None, None, _files)
