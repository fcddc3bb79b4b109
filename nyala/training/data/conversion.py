# SPDX-License-Identifier: Apache-2.0
"""Whatever users have their numbers in, as arrays: NumPy, lists, tensors of any library, frames, Arrow, sparse and mapped files, ragged lists.

Start at as_arrays; as_array does one argument. Nothing here imports a library that is not loaded: objects say by their methods what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core import config, dtypes
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.variable import Variable
from nyala.engines.protocol import Engine
from nyala.training.data.lazy import LazyRows, as_lazy
from nyala.training.data.ragged import Padded, differ_in_length, pad
from nyala.training.data.tables import KINDS, column_as_array, is_table, table_as_array


def as_array(value: Any, what: str, here: Engine | None = None) -> Any:
    """One argument as an array of numbers: floats in floatx if they come as Python numbers or float64. Raises for anything else, naming it.

    Args:
        here: an engine that the argument is for, whole: see taken_over.
    Returns: an array, LazyRows for what stays on disk or sparse, Padded for samples of different lengths."""
    if type(value) is not np.ndarray:
        tensor = None if here is None else taken_over(value, here)
        if tensor is not None:
            return tensor
        lazy = as_lazy(value)
        if lazy is not None:
            if lazy.dtype.kind not in "biufc":
                kind = KINDS.get(lazy.dtype.kind, "objects")
                raise ArgumentTypeError(what, need="numbers", got=f"an array of {kind}", fix="encode them as numbers first")
            return lazy
        value = _on_host(value, what)
    if isinstance(value, Padded):
        return value
    if isinstance(value, (str, bytes, int, float, bool)) or value is None or isinstance(value, type):
        raise _no_data(what, f"{type(value).__name__} {value!r}")
    try:
        array = np.asarray(value)
    except ValueError:
        return pad(value, what)
    if array.dtype.kind == "O" and array.ndim == 0:
        raise _no_data(what, type(value).__name__)
    if array.dtype.kind == "O" and array.size and all(isinstance(row, (list, tuple, np.ndarray)) for row in array.flat):
        return pad(array, what)
    if array.dtype.kind in "OUSMm":
        kind = KINDS.get(array.dtype.kind) or (f"objects ({type(array.flat[0]).__name__})" if array.size else "nothing")
        raise ArgumentTypeError(what, need="numbers", got=f"an array of {kind}", fix="encode them as numbers first")
    if array.ndim == 0:
        raise ArgumentError(what, need="at least one axis: the samples", got="a single number", fix="wrap it in a list")
    return array.astype(config.floatx()) if array.dtype == np.float64 else array


def taken_over(value: Any, here: Engine) -> Any:
    """A tensor that nobody can change, as one of this engine: not copied where it has the right dtype. None for everything else.

    The engine's own stay as they are, but for those that were tied to a device. Engines that compile never write into a tensor: they adopt the
    memory of other libraries' tensors, where it is shown to be read only."""
    if isinstance(value, np.ndarray) or hasattr(value, "detach") or getattr(value, "committed", False):
        return None
    if here.is_tensor(value):
        dtype = here.dtype(value)
        known = dtype in dtypes.DTYPES and dtype != "string" and len(value.shape) > 0
        return here.asarray(value, config.floatx() if dtype == "float64" else None) if known else None
    if not (here.compiles and hasattr(value, "__dlpack__") and hasattr(value, "__array__")):
        return None
    array = np.asarray(value)
    if array.flags.writeable or array.dtype.kind not in "biufc" or array.ndim == 0 or here.is_tensor(array):
        return None
    array = array.astype(config.floatx()) if array.dtype == np.float64 else array
    return here.adopt(array, here.canonical_dtype(array.dtype.name))


def _on_host(value: Any, what: str) -> Any:
    """An object of some library as an array; others as they are."""
    if isinstance(value, (np.ndarray, Padded, list, tuple)):
        return value
    if isinstance(value, Variable):
        return value.numpy()
    if is_table(value):
        return table_as_array(value, what)
    if hasattr(value, "to_numpy"):
        column = column_as_array(value)
        return column.astype(str) if column.dtype.kind == "O" and all(isinstance(v, str) for v in column.flat) else column
    if hasattr(value, "detach"):
        value = value.detach()
        return (value.to_dense() if getattr(value, "is_sparse", False) else value).cpu().numpy()
    if hasattr(value, "nested_row_splits") and hasattr(value, "to_list"):  # tf.RaggedTensor
        return value.to_list()
    if hasattr(value, "dense_shape") and hasattr(value, "indices"):  # tf.SparseTensor
        dense = np.zeros([int(n) for n in value.dense_shape], np.asarray(value.values).dtype)
        dense[tuple(np.asarray(value.indices).T)] = np.asarray(value.values)
        return dense
    return value


def _no_data(what: str, got: str) -> ArgumentTypeError:
    return ArgumentTypeError(what, need="an array, a list of numbers, a dict or list of arrays, or an iterable of batches", got=got)


def as_arrays(value: Any, what: str, samples: int | None = None, here: Engine | None = None) -> Any:
    """A tree of arrays. Dicts and tuples are structure; a list is one too if it holds arrays, else it is data.

    samples: how many there are, where that is known: a list of so many arrays of other lengths is a list of samples. here: as in as_array."""
    if value is None or isinstance(value, (Padded, LazyRows)):
        return value
    if isinstance(value, Mapping):
        return {k: as_arrays(v, f"{what}[{k!r}]", samples, here) for k, v in value.items()}
    if _holds_arrays(value):
        if type(value) is list and _are_samples(value, samples):
            return pad(value, what) if differ_in_length(value) else as_array(np.stack([as_array(sample, what) for sample in value]), what)
        return (
            type(value)(as_arrays(v, f"{what}[{i}]", samples, here) for i, v in enumerate(value))
            if not hasattr(value, "_fields")
            else type(value)(*(as_arrays(v, what, samples, here) for v in value))
        )
    if isinstance(value, tuple):
        return tuple(as_arrays(v, f"{what}[{i}]", samples, here) for i, v in enumerate(value))
    return as_array(value, what, here)


def _holds_arrays(value: Any) -> bool:
    """Whether a value is a list or tuple of arrays, dicts or such lists, or None for one that is left out: several arrays rather than one."""
    given = [v for v in value if v is not None] if isinstance(value, (list, tuple)) else []
    return len(given) > 0 and all((hasattr(v, "shape") and len(v.shape) > 0) or isinstance(v, Mapping) or _holds_arrays(v) for v in given)


def _are_samples(arrays: list, samples: int | None) -> bool:
    """Whether arrays in a list are samples, not inputs with as many rows as there are samples."""
    shapes = {tuple(getattr(array, "shape", ())) for array in arrays}
    if () in shapes or len({shape[1:] for shape in shapes}) != 1:
        return False
    return len(shapes) > 1 if samples is None else len(arrays) == samples and {shape[:1] for shape in shapes} != {(samples,)}


def samples_in(value: Any) -> int | None:
    """How many samples there seem to be in what a user gave, None where that cannot be seen without converting it."""
    if value is None or isinstance(value, (Mapping, tuple)) or not hasattr(value, "__len__"):
        return None
    if _holds_arrays(value) and not differ_in_length(value):
        return None
    shape = getattr(value, "shape", None)
    return len(value) if shape is None else int(shape[0]) if len(shape) else None
