# SPDX-License-Identifier: Apache-2.0
"""Hashing: strings and integers as numbers of buckets, without a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count, is_int
from nyala.layers.preprocessing.fingerprint import buckets_of_bytes, buckets_of_integers
from nyala.layers.preprocessing.host import HostLayer, as_array, as_bytes, as_mode, as_result, check_sparse, encode, encode_on_host, is_text


class Hashing(HostLayer):
    """fingerprint(x) modulo num_bins, the same in every run, on every machine and engine, and in Keras.

    Args:
        num_bins: number of buckets.
        mask_value: this value, and no other, goes to bucket 0.
        salt: one integer, or two: the key of SipHash; without it, the hash is FarmHash, which anyone can foresee.
        output_mode: "int" the bucket; "one_hot" a row per value; "multi_hot" and "count" a row for all values along the last axis.
        sparse: results are dense either way.

    Integers are hashed as their decimal digits; in a model, too. Strings are hashed on the host, in front of the model.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Hashing(10)([["a"], ["b"]])).tolist()
    [[9], [2]]
    """

    def __init__(
        self,
        num_bins: int,
        mask_value: Any = None,
        salt: int | Sequence[int] | None = None,
        output_mode: str = "int",
        sparse: bool = False,
        **kwargs: Any,
    ) -> None:
        num_bins = as_count("Hashing(num_bins)", num_bins)
        as_mode("Hashing", output_mode)
        salt = as_salt("Hashing(salt)", salt)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = "int64" if output_mode == "int" else None
        super().__init__(**kwargs)
        self.num_bins, self.mask_value, self.salt = num_bins, mask_value, salt
        self.output_mode, self.sparse = output_mode, check_sparse("Hashing", sparse, output_mode)
        self.autocast = False  # numbers given as floats must not be rounded

    @property
    def _free_bins(self) -> int:
        """Buckets for values that are not mask_value."""
        return max(self.num_bins - (self.mask_value is not None), 1)

    def call_on_host(self, inputs: Any) -> Tensor:
        values = as_array(inputs, self.where)
        if is_text(values):
            texts = as_bytes(values, "utf-8", self.where)
        elif values.dtype.kind in "biuf":
            texts = [b"%d" % n for n in values.astype(np.int64).ravel().tolist()]
        elif values.size:
            raise ArgumentTypeError(self.where, need="strings or integers", got=f"an array of {values.dtype}")
        else:
            texts = []
        ids = buckets_of_bytes(texts, self._free_bins, self.salt)
        if self.mask_value is not None and self.num_bins > 1:
            mask = str(self.mask_value).encode()
            ids = np.where([text == mask for text in texts], 0, ids + 1)
        ids = ids.reshape(values.shape)
        return as_result(encode_on_host(ids, self.output_mode, self.num_bins), self.result_dtype)

    def call(self, inputs: Tensor) -> Tensor:
        if self.num_bins >= 2**31:
            raise ArgumentError(self.where, need="fewer than 2**31 bins in a model", got=f"{self.num_bins}", fix="call it in front of the model")
        values = inputs if dtypes.is_integer(dtypes.standardize_dtype(inputs.dtype)) else ops.cast(inputs, "int32")
        ids = buckets_of_integers(values, self._free_bins, self.salt)
        if self.mask_value is not None and self.num_bins > 1:
            ids = ops.where(ops.equal(values, self.mask_value), ops.zeros_like(ids), ops.add(ids, 1))
        return ops.cast(encode(ids, self.output_mode, self.num_bins, self.compute_dtype), self.result_dtype)


def as_salt(where: str, salt: Any) -> list[int] | None:
    """The key of SipHash, two integers; one counts twice."""
    pair = [salt, salt] if is_int(salt) else list(salt) if isinstance(salt, (list, tuple)) else salt
    if pair is not None and not (isinstance(pair, list) and len(pair) == 2 and all(map(is_int, pair))):
        raise ArgumentError(where, need="an integer, two, or None", got=repr(salt))
    return pair
