# SPDX-License-Identifier: Apache-2.0
"""NASNetMobile and Large: two cells found by search, normal and reduction, stacked. Start at nasnet, _normal and _reduction."""

from __future__ import annotations

from typing import Any, NamedTuple

from nyala.applications.frame import Files, Frame, Shape, WeightFile, chain, halving_pad, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.layers import (
    Activation,
    Add,
    AveragePooling2D,
    Concatenate,
    Conv2D,
    Cropping2D,
    GlobalAveragePooling2D,
    Layer,
    MaxPooling2D,
    SeparableConv2D,
    ZeroPadding2D,
)
from nyala.models.functional import Functional

__all__ = ["NASNetLarge", "NASNetMobile", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")


class Scale(NamedTuple):
    """What makes a network: the size of its images, normal cells in each of three stages, filters of the stem and of the first stage,
    and whether a reduction hands on what came before its input, or its input."""

    size: int
    cells: int
    stem: int
    filters: int
    skip: bool


def nasnet(
    scale: Scale,
    files: Files,
    input_shape: Shape | None = None,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "nasnet",
) -> Functional:
    """Two cells found by search, stacked, for images (from 32 x 32) from preprocess_input.

    Differs from Keras: sizes must be known, since padding depends on them, and without the top they are by default those of training. (Keras
    builds NASNetLarge for any size by default, without the layers that fit sizes to each other.) Paths of weights have no scopes in front.
    Source: Zoph, Vasudevan, Shlens, Le 2018, Learning transferable architectures for scalable image recognition.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    frame.channels_last()
    x, filters = frame.begin(scale.size, known=True), scale.filters
    x = chain(x, Conv2D(scale.stem, 3, 2, use_bias=False, kernel_initializer="he_normal", name="stem_conv1"), _norm("stem_bn1"))
    x, past = _reduction(x, None, filters // 4, "stem_1"), x
    x, past = _reduction(x, past, filters // 2, "stem_2"), x
    for stage in range(3):
        number = stage * scale.cells + min(stage, 1)  # cells count on over the first reduction, but not over the second
        if stage:
            filters *= 2
            x, past = _reduction(x, past, filters, f"reduce_{stage * scale.cells}"), past if scale.skip else x
        for i in range(scale.cells):
            x, past = _normal(x, past, filters, f"{number + i}"), x
    x = Activation("relu")(x)
    x = chain(x, GlobalAveragePooling2D(), frame.classifier()) if include_top else frame.pooled(x)
    return frame.model(x, files)


def _normal(x: Any, past: Any, filters: int, name: str) -> Any:
    """Five sums of convolutions and means of x and of what came before it."""
    past = _adjusted(past, x, filters, name)
    x = _squeezed(x, filters, "normal", name)
    mean = lambda y, side: AveragePooling2D(3, 1, padding="same", name=f"normal_{side}_{name}")(y)  # noqa: E731
    pairs = [
        (_separable(x, filters, 5, f"normal_left1_{name}"), _separable(past, filters, 3, f"normal_right1_{name}")),
        (_separable(past, filters, 5, f"normal_left2_{name}"), _separable(past, filters, 3, f"normal_right2_{name}")),
        (mean(x, "left3"), past),
        (mean(past, "left4"), mean(past, "right4")),
        (_separable(x, filters, 3, f"normal_left5_{name}"), x),
    ]
    sums = [Add(name=f"normal_add_{i}_{name}")(list(pair)) for i, pair in enumerate(pairs, 1)]
    return Concatenate(name=f"normal_concat_{name}")([past, *sums])


def _reduction(x: Any, past: Any, filters: int, name: str) -> Any:
    """As _normal, but half as large."""
    past = _adjusted(past, x, filters, name)
    x = _squeezed(x, filters, "reduction", name)
    padded = halving_pad(x, 3, f"reduction_pad_1_{name}")(x)
    add = lambda *pair, number: Add(name=f"reduction_add{number}_{name}")(list(pair))  # noqa: E731
    first = add(_separable(x, filters, 5, f"reduction_left1_{name}", 2), _separable(past, filters, 7, f"reduction_right1_{name}", 2), number="_1")
    peak = MaxPooling2D(3, 2, name=f"reduction_left2_{name}")(padded)
    second = add(peak, _separable(past, filters, 7, f"reduction_right2_{name}", 2), number="_2")
    mean = AveragePooling2D(3, 2, name=f"reduction_left3_{name}")(padded)
    third = add(mean, _separable(past, filters, 5, f"reduction_right3_{name}", 2), number="3")
    fourth = Add()([second, AveragePooling2D(3, 1, padding="same", name=f"reduction_left4_{name}")(first)])
    fifth = _separable(first, filters, 3, f"reduction_left4_{name}")
    fifth = add(fifth, MaxPooling2D(3, 2, name=f"reduction_right5_{name}")(padded), number="4")
    return Concatenate(name=f"reduction_concat_{name}")([second, third, fourth, fifth])


def _adjusted(past: Any, x: Any, filters: int, name: str) -> Any:
    """past in the size of x and with this number of channels."""
    if past is None:
        return x
    if past.shape[1] != x.shape[1]:  # every second place, from two beginnings, side by side
        y = Activation("relu", name=f"adjust_relu_1_{name}")(past)
        moved = chain(y, ZeroPadding2D(((0, 1), (0, 1))), Cropping2D(((1, 0), (1, 0))))
        halves = [
            chain(z, AveragePooling2D(1, 2, name=f"adjust_avg_pool_{i}_{name}"), _conv(filters // 2, f"adjust_conv_{i}_{name}"))
            for i, z in enumerate((y, moved), 1)
        ]
        return chain(halves, Concatenate(), _norm(f"adjust_bn_{name}"))
    if past.shape[-1] != filters:
        return chain(past, Activation("relu"), _conv(filters, f"adjust_conv_projection_{name}"), _norm(f"adjust_bn_{name}"))
    return past


def _squeezed(x: Any, filters: int, cell: str, name: str) -> Any:
    """x with this number of channels."""
    return chain(x, Activation("relu"), _conv(filters, f"{cell}_conv_1_{name}"), _norm(f"{cell}_bn_1_{name}"))


def _separable(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    """Two separable convolutions of relu."""
    x = Activation("relu")(x)
    if strides == 2:
        x = halving_pad(x, size, f"separable_conv_1_pad_{name}")(x)
    padding = "same" if strides == 1 else "valid"
    x = chain(
        x, SeparableConv2D(filters, size, strides, padding, use_bias=False, name=f"separable_conv_1_{name}"), _norm(f"separable_conv_1_bn_{name}")
    )
    x = chain(x, Activation("relu"), SeparableConv2D(filters, size, padding="same", use_bias=False, name=f"separable_conv_2_{name}"))
    return _norm(f"separable_conv_2_bn_{name}")(x)


def _conv(filters: int, name: str) -> Layer:
    return Conv2D(filters, 1, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)


def _norm(name: str) -> Layer:
    return norm(name, last=-1, momentum=0.9997)


def _files(size: str, with_top: str, without: str) -> Files:
    place = f"tensorflow/keras-applications/nasnet/NASNet-{size}"
    return WeightFile(f"{place}.h5", with_top, f"nasnet_{size}.h5"), WeightFile(f"{place}-no-top.h5", without, f"nasnet_{size}_no_top.h5")


# fmt: off
NASNetMobile = variant(nasnet, "NASNetMobile", "nasnet_mobile", Scale(224, 4, 32, 1056 // 24, False),
                       _files("mobile", "020fb642bf7360b370c678b08e0adf61", "1ed92395b5b598bdda52abe5c0dbfd63"))
NASNetLarge = variant(nasnet, "NASNetLarge", "nasnet_large", Scale(331, 6, 96, 4032 // 24, True),
                      _files("large", "11577c9a518f0070763c2b964a382f17", "d81d89dc07e6e56530c4e77faddd61b5"))
