# SPDX-License-Identifier: Apache-2.0
"""ImageDataGenerator: random changes of images while a model trains, as programs for Keras 1 and 2 use it.

What is drawn, and in what order, is what NumPy draws for those programs. Start at ImageDataGenerator.get_random_transform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.layers.arguments import as_choice
from nyala.preprocessing.image.iterators import DataFrameIterator, DirectoryIterator, NumpyArrayIterator
from nyala.preprocessing.image.transforms import FILL_MODES, apply_affine_transform, apply_brightness_shift, apply_channel_shift, as_range

FORMATS = {"th": "channels_first", "tf": "channels_last"}  # as Keras 1 called them


class ImageDataGenerator:
    """Random changes of images, in batches.

    Args:
        featurewise_center, featurewise_std_normalization: subtract the mean of the data, divide by their deviation; learnt by `fit`.
        samplewise_center, samplewise_std_normalization: the same with those of each image.
        zca_whitening, zca_epsilon: make pixels uncorrelated; learnt by `fit`.
        rotation_range: degrees.
        width_shift_range, height_shift_range: a share of the size if below 1, else pixels; a list of shifts to choose from.
        brightness_range: (lower, upper) factor.
        shear_range: degrees.
        zoom_range: (lower, upper) factor, or a number r for (1 - r, 1 + r).
        channel_shift_range: amount.
        fill_mode, cval: what lies beyond the edges: "nearest", "constant" (cval), "reflect" or "wrap".
        horizontal_flip, vertical_flip: flip one image in two.
        rescale: factor of all values, after all else.
        preprocessing_function: of an image, before rescaling; returns one of the same shape.
        data_format: "channels_first" or "channels_last".
        validation_split: share of the data that subset="validation" gives.
        interpolation_order: 1, or 0 for the nearest pixel.
        dtype: of the images; floatx by default.

    Differs from Keras: height_shift_range moves images up and down, not sideways.
    Source (whitening): Bell, Sejnowski 1997, The "independent components" of natural scenes are edge filters.

    >>> generator = ImageDataGenerator(rescale=1 / 255)
    >>> x, y = next(generator.flow(np.full((3, 2, 2, 1), 51.0), [0, 1, 2], batch_size=2))
    >>> x.shape, float(x.max())
    ((2, 2, 2, 1), 0.2)
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Any = None,
        shear_range: float = 0.0,
        zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: Any = None,
    ) -> None:
        name = "ImageDataGenerator"
        data_format = FORMATS.get(data_format or "", data_format) or config.image_data_format()
        self.data_format = as_choice(f"{name}(data_format)", data_format, ("channels_first", "channels_last"))
        self.row_axis, self.col_axis, self.channel_axis = (2, 3, 1) if data_format == "channels_first" else (1, 2, 3)
        self.fill_mode = as_choice(f"{name}(fill_mode)", fill_mode, FILL_MODES)
        if validation_split and not 0 < validation_split < 1:
            raise ArgumentError(f"{name}(validation_split)", need="a number between 0 and 1", got=repr(validation_split))
        zoom = (1 - zoom_range, 1 + zoom_range) if isinstance(zoom_range, (int, float)) else zoom_range
        self.zoom_range = as_range(f"{name}(zoom_range)", zoom)
        self.brightness_range = None if brightness_range is None else as_range(f"{name}(brightness_range)", brightness_range)
        self.zca_whitening, self.zca_epsilon = zca_whitening, zca_epsilon
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening  # whitening scales, too
        self.featurewise_center = featurewise_center or self.featurewise_std_normalization or zca_whitening
        self.samplewise_std_normalization = samplewise_std_normalization
        self.samplewise_center = samplewise_center or samplewise_std_normalization
        self.rotation_range, self.shear_range, self.channel_shift_range = rotation_range, shear_range, channel_shift_range
        self.width_shift_range, self.height_shift_range = width_shift_range, height_shift_range
        self.cval, self.horizontal_flip, self.vertical_flip, self.rescale = cval, horizontal_flip, vertical_flip, rescale
        self.preprocessing_function, self.interpolation_order = preprocessing_function, interpolation_order
        self.dtype = dtype or config.floatx()
        self._validation_split = validation_split
        self.mean: np.ndarray | None = None
        self.std: np.ndarray | None = None
        self.zca_whitening_matrix: np.ndarray | None = None

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of changed images of an array; see NumpyArrayIterator."""
        return NumpyArrayIterator(
            x, y, self, batch_size, shuffle, sample_weight, seed, self.data_format, save_to_dir, save_prefix, save_format, subset,
            ignore_class_split, self.dtype,
        )  # fmt: skip

    def flow_from_directory(
        self,
        directory: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of changed images of a folder; see DirectoryIterator."""
        return DirectoryIterator(
            directory, self, target_size, color_mode, classes, class_mode, batch_size, shuffle, seed, self.data_format, save_to_dir, save_prefix,
            save_format, follow_links, subset, interpolation, keep_aspect_ratio, self.dtype,
        )  # fmt: skip

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        **kwargs: Any,
    ) -> DataFrameIterator:
        """Batches of changed images whose paths are a column of a data frame; see DataFrameIterator."""
        return DataFrameIterator(
            dataframe, directory, self, x_col, y_col, weight_col, target_size, color_mode, classes, class_mode, batch_size, shuffle, seed,
            self.data_format, save_to_dir, save_prefix, save_format, subset, interpolation, False, self.dtype, validate_filenames,
        )  # fmt: skip

    def get_random_transform(self, img_shape: tuple[int, ...], seed: int | None = None, random: Any = None) -> dict[str, Any]:
        """Draw what to do with an image: the arguments of apply_transform.

        Args:
            seed: of a generator of its own; np.random by default.
            random: generator to draw from, instead.
        """
        draw = random or (np.random if seed is None else np.random.RandomState(seed))
        rows, columns = self.row_axis - 1, self.col_axis - 1
        drawn: dict[str, Any] = {"theta": draw.uniform(-self.rotation_range, self.rotation_range) if self.rotation_range else 0}
        drawn["ty"] = _shift(draw, self.height_shift_range, img_shape[rows])
        drawn["tx"] = _shift(draw, self.width_shift_range, img_shape[columns])
        drawn["shear"] = draw.uniform(-self.shear_range, self.shear_range) if self.shear_range else 0
        low, high = self.zoom_range
        drawn["zx"], drawn["zy"] = (1, 1) if low == high == 1 else draw.uniform(low, high, 2)
        drawn["flip_horizontal"] = (draw.random_sample() < 0.5) * self.horizontal_flip
        drawn["flip_vertical"] = (draw.random_sample() < 0.5) * self.vertical_flip
        amount = self.channel_shift_range
        drawn["channel_shift_intensity"] = draw.uniform(-amount, amount) if amount else None
        drawn["brightness"] = draw.uniform(*self.brightness_range) if self.brightness_range is not None else None
        return drawn

    def apply_transform(self, x: np.ndarray, transform_parameters: dict[str, Any]) -> np.ndarray:
        """An image changed as the parameters say; those that are missing change nothing."""
        p = transform_parameters
        rows, columns, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x, p.get("theta", 0), p.get("tx", 0), p.get("ty", 0), p.get("shear", 0), p.get("zx", 1), p.get("zy", 1), rows, columns, channels,
            self.fill_mode, self.cval, self.interpolation_order,
        )  # fmt: skip
        if p.get("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, p["channel_shift_intensity"], channels)
        x = np.flip(x, columns) if p.get("flip_horizontal") else x
        x = np.flip(x, rows) if p.get("flip_vertical") else x
        return x if p.get("brightness") is None else apply_brightness_shift(x, p["brightness"], False)

    def random_transform(self, x: np.ndarray, seed: int | None = None, random: Any = None) -> np.ndarray:
        """An image changed at random."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed, random))

    def standardize(self, x: np.ndarray) -> np.ndarray:
        """An image, or a batch, with preprocessing_function, rescale and all normalizations applied."""
        x = self.preprocessing_function(x) if self.preprocessing_function else x
        x = x * self.rescale if self.rescale else x
        if self.samplewise_center:
            x = x - np.mean(x, keepdims=True)
        if self.samplewise_std_normalization:
            x = x / (np.std(x, keepdims=True) + 1e-6)
        if self.featurewise_center:
            x = x - self._learnt("mean")
        if self.featurewise_std_normalization:
            x = x / (self._learnt("std") + 1e-6)
        if self.zca_whitening:
            x = (x.reshape(-1, np.prod(x.shape[-3:])) @ self._learnt("zca_whitening_matrix")).reshape(x.shape)
        return x

    def _learnt(self, name: str) -> np.ndarray:
        value = getattr(self, name)
        if value is None:
            raise StateError("ImageDataGenerator", need=f"the {name} of the data", got="none", fix="call fit(images) before flow")
        return value

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn the mean, the deviation and the whitening matrix of images.

        Args:
            x: (images, ...) of rank 4.
            augment: learn from changed images, rounds times each.
            seed: of the changes.
        """
        x = np.array(x, dtype=self.dtype)
        if x.ndim != 4:
            raise ShapeError("ImageDataGenerator.fit(x)", need="images of rank 4", got=f"shape {x.shape}")
        if augment:
            draw = np.random if seed is None else np.random.RandomState(seed)
            x = np.stack([self.random_transform(image, random=draw) for _ in range(rounds) for image in x])
        axes, shape = (0, self.row_axis, self.col_axis), [1, 1, 1]
        shape[self.channel_axis - 1] = x.shape[self.channel_axis]
        if self.featurewise_center:
            mean = self.mean = np.mean(x, axis=axes).reshape(shape)
            x = x - mean
        if self.featurewise_std_normalization:
            deviation = self.std = np.std(x, axis=axes).reshape(shape)
            x = x / (deviation + 1e-6)
        if self.zca_whitening:
            flat = x.reshape(len(x), -1)
            directions, spread, _ = np.linalg.svd(flat.T, full_matrices=False)
            spread = np.sqrt(spread**2 / len(x) + self.zca_epsilon)
            self.zca_whitening_matrix = (directions / spread) @ directions.T


def _shift(draw: Any, amount: Any, size: int) -> Any:
    """Pixels to shift by: of a share, of at most a number of pixels, or one of a list to either side."""
    if np.ndim(amount) == 0 and not amount:
        return 0
    if np.ndim(amount) or float(amount).is_integer():
        shift = draw.choice(amount if np.ndim(amount) else int(amount)) * draw.choice([-1, 1])
    else:
        shift = draw.uniform(-amount, amount)
    return shift * size if np.max(amount) < 1 else shift
