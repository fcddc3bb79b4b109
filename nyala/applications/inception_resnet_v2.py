# SPDX-License-Identifier: Apache-2.0
"""InceptionResNetV2: the paths of InceptionV3 in residual blocks. Start at residual, then the table STEPS."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.applications.frame import channel_axis, kernels, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.applications.inception_v3 import STEM, Path, Step, conv, halve, inception, join, shrink, wide
from nyala.engines.protocol import Tensor
from nyala.layers import Activation, Conv2D, Layer

__all__ = ["CustomScaleLayer", "InceptionResNetV2", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")


class CustomScaleLayer(Layer):
    """x + scale * y, of the two inputs [x, y].

    Args:
        scale: of the second input.

    >>> CustomScaleLayer(0.5)([[1.0, 2.0], [4.0, 6.0]]).tolist()
    [3.0, 5.0]
    """

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale

    def call(self, inputs: Any) -> Tensor:
        x, y = inputs
        return ops.add(x, ops.multiply(y, self.scale))


def residual(scale: float, *paths: Path, name: str, active: bool = True) -> Step:
    """relu(x + scale * paths of x, as many channels as x)."""

    def step(x: Any) -> Any:
        y = join(*paths, name=f"{name}_mixed")(x)
        y = Conv2D(x.shape[channel_axis()], 1, padding="same", name=f"{name}_conv")(y)
        x = CustomScaleLayer(scale)([x, y])
        return Activation("relu", name=f"{name}_ac")(x) if active else x

    return step


# fmt: off
STEPS = [
    *STEM,
    wide(96, 64, "mixed_5b"),
    *(residual(0.17, [conv(32)], [conv(32), conv(32, 3)], [conv(32), conv(48, 3), conv(64, 3)], name=f"block35_{i}") for i in range(1, 11)),
    join([halve(384)], [conv(256), conv(256, 3), halve(384)], [shrink], name="mixed_6a"),
    *(residual(0.1, [conv(192)], [conv(128), conv(160, (1, 7)), conv(192, (7, 1))], name=f"block17_{i}") for i in range(1, 21)),
    join([conv(256), halve(384)], [conv(256), halve(288)], [conv(256), conv(288, 3), halve(320)], [shrink], name="mixed_7a"),
    *(residual(0.2 if i < 10 else 1.0, [conv(192)], [conv(192), conv(224, (1, 3)), conv(256, (3, 1))], name=f"block8_{i}", active=i < 10)
      for i in range(1, 11)),
    conv(1536, name="conv_7b"),
]

InceptionResNetV2 = variant(
    inception, "InceptionResNetV2", "inception_resnet_v2", STEPS,
    kernels("inception_resnet_v2/inception_resnet_v2", "e693bd0210a403b3192acc6073ad2e96", "d19885ff4a710c122648d3b5c3b684e4"))
