# SPDX-License-Identifier: Apache-2.0
"""StringLookup: strings as indices, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentTypeError
from nyala.core.symbolic import Symbolic
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_encoding
from nyala.layers.preprocessing.fingerprint import buckets_of_bytes
from nyala.layers.preprocessing.hashing import as_salt
from nyala.layers.preprocessing.host import IN_FRONT, as_bytes, is_text
from nyala.layers.preprocessing.lookup import Lookup


class StringLookup(Lookup):
    """The index of each string in a vocabulary, or a row that says which strings there are.

    Args:
        max_tokens: bound of the vocabulary, with the tokens for masks and unknown strings.
        num_oov_indices: indices among which unknown strings are spread by their hash; 0: unknown strings are refused.
        mask_token: string with index 0, which rows leave out; None for none.
        oov_token: what unknown strings are called.
        vocabulary: strings, most frequent first, or the path of a file with one on each line; else adapt finds them.
        idf_weights: with "tf_idf", a weight for each string of the vocabulary.
        invert: indices in, an array of strings out.
        output_mode: "int" indices; "one_hot" a row per string; "multi_hot", "count" and "tf_idf" a row for all strings along the last axis.
        pad_to_max_tokens: whether rows have max_tokens numbers, however many strings the vocabulary has.
        sparse: results are dense either way.
        encoding: of bytes and of vocabulary files.
        salt: for the hash of unknown strings, as in Hashing.

    Strings are looked up on the host, in front of the model; there, in the steps of models, are none.
    Differs from Keras: rows are float32, as Keras declares them, not int64.

    >>> import nyala
    >>> layer = nyala.layers.StringLookup(vocabulary=["a", "b"])
    >>> nyala.ops.convert_to_numpy(layer([["b", "z"], ["a", "a"]])).tolist()
    [[2, 0], [1, 1]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Any = None,
        idf_weights: Any = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("oov_method", None)  # configs of Keras have it
        self.encoding, self.salt = as_encoding("StringLookup(encoding)", encoding), as_salt("StringLookup(salt)", salt)
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

    def tokens_of(self, array: np.ndarray) -> list[bytes]:
        if array.size and not is_text(array):
            raise ArgumentTypeError(self.where, need="strings", got=f"an array of {array.dtype}", fix="use IntegerLookup for integers")
        return as_bytes(array, self.encoding, self.where)

    def key_of(self, token: str | bytes) -> bytes:
        return token if isinstance(token, bytes) else str(token).encode(self.encoding)

    def token_of(self, key: bytes) -> str:
        return key.decode(self.encoding, errors="replace")

    def hashed(self, keys: list[bytes]) -> np.ndarray:
        return buckets_of_bytes(keys, self.num_oov_indices, self.salt)

    def call(self, inputs: Tensor) -> Any:
        if self.invert:
            return self.call_on_host(inputs)
        raise ArgumentTypeError(self.where, need="strings", got="a tensor of numbers", why="an engine has no strings", fix=IN_FRONT)

    def compute_output_spec(self, inputs: Symbolic) -> Symbolic:
        return Symbolic(inputs.shape, "string") if self.invert else super().compute_output_spec(inputs)

    def call_on_shapes(self, inputs: Tensor) -> Tensor:
        return self._on_tensors(ops.cast(inputs, "int64"))

    def _config_of_arguments(self) -> dict[str, Any]:
        return {**super()._config_of_arguments(), "oov_method": "floormod"}
