# SPDX-License-Identifier: Apache-2.0
"""Packed arrays of HDF5 files, unpacked here: each chunk is looked at first, and never grows beyond its size.

The library itself trusts what a file says of its chunks: in a damaged one it crashes, and a few bytes may unpack to any number of them.
Knows the three filters that files of weights have, shuffle, gzip and fletcher32. Start at read.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from nyala.files.errors import CorruptFileError, ResourceLimitError, UnsafeFileError
from nyala.files.raw import fill

GZIP, SHUFFLE, FLETCHER = 1, 2, 3  # numbers of filters, as HDF5 gives them
BLOCK = 1 << 15  # words that are summed up together: their weighted sum stays below 2^63


class Chunk(NamedTuple):
    """Where a chunk begins in the array and in the file, its bytes there, and which filters it was not given (one bit for each)."""

    offset: tuple[int, ...]
    place: int
    size: int
    skipped: int


def read(handle: Any, file: BinaryIO, end: int, where: str, path: str, target: np.ndarray) -> None:
    """Fill an array from a dataset in chunks. Several threads may read from one file.

    Args:
        handle: of the dataset.
        file: that it is in.
        end: of the file.
        where, path: for errors.
        target: of its shape; numbers are converted to its dtype.
    Raises: CorruptFileError if a chunk is missing, elsewhere or of another size; ResourceLimitError if one unpacks to more than it should.
    """
    layout = handle.get_create_plist()
    shape, dtype = layout.get_chunk(), _dtype(handle, where, path)
    filters = [layout.get_filter(i)[0] for i in range(layout.get_nfilters())]
    size = math.prod(shape) * dtype.itemsize
    for chunk in _chunks(handle, shape, target.shape, end, where, path):
        values = np.frombuffer(_unpacked(_bytes(file, chunk), chunk, filters, size, dtype.itemsize, f"{path!r} in {where}"), dtype).reshape(shape)
        inside = tuple(slice(at, at + n) for at, n in zip(chunk.offset, shape, strict=True))
        target[inside] = values[tuple(slice(0, n) for n in target[inside].shape)]


def _bytes(file: BinaryIO, chunk: Chunk) -> bytes | bytearray:
    """A chunk as it is in the file."""
    found = bytearray(chunk.size)
    if fill(file, chunk.place, np.frombuffer(found, "uint8")):
        return found
    from h5py._objects import phil

    with phil:  # under which the library moves in the file too
        file.seek(chunk.place)
        return file.read(chunk.size)


def _dtype(handle: Any, where: str, path: str) -> np.dtype:
    """The dtype as it is stored, if NumPy has the same."""
    import h5py

    kind = handle.get_type()
    dtype = kind.dtype
    if kind.get_class() != h5py.h5t.OPAQUE and not kind.equal(h5py.h5t.py_create(dtype, logical=True)):
        raise UnsafeFileError(where, need="packed numbers of a usual kind", got=f"others at {path!r}", rule="hdf5-dtype")
    return dtype


def _chunks(handle: Any, shape: tuple[int, ...], whole: tuple[int, ...], end: int, where: str, path: str) -> list[Chunk]:
    """The chunks of a dataset: all of them, each once, within the array and within the file."""
    found: dict[tuple[int, ...], Chunk] = {}
    needed = math.prod(-(-n // m) for n, m in zip(whole, shape, strict=True))

    def take(info: Any) -> int | None:
        chunk = Chunk(tuple(info.chunk_offset), info.byte_offset, info.size, info.filter_mask)
        aligned = all(at % m == 0 and 0 <= at < n for at, m, n in zip(chunk.offset, shape, whole, strict=True))
        if not aligned or chunk.offset in found or not 0 < chunk.size <= end - chunk.place or chunk.place <= 0:
            found.clear()
            found[()] = chunk
            return 1
        found[chunk.offset] = chunk
        return None

    if hasattr(handle, "chunk_iter"):
        handle.chunk_iter(take)
    elif handle.get_num_chunks() <= needed:  # as old releases of h5py
        any(take(handle.get_chunk_info(i)) for i in range(handle.get_num_chunks()))
    if len(found) != needed or (() in found and whole):
        got = "one that is elsewhere" if () in found else f"{len(found):,}"
        raise CorruptFileError(where, need=f"the {needed:,} chunks of {path!r}", got=got, fix="get the file again", rule="hdf5-damaged")
    return list(found.values())


def _unpacked(data: bytes | bytearray, chunk: Chunk, filters: list[int], size: int, width: int, where: str) -> bytes | bytearray:
    """The bytes of a chunk, all filters undone."""
    room = size + 4 * filters.count(FLETCHER)
    for number, kind in reversed(list(enumerate(filters))):
        if chunk.skipped >> number & 1:
            continue
        if kind == GZIP:
            unpacker = zlib.decompressobj()
            try:
                data = unpacker.decompress(data, room + 1)
            except zlib.error as error:
                raise _damaged(where, str(error)) from error
            if len(data) > room:
                raise ResourceLimitError(where, need=f"a chunk of {size:,} bytes", got="more", rule="hdf5-declared")
        elif kind == FLETCHER:
            data, said = data[:-4], int.from_bytes(data[-4:], "little")
            if not _same(said, *_sums(data)):
                raise _damaged(where, "another checksum")
        elif kind == SHUFFLE:
            if len(data) != size:
                raise _damaged(where, f"{len(data):,} bytes, not {size:,}")
            data = np.frombuffer(data, "uint8").reshape(width, -1).T.tobytes()
    if len(data) != size:
        raise _damaged(where, f"{len(data):,} bytes, not {size:,}")
    return data


def _damaged(where: str, got: str) -> CorruptFileError:
    return CorruptFileError(where, need="a whole chunk", got=got, fix="get the file again", rule="hdf5-damaged")


def _sums(data: bytes | bytearray) -> tuple[int, int]:
    """The two sums of Fletcher, of words of two bytes with the large end first, modulo 65535."""
    words = np.frombuffer(data + b"\0" * (len(data) % 2), ">u2")
    first = second = 0
    for start in range(0, len(words), BLOCK):
        block = words[start : start + BLOCK].astype("int64")
        second += len(block) * first + int((block * np.arange(len(block), 0, -1)).sum())
        first += int(block.sum())
    return first % 65535, second % 65535


def _same(said: int, first: int, second: int) -> bool:
    """Whether a stored sum is this one; older libraries on some machines turned the bytes of each half."""
    halves = said & 0xFFFF, said >> 16
    turned = tuple((half & 0xFF) << 8 | half >> 8 for half in halves)
    return (first, second) in (tuple(half % 65535 for half in halves), tuple(half % 65535 for half in turned))
