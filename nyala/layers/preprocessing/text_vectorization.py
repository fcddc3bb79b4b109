# SPDX-License-Identifier: Apache-2.0
"""TextVectorization: texts as the indices of their words, or as rows that count them. Start at TextVectorization.call_on_host.

Texts are cleaned and split as bytes, where Python's own functions do a whole text in one call.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.core.serialization import serialize_keras_object
from nyala.core.symbolic import Symbolic
from nyala.layers.arguments import as_choice, as_encoding, is_int
from nyala.layers.preprocessing.host import IN_FRONT, HostLayer, as_array, as_bytes, as_mode, as_result, batches, check_sparse, is_text
from nyala.layers.preprocessing.lookup import refuse_paths
from nyala.layers.preprocessing.string_lookup import StringLookup

LOWER = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
PUNCTUATION = string.punctuation.encode()
STANDARDS = {  # what becomes of each byte, and which bytes go
    "lower_and_strip_punctuation": (LOWER, PUNCTUATION),
    "lower": (LOWER, b""),
    "strip_punctuation": (None, PUNCTUATION),
}


class TextVectorization(HostLayer):
    """Texts as indices of words in a vocabulary, 0 behind the last, 1 for unknown words; or as rows that say which words there are.

    Args:
        max_tokens: bound of the vocabulary, with the tokens for padding and unknown words.
        standardize: "lower_and_strip_punctuation", "lower", "strip_punctuation" (of ASCII), None, or a function of an array of strings.
        split: "whitespace", "character", None (each string is a word), or a function of an array of strings that gives lists of strings.
        ngrams: n for runs of 1 to n words as further words, or the lengths of runs.
        output_mode: "int" indices; "multi_hot", "count" or "tf_idf" a row per text.
        output_sequence_length: of "int" rows, cut or padded; by default that of the longest text.
        pad_to_max_tokens: whether rows have max_tokens numbers, however large the vocabulary.
        vocabulary: words, most frequent first, or the path of a file with one on each line; else adapt finds them.
        idf_weights: with "tf_idf", a weight for each word of the vocabulary.
        sparse: results are dense either way.
        ragged: whether "int" gives a list of arrays, one per text, without padding.
        encoding: of bytes and of vocabulary files.

    Texts are of shape (b,) or (b, 1). They are vectorized on the host, in front of the model: call the layer on batches, in any thread.
    Differs from Keras: rows are float32, as Keras declares them, not int64; ragged results are lists; functions get NumPy arrays.

    >>> import nyala
    >>> layer = nyala.layers.TextVectorization()
    >>> layer.adapt(["The cat sat.", "The mat!"])
    >>> layer.get_vocabulary()
    ['', '[UNK]', 'the', 'sat', 'mat', 'cat']
    >>> nyala.ops.convert_to_numpy(layer(["the dog sat", "mat"])).tolist()
    [[2, 1, 3], [4, 0, 0]]
    """

    def __init__(
        self,
        max_tokens: int | None = None,
        standardize: str | Callable | None = "lower_and_strip_punctuation",
        split: str | Callable | None = "whitespace",
        ngrams: int | Sequence[int] | None = None,
        output_mode: str = "int",
        output_sequence_length: int | None = None,
        pad_to_max_tokens: bool = False,
        vocabulary: Any = None,
        idf_weights: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        declared = kwargs.pop("vocabulary_size", None)  # in configs, whose vocabulary may come later
        if standardize is not None and not callable(standardize):
            as_choice("TextVectorization(standardize)", standardize, tuple(STANDARDS))
        if split is not None and not callable(split):
            as_choice("TextVectorization(split)", split, ("whitespace", "character"))
        lengths = ngrams if isinstance(ngrams, (list, tuple)) else (ngrams,)
        if ngrams is not None and not all(is_int(n) and n > 0 for n in lengths):
            raise ArgumentError("TextVectorization(ngrams)", need="a positive integer, several, or None", got=repr(ngrams))
        as_mode("TextVectorization", output_mode, ("int", "multi_hot", "count", "tf_idf"))
        for argument, value in (("output_sequence_length", output_sequence_length), ("ragged", ragged)):
            if value and output_mode != "int":
                raise ArgumentError(f"TextVectorization({argument})", need="output_mode='int'", got=f"{value!r} with {output_mode!r}")
        if output_sequence_length is not None and not (is_int(output_sequence_length) and output_sequence_length > 0):
            raise ArgumentError("TextVectorization(output_sequence_length)", need="a positive integer, or None", got=repr(output_sequence_length))
        as_encoding("TextVectorization(encoding)", encoding)
        super().__init__(name=name, **kwargs)
        self.max_tokens, self.standardize, self.split = max_tokens, standardize, split
        self.ngrams = tuple(ngrams) if isinstance(ngrams, (list, tuple)) else ngrams
        self.output_mode, self.output_sequence_length = output_mode, output_sequence_length
        self.pad_to_max_tokens, self.ragged, self.encoding = bool(pad_to_max_tokens), bool(ragged), encoding
        self.sparse = check_sparse("TextVectorization", sparse, output_mode)
        self._lookup_layer = StringLookup(
            max_tokens,
            mask_token="",
            vocabulary=vocabulary,
            idf_weights=idf_weights,
            output_mode=output_mode,
            pad_to_max_tokens=pad_to_max_tokens,
            encoding=encoding,
            vocabulary_size=declared,
            name=f"{self.name}_lookup",
        )

    # The vocabulary

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Learn the vocabulary of an array, list or column of texts, or of an iterable of batches, of which `steps` count.

        Of an array, `steps` portions of batch_size, 32 by default, count."""
        lookup = self._lookup_layer
        lookup._check_learns()
        lookup.reset_state()
        whole = isinstance(data, (list, tuple, np.ndarray)) or hasattr(data, "shape")
        for batch in batches(data, steps, f"{self.where}.adapt"):
            self.update_state(batch[: steps * (batch_size or 32)] if whole and steps is not None else batch)
        self.finalize_state()

    def update_state(self, data: Any) -> None:
        """Count the words of one batch of texts; with split=None each string of one axis is a text of one word."""
        self._lookup_layer._check_learns()
        array = as_array(data, f"{self.where}.update_state")
        alone = self.split is None and array.ndim == 1
        self._lookup_layer.count_documents(self._words(array[:, None] if alone else array)[0])

    def finalize_state(self) -> None:
        """Make the vocabulary of what was counted."""
        self._lookup_layer.finalize_state()

    def reset_state(self) -> None:
        """Forget what was counted."""
        self._lookup_layer.reset_state()

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[str]:
        """The words in the order of their indices."""
        return self._lookup_layer.get_vocabulary(include_special_tokens)

    def set_vocabulary(self, vocabulary: Any, idf_weights: Any = None) -> None:
        """Take a vocabulary: a list or array of words, most frequent first, or the path of a file; idf_weights go with tf_idf."""
        self._lookup_layer.set_vocabulary(vocabulary, idf_weights)

    def vocabulary_size(self) -> int:
        """Number of indices, with those for padding and unknown words."""
        return self._lookup_layer.vocabulary_size()

    # Words

    def _words(self, data: Any) -> tuple[list[list[bytes]], tuple[int, ...]]:
        """The words of each text, and the shape in which the texts came, without the axis that holds one text, or one word, each."""
        array = as_array(data, self.where)
        if array.size and not is_text(array):
            raise ArgumentTypeError(self.where, need="texts", got=f"an array of {array.dtype}")
        if self.split is None:
            width = array.shape[-1] if array.ndim else 1
            flat = self._standardized(array)
            rows = [flat[i : i + width] for i in range(0, len(flat), max(width, 1))]
            return self._with_runs(rows), array.shape[:-1]
        if array.ndim > 1:
            if array.shape[-1] != 1:
                raise ShapeError(self.where, need="texts of shape (b,) or (b, 1)", got=f"{array.shape}", fix="split=None takes split words")
            array = array[..., 0]
        return self._with_runs(self._split(self._standardized(array))), array.shape

    def _standardized(self, array: np.ndarray) -> list[bytes]:
        if callable(self.standardize):
            array = _as_strings(self.standardize(_decoded(array, self.encoding)), self.where, "standardize")
        texts = as_bytes(array, self.encoding, self.where)
        if self.standardize is None or callable(self.standardize):
            return texts
        table, gone = STANDARDS[self.standardize]
        return [text.translate(table, gone) for text in texts]

    def _split(self, texts: list[bytes]) -> list[list[bytes]]:
        if self.split == "whitespace":
            return [text.split() for text in texts]
        decoded = [text.decode(self.encoding, errors="replace") for text in texts]
        if callable(self.split):
            result = self.split(np.array(decoded))
            parts: Iterable = result.to_list() if hasattr(result, "to_list") else result
        else:
            parts = decoded
        return [[word if isinstance(word, bytes) else str(word).encode(self.encoding) for word in row] for row in parts]

    def _with_runs(self, rows: list[list[bytes]]) -> list[list[bytes]]:
        """Rows of words with, or of, their runs."""
        if self.ngrams is None:
            return rows
        lengths = range(1, self.ngrams + 1) if is_int(self.ngrams) else self.ngrams
        return [[b" ".join(row[i : i + n]) for n in lengths for i in range(len(row) - n + 1)] for row in rows]

    # Calling

    def call_on_host(self, inputs: Any) -> Any:
        rows, lead = self._words(inputs)
        if self.split is None and self.ngrams is None and np.ndim(inputs) < 2:
            ids = self._lookup_layer.lookup(rows[0] if rows else [])
            if self.output_mode == "int":
                return as_result(ids.reshape(np.shape(inputs)), self.result_dtype)
            return as_result(self._lookup_layer.encode_rows(ids, np.array([ids.size]))[0], self.result_dtype)
        if self.output_sequence_length is not None:
            rows = [row[: self.output_sequence_length] for row in rows]
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        ids = self._lookup_layer.lookup(list(chain.from_iterable(rows)))
        if self.output_mode != "int":
            return as_result(self._lookup_layer.encode_rows(ids, lengths).reshape(*lead, self._lookup_layer.depth), self.result_dtype)
        if self.ragged:
            return np.split(ids, np.cumsum(lengths)[:-1]) if len(rows) else []
        width = self.output_sequence_length or int(lengths.max(initial=0))
        padded = np.zeros((len(rows), width), np.int64)
        padded[np.arange(width) < lengths[:, None]] = ids
        return as_result(padded.reshape(*lead, width))

    def call(self, inputs: Any) -> Any:
        raise ArgumentTypeError(self.where, need="texts", got="a tensor of numbers", why="an engine has no strings", fix=IN_FRONT)

    def compute_output_spec(self, inputs: Any) -> Symbolic:
        shape = inputs.shape[:-1] if len(inputs.shape) > 1 else inputs.shape
        if self.output_mode != "int":
            return Symbolic((*shape, self._lookup_layer.depth), self.result_dtype)
        if self.split is None and self.ngrams is None:
            return Symbolic(inputs.shape, "int64")
        return Symbolic((*shape, self.output_sequence_length), "int64")

    # Files and configs

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make a layer from what get_config returned; a config never names a file to read."""
        refuse_paths(cls.__name__, config)
        return super().from_config(config)

    def save_assets(self, dir_path: Any) -> None:
        """Write the vocabulary to vocabulary.txt in a folder, unless the config has it."""
        self._lookup_layer.save_assets(dir_path)

    def load_assets(self, dir_path: Any) -> None:
        """Read the vocabulary that save_assets wrote."""
        self._lookup_layer.load_assets(dir_path)

    def save_own_variables(self, store: Any) -> None:
        self._lookup_layer.save_own_variables(store)

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        self._lookup_layer.load_own_variables(store)

    def _config_of_arguments(self) -> dict[str, Any]:
        given = self._lookup_layer.words_for_config()
        functions = {key: serialize_keras_object(value) for key in ("standardize", "split") if callable(value := getattr(self, key))}
        return {**super()._config_of_arguments(), **given, **functions, "vocabulary_size": self.vocabulary_size()}


def _decoded(array: np.ndarray, encoding: str) -> np.ndarray:
    """An array of str, as functions of users get it."""
    texts = [item if isinstance(item, str) else item.decode(encoding, errors="replace") for item in array.ravel().tolist()]
    return np.array(texts, dtype=str).reshape(array.shape)


def _as_strings(value: Any, where: str, function: str) -> np.ndarray:
    array = as_array(value, where)
    if array.size and not is_text(array):
        raise ArgumentTypeError(f"{where} ({function})", need="a function that returns an array of strings", got=f"an array of {array.dtype}")
    return array
