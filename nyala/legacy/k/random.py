# SPDX-License-Identifier: Apache-2.0
"""Random tensors and variables of `keras.backend`."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala import random
from nyala.core.dtypes import is_integer, standardize_dtype
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None, *, std: float | None = None) -> Tensor:
    return random.normal(tuple(shape), mean, stddev if std is None else std, dtype=dtype, seed=seed)


def random_uniform(
    shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None, *, low: float | None = None, high: float | None = None
) -> Tensor:
    draw = random.randint if dtype is not None and is_integer(standardize_dtype(dtype)) else random.uniform
    return draw(tuple(shape), minval if low is None else low, maxval if high is None else high, dtype=dtype, seed=seed)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Tensor:
    return random.truncated_normal(tuple(shape), mean, stddev, dtype=dtype, seed=seed)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Tensor:
    """1 with probability p, else 0.

    >>> random_binomial((3,), p=1.0).tolist()
    [1.0, 1.0, 1.0]
    """
    from nyala import ops
    from nyala.core.config import floatx

    return ops.cast(ops.less(random.uniform(tuple(shape), seed=seed), p), dtype or floatx())


random_bernoulli = random_binomial


def random_normal_variable(shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: Any = None) -> Variable:
    """A variable of normal draws."""
    from nyala import initializers

    return Variable(initializers.RandomNormal(mean, scale, seed=seed), tuple(shape), dtype, name=name)


def random_uniform_variable(shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: Any = None) -> Variable:
    """A variable of uniform draws."""
    from nyala import initializers

    return Variable(initializers.RandomUniform(low, high, seed=seed), tuple(shape), dtype, name=name)


def dropout(x: Tensor, level: float, noise_shape: Any = None, seed: Any = None) -> Tensor:
    """x with a part set to 0 and the rest made larger, whether the model trains or not."""
    return random.dropout(x, level, noise_shape=noise_shape, seed=seed if seed is not None else int(np.random.randint(2**31)))
