# SPDX-License-Identifier: Apache-2.0
"""Draws whose width follows the shape of the kernel: VarianceScaling and the Glorot, He and Lecun families. Start at VarianceScaling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.core.op import normalize_axes
from nyala.initializers.initializer import RandomInitializer
from nyala.initializers.random import normal, truncated_normal, uniform

MODES = ("fan_in", "fan_out", "fan_avg")
DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")
TRUNCATED_DEVIATION = 0.87962566103423978  # of a unit normal cut at two deviations


def compute_fans(shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None) -> tuple[int, int]:
    """(inputs, outputs) that one unit of a kernel of this shape joins.

    Without axes the last two are input and output channels, and those before them a window that multiplies both;
    a vector counts twice, a scalar as 1.

    >>> compute_fans((5, 7)), compute_fans((3, 3, 5, 7)), compute_fans((5, 2, 7), [0], [1, 2])
    ((5, 7), (45, 63), (5, 14))
    """
    if input_axes is not None and output_axes is not None:
        inputs, outputs = normalize_axes(input_axes, len(shape), "input_axes"), normalize_axes(output_axes, len(shape), "output_axes")
        return math.prod(shape[i] for i in inputs), math.prod(shape[i] for i in outputs)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


class VarianceScaling(RandomInitializer):
    """Draws with mean 0 and variance scale / n, where n is the number of inputs or outputs of a unit, or their mean; at least 1.

    Args:
        scale: above 0.
        mode: "fan_in", "fan_out" or "fan_avg": what n is.
        distribution: "truncated_normal" (or "normal"; cut at two deviations, the variance of what is left set right),
            "untruncated_normal" or "uniform".
        seed: see RandomInitializer.
        input_axes, output_axes: which axes of the shape are inputs and outputs; both or none.
    Source: Glorot, Bengio 2010, Understanding the difficulty of training deep feedforward neural networks;
        He et al. 2015, Delving deep into rectifiers.

    >>> VarianceScaling(2.0, seed=3)((5000, 3)).var().round(5).item()  # 2 / 5000
    0.0004
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        if not scale > 0:
            raise ArgumentError("VarianceScaling(scale)", need="a number above 0", got=repr(scale))
        if mode not in MODES:
            raise ArgumentError("VarianceScaling(mode)", need=f"one of {MODES}", got=repr(mode))
        distribution = "truncated_normal" if distribution == "normal" else distribution
        if distribution not in DISTRIBUTIONS:
            raise ArgumentError("VarianceScaling(distribution)", need=f"one of {DISTRIBUTIONS}", got=repr(distribution))
        self.scale, self.mode, self.distribution, self.input_axes, self.output_axes = scale, mode, distribution, input_axes, output_axes

    def values(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        inputs, outputs = compute_fans(shape, self.input_axes, self.output_axes)
        n = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        deviation = math.sqrt(self.scale / max(1.0, n))
        generator = self.generator(dtype)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * deviation
            return uniform(generator, shape, -limit, limit, dtype)
        if self.distribution == "untruncated_normal":
            return normal(generator, shape, 0.0, deviation, dtype)
        return truncated_normal(generator, shape, 0.0, deviation / TRUNCATED_DEVIATION, dtype)


class _Named(VarianceScaling):
    """A member of the family with fixed settings (scale, mode, distribution)."""

    settings: tuple[float, str, str]

    def __init__(self, seed: Any = None, input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None) -> None:
        super().__init__(*self.settings, seed, input_axes, output_axes)


class GlorotUniform(_Named):
    """Uniform draws in +-sqrt(6 / (inputs + outputs)), after Glorot and Bengio 2010, also named Xavier; the default of most layers."""

    settings = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Named):
    """Truncated normal draws with variance 2 / (inputs + outputs), after Glorot and Bengio 2010, also named Xavier."""

    settings = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Named):
    """Uniform draws in +-sqrt(6 / inputs), after He et al. 2015; for units with relu."""

    settings = (2.0, "fan_in", "uniform")


class HeNormal(_Named):
    """Truncated normal draws with variance 2 / inputs, after He et al. 2015; for units with relu."""

    settings = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Named):
    """Uniform draws in +-sqrt(3 / inputs), after LeCun et al. 1998, Efficient backprop."""

    settings = (1.0, "fan_in", "uniform")


class LecunNormal(_Named):
    """Truncated normal draws with variance 1 / inputs, after LeCun et al. 1998, Efficient backprop; for units with selu."""

    settings = (1.0, "fan_in", "truncated_normal")
