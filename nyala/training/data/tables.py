# SPDX-License-Identifier: Apache-2.0
"""Data frames, series and Arrow tables as arrays, column by column, with the names of columns that hold no numbers.

pandas, polars, pyarrow and what behaves like them are recognised by their methods; none is imported. Start at table_as_array.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError

KINDS = {"M": "dates", "m": "durations", "U": "strings", "S": "strings"}


def is_table(value: Any) -> bool:
    """Whether this is a data frame or an Arrow table: named columns."""
    return is_query(value) or (hasattr(value, "columns") and (hasattr(value, "to_dict") or hasattr(value, "to_pydict")))


def is_query(value: Any) -> bool:
    """Whether this is a lazy frame, which must be asked to run first (and warns when it is asked for its columns)."""
    return hasattr(value, "collect") and hasattr(value, "collect_schema")


def table_as_array(table: Any, what: str) -> np.ndarray:
    """All columns of a table as one array (rows, columns). Raises for columns that hold no numbers, naming them."""
    if is_query(table):
        got = f"a query that did not run yet ({type(table).__name__})"
        raise ArgumentTypeError(what, need="a data frame with its values", got=got, fix="call its collect()")
    dtypes = getattr(table, "dtypes", None)
    if hasattr(table, "to_numpy") and (dtypes is None or len({str(dtype) for dtype in dtypes}) <= 1):
        array = np.asarray(table.to_numpy())
        if array.dtype.kind in "biufc":
            return array
    names = list(getattr(table, "column_names", None) or table.columns)
    columns = [column_as_array(table[name]) for name in names]
    refused = [f"{name!r} ({kind_of(column)})" for name, column in zip(names, columns, strict=True) if column.dtype.kind not in "biufc"]
    if refused:
        raise ArgumentTypeError(
            what,
            need="columns of numbers",
            got=", ".join(refused[:6]) + (", ..." if len(refused) > 6 else ""),
            fix="encode them as numbers (StringLookup, FeatureSpace, one column per class), or leave them out",
        )
    if not columns:
        raise ArgumentError(what, need="at least one column", got="a table without any")
    odd = next(((name, column.shape) for name, column in zip(names, columns, strict=True) if column.ndim > 1), None)
    if odd is not None and len(columns) > 1:
        raise ArgumentError(
            what,
            need="one number per row in each column",
            got=f"rows of shape {odd[1][1:]} in {odd[0]!r}",
            fix="pass a dict of columns as several inputs",
        )
    return columns[0] if odd is not None else np.column_stack(columns)


def column_as_array(column: Any) -> np.ndarray:
    """A series, a column of an Arrow table or an array: of numbers if it can be; missing values are nan."""
    if hasattr(column, "isna"):  # nullable dtypes of pandas
        try:
            array = np.asarray(column.to_numpy())
            return array if array.dtype.kind != "O" else np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))
        except (TypeError, ValueError):
            pass
    if hasattr(column, "to_pylist") and hasattr(column, "type"):  # Arrow: without a copy only where there are no gaps
        array = _arrow_as_array(column)
    else:
        array = np.asarray(column.to_numpy() if hasattr(column, "to_numpy") else column)
    return _unboxed(array) if array.dtype.kind == "O" else array


def _arrow_as_array(column: Any) -> np.ndarray:
    try:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    except TypeError:  # chunked arrays take no such argument
        return np.asarray(column.to_numpy())


def _unboxed(array: np.ndarray) -> np.ndarray:
    """An array of objects as one of numbers, if they are numbers or lists of numbers of one length."""
    if any(isinstance(value, (str, bytes)) for value in array.flat):
        return array
    try:
        if len(array) and isinstance(array.flat[0], (list, tuple, np.ndarray)):
            return np.array([np.asarray(value) for value in array])
        return array.astype(np.float64)
    except (TypeError, ValueError):
        return array


def kind_of(array: np.ndarray) -> str:
    """What an array that holds no numbers holds, in a word."""
    if array.dtype.kind in KINDS:
        return KINDS[array.dtype.kind]
    first = next((value for value in array.flat if value is not None), None)
    return "strings" if isinstance(first, (str, bytes)) else "nothing" if first is None else f"objects, such as {type(first).__name__}"
