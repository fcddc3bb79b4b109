# SPDX-License-Identifier: Apache-2.0
"""Rows that are read, or made dense, only when a batch asks for them: files mapped into memory, h5py and zarr, sparse matrices, data sets of rows.

Libraries are recognised by what their objects can do and by the name of their module; none is imported here. Start at as_lazy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core import config
from nyala.core.errors import ArgumentError, ArgumentTypeError

ON_DISK = ("h5py", "zarr", "dask", "tables")  # modules of arrays that are not in memory
TARGETS = ("label", "labels", "target", "targets")  # columns that hold y in data sets of rows


class LazyRows:
    """An array whose rows are read when they are asked for.

    Args:
        read: gives an array of rows for a slice with step 1, or for an array of row numbers.
        shape, dtype: of the whole; float64 is read as floatx.

    >>> rows = LazyRows(lambda index: np.arange(10)[index], (10,), "int64")
    >>> rows[2:4], rows.part(slice(5, 10))[np.array([0, 3])]
    (array([2, 3]), array([5, 8]))
    """

    def __init__(self, read: Callable[[Any], np.ndarray], shape: tuple[int, ...], dtype: Any, first: int = 0) -> None:
        self._read, self.shape, self._first = read, tuple(int(n) for n in shape), first
        self.dtype = np.dtype(config.floatx() if np.dtype(dtype) == np.float64 else dtype)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """What the whole would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        if isinstance(index, slice):
            rows = range(len(self))[index]
            wanted: Any = slice(self._first + rows.start, self._first + rows.stop)
        else:
            wanted = np.asarray(index) + self._first
        return np.ascontiguousarray(self._read(wanted), dtype=self.dtype)

    def part(self, index: slice) -> LazyRows:
        """The rows of a slice, not read yet."""
        rows = range(len(self))[index]
        return LazyRows(self._read, (len(rows), *self.shape[1:]), self.dtype, self._first + rows.start)

    def mapped(self, function: Callable[[np.ndarray], np.ndarray]) -> LazyRows:
        """A function of these rows, batch by batch."""
        like = function(self[:1])
        return LazyRows(lambda index: function(self._read(index)), (len(self), *like.shape[1:]), like.dtype, self._first)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:] if dtype is None else self[:].astype(dtype)


def rows_of(array: Any, index: slice) -> Any:
    """Some rows of an array, without reading them if it is lazy."""
    return array.part(index) if isinstance(array, LazyRows) else array[index]


def as_lazy(value: Any) -> LazyRows | None:
    """The rows of something that is not in memory as an array, None for everything else."""
    if isinstance(value, LazyRows):
        return value
    if isinstance(value, np.memmap):
        return LazyRows(lambda index: np.array(value[index]), value.shape, value.dtype) if value.ndim and value.dtype.kind in "biufc" else None
    if is_sparse(value):
        matrix = value.tocsr()
        return LazyRows(lambda index: matrix[index].toarray(), matrix.shape, matrix.dtype)
    if module_of(value) in ON_DISK and getattr(value, "shape", ()) and hasattr(value, "dtype"):
        return LazyRows(lambda index: _read_sorted(value, index), value.shape, value.dtype)
    if module_of(value) == "datasets" and type(value).__name__ == "Column":
        return _column(value.source, value.column_name) if hasattr(value, "source") else None
    return None


def module_of(value: Any) -> str:
    """The first name of the module that a value's class is from."""
    return type(value).__module__.partition(".")[0]


def is_sparse(value: Any) -> bool:
    """Whether this is a matrix of scipy.sparse, or one like it."""
    return hasattr(value, "tocsr") and hasattr(value, "toarray")


def _read_sorted(array: Any, index: Any) -> np.ndarray:
    """Rows in any order of an array that gives them in rising order only."""
    if isinstance(index, slice):
        return np.asarray(array[index])
    numbers, places = np.unique(index, return_inverse=True)
    picked = array.oindex[numbers] if hasattr(array, "oindex") else array[numbers]
    return np.asarray(picked)[places]


# Data sets of rows (Hugging Face) ---------------------------------------------------------------------------------------------------------


def is_table_of_rows(value: Any) -> bool:
    """Whether this is a data set whose rows are dicts of columns and can be asked for by number."""
    return module_of(value) == "datasets" and hasattr(value, "column_names") and hasattr(value, "with_format") and hasattr(value, "__len__")


def split_columns(names: Any, column: Callable[[str], Any]) -> tuple[Any, Any]:
    """(x, y) of named columns: y is the one called label, the rest is x, by name if there are several."""
    targets = [name for name in names if name in TARGETS]
    inputs = [name for name in names if name not in targets[:1]]
    if not inputs:
        raise ArgumentError("a data set of rows", need="a column for x beside that of the labels", got=f"the columns {list(names)}")
    x = column(inputs[0]) if len(inputs) == 1 else {name: column(name) for name in inputs}
    return x, column(targets[0]) if targets else None


def parts_of_table(value: Any) -> tuple[Any, Any]:
    """(x, y) of a data set of rows, lazily."""
    return split_columns(value.column_names, lambda name: _column(value, name))


def _column(source: Any, name: str) -> LazyRows:
    chosen = (source.select_columns(name) if hasattr(source, "select_columns") else source).with_format("numpy")

    def read(index: Any) -> np.ndarray:
        return check_column(chosen[index if isinstance(index, slice) else [int(i) for i in index]][name], name)

    first = read(slice(0, 1))
    return LazyRows(read, (len(source), *first.shape[1:]), first.dtype)


def check_column(rows: Any, name: str) -> np.ndarray:
    """Rows of a column as one array of numbers."""
    array = np.asarray(rows) if not isinstance(rows, (list, tuple)) or len({np.shape(row) for row in rows}) == 1 else np.array(list(rows), object)
    if array.dtype.kind not in "biufc":
        first = array.flat[0] if array.size else None
        ragged = isinstance(first, (list, tuple, np.ndarray))
        raise ArgumentTypeError(
            f"the column {name!r}",
            need="numbers, the same count in each row",
            got="rows of different lengths" if ragged else "strings" if isinstance(first, (str, bytes)) else type(first).__name__,
            fix="pad them to one length with map()" if ragged else f"encode them as numbers with map(), or remove_columns({name!r})",
        )
    return array
