# SPDX-License-Identifier: Apache-2.0
"""Discretization: numbers as the bins they fall into. Start there; Summary finds quantiles of a stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError, StateError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.layer import Layer
from nyala.layers.preprocessing.host import as_mode, batches, check_sparse, encode


class Discretization(Layer):
    """The number of boundaries that are at most x: 0 below the first, and one more from each boundary on.

    Args:
        bin_boundaries: ascending; n boundaries make n + 1 bins.
        num_bins: in place of boundaries: adapt finds those between which equally many values lie.
        epsilon: how far the ranks of adapted boundaries may be off, as a share of all values; they are exact up to a million values.
        output_mode: "int" the bin; "one_hot" a row per number; "multi_hot" and "count" a row for all numbers along the last axis.
        sparse: results are dense either way.
        dtype: of the result.

    Differs from Keras: adapted boundaries do not depend on how the data was cut into batches, and there are always num_bins - 1.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Discretization([0.0, 1.0])([[-1.0, 0.0, 5.0]])).tolist()
    [[0, 1, 2]]
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        as_mode("Discretization", output_mode)
        if bin_boundaries is None and num_bins is None:
            raise ArgumentError("Discretization", need="bin_boundaries or num_bins", got="neither")
        if bin_boundaries is not None:
            bin_boundaries = [float(edge) for edge in bin_boundaries]
            if bin_boundaries != sorted(bin_boundaries):
                raise ArgumentError("Discretization(bin_boundaries)", need="ascending numbers", got=f"{bin_boundaries}")
        else:
            num_bins = as_count("Discretization(num_bins)", num_bins)
        if not 0 < epsilon < 1:
            raise ArgumentError("Discretization(epsilon)", need="a number between 0 and 1", got=repr(epsilon))
        super().__init__(dtype=dtype, name=name, **kwargs)
        self.bin_boundaries, self.num_bins, self.epsilon = bin_boundaries, num_bins, epsilon
        self.output_mode, self.sparse = output_mode, check_sparse("Discretization", sparse, output_mode)
        self._learns = bin_boundaries is None
        self.reset_state()
        self.supports_masking = output_mode == "int"

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Find boundaries for the values of an array, a list, a column, or an iterable of batches, of which `steps` count."""
        self._check_learns()
        self.reset_state()
        for batch in batches(data, steps, f"Discretization {self.name!r}.adapt"):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Add values to those that finalize_state looks at."""
        self._check_learns()
        for batch in batches(data, None, f"Discretization {self.name!r}.update_state"):
            self._summary.add(batch)

    def finalize_state(self) -> None:
        """Set the boundaries from the values added so far."""
        if self._learns and self.num_bins and self._summary.size:
            self.bin_boundaries = self._summary.quantiles(self.num_bins)

    def reset_state(self) -> None:
        """Forget the values added."""
        self._summary = Summary()

    def _check_learns(self) -> None:
        if not self._learns:
            where = f"Discretization {self.name!r}.adapt"
            raise StateError(where, need="a layer made with num_bins", got="one with bin_boundaries", fix="leave bin_boundaries out")

    def call(self, inputs: Tensor) -> Tensor:
        if self.bin_boundaries is None:
            raise StateError(f"Discretization {self.name!r}", need="boundaries", got="none yet", fix="call adapt(data) first, or pass bin_boundaries")
        x = ops.cast(inputs, "float32") if not dtypes.is_float(dtypes.standardize_dtype(inputs.dtype)) else inputs
        ids = ops.digitize(x, ops.cast(np.asarray(self.bin_boundaries, "float64"), x.dtype))
        dtype = self.compute_dtype if self.output_mode != "int" or dtypes.is_integer(self.compute_dtype) else "int32"
        return ops.cast(encode(ids, self.output_mode, len(self.bin_boundaries) + 1, self.compute_dtype), dtype)

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in super().get_config().items() if key not in ("trainable", "activity_regularizer")}
        return {**config, "dtype": self.dtype_policy.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Layer:
        if config.get("bin_boundaries") is not None and config.get("num_bins") is not None:  # an adapted layer
            layer: Any = super().from_config({**config, "bin_boundaries": None})
            layer.bin_boundaries = list(config["bin_boundaries"])
            return layer
        return super().from_config(config)


class Summary:
    """Quantiles of a stream of numbers. Values are taken in equal portions, however they come, so that batches leave no trace.

    Beyond 2**20 values what is kept is halved to points of equal weight: off by a share of N / 2**40 of the ranks after N values.

    >>> summary = Summary()
    >>> summary.add(np.arange(10))
    >>> summary.quantiles(4)
    [1.5, 4.0, 6.5]
    """

    portion = 2**19

    def __init__(self) -> None:
        self.size = 0
        self._waiting: list[np.ndarray] = []
        self._values, self._weights = np.empty(0), np.empty(0)

    def add(self, values: Any) -> None:
        """Take more values, of any shape; nan is left out."""
        flat = np.asarray(values, "float64").ravel()
        flat = flat[~np.isnan(flat)]
        self.size += len(flat)
        self._waiting.append(flat)
        if sum(map(len, self._waiting)) >= self.portion:
            flat = np.concatenate(self._waiting)
            whole = len(flat) - len(flat) % self.portion
            for start in range(0, whole, self.portion):
                self._values, self._weights = self._halved(*self._with(flat[start : start + self.portion]))
            self._waiting = [flat[whole:]]

    def _with(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ascending values, and the weights summed up to each."""
        values = np.concatenate([self._values, flat])
        order = np.argsort(values, kind="stable")
        return values[order], np.concatenate([self._weights, np.ones(len(flat))])[order]

    def _halved(self, values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if len(values) <= 2 * self.portion:
            return values, weights
        total = weights.sum()
        middles = (np.arange(self.portion) + 0.5) * (total / self.portion)
        places = np.searchsorted(np.cumsum(weights), middles)
        return values[places], np.full(self.portion, total / self.portion)

    def quantiles(self, parts: int) -> list[float]:
        """The parts - 1 numbers that cut the values into parts of equal weight."""
        values, weights = self._with(np.concatenate(self._waiting) if self._waiting else np.empty(0))
        ranks = np.cumsum(weights) - (weights - 1) / 2  # of the middle of each
        return np.interp(np.arange(1, parts) * (weights.sum() / parts), ranks, values).tolist()
