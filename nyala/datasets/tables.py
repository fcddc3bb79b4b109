# SPDX-License-Identifier: Apache-2.0
"""What data sets share: files of a bounded size, arrays of a known form, and random splits that are the same everywhere. Start at arrays_of."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.files import archive
from nyala.files.errors import CorruptFileError, ResourceLimitError
from nyala.files.hdf5 import open_regular
from nyala.files.npz import headers, read_npy
from nyala.layers.arguments import as_fraction, is_int

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
MAX_BYTES = 256 << 20  # of an array; the largest there is has 47 million
Splits: TypeAlias = tuple[tuple[Array, Array], tuple[Array, Array]]


def arrays_of(path: str, where: str, **forms: tuple[int | None, ...]) -> list[Array]:
    """The arrays of a .npz file by name, in the order of forms: their shapes, None for any number of rows.

    Raises: CorruptFileError if one is missing, has another shape, or holds anything but numbers; ResourceLimitError for what is far too large.
        Shapes are looked at before anything is unpacked.
    """
    with archive.reading(path, f"{where} in {path!r}", paths=False) as members:
        found = {name: member for name, member in members.items() if name.removesuffix(".npy") in forms}
        shapes = {name: shape for name, (shape, _) in headers(found).items()}
        for name, form in forms.items():
            check_form(where, path, name, shapes.get(name), form)
        arrays = {name.removesuffix(".npy"): read_npy(member.bytes(MAX_BYTES), member.where) for name, member in found.items()}
    return [arrays[name].copy() for name in forms]


def check_form(where: str, path: str, name: str, shape: tuple[int, ...] | None, form: tuple[int | None, ...]) -> None:
    """Raise unless an array has the form; shape is None if there is no array."""
    if shape is None or len(shape) != len(form) or not all(n in (None, size) for n, size in zip(form, shape, strict=True)):
        shown = "(" + ", ".join("n" if n is None else str(n) for n in form) + ("," if len(form) == 1 else "") + ")"
        got = "none" if shape is None else f"shape {shape}"
        raise CorruptFileError(
            where, need=f"an array {name!r} of shape {shown} in {path!r}", got=got, fix="remove the file and load again", rule="dataset-shape"
        )


def checked(where: str, path: str, name: str, array: Any, form: tuple[int | None, ...]) -> Array:
    """The array, if it has the form."""
    check_form(where, path, name, array.shape if isinstance(array, np.ndarray) else None, form)
    return array


def content_of(path: Any, where: str, max_bytes: int) -> bytes:
    """All of a file, in memory that is no larger than it."""
    with open_regular(path, where) as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise ResourceLimitError(where, need=f"at most {max_bytes:,} bytes", got=f"{size:,}", rule="dataset-size")
        return file.read(size)


def same_length(where: str, path: str, *pairs: tuple[Array, Array]) -> None:
    """Raise unless there are as many labels as rows."""
    for x, y in pairs:
        if len(x) != len(y):
            raise CorruptFileError(
                where, need=f"as many labels as rows in {path!r}", got=f"{len(y)} and {len(x)}", fix="remove the file and load again",
                rule="dataset-shape",
            )  # fmt: skip


def generator(where: str, seed: Any) -> np.random.RandomState:
    """The random numbers of splits: NumPy's older generator, whose sequence is fixed for good."""
    if seed is not None and (not is_int(seed) or not 0 <= seed < 2**32):
        raise ArgumentError(f"{where}(seed)", need="an integer from 0 to 2**32 - 1, or None", got=repr(seed))
    return np.random.RandomState(seed)


def shuffled(random: np.random.RandomState, x: Array, y: Array) -> tuple[Array, Array]:
    """Rows and labels in one random order."""
    order = np.arange(len(x))
    random.shuffle(order)
    return x[order], y[order]


def split(x: Array, y: Array, test_split: float) -> Splits:
    """The first rows to train on, the last to test on."""
    count = int(len(x) * (1 - test_split))
    return (x[:count], y[:count]), (x[count:], y[count:])


def load_table(where: str, path: str, columns: int, test_split: float, seed: Any, most: int | None = None) -> Splits:
    """A table x (n, columns) with targets y (n,): its first rows up to most, shuffled and split."""
    if as_fraction(f"{where}(test_split)", test_split) == 1:
        raise ArgumentError(f"{where}(test_split)", need="a number from 0 to below 1", got=repr(test_split), why="some rows are to train on")
    random = generator(where, seed)
    x, y = arrays_of(path, where, x=(None, columns), y=(None,))
    same_length(where, path, (x, y))
    return split(*shuffled(random, x[:most], y[:most]), test_split)
