# SPDX-License-Identifier: Apache-2.0
"""Weights as .npz files: NumPy arrays in a zip, numbers only, never objects, whose sizes are compared with what is there before memory is taken.

Start at read_npz and write_npz.
"""

from __future__ import annotations

import functools
import io
import math
import warnings
from typing import Any

import numpy as np

from nyala.core.alignment import aligned
from nyala.core.dtypes import numpy_dtype
from nyala.files import archive
from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError, WeightsMismatchError
from nyala.files.hdf5 import BEYOND_NUMPY
from nyala.files.loading import check_range, is_narrower, set_values

MAX_HEADER = 70_000  # bytes of an .npy file in which its header is


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
    shape, fortran, dtype, start = _checked(npy_header(content, where), len(content), where)
    array = np.frombuffer(content, dtype, offset=start)
    return array.reshape(shape, order="F" if fortran else "C")


def headers(members: dict[str, archive.Member]) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Shapes and dtypes of the arrays in an open file, by name; their numbers are not read."""
    found = {}
    for name, member in members.items():
        shape, _, dtype, _ = _checked(npy_header(member.start(MAX_HEADER), member.where), member.size, member.where)
        found[name.removesuffix(".npy")] = shape, dtype
    return found


def _checked(header: tuple[tuple[int, ...], bool, np.dtype[Any], int], size: int, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """A header of plain numbers that are all there."""
    shape, _, dtype, start = header
    if dtype.kind not in "biufc" or any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != size - start:
        got = f"{size - start:,} bytes for {shape} of {dtype}"
        raise CorruptFileError(where, need="an array of numbers as large as it says", got=got, rule="npz-header")
    return header


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
        array = np.asarray(weight.borrow())
        arrays[f"{i}:{weight.path}:{weight._dtype}"] = array.view(f"uint{8 * array.dtype.itemsize}") if weight._dtype in BEYOND_NUMPY else array
    write_npz(path, arrays)


def load_npz(model: Any, source: Any, skip_mismatch: bool, where: str) -> None:
    """Set the weights of a model from a file that save_npz wrote: all of them or, if one does not fit, none."""
    with archive.reading(source, where, paths=False) as members:
        found = headers(members)
        try:
            order = sorted(found, key=lambda name: int(name.split(":", 1)[0]))
            stored = [(name, name.split(":", 1)[1].rpartition(":")) for name in order]
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
        plan, left = [], []
        for weight, (name, (path_in_file, _, dtype)) in zip(weights, stored, strict=True):
            shape, stored_as = found[name]
            if shape == weight.shape and (dtype not in BEYOND_NUMPY or stored_as.itemsize == numpy_dtype(dtype).itemsize):
                member = members[f"{name}.npy"] if f"{name}.npy" in members else members[name]
                member.check()
                read = functools.partial(_read, member, numpy_dtype(dtype) if dtype in BEYOND_NUMPY else None)
                if is_narrower(weight._dtype, stored_as.name):
                    check_range(weight, read(), where)
                plan.append((weight, read))
            elif not skip_mismatch:
                raise WeightsMismatchError(
                    where,
                    need=f"shape {weight.shape} for {weight.path!r}",
                    got=f"{shape}, stored as {path_in_file!r}",
                    fix="no weight was changed",
                    rule="weights-mismatch",
                )
            else:
                left.append(f"{weight.path!r} has shape {weight.shape}, the file has {shape}")
        if left:
            warnings.warn(f"{where}: what does not fit was left alone: {'; '.join(left[:3])}{'; ...' if len(left) > 3 else ''}", stacklevel=4)
        set_values(plan)


def _read(member: archive.Member, beyond: np.dtype | None) -> np.ndarray:
    """The array of a member, which lies in memory as engines want it; beyond: what its bits mean, where NumPy has no such numbers."""
    shape, fortran, dtype, start = _checked(npy_header(member.start(MAX_HEADER), member.where), member.size, member.where)
    array = aligned(shape[::-1] if fortran else shape, dtype)
    room, place = array.reshape(-1).view("uint8").data, -start

    def take(chunk: bytes) -> None:
        nonlocal place
        values = memoryview(chunk)[max(-place, 0) :]
        room[max(place, 0) : max(place, 0) + len(values)] = values
        place += len(chunk)

    member.chunks(member.size, take)
    array = array.T if fortran else array
    return array if beyond is None else array.view(beyond)
