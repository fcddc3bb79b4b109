# SPDX-License-Identifier: Apache-2.0
"""MobileNet: depthwise convolutions of each channel apart, then 1 x 1 over the channels. Start at mobilenet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.applications.frame import Files, Frame, Shape, WeightFile, chain, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.core.config import image_data_format
from nyala.layers import Activation, Conv2D, DepthwiseConv2D, Dropout, GlobalAveragePooling2D, ReLU, Reshape, ZeroPadding2D
from nyala.models.functional import Functional

__all__ = ["MobileNet", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
SIZES = (128, 160, 192, 224)
# filters, strides
BLOCKS = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *5 * [(512, 1)], (1024, 2), (1024, 1)]
ALPHAS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}


def mobilenet(
    _: None,
    files: Callable[[float, int], Files],
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    depth_multiplier: int = 1,
    dropout: float = 0.001,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str | None = None,
) -> Functional:
    """Depthwise and 1 x 1 convolutions, for images of 224 x 224 (from 32 x 32) from preprocess_input.

    Args:
        alpha: share of the filters. Trained are 0.25, 0.5, 0.75 and 1.
        depth_multiplier: filters for each channel of the depthwise convolutions. Trained is 1.
        dropout: rate before the classifier.
    Source: Howard et al. 2017, MobileNets: efficient convolutional neural networks for mobile vision applications.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name or "mobilenet")
    size = trained_size(input_shape, SIZES)
    frame.check_trained("alpha", alpha, ALPHAS)
    frame.check_trained("depth_multiplier", depth_multiplier, (1,))
    x = frame.begin(size)
    frame.name = name or f"mobilenet_{alpha:0.2f}_{size if frame.trained else frame.rows}"
    x = chain(x, Conv2D(int(32 * alpha), 3, 2, padding="same", use_bias=False, name="conv1"), *_norm_relu("conv1"))
    for i, (filters, strides) in enumerate(BLOCKS, 1):
        if strides == 2:
            x = ZeroPadding2D(((0, 1), (0, 1)), name=f"conv_pad_{i}")(x)
        padding = "same" if strides == 1 else "valid"
        x = DepthwiseConv2D(3, strides, padding, depth_multiplier, use_bias=False, name=f"conv_dw_{i}")(x)
        x = chain(x, *_norm_relu(f"conv_dw_{i}"), Conv2D(int(filters * alpha), 1, padding="same", use_bias=False, name=f"conv_pw_{i}"))
        x = chain(x, *_norm_relu(f"conv_pw_{i}"))
    if include_top:
        x = chain(
            x,
            GlobalAveragePooling2D(keepdims=True),
            Dropout(dropout, name="dropout"),
            Conv2D(classes, 1, padding="same", name="conv_preds"),
            Reshape((classes,), name="reshape_2"),
            Activation(classifier_activation, name="predictions"),
        )
    else:
        x = frame.pooled(x)
    return frame.model(x, files(alpha, size))


def _norm_relu(name: str) -> tuple[Any, Any]:
    return norm(f"{name}_bn", last=-1), ReLU(6.0, name=f"{name}_relu")


def trained_size(input_shape: Shape | None, sizes: tuple[int, ...]) -> int:
    """The size of the images whose weights fit best: that of the shape, if it is one of the trained sizes, else 224."""
    sides = set(input_shape[0:2] if image_data_format() == "channels_last" else input_shape[1:3]) if input_shape else set()
    return next((side for side in sides if len(sides) == 1 and side in sizes), 224)


def _files(alpha: float, size: int) -> Files:
    place = f"tensorflow/keras-applications/mobilenet/mobilenet_{ALPHAS.get(alpha)}_{size}_tf"
    return WeightFile(f"{place}.h5"), WeightFile(f"{place}_no_top.h5")


MobileNet = variant(mobilenet, "MobileNet", None, None, _files)
