# SPDX-License-Identifier: Apache-2.0
"""Labels and rows: to_categorical, normalize."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.core.symbolic import Symbolic
from nyala.engines import current


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class ids as one-hot rows.

    Args:
        x: integers from 0, any shape; a last axis of 1 goes.
        num_classes: length of the rows; the largest id + 1 by default.
    Returns: float array of shape (*x.shape, num_classes); a tensor for a tensor.
    Raises: ArgumentError for an id outside [0, num_classes).

    >>> to_categorical([0, 2], num_classes=3)
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    if isinstance(x, Symbolic) or (current().is_tensor(x) and not isinstance(x, np.ndarray)):
        from nyala import ops

        if num_classes is None:
            num_classes = int(current().to_numpy(x).max()) + 1
        x = ops.squeeze(x, -1) if len(x.shape) > 1 and x.shape[-1] == 1 else x
        return ops.one_hot(x, num_classes)
    ids = np.asarray(x)
    whole = ids.astype(np.int64)
    if ids.dtype.kind not in "iub" and not np.array_equal(whole, ids):
        raise ArgumentError(
            "to_categorical(x)", need="whole numbers", got=f"values like {ids.ravel()[np.flatnonzero(whole.ravel() != ids.ravel())[0]]}"
        )
    if whole.ndim > 1 and whole.shape[-1] == 1:
        whole = whole[..., 0]
    count = int(num_classes) if num_classes else int(whole.max(initial=-1)) + 1
    if whole.size and (whole.min() < 0 or whole.max() >= count):
        raise ArgumentError(
            "to_categorical(x)",
            need=f"class ids from 0 to {count - 1}",
            got=f"{int(whole.min())} to {int(whole.max())}",
            fix="raise num_classes, or number the classes from 0",
        )
    result = np.zeros((whole.size, count))
    result[np.arange(whole.size), whole.ravel()] = 1
    return result.reshape((*whole.shape, count))


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """Rows divided by their norm; rows of zeros stay.

    Args:
        x: array or tensor of numbers, or a list of them. A NumPy array of one axis becomes a row, as in Keras; all else keeps its shape.
        axis: along which the norm is taken.
        order: of the norm, 2 is Euclidean.

    >>> normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ArgumentError("normalize(axis)", need="one axis, an integer", got=repr(axis), fix="divide by the norm of all: x / np.linalg.norm(x)")
    if isinstance(x, (np.ndarray, list, tuple)):
        rows = np.asarray(x)
        norm = np.atleast_1d(np.linalg.norm(rows, order, axis))
        norm[norm == 0] = 1
        result = rows / np.expand_dims(norm, axis)
        return result if isinstance(x, np.ndarray) else result.reshape(rows.shape)
    from nyala import ops

    return ops.normalize(x, axis=axis, order=order)
