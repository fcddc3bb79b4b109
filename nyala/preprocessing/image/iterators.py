# SPDX-License-Identifier: Apache-2.0
"""Batches of changed images: of arrays, of a folder, of the paths in a data frame.

Batches are asked for by number, as of every PyDataset, or one after the other, without end, by next. Start at Iterator.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator as Iteration
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ShapeError, missing_method
from nyala.layers.arguments import as_choice, as_count
from nyala.utils.dataset import PyDataset
from nyala.utils.folders import list_files
from nyala.utils.images import CHANNELS, SUFFIXES, array_to_img, img_to_array, load_img

CLASS_MODES = ("categorical", "binary", "sparse", "input", None)


class Iterator(PyDataset):
    """Batches of samples by number; a subclass says what a batch of given samples is.

    Args:
        n: number of samples.
        batch_size: None for all at once.
        shuffle: another order each epoch.
        seed: of the order and of what is drawn for a batch; np.random by default.
    """

    def __init__(self, n: int, batch_size: int | None, shuffle: bool, seed: int | None) -> None:
        super().__init__()
        self.n, self.shuffle, self.seed = n, shuffle, seed
        self.batch_size = n if batch_size is None else as_count(f"{type(self).__name__}(batch_size)", batch_size)
        self.batch_index = self.total_batches_seen = 0
        self.index_array: np.ndarray | None = None
        self.lock = threading.Lock()

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray, random: Any) -> Any:
        raise missing_method(self, "_get_batches_of_transformed_samples(self, index_array, random)")

    def _batch(self, index: int) -> Any:
        with self.lock:
            random = np.random if self.seed is None else np.random.RandomState(self.seed + self.total_batches_seen)
            self.total_batches_seen += 1
            if self.index_array is None:
                self.index_array = random.permutation(self.n) if self.shuffle else np.arange(self.n)
            samples = self.index_array[self.batch_size * index : self.batch_size * (index + 1)]
        return self._get_batches_of_transformed_samples(samples, random)

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"batch {index} was asked for, but there are {len(self)}")
        return self._batch(index % len(self))

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iteration[Any]:
        return self

    def __next__(self) -> Any:
        if self.batch_index >= len(self):
            self.reset()
            self.index_array = None
        index, self.batch_index = self.batch_index, self.batch_index + 1
        return self._batch(index)

    def next(self) -> Any:
        """The next batch."""
        return next(self)

    def reset(self) -> None:
        """Begin again with the first batch."""
        self.batch_index = 0

    def on_epoch_end(self) -> None:
        self.index_array = None


class _ImageIterator(Iterator):
    """What iterators of images share: changing them, and saving what was made."""

    def _prepare(self, generator: Any, data_format: str | None, save_to_dir: Any, save_prefix: str, save_format: str, dtype: Any) -> None:
        self.image_data_generator, self.data_format = generator, data_format or config.image_data_format()
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        self.dtype = dtype or config.floatx()

    def _changed(self, image: np.ndarray, random: Any) -> np.ndarray:
        generator = self.image_data_generator
        return generator.standardize(generator.apply_transform(image, generator.get_random_transform(image.shape, random=random)))

    def _save(self, batch: np.ndarray, samples: np.ndarray) -> None:
        if self.save_to_dir:
            for image, sample in zip(batch, samples, strict=True):
                name = f"{self.save_prefix}_{sample}_{np.random.randint(10**7)}.{self.save_format}"
                array_to_img(image, self.data_format).save(os.path.join(self.save_to_dir, name))


def check_subset(where: str, subset: str | None) -> None:
    as_choice(f"{where}(subset)", subset, ("training", "validation", None))  # type: ignore[arg-type]


def part_of(count: int, validation_split: float, subset: str | None) -> slice:
    """Which of so many samples belong to a subset: the first ones are for validation."""
    cut = int(count * (validation_split or 0))
    return slice(0, count) if subset is None else slice(0, cut) if subset == "validation" else slice(cut, count)


class NumpyArrayIterator(_ImageIterator):
    """Batches of changed images of an array.

    Args:
        x: (images, ...) of rank 4, or a tuple or list of it and further arrays, which stay as they are.
        y: targets. sample_weight: weights. Batches are x, (x, y) or (x, y, weight).
        image_data_generator: says how images are changed.
        batch_size, shuffle, seed: as in Iterator.
        save_to_dir, save_prefix, save_format: where and how to write the changed images; None writes none.
        subset: "training" or "validation", with the validation_split of the generator: its share of the first images.
        ignore_class_split: accepted for Keras's sake.
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: Any,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        ignore_class_split: bool = False,
        dtype: Any = None,
    ) -> None:
        self._prepare(image_data_generator, data_format, save_to_dir, save_prefix, save_format, dtype)
        first, others = x, []
        if isinstance(x, tuple) or (isinstance(x, list) and np.ndim(x[0]) == 4):
            first, others = x[0], list(x[1]) if isinstance(x[1], list) else list(x[1:])
        arrays = [np.asarray(first), *map(np.asarray, others)]
        targets = [None if part is None else np.asarray(part) for part in (y, sample_weight)]
        lengths = [len(part) for part in (*arrays, *targets) if part is not None]
        if arrays[0].ndim != 4:
            raise ShapeError("ImageDataGenerator.flow(x)", need="images of rank 4", got=f"shape {arrays[0].shape}")
        if len(set(lengths)) > 1:
            raise ShapeError("ImageDataGenerator.flow", need="x, y and sample_weight of equal length", got=f"lengths {lengths}")
        check_subset("ImageDataGenerator.flow", subset)
        part = part_of(lengths[0], image_data_generator._validation_split, subset)
        self.x, *self.x_misc = [np.asarray(array[part], dtype=self.dtype if i == 0 else None) for i, array in enumerate(arrays)]
        self.y, self.sample_weight = (None if values is None else values[part] for values in targets)
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray, random: Any) -> Any:
        batch = np.stack([self._changed(self.x[i], random) for i in index_array]).astype(self.dtype)
        self._save(batch, index_array)
        inputs = [batch, *(other[index_array] for other in self.x_misc)] if self.x_misc else batch
        if self.y is None:
            return inputs
        targets = (self.y[index_array],) if self.sample_weight is None else (self.y[index_array], self.sample_weight[index_array])
        return (inputs, *targets)


class _FileIterator(_ImageIterator):
    """Batches of changed images of files."""

    def _prepare_files(
        self, paths: Sequence[str], targets: Any, target_size: tuple[int, int], color_mode: str, class_mode: str | None, interpolation: str,
        keep_aspect_ratio: bool,
    ) -> None:  # fmt: skip
        as_choice(f"{type(self).__name__}(color_mode)", color_mode, tuple(CHANNELS))
        self.filepaths, self._targets = list(paths), targets
        self.target_size, self.color_mode, self.class_mode = tuple(target_size), color_mode, class_mode
        self.interpolation, self.keep_aspect_ratio = interpolation, keep_aspect_ratio
        self.samples = len(self.filepaths)
        channels = CHANNELS[color_mode]
        self.image_shape = (channels, *self.target_size) if self.data_format == "channels_first" else (*self.target_size, channels)
        self.weights: np.ndarray | None = None

    def _get_batches_of_transformed_samples(self, index_array: np.ndarray, random: Any) -> Any:
        images = []
        for i in index_array:
            image = load_img(self.filepaths[i], self.color_mode, self.target_size, self.interpolation, self.keep_aspect_ratio)
            images.append(self._changed(img_to_array(image, self.data_format, self.dtype), random))
        batch = np.stack(images).astype(self.dtype)
        self._save(batch, index_array)
        if self.class_mode is None:
            return batch
        targets = batch.copy() if self.class_mode == "input" else self._encoded(index_array)
        return (batch, targets) if self.weights is None else (batch, targets, self.weights[index_array])

    def _encoded(self, index_array: np.ndarray) -> Any:
        targets = self._targets
        if isinstance(targets, list):  # of several outputs
            return [column[index_array] for column in targets]
        if self.class_mode == "categorical":
            rows = np.zeros((len(index_array), len(self.class_indices)), self.dtype)
            for row, i in zip(rows, index_array, strict=True):
                row[targets[i]] = 1  # one class, or a list of several
            return rows
        return targets[index_array] if self.class_mode == "raw" else targets[index_array].astype(self.dtype)

    class_indices: dict[Any, int]


class DirectoryIterator(_FileIterator):
    """Batches of changed images of a folder with a subfolder per class.

    Args:
        directory: the folder.
        image_data_generator: says how images are changed.
        target_size: (height, width).
        color_mode: "rgb", "rgba" or "grayscale".
        classes: the subfolders to read, in the order of their labels; all, sorted, by default.
        class_mode: "categorical": one-hot rows. "binary", "sparse": numbers. "input": the images. None: images alone.
        subset: "training" or "validation", with the validation_split of the generator: its share of the first files of each class.
        interpolation, keep_aspect_ratio: as in load_img.
        others: as in NumpyArrayIterator.

    Attributes:
        class_indices: number of each class.
        classes: number of the class of each file.
        filenames, filepaths: below the folder, and with it.
    """

    def __init__(
        self,
        directory: Any,
        image_data_generator: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
    ) -> None:
        where = "ImageDataGenerator.flow_from_directory"
        as_choice(f"{where}(class_mode)", class_mode, CLASS_MODES)  # type: ignore[arg-type]
        check_subset(where, subset)
        self.directory = os.fspath(directory)
        if not os.path.isdir(self.directory):
            raise ArgumentError(f"{where}(directory)", need="a folder", got=repr(self.directory), why="there is no folder of this name")
        self._prepare(image_data_generator, data_format, save_to_dir, save_prefix, save_format, dtype)
        names = sorted(entry.name for entry in os.scandir(self.directory) if entry.is_dir()) if not classes else list(classes)
        self.class_indices, self.num_classes = {name: i for i, name in enumerate(names)}, len(names)
        paths, numbers = [], []
        for number, name in enumerate(names):
            files = list_files(os.path.join(self.directory, name), (*SUFFIXES, ".ppm", ".tif", ".tiff"), follow_links)
            files = files[part_of(len(files), image_data_generator._validation_split, subset)]
            paths += files
            numbers += [number] * len(files)
        self.classes = np.array(numbers, np.int32)
        self.filenames = [os.path.relpath(path, self.directory) for path in paths]
        self._prepare_files(paths, self.classes, target_size, color_mode, class_mode, interpolation, keep_aspect_ratio)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> np.ndarray:
        return self.classes


class DataFrameIterator(_FileIterator):
    """Batches of changed images whose paths are a column of a data frame.

    Args:
        dataframe: with the columns x_col (paths), y_col (classes or values; a list of columns for "raw" and "multi_output") and weight_col.
            Several classes of an image are a list in y_col, with class_mode "categorical".
        directory: in front of the paths.
        class_mode: that of DirectoryIterator, "raw" for the values as they are, or "multi_output" for a list of columns.
        validate_filenames: leave out rows whose file is missing or no image by its name.
        others: as in DirectoryIterator.
    """

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = None,
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = None,
        validate_filenames: bool = True,
    ) -> None:
        where = "ImageDataGenerator.flow_from_dataframe"
        as_choice(f"{where}(class_mode)", class_mode, (*CLASS_MODES, "raw", "multi_output"))  # type: ignore[arg-type]
        check_subset(where, subset)
        self._prepare(image_data_generator, data_format, save_to_dir, save_prefix, save_format, dtype)
        self.directory = os.fspath(directory or "")
        names = [str(name) for name in dataframe[x_col]]
        kept = np.arange(len(names))
        if validate_filenames:
            kept = kept[[self._is_image(name) for name in names]]
        labelled = class_mode in ("categorical", "binary", "sparse")
        numbers: dict[int, Any] = {}
        if labelled:
            self.class_indices, numbers = _numbered(where, dataframe[y_col], kept, classes, class_mode)
            kept = kept[[i in numbers for i in kept]]
        kept = kept[part_of(len(kept), image_data_generator._validation_split, subset)]
        targets: Any = None
        if labelled:
            self.classes = [numbers[i] for i in kept]
            several = any(isinstance(number, list) for number in self.classes)
            targets = np.array([*map(np.atleast_1d, self.classes), None], object)[:-1] if several else np.array(self.classes, np.int32)
        elif class_mode == "raw":
            targets = np.asarray(dataframe[y_col])[kept]
        elif class_mode == "multi_output":
            targets = [np.asarray(dataframe[column])[kept] for column in y_col]
        self.filenames = [names[i] for i in kept]
        paths = [os.path.join(self.directory, name) for name in self.filenames]
        self._prepare_files(paths, targets, target_size, color_mode, class_mode, interpolation, keep_aspect_ratio)
        self.weights = None if weight_col is None else np.asarray(dataframe[weight_col])[kept]
        if self.weights is not None and self.weights.dtype.kind not in "biuf":
            raise ArgumentError(f"{where}(weight_col)", need="a column of numbers", got=f"{weight_col!r} with {str(self.weights[0])!r}")
        print(f"Found {self.samples} validated image filenames" + (f" belonging to {len(self.class_indices)} classes." if labelled else "."))
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        """The classes as numbers, or the values of y_col."""
        return self._targets if self.class_mode in ("raw", "multi_output", "input", None) else self.classes

    def _is_image(self, name: str) -> bool:
        path = os.path.join(self.directory, name)
        return name.lower().endswith((*SUFFIXES, ".ppm", ".tif", ".tiff")) and os.path.isfile(path)


def _numbered(
    where: str, names: Any, rows: np.ndarray, classes: Sequence[Any] | None, class_mode: str | None
) -> tuple[dict[Any, int], dict[int, Any]]:
    """The number of each class, and of each row that has a class its number, or a list of them where the column holds lists."""
    column = [name.item() if isinstance(name, np.generic) else name for name in names]
    several = {int(i): list(column[i]) for i in rows if isinstance(column[i], (list, tuple, set))}
    if several and class_mode != "categorical":
        raise ArgumentError(f"{where}(class_mode)", need="'categorical' for several classes of an image", got=repr(class_mode))
    known = list(classes) if classes else sorted({name for i in rows for name in several.get(int(i), [column[i]])})
    if class_mode == "binary" and len(known) != 2:
        raise ArgumentError(f"{where}(class_mode)", need="two classes for 'binary'", got=f"{len(known)}", fix="use 'sparse' or 'categorical'")
    number = {name: i for i, name in enumerate(known)}
    found = {int(i): [number[name] for name in several.get(int(i), [column[i]]) if name in number] for i in rows}
    return number, {i: numbers if i in several else numbers[0] for i, numbers in found.items() if numbers}
