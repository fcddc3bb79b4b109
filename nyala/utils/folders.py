# SPDX-License-Identifier: Apache-2.0
"""Files of a folder and their labels: what the *_dataset_from_directory functions share. Start at dataset_from_folder."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import seeds
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.layers.arguments import as_choice
from nyala.utils.batches import Dataset

LABEL_MODES = ("int", "categorical", "binary", None)


def list_files(directory: str, formats: Sequence[str], follow_links: bool = False) -> list[str]:
    """Paths of all files below a folder with one of these suffixes, in lower or upper case, sorted by folder and name."""
    found = sorted(os.walk(directory, followlinks=follow_links))
    return [os.path.join(folder, name) for folder, _, names in found for name in sorted(names) if name.lower().endswith(tuple(formats))]


def index_folder(
    where: str, directory: Any, labels: Any, formats: Sequence[str], class_names: Sequence[str] | None, follow_links: bool
) -> tuple[list[str], list[int] | list[float] | None, list[str] | None]:
    """Files, their labels and the names of the classes. Each subfolder is a class, in the order of their names, unless labels are given."""
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise ArgumentError(f"{where}(directory)", need="a folder", got=repr(directory), why="there is no folder of this name")
    if labels is None or not isinstance(labels, str):
        if class_names is not None:
            raise ArgumentError(f"{where}(class_names)", need='labels="inferred" with names of classes', got=f"labels={labels!r}")
        files = list_files(directory, formats, follow_links)
        if labels is None:
            return files, None, None
        if len(labels) != len(files):
            raise ArgumentError(
                f"{where}(labels)",
                need=f"one label for each of the {len(files)} files",
                got=f"{len(labels)}",
                why="labels belong to the files sorted by folder and name",
            )
        values = np.asarray(labels)
        if values.ndim != 1 or values.dtype.kind not in "biuf":
            raise ArgumentError(f"{where}(labels)", need='"inferred", a list of numbers, or None', got=f"{list(labels)[:3]}")
        return files, values.tolist(), [str(label) for label in sorted(set(values.tolist()))]
    if labels != "inferred":
        raise ArgumentError(f"{where}(labels)", need='"inferred", a list of integers, or None', got=repr(labels))
    folders = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir() and not entry.name.startswith("."))
    names = folders if class_names is None else list(class_names)
    if set(names) - set(folders) or len(set(names)) != len(names):
        raise ArgumentError(f"{where}(class_names)", need=f"names of subfolders, each once: {folders}", got=repr(names))
    files, numbers = [], []
    for number, name in enumerate(names):
        part = list_files(os.path.join(directory, name), formats, follow_links)
        files += part
        numbers += [number] * len(part)
    return files, numbers, names


def encode_labels(where: str, labels: Sequence[float], label_mode: str | None, num_classes: int) -> np.ndarray:
    """Labels as int32 (float32 if they were given so), as float32 one-hot rows, or as float32 rows of one."""
    numbers = np.asarray(labels)
    numbers = numbers.astype(np.float32 if numbers.dtype.kind == "f" else np.int32)
    if label_mode == "categorical":
        if numbers.dtype.kind == "f" or numbers.min() < 0 or numbers.max() >= num_classes:
            need = f"integers from 0 to {num_classes - 1}, as there are {num_classes} different ones"
            raise ArgumentError(f'{where}(label_mode="categorical")', need=need, got=f"labels from {numbers.min()} to {numbers.max()}")
        return np.eye(num_classes, dtype=np.float32)[numbers.astype(np.int32)]
    return numbers.astype(np.float32)[:, None] if label_mode == "binary" else numbers


def split_bounds(count: int, validation_split: float | None, subset: str | None) -> slice:
    """Which of the files belong to a subset: the last ones are for validation."""
    cut = count - int((validation_split or 0) * count)
    return slice(0, cut) if subset == "training" else slice(cut, count) if subset == "validation" else slice(0, count)


def dataset_from_folder(
    where: str,
    kind: str,
    load: Callable[[str], Any],
    directory: Any,
    formats: Sequence[str],
    labels: Any,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    verbose: bool,
    collate: Callable[[list], Any] | None = None,
) -> Any:
    """The dataset that the *_dataset_from_directory functions return, or two of them for subset="both".

    Args:
        where: the function, for errors.
        kind: of the files, "images".
        load: reads one file.
        collate: makes a batch of what was read from the files; stacks it by default.
    """
    _check(where, labels, label_mode, shuffle, seed, validation_split, subset)
    files, numbers, names = index_folder(where, directory, labels, formats, class_names, follow_links)
    if labels is None:
        label_mode = None
    if label_mode == "binary" and len(names or ()) != 2:
        raise ArgumentError(f'{where}(label_mode="binary")', need="exactly 2 classes", got=f"{len(names or ())}: {names}")
    if not files:
        raise ArgumentError(f"{where}(directory)", need=f"{kind}: files that end in {', '.join(formats)}", got=f"none below {os.fspath(directory)!r}")
    if verbose:
        print(f"Found {len(files)} files" + (f" belonging to {len(names)} classes." if names is not None else "."))
    targets = None if label_mode is None or numbers is None else encode_labels(where, numbers, label_mode, len(names or ()))
    seed = seeds.draw_seed() if seed is None else seed
    order = np.arange(len(files))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)  # so that the split is the one that Keras makes with this seed

    def one(part: str | None) -> Dataset:
        chosen = order[split_bounds(len(files), validation_split, part)]
        if verbose and part:
            print(f"Using {len(chosen)} files for {part}.")
        if not len(chosen):
            raise ArgumentError(
                f"{where}(validation_split)", need="a share that leaves files on both sides", got=f"{validation_split} of {len(files)}"
            )
        paths = [files[i] for i in chosen]
        loads = [functools.partial(_load, where, load, files[i], None if targets is None else targets[i]) for i in chosen]
        data = Dataset(lambda epoch: loads, len(loads))
        data.class_names, data.file_paths = names, paths
        data = data.shuffle(seed=seed) if shuffle else data
        if batch_size is None:
            return data
        return data.batch(batch_size) if collate is None else data.batch(batch_size, collate=collate)

    return (one("training"), one("validation")) if subset == "both" else one(subset)


def _load(where: str, load: Callable[[str], Any], path: str, target: Any) -> Any:
    try:
        value = load(path)
    except (OSError, ValueError, EOFError, SyntaxError) as error:  # SyntaxError is what Pillow raises for some broken PNG files
        raise ArgumentError(where, need="files that can be read", got=f"{path!r}: {error}", fix="repair the file, or take it out") from error
    return value if target is None else (value, target)


def _check(where: str, labels: Any, label_mode: Any, shuffle: bool, seed: int | None, validation_split: float | None, subset: str | None) -> None:
    as_choice(f"{where}(label_mode)", label_mode, LABEL_MODES)  # type: ignore[arg-type]
    if not isinstance(labels, (str, list, tuple, np.ndarray)) and labels is not None:
        raise ArgumentTypeError(f"{where}(labels)", need='"inferred", a list of integers, or None', got=type(labels).__name__)
    if (validation_split is None) != (subset is None):
        raise ArgumentError(f"{where}(validation_split, subset)", need="both or neither", got=f"{validation_split!r} and {subset!r}")
    if validation_split is None:
        return
    if not isinstance(validation_split, (int, float)) or not 0 < validation_split < 1:
        raise ArgumentError(f"{where}(validation_split)", need="a number between 0 and 1", got=repr(validation_split))
    as_choice(f"{where}(subset)", subset, ("training", "validation", "both"))
    if shuffle and seed is None and subset != "both":
        raise ArgumentError(
            f"{where}(seed)",
            need="an integer",
            got="None",
            why="the two subsets are cut from one shuffled list, which must be the same in both calls",
            fix='pass the same seed in both calls, shuffle=False, or subset="both"',
        )
