# SPDX-License-Identifier: Apache-2.0
"""Images as the networks were trained on them, and their 1000 answers as words. Knows no network. Start at preprocess_input."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.core.config import floatx, standardize_data_format
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert
from nyala.core.symbolic import Symbolic, plain_shape
from nyala.engines.protocol import Tensor
from nyala.files import published
from nyala.layers.arguments import as_choice, is_int

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of red, green and blue in ImageNet, from 0 to 1
MODES = {  # mode: (mean, deviation) of pixels from 0 to 255
    "caffe": ((103.939, 116.779, 123.68), 1.0),  # of blue, green, red: channels are turned round
    "tf": (127.5, 127.5),
    "torch": (tuple(255 * m for m in MEAN), tuple(255 * d for d in DEVIATION)),
}
CLASSES = 1000
MIRROR = "NYALA_APPLICATIONS_MIRROR"  # a folder, or the address of one, with published files under the names they have there
CLASS_INDEX = "https://storage.googleapis.com/download.tensorflow.org/data/imagenet_class_index.json"
CLASS_INDEX_MD5 = "c2c37ea517e94d9795004a39431a14cb"


def preprocess_input(x: Any, data_format: str | None = None, mode: str = "caffe") -> Any:
    """(x - mean) / deviation of each channel, as the networks saw their images in training.

    Args:
        x: RGB pixels from 0 to 255, an array or tensor (b, h, w, 3) or (h, w, 3); integers become floatx.
        data_format: "channels_last", or "channels_first" for (b, 3, h, w); None means the default.
        mode: "caffe": BGR minus its mean (ResNet, VGG); "tf": from -1 to 1; "torch": mean 0 and deviation 1 (DenseNet).
    Returns: a NumPy array for a NumPy array, else a tensor; new.

    Differs from Keras: the array that is given keeps its numbers.

    >>> import numpy
    >>> preprocess_input(numpy.array([[[0, 127.5, 255]]]), mode="tf").tolist()
    [[[-1.0, 0.0, 1.0]]]
    """
    as_choice("preprocess_input(mode)", mode, tuple(MODES))
    data_format = standardize_data_format(data_format)
    library: Any = np if isinstance(x, np.ndarray) else ops
    x = x if isinstance(x, (np.ndarray, Symbolic)) else convert(x)
    if len(x.shape) not in (3, 4):
        raise ShapeError("preprocess_input(x)", need="an image (h, w, c) or a batch of them", got=f"shape {plain_shape(x.shape)}")
    dtype = dtypes.standardize_dtype(x.dtype)
    dtype = dtype if dtypes.is_float(dtype) else floatx()
    x = np.asarray(x, dtype) if library is np else ops.cast(x, dtype)
    axis, shape = (-1, (-1,)) if data_format == "channels_last" else (-3, (-1, 1, 1))
    mean, deviation = (np.reshape(np.asarray(value, "float64"), shape).astype(dtype) for value in MODES[mode])
    if mode == "caffe":
        x = library.flip(x, axis)
    return library.divide(library.subtract(x, mean), deviation)


def preprocessing(mode: str) -> Callable[..., Any]:
    """The preprocess_input of a family."""

    @functools.wraps(preprocess_input)
    def preprocess(x: Any, data_format: str | None = None) -> Any:
        return preprocess_input(x, data_format, mode)

    preprocess.__doc__ = f'The pixels as this family was trained on them: imagenet_utils.preprocess_input(x, data_format, mode="{mode}").'
    del preprocess.__wrapped__
    return preprocess


def no_preprocessing(x: Any, data_format: str | None = None) -> Any:
    """x itself: the networks of this family begin with the layers that prepare pixels from 0 to 255."""
    return x


def decode_predictions(preds: Tensor, top: int = 5) -> list[list[tuple[str, str, Any]]]:
    """The likeliest classes of each image, as words.

    Args:
        preds: (b, 1000), what a network says about b images.
        top: how many.
    Returns: for each image a list of (WordNet number, English name, score), the highest score first; equal scores by class.
    The names are in a file of 35 kB, which is got the first time.
    """
    values = np.asarray(ops.convert_to_numpy(preds))
    if values.ndim != 2 or values.shape[1] != CLASSES:
        raise ShapeError(
            "decode_predictions(preds)",
            need=f"shape (n, {CLASSES})",
            got=f"{values.shape}",
            why="only the classes of ImageNet have names here",
            fix="of one image pass preds[None]" if values.shape == (CLASSES,) else "",
        )
    if not is_int(top) or top < 1:
        raise ArgumentError("decode_predictions(top)", need="a positive integer", got=repr(top))
    names = _class_names()
    return [[(*names[i], row[i]) for i in np.argsort(-row, kind="stable")[:top]] for row in values]


def _class_names() -> list[tuple[str, str]]:
    """(WordNet number, English name) of each class."""
    place = published.place_of("models", "imagenet_class_index.json")
    path = published.fetch("decode_predictions", CLASS_INDEX, place, CLASS_INDEX_MD5, MIRROR, 1 << 20, size=35_363)
    index = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    return [tuple(index[str(i)]) for i in range(CLASSES)]
