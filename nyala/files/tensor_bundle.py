# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of TensorFlow, read without it: an index that is a sorted table of protocol buffers, and files of plain numbers beside it.

Every length is checked against what is there before it is used; nothing is read but the files that the caller names, and arrays only when asked for.
Start at Bundle.
"""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from nyala.core.dtypes import numpy_dtype
from nyala.files.errors import CorruptFileError, ResourceLimitError, UnsafePathError

MAX_INDEX = 256 << 20  # bytes
MAGIC = 0xDB4775248B80FB57
DTYPES = {1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool", 14: "bfloat16", 17: "uint16",
          19: "float16", 22: "uint32", 23: "uint64"}  # fmt: skip
STRING = 7


def regular(path: pathlib.Path, where: str) -> pathlib.Path:
    """A path that is a file of its own: no link, pipe or folder."""
    if path.is_symlink() or not path.is_file():
        got = "a link" if path.is_symlink() else "nothing like it"
        raise UnsafePathError(
            where, need=f"a file {path.name!r}", got=got, fix="copy the folder with its files" if path.is_symlink() else "", rule="checkpoint-file"
        )
    return path


def fields(message: bytes, where: str) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer: (number, value), an int or bytes.

    >>> list(fields(bytes([8, 150, 1, 18, 2, 104, 105]), "example"))
    [(1, 150), (2, b'hi')]
    """
    place = 0
    while place < len(message):
        tag, place = varint(message, place, where)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, place = varint(message, place, where)
        else:
            size, place = (8 if wire == 1 else 4, place) if wire in (1, 5) else varint(message, place, where) if wire == 2 else (-1, place)
            if not 0 <= size <= len(message) - place:
                raise _corrupt(where, f"a field of kind {wire} that goes beyond its end")
            value = message[place : place + size]
            place += size
            value = value if wire == 2 else int.from_bytes(value, "little")
        yield number, value


def varint(data: bytes, place: int, where: str) -> tuple[int, int]:
    """A number of 7 bits to the byte, and the place behind it."""
    result = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, place
    raise _corrupt(where, "a number that does not end")


def _corrupt(where: str, got: str) -> CorruptFileError:
    return CorruptFileError(where, need="a checkpoint of TensorFlow", got=got, fix="get the files again", rule="checkpoint-format")


def table(data: bytes, where: str) -> dict[bytes, bytes]:
    """The entries of a sorted table, as LevelDB keeps them."""
    if len(data) < 48 or int.from_bytes(data[-8:], "little") != MAGIC:
        raise _corrupt(where, "a file without the mark at its end")
    place = len(data) - 48
    for _ in range(2):
        _, place = varint(data, place, where)
    handle = data[place:-8]
    entries: dict[bytes, bytes] = {}
    for _, value in _block(data, handle, where):
        entries.update(_block(data, value, where))
    return entries


def _block(data: bytes, handle: bytes, where: str) -> Iterator[tuple[bytes, bytes]]:
    """The entries of one block, whose keys leave out what they share with the one before."""
    start, place = varint(handle, 0, where)
    size, _ = varint(handle, place, where)
    block = data[start : start + size]
    if len(block) != size or size < 4 or data[start + size : start + size + 1] != b"\0":
        raise _corrupt(where, "a block that is cut off or compressed")
    restarts = int.from_bytes(block[-4:], "little")
    end = size - 4 - 4 * restarts
    place, key = 0, b""
    while place < end:
        shared, place = varint(block, place, where)
        rest, place = varint(block, place, where)
        length, place = varint(block, place, where)
        if shared > len(key) or place + rest + length > end:
            raise _corrupt(where, "an entry that goes beyond its block")
        key = key[:shared] + block[place : place + rest]
        place += rest
        yield key, block[place : place + length]
        place += length


class Tensor:
    """An array in a checkpoint, not read yet: as a Dataset of an HDF5 file."""

    def __init__(self, bundle: Bundle, key: str, message: bytes) -> None:
        self.path, self._bundle = key, bundle
        found: dict[int, Any] = {3: 0, 4: 0, 5: 0}
        sizes: list[int] = []
        for number, value in fields(message, bundle.where):
            if number == 2:
                for inner, dim in fields(value, bundle.where):
                    sizes += [dict(fields(dim, bundle.where)).get(1, 0)] if inner == 2 else []
            else:
                found[number] = value
        self.type, self.shape = found.get(1, 0), tuple(sizes)
        self.shard, self.offset, self.nbytes = found[3], found[4], found[5]
        self.dtype = DTYPES.get(self.type, "")

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def bytes(self) -> bytes:
        """What is stored."""
        path = regular(self._bundle.shard(self.shard), self._bundle.where)
        with path.open("rb") as file:
            file.seek(0, 2)
            if self.offset + self.nbytes > file.tell():
                raise _corrupt(self._bundle.where, f"fewer numbers than {self.path!r} should have")
            file.seek(self.offset)
            return file.read(self.nbytes)

    def read(self, shape: Any = None) -> np.ndarray:
        """The array."""
        if not self.dtype or self.size * numpy_dtype(self.dtype).itemsize != self.nbytes:
            raise _corrupt(self._bundle.where, f"{self.nbytes:,} bytes for {self.path!r} of shape {self.shape}")
        return np.frombuffer(self.bytes(), numpy_dtype(self.dtype)).reshape(self.shape)


class Bundle:
    """A checkpoint: `tensors` by key, and the graph of objects that says whose they are.

    Args:
        prefix: path of the index without ".index".
    """

    def __init__(self, prefix: pathlib.Path, where: str) -> None:
        self.where, self._prefix = where, prefix
        index = regular(prefix.with_name(prefix.name + ".index"), where)
        if index.stat().st_size > MAX_INDEX:
            raise ResourceLimitError(where, need=f"an index of at most {MAX_INDEX:,} bytes", got=f"{index.stat().st_size:,}", rule="checkpoint-size")
        entries = table(index.read_bytes(), where)
        self.shards = dict(fields(entries.pop(b"", b""), where)).get(1, 1)
        self.tensors = {key.decode("utf-8", "replace"): Tensor(self, key.decode("utf-8", "replace"), value) for key, value in entries.items()}

    def shard(self, number: int) -> pathlib.Path:
        """The file of numbers."""
        return self._prefix.with_name(f"{self._prefix.name}.data-{number:05d}-of-{self.shards:05d}")

    def objects(self) -> list[Node]:
        """The objects that were saved, each with its parts; the first is the root."""
        held = self.tensors.get("_CHECKPOINTABLE_OBJECT_GRAPH")
        if held is None or held.type != STRING:
            raise _corrupt(self.where, "one without the graph of its objects")
        data = held.bytes()
        length, place = varint(data, 0, self.where)
        message = data[place + 4 : place + 4 + length]  # a checksum stands between
        return [Node(value, self.where) for number, value in fields(message, self.where) if number == 1]


class Node:
    """An object: `children` by name, numbers of other nodes; `key` and `name` of its array if it is a variable."""

    def __init__(self, message: bytes, where: str) -> None:
        self.children: dict[str, int] = {}
        self.key = self.name = ""
        for number, value in fields(message, where):
            inner = dict(fields(value, where)) if number in (1, 2) else {}
            if number == 1:
                self.children[inner.get(2, b"").decode("utf-8", "replace")] = inner.get(1, 0)
            elif number == 2 and inner.get(1) == b"VARIABLE_VALUE":
                self.name, self.key = (inner.get(n, b"").decode("utf-8", "replace") for n in (2, 3))


__all__ = ["Bundle", "Node", "Tensor", "fields", "regular", "table", "varint"]
