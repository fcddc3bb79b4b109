# SPDX-License-Identifier: Apache-2.0
"""Changes of one image, in NumPy: affine transforms, brightness, channel shifts, and random ones drawn from np.random.

An image is an array of rank 3; row_axis, col_axis and channel_axis say which axis is which. Start at apply_affine_transform.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ShapeError
from nyala.layers.arguments import as_choice

FILL_MODES = ("nearest", "constant", "reflect", "wrap")


def apply_affine_transform(
    x: np.ndarray,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> np.ndarray:
    """An image rotated, shifted, sheared and zoomed about its centre.

    Args:
        x: image of rank 3.
        theta: degrees.
        tx, ty: columns and rows.
        shear: degrees.
        zx, zy: how much of the width and the height is shown: 2 makes things half as large.
        fill_mode: what lies beyond the edges: "nearest", "constant" (cval), "reflect" or "wrap".
        order: 1 interpolates between pixels, 0 takes the nearest one.

    Differs from Keras: the centre of an image that is not square is its centre.

    >>> apply_affine_transform(np.arange(4.0).reshape(2, 2, 1), theta=90, row_axis=0, col_axis=1, channel_axis=2)[..., 0].tolist()
    [[1.0, 3.0], [0.0, 2.0]]
    """
    if x.ndim != 3 or len({axis % 3 for axis in (row_axis, col_axis, channel_axis)}) != 3:
        raise ShapeError("apply_affine_transform", need="an image of rank 3 and three different axes", got=f"shape {x.shape}")
    if order not in (0, 1):
        raise ArgumentError("apply_affine_transform(order)", need="0 or 1", got=repr(order), why="splines are not offered")
    as_choice("apply_affine_transform(fill_mode)", fill_mode, FILL_MODES)
    turn, slant = np.deg2rad(theta), np.deg2rad(shear)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = matrix @ np.array([tx, ty])
    matrix = matrix @ np.array([[1, -np.sin(slant)], [0, np.cos(slant)]]) @ np.diag([zx, zy])
    if np.array_equal(matrix, np.eye(2)) and not shift.any():
        return x
    image = np.moveaxis(x, (row_axis, col_axis, channel_axis), (0, 1, 2))
    centre = (np.array(image.shape[1::-1]) - 1) / 2  # x, y, as all that follows
    places = np.indices(image.shape[:2]).reshape(2, -1)[::-1]
    wanted = (matrix @ (places - centre[:, None]) + (centre + shift)[:, None])[::-1]
    result = _sampled(image, wanted, fill_mode, cval, order).reshape(image.shape).astype(x.dtype)
    return np.moveaxis(result, (0, 1, 2), (row_axis, col_axis, channel_axis))


def _sampled(image: np.ndarray, places: np.ndarray, fill_mode: str, cval: float, order: int) -> np.ndarray:
    """Pixels at (row, column) positions that need not be whole or inside: (positions, channels)."""
    sizes = np.array(image.shape[:2])[:, None]
    if fill_mode == "wrap":
        places = np.where((places < 0) | (places > sizes - 1), places % np.maximum(sizes - 1, 1), places)
    outside = ((places < 0) | (places > sizes - 1)).any(0)
    if fill_mode == "nearest":
        places = np.clip(places, 0, sizes - 1)
    if order == 0:
        rows, columns = _inside(np.floor(places + 0.5), sizes)
        result = image[rows, columns].astype(np.float64)
    else:
        low = np.floor(places)
        share = (places - low)[..., None]
        (r0, c0), (r1, c1) = _inside(low, sizes), _inside(low + 1, sizes)
        top = image[r0, c0] * (1 - share[1]) + image[r0, c1] * share[1]
        bottom = image[r1, c0] * (1 - share[1]) + image[r1, c1] * share[1]
        result = top * (1 - share[0]) + bottom * share[0]
    if fill_mode == "constant":
        result[outside] = cval
    return result


def _inside(index: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Indices mirrored at the edges until they are inside."""
    index = np.mod(index, 2 * sizes)
    return np.minimum(index, 2 * sizes - 1 - index).astype(np.int64)


def apply_channel_shift(x: np.ndarray, intensity: float, channel_axis: int = 0) -> np.ndarray:
    """All channels shifted by the same amount, cut off at the smallest and largest value of the image."""
    return np.clip(x + intensity, np.min(x), np.max(x))


def apply_brightness_shift(x: np.ndarray, brightness: float, scale: bool = True) -> np.ndarray:
    """An image made darker (brightness below 1) or brighter, in 256 levels.

    Args:
        scale: stretch the values of the image to 0 to 255 first; the result is left so.
    """
    low, high = np.min(x), np.max(x)
    stretch = scale or low < 0 or high > 255
    levels = ((x - low) / ((high - low) or 1) * 255 if stretch else np.asarray(x)).astype(np.uint8)
    result = np.clip(levels * np.float32(brightness), 0, 255).astype(np.uint8).astype(np.float32)
    return result / 255 * (high - low) + low if stretch and not scale else result


def random_rotation(
    x: np.ndarray,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image rotated by at most rg degrees."""
    theta = np.random.uniform(-rg, rg)
    return apply_affine_transform(x, theta, 0, 0, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)


def random_shift(
    x: np.ndarray,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image shifted by at most the shares wrg of its width and hrg of its height."""
    ty = np.random.uniform(-hrg, hrg) * x.shape[row_axis]
    tx = np.random.uniform(-wrg, wrg) * x.shape[col_axis]
    return apply_affine_transform(x, 0, tx, ty, 0, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)


def random_shear(
    x: np.ndarray,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image sheared by at most intensity degrees."""
    shear = np.random.uniform(-intensity, intensity)
    return apply_affine_transform(x, 0, 0, 0, shear, 1, 1, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)


def random_zoom(
    x: np.ndarray,
    zoom_range: tuple[float, float],
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> np.ndarray:
    """An image zoomed, in height and in width, by factors between the two of zoom_range."""
    low, high = as_range("random_zoom(zoom_range)", zoom_range)
    zx, zy = (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)
    return apply_affine_transform(x, 0, 0, 0, 0, zx, zy, row_axis, col_axis, channel_axis, fill_mode, cval, interpolation_order)


def random_channel_shift(x: np.ndarray, intensity_range: float, channel_axis: int = 0) -> np.ndarray:
    """An image whose channels are shifted by at most intensity_range."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: np.ndarray, brightness_range: tuple[float, float], scale: bool = True) -> np.ndarray:
    """An image made darker or brighter, by a factor between the two of brightness_range."""
    low, high = as_range("random_brightness(brightness_range)", brightness_range)
    return apply_brightness_shift(x, np.random.uniform(low, high), scale)


def as_range(where: str, value: Any) -> tuple[float, float]:
    """Two numbers, the lower and the upper end of a range."""
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise ArgumentError(where, need="two numbers, (lower, upper)", got=repr(value))
    return value[0], value[1]
