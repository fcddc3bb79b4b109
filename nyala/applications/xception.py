# SPDX-License-Identifier: Apache-2.0
"""Xception: separable convolutions in residual blocks. Start at xception."""

from __future__ import annotations

from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, kernels, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.layers import Activation, Add, Conv2D, MaxPooling2D, SeparableConv2D
from nyala.models.functional import Functional

__all__ = ["Xception", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")
ENTRY, MIDDLE, EXIT = ((128, 128), (256, 256), (728, 728)), 8 * ((728, 728, 728),), ((728, 1024),)


def xception(
    _: None,
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "xception",
) -> Functional:
    """Separable convolutions in residual blocks, for images of 299 x 299 (without the top from 71 x 71) from preprocess_input.

    Source: Chollet 2017, Xception: deep learning with depthwise separable convolutions.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = frame.begin(299, minimum=71)
    for i, (filters, strides) in enumerate([(32, 2), (64, 1)], 1):
        x = Conv2D(filters, 3, strides, use_bias=False, name=f"block1_conv{i}")(x)
        x = chain(x, norm(f"block1_conv{i}_bn", last=-1), Activation("relu", name=f"block1_conv{i}_act"))
    for number, filters in enumerate((*ENTRY, *MIDDLE, *EXIT), 2):
        x = _residual(x, filters, f"block{number}", shrink=filters not in MIDDLE, active=number > 2)
    for i, filters in enumerate((1536, 2048), 1):
        x = chain(x, *_separable(filters, f"block14_sepconv{i}"), Activation("relu", name=f"block14_sepconv{i}_act"))
    return frame.model(frame.top(x, names=(None, None)), files)


def _residual(x: Any, filters: tuple[int, ...], name: str, shrink: bool, active: bool) -> Any:
    """x + separable convolutions of relu(x); both half as large with shrink. The first relu only if active."""
    past = chain(x, Conv2D(filters[-1], 1, 2, padding="same", use_bias=False), norm(last=-1)) if shrink else x
    for i, number in enumerate(filters, 1):
        if active or i > 1:
            x = Activation("relu", name=f"{name}_sepconv{i}_act")(x)
        x = chain(x, *_separable(number, f"{name}_sepconv{i}"))
    return Add()([MaxPooling2D(3, 2, padding="same", name=f"{name}_pool")(x) if shrink else x, past])


def _separable(filters: int, name: str) -> tuple[Any, Any]:
    return SeparableConv2D(filters, 3, padding="same", use_bias=False, name=name), norm(f"{name}_bn", last=-1)


# fmt: off
Xception = variant(xception, "Xception", "xception", None,
                   kernels("xception/xception", "0a58e3b7378bc2990ea3b43d5981f1f6", "b0042744bf5b25fce3cb969f33bebb97"))
