# SPDX-License-Identifier: Apache-2.0
"""EfficientNetV2B0 to B3, S, M, L: EfficientNet with plain convolutions in its first stages. Start at efficientnet_v2 and the tables."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from nyala.applications.efficientnet import DROP, conv, excited, inner, outer, stacked, swish, with_past
from nyala.applications.frame import Files, Frame, Shape, chain, channel_axis, divisible, files, norm, variant
from nyala.applications.imagenet_utils import DEVIATION, MEAN, decode_predictions, no_preprocessing
from nyala.initializers import Constant
from nyala.layers import DepthwiseConv2D, Dropout, Layer, Normalization, Rescaling
from nyala.models.functional import Functional

__all__ = [
    "EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3", "EfficientNetV2L", "EfficientNetV2M", "EfficientNetV2S",
    "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = no_preprocessing


class Stage(NamedTuple):
    """A row of the papers' tables: blocks, filters, expansion, strides of the first block, and whether its convolutions are plain."""

    blocks: int
    filters: int
    expansion: int
    strides: int = 2
    plain: bool = False


class Scale(NamedTuple):
    """What makes a network: its stages, the size of its images, filters of its stem, width, depth, and whether channels are normalized apart."""

    stages: list[Stage]
    size: int
    stem: int
    width: float = 1.0
    depth: float = 1.0
    normalize: bool = False


def _stages(*rows: Stage) -> list[Stage]:
    return [row._replace(plain=i < 3) for i, row in enumerate(rows)]


# fmt: off
B = _stages(Stage(1, 16, 1, 1), Stage(2, 32, 4), Stage(2, 48, 4), Stage(3, 96, 4), Stage(5, 112, 6, 1), Stage(8, 192, 6))
S = _stages(Stage(2, 24, 1, 1), Stage(4, 48, 4), Stage(4, 64, 4), Stage(6, 128, 4), Stage(9, 160, 6, 1), Stage(15, 256, 6))
M = _stages(Stage(3, 24, 1, 1), Stage(5, 48, 4), Stage(5, 80, 4), Stage(7, 160, 4), Stage(14, 176, 6, 1), Stage(18, 304, 6), Stage(5, 512, 6, 1))
L = _stages(Stage(4, 32, 1, 1), Stage(7, 64, 4), Stage(7, 96, 4), Stage(10, 192, 4), Stage(19, 224, 6, 1), Stage(25, 384, 6), Stage(7, 640, 6, 1))
# fmt: on


def efficientnet_v2(
    scale: Scale,
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    include_preprocessing: bool = True,
    name: str = "efficientnetv2",
) -> Functional:
    """EfficientNet with plain convolutions in its first stages, for images (without the top from 32 x 32) with pixels from 0 to 255.

    Args:
        include_preprocessing: whether the network scales these pixels itself.
    Source: Tan, Le 2021, EfficientNetV2: smaller models and faster training.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = frame.begin(scale.size)
    if include_preprocessing and scale.normalize:
        x = chain(x, Rescaling(1 / 255), Normalization(axis=channel_axis(), mean=list(MEAN), variance=[d**2 for d in DEVIATION]))
    elif include_preprocessing:
        x = Rescaling(1 / 128, offset=-1)(x)
    x = chain(x, conv(_wide(scale.stem, scale), 3, "stem_conv", strides=2), _norm("stem_bn"), swish("stem_activation"))
    blocks = stacked([(math.ceil(scale.depth * stage.blocks), stage) for stage in scale.stages])
    number = sum(stage.blocks for stage in scale.stages)  # of the table, not of the deeper network: so were they trained
    for i, (block, (stage, first)) in enumerate(blocks):
        build = _plain_block if stage.plain else _block
        x = build(x, _wide(stage.filters, scale), stage.expansion, stage.strides if first else 1, DROP * i / number, block)
    x = chain(x, conv(_wide(1280, scale), 1, "top_conv"), _norm("top_bn"), swish("top_activation"))
    x = frame.top(x, Dropout(0.2, name="top_dropout"), kernel_initializer=outer(), bias_initializer=Constant(0.0))
    return frame.model(x, files)


def _plain_block(x: Any, filters: int, expansion: int, strides: int, drop: float, name: str) -> Any:
    """x + 3x3 to more channels and 1x1 back, or one 3x3; without x where the shape changes."""
    past, channels = x, x.shape[channel_axis()]
    if expansion > 1:
        x = chain(x, conv(channels * expansion, 3, f"{name}_expand_conv", strides), _norm(f"{name}_expand_bn"), swish(f"{name}_expand_activation"))
        x = chain(x, conv(filters, 1, f"{name}_project_conv"), _norm(f"{name}_project_bn"))
    else:
        x = chain(x, conv(filters, 3, f"{name}_project_conv", strides), _norm(f"{name}_project_bn"), swish(f"{name}_project_activation"))
    return with_past(x, past, drop, name) if strides == 1 and channels == filters else x


def _block(x: Any, filters: int, expansion: int, strides: int, drop: float, name: str) -> Any:
    """x + 1x1 to more channels, 3x3 in each, excitation, 1x1 back to few; without x where the shape changes."""
    past, channels = x, x.shape[channel_axis()]
    x = chain(x, conv(channels * expansion, 1, f"{name}_expand_conv"), _norm(f"{name}_expand_bn"), swish(f"{name}_expand_activation"))
    x = DepthwiseConv2D(3, strides, "same", use_bias=False, depthwise_initializer=inner(), name=f"{name}_dwconv2")(x)
    x = chain(x, _norm(f"{name}_bn"), swish(f"{name}_activation"))
    x = excited(x, max(1, channels // 4), name)
    x = chain(x, conv(filters, 1, f"{name}_project_conv"), _norm(f"{name}_project_bn"))
    return with_past(x, past, drop, name) if strides == 1 and channels == filters else x


def _wide(filters: int, scale: Scale) -> int:
    return divisible(filters * scale.width, least=0.0)


def _norm(name: str) -> Layer:
    return norm(name, momentum=0.9)


# fmt: off
EfficientNetV2B0 = variant(efficientnet_v2, "EfficientNetV2B0", "efficientnetv2-b0", Scale(B, 224, 32, 1.0, 1.0, True),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b0", "21ecbf6da12460d5c40bb2f29ceb2188", "893217f2bb855e2983157299931e43ff"))
EfficientNetV2B1 = variant(efficientnet_v2, "EfficientNetV2B1", "efficientnetv2-b1", Scale(B, 240, 32, 1.0, 1.1, True),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b1", "069f0534ff22adf035c89e2d9547a9dc", "0e80663031ca32d657f9caa404b6ec37"))
EfficientNetV2B2 = variant(efficientnet_v2, "EfficientNetV2B2", "efficientnetv2-b2", Scale(B, 260, 32, 1.1, 1.2, True),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b2", "424e49f28180edbde1e94797771950a7", "1dfe2e7a5d45b6632553a8961ea609eb"))
EfficientNetV2B3 = variant(efficientnet_v2, "EfficientNetV2B3", "efficientnetv2-b3", Scale(B, 300, 32, 1.2, 1.4, True),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-b3", "1f1fc43bd98a6e4fd8fdfd551e02c7a0", "f6abf7b5849ac99a89b50dd3fd532856"))
EfficientNetV2S = variant(efficientnet_v2, "EfficientNetV2S", "efficientnetv2-s", Scale(S, 384, 24),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-s", "e1d88a8495beba45748fedd0cecbe016", "af0682fb74e8c54910f2d4393339c070"))
EfficientNetV2M = variant(efficientnet_v2, "EfficientNetV2M", "efficientnetv2-m", Scale(M, 480, 24),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-m", "a3bf6aa3276309f4fc6a34aa114c95cd", "1b8dc055df72dde80d614482840fe342"))
EfficientNetV2L = variant(efficientnet_v2, "EfficientNetV2L", "efficientnetv2-l", Scale(L, 480, 32),
    files("tensorflow/keras-applications/efficientnet_v2/efficientnetv2-l", "27e6d408b53c7ebc868fefa357689935", "b0b66b5c863aef5b46e8608fe1711615"))
