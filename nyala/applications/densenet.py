# SPDX-License-Identifier: Apache-2.0
"""DenseNet121, 169, 201: each block sees what all blocks before it made. Start at densenet and the rows below it."""

from __future__ import annotations

from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, channel_axis, kernels, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.layers import Activation, AveragePooling2D, Concatenate, Conv2D, MaxPooling2D, ZeroPadding2D
from nyala.models.functional import Functional

__all__ = ["DenseNet121", "DenseNet169", "DenseNet201", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("torch")
GROWTH = 32


def densenet(
    depths: tuple[int, ...],
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "densenet",
) -> Functional:
    """Blocks that see all blocks before them, for images of 224 x 224 (without the top from 32 x 32) from preprocess_input.

    Source: Huang, Liu, van der Maaten, Weinberger 2017, Densely connected convolutional networks.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = chain(frame.begin(224), ZeroPadding2D(3), Conv2D(64, 7, 2, use_bias=False, name="conv1_conv"), *_norm_relu("conv1_"))
    x = chain(x, ZeroPadding2D(1), MaxPooling2D(3, 2, name="pool1"))
    for stage, depth in enumerate(depths, 2):
        if stage > 2:
            x = _halved(x, f"pool{stage - 1}")
        for i in range(1, depth + 1):
            x = _dense_block(x, f"conv{stage}_block{i}")
    return frame.model(frame.top(chain(x, *_norm_relu(""))), files)


def _dense_block(x: Any, name: str) -> Any:
    """x beside GROWTH new channels."""
    new = chain(x, *_norm_relu(f"{name}_0_"), Conv2D(4 * GROWTH, 1, use_bias=False, name=f"{name}_1_conv"))
    new = chain(new, *_norm_relu(f"{name}_1_"), Conv2D(GROWTH, 3, padding="same", use_bias=False, name=f"{name}_2_conv"))
    return Concatenate(channel_axis(), name=f"{name}_concat")([x, new])


def _halved(x: Any, name: str) -> Any:
    """Half the channels, half the height and width."""
    filters = x.shape[channel_axis()] // 2
    return chain(x, *_norm_relu(f"{name}_"), Conv2D(filters, 1, use_bias=False, name=f"{name}_conv"), AveragePooling2D(2, 2, name=f"{name}_pool"))


def _norm_relu(name: str) -> tuple[Any, Any]:
    return norm(f"{name}bn", epsilon=1.001e-5), Activation("relu", name=f"{name}relu")


# fmt: off
DenseNet121 = variant(densenet, "DenseNet121", "densenet121", (6, 12, 24, 16),
                      kernels("densenet/densenet121", "9d60b8095a5708f2dcce2bca79d332c7", "30ee3e1110167f948a6b9946edeeb738"))
DenseNet169 = variant(densenet, "DenseNet169", "densenet169", (6, 12, 32, 32),
                      kernels("densenet/densenet169", "d699b8f76981ab1b30698df4c175e90b", "b8c4d4c20dd625c148057b9ff1c1176b"))
DenseNet201 = variant(densenet, "DenseNet201", "densenet201", (6, 12, 48, 32),
                      kernels("densenet/densenet201", "1ceb130c1ea1b78c3bf6114dbdfd8807", "c13680b51ded0fb44dff2d8f86ac8bb1"))
