# SPDX-License-Identifier: Apache-2.0
"""What users pass to fit, evaluate and predict, as batches: arrays that can be put on the device whole, or a stream of batches.

Start at as_data. A batch is a tuple (x,), (x, y) or (x, y, sample_weight) of trees of arrays, as train_step gets it; see Alone for x that came alone.

| file | holds |
|---|---|
| `conversion.py`, `tables.py`, `lazy.py`, `ragged.py` | numbers of every kind as arrays |
| `parts.py` | x, y and weights of a batch; weights of classes |
| `array_data.py`, `streams.py`, `base.py` | epochs of batches, and where training stands in them |
| `sources.py`, `workers.py`, `worker_process.py`, `prefetch.py` | reading streams: in what way, by whom, ahead of time |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.variable import Variable
from nyala.training.data.array_data import ArrayData
from nyala.training.data.array_data import split_validation as _split_validation
from nyala.training.data.base import Data
from nyala.training.data.conversion import as_array, as_arrays
from nyala.training.data.lazy import LazyRows, as_lazy, is_table_of_rows, parts_of_table
from nyala.training.data.parts import Alone, as_given, class_weights, number_of_rows, pack_x_y_sample_weight, unpack_x_y_sample_weight, weighted
from nyala.training.data.prefetch import closing
from nyala.training.data.ragged import Padded, masked, with_masks
from nyala.training.data.sources import Workers
from nyala.training.data.streams import StreamData
from nyala.training.data.tables import is_query

__all__ = [
    "Alone",
    "ArrayData",
    "Data",
    "LazyRows",
    "Padded",
    "StreamData",
    "Workers",
    "as_array",
    "as_arrays",
    "as_data",
    "as_given",
    "class_weights",
    "closing",
    "is_stream",
    "masked",
    "number_of_rows",
    "pack_x_y_sample_weight",
    "split_validation",
    "unpack_x_y_sample_weight",
    "weighted",
    "with_masks",
]


def is_stream(x: Any) -> bool:
    """Whether x gives batches rather than being data."""
    if isinstance(x, (np.ndarray, Variable, Mapping, list, tuple, str, LazyRows)) or x is None or is_query(x):
        return False
    if hasattr(x, "shape") or hasattr(x, "columns") or is_table_of_rows(x) or as_lazy(x) is not None:
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and (hasattr(x, "__len__") or hasattr(x, "num_batches")))


def as_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: Any = None,
    where: str = "fit",
    workers: Workers | None = None,
) -> ArrayData | StreamData:
    """Whatever a user passed, as ArrayData or StreamData."""
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        name = {"fit": "fit(steps_per_epoch)", "fit(validation_data)": "fit(validation_steps)"}.get(where, f"{where}(steps)")
        raise ArgumentError(name, need="an integer of at least 1, or None", got=repr(steps))
    if is_stream(x) or (is_table_of_rows(x) and y is None):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ArgumentError(
                    f"{where}({name})",
                    need="None beside an iterable of batches",
                    got=type(value).__name__,
                    fix="let the iterable give (x, y, sample_weight)",
                )
        if not is_table_of_rows(x):
            return StreamData(x, steps, class_weight, shuffle, where, batch_size, workers)
    x, y = _rows_of_table(x, y, where)
    if x is None:
        raise ArgumentTypeError(f"{where}(x)", need="data", got="None")
    return ArrayData(x, y, sample_weight, batch_size, shuffle, steps, class_weight, where)


def _rows_of_table(x: Any, y: Any, where: str) -> tuple[Any, Any]:
    """(x, y) where x may be a data set of rows, which brings its y along."""
    if not is_table_of_rows(x):
        return x, y
    inputs, targets = parts_of_table(x)
    return inputs, None if where == "predict" else targets if y is None else y


def split_validation(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[tuple, tuple]:
    """Cut the last share of the samples off for validation, before any shuffling: ((x, y, w), (x, y, w))."""
    if isinstance(share, (int, float)) and 0 < share < 1 and is_stream(x):
        raise ArgumentError("fit(validation_split)", need="arrays", got=f"an iterable ({type(x).__name__})", fix="pass validation_data")
    return _split_validation(*_rows_of_table(x, y, "fit"), sample_weight, share)
