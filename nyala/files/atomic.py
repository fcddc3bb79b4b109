# SPDX-License-Identifier: Apache-2.0
"""Old or new, never half: files are written beside their target, flushed to the disk, looked at, and renamed when whole.

Whatever fails (a full disk, a signal, a mistake in the block), the target stays as it was and what was begun is removed.
Start at replacing; folders go through replacing_folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import pathlib
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

LARGE, MOST = 1 << 20, 1 << 22  # bytes of a piece that is worth a call of its own, and of the largest that is written at once


@contextlib.contextmanager
def replacing(path: Any, verify: Callable[[BinaryIO], Any] | None = None) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of path when the block ends well; else path stays as it was.

    Args:
        path: of the file; a link is followed, and stays a link.
        verify: reads the whole file once more before it gets its name, and raises if it is not right.

    >>> import tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp(), "a.txt")
    >>> with replacing(path) as file:
    ...     _ = file.write(b"whole")
    >>> path.read_bytes()
    b'whole'
    """
    target = _target(path)
    temporary = _beside(target)
    try:
        with _create(temporary) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if verify is not None:
                file.seek(0)
                verify(file)
        put(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.add_note(f"{str(target)!r} is as it was before")
        raise
    sync_folder(target.parent)


@contextlib.contextmanager
def replacing_folder(path: Any, verify: Callable[[pathlib.Path], Any] | None = None) -> Iterator[pathlib.Path]:
    """A new folder to fill, which takes the place of path when the block ends well; all files in it are flushed to the disk first.

    An existing folder at path is removed once the new one is there. Where the system can swap two names in one step there is always one of
    them at path; elsewhere the old one waits beside it for an instant, as ".<name>.<number>.old".
    """
    target = _target(path)
    temporary = _beside(target)
    try:
        temporary.mkdir()
        yield temporary
        for folder, _, files in os.walk(temporary, topdown=False):
            for name in files:
                with open(os.path.join(folder, name), "rb") as file:
                    sync_file(file)
            sync_folder(pathlib.Path(folder))
        if verify is not None:
            verify(temporary)
        put_folder(temporary, target)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            error.add_note(f"{str(target)!r} is as it was before")
        raise
    sync_folder(target.parent)


def write_bytes(path: Any, content: bytes) -> None:
    """Write a whole file, or leave the old one."""
    with replacing(path) as file:
        file.write(content)


def put(temporary: pathlib.Path, target: pathlib.Path) -> None:
    """Give a file that is whole, and flushed, its name; it takes the mode of the one that had it."""
    if target.exists():
        shutil.copymode(target, temporary)
    os.replace(temporary, target)


def sync_folder(folder: pathlib.Path) -> None:
    """Make the names in a folder survive a loss of power, where the system can."""
    if sys.platform != "win32":
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _target(path: Any) -> pathlib.Path:
    path = pathlib.Path(os.fspath(path))
    return pathlib.Path(os.path.realpath(path)) if path.is_symlink() else path


def _beside(target: pathlib.Path) -> pathlib.Path:
    return target.with_name(f".{target.name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.part")


def _create(path: pathlib.Path) -> BinaryIO:
    return io.BufferedRandom(_Early(path, "x+b"))


class _Early(io.FileIO):
    """A file whose large pieces set out for the disk when they are written, so that the flush at the end has less to wait for.

    That is no more than a hint, where the system takes one; what is on the disk is known after the flush alone."""

    def write(self, data: Any) -> int:
        view, done = memoryview(data).cast("B"), 0
        while done < len(view):
            count = super().write(view[done : done + MOST])
            done += count
            if count >= LARGE and hasattr(os, "posix_fadvise"):
                with contextlib.suppress(OSError):  # Linux begins to write what it is told to forget, and keeps it until it is written
                    os.posix_fadvise(self.fileno(), self.tell() - count, count, os.POSIX_FADV_DONTNEED)
        return done


def sync_file(file: BinaryIO) -> None:
    """Flush a file that is open for reading, where the system can."""
    if sys.platform != "win32":  # a file that is open for reading cannot be flushed there
        os.fsync(file.fileno())


def put_folder(temporary: pathlib.Path, target: pathlib.Path) -> None:
    """Give a folder that is whole, and flushed, its name; what had it is removed."""
    if not target.exists():
        os.replace(temporary, target)
        return
    if _swap(temporary, target):
        _remove(temporary)
        return
    old = temporary.with_suffix(".old")
    os.replace(target, old)
    try:
        os.replace(temporary, target)
    except BaseException:
        os.replace(old, target)
        raise
    _remove(old)


def _remove(path: pathlib.Path) -> None:
    """Delete a folder with all in it, or a file, as far as the system lets us."""
    shutil.rmtree(path, ignore_errors=True)
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _find_rename() -> Callable[..., int]:
    """The function of the C library that can exchange two names. It is looked up once: while a hostile file is unpacked, nothing is."""
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # another C library, or another system
        return lambda *arguments: -1


_rename = _find_rename() if sys.platform.startswith("linux") else lambda *arguments: -1


def _swap(one: pathlib.Path, other: pathlib.Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    at_working_folder, exchange = -100, 2
    return _rename(at_working_folder, os.fsencode(one), at_working_folder, os.fsencode(other), exchange) == 0
