# SPDX-License-Identifier: Apache-2.0
"""ConvNeXt Tiny to XLarge: a convolutional network after the manner of transformers. Start at convnext and the rows below it."""

from __future__ import annotations

from typing import Any

from nyala import initializers, ops
from nyala.applications.frame import Files, Frame, Shape, chain, files, variant
from nyala.applications.imagenet_utils import DEVIATION, MEAN, decode_predictions, no_preprocessing
from nyala.engines.protocol import Tensor
from nyala.layers import Activation, Conv2D, Dense, GlobalAveragePooling2D, Layer, LayerNormalization, Normalization
from nyala.models import Sequential
from nyala.models.functional import Functional

__all__ = [
    "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtSmall", "ConvNeXtTiny", "ConvNeXtXLarge", "LayerScale", "decode_predictions", "preprocess_input",
]  # fmt: skip

preprocess_input = no_preprocessing


class LayerScale(Layer):
    """Each channel times a weight of its own.

    Args:
        init_values: first value of the weights.
        projection_dim: number of channels, the last axis.
    Source: Touvron, Cord, Sablayrolles, Synnaeve, Jégou 2021, Going deeper with image transformers.

    >>> LayerScale(0.5, 2)([[2.0, 4.0]]).tolist()
    [[1.0, 2.0]]
    """

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, _: Any) -> None:
        self.gamma = self.add_weight(shape=(self.projection_dim,), initializer=initializers.Constant(self.init_values))

    def call(self, x: Tensor) -> Tensor:
        return ops.multiply(x, self.gamma)


def convnext(
    table: tuple[tuple[int, ...], tuple[int, ...]],
    files: Files,
    include_top: bool = True,
    include_preprocessing: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "convnext",
) -> Functional:
    """A convolutional network after the manner of transformers, for images of 224 x 224 (without the top from 32 x 32) with pixels from 0 to 255.

    Args:
        include_preprocessing: whether the network normalizes these pixels itself.
    Source: Liu, Mao, Wu, Feichtenhofer, Darrell, Xie 2022, A ConvNet for the 2020s.
    """
    depths, widths = table
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    frame.channels_last()
    x = frame.begin(224)
    if include_preprocessing:
        mean, variance = [255 * m for m in MEAN], [(255 * d) ** 2 for d in DEVIATION]
        x = Normalization(mean=mean, variance=variance, name=f"{name}_prestem_normalization")(x)
    stem = [Conv2D(widths[0], 4, 4, name=f"{name}_stem_conv"), _norm(f"{name}_stem_layernorm")]
    x = Sequential(stem, name=f"{name}_stem")(x)
    for stage, (depth, width) in enumerate(zip(depths, widths, strict=True)):
        if stage:
            i = stage - 1
            halve = [_norm(f"{name}_downsampling_layernorm_{i}"), Conv2D(width, 2, 2, name=f"{name}_downsampling_conv_{i}")]
            x = Sequential(halve, name=f"{name}_downsampling_block_{i}")(x)
        for i in range(depth):
            x = _block(x, width, f"{name}_stage_{stage}_block_{i}")
    if include_top:
        x = chain(x, GlobalAveragePooling2D(name=f"{name}_head_gap"), _norm(f"{name}_head_layernorm"), frame.classifier(f"{name}_head_dense"))
    else:
        x = _norm(None)(frame.pooled(x))
    return frame.model(x, files)


def _block(x: Any, width: int, name: str) -> Any:
    """x + windows in each channel, then a small network at each place."""
    y = chain(x, Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv"), _norm(f"{name}_layernorm"))
    y = chain(y, Dense(4 * width, name=f"{name}_pointwise_conv_1"), Activation("gelu", name=f"{name}_gelu"))
    y = chain(y, Dense(width, name=f"{name}_pointwise_conv_2"), LayerScale(1e-6, width, name=f"{name}_layer_scale"))
    return x + Activation("linear", name=f"{name}_identity")(y)


def _norm(name: str | None) -> Layer:
    return LayerNormalization(epsilon=1e-6, name=name)


# fmt: off
ConvNeXtTiny = variant(convnext, "ConvNeXtTiny", "convnext_tiny", ((3, 3, 9, 3), (96, 192, 384, 768)),
    files("tensorflow/keras-applications/convnext/convnext_tiny",
          "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
          "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"))
ConvNeXtSmall = variant(convnext, "ConvNeXtSmall", "convnext_small", ((3, 3, 27, 3), (96, 192, 384, 768)),
    files("tensorflow/keras-applications/convnext/convnext_small",
          "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
          "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"))
ConvNeXtBase = variant(convnext, "ConvNeXtBase", "convnext_base", ((3, 3, 27, 3), (128, 256, 512, 1024)),
    files("tensorflow/keras-applications/convnext/convnext_base",
          "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
          "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"))
ConvNeXtLarge = variant(convnext, "ConvNeXtLarge", "convnext_large", ((3, 3, 27, 3), (192, 384, 768, 1536)),
    files("tensorflow/keras-applications/convnext/convnext_large",
          "070c5ed9ed289581e477741d3b34beffa920db8cf590899d6d2c67fba2a198a6",
          "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"))
ConvNeXtXLarge = variant(convnext, "ConvNeXtXLarge", "convnext_xlarge", ((3, 3, 27, 3), (256, 512, 1024, 2048)),
    files("tensorflow/keras-applications/convnext/convnext_xlarge",
          "c1f5ccab661354fc3a79a10fa99af82f0fbf10ec65cb894a3ae0815f17a889ee",
          "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"))
