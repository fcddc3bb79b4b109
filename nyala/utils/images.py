# SPDX-License-Identifier: Apache-2.0
"""Images: load_img, save_img, img_to_array, array_to_img, smart_resize. Files are read and written by Pillow, the extra "image".

Start at decode_image: bytes of a file to an array.
"""

from __future__ import annotations

import os
import pathlib
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines import current
from nyala.layers.arguments import as_choice
from nyala.utils.extras import need
from nyala.utils.resample import METHODS, resize

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
FILTERS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def load_img(path: Any, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest", keep_aspect_ratio: bool = False) -> Any:
    """An image of a file, as a PIL image.

    Args:
        path: of the file, or an open binary file.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width) to resize to; None keeps the size.
        interpolation: "nearest", "bilinear", "bicubic", "lanczos", "box" or "hamming".
        keep_aspect_ratio: cut the middle out instead of distorting.
    Raises: ArgumentError naming a file that is no image.
    """
    image_module = need("PIL.Image", "image", "load_img")
    as_choice("load_img(color_mode)", color_mode, tuple(MODES))
    as_choice("load_img(interpolation)", interpolation, FILTERS)
    if target_size is not None and not (isinstance(target_size, (list, tuple)) and len(target_size) in (2, 3)):
        fix = f"pass ({target_size}, {target_size})" if isinstance(target_size, int) else ""
        raise ArgumentError("load_img(target_size)", need="None or (height, width)", got=repr(target_size), fix=fix)
    try:
        with image_module.open(path) as file:
            image = _in_mode(file, color_mode)
            image.load()
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, image_module.DecompressionBombError) as error:
        raise ArgumentError("load_img(path)", need="an image that can be read", got=f"{path!r}: {error}") from error
    if target_size is None:
        return image
    height, width = target_size[0], target_size[1]
    if image.size == (width, height):
        return image
    method = getattr(image_module.Resampling, interpolation.upper())
    box = None
    if keep_aspect_ratio:
        top, left, rows, columns = centre_box(image.size[1], image.size[0], height, width)
        box = (left, top, left + columns, top + rows)
    return image.resize((width, height), method, box)


def _in_mode(image: Any, color_mode: str) -> Any:
    """The image in a color mode. Grey ones of more than 8 bits stay so in "grayscale"."""
    if color_mode == "grayscale" and image.mode in ("L", "I;16", "I"):
        return image
    return image.convert(MODES[color_mode])


def decode_image(path: str, color_mode: str) -> np.ndarray:
    """Pixels of a file, uint8 (height, width, channels); 16 bits are cut to 8. Errors are those of Pillow."""
    image_module = need("PIL.Image", "image", "image_dataset_from_directory")
    with image_module.open(path) as image:
        if image.mode.startswith("I"):
            image = image_module.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        pixels = np.asarray(image.convert(MODES[color_mode]))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> np.ndarray:
    """The pixels of a PIL image as an array (height, width, channels).

    Args:
        img: PIL image, or an array of rank 2 or 3.
        data_format: "channels_first" puts channels first.
        dtype: of the array; floatx by default.
    """
    data_format = _format("img_to_array", data_format)
    pixels = np.asarray(img, dtype=dtype or config.floatx())
    if pixels.ndim == 2:
        return pixels[None] if data_format == "channels_first" else pixels[..., None]
    if pixels.ndim != 3:
        raise ShapeError("img_to_array(img)", need="an image of rank 2 or 3", got=f"shape {pixels.shape}")
    return pixels.transpose(2, 0, 1) if data_format == "channels_first" else pixels


def array_to_img(x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None) -> Any:
    """A PIL image of an array.

    Args:
        x: (height, width, channels) with 1, 3 or 4 channels.
        data_format: "channels_first" for channels first.
        scale: map the smallest value to 0 and the largest to 255; else values are taken to be in [0, 255].
        dtype: in which to compute; floatx by default.
    """
    image_module = need("PIL.Image", "image", "array_to_img")
    data_format = _format("array_to_img", data_format)
    x = np.array(_as_numpy(x), dtype=dtype or config.floatx())
    if x.ndim != 3:
        raise ShapeError("array_to_img(x)", need="an array of rank 3", got=f"shape {x.shape}")
    if data_format == "channels_first":
        x = x.transpose(1, 2, 0)
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    if x.shape[2] == 1:
        return image_module.fromarray(x[..., 0].astype(np.int32 if x.max() > 255 else np.uint8))
    if x.shape[2] not in (3, 4):
        raise ShapeError("array_to_img(x)", need="1, 3 or 4 channels", got=f"shape {x.shape}")
    return image_module.fromarray(x.astype(np.uint8))


def save_img(path: Any, x: Any, data_format: str | None = None, file_format: str | None = None, scale: bool = True, **kwargs: Any) -> None:
    """Write an array as an image file: the whole file or, if anything fails, nothing.

    Args:
        path: of the file, or an open binary file.
        x, data_format, scale: as in array_to_img.
        file_format: such as "png"; by default what the suffix says.
        kwargs: for Pillow's Image.save.
    """
    from nyala.files.atomic import replacing

    image_module = need("PIL.Image", "image", "save_img")
    image = array_to_img(x, data_format, scale)
    if hasattr(path, "write"):
        return image.save(path, format=file_format, **kwargs)
    path = pathlib.Path(os.fspath(path))
    kind = (file_format or path.suffix.removeprefix(".")).upper()
    kind = {"JPG": "JPEG", "TIF": "TIFF"}.get(kind, kind)
    image_module.init()
    if kind not in image_module.SAVE:
        raise ArgumentError("save_img(file_format)", need="a format that Pillow writes, such as 'png'", got=repr(kind.lower()))
    if image.mode == "RGBA" and kind == "JPEG":
        image = image.convert("RGB")
    with replacing(path) as file:
        image.save(file, format=kind, **kwargs)


def smart_resize(
    x: Any, size: Any, interpolation: str = "bilinear", data_format: str = "channels_last", backend_module: Any = None, **kwargs: Any
) -> Any:
    """Resize images without distorting them: the largest middle part with the wanted ratio of sides is cut out first.

    Args:
        x: (height, width, channels) or (batch, height, width, channels).
        size: (height, width).
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic".
        data_format: "channels_first" for channels before height.
        backend_module: accepted for Keras's sake.
    Returns: an array for an array, a tensor for a tensor.

    >>> smart_resize(np.ones((4, 6, 3)), (2, 2)).shape
    (2, 2, 3)
    """
    if len(size) != 2:
        raise ArgumentError("smart_resize(size)", need="(height, width)", got=repr(size))
    as_choice("smart_resize(interpolation)", interpolation, METHODS)
    pixels = _as_numpy(x)
    if pixels.ndim not in (3, 4):
        raise ShapeError("smart_resize(x)", need="images of rank 3 or 4", got=f"shape {pixels.shape}")
    first = _format("smart_resize", data_format) == "channels_first"
    pixels = np.moveaxis(pixels, -3, -1) if first else pixels
    pixels = resize(crop_to_ratio(pixels, *size), tuple(size), interpolation)
    pixels = np.moveaxis(pixels, -1, -3) if first else pixels
    if isinstance(x, np.ndarray) or not current().is_tensor(x):
        return pixels
    from nyala import ops

    return ops.convert_to_tensor(pixels)


def centre_box(height: int, width: int, to_height: int, to_width: int) -> tuple[int, int, int, int]:
    """(top, left, height, width) of the largest middle part of an image that has another image's ratio of sides."""
    rows = max(min(height, int(width * to_height / to_width)), 1)
    columns = max(min(width, int(height * to_width / to_height)), 1)
    return int((height - rows) / 2), int((width - columns) / 2), rows, columns


def crop_to_ratio(x: np.ndarray, to_height: int, to_width: int) -> np.ndarray:
    top, left, rows, columns = centre_box(x.shape[-3], x.shape[-2], to_height, to_width)
    return x[..., top : top + rows, left : left + columns, :]


def resize_into(x: np.ndarray, size: tuple[int, int], method: str) -> np.ndarray:
    """Images as large as fits into (height, width) without distortion, in the middle, and black bars at two sides."""
    (height, width), (to_height, to_width) = x.shape[-3:-1], size
    full = height * to_width > width * to_height  # whether it fills the height
    rows = to_height if full else height * to_width / width
    columns = width * to_height / height if full else to_width
    x = resize(x, (max(int(rows), 1), max(int(columns), 1)), method)
    top, left = int((to_height - rows) / 2), int((to_width - columns) / 2)
    return np.pad(x, [(0, 0)] * (x.ndim - 3) + [(top, to_height - x.shape[-3] - top), (left, to_width - x.shape[-2] - left), (0, 0)])


def _format(where: str, data_format: str | None) -> str:
    return as_choice(f"{where}(data_format)", data_format or config.image_data_format(), ("channels_first", "channels_last"))


def _as_numpy(x: Any) -> np.ndarray:
    return x if isinstance(x, np.ndarray) else current().to_numpy(x) if current().is_tensor(x) else np.asarray(x)
