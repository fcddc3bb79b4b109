# SPDX-License-Identifier: Apache-2.0
"""Weights as .npz files: NumPy arrays in a zip, numbers only, never objects, whose sizes are compared with what is there before memory is taken.

Start at read_npz and write_npz.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from nyala.core.dtypes import numpy_dtype
from nyala.files import archive
from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError, FileError, WeightsMismatchError
from nyala.files.hdf5 import BEYOND_NUMPY
from nyala.files.loading import set_value


def write_npz(path: Any, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to path: all of them or, if anything fails, nothing."""
    with replacing(path, verify=lambda file: archive.check(file, paths=False)) as file:
        np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]  its stub counts arrays as allow_pickle


def read_npz(source: Any, where: str) -> dict[str, np.ndarray]:
    """The arrays of a file, by name."""
    with archive.reading(source, where, paths=False) as members:
        return {name.removesuffix(".npy"): read_npy(member.bytes(member.size), member.where) for name, member in members.items()}


def read_npy(content: bytes, where: str) -> np.ndarray:
    """The array of an .npy file of plain numbers."""
    shape, fortran, dtype, start = npy_header(content, where)
    size = len(content) - start
    if dtype.kind not in "biufc" or any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size:
        raise CorruptFileError(where, need="an array of numbers as large as it says", got=f"{size:,} bytes for {shape} of {dtype}", rule="npz-header")
    array = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


def npy_header(content: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Shape, whether in Fortran's order, dtype, and where the values begin, as an .npy file says; nothing is allocated for them."""
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        return *read(file), file.tell()
    except Exception as error:
        raise CorruptFileError(where, need="an array of NumPy", got=f"another file ({str(error)[:100]})", rule="npz-header") from error


def save_npz(model: Any, path: Any) -> None:
    """Write the weights of a model, in order, as arrays named "<number>:<path>:<dtype>"."""
    arrays = {}
    for i, weight in enumerate(model.weights):
        array = weight.numpy()
        arrays[f"{i}:{weight.path}:{weight._dtype}"] = array.view(f"uint{8 * array.dtype.itemsize}") if weight._dtype in BEYOND_NUMPY else array
    write_npz(path, arrays)


def load_npz(model: Any, source: Any, skip_mismatch: bool, where: str) -> None:
    """Set the weights of a model from a file that save_npz wrote: all of them or, if one does not fit, none."""
    try:
        arrays = sorted(read_npz(source, where).items(), key=lambda item: int(item[0].split(":", 1)[0]))
        stored = [(name.split(":", 1)[1].rpartition(":"), array) for name, array in arrays]
    except FileError:
        raise
    except (ValueError, IndexError) as error:
        raise CorruptFileError(where, need="weights as save_weights writes them", got=f"other arrays ({error})", rule="npz-names") from error
    weights = model.weights
    if len(stored) != len(weights):
        raise WeightsMismatchError(
            where,
            need=f"{len(weights)} weights",
            got=f"{len(stored)} in the file",
            why="" if model.built else "the model is not built yet",
            fix="use the architecture with which they were saved",
            rule="weights-mismatch",
        )
    plan = []
    for weight, ((path_in_file, _, dtype), array) in zip(weights, stored, strict=True):
        if array.shape == weight.shape:
            plan.append((weight, array.view(numpy_dtype(dtype)) if dtype in BEYOND_NUMPY else array))
        elif not skip_mismatch:
            raise WeightsMismatchError(
                where,
                need=f"shape {weight.shape} for {weight.path!r}",
                got=f"{array.shape}, stored as {path_in_file!r}",
                fix="no weight was changed",
                rule="weights-mismatch",
            )
    for weight, array in plan:
        set_value(weight, array)
