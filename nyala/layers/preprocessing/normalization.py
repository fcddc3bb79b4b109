# SPDX-License-Identifier: Apache-2.0
"""Normalization: mean 0 and variance 1, as the data says. Start at Normalization.adapt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import config
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError
from nyala.core.op import normalize_axes
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer
from nyala.layers.preprocessing.host import as_array, batches


class Normalization(Layer):
    """(x - mean) / sqrt(variance), with the mean and variance of the data that adapt saw, or with given ones.

    Args:
        axis: one or several that keep a mean of their own at each place; None for one mean of all.
        mean, variance: numbers, or arrays that broadcast to the kept axes; then there is nothing to adapt.
        invert: whether to compute x * sqrt(variance) + mean instead.

    adapt reads arrays, lists or an iterable of batches; means are merged in float64, so that it does not matter how the data was cut.
    Where the variance is 0 the deviation counts as epsilon.
    Source: Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm for computing sample variances.

    >>> import nyala
    >>> layer = nyala.layers.Normalization()
    >>> layer.adapt([[0.0, 1.0], [4.0, 1.5]])
    >>> nyala.ops.convert_to_numpy(layer([[4.0, 1.0]])).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, axis: int | Sequence[int] | None = -1, mean: Any = None, variance: Any = None, invert: bool = False, **kwargs: Any) -> None:
        axes = () if axis is None else (axis,) if is_int(axis) else axis
        if not isinstance(axes, (list, tuple)) or not all(map(is_int, axes)):
            raise ArgumentError("Normalization(axis)", need="an integer, several, or None", got=repr(axis))
        if (mean is None) != (variance is None):
            missing = "variance" if variance is None else "mean"
            raise ArgumentError("Normalization", need="both mean and variance, or neither", got=f"no {missing}", fix=f"pass {missing}, too")
        super().__init__(**kwargs)
        self.axis = tuple(int(n) for n in axes)
        self.input_mean, self.input_variance = _as_numbers("Normalization(mean)", mean), _as_numbers("Normalization(variance)", variance)
        self.invert = bool(invert)
        self.supports_masking = True
        self.reset_state()

    def build(self, input_shape: Any) -> None:
        where = f"Normalization {self.name!r}"
        kept = normalize_axes(self.axis, len(input_shape), f"{where} (axis)")
        shape = tuple(input_shape[axis] for axis in kept)
        if None in shape:
            raise ShapeError(
                where, need=f"known sizes of axis {self.axis}", got=f"shape {tuple(input_shape)}", why="there is one mean for each place there"
            )
        if self.input_mean is not None and self.input_variance is not None:
            for name, value in (("mean", self.input_mean), ("variance", self.input_variance)):
                if value.ndim > len(shape) or any(n not in (1, m) for n, m in zip(reversed(value.shape), reversed(shape), strict=False)):
                    raise ShapeError(f"{where} ({name})", need=f"a shape that broadcasts to {shape}", got=f"{value.shape}")
            self._statistics = tuple(np.broadcast_to(value, shape) for value in (self.input_mean, self.input_variance))
        else:
            self.adapt_mean = self.add_weight(name="mean", shape=shape, initializer="zeros", trainable=False)
            self.adapt_variance = self.add_weight(name="variance", shape=shape, initializer="ones", trainable=False)
            self.count = self.add_weight(name="count", shape=(), initializer="zeros", dtype="int32", trainable=False)
            self._statistics = (self.adapt_mean, self.adapt_variance)
        self.input_spec = InputSpec(axes={axis - len(input_shape): input_shape[axis] for axis in kept})
        self._broadcast_shape = tuple(n if axis in kept else 1 for axis, n in enumerate(input_shape))

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data: an array, a list, a column, or an iterable of batches."""
        self.reset_state()
        for batch in batches(data, None, f"Normalization {self.name!r}.adapt"):
            self.update_state(batch)
        if self._total is None:
            raise ArgumentError(f"Normalization {self.name!r}.adapt(data)", need="at least one sample", got="none")
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add one batch to the data that finalize_state looks at."""
        where = f"Normalization {self.name!r}.adapt"
        if self.input_mean is not None:
            raise StateError(where, need="a layer that learns its mean", got="one with a given mean and variance", fix="leave mean and variance out")
        batch = as_array(data, where)
        if batch.dtype.kind not in "biuf":
            raise ArgumentTypeError(f"{where}(data)", need="numbers", got=f"an array of {batch.dtype}")
        kept = normalize_axes(self.axis, batch.ndim, f"{where} (axis)")
        if not self.built:
            self.build(batch.shape if 0 in kept else (None, *batch.shape[1:]))
        if tuple(batch.shape[axis] for axis in kept) != self.adapt_mean.shape:
            raise ShapeError(where, need=f"sizes {self.adapt_mean.shape} along axis {self.axis}", got=f"shape {batch.shape}")
        if batch.size:
            self._total = _merged(self._total, batch, tuple(axis for axis in range(batch.ndim) if axis not in kept))

    def finalize_state(self) -> None:
        """Set mean and variance from the data added so far."""
        if self._total is not None:
            number, mean, squares = self._total
            self.adapt_mean.assign(mean)
            self.adapt_variance.assign(squares / number)

    def reset_state(self) -> None:
        """Forget the data added."""
        self._total: tuple[float, Any, Any] | None = None  # number, mean, sum of squared deviations

    @property
    def mean(self) -> np.ndarray | None:
        """The means, with axes of 1 so that they broadcast over inputs; None before there are any."""
        return ops.convert_to_numpy(self._statistics[0]).reshape(self._broadcast_shape) if self.built else None

    @property
    def variance(self) -> np.ndarray | None:
        """The variances, as mean."""
        return ops.convert_to_numpy(self._statistics[1]).reshape(self._broadcast_shape) if self.built else None

    def call(self, inputs: Tensor) -> Tensor:
        mean, variance = (ops.reshape(ops.cast(value, self.compute_dtype), self._broadcast_shape) for value in self._statistics)
        deviation = ops.maximum(ops.sqrt(variance), config.epsilon())
        x = ops.cast(inputs, self.compute_dtype)
        return ops.add(ops.multiply(x, deviation), mean) if self.invert else ops.divide(ops.subtract(x, mean), deviation)

    def get_config(self) -> dict[str, Any]:
        listed = lambda value: None if value is None else value.tolist()  # noqa: E731
        return {**super().get_config(), "mean": listed(self.input_mean), "variance": listed(self.input_variance)}


def _as_numbers(where: str, value: Any) -> np.ndarray | None:
    if value is None:
        return None
    try:
        return np.asarray(value, "float64")
    except (ValueError, TypeError):
        raise ArgumentError(where, need="numbers", got=repr(value)) from None


def _merged(total: tuple | None, batch: np.ndarray, axes: tuple[int, ...]) -> tuple[float, Any, Any]:
    """Number, mean and sum of squared deviations of what came before and a batch."""
    batch = batch.astype("float64")
    mean = batch.mean(axis=axes)
    number = batch.size / mean.size
    squares = np.square(batch - np.expand_dims(mean, axes)).sum(axis=axes)
    if total is None:
        return number, mean, squares
    both, shift = total[0] + number, mean - total[1]
    return both, total[1] + shift * (number / both), total[2] + squares + np.square(shift) * (total[0] * number / both)
