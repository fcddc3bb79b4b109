# SPDX-License-Identifier: Apache-2.0
"""What imdb and reuters share: texts as lists of numbers of words, frequent words first. Start at read_texts and at prepare."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from nyala.core.errors import ArgumentError
from nyala.datasets import plain_pickles
from nyala.datasets.official import fetch
from nyala.datasets.tables import Array, checked, content_of, same_length
from nyala.files import archive, json_text
from nyala.files.errors import CorruptFileError
from nyala.files.npz import npy_header, read_npy
from nyala.layers.arguments import is_int

MAX_BYTES = 64 << 20  # of an array; the largest there is has 15 million
MAX_INDEX = 16 << 20


class Options(NamedTuple):
    """How numbers of words are changed; see imdb.load_data."""

    num_words: int | None
    skip_top: int
    maxlen: int | None
    start_char: int | None
    oov_char: int | None
    index_from: int | None

    def check(self, where: str) -> Options:
        for name, value in self._asdict().items():
            if not (is_int(value) and value >= 0) and (value is not None or name == "skip_top"):
                need = "an integer from 0" + ("" if name == "skip_top" else ", or None")
                raise ArgumentError(f"{where}({name})", need=need, got=repr(value))
        return self


def read_texts(path: str, where: str, *pairs: tuple[str, str]) -> list[tuple[Array, Array]]:
    """Texts (n,), each a list of integers, and labels (n,) of a .npz file, for pairs of their names."""
    shown, names, arrays = f"{where} in {path!r}", {name for pair in pairs for name in pair}, {}
    with archive.reading(path, shown, paths=False) as members:
        for name, member in members.items():
            if name.removesuffix(".npy") not in names:
                continue
            content = member.bytes(MAX_BYTES)
            shape, _, dtype, start = npy_header(content, member.where)
            array = plain_pickles.read(content[start:], member.where) if dtype.kind == "O" else read_npy(content, member.where)
            if not isinstance(array, np.ndarray) or array.shape != shape:
                raise CorruptFileError(
                    member.where,
                    need=f"an array of shape {shape}, as it says",
                    got="another",
                    fix="remove the file and load again",
                    rule="dataset-shape",
                )
            arrays[name.removesuffix(".npy")] = array
    found = []
    for texts, labels in pairs:
        x, y = (checked(where, path, name, arrays.get(name), (None,)) for name in (texts, labels))
        if x.dtype != object or y.dtype.kind not in "iu":
            raise CorruptFileError(
                where, need=f"lists of integers {texts!r} and integers {labels!r} in {path!r}", got=f"arrays of {x.dtype} and {y.dtype}",
                fix="remove the file and load again", rule="dataset-shape",
            )  # fmt: skip
        same_length(where, path, (x, y))
        found.append((x, y))
    return found


def prepare(where: str, options: Options, *pairs: tuple[Array, Array]) -> list[tuple[Array, Array]]:
    """Texts and labels with the options applied; words are counted over all pairs. New lists."""
    num_words, skip_top, maxlen, start_char, oov_char, index_from = options
    start, shift = [] if start_char is None else [start_char], index_from or 0
    changed = []
    for x, y in pairs:
        rows = [start + [word + shift for word in row] for row in x]
        kept = [i for i, row in enumerate(rows) if maxlen is None or len(row) < maxlen]
        if len(x) and not kept:
            raise ArgumentError(f"{where}(maxlen)", need="a length that some texts stay below", got=repr(maxlen), fix="take a larger one, or None")
        changed.append(([rows[i] for i in kept], y[kept]))
    if num_words is None:
        num_words = max((max(row, default=0) for rows, _ in changed for row in rows), default=0)
    return [(plain_pickles.objects([_limited(row, skip_top, num_words, oov_char) for row in rows]), y) for rows, y in changed]


def _limited(row: list[int], low: int, high: int, instead: int | None) -> list[int]:
    """The words from low to below high; others become instead, or go if that is None."""
    if instead is None:
        return [word for word in row if low <= word < high]
    return [word if low <= word < high else instead for word in row]


def word_index(name: str, path: str) -> dict[str, int]:
    """The number of each word of a data set."""
    place = fetch(name, 1, path)
    where = f"{name}.get_word_index"
    index: Any = json_text.read(content_of(place, f"{where} in {place!r}", MAX_INDEX), f"{where} in {place!r}")
    if not isinstance(index, dict) or not all(type(number) is int for number in index.values()):
        raise CorruptFileError(
            where, need=f"numbers of words in {place!r}", got="other JSON", fix="remove the file and load again", rule="dataset-shape"
        )
    return index
