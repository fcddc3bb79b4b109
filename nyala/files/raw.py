# SPDX-License-Identifier: Apache-2.0
"""Bytes below the formats: of arrays, and of files that remember errors, give out no large pieces or look at what HDF5 is about to read.

Start at pieces, and at Sparing and Heaps for what keeps texts in HDF5 files short and whole.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from nyala.files.errors import CorruptFileError, ResourceLimitError

PIECE = 1 << 20  # bytes that are looked at together


def bytes_of(array: np.ndarray) -> Any:
    """The bytes of an array, copied only if they do not lie in order."""
    return np.ascontiguousarray(array).reshape(-1).view("uint8").data if array.size else b""


def pieces(file: BinaryIO, place: int, size: int) -> Iterator[memoryview] | None:
    """Some bytes of a file, in pieces, each gone when the next is asked for; by several threads at a time. None where the system cannot."""
    plain = isinstance(file, (io.BufferedReader, io.BufferedRandom)) and isinstance(file.raw, io.FileIO)
    return _pieces(file.fileno(), place, size) if plain and hasattr(os, "preadv") else None


def _pieces(number: int, place: int, left: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(left, PIECE)))
    while left and (count := os.preadv(number, [buffer[:left]], place)):
        yield buffer[:count]
        place, left = place + count, left - count


class Watched(io.RawIOBase):
    """A file that remembers the first error in it: HDF5 swallows those that happen while it closes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.error = file, None

    def _try(self, method: str, *args: Any) -> Any:
        try:
            return getattr(self.file, method)(*args)
        except BaseException as error:
            self.error = self.error or error
            raise

    def readinto(self, buffer: Any) -> int:
        return self._try("readinto", buffer)

    def write(self, data: Any) -> int:
        return self._try("write", data)

    def truncate(self, size: int | None = None) -> int:
        return self._try("truncate", size)

    def flush(self) -> None:
        self._try("flush")

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._try("seek", offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readable(self) -> bool:
        return True

    writable = seekable = readable


class _Around(io.RawIOBase):
    """Another file, to be read through what a subclass makes of `readinto`."""

    def __init__(self, file: BinaryIO | _Around, where: str) -> None:
        self.file, self.where = file, where

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def readable(self) -> bool:
        return True

    seekable = readable


class Sparing(_Around):
    """A file that reads at most so many bytes at once, and raises if asked for more.

    Texts of any length lie in heaps, which HDF5 reads in one piece, and a few bytes can name the same long text a million times: of this file,
    no text is longer than `most` and 4096 bytes."""

    def __init__(self, file: BinaryIO | _Around, most: int, where: str) -> None:
        super().__init__(file, where)
        self.most = most

    def readinto(self, buffer: Any) -> int:
        if len(buffer) > self.most:
            raise ResourceLimitError(self.where, need=f"texts of at most {self.most:,} bytes in such an attribute", got="more", rule="hdf5-attribute")
        return self.file.readinto(buffer)  # type: ignore[attr-defined]


class Heaps(_Around):
    """An HDF5 file whose heaps of texts are looked at when they are first read: in a damaged one the library goes round for ever."""

    MARK, HEAD, MOST = b"GCOL\1\0\0\0", 16, 1 << 16  # how a heap begins; bytes before each text; texts, as their numbers have two bytes

    def readinto(self, buffer: Any) -> int:
        place = self.file.tell()
        count = self.file.readinto(buffer)  # type: ignore[attr-defined]
        if count >= self.HEAD and bytes(memoryview(buffer).cast("B")[:8]) == self.MARK:
            self._check(place, int.from_bytes(memoryview(buffer).cast("B")[8:16], "little"))
            self.file.seek(place + count)
        return count

    def _check(self, start: int, size: int) -> None:
        """Each text ends within the heap; one with the number 0 is the free rest."""
        place = self.HEAD
        for _ in range(self.MOST):
            if size - place < self.HEAD:
                return
            self.file.seek(start + place)
            head = self.file.read(self.HEAD)
            length = int.from_bytes(head[8:], "little")
            if head[:2] == b"\0\0":
                if len(head) == self.HEAD and length == size - place:
                    return
                break
            place += self.HEAD + (length + 7) // 8 * 8
            if place > size:
                break
        raise CorruptFileError(self.where, need="texts within their heap", got=f"others in the heap at byte {start:,}", rule="hdf5-damaged")
