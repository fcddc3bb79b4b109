# SPDX-License-Identifier: Apache-2.0
"""KerasFileEditor: look into a file of weights, change it, and write it to another. Start at the class."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core.errors import ArgumentError, LookupFailed
from nyala.files import hdf5, keras_v3
from nyala.files.atomic import replacing
from nyala.files.errors import CorruptFileError
from nyala.files.loading import Stored
from nyala.files.places import places
from nyala.files.stores import own_arrays, stored_in
from nyala.files.weights import check_target, kind_of

Tree = dict[str, Any]  # of trees and arrays


class KerasFileEditor:
    """The weights in a .keras or .weights.h5 file, to look at and to change; what is changed goes to a file of its own.

    Args:
        filepath: of the file. All its arrays are read.

    >>> import nyala, tempfile
    >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(3, name="a")])
    >>> path = tempfile.mkdtemp() + "/m.weights.h5"
    >>> model.save_weights(path)
    >>> editor = KerasFileEditor(path)
    >>> editor.weights_dict["layers"]["dense"]["vars"]["1"].shape
    (3,)
    """

    def __init__(self, filepath: Any) -> None:
        self.filepath = os.fspath(filepath)
        self._where = f"KerasFileEditor({self.filepath!r})"
        self.metadata: Any = None
        self.config: Any = None
        self.weights_dict: Tree = {}
        kind = kind_of(filepath, self._where)
        if kind == "hdf5":
            with hdf5.reading(filepath, self._where) as root:
                self._take(stored_in(root))
        elif kind in ("keras", "folder"):
            with keras_v3.opening(filepath, self._where) as opened, opened.stored() as stored:
                self.metadata, self.config = opened.metadata, opened.config()
                self._take(stored)
        else:
            raise ArgumentError(self._where, need="a .keras or .weights.h5 file", got=f"one of another format, {kind}")

    def _take(self, stored: Stored) -> None:
        for path, sources in stored.items():
            for source in sources.values():
                source.check()
            inside = self._folder(f"{path}/vars" if path else "vars", make=True)
            inside.update({key: source.read() for key, source in sources.items()})

    def _folder(self, path: str, make: bool = False) -> Tree:
        here = self.weights_dict
        for part in filter(None, path.split("/")):
            if make and isinstance(inner := here.setdefault(part, {}), dict):
                here = inner
            elif make:
                raise CorruptFileError(self._where, need="an array or a group of each name", got=f"both at {path[:80]!r}", rule="weights-layout")
            elif isinstance(here.get(part), dict):
                here = here[part]
            else:
                raise LookupFailed(
                    self._where, need=f"the path of an object, {path!r}", got=f"nothing called {part!r}", fix=f"there is {sorted(here)}"
                )
        return here

    def _find(self, name: str) -> list[tuple[Tree, str, str]]:
        """Objects of this name or path: (the folder that holds it, its name there, its path)."""
        found: list[tuple[Tree, str, str]] = []

        def look(tree: Tree, path: str) -> None:
            for key, value in tree.items():
                inner = f"{path}/{key}" if path else key
                if isinstance(value, dict):
                    if name.strip("/") in (key, inner):
                        found.append((tree, key, inner))
                    look(value, inner)

        look(self.weights_dict, "")
        if not found:
            raise LookupFailed(self._where, need="the name or path of an object in the file", got=repr(name), fix="see summary()")
        return found

    def _one(self, name: str) -> tuple[Tree, str, str]:
        found = self._find(name)
        if len(found) > 1:
            raise ArgumentError(
                self._where, need="a name that one object has", got=f"{name!r}, which {[path for *_, path in found]} have", fix="pass a path"
            )
        return found[0]

    def summary(self) -> None:
        """Print the objects in the file and the shapes of their arrays."""
        print(f"Weights of {self.filepath!r}")
        self._print(self.weights_dict, "  ")

    def _print(self, tree: Tree, indent: str) -> None:
        for key, value in tree.items():
            if isinstance(value, dict):
                print(f"{indent}{key}")
                self._print(value, indent + "  ")
            else:
                print(f"{indent}{key}: shape {value.shape}, {value.dtype}")

    def compare(self, reference_model: Any) -> dict[str, Any]:
        """Print and return how the file differs from a model: {"status", "error_count", "match_count"}."""
        expected = {path: own_arrays(target) for path, target in places(reference_model) if path != "optimizer"}
        mine = {path: arrays for path, arrays in self._flat().items() if not path.startswith("optimizer")}
        errors = matches = 0
        for path in sorted({*expected, *mine}):
            for key in sorted({*expected.get(path, {}), *mine.get(path, {})}):
                wanted, got = expected.get(path, {}).get(key), mine.get(path, {}).get(key)
                if wanted is None or got is None or wanted.shape != got.shape:
                    errors += 1
                    text = (
                        "is not in the file" if got is None else "is not in the model" if wanted is None else f"has {got.shape}, not {wanted.shape}"
                    )
                    print(f"{path}/vars/{key} {text}")
                else:
                    matches += 1
        status = "success" if not errors else "error"
        print(f"{matches} arrays fit, {errors} do not")
        return {"status": status, "error_count": errors, "match_count": matches}

    def _flat(self) -> dict[str, dict[str, np.ndarray]]:
        """Arrays by the path of their object."""
        found: dict[str, dict[str, np.ndarray]] = {}

        def look(tree: Tree, path: str) -> None:
            arrays = {key: value for key, value in tree.items() if not isinstance(value, dict)}
            if arrays:
                found[path.removesuffix("vars").rstrip("/")] = arrays
            for key, value in tree.items():
                if isinstance(value, dict):
                    look(value, f"{path}/{key}" if path else key)

        look(self.weights_dict, "")
        return found

    def rename_object(self, object_name: str, new_name: str, source_name: str | None = None, target_name: str | None = None) -> None:
        """Give an object another name; a name alone, or a path."""
        tree, key, _ = self._one(object_name)
        last = new_name.rpartition("/")[2]
        if last in tree:
            raise ArgumentError(self._where, need="a name that is free", got=repr(new_name))
        items = [(last if name == key else name, value) for name, value in tree.items()]
        tree.clear()
        tree.update(items)

    def delete_object(self, object_name: str) -> None:
        """Take an object and all below it away."""
        tree, key, _ = self._one(object_name)
        del tree[key]

    def add_object(self, object_path: str, weights: Mapping[str, Any]) -> None:
        """Add an object with its arrays: {"0": kernel, "1": bias}."""
        front, _, name = object_path.strip("/").rpartition("/")
        holder = self._folder(front)
        if name in holder:
            raise ArgumentError(self._where, need="a path where nothing is", got=repr(object_path))
        holder[name] = {"vars": {str(key): np.asarray(value) for key, value in weights.items()}}

    def delete_weight(self, object_name: str, weight_name: str) -> None:
        """Take one array of an object away."""
        tree, key, path = self._one(object_name)
        arrays = tree[key].get("vars", {})
        if weight_name not in arrays:
            raise LookupFailed(self._where, need=f"the name of an array of {path!r}", got=repr(weight_name), fix=f"it has {sorted(arrays)}")
        del arrays[weight_name]

    def add_weights(self, object_name: str, weights: Mapping[str, Any]) -> None:
        """Add arrays to an object, or replace them."""
        tree, key, _ = self._one(object_name)
        tree[key].setdefault("vars", {}).update({str(name): np.asarray(value) for name, value in weights.items()})

    def save(self, filepath: Any) -> None:
        """Write the weights to a .weights.h5 file."""
        path = pathlib.Path(os.fspath(filepath))
        if not path.name.endswith(".weights.h5"):
            raise ArgumentError(f"{self._where}.save(filepath)", need="a path that ends in .weights.h5", got=repr(str(path)))
        check_target("save_weights(filepath)", path, True)
        with replacing(path, verify=hdf5.check) as file, hdf5.writing(file) as root:
            _put(root, self.weights_dict)

    def resave_weights(self, filepath: Any) -> None:
        """Same as save."""
        self.save(filepath)


def _put(group: hdf5.Writer, tree: Tree) -> None:
    for key, value in tree.items():
        if isinstance(value, dict):
            _put(group.group(key), value)
        else:
            group.dataset(key, value)
