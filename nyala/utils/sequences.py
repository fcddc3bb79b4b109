# SPDX-License-Identifier: Apache-2.0
"""pad_sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError


def pad_sequences(
    sequences: Sequence, maxlen: int | None = None, dtype: Any = "int32", padding: str = "pre", truncating: str = "pre", value: Any = 0.0
) -> np.ndarray:
    """Sequences of different lengths as one array.

    Args:
        sequences: lists or arrays (length, ...).
        maxlen: length of the rows; that of the longest by default.
        dtype: of the array.
        padding, truncating: "pre" or "post": on which side values are added or cut.
        value: added.
    Returns: array (number, maxlen, ...).

    >>> pad_sequences([[1], [2, 3]])
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    if not hasattr(sequences, "__len__"):
        raise ArgumentTypeError("pad_sequences(sequences)", need="a list of sequences", got=type(sequences).__name__)
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ArgumentError(f"pad_sequences({name})", need="'pre' or 'post'", got=repr(side))
    for i, row in enumerate(sequences):
        if not hasattr(row, "__len__"):
            raise ArgumentTypeError(f"pad_sequences(sequences[{i}])", need="a sequence", got=repr(row))
    length = max((len(row) for row in sequences), default=0) if maxlen is None else maxlen
    inner = next((np.asarray(row).shape[1:] for row in sequences if len(row)), ())
    if isinstance(value, str) and np.dtype(dtype).kind not in "OU":
        raise ArgumentError("pad_sequences(dtype)", need="dtype=object for a string as value", got=repr(dtype))
    result = np.full((len(sequences), length, *inner), value, dtype=dtype)
    for i, row in enumerate(sequences):
        kept = np.asarray(row[-length:] if truncating == "pre" and length else row[:length], dtype=dtype)
        if not len(kept):
            continue
        if kept.shape[1:] != inner:
            raise ShapeError(f"pad_sequences(sequences[{i}])", need=f"elements of shape {inner}", got=f"{kept.shape[1:]}")
        if padding == "post":
            result[i, : len(kept)] = kept
        else:
            result[i, -len(kept) :] = kept
    return result
