# SPDX-License-Identifier: Apache-2.0
"""IntegerLookup: any integers as indices from 0, and back; also in the steps of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError
from nyala.engines import current
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice
from nyala.layers.preprocessing.fingerprint import buckets_of_bytes, buckets_of_integers
from nyala.layers.preprocessing.hashing import as_salt
from nyala.layers.preprocessing.lookup import Lookup


class IntegerLookup(Lookup):
    """The index of each integer in a vocabulary, or a row that says which integers there are.

    Args:
        oov_token: what unknown integers are called.
        vocabulary_dtype: "int64".
        oov_method: how unknown integers are spread among several indices: "floormod" by their remainder, "farmhash" by their hash.
        salt: with "farmhash", as in Hashing.
        all others: as StringLookup.

    In a step of a model unknown integers with num_oov_indices=0 have index -1, and no place in rows; on the host they are refused.
    Differs from Keras: rows are float32, as Keras declares them, not int64.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.IntegerLookup(vocabulary=[12, 36])([[36, 7]])).tolist()
    [[2, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Any = None,
        vocabulary_dtype: str = "int64",
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        as_choice("IntegerLookup(vocabulary_dtype)", vocabulary_dtype, ("int64",))
        as_choice("IntegerLookup(oov_method)", oov_method, ("floormod", "farmhash"))
        if salt is not None and oov_method == "floormod":
            raise ArgumentError("IntegerLookup(salt)", need="oov_method='farmhash'", got="oov_method='floormod'", why="remainders take no salt")
        self.vocabulary_dtype, self.oov_method, self.salt = vocabulary_dtype, oov_method, as_salt("IntegerLookup(salt)", salt)
        super().__init__(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
            sparse,
            name=name,
            **kwargs,
        )

    def tokens_of(self, array: np.ndarray) -> list[int]:
        if array.size and array.dtype.kind not in "biuf":
            raise ArgumentTypeError(self.where, need="integers", got=f"an array of {array.dtype}", fix="use StringLookup for strings")
        return array.astype(np.int64).ravel().tolist()

    def key_of(self, token: Any) -> int:
        return int(token)

    def token_of(self, key: int) -> int:
        return key

    def hashed(self, keys: list[int]) -> np.ndarray:
        if self.oov_method == "floormod":
            return np.array(keys, np.int64) % self.num_oov_indices
        return buckets_of_bytes([b"%d" % key for key in keys], self.num_oov_indices, self.salt)

    def call(self, inputs: Tensor) -> Tensor:
        values = inputs if dtypes.is_integer(dtypes.standardize_dtype(inputs.dtype)) else ops.cast(inputs, "int32")
        if not self._ready and current().abstract and self._declared_size is not None:  # a file is read, and its vocabulary comes later
            return ops.cast(values, "int64") if self.invert else self._on_tensors(ops.cast(values, "int64"))
        if not self._ready:
            raise StateError(self.where, need="a vocabulary", got="none yet", fix="call adapt(data) first, or pass vocabulary")
        if self.invert:
            return self._invert(values)
        kind = dtypes.numpy_dtype(dtypes.standardize_dtype(values.dtype))
        limits = np.iinfo(kind)
        entries = sorted((key, index) for key, index in self._words.table.items() if limits.min <= key <= limits.max)
        keys, indices = (np.array(column, kind) for column, kind in zip(zip(*entries, strict=True), (kind, np.int32), strict=True))
        places = ops.minimum(ops.searchsorted(keys, values), len(keys) - 1)
        found = ops.equal(ops.take(keys, places), values)
        return self._on_tensors(ops.cast(ops.where(found, ops.take(indices, places), self._unknown(values)), "int64"))

    def _unknown(self, values: Tensor) -> Tensor | int:
        """Indices for integers that are not in the vocabulary."""
        if self.num_oov_indices < 2:
            return self._first_unknown if self.num_oov_indices else -1
        if self.oov_method == "floormod":
            spread = ops.mod(values, self.num_oov_indices)
        else:
            spread = buckets_of_integers(values, self.num_oov_indices, self.salt)
        return ops.cast(ops.add(spread, self._first_unknown), "int32")

    def _invert(self, ids: Tensor) -> Tensor:
        vocabulary = np.array([*self.get_vocabulary(), self.oov_token], np.int64)
        last = len(vocabulary) - 1
        known = ops.logical_and(ops.greater_equal(ids, 0), ops.less(ids, last))
        return ops.take(vocabulary, ops.where(known, ids, last))
