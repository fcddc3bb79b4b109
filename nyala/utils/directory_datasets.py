# SPDX-License-Identifier: Apache-2.0
"""image_dataset_from_directory, text_dataset_from_directory, audio_dataset_from_directory: a folder of files, one subfolder per class, as a Dataset.

Each says how one file is read; `folders.py` does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError
from nyala.layers.arguments import as_choice, as_count, as_sizes
from nyala.utils.batches import stacked
from nyala.utils.extras import need
from nyala.utils.folders import dataset_from_folder
from nyala.utils.images import CHANNELS, SUFFIXES, crop_to_ratio, decode_image, resize_into
from nyala.utils.resample import METHODS, resample, resize
from nyala.utils.sound import read_wav

FORMATS = ("tf", "grain")


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | tuple[int, int] = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Images of a folder as batches (images, labels).

    Args:
        directory: with a subfolder per class; files .bmp, .gif, .jpeg, .jpg, .png, in subfolders of these too.
        labels: "inferred" from the subfolders; a list of integers, one for each file sorted by folder and name; None for no labels.
        label_mode: "int": int32 (batch,). "categorical": one-hot float32. "binary": 0 or 1, float32 (batch, 1). None: images alone.
        class_names: the subfolders to read, in the order of their labels.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: None gives single images.
        image_size: (height, width), or one number for both.
        shuffle: another order each epoch; else sorted by folder and name.
        seed: of the order and of the split.
        validation_split, subset: share of the files for validation, and which part to give: "training", "validation" or "both" as a tuple.
        interpolation: "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic".
        follow_links: read folders that are links.
        crop_to_aspect_ratio: cut the middle out instead of distorting.
        pad_to_aspect_ratio: add black bars instead of distorting.
        data_format: "channels_first" puts channels before height.
        format: accepted for Keras's sake.
        verbose: print the numbers of files and classes.
    Returns: Dataset of float32 images from 0 to 255, with class_names and file_paths; `fit` takes it as it is.
    Raises: ArgumentError, when a file is read that is no image, naming it.

    Differs from Keras: needs no TensorFlow; the order within an epoch is drawn from NumPy (the split is the same).
    """
    where = "image_dataset_from_directory"
    as_choice(f"{where}(color_mode)", color_mode, tuple(CHANNELS))
    as_choice(f"{where}(interpolation)", interpolation, METHODS)
    as_choice(f"{where}(format)", format, FORMATS)
    height, width = as_sizes(f"{where}(image_size)", image_size, 2)
    size = (height, width)
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ArgumentError(where, need="crop_to_aspect_ratio or pad_to_aspect_ratio", got="both")
    first = as_choice(f"{where}(data_format)", data_format or config.image_data_format(), ("channels_first", "channels_last")) == "channels_first"
    need("PIL.Image", "image", where)

    def load(path: str) -> np.ndarray:
        pixels = decode_image(path, color_mode)
        pixels = crop_to_ratio(pixels, *size) if crop_to_aspect_ratio else pixels
        pixels = (resize_into if pad_to_aspect_ratio else resize)(pixels, size, interpolation).astype(np.float32)
        return pixels.transpose(2, 0, 1) if first else pixels

    return dataset_from_folder(
        where, "images", load, directory, SUFFIXES, labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
        follow_links, verbose,
    )  # fmt: skip


def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Texts of a folder, UTF-8 files .txt, as batches (texts, labels): arrays of str objects.

    Args:
        max_length: characters of a text that are kept; None keeps all.
        others: as in image_dataset_from_directory.

    Differs from Keras: texts are str, not bytes; max_length counts characters, not bytes.
    """
    where = "text_dataset_from_directory"
    as_choice(f"{where}(format)", format, FORMATS)
    if max_length is not None:
        as_count(f"{where}(max_length)", max_length)

    def load(path: str) -> str:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read(max_length)

    return dataset_from_folder(
        where, "texts", load, directory, (".txt",), labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
        follow_links, verbose,
    )  # fmt: skip


def audio_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
) -> Any:
    """Sounds of a folder, files .wav of PCM or float samples, as batches (sounds, labels): float32 (batch, samples, channels) from -1 to 1.

    Args:
        sampling_rate: samples per second to bring all sounds to; None leaves them as they are.
        output_sequence_length: samples of each sound, cut or filled with silence; None fills up to the longest of the batch.
        ragged: give an array of objects, sounds of their own lengths.
        others: as in image_dataset_from_directory.

    Differs from Keras: needs no package for sampling_rate; 8, 24 and 32 bits and float samples are read too.
    """
    where = "audio_dataset_from_directory"
    if ragged and output_sequence_length is not None:
        raise ArgumentError(where, need="ragged=True or output_sequence_length", got="both")
    for name, value in (("sampling_rate", sampling_rate), ("output_sequence_length", output_sequence_length)):
        if value is not None:
            as_count(f"{where}({name})", value)

    def load(path: str) -> np.ndarray:
        sound, rate = read_wav(path)
        if sampling_rate is not None and rate != sampling_rate:
            sound = resample(sound, max(round(len(sound) * sampling_rate / rate), 1), 0, "lanczos5", antialias=True)
        return sound if output_sequence_length is None else _of_length(sound, output_sequence_length)

    return dataset_from_folder(
        where, "sounds", load, directory, (".wav",), labels, label_mode, class_names, batch_size, shuffle, seed, validation_split, subset,
        follow_links, verbose, collate=_ragged if ragged else _padded,
    )  # fmt: skip


def _of_length(sound: np.ndarray, length: int) -> np.ndarray:
    return np.pad(sound[:length], [(0, max(length - len(sound), 0)), (0, 0)])


def _ragged(rows: list) -> Any:
    """A batch of sounds as an array of objects."""
    sounds = np.empty(len(rows), object)
    sounds[:] = [row[0] if isinstance(row, tuple) else row for row in rows]
    return (sounds, stacked([row[1] for row in rows])) if isinstance(rows[0], tuple) else sounds


def _padded(rows: list) -> Any:
    """A batch of sounds, silence added up to the longest."""
    sounds = [row[0] if isinstance(row, tuple) else row for row in rows]
    length = max(map(len, sounds))
    sounds = [_of_length(sound, length) for sound in sounds]
    return stacked([(sound, *row[1:]) if isinstance(row, tuple) else sound for sound, row in zip(sounds, rows, strict=True)])
