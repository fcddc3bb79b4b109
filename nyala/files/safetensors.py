# SPDX-License-Identifier: Apache-2.0
"""Weights as .safetensors files: a header in JSON and the bytes of all arrays end to end, without a gap.

The format is that of https://github.com/huggingface/safetensors. Start at reading and write.
"""

from __future__ import annotations

import contextlib
import io
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np

from nyala.core.alignment import aligned
from nyala.core.dtypes import numpy_dtype
from nyala.files import json_text
from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError, ResourceLimitError
from nyala.files.hdf5 import open_regular
from nyala.files.loading import Source
from nyala.files.raw import bytes_of, fill, pieces

MAX_HEADER = 100 << 20
MAX_ARRAYS = 250_000
MAX_RANK = 32  # as in HDF5
NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32", "U64": "uint64", "I64": "int64",
    "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
CODES = {name: code for code, name in NAMES.items()}


def write(target: Any, arrays: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Write arrays, the widest numbers first; each is asked for twice. A path gets the whole file or keeps the old one.

    >>> file = io.BytesIO()
    >>> write(file, {"a": np.arange(3, dtype="int8")})
    >>> with reading(file, "example") as (stored, metadata):
    ...     stored["a"].read().tolist()
    [0, 1, 2]
    """
    if not hasattr(target, "write"):
        with replacing(target, verify=_check) as file:
            write(file, arrays, metadata)
        return
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    facts = {name: (array.dtype.itemsize, array.nbytes, CODES[array.dtype.name], list(array.shape)) for name, array in arrays.items()}
    names = sorted(facts, key=lambda name: (-facts[name][0], name))
    place = 0
    for name in names:
        _, size, code, shape = facts[name]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [place, place + size]}
        place += size
    text = json_text.write(header)
    text += b" " * (-len(text) % 8)
    target.write(struct.pack("<Q", len(text)) + text)
    for name in names:
        target.write(bytes_of(arrays[name]))


@contextlib.contextmanager
def reading(source: Any, where: str) -> Iterator[tuple[dict[str, Source], dict[str, str]]]:
    """The arrays of a file by name, which can be read until the block ends, and its metadata."""
    with open_regular(source, where) as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(0)
        first = file.read(8)
        length = struct.unpack("<Q", first)[0] if len(first) == 8 else size
        if length > MAX_HEADER or length > size - 8:
            raise CorruptFileError(where, need="a header within the file", got=f"one of {length:,} bytes in {size:,}", rule="safetensors-header")
        text = file.read(length)
        if not text.startswith(b"{"):
            raise CorruptFileError(where, need="a header in JSON", got=f"{text[:10]!r}", rule="safetensors-header")
        header = json_text.read(text, where, MAX_HEADER)
        metadata = header.pop("__metadata__", {})
        if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
            raise CorruptFileError(where, need="metadata of text alone", got=f"{str(metadata)[:60]}", rule="safetensors-metadata")
        yield _arrays(file, header, 8 + length, size, where), metadata


def _arrays(file: BinaryIO, header: dict[str, Any], start: int, size: int, where: str) -> dict[str, Source]:
    if len(header) > MAX_ARRAYS:
        raise ResourceLimitError(where, need=f"at most {MAX_ARRAYS:,} arrays", got=f"{len(header):,}", rule="safetensors-arrays")
    spans, stored = [], {}
    for name, entry in header.items():
        begin, end, shape, dtype = 0, 0, (), "uint8"
        try:
            (begin, end), shape, dtype = entry["data_offsets"], tuple(entry["shape"]), NAMES[entry["dtype"]]
            whole = all(type(n) is int and n >= 0 for n in (begin, end, *shape)) and set(entry) == {"data_offsets", "shape", "dtype"}
            whole = whole and len(shape) <= MAX_RANK and math.prod(n or 1 for n in shape) < 1 << 60
        except (KeyError, TypeError, ValueError):
            whole = False
        if not whole or end - begin != math.prod(shape) * numpy_dtype(dtype).itemsize:
            raise CorruptFileError(
                where, need="arrays with dtype, shape and as many bytes", got=f"{name[:80]!r}: {str(entry)[:80]}", rule="safetensors-array"
            )
        spans.append((begin, end, name))
        stored[name] = _source(file, start + begin, end - begin, shape, dtype, where)
    place = 0
    for begin, end, name in sorted(spans):
        if begin != place:
            raise CorruptFileError(
                where, need="arrays that follow each other", got=f"a gap or an overlap before {name[:80]!r}", rule="safetensors-gap"
            )
        place = end
    if start + place != size:
        raise CorruptFileError(where, need=f"{start + place:,} bytes", got=f"{size:,}", rule="safetensors-size")
    return stored


def _source(file: BinaryIO, at: int, length: int, shape: tuple[int, ...], dtype: str, where: str) -> Source:
    def read() -> np.ndarray:
        return _read(file, at, length, shape, dtype, where)

    return Source(shape, dtype, read, pieces=lambda: pieces(file, at, length) or [bytes_of(read())])


def _read(file: BinaryIO, at: int, length: int, shape: tuple[int, ...], dtype: str, where: str) -> np.ndarray:
    array = aligned(shape, numpy_dtype(dtype))
    if fill(file, at, array):
        return array
    file.seek(at)
    if length and file.readinto(array.reshape(-1).view("uint8").data) != length:  # type: ignore[attr-defined]
        raise CorruptFileError(where, need=f"{length:,} bytes", got="fewer", rule="safetensors-size")
    return array


def _check(file: BinaryIO) -> None:
    with reading(file, "the file just written"):
        pass
