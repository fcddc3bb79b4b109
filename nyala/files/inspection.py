# SPDX-License-Identifier: Apache-2.0
"""What is in a file of a model or of weights, without building anything: layers, arrays, objects, origin, and why it would be refused.

Start at inspect.
"""

from __future__ import annotations

import math
import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from nyala.core.audit import Finding, audit, compiling
from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import NyalaError
from nyala.files import archive, hdf5, json_text, keras_v3, npz, safetensors
from nyala.files.errors import translated
from nyala.files.legacy_hdf5 import json_of
from nyala.files.loading import Stored
from nyala.files.stores import reading_shards
from nyala.files.weights import is_legacy, kind_of
from nyala.legacy import modernize
from nyala.legacy.era import Era

KINDS = {
    "keras": "whole model, .keras of Keras 3", "folder": "whole model, folder of Keras 3", "hdf5": "weights of Keras 3 in HDF5",
    "legacy": "model or weights of Keras 1, 2 or 3 in HDF5", "npz": "weights in .npz", "safetensors": "weights in .safetensors",
    "shards": "weights of Keras 3 in shards", "json": "architecture in JSON", "savedmodel": "SavedModel of TensorFlow",
}  # fmt: skip


class Summary:
    """What inspect found.

    Attributes:
        kind: of the file, in words.
        origin: who wrote it, as far as it says.
        layers: (depth, class, name) of the layers in the config.
        arrays: (name, shape, dtype, bytes) of the stored arrays.
        objects: every object that the config names, with what speaks against it.
        refused: why the file cannot be opened at all; None if it can.
    """

    def __init__(self) -> None:
        self.kind = ""
        self.origin: dict[str, Any] = {}
        self.layers: list[tuple[int, str, str]] = []
        self.arrays: list[tuple[str, tuple[int, ...], str, int]] = []
        self.objects: list[Finding] = []
        self.refused: NyalaError | None = None

    @property
    def problems(self) -> list[NyalaError]:
        """All reasons for which the file would be refused."""
        found = [finding.problem for finding in self.objects if finding.problem is not None]
        return [self.refused, *found] if self.refused is not None else found

    def lines(self) -> Iterator[str]:
        """The summary as text. What a file calls its objects cannot steer a terminal: letters that are not printed come as escapes."""
        for line in self._lines():
            yield "".join(letter if letter.isprintable() or letter == "\n" else ascii(letter)[1:-1] for letter in line)

    def _lines(self) -> Iterator[str]:
        yield f"{self.kind or 'unknown'}"
        for key, value in self.origin.items():
            yield f"  {key}: {value}"
        if self.layers:
            yield f"\n{len(self.layers)} layers"
            yield from (f"  {'  ' * depth}{name}  ({kind})" for depth, kind, name in self.layers)
        if self.arrays:
            total = sum(size for *_, size in self.arrays)
            yield f"\n{len(self.arrays)} arrays, {total:,} bytes"
            yield from (f"  {name}  {shape} {dtype}" for name, shape, dtype, _ in self.arrays)
        named = sorted({(finding.name, finding.module or "") for finding in self.objects})
        if named:
            yield f"\n{len(named)} kinds of objects"
            yield from (f"  {name}  {module}" for name, module in named)
        if self.problems:
            yield f"\nit would be refused, for {len(self.problems)} reasons"
            for problem in self.problems:
                yield "  " + str(problem).replace("\n", "\n  ")
        else:
            yield "\nnothing speaks against opening it"


def inspect(filepath: Any) -> Summary:
    """What is in a file. Nothing is built, run or imported; objects of the caller's count as known in the scope of custom objects in force."""
    summary = Summary()
    where = f"the file {os.fspath(filepath)!r}"
    try:
        with translated(where, "a file of a model or of weights", "file-unknown"):
            _look(filepath, where, summary)
    except NyalaError as error:
        summary.refused = error
    return summary


def _look(filepath: Any, where: str, summary: Summary) -> None:
    kind = kind_of(filepath, where)
    summary.kind = KINDS[kind]
    if kind in ("keras", "folder"):
        with keras_v3.opening(filepath, where) as opened:
            sums = opened.metadata.get("sha256")
            summary.origin = {key: value for key, value in opened.metadata.items() if key != "sha256"}
            summary.origin["SHA-256 of its members"] = "right, as far as shown" if isinstance(sums, dict) else "none given"
            _config(opened.config(), where, summary, said=opened.metadata)
            with opened.stored() as stored:
                _arrays(stored, summary)
    elif kind == "hdf5":
        with hdf5.reading(filepath, where) as root:
            summary.kind = KINDS["legacy"] if is_legacy(root) else summary.kind
            summary.origin = {key: root.attributes[key] for key in ("keras_version", "backend") if key in root.attributes}
            if "model_config" in root.attributes:
                _config(json_of(root, "model_config", where), where, summary, said=summary.origin)
                if "training_config" in root.attributes:
                    summary.objects += compiling(json_of(root, "training_config", where), where, "/training_config")
            summary.arrays = [(one.path, one.shape, one.dtype, one.nbytes) for one in root.walk()]
    elif kind == "shards":
        with reading_shards(pathlib.Path(os.fspath(filepath)), where) as stored:
            _arrays(stored, summary)
    elif kind == "safetensors":
        with safetensors.reading(filepath, where) as (arrays, metadata):
            summary.origin = dict(metadata)
            _arrays({"": arrays}, summary)
    elif kind == "npz":
        with archive.reading(filepath, where, paths=False) as members:
            found = npz.headers(members)
        summary.arrays = [(name, shape, dtype.name, math.prod(shape) * dtype.itemsize) for name, (shape, dtype) in found.items()]
    elif kind == "json":
        with hdf5.open_regular(filepath, where) as file:
            _config(json_text.read(file.read(json_text.MAX_BYTES + 1), where), where, summary, said={})


def _arrays(stored: Stored, summary: Summary) -> None:
    for path in sorted(stored):
        for key, source in stored[path].items():
            size = math.prod(source.shape) * (numpy_dtype(source.dtype).itemsize if not source.dtype.startswith("void") else 2)
            summary.arrays.append((f"{path}/{key}" if path else key, source.shape, source.dtype, size))


def _config(config: Any, where: str, summary: Summary, said: Mapping[str, Any] | None = None) -> None:
    """What a config names, in the words of today; said is what an older file says of the Keras that wrote it."""
    modern = config
    if said is not None:
        version, backend = (str(said.get(key, ""))[:80] for key in ("keras_version", "backend"))
        modern = modernize(config, Era.of(config, version, backend))
    summary.objects = audit(modern, where)
    if isinstance(config, dict) and config.get("compile_config"):
        summary.objects += compiling(config["compile_config"], where)

    def layers(value: Any, depth: int) -> None:
        inner = value.get("config") if isinstance(value, dict) else None
        entries = inner.get("layers") if isinstance(inner, dict) else inner if isinstance(inner, list) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                own = entry.get("config")
                name = entry.get("name") or (own.get("name") if isinstance(own, dict) else "")
                summary.layers.append((depth, str(entry.get("class_name"))[:80], str(name)[:80]))
                layers(entry, depth + 1)

    layers(config, 0)
