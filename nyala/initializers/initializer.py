# SPDX-License-Identifier: Apache-2.0
"""Initializer, the base; RandomInitializer, of those that draw. Values come from NumPy on the host, so that every engine starts with equal bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, DTypeError, missing_method
from nyala.core.seeds import SeedGenerator, draw_seed, host_generator
from nyala.engines import engine
from nyala.engines.protocol import Tensor


class Initializer(Configurable):
    """A function (shape, dtype) -> values. Subclasses write `values`, or `__call__` for values that an engine makes.

    >>> class Ramp(Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    >>> import nyala
    >>> nyala.Variable(Ramp(), shape=(2, 3)).numpy()[1]
    array([3., 4., 5.], dtype=float32)
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Values of this shape and dtype (floatx by default), as a tensor of the engine in force."""
        dtype = dtypes.standardize_dtype(dtype)
        values = np.asarray(self.values(tuple(shape), dtype))
        return engine.asarray(values.astype(dtypes.numpy_dtype(dtype), copy=False), dtype)

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """Values on the host, of any dtype that casts to `dtype`."""
        raise missing_method(self, "values(shape, dtype) or __call__(shape, dtype)")

    def clone(self) -> Any:
        """A new object of the same config: without a seed it draws another."""
        return type(self).from_config(self.get_config())


class RandomInitializer(Initializer):
    """Base of initializers that draw. Called twice, the same object gives the same values, unless its seed is a SeedGenerator.

    Args:
        seed: integer from 0; a SeedGenerator, from which each call takes the next key; None draws a seed here and now.
    """

    def __init__(self, seed: Any = None) -> None:
        if not (seed is None or isinstance(seed, SeedGenerator) or (isinstance(seed, (int, np.integer)) and seed >= 0)):
            raise ArgumentError(f"{type(self).__name__}(seed)", need="an integer from 0, a SeedGenerator, or None", got=repr(seed))
        self.seed: Any = seed
        self._drawn: Any = draw_seed() if seed is None else None

    def generator(self, dtype: str) -> np.random.Generator:
        """The source of this call's numbers. Raises DTypeError unless dtype is a real float."""
        if not dtypes.is_float(dtype):
            raise DTypeError(type(self).__name__, need="a float dtype", got=repr(dtype), why="it draws real numbers", fix="draw floats and cast them")
        if isinstance(self.seed, SeedGenerator):
            low, high = map(int, engine.to_numpy(self.seed.next()))
            return host_generator(low + (high << 32))
        return host_generator(self._drawn if self.seed is None else self.seed)


def drawing_dtype(dtype: str) -> type:
    """The dtype to draw in: 64 bits only if they are asked for, since they take twice the time."""
    return np.float64 if dtype == "float64" else np.float32
