# SPDX-License-Identifier: Apache-2.0
"""Lookup: what StringLookup and IntegerLookup share, a vocabulary and the indices of its tokens. Start at Lookup.

Indices are: the mask token (0, if there is one), then those for unknown tokens, then the vocabulary, most frequent token first.
"""

from __future__ import annotations

import collections
import contextlib
import os
import pathlib
import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError, UnsafePathError, missing_method
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.files.atomic import write_bytes
from nyala.layers.arguments import is_int
from nyala.layers.preprocessing.host import (
    MODES,
    HostLayer,
    as_array,
    as_mode,
    as_result,
    batches,
    check_sparse,
    count_rows,
    encode,
    encode_on_host,
)

UNKNOWN = -2  # of a token that is not in the table, until it gets an index for unknown ones


class _Configs(threading.local):
    hold_words = False


_configs = _Configs()


@contextlib.contextmanager
def learned_words_in_configs() -> Iterator[None]:
    """Inside, configs of layers hold the vocabularies that they have learned, too: some files have no other place for them."""
    before, _configs.hold_words = _configs.hold_words, True
    try:
        yield
    finally:
        _configs.hold_words = before


class _Table(dict):
    """Token -> index; UNKNOWN for all others."""

    def __missing__(self, key: Hashable) -> int:
        return UNKNOWN


class _Words:
    """What may be long, apart from the attributes among which a layer looks for its weights."""

    def __init__(self) -> None:
        self.tokens: list = []
        self.table = _Table()
        self.given: tuple[list | None, list[float] | None] = None, None  # vocabulary and weights, for the config
        self.counts: collections.Counter = collections.Counter()
        self.documents: collections.Counter = collections.Counter()


class Lookup(HostLayer):
    """A vocabulary, found by adapt or given, and the index of each token in it. Subclasses say what a token is.

    Subclasses write `tokens_of` (an array as a flat list of keys), `key_of` and `token_of` (between tokens and keys), `hashed` (indices
    for unknown keys) and `call` if tensors can hold tokens.
    """

    def __init__(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Any,
        oov_token: Any,
        vocabulary: Any,
        idf_weights: Any,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
        sparse: bool,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        self._declared_size = kwargs.pop("vocabulary_size", None)  # in configs, whose vocabulary may come later
        as_mode(kind, output_mode, (*MODES, "tf_idf"))
        if max_tokens is not None and (not is_int(max_tokens) or max_tokens < 2):
            raise ArgumentError(f"{kind}(max_tokens)", need="an integer of at least 2, or None", got=repr(max_tokens))
        if not is_int(num_oov_indices) or num_oov_indices < 0:
            raise ArgumentError(f"{kind}(num_oov_indices)", need="an integer from 0", got=repr(num_oov_indices))
        if invert and output_mode != "int":
            raise ArgumentError(f"{kind}(output_mode)", need="'int' with invert=True", got=repr(output_mode))
        if pad_to_max_tokens and max_tokens is None:
            raise ArgumentError(f"{kind}(pad_to_max_tokens)", need="max_tokens, too", got="max_tokens=None")
        if idf_weights is not None and output_mode != "tf_idf":
            raise ArgumentError(f"{kind}(idf_weights)", need="None unless output_mode is 'tf_idf'", got=f"weights with {output_mode!r}")
        super().__init__(**kwargs)
        self.max_tokens, self.num_oov_indices = max_tokens, num_oov_indices
        self.mask_token, self.oov_token = mask_token, oov_token
        self.invert, self.output_mode, self.pad_to_max_tokens = bool(invert), output_mode, bool(pad_to_max_tokens)
        self.sparse = check_sparse(kind, sparse, output_mode)
        self.autocast = False
        self._words = _Words()
        self._given = False
        self._set(None)
        self.reset_state()
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)
            if not isinstance(vocabulary, (str, os.PathLike)):
                self._words.given = list(self._words.tokens), None if idf_weights is None else _listed(idf_weights)

    @property
    def vocabulary(self) -> list | None:
        """The vocabulary that the constructor was given as tokens."""
        return self._words.given[0]

    @property
    def idf_weights(self) -> list[float] | None:
        """The weights that the constructor was given."""
        return self._words.given[1]

    # What subclasses say

    def tokens_of(self, array: np.ndarray) -> list:
        """The keys of an array of tokens, flat."""
        raise missing_method(self, "tokens_of(self, array)")

    def key_of(self, token: Any) -> Hashable:
        """A token as the table knows it."""
        raise missing_method(self, "key_of(self, token)")

    def token_of(self, key: Any) -> Any:
        """A key as users know it; ordered as Keras breaks ties."""
        raise missing_method(self, "token_of(self, key)")

    def hashed(self, keys: list) -> np.ndarray:
        """For each of several unknown keys one of the indices for them, from 0."""
        raise missing_method(self, "hashed(self, keys)")

    # The vocabulary

    def adapt(self, data: Any, steps: int | None = None) -> None:
        """Learn the vocabulary of an array, a list, a column, or an iterable of batches, of which `steps` count.

        The most frequent token comes first; of equally frequent ones the last in the alphabet."""
        self._check_learns()
        self.reset_state()
        for batch in batches(data, steps, f"{self.where}.adapt"):
            self.update_state(batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the tokens of one batch: of two or more axes each row is a document, of one axis each token."""
        self._check_learns()
        array = as_array(data, f"{self.where}.update_state")
        keys = self.tokens_of(array)
        width = array.shape[-1] if array.ndim > 1 else 1
        self.count_documents([keys[i : i + width] for i in range(0, len(keys), width)] if self.output_mode == "tf_idf" else [keys])

    def count_documents(self, documents: Iterable[Sequence]) -> None:
        """Count tokens, and for tf_idf the documents that have them; documents are lists of keys."""
        for document in documents:
            self._words.counts.update(document)
            if self.output_mode == "tf_idf":
                self._words.documents.update(set(document))
                self._num_documents += 1

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        if self._given or not self._words.counts:
            return
        reserved = {self.key_of(token) for token in (self.mask_token, self.oov_token) if token is not None}
        counted = [(count, self.token_of(key), key) for key, count in self._words.counts.items() if key not in reserved]
        counted.sort(reverse=True)
        if self.max_tokens is not None:
            counted = counted[: self.max_tokens - self._num_special]
        weights = None
        if self.output_mode == "tf_idf":
            weights = [np.log(1 + self._num_documents / (1 + self._words.documents[key])) for *_, key in counted]
        self._set([token for _, token, _ in counted], weights)

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._words.counts = collections.Counter()
        self._words.documents = collections.Counter()
        self._num_documents = 0

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take a vocabulary: a list or array of tokens, most frequent first, or the path of a file with one on each line.

        It may begin with the mask token and the tokens for unknown ones, as get_vocabulary gives it. idf_weights go with tf_idf."""
        where = f"{self.where}.set_vocabulary"
        if isinstance(vocabulary, (str, os.PathLike)):
            vocabulary = self._read(pathlib.Path(vocabulary))
        tokens = [self.token_of(self.key_of(token)) for token in as_array(vocabulary, where).ravel().tolist()]
        if not tokens:
            raise ArgumentError(f"{where}(vocabulary)", need="at least one token", got="none")
        special = self._special_tokens()
        if special and tokens[: len(special)] == special:
            tokens = tokens[len(special) :]
        elif self.mask_token is not None and self.mask_token in tokens:
            place = tokens.index(self.mask_token)
            raise ArgumentError(
                f"{where}(vocabulary)",
                need=f"to begin with {special}, or to hold none of these",
                got=f"the mask token {self.mask_token!r} at place {place}",
            )
        _check_distinct(tokens, where)
        if self.max_tokens is not None and len(tokens) + self._num_special > self.max_tokens:
            need = f"at most max_tokens={self.max_tokens} tokens, with {self._num_special} for masks and unknown ones"
            raise ArgumentError(f"{where}(vocabulary)", need=need, got=f"{len(tokens) + self._num_special}")
        if self.output_mode == "tf_idf":
            if idf_weights is None:
                raise ArgumentError(f"{where}(idf_weights)", need="a weight for each token, as output_mode is 'tf_idf'", got="None")
            idf_weights = _listed(idf_weights)
            if len(idf_weights) != len(tokens):
                raise ArgumentError(f"{where}(idf_weights)", need=f"{len(tokens)} weights, one for each token", got=f"{len(idf_weights)}")
        elif idf_weights is not None:
            raise ArgumentError(f"{where}(idf_weights)", need="None unless output_mode is 'tf_idf'", got=f"weights with {self.output_mode!r}")
        self._given = True
        self._set(tokens, idf_weights)

    def get_vocabulary(self, include_special_tokens: bool = True) -> list:
        """The tokens in the order of their indices."""
        return [*(self._special_tokens() if include_special_tokens else []), *self._words.tokens]

    def vocabulary_size(self) -> int:
        """Number of indices, with those for masks and unknown tokens."""
        if not self._ready and is_int(self._declared_size):
            return self._declared_size
        return len(self._words.tokens) + len(self._special_tokens())

    @property
    def depth(self) -> int:
        """Length of an encoded row."""
        return self.max_tokens if self.pad_to_max_tokens and self.max_tokens is not None else self.vocabulary_size()

    @property
    def _num_special(self) -> int:
        return len(self._special_tokens())

    def _special_tokens(self) -> list:
        """The tokens before the vocabulary; rows have no place for masks."""
        masks = [self.mask_token] if self.mask_token is not None and self.output_mode == "int" else []
        return masks + [self.oov_token] * self.num_oov_indices

    def _set(self, tokens: list | None, weights: Sequence[float] | None = None) -> None:
        self._words.tokens = tokens or []
        special = self._special_tokens()
        self._first_unknown = len(special) - self.num_oov_indices
        self._words.table = _Table({self.key_of(token): i for i, token in enumerate(self._words.tokens, len(special))})
        if self.mask_token is not None:
            self._words.table[self.key_of(self.mask_token)] = 0 if self.output_mode == "int" else -1
        self._ready = tokens is not None
        self._idf: np.ndarray | None = None
        if weights is not None:
            row = [float(np.mean(weights))] * self.num_oov_indices + list(weights)
            self._idf = np.array(row + [0.0] * (self.depth - len(row)), "float32")

    def _check_learns(self) -> None:
        if self._given:
            need, got = "a layer without a given vocabulary", "one with a given vocabulary"
            raise StateError(f"{self.where}.adapt", need=need, got=got, fix="leave vocabulary out, and do not call set_vocabulary")

    # Looking up

    def lookup(self, keys: Sequence) -> np.ndarray:
        """The indices of a list of keys, int64; -1 for the mask token where rows are made."""
        if not self._ready:
            raise StateError(self.where, need="a vocabulary", got="none yet", fix="call adapt(data) first, or pass vocabulary")
        ids = np.fromiter(map(self._words.table.__getitem__, keys), np.int64, len(keys))
        unknown = np.flatnonzero(ids == UNKNOWN)
        if len(unknown):
            if self.num_oov_indices == 0:
                shown = [self.token_of(keys[i]) for i in unknown[:3].tolist()]
                raise ArgumentError(self.where, need="tokens of its vocabulary, as num_oov_indices is 0", got=f"{shown}", fix="set num_oov_indices=1")
            ids[unknown] = self._first_unknown + (self.hashed([keys[i] for i in unknown.tolist()]) if self.num_oov_indices > 1 else 0)
        return ids

    def call_on_host(self, inputs: Any) -> Any:
        array = as_array(inputs, self.where)
        if self.invert:
            return self.inverted(array)
        ids = self.lookup(self.tokens_of(array)).reshape(array.shape)
        rows = encode_on_host(ids, "count" if self.output_mode == "tf_idf" else self.output_mode, self.depth)
        return as_result(rows if self._idf is None else rows * self._idf, self.result_dtype)

    def encode_rows(self, ids: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """One encoded row for each of several lists of indices, which lie end to end."""
        counts = count_rows(np.repeat(np.arange(len(lengths)), lengths), ids, len(lengths), self.depth, self.output_mode == "multi_hot")
        return counts if self._idf is None else counts * self._idf

    def inverted(self, array: np.ndarray) -> Any:
        """The tokens of indices; the one for unknown tokens for indices that do not exist."""
        if array.dtype.kind not in "biuf" and array.size:
            raise ArgumentTypeError(self.where, need="indices, as invert is True", got=f"an array of {array.dtype}")
        ids, vocabulary = array.astype(np.int64), self.get_vocabulary()
        known = (ids >= 0) & (ids < len(vocabulary))
        tokens = np.array([*vocabulary, self.oov_token], dtype=object if isinstance(self.oov_token, str) else np.int64)
        return as_result(tokens[np.where(known, ids, len(vocabulary))])

    # Files and configs

    def _read(self, path: pathlib.Path) -> list[str]:
        if not path.is_file():
            raise ArgumentError(
                f"{self.where}.set_vocabulary(vocabulary)", need="tokens, or the path of a file of them", got=f"{str(path)!r}, no file"
            )
        return path.read_bytes().decode(getattr(self, "encoding", "utf-8")).removesuffix("\n").replace("\r\n", "\n").split("\n")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what get_config returned; a config never names a file to read."""
        refuse_paths(cls.__name__, config)
        return super().from_config(config)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary to vocabulary.txt in a folder, unless the config has it."""
        if self.vocabulary is None and self._ready:
            text = "\n".join(str(token) for token in self.get_vocabulary())
            write_bytes(pathlib.Path(dir_path) / "vocabulary.txt", text.encode(getattr(self, "encoding", "utf-8")))

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary that save_assets wrote; weights of tf_idf come with the variables."""
        path = pathlib.Path(dir_path) / "vocabulary.txt"
        if self.vocabulary is None and path.is_file():
            tokens, special = [self.token_of(self.key_of(token)) for token in self._read(path)], self._special_tokens()
            _check_distinct(tokens[len(special) :], f"{self.where}.load_assets")
            weights, self._given = self._idf, False
            self._set(tokens[len(special) :])
            self._idf = weights

    def save_own_variables(self, store: Any) -> None:
        if self._idf is not None:
            store["idf_weights"] = self._idf

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        if "idf_weights" in store:
            self._idf = np.array(store["idf_weights"], "float32")

    def _saved_variables(self) -> list[Variable]:
        return []

    def get_build_config(self) -> dict[str, Any]:
        return {}

    def _config_of_arguments(self) -> dict[str, Any]:
        size = self.vocabulary_size() if self._ready else None
        return {**super()._config_of_arguments(), **self.words_for_config(), "vocabulary_size": size}

    def words_for_config(self) -> dict[str, Any]:
        """What a config says of the vocabulary: what the constructor was given, or, for files without room for it elsewhere, what was learned."""
        tokens, weights = self._words.given
        if tokens is None and self._ready and _configs.hold_words:
            tokens = list(self._words.tokens)
            known = slice(self.num_oov_indices, self.num_oov_indices + len(tokens))
            weights = None if self._idf is None else self._idf[known].tolist()
        return {"vocabulary": tokens, "idf_weights": weights}

    def _on_tensors(self, ids: Tensor) -> Tensor:
        """Indices on the engine in the output mode."""
        rows = encode(ids, "count" if self.output_mode == "tf_idf" else self.output_mode, self.depth, self.compute_dtype)
        return rows if self._idf is None else ops.multiply(rows, ops.cast(self._idf, rows.dtype))


def _listed(weights: Any) -> list[float]:
    return [float(weight) for weight in np.asarray(weights).ravel()]


def _check_distinct(tokens: list, where: str) -> None:
    repeated = [token for token, count in collections.Counter(tokens).items() if count > 1]
    if repeated:
        raise ArgumentError(f"{where}(vocabulary)", need="tokens that differ", got=f"{repeated[:3]} more than once")


def refuse_paths(kind: str, config: Mapping[str, Any]) -> None:
    """Raise if a config gives a path where tokens belong: what is opened opens no other file."""
    for key in ("vocabulary", "idf_weights"):
        if isinstance(config.get(key), str):
            raise UnsafePathError(
                f"{kind}.from_config({key})",
                need="the tokens themselves",
                got=f"a path, {config[key][:80]!r}",
                why="a config is data, and makes nothing read another file",
                fix="make the layer with the path in code",
                rule="path-vocabulary",
            )
