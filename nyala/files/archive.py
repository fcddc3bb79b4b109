# SPDX-License-Identifier: Apache-2.0
"""Zip files as a few named members: a reader that believes nothing, and an atomic writer whose files are equal for equal contents.

A file is taken only if there is one way to read it: members follow each other without gaps or overlaps, what each says of itself at its place is what
the directory at the end says, no name comes twice, nothing is encrypted, nothing stands before, after or between. Members are bounded while
they are unpacked and their checksums are compared, whatever they declare. Start at reading and at writing.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnsafeFileError, UnsafePathError
from nyala.files.hdf5 import open_regular
from nyala.files.raw import Slice, pieces

MAX_MEMBERS = 10_000
MAX_DIRECTORY = 16 << 20  # bytes of the directory at the end
CHUNK = 1 << 20
BROKEN = (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, struct.error, KeyError, IndexError)
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # names of devices on Windows
FIXED_TIME = (1980, 1, 1, 0, 0, 0)


class Member:
    """A file in an archive: its name, the size that it has when unpacked, and two ways to its bytes."""

    def __init__(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, start: int, where: str) -> None:
        self._archive, self._info, self._start = archive, info, start
        self.name, self.size = info.filename, info.file_size
        self.packed = info.compress_type != zipfile.ZIP_STORED
        self.where = f"{self.name!r} in {where}"

    def bytes(self, max_bytes: int) -> bytes:
        """All of it; its checksum is right."""
        if self.size > max_bytes:
            raise ResourceLimitError(self.where, need=f"at most {max_bytes:,} bytes", got=f"{self.size:,}", rule="zip-size")
        parts: list[bytes] = []
        self._copy(parts.append)
        return b"".join(parts)

    def start(self, count: int) -> bytes:
        """Its first bytes, unpacked; nothing says yet that they are right."""
        with _translated(self.where), self._archive.open(self._info) as source:
            return source.read(count)

    def chunks(self, max_bytes: int, then: Callable[[bytes], Any]) -> None:
        """Hand all of it over in pieces, and raise at the end if its checksum is not right."""
        if self.size > max_bytes:
            raise ResourceLimitError(self.where, need=f"at most {max_bytes:,} bytes", got=f"{self.size:,}", rule="zip-size")
        self._copy(then)

    @contextlib.contextmanager
    def open(self, max_bytes: int, seen: Callable[[bytes], Any] | None = None) -> Iterator[BinaryIO]:
        """A file that can seek. All of it was read once before and its checksum is right; seen got its bytes on the way.

        A packed member is unpacked into a temporary file; a stored one is read where it is.
        """
        if self.size > max_bytes:
            raise ResourceLimitError(self.where, need=f"at most {max_bytes:,} bytes", got=f"{self.size:,}", rule="zip-size")
        if not self.packed:
            self.check(seen)
            yield Slice(self._archive.fp, self._start, self.size)  # type: ignore[arg-type,misc]
            return
        with tempfile.TemporaryFile() as file:
            self._copy(lambda chunk: (file.write(chunk), seen and seen(chunk)))
            file.seek(0)
            yield file

    def check(self, seen: Callable[[Any], Any] | None = None) -> None:
        """Read all of it once, and raise if its checksum is not right. seen gets its bytes on the way, in pieces that are gone when the next come."""
        found = None
        if not self.packed and self._info.compress_size == self.size:
            with _translated(self.where):
                found = _looked_at(self._archive.fp, self._start, self.size, seen)
                if found not in (None, self._info.CRC):
                    raise zipfile.BadZipFile(f"Bad CRC-32 for file {self.name!r}")
        if found is None:
            self._copy(seen or (lambda chunk: None))

    def _copy(self, then: Callable[[bytes], Any]) -> None:
        left = self.size
        with _translated(self.where):
            with self._archive.open(self._info) as source:
                while chunk := source.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise ResourceLimitError(self.where, need=f"the {self.size:,} bytes that it says it has", got="more", rule="zip-size")
                    then(chunk)
            if left:
                raise CorruptFileError(
                    self.where, need=f"{self.size:,} bytes", got=f"{self.size - left:,}", fix="get the file again", rule="zip-size"
                )


@contextlib.contextmanager
def reading(source: Any, where: str = "", paths: bool = True) -> Iterator[dict[str, Member]]:
    """The members of a zip file by name, in the order of the file.

    Args:
        source: a path, or a binary file that can seek.
        where: what to call it in errors; by default its path.
        paths: whether names must be paths that are safe to write; False for formats whose names are never used as such.
    Raises: CorruptFileError if it is damaged or none; UnsafeFileError, UnsafePathError or ResourceLimitError if there are two ways to read it.
    """
    where = where or ("the file" if hasattr(source, "read") else f"the file {str(source)!r}")
    with open_regular(source, where) as file, contextlib.ExitStack() as stack:
        count = _check_end(file, where)
        with _translated(where):
            opened = stack.enter_context(zipfile.ZipFile(file))
            members = _members(opened, file, where, paths)
        if count != len(opened.infolist()):
            raise UnsafeFileError(where, need="as many members as it says", got=f"{len(opened.infolist())}, not {count}", rule="zip-end")
        yield members


def _check_end(file: BinaryIO, where: str) -> int:
    """The record at the end, before anything is allocated for what it says. Returns how many members there are."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 22))
    end = file.read(22)
    if len(end) < 22 or end[:4] != b"PK\5\6":
        got = "an empty file" if not size else "one that does not end as such: it is cut off, something follows it, or it is of another kind"
        raise CorruptFileError(where, need="a zip file", got=got, fix="get the file again", rule="zip-end")
    disk, first_disk, here, count, length, _, comment = struct.unpack("<4x4H2LH", end)
    if disk or first_disk or here != count or comment:
        raise UnsafeFileError(where, need="a zip file of one piece without a comment", got="another", rule="zip-end")
    if count > MAX_MEMBERS or (length > MAX_DIRECTORY and length != 0xFFFFFFFF):
        raise ResourceLimitError(where, need=f"at most {MAX_MEMBERS:,} members", got=f"{count:,} or more", rule="zip-members")
    file.seek(0)
    return count


def _members(opened: zipfile.ZipFile, file: BinaryIO, where: str, paths: bool) -> dict[str, Member]:
    infos = sorted(opened.infolist(), key=lambda info: info.header_offset)
    if len(infos) > MAX_MEMBERS:
        raise ResourceLimitError(where, need=f"at most {MAX_MEMBERS:,} members", got=f"{len(infos):,}", rule="zip-members")
    members: dict[str, Member] = {}
    seen: set[str] = set()
    end = 0
    for info in infos:
        if paths:
            check_name(info.orig_filename, where)
        shown = f"{info.filename[:100]!r}"
        same = unicodedata.normalize("NFC", info.filename).casefold() if paths else info.orig_filename
        if same in seen:
            raise UnsafeFileError(where, need="each name once", got=f"{shown} twice", why="readers differ in which one counts", rule="zip-duplicate")
        seen.add(same)
        if info.flag_bits & ~0x080E or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UnsafeFileError(where, need="members that are stored or deflated", got=f"{shown}, encrypted or packed otherwise", rule="zip-method")
        if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise UnsafePathError(where, need="members that are files", got=f"{shown}, a link or a device", rule="zip-kind")
        if hides(info):
            raise UnsafeFileError(
                where, need="folders without contents", got=f"{shown} with some", why="who looks at it sees none", rule="zip-folder"
            )
        start = _check_header(info, file, end, where)
        end = _after(info, file, start, where)
        if not info.is_dir():
            members[info.filename] = Member(opened, info, start, where)
    if end != opened.start_dir:
        raise UnsafeFileError(where, need="members that follow each other", got="bytes between them and the directory", rule="zip-gap")
    names = {unicodedata.normalize("NFC", name).casefold() for name in members} if paths else set()
    for name in names:
        parts = name.split("/")
        if any("/".join(parts[:i]) in names for i in range(1, len(parts))):
            raise UnsafePathError(where, need="names that are files or folders", got=f"{name[:100]!r} below a file", rule="zip-name")
    return members


def hides(info: zipfile.ZipInfo) -> bool:
    """Whether a member is a folder with contents, or a folder by its mode and a file by its name."""
    folder = stat.S_IFMT(info.external_attr >> 16) == stat.S_IFDIR
    packed = 2 if info.compress_type == zipfile.ZIP_DEFLATED else 0  # nothing, deflated
    return (folder and not info.is_dir()) or (info.is_dir() and (info.file_size > 0 or info.CRC != 0 or info.compress_size not in (0, packed)))


def check_name(name: str, where: str) -> tuple[str, ...]:
    """The parts of a member's name; raises unless it is a plain path that means the same on every system."""
    parts = name.removesuffix("/").split("/")
    bad = not name or len(name) > 1000 or re.search(r'[\\:\0-\x1f\x7f<>|"?*]', name) or any(unicodedata.category(c) in ("Cf", "Cs") for c in name)
    for part in parts:
        bad = bad or part in ("", ".", "..") or part.endswith((" ", ".")) or len(part.encode(errors="replace")) > 255 or RESERVED.fullmatch(part)
    if bad:
        raise UnsafePathError(
            where, need="names of members that are plain paths below one folder", got=f"{name[:100]!r}", why="others lead elsewhere", rule="zip-name"
        )
    return tuple(parts)


def _check_header(info: zipfile.ZipInfo, file: BinaryIO, expected: int, where: str) -> int:
    """What a member says of itself at its place must be what the directory says. Returns where its bytes begin."""
    if info.header_offset != expected:
        raise UnsafeFileError(where, need="members that follow each other", got=f"a gap or an overlap before {info.filename[:100]!r}", rule="zip-gap")
    file.seek(expected)
    head = file.read(30)
    signature, _, flags, method, _, _, checksum, packed, size, name_length, extra_length = struct.unpack("<4s5H3L2H", head)
    rest = file.read(name_length + extra_length)
    name = rest[:name_length].decode("utf-8" if flags & 0x800 else "cp437")
    streamed = bool(flags & 8)  # sizes and checksum come after the bytes
    says = (signature, flags, method, name, len(rest))
    agree = says == (b"PK\3\4", info.flag_bits, info.compress_type, info.orig_filename, name_length + extra_length)
    agree = agree and (streamed or checksum == info.CRC)
    for here, there in ((packed, info.compress_size), (size, info.file_size)):
        agree = agree and (here == there or here == 0xFFFFFFFF or (streamed and here == 0))
    if 0xFFFFFFFF in (packed, size) and not streamed:
        agree = agree and _large_sizes(rest[name_length:], size == 0xFFFFFFFF, packed == 0xFFFFFFFF) == (info.file_size, info.compress_size)
    if not agree:
        raise UnsafeFileError(
            where, need="members that say the same at both places", got=f"two stories of {info.filename[:100]!r}",
            why="readers differ in which one counts",
            rule="zip-header",
        )  # fmt: skip
    return expected + 30 + name_length + extra_length


def _large_sizes(extra: bytes, has_size: bool, has_packed: bool) -> tuple[int, int] | None:
    """Size and packed size of a large member, from the record for these."""
    while len(extra) >= 4:
        kind, length = struct.unpack("<2H", extra[:4])
        if kind == 1 and length >= 16 and has_size and has_packed:
            return struct.unpack("<2Q", extra[4:20])
        extra = extra[4 + length :]
    return None


def _after(info: zipfile.ZipInfo, file: BinaryIO, start: int, where: str) -> int:
    """Where the next member begins: after the bytes, and after their sizes where these follow them."""
    end = start + info.compress_size
    if not info.flag_bits & 8:
        return end
    file.seek(end)
    tail = file.read(24)
    lead = 4 if tail[:4] == b"PK\7\x08" else 0
    for form in ("<3L", "<LQQ"):
        length = struct.calcsize(form)
        if struct.unpack(form, tail[lead : lead + length].ljust(length, b"\0")) == (info.CRC, info.compress_size, info.file_size):
            return end + lead + length
    raise UnsafeFileError(where, need="members that say the same at both places", got=f"two stories of {info.filename[:100]!r}", rule="zip-header")


@contextlib.contextmanager
def _translated(where: str) -> Iterator[None]:
    """What the library says of damaged files, as one error."""
    try:
        yield
    except FileError:
        raise
    except BROKEN as error:
        raise CorruptFileError(
            where, need="a whole zip file", got=f"one that cannot be read ({str(error)[:200]})", fix="get the file again", rule="zip-damaged"
        ) from error


@contextlib.contextmanager
def writing(target: Any) -> Iterator[Callable[..., None]]:
    """A zip file to fill: the block gets a function (name, content) that adds a member, stored as it is.

    Content is bytes, or a function that is given a binary file to fill, which is the member itself. A third argument, a function, gets all bytes of
    the member as they are in the file. A path gets the whole file when the block ends well, else it stays as it was; an open file is filled.

    >>> file = io.BytesIO()
    >>> with writing(file) as add:
    ...     add("a.txt", b"text")
    >>> with reading(file) as members:
    ...     members["a.txt"].bytes(100)
    b'text'
    """
    if not hasattr(target, "write"):
        with replacing(target, verify=check) as file, writing(file) as add:
            yield add
        return
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:

        def add(name: str, content: Any, seen: Callable[[bytes], Any] | None = None) -> None:
            check_name(name, "a zip file to be written")
            info = zipfile.ZipInfo(name, FIXED_TIME)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            info.create_system = 3
            if callable(content):
                _fill(archive, info, content, seen)
                return
            if seen is not None:
                seen(content)
            archive.writestr(info, content)

        yield add


def _fill(archive: zipfile.ZipFile, info: zipfile.ZipInfo, content: Callable[[BinaryIO], Any], seen: Callable[[bytes], Any] | None) -> None:
    """Add a member that is written in any order, in place: its header is written again when size and checksum are known."""
    file: Any = archive.fp
    info.header_offset, info.CRC = archive.start_dir, 0
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=True))
    begin = file.tell()
    content(Slice(file, begin, 0))  # type: ignore[arg-type]
    archive.start_dir = file.seek(0, io.SEEK_END)
    info.file_size = info.compress_size = archive.start_dir - begin
    file.flush()
    found = _looked_at(file, begin, info.file_size, seen)
    if found is None:
        found = 0
        file.seek(begin)
        while chunk := file.read(CHUNK):
            found = zlib.crc32(chunk, found)
            if seen is not None:
                seen(chunk)
    info.CRC = found
    file.seek(info.header_offset)
    file.write(info.FileHeader(zip64=True))
    archive.filelist.append(info)
    archive.NameToInfo[info.filename] = info


def _looked_at(file: Any, place: int, size: int, seen: Callable[[bytes], Any] | None) -> int | None:
    """The CRC-32 of some bytes of a file; seen gets them meanwhile, in a thread of its own. None where the system cannot."""
    parts, again = pieces(file, place, size), pieces(file, place, size if seen else 0)
    if parts is None or again is None:
        return None
    with ThreadPoolExecutor(1) as beside:
        other = beside.submit(_each, again, seen)
        total = functools.reduce(lambda total, piece: zlib.crc32(piece, total), parts, 0)
        other.result()
    return total


def _each(parts: Iterable[Any], then: Any) -> None:
    for part in parts:
        then(part)


def check(file: Any, where: str = "the file just written", paths: bool = True) -> None:
    """Raise unless every member of a file can be read and has its checksum."""
    with reading(file, where, paths) as members:
        for member in members.values():
            member.check()
