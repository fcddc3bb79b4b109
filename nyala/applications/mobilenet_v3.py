# SPDX-License-Identifier: Apache-2.0
"""MobileNetV3Small and Large: the blocks of MobileNetV2, some with squeeze and excitation, found by search. Start at mobilenet_v3."""

from __future__ import annotations

from typing import Any, NamedTuple

from nyala.applications.frame import Files, Frame, Shape, WeightFile, chain, channel_axis, divisible, halving_pad, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, no_preprocessing
from nyala.layers import Activation, Add, Conv2D, DepthwiseConv2D, Dropout, Flatten, GlobalAveragePooling2D, Layer, Multiply, ReLU, Rescaling
from nyala.models.functional import Functional

__all__ = ["MobileNetV3Large", "MobileNetV3Small", "decode_predictions", "preprocess_input"]

preprocess_input = no_preprocessing


class Block(NamedTuple):
    """A row of the paper's table: size of the windows, expansion of the channels, filters, and whether it excites, is hard, halves."""

    size: int
    expansion: float
    filters: int
    excite: bool = False
    hard: bool = False  # hard_silu, else relu
    strides: int = 1


# fmt: off
SMALL = [
    Block(3, 1, 16, excite=True, strides=2),
    Block(3, 72 / 16, 24, strides=2),
    Block(3, 88 / 24, 24),
    Block(5, 4, 40, True, True, 2),
    *2 * [Block(5, 6, 40, True, True)],
    *2 * [Block(5, 3, 48, True, True)],
    Block(5, 6, 96, True, True, 2),
    *2 * [Block(5, 6, 96, True, True)],
]
LARGE = [
    Block(3, 1, 16),
    Block(3, 4, 24, strides=2),
    Block(3, 3, 24),
    Block(5, 3, 40, excite=True, strides=2),
    *2 * [Block(5, 3, 40, excite=True)],
    Block(3, 6, 80, hard=True, strides=2),
    Block(3, 2.5, 80, hard=True),
    *2 * [Block(3, 2.3, 80, hard=True)],
    *2 * [Block(3, 6, 112, True, True)],
    Block(5, 6, 160, True, True, 2),
    *2 * [Block(5, 6, 160, True, True)],
]
# fmt: on


def mobilenet_v3(
    table: tuple[list[Block], int],
    files: dict[str, Files],
    input_shape: Shape | None = None,
    alpha: float = 1.0,
    minimalistic: bool = False,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    classes: int = 1000,
    pooling: str | None = None,
    dropout_rate: float = 0.2,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "MobileNetV3",
) -> Functional:
    """The blocks of MobileNetV2, some with squeeze and excitation, for images of 224 x 224 (from 32 x 32) with pixels from 0 to 255.

    Args:
        alpha: share of the filters. Trained are 0.75 and 1.
        minimalistic: relu and 3 x 3 only, no excitation. Trained with alpha 1.
        dropout_rate: before the classifier.
        include_preprocessing: whether the network scales pixels from 0 to 255 itself; else it takes -1 to 1.
    Source: Howard et al. 2019, Searching for MobileNetV3.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    frame.check_trained("alpha", alpha, (1.0,) if minimalistic else (0.75, 1.0))
    x, (blocks, last) = frame.begin(None), table
    x = Rescaling(1 / 127.5, offset=-1.0)(x) if include_preprocessing else x
    x = chain(x, Conv2D(16, 3, 2, padding="same", use_bias=False, name="conv"), _norm("conv_bn"), _active(not minimalistic))
    for i, block in enumerate(blocks):
        block = block._replace(filters=divisible(block.filters * alpha))
        block = block._replace(size=3, excite=False, hard=False) if minimalistic else block
        x = _inverted_residual(x, block, f"expanded_conv_{i}" if i else "expanded_conv")
    channels = divisible(6 * x.shape[channel_axis()])
    x = chain(x, Conv2D(channels, 1, padding="same", use_bias=False, name="conv_1"), _norm("conv_1_bn"), _active(not minimalistic))
    if include_top:
        last = divisible(last * alpha) if alpha > 1 else last
        x = chain(x, GlobalAveragePooling2D(keepdims=True), Conv2D(last, 1, padding="same", name="conv_2"), _active(not minimalistic))
        x = Dropout(dropout_rate)(x) if dropout_rate > 0 else x
        x = chain(x, Conv2D(classes, 1, padding="same", name="logits"), Flatten(), Activation(classifier_activation, name="predictions"))
    else:
        x = frame.pooled(x, "avg_pool", "max_pool")
    return frame.model(x, files["minimalistic" if minimalistic else f"{float(alpha)}"] if frame.trained else files["1.0"])


def _inverted_residual(x: Any, block: Block, name: str) -> Any:
    """x + 1x1 to more channels, windows in each, excitation, 1x1 back to few; without x where the shape changes."""
    past, channels = x, x.shape[channel_axis()]
    wide = divisible(channels * block.expansion)
    if name != "expanded_conv":
        x = chain(x, Conv2D(wide, 1, padding="same", use_bias=False, name=f"{name}_expand"), _norm(f"{name}_expand_bn"), _active(block.hard))
    if block.strides == 2:
        x = halving_pad(x, block.size, f"{name}_depthwise_pad")(x)
    x = DepthwiseConv2D(block.size, block.strides, "same" if block.strides == 1 else "valid", use_bias=False, name=f"{name}_depthwise")(x)
    x = chain(x, _norm(f"{name}_depthwise_bn"), _active(block.hard))
    if block.excite:
        x = _excited(x, wide, f"{name}_squeeze_excite")
    x = chain(x, Conv2D(block.filters, 1, padding="same", use_bias=False, name=f"{name}_project"), _norm(f"{name}_project_bn"))
    return Add(name=f"{name}_add")([past, x]) if block.strides == 1 and channels == block.filters else x


def _excited(x: Any, channels: int, name: str) -> Any:
    """Each channel times a number from 0 to 1, made from the means of all."""
    y = chain(x, GlobalAveragePooling2D(keepdims=True, name=f"{name}_avg_pool"))
    y = chain(y, Conv2D(divisible(channels * 0.25), 1, padding="same", name=f"{name}_conv"), ReLU(name=f"{name}_relu"))
    y = Conv2D(channels, 1, padding="same", name=f"{name}_conv_1")(y)
    return Multiply(name=f"{name}_mul")([x, ReLU(6.0)(y + 3.0) * (1 / 6)])


def _active(hard: bool) -> Layer:
    return Activation("hard_silu") if hard else ReLU()


def _norm(name: str) -> Layer:
    return norm(name, last=-1, momentum=0.999)


def _files(size: str, **md5: tuple[str, str]) -> dict[str, Files]:
    """The files of small or large: those of alpha 0.75 and 1.0, and of the minimalistic one."""
    place = "tensorflow/keras-applications/mobilenet_v3/weights_mobilenet_v3_{}_224_{}_float{}.h5"
    rows = {"0.75": (size, "0.75"), "1.0": (size, "1.0"), "minimalistic": (f"{size}_minimalistic", "1.0")}
    pairs = zip(rows.items(), md5.values(), strict=True)
    return {key: (WeightFile(place.format(*row, ""), a), WeightFile(place.format(*row, "_no_top_v2"), b)) for (key, row), (a, b) in pairs}


# fmt: off
MobileNetV3Small = variant(mobilenet_v3, "MobileNetV3Small", "MobileNetV3Small", (SMALL, 1024), _files(
    "small",
    three_quarters=("cb65d4e5be93758266aa0a7f2c6708b7", "ebdb5cc8e0b497cd13a7c275d475c819"),
    whole=("8768d4c2e7dee89b9d02b2d03d65d862", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    minimalistic=("99cd97fb2fcdad2bf028eb838de69e37", "cde8136e733e811080d9fcd8a252f7e4")))
MobileNetV3Large = variant(mobilenet_v3, "MobileNetV3Large", "MobileNetV3Large", (LARGE, 1280), _files(
    "large",
    three_quarters=("765b44a33ad4005b3ac83185abf1d0eb", "40af19a13ebea4e2ee0c676887f69a2e"),
    whole=("59e551e166be033d707958cf9e29a6a7", "07fb09a5933dd0c8eaafa16978110389"),
    minimalistic=("675e7b876c45c57e9e63e6d90a36599c", "ec5221f64a2f6d1ef965a614bdae7973")))
