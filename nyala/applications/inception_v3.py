# SPDX-License-Identifier: Apache-2.0
"""InceptionV3: paths of convolutions side by side, then joined. Start at conv and join, then the table STEPS.

The tables are written in steps, functions of a tensor: conv(filters, size), shrink, average, and join of several paths, each a list of steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.applications.frame import Files, Frame, Shape, chain, channel_axis, kernels, norm, variant
from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.layers import Activation, AveragePooling2D, Concatenate, Conv2D, MaxPooling2D
from nyala.models.functional import Functional

__all__ = ["InceptionV3", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("tf")

Step = Callable[[Any], Any]
Path = list[Step]


def conv(filters: int, size: int | tuple[int, int] = 1, strides: int = 1, padding: str = "same", name: str | None = None) -> Step:
    """A convolution with normalization and relu."""
    names = (f"{name}_bn", f"{name}_ac") if name else (None, None)
    return lambda x: chain(
        x,
        Conv2D(filters, size, strides, padding, use_bias=False, name=name),
        norm(names[0], scale=False),
        Activation("relu", name=names[1]),
    )


def halve(filters: int) -> Step:
    """A convolution that halves the image."""
    return conv(filters, 3, 2, "valid")


def shrink(x: Any) -> Any:
    """The largest of 3 x 3 places, which halves the image."""
    return MaxPooling2D(3, 2)(x)


def average(x: Any) -> Any:
    """The mean of 3 x 3 places."""
    return AveragePooling2D(3, 1, padding="same")(x)


def join(*paths: Path, name: str | None = None) -> Step:
    """The channels of all paths from x."""
    return lambda x: Concatenate(channel_axis(), name=name)([chain(x, *path) for path in paths])


# fmt: off
STEM = [halve(32), conv(32, 3, padding="valid"), conv(64, 3), shrink, conv(80, 1, padding="valid"), conv(192, 3, padding="valid"), shrink]


def wide(first: int, last: int, name: str) -> Step:
    return join([conv(first)], [conv(48), conv(64, 5)], [conv(64), conv(96, 3), conv(96, 3)], [average, conv(last)], name=name)


def crossed(n: int, name: str) -> Step:
    """7 x 7 as 1 x 7 and 7 x 1."""
    return join([conv(192)],
                [conv(n), conv(n, (1, 7)), conv(192, (7, 1))],
                [conv(n), conv(n, (7, 1)), conv(n, (1, 7)), conv(n, (7, 1)), conv(192, (1, 7))],
                [average, conv(192)], name=name)


def fanned(inner: str, name: str) -> Step:
    """3 x 3 as 1 x 3 beside 3 x 1."""
    return join([conv(320)],
                [conv(384), join([conv(384, (1, 3))], [conv(384, (3, 1))], name=inner)],
                [conv(448), conv(384, 3), join([conv(384, (1, 3))], [conv(384, (3, 1))])],
                [average, conv(192)], name=name)


STEPS = [
    *STEM,
    wide(64, 32, "mixed0"), wide(64, 64, "mixed1"), wide(64, 64, "mixed2"),
    join([halve(384)], [conv(64), conv(96, 3), halve(96)], [shrink], name="mixed3"),
    crossed(128, "mixed4"), crossed(160, "mixed5"), crossed(160, "mixed6"), crossed(192, "mixed7"),
    join([conv(192), halve(320)], [conv(192), conv(192, (1, 7)), conv(192, (7, 1)), halve(192)], [shrink], name="mixed8"),
    fanned("mixed9_0", "mixed9"), fanned("mixed9_1", "mixed10"),
]
# fmt: on


def inception(
    steps: Path,
    files: Files,
    include_top: bool = True,
    weights: Any = "imagenet",
    input_tensor: Any = None,
    input_shape: Shape | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: Any = "softmax",
    name: str = "inception",
) -> Functional:
    """Paths of convolutions side by side, for images of 299 x 299 (without the top from 75 x 75) from preprocess_input.

    Source: Szegedy, Vanhoucke, Ioffe, Shlens, Wojna 2016, Rethinking the inception architecture for computer vision;
        Szegedy, Ioffe, Vanhoucke, Alemi 2017, Inception-v4, Inception-ResNet and the impact of residual connections on learning.
    """
    frame = Frame(include_top, weights, input_tensor, input_shape, pooling, classes, classifier_activation, name)
    return frame.model(frame.top(chain(frame.begin(299, minimum=75), *steps), names=(None, None)), files)


# fmt: off
InceptionV3 = variant(inception, "InceptionV3", "inception_v3", STEPS,
                      kernels("inception_v3/inception_v3", "9a0d58056eeedaa3f26cb7ebd46da564", "bcbd6486424b2319ff4ef7d526e38f63"))
