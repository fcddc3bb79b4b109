# SPDX-License-Identifier: Apache-2.0
"""Archives from elsewhere: tar and zip files are unpacked whole, inside one new folder, or not at all.

Every name is checked before the first byte is written: no absolute names, no "..", no drives, no links, no devices, no doubles.
Links are never made, so nothing that is written can lead out. Start at extract.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import pathlib
import shutil
import stat
import tarfile
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from nyala.core.errors import ArgumentError
from nyala.files.archive import RESERVED, hides
from nyala.files.atomic import put_folder, sync_file, sync_folder
from nyala.files.errors import UnsafeFileError

FORMATS = ("auto", "tar", "zip")
MAX_MEMBERS = 2_000_000
FLUSHED_ALONE = 200  # files, at most
BROKEN = (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError)


class Member(NamedTuple):
    """A file of an archive: its path, its declared size, whether it may be run, and what opens it."""

    parts: tuple[str, ...]
    size: int
    executable: bool
    open: Callable[[], IO[bytes]]


def extract(archive: pathlib.Path, target: pathlib.Path, archive_format: Any = "auto", max_bytes: int = 64 << 30) -> None:
    """Unpack an archive into a new folder, which takes the place of target when it is whole.

    Args:
        archive: the file.
        target: the folder to make.
        archive_format: "tar" (also compressed), "zip", "auto", or a list of these.
        max_bytes: that its files may have together.
    Raises: UnsafeFileError for an archive that must not be unpacked; ArgumentError for one that cannot be. Neither leaves anything behind.
    """
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent))
    try:
        with _opened(archive, archive_format) as members:
            _check(archive, members, min(max_bytes, shutil.disk_usage(folder).free))
            for member in members:
                _write(archive, member, folder)
            _flush([folder.joinpath(*member.parts) for member in members])
        os.chmod(folder, 0o755)
        put_folder(folder, target)
        sync_folder(target.parent)
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system, as a full disk
            error.add_note(f"{str(target)!r} is as it was before")
            raise
        raise ArgumentError("extract", need="a whole archive", got=f"{str(archive)!r}: {error}", fix="get the file again") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _flush(paths: list[pathlib.Path]) -> None:
    """Have the disk keep what was written, before the folder has its name: file by file, or all at once where there are many."""
    if len(paths) > FLUSHED_ALONE and hasattr(os, "sync"):
        os.sync()
        return
    for path in paths:
        with path.open("rb") as file:
            sync_file(file)


@contextlib.contextmanager
def _opened(archive: pathlib.Path, archive_format: Any) -> Iterator[list[Member]]:
    """The files of an archive."""
    formats = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    if not formats or set(formats) - set(FORMATS):
        raise ArgumentError("archive_format", need="'auto', 'tar', 'zip', a list of these, or None", got=repr(archive_format))
    if {"auto", "zip"} & set(formats) and zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            yield _zip_members(archive, opened)
    elif {"auto", "tar"} & set(formats) and tarfile.is_tarfile(archive):
        with tarfile.open(archive, "r:*") as opened:
            yield _tar_members(archive, opened)
    else:
        words = " or ".join("zip or tar" if name == "auto" else name for name in formats)
        raise ArgumentError("extract", need=f"a {words} archive", got=f"{str(archive)!r}, which is none", fix="check what the URL gives")


def _zip_members(archive: pathlib.Path, opened: zipfile.ZipFile) -> list[Member]:
    members = []
    for info in opened.infolist():
        mode = info.external_attr >> 16
        if info.flag_bits & 1:
            raise _unsafe(archive, info.filename, "it is encrypted")
        if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _unsafe(archive, info.filename, "it is a link or a device")
        if hides(info):
            raise _unsafe(archive, info.filename, "it is a folder, with contents that nobody would see")
        parts = _parts(archive, info.orig_filename)
        if not info.is_dir():
            members.append(Member(parts, info.file_size, bool(mode & 0o100), lambda info=info: opened.open(info)))
    return members


def _tar_members(archive: pathlib.Path, opened: tarfile.TarFile) -> list[Member]:
    members = []
    for info in opened:
        if info.isdir():
            _parts(archive, info.name)
            if info.size:
                raise _unsafe(archive, info.name, "it is a folder, with contents that nobody would see")
        elif not info.isreg() or info.issparse():
            raise _unsafe(archive, info.name, "it is a link, a device or a sparse file")
        else:
            members.append(
                Member(_parts(archive, info.name), info.size, bool(info.mode & 0o100), lambda info=info: _required(opened.extractfile(info)))
            )
        if len(members) > MAX_MEMBERS:
            break
    return members


def _required(file: IO[bytes] | None) -> IO[bytes]:
    if file is None:
        raise EOFError("a member has no contents")
    return file


def _parts(archive: pathlib.Path, name: str) -> tuple[str, ...]:
    """A name as parts that are safe as names of files everywhere."""
    parts = tuple(part for part in name.rstrip("/").split("/") if part != ".")
    if name.startswith("/") or "\\" in name or ":" in name or "\0" in name:
        raise _unsafe(archive, name, "its name is absolute, or has characters that lead elsewhere")
    for part in parts:
        if part in ("", "..") or part.endswith((" ", ".")) or len(part.encode(errors="replace")) > 255 or RESERVED.fullmatch(part):
            raise _unsafe(archive, name, f"its name has the part {part[:40]!r}")
    return parts


def _check(archive: pathlib.Path, members: list[Member], max_bytes: int) -> None:
    """No doubles, on file systems that know no case either; no file where a folder is; not too many, not too large."""
    files = [tuple(unicodedata.normalize("NFC", part).casefold() for part in member.parts) for member in members]
    folders = {parts[:i] for parts in files for i in range(1, len(parts))}
    seen: set[tuple[str, ...]] = set()
    for member, parts in zip(members, files, strict=True):
        if not parts or parts in seen or parts in folders:
            raise _unsafe(archive, "/".join(member.parts), "another member has its name")
        seen.add(parts)
    size = sum(member.size for member in members)
    if len(members) > MAX_MEMBERS or size > max_bytes:
        raise UnsafeFileError(
            "extract",
            need=f"an archive of at most {MAX_MEMBERS:,} files and {max_bytes:,} bytes",
            got=f"{str(archive)!r} of {len(members):,} and {size:,}",
            why="more does not fit, or is not expected",
            rule="archive-size",
        )


def _write(archive: pathlib.Path, member: Member, folder: pathlib.Path) -> None:
    path = folder.joinpath(*member.parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with member.open() as source, path.open("xb") as file:
        left = member.size
        while chunk := source.read(1 << 20):
            left -= len(chunk)
            if left < 0:
                raise _unsafe(archive, "/".join(member.parts), "it is larger than it says")
            file.write(chunk)
    if left:
        raise EOFError(f"{'/'.join(member.parts)!r} ends {left} bytes early")
    os.chmod(path, 0o755 if member.executable else 0o644)


def _unsafe(archive: pathlib.Path, name: str, why: str) -> UnsafeFileError:
    return UnsafeFileError(
        "extract",
        need="files below one folder",
        got=f"{name[:200]!r} in {str(archive)!r}",
        why=why,
        fix="nothing was unpacked; do it by hand if you trust it",
        rule="archive-name",
    )
