# SPDX-License-Identifier: Apache-2.0
"""Weights as .npz files: NumPy arrays in a zip, numbers only, never objects. Written beside the target and renamed, so a half file is never seen."""

from __future__ import annotations

import os
import pathlib
import secrets
import zipfile
import zlib
from typing import Any

import numpy as np

from nyala.core.dtypes import FLOAT8, numpy_dtype
from nyala.core.errors import ArgumentError, ShapeError

BEYOND_NUMPY = ("bfloat16", *FLOAT8)  # stored as the unsigned integers of their bits


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Write the weights of a model, in order, as arrays named "<number>:<path>"."""
    path = _checked(filepath)
    if not overwrite and path.exists():
        raise ArgumentError("save_weights(filepath)", need="a path where no file is", got=str(path), fix="pass overwrite=True, or another path")
    arrays = {}
    for i, weight in enumerate(model.weights):
        array = weight.numpy()
        arrays[f"{i}:{weight.path}:{weight._dtype}"] = array.view(f"uint{8 * array.dtype.itemsize}") if weight._dtype in BEYOND_NUMPY else array
    write_npz(path, arrays)


def write_npz(path: pathlib.Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays to path: all of them or, if anything fails, nothing."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file:
            np.savez(file, **arrays)  # pyright: ignore[reportArgumentType]  its stub counts arrays as allow_pickle
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_weights(model: Any, filepath: Any, skip_mismatch: bool = False) -> None:
    """Set the weights of a model from a file that save_weights wrote: all of them or, if one does not fit, none.

    skip_mismatch leaves weights alone whose stored shape differs."""
    path = _checked(filepath)
    where = f"load_weights({str(path)!r})"
    if not path.is_file():
        raise ArgumentError(where, need="a file", got="a folder" if path.is_dir() else "nothing at that path")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            stored = [(name.split(":", 1)[1].rpartition(":"), archive[name]) for name in sorted(archive.files, key=lambda n: int(n.split(":", 1)[0]))]
    except (ValueError, TypeError, OSError, LookupError, EOFError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ArgumentError(where, need="weights as save_weights writes them", got=f"a file that cannot be read as such ({error})") from error
    weights = model.weights
    if len(stored) != len(weights):
        raise ArgumentError(
            where,
            need=f"{len(weights)} weights",
            got=f"{len(stored)} in the file",
            why="" if model.built else "the model is not built yet",
            fix="use the architecture with which they were saved",
        )
    plan = []
    for weight, ((path_in_file, _, dtype), array) in zip(weights, stored, strict=True):
        if array.shape == weight.shape:
            plan.append((weight, array.view(numpy_dtype(dtype)) if dtype in BEYOND_NUMPY else array))
        elif not skip_mismatch:
            raise ShapeError(
                where, need=f"shape {weight.shape} for {weight.path!r}", got=f"{array.shape}, stored as {path_in_file!r}", fix="no weight was changed"
            )
    for weight, array in plan:
        weight.assign(array)


def _checked(filepath: Any) -> pathlib.Path:
    path = pathlib.Path(os.fspath(filepath))
    if path.suffix != ".npz":
        raise ArgumentError("the path of a weights file", need="the suffix .npz", got=repr(str(path)), fix="change the suffix")
    return path
