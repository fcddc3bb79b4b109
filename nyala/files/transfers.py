# SPDX-License-Identifier: Apache-2.0
"""A file from a URL: what comes is kept beside its place until it is whole and right, and an interrupted download goes on where it stopped.

A part belongs to one address, one hash and one version of the file; a server that sends anything else begins anew. Knows neither caches nor
archives. Start at download; Part is what has come so far.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import stat
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from nyala.core.errors import NyalaError
from nyala.files import atomic, json_text
from nyala.files.errors import FileError, UnsafeFileError

TIMEOUT = 60.0  # seconds without a byte
PAUSES = (0.2, 0.5, 1.0, 2.0)  # seconds before a broken connection is made again, each time in one call
FLUSH = 1.0  # seconds after which what came is flushed to the disk and noted
CHUNK = 1 << 18
MAX_NOTE = 4096
BUSY = (408, 425, 429, 500, 502, 503, 504)  # answers of servers that may say something else soon


class DownloadError(NyalaError, OSError):
    """A file did not come, or did not come as it should."""

    __str__ = Exception.__str__  # OSError would show its own fields


class _Broken(Exception):
    """The connection ended, or was not made; the text says how. What has come is as good as before, and kept says how much of it stays."""

    kept = ""


class Version(NamedTuple):
    """How a server tells one version of a file from any other: a header, its value, and the number of bytes."""

    field: str
    value: str
    length: int


class Part:
    """The first bytes of a file, hashed, and a note which file they are of; only what has been flushed to the disk is noted.

    Args:
        file: open to read and write.
        note: file of the note, likewise.
        key: stands for the download: its address and what its hash must be.
        algorithm: of the hash.
    """

    def __init__(self, file: BinaryIO, note: BinaryIO, key: str, algorithm: str) -> None:
        self.file, self.note, self.key, self.algorithm = file, note, key, algorithm
        self.version: Version | None = None
        self.size = self.came = 0  # bytes in all, and in this call
        self.digest = hashlib.new(algorithm, usedforsecurity=False)
        self._flushed = time.monotonic()

    def take_up(self) -> None:
        """Go on from the bytes that the note is about."""
        with contextlib.suppress(FileError):
            match json_text.read(self.note.read(MAX_NOTE + 1), "a note", MAX_NOTE):
                case {"key": self.key, "field": "ETag" | "Last-Modified" as field, "value": str(value), "length": int(length), "size": int(size)}:
                    # One byte is always asked for again, so that the server says whether it still has this version.
                    size = min(size, length - 1, os.fstat(self.file.fileno()).st_size)
                    if size > 0 and _is_plain(value):
                        self.version, self.size = Version(field, value, length), size
                        self.file.truncate(size)
        while self.size and (chunk := self.file.read(CHUNK)):
            self.digest.update(chunk)

    def begin(self, version: Version | None) -> None:
        """Empty it, for this version of the file; None: one that cannot be told from others."""
        self.note.seek(0)
        self.note.truncate()
        os.fsync(self.note.fileno())  # before bytes of another version come
        self.file.seek(0)
        self.file.truncate()
        self.digest = hashlib.new(self.algorithm, usedforsecurity=False)
        self.size, self.version = 0, version

    def write(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.digest.update(chunk)
        self.size += len(chunk)
        self.came += len(chunk)
        if self.version is not None and time.monotonic() - self._flushed > FLUSH:
            self.save()

    def save(self) -> None:
        """Flush what came to the disk, then note it."""
        self.flush()
        if self.version is not None:
            self.note.seek(0)
            self.note.write(json.dumps({"key": self.key, **self.version._asdict(), "size": self.size}).encode())
            self.note.truncate()
            self.note.flush()
        self._flushed = time.monotonic()

    def flush(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def goes_on_with(self, headers: Any) -> bool:
        """Whether an answer brings exactly the bytes that are missing, of the same version."""
        if self.version is None or headers.get("Content-Encoding") or headers.get(self.version.field) != self.version.value:
            return False
        length = self.version.length
        return headers.get("Content-Range") == f"bytes {self.size}-{length - 1}/{length}" and _length(headers) in (None, length - self.size)


def download(origin: str, path: pathlib.Path, wanted: str | None, algorithm: str, max_bytes: int) -> None:
    """Get a file; what is at path already stays as it was until the new one is whole and right. One caller for each path at a time.

    Args:
        origin: http, https or file URL.
        path: where it goes; a link of the name is replaced, not followed.
        wanted: what its hash must be.
        algorithm: of the hash.
        max_bytes: that it may have.
    Raises: DownloadError. What has come then stays beside path for the next call if the connection broke, or the program was ended,
        and the server had said which version of the file it sends; else nothing stays.
    """
    where = f"get_file({origin!r})"
    print(f"Downloading data from {origin}")
    key = hashlib.sha256(json.dumps([origin, algorithm, wanted]).encode()).hexdigest()
    try:
        with _part(path, key, algorithm) as part:
            _receive_all(where, origin, part, path.parent, max_bytes)
            if wanted is not None and part.digest.hexdigest() != wanted:
                raise DownloadError(
                    where,
                    need=f"a file whose {algorithm} is {wanted}",
                    got=f"one of {part.size:,} bytes whose {algorithm} is {part.digest.hexdigest()}",
                    why="it is another file, or was damaged on the way",
                    fix="check the URL and the hash; nothing was kept",
                )
    except _Broken as error:
        fix = f"check the connection, or put the file at {str(path)!r} yourself"
        raise DownloadError(where, need="the file", got=str(error), why=error.kept, fix=fix) from error.__cause__
    except NyalaError:
        raise
    except OSError as error:
        fix = f"make room, or put the file at {str(path)!r} yourself"
        raise DownloadError(where, need="the file", got=f"an error where it is written: {error}", fix=fix) from error


@contextlib.contextmanager
def _part(path: pathlib.Path, key: str, algorithm: str) -> Iterator[Part]:
    """What has come of a download, which gets its name when the block ends well; else it is kept or removed, see download."""
    place = path.with_name(f".{path.name}.{key[:32]}.part")
    note = place.with_suffix(".json")
    kept = False
    try:
        with _own(place) as file, _own(note) as noted:
            part = Part(file, noted, key, algorithm)
            try:
                part.take_up()
                yield part
                part.flush()
            except BaseException as error:
                if part.version is not None and part.size and (isinstance(error, _Broken) or not isinstance(error, Exception)):
                    with contextlib.suppress(OSError):
                        part.save()
                        kept = True
                    if isinstance(error, _Broken) and kept:
                        error.kept = f"{part.size:,} of {part.version.length:,} bytes are kept; the next call goes on after them"
                raise
        atomic.put(place, path)
    finally:
        for one in () if kept else (place, note):
            with contextlib.suppress(OSError):
                one.unlink(missing_ok=True)
    atomic.sync_folder(path.parent)
    for name in os.listdir(path.parent):  # parts of the same file from another address, or with another hash
        if re.fullmatch(re.escape(f".{path.name}.") + r"[0-9a-f]{32}\.(part|json)", name):
            with contextlib.suppress(OSError):
                path.with_name(name).unlink()


@contextlib.contextmanager
def _own(path: pathlib.Path) -> Iterator[BinaryIO]:
    """A file to read and write, new if there is none. What is no plain file, or has a second name, is not followed but removed."""
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            path.unlink()
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o666), "r+b") as file:
        yield file


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows http and https only, and never from https to http."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        allowed = ("https",) if req.type == "https" else ("https", "http")
        if urllib.parse.urlsplit(newurl).scheme not in allowed:
            raise UnsafeFileError(
                "get_file(origin)",
                need=f"redirections to {' or '.join(allowed)}",
                got=f"one to {newurl!r}",
                why=f"{req.full_url!r} is what you asked for",
                fix="ask for the other address yourself, if you trust it",
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _receive_all(where: str, origin: str, part: Part, folder: pathlib.Path, max_bytes: int) -> None:
    """Bring what is missing of a part, over as many connections as that takes, within reason."""
    for pause in (*PAUSES, None):
        try:
            return _receive(where, origin, part, folder, max_bytes)
        except _Broken:
            if pause is None or part.version is None or not part.came:
                raise
            time.sleep(pause)


def _receive(where: str, origin: str, part: Part, folder: pathlib.Path, max_bytes: int) -> None:
    """Bring what is missing of a part, over one connection."""
    from nyala.utils.progbar import Progbar

    with _answer(where, origin, part) as source:
        total = part.version.length if part.version else _length(source.headers)
        room = min(max_bytes, part.size + shutil.disk_usage(folder).free)
        if part.size:
            print(f"Going on after {part.size:,} of {total:,} bytes")
        if (total or 0) > room:
            raise _too_large(where, total or 0, room)
        bar = Progbar(total, unit_name="byte") if total and sys.stdout is not None and sys.stdout.isatty() else None
        shown = time.monotonic()
        while chunk := _read(source):
            size = part.size + len(chunk)
            if total is not None and size > total:
                raise DownloadError(where, need=f"the {total:,} bytes that the server announced", got="more", fix="check the URL")
            if size > room:
                raise _too_large(where, size, room)
            part.write(chunk)
            if bar is not None and (time.monotonic() - shown > 0.1 or size == total):
                shown = time.monotonic()
                bar.update(size)
    if total is not None and part.size < total:
        raise _Broken(f"no answer, or half of one: {part.size:,} of {total:,} bytes came")


def _read(source: Any) -> bytes:
    with _network():
        return source.read1(CHUNK)


def _answer(where: str, origin: str, part: Part) -> Any:
    """An answer that brings what is missing: the rest, else the whole file; then the part is empty."""
    from nyala import __version__

    request = urllib.request.Request(origin, headers={"User-Agent": f"nyala/{__version__}", "Accept-Encoding": "identity"})
    if part.size and part.version is not None:
        request.add_header("Range", f"bytes={part.size}-")
        request.add_header("If-Range", part.version.value)
    with _network():
        try:
            source = urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)
        except urllib.error.HTTPError as error:
            source = error
    status, headers = source.status or 200, source.headers  # files have none
    if part.size and status == 206 and part.goes_on_with(headers):
        return source
    packing = headers.get("Content-Encoding", "identity").strip().lower()
    if status == 200 and (packing == "identity" or (packing in ("gzip", "x-gzip") and urllib.parse.urlsplit(origin).path.endswith((".gz", ".tgz")))):
        part.begin(_version(headers))
        return source
    source.close()
    if part.size and status in (206, 416):
        part.begin(None)
        return _answer(where, origin, part)
    if status == 200:
        raise DownloadError(where, need="the file as it is", got=f"one packed with {packing[:40]!r}", fix="get it by hand, or from another address")
    if status in BUSY:
        raise _Broken(f"the answer {status} {source.reason}")
    raise DownloadError(where, need="the file", got=f"the answer {status} {source.reason}", fix="check the URL")


@contextlib.contextmanager
def _network() -> Iterator[None]:
    """Errors of the network, and of servers that do not speak its language, as _Broken."""
    try:
        yield
    except NyalaError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Broken(f"no answer, or half of one: {getattr(error, 'reason', None) or error}") from error


def _too_large(where: str, size: int, room: int) -> DownloadError:
    return DownloadError(where, need=f"at most {room:,} bytes", got=f"{size:,} or more", why="max_bytes, or the disk, has no room for more")


def _version(headers: Any) -> Version | None:
    """The version that an answer is of: by its ETag, else by the date of its last change, if a second change would have had another one."""
    etag, changed, length = headers.get("ETag", ""), headers.get("Last-Modified", ""), _length(headers)
    if length is None or headers.get("Content-Encoding"):
        return None
    if _is_plain(etag) and re.fullmatch('"[^"]*"', etag):  # others are weak, for files that are only much the same
        return Version("ETag", etag, length)
    if _is_plain(changed) and _seconds(changed) + 1 < _seconds(headers.get("Date", "")):
        return Version("Last-Modified", changed, length)
    return None


def _length(headers: Any) -> int | None:
    declared = headers.get("Content-Length", "")
    return int(declared) if re.fullmatch("[0-9]{1,18}", declared) else None


def _is_plain(value: str) -> bool:
    """Whether the value of a header is one that can be sent back."""
    return re.fullmatch("[ -~]{1,200}", value) is not None


def _seconds(date: str) -> float:
    """A date as seconds; nan if it is none."""
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return float("nan")
