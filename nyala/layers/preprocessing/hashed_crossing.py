# SPDX-License-Identifier: Apache-2.0
"""HashedCrossing: one bucket for the values of several features together."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count
from nyala.layers.preprocessing.fingerprint import Wide, cross, fingerprints_of_bytes
from nyala.layers.preprocessing.host import (
    HostLayer,
    as_array,
    as_bytes,
    as_mode,
    as_result,
    check_sparse,
    encode,
    encode_on_host,
    is_native,
    is_text,
)


class HashedCrossing(HostLayer):
    """The fingerprints of two or more features, mixed in order, modulo num_bins.

    Args:
        num_bins: number of buckets.
        output_mode: "int" the bucket, or "one_hot" a row.
        sparse: results are dense either way.

    Inputs are integers or strings, of shape (b,) or (b, 1); in a model, integers.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.HashedCrossing(10)((["a", "b"], [1, 2]))).tolist()
    [5, 7]
    """

    def __init__(
        self, num_bins: int, output_mode: str = "int", sparse: bool = False, name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        num_bins = as_count("HashedCrossing(num_bins)", num_bins)
        as_mode("HashedCrossing", output_mode, ("int", "one_hot"))
        super().__init__(name=name, dtype="int64" if dtype is None and output_mode == "int" else dtype, **kwargs)
        self.num_bins, self.output_mode = num_bins, output_mode
        self.sparse = check_sparse("HashedCrossing", sparse, output_mode)
        self.autocast = False

    def _belongs_on_host(self, inputs: Any) -> bool:
        return not all(map(is_native, tree.flatten(inputs)))

    def call_on_host(self, inputs: Any) -> Tensor:
        features = [as_array(value, self.where) for value in self._several(inputs)]
        self._check([feature.shape for feature in features])
        words = []
        for feature in features:
            if is_text(feature):
                words.append(fingerprints_of_bytes(as_bytes(feature, "utf-8", self.where)))
            elif feature.dtype.kind in "biu" or not feature.size:
                words.append(feature.ravel().astype(np.int64).astype(np.uint64))
            else:
                raise self._no_category(f"an array of {feature.dtype}")
        ids = (cross(words) % np.uint64(self.num_bins)).astype(np.int64).reshape(features[0].shape)
        return as_result(encode_on_host(ids, self.output_mode, self.num_bins), self.result_dtype)

    def call(self, inputs: Any) -> Tensor:
        features = self._several(inputs)
        self._check([tuple(feature.shape) for feature in features])
        if self.num_bins >= 2**31:
            raise ArgumentError(self.where, need="fewer than 2**31 bins in a model", got=f"{self.num_bins}", fix="call it in front of the model")
        for feature in features:
            if dtypes.is_float(dtypes.standardize_dtype(feature.dtype)):
                raise self._no_category(dtypes.standardize_dtype(feature.dtype))
        ids = cross([Wide.of(feature) for feature in features]) % self.num_bins
        return ops.cast(encode(ids, self.output_mode, self.num_bins, self.compute_dtype), self.result_dtype)

    def _several(self, inputs: Any) -> list:
        if not isinstance(inputs, (list, tuple)) or len(inputs) < 2:
            got = f"{len(inputs)}" if isinstance(inputs, (list, tuple)) else type(inputs).__name__
            raise ArgumentError(self.where, need="a tuple of at least two features", got=got)
        return list(inputs)

    def _check(self, shapes: list[tuple]) -> None:
        if len(set(shapes)) > 1 or len(shapes[0]) > 2 or (len(shapes[0]) == 2 and shapes[0][1] != 1):
            raise ShapeError(self.where, need="features of one shape, (b,) or (b, 1)", got=" and ".join(map(str, shapes)))

    def _no_category(self, got: str) -> ArgumentTypeError:
        return ArgumentTypeError(self.where, need="strings or integers", got=got, fix="put floats into bins first, with Discretization")

    def get_config(self) -> dict[str, Any]:
        config = {key: value for key, value in super().get_config().items() if key not in ("trainable", "activity_regularizer")}
        return {**config, "dtype": self.dtype_policy.name}
