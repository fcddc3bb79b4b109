# SPDX-License-Identifier: Apache-2.0
"""Values without chance: Zeros, Ones, Constant, Identity."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ShapeError
from nyala.core.variable import Variable
from nyala.engines import current
from nyala.initializers.initializer import Initializer


class Zeros(Initializer):
    """0 everywhere."""

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.zeros(shape, dtypes.numpy_dtype(dtype))


class Ones(Initializer):
    """1 everywhere."""

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return np.ones(shape, dtypes.numpy_dtype(dtype))


class Constant(Initializer):
    """One value everywhere, or given values.

    Args:
        value: a number, or an array that broadcasts to the shape asked for.

    >>> import nyala
    >>> nyala.Variable(Constant([1.0, 2.0]), shape=(2, 2)).numpy()
    array([[1., 2.],
           [1., 2.]], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        if isinstance(value, Variable):
            value = value.numpy()
        elif current().is_tensor(value):
            value = current().to_numpy(value)
        self.value = value

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        value = np.asarray(self.value)
        if value.ndim > len(shape) or any(a not in (1, b) for a, b in zip(value.shape[::-1], shape[::-1], strict=False)):
            raise ShapeError(
                "Constant", need=f"a value that broadcasts to {shape}", got=f"shape {value.shape}", why="that is the shape of the weight"
            )
        return np.broadcast_to(value, shape)


class Identity(Initializer):
    """gain on the diagonal of a matrix, 0 elsewhere; the matrix need not be square.

    Differs: Keras leaves gain out of the config and loses it; here a gain other than 1 is kept.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) != 2:
            raise ShapeError(
                "Identity",
                need="a shape of two axes",
                got=f"{shape}",
                why="only a matrix has a diagonal",
                fix="use Orthogonal for kernels of more axes",
            )
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        return {} if self.gain == 1 else {"gain": self.gain}
