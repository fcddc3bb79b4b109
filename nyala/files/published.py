# SPDX-License-Identifier: Apache-2.0
"""Files that their makers publish at an address: from the folder of downloads, else from a mirror, else from the address itself.

Knows neither data sets nor networks; they say what a file is called, how large it may be and, where one is published, its hash. Start at fetch.
"""

from __future__ import annotations

import os
import pathlib

from nyala.core.errors import ArgumentError
from nyala.files.downloads import DownloadError, get_file


def place_of(folder: str, name: str) -> pathlib.Path:
    """Where a file is kept: as get_file does it, below NYALA_HOME or ~/.nyala; an absolute name is its own place."""
    home = pathlib.Path(os.environ.get("NYALA_HOME") or "~/.nyala")
    return (home / folder / pathlib.Path(os.fspath(name)).expanduser()).expanduser()


def fetch(
    what: str, origin: str, place: pathlib.Path, digest: str | None, mirror: str, max_bytes: int, size: int | None = None, extract: bool = False
) -> str:
    """The path of a published file, whole and with the right hash; it is got if it is not there yet.

    Args:
        what: what the file is part of, for the error.
        origin: its address.
        place: where it is kept.
        digest: SHA-256 or MD5; None where none is published.
        mirror: name of an environment variable, that may hold a folder, or the address of one, with files under the names they have at their origin.
        max_bytes: that it may have.
        size: that it has, for the error.
        extract: unpack it and return the folder.
    Raises: DownloadError, which says what to put where, if it does not come.
    """
    source = _source(origin, mirror)
    try:
        return get_file(place.name, source, file_hash=digest, cache_dir=place.parent, cache_subdir="", extract=extract, max_bytes=max_bytes)
    except DownloadError as error:
        name = origin.rpartition("/")[2] + (f" ({size:,} bytes)" if size else "")
        fix = f"get {origin} where there is a network and put it at {str(place)!r}, or into a folder that {mirror} names"
        raise DownloadError(what, need=f"{name} from {source}", got=error.got, why=error.why, fix=fix) from error


def _source(origin: str, mirror: str) -> str:
    """The address of a file: on the mirror, if there is one. Hashes are checked either way."""
    named = os.environ.get(mirror)
    if not named:
        return origin
    name = origin.rpartition("/")[2]
    if named.startswith(("https://", "http://")):
        return f"{named.rstrip('/')}/{name}"
    folder = pathlib.Path(named).expanduser()
    if not folder.is_dir():
        raise ArgumentError(mirror, need="a folder, or an address that begins with https://", got=repr(named), fix="correct it, or unset it")
    return (folder.resolve() / name).as_uri()
