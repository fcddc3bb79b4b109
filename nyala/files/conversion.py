# SPDX-License-Identifier: Apache-2.0
"""From one format to another: whole models, weights that name what they belong to, and architectures. Start at convert.

A whole model gives all of them. Weights alone give weights alone, without a model; what is not in a file is never made up.
"""

from __future__ import annotations

import math
import os
import pathlib
from typing import Any, NamedTuple

from nyala.core.errors import ArgumentError
from nyala.files import hdf5, safetensors
from nyala.files.atomic import write_bytes
from nyala.files.errors import FileError, ResourceLimitError, UnsafePathError
from nyala.files.loading import Source, Stored, nbytes
from nyala.files.places import Place
from nyala.files.weights import check_target, is_legacy, kind_of, reading_stored, save_weights, write_places

MAX_UNPACKED = 256 << 20
MAX_DEPTH = 60  # of the path of an object
NAMED = (".weights.h5", ".weights.json", ".safetensors")  # weights by the names of their objects
WEIGHTS = (*NAMED, ".npz")
WHOLE = ("keras", "folder", "savedmodel", "legacy model")
SHOWN = {
    "hdf5": "weights alone, in HDF5", "legacy weights": "weights alone, by the layers of a model", "safetensors": "weights alone",
    "shards": "weights alone, in shards", "npz": "weights alone, in the order of a model", "json": "an architecture without weights",
}  # fmt: skip


def convert(source: Any, target: Any, overwrite: bool = False) -> int:
    """Write what is in one file to another, in the format that the suffix of the target says.

    Args:
        source: of any format that can be read.
        target: ".keras", ".h5", ".json" for the architecture, else weights alone.
        overwrite: replace the target if it exists.
    Returns: how many numbers a model has, or the weights; 0 for an architecture alone.
    Raises: ArgumentError if the source does not hold what the target does.

    >>> import nyala, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(3)]).save(folder + "/model.keras")
    >>> convert(folder + "/model.keras", folder + "/model.safetensors"), convert(folder + "/model.safetensors", folder + "/model.weights.h5")
    (9, 9)
    """
    from nyala.saving import load_model, save_model

    path, where = pathlib.Path(os.fspath(target)), f"convert({os.fspath(source)!r}, {os.fspath(target)!r})"
    kind = _kind(source, where)
    if path.exists() and not hasattr(source, "read") and os.path.samefile(source, path):
        raise ArgumentError(where, need="two paths", got="one file")
    wanted = "weights" if path.name.endswith(WEIGHTS) else "architecture" if path.suffix == ".json" else "model"
    if kind in WHOLE:
        model = load_model(source, compile=wanted == "model")
        if wanted == "model":
            save_model(model, path, overwrite=overwrite)
        elif wanted == "weights":
            save_weights(model, path, overwrite=overwrite)
        else:
            check_target(where, path, overwrite)
            write_bytes(path, model.to_json().encode())
        return model.count_params()
    if kind == "json" and wanted == "architecture":
        check_target(where, path, overwrite)
        write_bytes(path, load_model(source).to_json().encode())
        return 0
    if kind in ("hdf5", "safetensors", "shards") and path.name.endswith(NAMED):
        check_target(where, path, overwrite)
        return _weights(source, kind, path, where)
    raise _refused(kind, wanted, where)


def _kind(source: Any, where: str) -> str:
    """What kind_of says, and of a file of Keras 1 and 2 whether it holds a model or weights alone."""
    kind = kind_of(source, where)
    if kind == "hdf5":
        with hdf5.reading(source, where) as root:
            if is_legacy(root):
                return "legacy model" if "model_config" in root.attributes else "legacy weights"
    return kind


HELD = {"weights": "weights in a form that the target can hold", "architecture": "an architecture", "model": "a whole model"}


def _refused(kind: str, wanted: str, where: str) -> ArgumentError:
    """The error of a source that does not hold what the target does."""
    why, fix = "they do not say how the model is built", "make the model, load_weights(source), and save it"
    if kind == "json":
        why, fix = "it says how a model is built, and holds none of its numbers", "make the model with load_model, load its weights, and save it"
    elif wanted == "weights":
        why = "which object has which of them, or in what order, only the model knows"
        fix = "make the model, load_weights(source), save_weights(target)"
    return ArgumentError(where, need=f"a source that holds {HELD[wanted]}", got=SHOWN[kind], why=why, fix=fix)


class _Kept(NamedTuple):
    """The arrays of one object of a file, in the place of the object."""

    name: str
    sources: dict[str, Source]

    def save_own_variables(self, store: dict[str, Any]) -> None:
        store.update({key: source.read() for key, source in self.sources.items()})


def _check_path(path: str, where: str) -> None:
    """Raise for a name that is none of an array of an object: one with empty parts, or parts that lead elsewhere."""
    parts = path.split("/")
    if len(path) > 1000 or len(parts) > MAX_DEPTH or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise UnsafePathError(where, need="arrays by the paths of their objects", got=f"{path[:80]!r}", rule="convert-name")


def _check_size(source: Any, stored: Stored, where: str) -> None:
    """Raise for a file that unpacks to very much more than it is: no model says here that it should."""
    total = sum(nbytes(one) for sources in stored.values() for one in sources.values())
    size = os.path.getsize(source) if not hasattr(source, "read") and os.path.isfile(source) and not str(source).endswith(".json") else total
    if total > max(MAX_UNPACKED, 16 * size):
        need, got = "arrays of at most 256 MiB, or 16 times the file", f"{total:,} bytes in {size:,}"
        raise ResourceLimitError(where, need=need, got=got, fix="load the weights into the model, and save those", rule="weights-declared")


def _weights(source: Any, kind: str, path: pathlib.Path, where: str) -> int:
    """Weights from one format to another, those of one object at a time."""
    with reading_stored(source, kind, where) as stored:
        _check_size(source, stored, where)
        for place, sources in stored.items():
            for key, one in sources.items():
                _check_path(f"{place}/{key}" if place else key, where)
                one.check()
                if one.dtype.startswith("void") or (path.suffix == ".safetensors" and one.dtype not in safetensors.CODES):
                    need, got = "arrays of numbers that the target can hold", f"{one.dtype} at {f'{place}/{key}'[:80]!r}"
                    fix = "load the weights into the model, and save those"
                    raise FileError(where, need=need, got=got, fix=fix, rule="convert-dtype")
        write_places([Place(place, _Kept(place.rpartition("/")[2] or "model", sources)) for place, sources in stored.items()], path)
        learned = [sources for place, sources in stored.items() if place.partition("/")[0] != "optimizer"]
        return sum(math.prod(one.shape) for sources in learned for one in sources.values())
