# SPDX-License-Identifier: Apache-2.0
"""ResNet50, 101, 152: bottlenecks beside which the input passes. Start at resnet and the rows below it."""

from __future__ import annotations

from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, kernels, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.layers import Activation, Add, Conv2D, MaxPooling2D, ZeroPadding2D
from nyala.models.functional import Functional

__all__ = ["ResNet50", "ResNet101", "ResNet152", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")
EPSILON = 1.001e-5
FILTERS = (64, 128, 256, 512)


def resnet(
    depths: tuple[int, ...],
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "resnet",
) -> Functional:
    """Residual bottlenecks in four stages, for images of 224 x 224 (without the top from 32 x 32) from preprocess_input.

    Source: He, Zhang, Ren, Sun 2016, Deep residual learning for image recognition.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    x = chain(frame.begin(224), ZeroPadding2D(3, name="conv1_pad"), Conv2D(64, 7, 2, name="conv1_conv"))
    x = chain(x, *norm_relu("conv1"), ZeroPadding2D(1, name="pool1_pad"), MaxPooling2D(3, 2, name="pool1_pool"))
    for stage, (filters, depth) in enumerate(zip(FILTERS, depths, strict=True), 2):
        for i in range(1, depth + 1):
            x = _bottleneck(x, filters, 2 if i == 1 and stage > 2 else 1, i == 1, f"conv{stage}_block{i}")
    return frame.model(frame.top(x), files)


def _bottleneck(x: Any, filters: int, strides: int, project: bool, name: str) -> Any:
    """relu(x + 1x1, 3x3, 1x1 convolutions of x); x itself projected where the shape changes."""
    past = chain(x, Conv2D(4 * filters, 1, strides, name=f"{name}_0_conv"), norm(f"{name}_0_bn", epsilon=EPSILON)) if project else x
    x = chain(x, Conv2D(filters, 1, strides, name=f"{name}_1_conv"), *norm_relu(f"{name}_1"))
    x = chain(x, Conv2D(filters, 3, padding="same", name=f"{name}_2_conv"), *norm_relu(f"{name}_2"))
    x = chain(x, Conv2D(4 * filters, 1, name=f"{name}_3_conv"), norm(f"{name}_3_bn", epsilon=EPSILON))
    return chain([past, x], Add(name=f"{name}_add"), Activation("relu", name=f"{name}_out"))


def norm_relu(name: str) -> tuple[Any, Any]:
    """Batch normalization, then relu."""
    return norm(f"{name}_bn", epsilon=EPSILON), Activation("relu", name=f"{name}_relu")


# fmt: off
ResNet50 = variant(resnet, "ResNet50", "resnet50", (3, 4, 6, 3),
                   kernels("resnet/resnet50", "2cb95161c43110f7111970584f804107", "4d473c1dd8becc155b73f8504c6f6626"))
ResNet101 = variant(resnet, "ResNet101", "resnet101", (3, 4, 23, 3),
                    kernels("resnet/resnet101", "f1aeb4b969a6efcfb50fad2f0c20cfc5", "88cf7a10940856eca736dc7b7e228a21"))
ResNet152 = variant(resnet, "ResNet152", "resnet152", (3, 8, 36, 3),
                    kernels("resnet/resnet152", "100835be76be38e30d865e96f2aaae62", "ee4c566cf9a93f14d82f913c2dc6dd0c"))
