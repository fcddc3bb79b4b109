# SPDX-License-Identifier: Apache-2.0
"""A folder of checkpoints: each a folder of its own with a state in JSON, arrays, and a manifest of their SHA-256 sums that is written last.

    runs/a/checkpoint-00000007/manifest.json, state.json, arrays.bin
    runs/a/bad-checkpoint-00000006/     one whose sums were wrong: kept, never used
    runs/a/lock.json                    the process that writes here

A checkpoint gets its name in one step when it is whole and was read again. Only the three files of a checkpoint are ever deleted. No clock and no
time of a file counts, so that folders may be copied. Knows nothing of models. Start at CheckpointFolder.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import pathlib
import re
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from nyala.core.dtypes import numpy_dtype, standardize_dtype
from nyala.core.errors import StateError
from nyala.files import json_text
from nyala.files.atomic import replacing_folder
from nyala.files.checkpoint_lock import Lock
from nyala.files.checkpoint_state import decode, encode
from nyala.files.errors import CorruptFileError, FileError, translated

MANIFEST, STATE, ARRAYS = "manifest.json", "state.json", "arrays.bin"
CONTENT = (STATE, ARRAYS)
LARGEST_MANIFEST = 4096
FORMAT = 1
CHUNK = 1 << 20
_NAME = re.compile(r"checkpoint-\d{8}")
_BAD = re.compile(r"bad-checkpoint-(\d{8})(-\d+)?")
_PART = re.compile(r"\.checkpoint-\d{8}\.\d+-[0-9a-f]{8}\.part")


class CheckpointFolder:
    """Checkpoints of one run. Used as a context manager it is locked against other writers, and must be to write.

    Args:
        path: of the folder; made when it is locked.
        where: who uses it, for errors.
    """

    def __init__(self, path: Any, where: str = "checkpoints") -> None:
        self.path = pathlib.Path(os.path.abspath(os.fspath(path)))
        self.where = f"{where}({str(self.path)!r})"
        self._lock = Lock(self.path, self.where)

    def __enter__(self) -> CheckpointFolder:
        if self.path.exists() and not self.path.is_dir():
            raise StateError(self.where, need="a folder", got="a file")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock.acquire()
        for part in self._matching(_PART):  # begun by a process that is no more
            _delete(part)
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    # Looking --------------------------------------------------------------------------------------------------------------------------

    def paths(self) -> list[pathlib.Path]:
        """The checkpoints that were finished, oldest first."""
        return self._matching(_NAME)

    def _matching(self, pattern: re.Pattern) -> list[pathlib.Path]:
        if not self.path.is_dir():
            return []
        return sorted(entry for entry in self.path.iterdir() if pattern.fullmatch(entry.name) and entry.is_dir() and not entry.is_symlink())

    def newest(self) -> tuple[pathlib.Path, Any] | None:
        """The newest checkpoint that is whole, and its state; None if there was never one.

        Damaged ones are renamed to bad-..., with a warning. Raises StateError if there are only such."""
        for path in reversed(self.paths()):
            try:
                return path, read(path)
            except FileError as error:
                aside = self._set_aside(path)
                warnings.warn(f"{path.name} is damaged, set aside as {aside.name}: {str(error).splitlines()[0]}", stacklevel=2)
        bad = self._matching(_BAD)
        if bad:
            raise StateError(
                self.where,
                need="a whole checkpoint",
                got=f"{len(bad)} damaged, the last of them {bad[-1].name}",
                why="a run that was under way is not begun again in silence",
                fix="copy the folder from a backup; or remove them, or name another folder, to begin from the start",
            )
        return None

    def _set_aside(self, path: pathlib.Path) -> pathlib.Path:
        names = [f"bad-{path.name}", *(f"bad-{path.name}-{i}" for i in range(1, 1000))]
        aside = next(path.with_name(name) for name in names if not path.with_name(name).exists())
        os.rename(path, aside)
        return aside

    # Writing --------------------------------------------------------------------------------------------------------------------------

    def write(self, state: Any) -> pathlib.Path:
        """Write a checkpoint; it is there when this returns, and not at all if it raises."""
        value, arrays = encode(state, self.where)
        arrays = [np.ascontiguousarray(a) if a.ndim else a for a in arrays]
        self._check_space(sum(a.nbytes for a in arrays))
        self._lock.check()
        numbers = [int(path.name.split("-")[-1]) for path in self.paths()]
        numbers += [int(match[1]) for path in self._matching(_BAD) if (match := _BAD.fullmatch(path.name))]
        path = self.path / f"checkpoint-{max(numbers, default=0) + 1:08d}"

        def check(folder: pathlib.Path) -> None:
            _check_sums(folder)
            self._lock.check()

        with replacing_folder(path, verify=check) as folder:
            sums = {ARRAYS: _write(folder / ARRAYS, _bytes_of(arrays))}
            records = [{"dtype": standardize_dtype(a.dtype), "shape": list(a.shape)} for a in arrays]
            sums[STATE] = _write(folder / STATE, [json_text.write({"format": FORMAT, "arrays": records, "state": value})])
            _write(folder / MANIFEST, [_canonical({"files": sums})])
        return path

    def _check_space(self, needed: int) -> None:
        """Say early that the disk is full; whether it was is known only when all is written."""
        free = shutil.disk_usage(self.path).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed for a checkpoint and {free:,} are free", str(self.path))

    def retain(self, number: int) -> None:
        """Delete all but the newest `number` checkpoints: files that their manifests list, and folders that are empty then."""
        for path in self.paths()[: -max(number, 1)]:
            _delete(path)

    def drop_newest(self, dropped: Callable[[pathlib.Path], bool]) -> None:
        """Delete checkpoints from the newest on, while dropped(path) says so."""
        for path in reversed(self.paths()):
            if not dropped(path):
                return
            _delete(path)

    def clear(self) -> None:
        """Delete all checkpoints, as retain does."""
        for path in self.paths():
            _delete(path)

    def remove_if_empty(self) -> None:
        """Remove the folder itself, unless something is in it."""
        with contextlib.suppress(OSError):
            self.path.rmdir()


# One checkpoint ---------------------------------------------------------------------------------------------------------------------------


def read(path: pathlib.Path) -> Any:
    """The state in one checkpoint. Raises FileError unless all is as it was written."""
    _check_sums(path)
    name = str(path / STATE)
    with _open(path / STATE) as file:
        content = json_text.read(file.read(), name, max_bytes=1 << 30)
    if not isinstance(content, dict) or not isinstance(records := content.get("arrays"), list):
        raise CorruptFileError(name, need="a state", got="something else", rule="checkpoint-state")
    if content.get("format") != FORMAT:
        raise StateError(name, need=f"format {FORMAT}", got=f"{content.get('format')!r}", why="a newer Nyala wrote it", fix="install that one")
    with translated(name, "a state", "checkpoint-state"):
        arrays = list(_read_arrays(path / ARRAYS, records))

    def array(i: int) -> np.ndarray:
        if not 0 <= i < len(arrays):
            raise CorruptFileError(name, need=f"one of {len(arrays)} arrays", got=f"number {i}", rule="checkpoint-state")
        return arrays[i]

    with translated(name, "a state", "checkpoint-state"):
        return decode(content.get("state"), array, name)


def _read_arrays(path: pathlib.Path, records: list) -> Iterator[np.ndarray]:
    left = path.stat().st_size
    with _open(path) as file:
        for record in records:
            shape, dtype = tuple(record["shape"]), numpy_dtype(record["dtype"])
            size = math.prod(shape) * dtype.itemsize
            left -= size
            if left < 0 or any(n < 0 for n in shape):
                raise CorruptFileError(str(path), need="the bytes that its arrays have", got="fewer", rule="checkpoint-arrays")
            stored = np.empty(size, "uint8")
            file.readinto(memoryview(stored))  # type: ignore[attr-defined]
            yield stored.view(dtype.newbyteorder("<") if dtype.kind in "iufc" else dtype).astype(dtype, copy=False).reshape(shape)
    if left:
        raise CorruptFileError(str(path), need="the bytes that its arrays have", got=f"{left} more", rule="checkpoint-arrays")


def _bytes_of(arrays: list[np.ndarray]) -> Iterator[Any]:
    """The values of arrays, little end first."""
    for array in arrays:
        if array.dtype.kind in "iufc":
            array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        yield array.reshape(-1).view("uint8").data


def _write(path: pathlib.Path, parts: Any) -> dict[str, Any]:
    """Write a new file; returns its size and sum, of what was to be written."""
    total, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for part in parts:
            file.write(part)
            total.update(part)
            size += len(part)
    return {"bytes": size, "sha256": total.hexdigest()}


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _manifest(path: pathlib.Path) -> dict[str, Any]:
    """What a manifest says of each file; it must be byte for byte as it is written, so that any change of it is noticed."""
    where = str(path / MANIFEST)
    with _open(path / MANIFEST) as file:
        text = file.read(LARGEST_MANIFEST + 1)
    value = json_text.read(text, where, max_bytes=LARGEST_MANIFEST)
    files = value.get("files") if isinstance(value, dict) else None
    files = files if isinstance(files, dict) else {}
    fits = sorted(files) == sorted(CONTENT) and all(sorted(f) == ["bytes", "sha256"] for f in files.values())
    if not fits or _canonical(value) != text or list(value) != ["files"]:
        raise CorruptFileError(where, need="a manifest", got="something else", rule="checkpoint-manifest")
    return files


def _check_sums(path: pathlib.Path) -> None:
    for name, said in _manifest(path).items():
        total, size = hashlib.sha256(), 0
        with _open(path / name) as file:
            while chunk := file.read(CHUNK):
                total.update(chunk)
                size += len(chunk)
        if {"bytes": size, "sha256": total.hexdigest()} != said:
            raise CorruptFileError(str(path / name), need="the content that was written", got="another SHA-256 sum", rule="checkpoint-sum")


def _open(path: pathlib.Path) -> BinaryIO:
    """A file of a checkpoint to read: a plain one, never a link."""
    try:
        plain = stat.S_ISREG(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise CorruptFileError(str(path), need="a file", got="nothing", rule="checkpoint-missing") from error
    if not plain:
        raise CorruptFileError(str(path), need="a plain file", got="a link, folder or device", rule="checkpoint-link")
    return path.open("rb")


def _delete(path: pathlib.Path) -> None:
    """Delete the files of a checkpoint and its folder. It loses its name first, so that it is never half there; what else lies in it stays."""
    name = path.name.split(".")[-3] if _PART.fullmatch(path.name) else path.name
    part = path.with_name(f".{name}.0-00000000.part")
    if part != path:
        if part.exists():
            _delete(part)
        os.rename(path, part)
    for file in (MANIFEST, *CONTENT):
        with contextlib.suppress(FileNotFoundError):
            (part / file).unlink()
    if not any(part.iterdir()):
        part.rmdir()
        return
    free = next(n for n in ("", *(f"-{i}" for i in range(1, 1000))) if not path.with_name(f"rest-of-{name}{n}").exists())
    os.rename(part, path.with_name(f"rest-of-{name}{free}"))
