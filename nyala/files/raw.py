# SPDX-License-Identifier: Apache-2.0
"""Bytes below the formats: of arrays, and of files that are parts of others, remember errors, give out no large pieces or look at what HDF5 reads.

Start at pieces and fill, and at Sparing and Heaps for what keeps texts in HDF5 files short and whole.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np

from nyala.files.errors import CorruptFileError, ResourceLimitError

PIECE = 1 << 18  # bytes that are looked at together: few enough that they stay in the cache of a core
HALVES = 1 << 22  # bytes from which two threads read, as much of the time goes into memory that nobody touched yet


def bytes_of(array: np.ndarray) -> Any:
    """The bytes of an array, copied only if they do not lie in order."""
    return np.ascontiguousarray(array).reshape(-1).view("uint8").data if array.size else b""


def pieces(file: BinaryIO, place: int, size: int) -> Iterator[memoryview] | None:
    """Some bytes of a file, in pieces, each gone when the next is asked for; by several threads at a time. None where the system cannot."""
    found = _located(file, place, size)
    return None if found is None else _pieces(*found, size)


def _pieces(number: int, place: int, left: int) -> Iterator[memoryview]:
    buffer = memoryview(bytearray(min(left, PIECE)))
    while left and (count := os.preadv(number, [buffer[:left]], place)):
        yield buffer[:count]
        place, left = place + count, left - count


def fill(file: BinaryIO, place: int, target: np.ndarray) -> bool:
    """Read bytes of a file straight into an array. False where the system cannot, or the file ends before: it then holds nothing of use."""
    view = bytes_of(target)
    found = _located(file, place, len(view))
    if found is None:
        return False
    number, begin = found
    if len(view) < HALVES:
        return _fill(number, begin, view)
    half = len(view) // 2
    with ThreadPoolExecutor(1) as beside:
        second = beside.submit(_fill, number, begin + half, view[half:])
        return _fill(number, begin, view[:half]) and second.result()


def _fill(number: int, place: int, view: memoryview) -> bool:
    while view and (count := os.preadv(number, [view], place)):
        place, view = place + count, view[count:]
    return not view


def _located(file: Any, place: int, size: int) -> tuple[int, int] | None:
    """The number that the system has for a file, and the place in there; None for files of other kinds, and for bytes that are not within it."""
    while isinstance(file, Slice):
        if place + size > file.size:
            return None
        file, place = file.file, place + file.start
    plain = isinstance(file, (io.BufferedReader, io.BufferedRandom)) and isinstance(file.raw, io.FileIO)
    return (file.fileno(), place) if plain and hasattr(os, "preadv") else None


class Slice(io.RawIOBase):
    """A part of a file as a file. It can be written to, and grow, where the file ends with it."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        self.file, self.start, self.size, self.place = file, start, size, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.place = max(0, offset + (0, self.place, self.size)[whence])
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")[: max(0, self.size - self.place)]
        self.file.seek(self.start + self.place)
        count = self.file.readinto(view)  # type: ignore[attr-defined]
        self.place += count
        return count

    def write(self, data: Any) -> int:
        self.file.seek(self.start + self.place)
        count = self.file.write(data)
        self.place += count
        self.size = max(self.size, self.place)
        return count

    def truncate(self, size: int | None = None) -> int:
        self.size = self.place if size is None else size
        end = self.start + self.size
        if self.file.seek(0, io.SEEK_END) < end:  # files in memory do not grow when they are cut
            self.file.write(bytes(end - self.file.tell()))
        self.file.truncate(end)
        return self.size

    def readable(self) -> bool:
        return True

    seekable = readable


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
