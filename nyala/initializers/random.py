# SPDX-License-Identifier: Apache-2.0
"""Draws of a fixed width: RandomNormal, RandomUniform, TruncatedNormal, Orthogonal."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala.core.errors import ShapeError
from nyala.initializers.initializer import RandomInitializer, drawing_dtype


def normal(generator: np.random.Generator, shape: tuple[int, ...], mean: float, stddev: float, dtype: str) -> np.ndarray:
    """Normal draws."""
    return generator.standard_normal(shape, dtype=drawing_dtype(dtype)) * stddev + mean


def uniform(generator: np.random.Generator, shape: tuple[int, ...], low: float, high: float, dtype: str) -> np.ndarray:
    """Uniform draws from [low, high)."""
    return generator.random(shape, dtype=drawing_dtype(dtype)) * (high - low) + low


def truncated_normal(generator: np.random.Generator, shape: tuple[int, ...], mean: float, stddev: float, dtype: str) -> np.ndarray:
    """Normal draws, those beyond two deviations drawn again (one in 22, so a few rounds)."""
    draws = generator.standard_normal(math.prod(shape), dtype=drawing_dtype(dtype))
    outside = np.flatnonzero(np.abs(draws) > 2)
    while outside.size:
        draws[outside] = generator.standard_normal(outside.size, dtype=draws.dtype)
        outside = outside[np.abs(draws[outside]) > 2]
    return draws.reshape(shape) * stddev + mean


class RandomNormal(RandomInitializer):
    """Draws from a normal distribution.

    Args:
        mean, stddev: of the distribution.
        seed: see RandomInitializer.

    >>> RandomNormal(stddev=2.0, seed=3)((101, 101)).std().round(1).item()
    2.0
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return normal(self.generator(dtype), shape, self.mean, self.stddev, dtype)


class TruncatedNormal(RandomInitializer):
    """Draws from a normal distribution, those beyond two standard deviations drawn again: the deviation of what is left is 0.88 stddev.

    Args:
        mean, stddev: of the distribution before it is cut.
        seed: see RandomInitializer.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return truncated_normal(self.generator(dtype), shape, self.mean, self.stddev, dtype)


class RandomUniform(RandomInitializer):
    """Draws from [minval, maxval), all values alike.

    Args:
        minval, maxval: the bounds.
        seed: see RandomInitializer.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        return uniform(self.generator(dtype), shape, self.minval, self.maxval, dtype)


class Orthogonal(RandomInitializer):
    """gain times a random matrix with orthonormal columns, or rows if it is wider than tall; leading axes are taken together as rows.

    Args:
        gain: factor.
        seed: see RandomInitializer.
    Source: Saxe, McClelland, Ganguli 2013, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks;
        Mezzadri 2007, How to generate random matrices from the classical compact groups (the signs).

    >>> import nyala
    >>> q = nyala.Variable(Orthogonal(seed=1), shape=(3, 2)).numpy()
    >>> (q.T @ q).round(4) + 0.0
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        if len(shape) < 2:
            raise ShapeError(
                "Orthogonal", need="a shape of two or more axes", got=f"{shape}", why="it makes the rows or columns of a matrix orthogonal"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        draws = normal(self.generator(dtype), (max(rows, columns), min(rows, columns)), 0.0, 1.0, dtype)
        q, r = np.linalg.qr(draws)
        q *= np.where(np.diagonal(r) < 0, -1, 1)  # a factorization with positive diagonal is unique, so that q is drawn evenly
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
