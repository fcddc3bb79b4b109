# SPDX-License-Identifier: Apache-2.0
"""HDF5 files as plain trees of groups, arrays and attributes: a reader that follows nothing, and an atomic writer.

HDF5 can point at other files in five ways (external, soft and user-defined links, external storage, virtual datasets), and can declare arrays that
are not there. Here every link is looked at before it is opened, and only hard links to groups and to plain arrays of numbers pass; the whole file is
looked through before anything is returned, and no array is read until its caller says which shape it must have. h5py is used nowhere else.
Start at reading and at writing.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import pathlib
import stat
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from nyala.core.alignment import aligned
from nyala.core.dtypes import FLOAT8, numpy_dtype
from nyala.files import hdf5_chunks
from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnsafeFileError, UnsafePathError
from nyala.files.raw import Heaps, Sparing, Watched, bytes_of, fill, pieces

SIGNATURE = b"\x89HDF\r\n\x1a\n"
MAX_DEPTH = 64
MAX_OBJECTS = 250_000
MAX_ATTRIBUTE = 64 << 20  # bytes
MAX_ATTRIBUTES = 1000  # of one object: each is found by looking through those before it
MAX_TEXT = 1 << 30  # bytes of all texts in an attribute
MAX_DEFLATE = 1032  # the most that deflate can pack into one byte
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32"}
BEYOND_NUMPY = ("bfloat16", *FLOAT8)  # stored as bytes without a meaning, beside an attribute "dtype"
FAILURES = (OSError, RuntimeError, ValueError, KeyError, TypeError, LookupError, NotImplementedError, EOFError, MemoryError)


class Dataset:
    """An array in a file, not read yet.

    Attributes:
        path: "/layers/dense/vars/0".
        shape: what the file declares.
        dtype: its name, "float32"; "bfloat16" if the attribute beside it says so; "void16" for bytes without a meaning.
        attributes: of the dataset, plain values.
    """

    def __init__(
        self, where: str, path: str, handle: Any, shape: tuple[int, ...], dtype: str, attributes: dict[str, Any], file: BinaryIO, end: int
    ) -> None:
        self._where, self._handle, self._file, self._end = where, handle, file, end
        self.path, self.shape, self.dtype, self.attributes = path, shape, dtype, attributes

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that reading it takes."""
        return self.size * (int(self.dtype[4:]) // 8 if self.dtype.startswith("void") else numpy_dtype(self.dtype).itemsize)

    def read(self, shape: Sequence[int] | None = None, dtype: str | None = None) -> np.ndarray:
        """The array.

        Args:
            shape: that it must have, else nothing is read.
            dtype: what bytes without a meaning are, "bfloat16".
        """
        if shape is not None and tuple(shape) != self.shape:
            raise CorruptFileError(self._where, need=f"shape {tuple(shape)} at {self.path!r}", got=f"{self.shape}", rule="hdf5-shape")
        name = self.dtype if dtype is None else dtype
        target = aligned(self.shape, _stored_dtype(name))
        place = self._place() if target.size else None
        with _translated(self._where, self.path):
            import h5py

            kind = self._handle.get_type() if self._opaque else h5py.h5t.py_create(target.dtype)
            if target.size and self._chunked:
                hdf5_chunks.read(self._handle, self._file, self._end, self._where, self.path, target)
            elif target.size and not (place is not None and self._handle.get_type().equal(kind) and fill(self._file, place, target)):
                self._handle.read(h5py.h5s.ALL, h5py.h5s.ALL, target, mtype=kind)
        return target.view(numpy_dtype(name)) if name in BEYOND_NUMPY else target

    def pieces(self) -> Iterator[Any]:
        """Its bytes as they are stored, in pieces; each is gone when the next is asked for."""
        place = self._place()
        found = pieces(self._file, place, self.nbytes) if place is not None else None
        return iter([bytes_of(self.read())]) if found is None else found

    def check(self) -> None:
        """Read it once and forget it, if it is in chunks: what is stored plainly cannot be wrong in itself, if it is there."""
        _ = self.read() if self._chunked else self._place()

    def _place(self) -> int | None:
        """Where its bytes begin in the file, if they lie there in one piece; raises if they do not end in it."""
        with _translated(self._where, self.path):
            place = None if self._chunked else self._handle.get_offset()
        if place is not None and place + self.nbytes > self._end:
            raise CorruptFileError(
                self._where, need=f"the numbers of {self.path!r} in the file", got="none", fix="get the file again", rule="hdf5-damaged"
            )
        return place

    @property
    def _chunked(self) -> bool:
        import h5py

        return self._handle.get_create_plist().get_layout() == h5py.h5d.CHUNKED

    @property
    def _opaque(self) -> bool:
        import h5py

        return self._handle.get_type().get_class() == h5py.h5t.OPAQUE

    def __repr__(self) -> str:
        return f"<Dataset {self.path} {self.shape} {self.dtype}>"


class Group:
    """A folder in a file: `groups`, `datasets` and `attributes` are dicts by name, in the order of the file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.groups: dict[str, Group] = {}
        self.datasets: dict[str, Dataset] = {}
        self.attributes: dict[str, Any] = {}

    def find(self, path: str) -> Group | Dataset | None:
        """What is at a path below, "layers/dense/vars"; None if there is nothing."""
        here: Group | Dataset | None = self
        for part in path.strip("/").split("/"):
            if not isinstance(here, Group):
                return None
            here = here.groups.get(part) or here.datasets.get(part) if part else here
        return here

    def walk(self) -> Iterator[Dataset]:
        """All datasets, here and below."""
        yield from self.datasets.values()
        for group in self.groups.values():
            yield from group.walk()

    def __repr__(self) -> str:
        return f"<Group {self.path}: {len(self.groups)} groups, {len(self.datasets)} datasets>"


@contextlib.contextmanager
def reading(source: Any, where: str = "") -> Iterator[Group]:
    """The tree of an HDF5 file; its datasets can be read until the block ends.

    Args:
        source: a path, or a binary file that can seek.
        where: what to call it in errors; by default its path.
    Raises: CorruptFileError if it is damaged or none; UnsafeFileError, UnsafePathError or ResourceLimitError if it holds what no weights file may.
    """
    where = where or f"the file {os.fspath(source)!r}" if not hasattr(source, "read") else where or "the file"
    with open_regular(source, where) as file, contextlib.ExitStack() as stack:
        size = _check_superblock(file, where)
        with _translated(where, "/"):
            import h5py

            handle = stack.enter_context(h5py.File(Heaps(file, where), "r"))
        yield _Walk(where, size, file, stack).tree(handle.id)


@contextlib.contextmanager
def open_regular(source: Any, where: str) -> Iterator[BinaryIO]:
    """A regular file to read (pipes and devices are refused before they are opened), or the one that is open already."""
    if hasattr(source, "read"):
        yield source
        return
    path = pathlib.Path(os.fspath(source))
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise CorruptFileError(where, need="a file", got=f"nothing that can be read at that path ({error})", rule="file-missing") from error
    if not stat.S_ISREG(mode):
        raise UnsafePathError(where, need="a file", got="a folder" if stat.S_ISDIR(mode) else "a pipe or a device", rule="file-kind")
    with path.open("rb") as file:
        yield file


def _check_superblock(file: BinaryIO, where: str) -> int:
    """Look at the first bytes: an HDF5 file that begins here, ends at its end, and is of one piece. Returns its size."""
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(128)
    if head[:8] != SIGNATURE:
        raise CorruptFileError(
            where,
            need="an HDF5 file",
            got="an empty one" if not size else "one that begins differently",
            fix="get the file again",
            rule="hdf5-signature",
        )
    version = head[8] if len(head) > 16 else 255
    if version in (0, 1):
        width, start, flags = head[13], 24 if version == 0 else 28, 0
        lengths = head[14]
        order = ("base", "free", "end", "driver")
    elif version in (2, 3):
        width, start, flags = head[9], 12, head[11] if version == 3 else 0
        lengths = head[10]
        order = ("base", "extension", "end")
    else:
        raise CorruptFileError(where, need="an HDF5 file of version 0 to 3", got=f"version {version}", rule="hdf5-version")
    place = {name: int.from_bytes(head[start + i * width : start + (i + 1) * width], "little") for i, name in enumerate(order)}
    if width not in (2, 4, 8) or lengths != 8 or place["base"] or place.get("driver", (1 << 8 * width) - 1) != (1 << 8 * width) - 1:
        raise UnsafeFileError(where, need="an HDF5 file in one plain piece", got="one with a driver or an offset of its own", rule="hdf5-driver")
    if flags:
        raise CorruptFileError(
            where,
            need="an HDF5 file that was closed",
            got="one that is still being written",
            fix="close it in the program that writes",
            rule="hdf5-open",
        )
    if place["end"] != size:
        got = f"{size:,}: it is cut off" if size < place["end"] else f"{size:,}: something follows it"
        raise CorruptFileError(where, need=f"the {place['end']:,} bytes that it says it has", got=got, fix="get the file again", rule="hdf5-size")
    file.seek(0)
    return size


class _Walk:
    """One look through a whole file."""

    def __init__(self, where: str, size: int, file: BinaryIO, stack: contextlib.ExitStack) -> None:
        self.where, self.size, self.file, self.stack = where, size, file, stack
        self.seen: set[Any] = set()
        self.sparing: dict[int, Any] = {}  # the file once more, by the most bytes that are read at once

    def tree(self, root: Any) -> Group:
        with _translated(self.where, "/"):
            import h5py

            self.h5py: Any = h5py
            top = Group("/")
            self.seen.add(self._address(root))
            waiting = [(h5py.h5g.open(root, b"/") if not isinstance(root, h5py.h5g.GroupID) else root, top, 0)]
            while waiting:
                handle, group, depth = waiting.pop()
                group.attributes = self._attributes(handle, group.path)
                for name in self._links(handle, group.path):
                    path = f"{group.path.rstrip('/')}/{name}"
                    child = self.h5py.h5o.open(handle, _stored_name(name))
                    self._count(child, path)
                    if isinstance(child, self.h5py.h5g.GroupID):
                        if depth >= MAX_DEPTH:
                            raise ResourceLimitError(self.where, need=f"groups at most {MAX_DEPTH} deep", got="more", rule="hdf5-depth")
                        group.groups[name] = Group(path)
                        waiting.append((child, group.groups[name], depth + 1))
                    elif isinstance(child, self.h5py.h5d.DatasetID):
                        group.datasets[name] = self._dataset(child, path)
                    else:
                        raise UnsafeFileError(self.where, need="groups and arrays only", got=f"a stored type at {path!r}", rule="hdf5-object")
        return top

    def _address(self, handle: Any) -> Any:
        info = self.h5py.h5o.get_info(handle)
        return info.fileno, info.addr

    def _count(self, handle: Any, path: str) -> None:
        address = self._address(handle)
        if address in self.seen:
            raise UnsafePathError(
                self.where,
                need="each object under one name",
                got=f"a second name of one at {path!r}",
                why="names could go in circles",
                rule="hdf5-cycle",
            )
        self.seen.add(address)
        if len(self.seen) > MAX_OBJECTS:
            raise ResourceLimitError(self.where, need=f"at most {MAX_OBJECTS:,} groups and arrays", got="more", rule="hdf5-objects")

    def _links(self, handle: Any, path: str) -> list[str]:
        """Names in a group, all of them hard links; nothing is opened to find out."""
        names: list[bytes] = []
        handle.links.iterate(lambda name, *_: names.append(name) or (1 if len(names) > MAX_OBJECTS else None))
        if len(names) > MAX_OBJECTS:
            raise ResourceLimitError(self.where, need=f"at most {MAX_OBJECTS:,} groups and arrays", got="more", rule="hdf5-objects")
        kinds = {self.h5py.h5l.TYPE_SOFT: "a soft link", self.h5py.h5l.TYPE_EXTERNAL: "a link to another file"}
        for name in names:
            shown = name.decode("utf-8", "replace")[:100]
            if name in (b"", b".", b"..") or b"/" in name:
                raise UnsafePathError(self.where, need="plain names", got=f"{shown!r} in {path!r}", rule="hdf5-name")
            kind = handle.links.get_info(name).type
            if kind != self.h5py.h5l.TYPE_HARD:
                raise UnsafePathError(
                    self.where,
                    need="arrays that are in the file itself",
                    got=f"{kinds.get(kind, 'a link of an unknown kind')} at {path.rstrip('/')}/{shown}",
                    why="a file that is opened opens no other",
                    fix="copy what it points at into the file, if you trust it",
                    rule="hdf5-link",
                )
        return [name.decode("utf-8", "surrogateescape") for name in names]

    def _dataset(self, handle: Any, path: str) -> Dataset:
        h5py, layout = self.h5py, handle.get_create_plist()
        elsewhere = {"is virtual": layout.get_layout() == h5py.h5d.VIRTUAL, "is stored in other files": layout.get_external_count() > 0}
        for what, found in elsewhere.items():
            if found:
                raise UnsafePathError(
                    self.where, need="arrays that are in the file itself", got=f"one that {what} at {path!r}",
                    why="a file that is opened opens no other",
                    fix="copy its numbers into the file, if you trust it", rule="hdf5-storage",
                )  # fmt: skip
        for i in range(layout.get_nfilters()):
            if (number := layout.get_filter(i)[0]) not in FILTERS:
                raise UnsafeFileError(
                    self.where, need=f"no filters but {', '.join(FILTERS.values())}", got=f"filter {number} at {path!r}", rule="hdf5-filter"
                )
        space = handle.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            raise UnsafeFileError(self.where, need="arrays", got=f"a dataset without values at {path!r}", rule="hdf5-dtype")
        shape = tuple(int(n) for n in handle.shape)
        attributes = self._attributes(handle, path)
        dtype = self._dtype(handle.get_type(), attributes, path)
        dataset = Dataset(self.where, path, handle, shape, dtype, attributes, self.file, self.size)
        self._check_size(dataset, layout)
        return dataset

    def _dtype(self, kind: Any, attributes: dict[str, Any], path: str) -> str:
        h5py, kinds = self.h5py, {"b", "i", "u", "f", "c"}
        found = kind.get_class()
        if found == h5py.h5t.OPAQUE and kind.get_size() in (1, 2):
            said = str(attributes.get("dtype"))
            fits = said in BEYOND_NUMPY and numpy_dtype(said).itemsize == kind.get_size()
            return said if fits else f"void{8 * kind.get_size()}"
        if found in (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM, h5py.h5t.COMPOUND, getattr(h5py.h5t, "COMPLEX", None)):
            dtype = kind.dtype
            if dtype.kind in kinds and dtype.itemsize == kind.get_size() and not (found == h5py.h5t.ENUM and dtype.kind != "b"):
                return dtype.newbyteorder("=").name
        raise UnsafeFileError(
            self.where, need="arrays of numbers", got=f"one of another type at {path!r}", why="text and objects are no weights", rule="hdf5-dtype"
        )

    def _check_size(self, dataset: Dataset, layout: Any) -> None:
        """What is declared must be there: as many bytes as it says or, packed, as many as can unpack to that."""
        stored = dataset._handle.get_storage_size()
        packed = any(layout.get_filter(i)[0] == 1 for i in range(layout.get_nfilters()))
        chunked = layout.get_layout() == self.h5py.h5d.CHUNKED
        chunk = math.prod(layout.get_chunk()) * dataset._handle.get_type().get_size() if chunked else 0
        if stored > self.size or dataset.nbytes > stored * (MAX_DEFLATE if packed else 1) or chunk > max(2 * dataset.nbytes, 1 << 20):
            raise ResourceLimitError(
                self.where,
                need=f"the numbers of {dataset.path!r} in the file",
                got=f"{stored:,} bytes for shape {dataset.shape} of {dataset.dtype}",
                why="memory is given only for what is there",
                rule="hdf5-declared",
            )

    def _attributes(self, handle: Any, path: str) -> dict[str, Any]:
        h5py = self.h5py
        values: dict[str, Any] = {}
        if h5py.h5a.get_num_attrs(handle) > MAX_ATTRIBUTES:
            raise ResourceLimitError(self.where, need=f"at most {MAX_ATTRIBUTES:,} attributes", got=f"more at {path!r}", rule="hdf5-attributes")
        for i in range(h5py.h5a.get_num_attrs(handle)):
            attribute = h5py.h5a.open(handle, index=i)
            name = attribute.name.decode("utf-8", "surrogateescape")
            values[name] = self._attribute(attribute, path, name)
        return values

    def _attribute(self, attribute: Any, owner: str, name: str) -> Any:
        """A string, a number, or an array of either; bytes that are UTF-8 come as strings."""
        path = f"{owner}@{name}"
        h5py = self.h5py
        kind, space = attribute.get_type(), attribute.get_space()
        if space.get_simple_extent_type() == h5py.h5s.NULL:
            return None
        count = math.prod(attribute.shape)
        found = kind.get_class()
        text = found == h5py.h5t.STRING
        if count * kind.get_size() > MAX_ATTRIBUTE:
            raise ResourceLimitError(
                self.where, need=f"attributes of at most {MAX_ATTRIBUTE:,} bytes", got=f"more at {path!r}", rule="hdf5-attribute"
            )
        numbers = found in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or (found == h5py.h5t.ENUM and kind.dtype.kind == "b")
        if not text and not numbers:
            raise UnsafeFileError(self.where, need="attributes that are text or numbers", got=f"another at {path!r}", rule="hdf5-attribute")
        if text and kind.is_variable_str() and self.size > min(MAX_ATTRIBUTE, MAX_TEXT // max(count, 1)):  # each may be the whole file
            attribute = self._spared(owner, name, count)
        array = np.empty(attribute.shape, kind.dtype)
        if count:
            attribute.read(array)
        if text:
            items = [_text(item) for item in array.ravel()]
            return items[0] if attribute.shape == () else items
        return array.item() if attribute.shape == () else array

    def _spared(self, path: str, name: str, count: int) -> Any:
        """An attribute of so many texts, which cannot be so long that memory is too small for all of them."""
        most = min(MAX_ATTRIBUTE, 1 << (MAX_TEXT // max(count, 1)).bit_length() - 1)
        if most not in self.sparing:
            self.sparing[most] = self.stack.enter_context(self.h5py.File(Sparing(Heaps(self.file, self.where), most, self.where), "r"))
        return self.h5py.h5a.open(self.h5py.h5o.open(self.sparing[most].id, _stored_name(path)), _stored_name(name))


def _stored_name(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(item: Any) -> str:
    return item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else str(item)


def _stored_dtype(name: str) -> np.dtype:
    if name.startswith("void"):
        return np.dtype(f"V{int(name[4:]) // 8}")
    return np.dtype(f"V{numpy_dtype(name).itemsize}") if name in BEYOND_NUMPY else numpy_dtype(name)


@contextlib.contextmanager
def _translated(where: str, path: str) -> Iterator[None]:
    """What the library says of damaged files, as one error."""
    try:
        yield
    except FileError:
        raise
    except FAILURES as error:
        raise CorruptFileError(
            where,
            need="a whole HDF5 file",
            got=f"one that cannot be read at {path!r} ({str(error)[:200]})",
            fix="get the file again",
            rule="hdf5-damaged",
        ) from error


# Writing --------------------------------------------------------------------------------------------------------------------------


class Writer:
    """A group to fill: `group` makes or finds one below, `dataset` puts an array, `attributes` are set like a dict."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.attributes = handle.attrs

    def group(self, path: str) -> Writer:
        """The group at a path below, made if it is not there."""
        return Writer(self._handle.require_group(path))

    def dataset(self, name: str, value: Any, dtype: str | None = None) -> None:
        """Put an array, bit for bit. dtype is only needed for arrays that do not say it themselves."""
        array = np.asarray(value)
        name_of_dtype = array.dtype.name if dtype is None else dtype
        if name_of_dtype in BEYOND_NUMPY:
            made = self._handle.create_dataset(name, data=np.ascontiguousarray(array).view(f"V{array.dtype.itemsize}").reshape(array.shape))
            made.attrs["dtype"] = name_of_dtype
        else:
            self._handle.create_dataset(name, data=array)


@contextlib.contextmanager
def writing(target: Any) -> Iterator[Writer]:
    """An HDF5 file to fill. A path gets the whole file when the block ends well, else it stays as it was; a binary file is filled in place.

    >>> import io
    >>> file = io.BytesIO()
    >>> with writing(file) as root:
    ...     root.group("layers/dense").dataset("0", np.arange(3.0))
    ...     root.attributes["name"] = "model"
    >>> with reading(file) as tree:
    ...     tree.find("layers/dense/0"), tree.attributes
    (<Dataset /layers/dense/0 (3,) float64>, {'name': 'model'})
    """
    if not hasattr(target, "write"):
        with replacing(target, verify=check) as file, writing(file) as root:
            yield root
        return
    import h5py

    watched = Watched(target)
    try:
        with h5py.File(watched, "w", track_order=False) as handle:
            yield Writer(handle)
    except Exception:
        if watched.error is not None:
            raise watched.error from None
        raise
    if watched.error is not None:
        raise watched.error


def check(file: Any, where: str = "the file just written") -> None:
    """Raise unless a file can be read as writing left it."""
    with reading(file, where):
        pass
