# SPDX-License-Identifier: Apache-2.0
"""get_file: a file from a URL, once, whole and checked, in a folder of the user's.

What has the name is whole and right; `transfers` sees to that. Here are names, folders, and the lock that lets in one at a time. Start at get_file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pathlib
import re
import sys
import urllib.parse
from collections.abc import Iterator
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.files.transfers import DownloadError, download
from nyala.files.unpacking import extract as extract_archive
from nyala.layers.arguments import as_choice

__all__ = ["DownloadError", "get_file"]

SCHEMES = ("https", "http", "file")
SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip")
HASHES = {32: "md5", 64: "sha256"}
MAX_NAME = 200  # bytes; names of 255 are possible, and those of parts and locks are longer


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
    max_bytes: int = 64 << 30,
) -> str:
    """The path of a file from a URL, which is got if it is not there yet.

    An interrupted download goes on where it stopped, a few times in one call and then in the next, if the server says which version of the
    file it sends. What has come waits beside the file's place as `.<name>.<number>.part` until then; any other failure removes it.

    Args:
        fname: its name; by default the last part of the URL.
        origin: https, http or file URL.
        untar: as extract.
        md5_hash: old name of file_hash.
        file_hash: what its SHA-256 or MD5 must be, as hexadecimal digits. Without one, nothing but its length is checked.
        cache_subdir: folder in cache_dir.
        hash_algorithm: "sha256", "md5", or "auto" by the number of digits.
        extract: unpack it and return the folder.
        archive_format: "auto", "tar", "zip", a list of these, or None, which unpacks nothing.
        cache_dir: ~/.nyala by default, or what NYALA_HOME names.
        force_download: get it even if it is there.
        max_bytes: that the file, and what is in it, may have.
    Returns: path of the file, or of the folder it was unpacked into.
    Raises: DownloadError if it does not come whole and right; UnsafeFileError for an archive that would write elsewhere.
        An older file of the name stays as it was.

    Differs from Keras: a half file is never found under the name; links in archives are refused; a failed extraction raises.
    """
    if not origin:
        raise ArgumentError("get_file(origin)", need="a URL", got=repr(origin))
    url = urllib.parse.urlsplit(origin)
    if url.scheme not in SCHEMES:
        raise ArgumentError("get_file(origin)", need="an https, http or file URL", got=repr(origin))
    wanted, algorithm = _hash_of(md5_hash if file_hash is None else file_hash, hash_algorithm)
    name = _name(fname, url.path, origin)
    folder = _folder(cache_dir, cache_subdir)
    unpack = (extract or untar) and archive_format is not None
    path, target = folder / name, folder / name
    if extract or untar:
        suffix = next((s for s in SUFFIXES if fname and extract and name.lower().endswith(s)), None)
        path = folder / (name if suffix else f"{name}_archive")
        target = folder / (f"{name[: -len(suffix)]}_extracted" if suffix else name)
    with _locked(folder / f".{name}.lock"):
        fresh = force_download or not path.is_file() or not _matches(path, wanted, algorithm)
        if fresh:
            download(origin, path, wanted, algorithm, max_bytes)
        if unpack and (fresh or not target.is_dir()):
            extract_archive(path, target, archive_format, max_bytes)
    return str(target)


def _name(fname: str | None, url_path: str, origin: str) -> str:
    """A plain name of a file, from the caller or the URL."""
    name = os.fspath(fname) if fname else urllib.parse.unquote(url_path.rpartition("/")[2])
    if not name or name in (".", "..") or re.search(r'[/\\:\0<>|"?*]', name) or name.endswith((" ", ".")):
        what = "get_file(fname)" if fname else "get_file(origin)"
        need = "a plain name, without folders" if fname else "a URL that ends in the name of a file"
        raise ArgumentError(what, need=need, got=repr(fname or origin), fix="folders go into cache_dir and cache_subdir" if fname else "pass fname")
    if len(name.encode(errors="replace")) > MAX_NAME:
        raise ArgumentError("get_file(fname)", need=f"a name of at most {MAX_NAME} bytes", got=repr(name), fix="pass a shorter one")
    return name


def _folder(cache_dir: Any, cache_subdir: str) -> pathlib.Path:
    base = pathlib.Path(os.fspath(cache_dir or os.environ.get("NYALA_HOME") or "~/.nyala")).expanduser()
    folder = base / cache_subdir
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(
            "get_file(cache_dir)", need="a folder that can be written", got=f"{str(folder)!r}: {error}", fix="pass another"
        ) from error
    return folder


def _hash_of(digits: str | None, algorithm: str) -> tuple[str | None, str]:
    as_choice("get_file(hash_algorithm)", algorithm, ("auto", *HASHES.values()))
    if digits is None:
        return None, "sha256"
    digits = digits.lower()
    found = HASHES.get(len(digits)) if re.fullmatch("[0-9a-f]*", digits) else None
    if found is None or algorithm not in ("auto", found):
        raise ArgumentError(
            "get_file(file_hash)", need="64 hexadecimal digits of SHA-256, or 32 of MD5", got=f"{digits!r} with hash_algorithm={algorithm!r}"
        )
    return digits, found


def _matches(path: pathlib.Path, wanted: str | None, algorithm: str) -> bool:
    if wanted is None:
        return True
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest() == wanted


def validate_file(fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 65535) -> bool:
    """Whether a file has a hash: 64 hexadecimal digits of SHA-256, or 32 of MD5. chunk_size is not used."""
    wanted, found = _hash_of(file_hash, algorithm if algorithm in HASHES.values() else "auto")
    return _matches(pathlib.Path(fpath), wanted, found)


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    """Wait until no other process or thread holds this lock; the system takes it back when a process dies."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt

            while True:
                try:
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
                except OSError:  # it gives up after ten seconds
                    continue
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield  # closing the file unlocks it
