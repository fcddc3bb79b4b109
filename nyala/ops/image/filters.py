# SPDX-License-Identifier: Apache-2.0
"""Small filters, one axis after the other: blur, edges, and the similarity that blurred moments measure. Start at along."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from nyala.core.errors import ShapeError
from nyala.core.op import convert, engine, op
from nyala.engines.protocol import Tensor
from nyala.ops.image.layout import as_batch, in_floats, pair
from nyala.ops.shaping import part_of


def along(x: Tensor, axis: int, weights: Sequence[Any]) -> Tensor:
    """Correlation along one axis, without padding. Each weight is a number or a tensor that broadcasts with x."""
    size = x.shape[axis] - len(weights) + 1
    terms = [engine.multiply(part_of(x, axis, i, i + size), weight) for i, weight in enumerate(weights)]
    return functools.reduce(engine.add, terms)


def gaussian(length: int, sigma: Tensor) -> list[Tensor]:
    """`length` weights of a bell of deviation sigma, a float tensor of any shape, that add up to 1. At sigma 0 the middle has all the weight."""
    width = engine.maximum(sigma, 1e-6)
    distances = [i - (length - 1) / 2 for i in range(length)]
    bells = [engine.exp(engine.multiply(engine.power(engine.divide(d, width), 2), -0.5)) for d in distances]
    total = functools.reduce(engine.add, bells)
    return [engine.divide(bell, total) for bell in bells]


def blur(x: Tensor, lengths: Sequence[int], sigmas: Sequence[Tensor]) -> Tensor:
    """(b, h, w, c) blurred over rows and columns, zeros around."""
    for axis, length, sigma in zip((1, 2), lengths, sigmas, strict=True):
        around = [(0, 0)] * 4
        around[axis] = ((length - 1) // 2, length // 2)
        x = along(engine.pad(x, around, 0.0), axis, gaussian(length, sigma))
    return x


@op
def gaussian_blur(images: Tensor, kernel_size: Any = (3, 3), sigma: Any = (1.0, 1.0), data_format: str | None = None) -> Tensor:
    """Each number the average of its neighbourhood, weighted by a bell curve; beyond the border lie zeros.

    Args:
        kernel_size: rows and columns of the neighbourhood.
        sigma: deviations of the bell in rows and columns; (2,), or (b, 2) for each image its own.
    Differs from Keras, which takes rows for columns with channels first, and spreads the weights of the rows over the channels with channels last.

    >>> gaussian_blur([[[0.0], [4.0], [0.0]]], (1, 3), (1.0, 1.0)).tolist()
    [[[1.096274], [1.807451], [1.096274]]]
    """
    x, back = as_batch("gaussian_blur", images, data_format)
    lengths = pair("gaussian_blur(kernel_size)", kernel_size)

    def apply(x: Tensor) -> Tensor:
        deviations = convert(sigma, engine.dtype(x))
        if tuple(deviations.shape) not in ((), (2,), (x.shape[0], 2)):
            raise ShapeError("gaussian_blur(sigma)", need="one number, two, or two for each image", got=f"shape {tuple(deviations.shape)}")
        deviations = engine.broadcast_to(deviations, (x.shape[0], 2))
        return blur(x, lengths, [engine.reshape(part_of(deviations, 1, i, i + 1), (x.shape[0], 1, 1, 1)) for i in range(2)])

    return back(in_floats(apply, x))


@op
def sobel_edges(images: Tensor, data_format: str | None = None) -> Tensor:
    """How fast images change down and across, by Sobel's filters; beyond the border lie zeros.

    Returns: of the shape of images with a further axis (dy, dx).

    >>> sobel_edges([[[0.0], [1.0], [3.0]]] * 3)[1, 1].tolist()
    [[0.0, 12.0]]
    """
    x, back = as_batch("sobel_edges", images, data_format)

    def edges(x: Tensor, down: int) -> Tensor:
        wide = engine.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], 0.0)
        return along(along(wide, down, (-1.0, 0.0, 1.0)), 3 - down, (1.0, 2.0, 1.0))

    parts = [back(in_floats(functools.partial(edges, down=axis), x)) for axis in (1, 2)]
    return engine.concatenate([engine.reshape(part, (*part.shape, 1)) for part in parts], parts[0].ndim)


@op(promote="float")
def ssim(
    image1: Tensor,
    image2: Tensor,
    max_val: float = 1.0,
    filter_size: int = 11,
    filter_sigma: float = 1.5,
    k1: float = 0.01,
    k2: float = 0.03,
    data_format: str | None = None,
) -> Tensor:
    """Structural similarity of two images, 1 for equal ones: the mean over all windows and channels.

    Args:
        max_val: the range of the values, 1.0 or 255.
        filter_size, filter_sigma: of the windows, and of the bell that weights them.
        k1, k2: small numbers that keep flat windows stable.
    Returns: one number per image.
    Source: Wang, Bovik, Sheikh, Simoncelli 2004, Image quality assessment: from error visibility to structural similarity.

    >>> x = [[[[float(i * j)] for i in range(4)] for j in range(5)]]
    >>> ssim(x, x, max_val=12.0, filter_size=3).tolist()
    [1.0]
    """
    (length,) = pair("ssim(filter_size)", filter_size, 1)
    x, _ = as_batch("ssim", image1, data_format)
    y, _ = as_batch("ssim", image2, data_format)
    if tuple(x.shape) != tuple(y.shape) or min(x.shape[1:3]) < length:
        raise ShapeError("ssim", need=f"two images of one shape, at least {length} rows and columns as filter_size",
                         got=f"{tuple(image1.shape)} and {tuple(image2.shape)}")  # fmt: skip
    dtype = engine.dtype(x)
    if dtype != "float64":
        x, y = engine.cast(x, "float32"), engine.cast(y, "float32")
    bell = gaussian(length, engine.full((1,), filter_sigma, engine.dtype(x)))
    mean = lambda z: along(along(z, 1, bell), 2, bell)  # noqa: E731
    plus, square = engine.add, lambda z: engine.multiply(z, z)
    mx, my = mean(x), mean(y)
    both, squares = engine.multiply(mx, my), plus(square(mx), square(my))
    covariance = engine.subtract(mean(engine.multiply(x, y)), both)
    variances = engine.subtract(mean(plus(square(x), square(y))), squares)
    c1, c2 = (k1 * max_val) ** 2, (k2 * max_val) ** 2
    above = engine.multiply(plus(engine.multiply(both, 2.0), c1), plus(engine.multiply(covariance, 2.0), c2))
    below = engine.multiply(plus(squares, c1), plus(variances, c2))
    ratio = engine.divide(above, below)
    result = engine.divide(engine.sum(ratio, (1, 2, 3), False), float(ratio.shape[1] * ratio.shape[2] * ratio.shape[3]))
    result = result if image1.ndim == 4 else engine.reshape(result, ())
    return engine.cast(result, dtype)
