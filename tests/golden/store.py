# SPDX-License-Identifier: Apache-2.0
"""How golden numbers lie on disk: one .json of cases and one .npz of their arrays per kind, nothing pickled.

Imports neither Keras nor Nyala: the maker and the reader share it. Start at Store (writing) and read (reading).
Arrays of one dtype lie end to end in one flat array; in the JSON an array is {"array": [dtype, offset, shape]},
a tuple is {"tuple": [...]}, and a thing to build by its public name is {"new": "layers.LSTM", "args": {...}}.
"""

import functools
import json
import pathlib
import zlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "data"


def new(path, **arguments):
    """A public thing to build later: new("layers.Dense", units=3)."""
    return {"new": path, "args": arguments}


def find(api, path):
    """The public attribute of api at a dotted path."""
    return functools.reduce(getattr, path.split("."), api)


def build(api, tree):
    """Build every {"new": ...} of a tree with the names of api (keras or nyala)."""
    if isinstance(tree, dict):
        if set(tree) == {"new", "args"}:
            return find(api, tree["new"])(**build(api, tree["args"]))
        if set(tree) == {"function"}:
            return find(api, tree["function"])
        return {key: build(api, value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(build(api, value) for value in tree)
    return tree


def generator(name):
    """The random numbers of one case: they depend on its name alone, so cases come and go without moving others."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def map_tree(function, tree, is_leaf=lambda value: not isinstance(value, (dict, list, tuple))):
    """Apply function to every leaf of nested dicts, lists and tuples; None stays."""
    if tree is None:
        return None
    if is_leaf(tree):
        return function(tree)
    if isinstance(tree, dict):
        return {key: map_tree(function, value, is_leaf) for key, value in tree.items()}
    return type(tree)(map_tree(function, value, is_leaf) for value in tree)


def leaves(tree):
    """The leaves of nested dicts, lists and tuples, in order; None is no leaf."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, (list, tuple)):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


class Store:
    """Collects the cases of one kind and writes them."""

    def __init__(self, kind):
        self.kind, self.cases, self.flat, self.seen, self.sizes = kind, {}, {}, {}, {}

    def add(self, name, /, **case):
        if name in self.cases:
            raise ValueError(f"two cases of {self.kind} are called {name!r}")
        self.cases[name] = self._encode(case)

    def write(self, **header):
        FOLDER.mkdir(exist_ok=True)
        lines = [f"{json.dumps(name)}: {json.dumps(case)}" for name, case in self.cases.items()]
        text = '{"made": ' + json.dumps(header, sort_keys=True) + ',\n"cases": {\n' + ",\n".join(lines) + "\n}}\n"
        (FOLDER / f"{self.kind}.json").write_text(text, encoding="utf-8", newline="\n")
        flat = {dtype: np.concatenate(parts) for dtype, parts in sorted(self.flat.items())}
        np.savez_compressed(FOLDER / f"{self.kind}.npz", **flat)

    def _encode(self, tree):
        if isinstance(tree, np.generic):
            tree = np.asarray(tree)
        if isinstance(tree, np.ndarray):
            return {"array": self._place(tree)}
        if isinstance(tree, dict):
            return {str(key): self._encode(value) for key, value in tree.items()}
        if isinstance(tree, tuple):
            return {"tuple": [self._encode(value) for value in tree]}
        if isinstance(tree, list):
            return [self._encode(value) for value in tree]
        if tree is None or isinstance(tree, (bool, int, float, str)):
            return tree
        raise TypeError(f"no way to store {type(tree)}: {tree!r}")

    def _place(self, array):
        dtype, key = array.dtype.name, (array.dtype.name, array.tobytes())
        if key not in self.seen:  # equal arrays are stored once
            self.seen[key] = self.sizes.get(dtype, 0)
            self.flat.setdefault(dtype, []).append(array.ravel())
            self.sizes[dtype] = self.seen[key] + array.size
        return [dtype, self.seen[key], list(array.shape)]


def read(kind):
    """The cases of one kind: {name: case}, arrays as NumPy arrays."""
    document = json.loads((FOLDER / f"{kind}.json").read_text(encoding="utf-8"))
    with np.load(FOLDER / f"{kind}.npz", allow_pickle=False) as archive:
        flat = {dtype: archive[dtype] for dtype in archive.files}

    def decode(tree):
        if isinstance(tree, list):
            return [decode(value) for value in tree]
        if not isinstance(tree, dict):
            return tree
        if set(tree) == {"array"}:
            dtype, offset, shape = tree["array"]
            size = int(np.prod(shape, dtype=int))
            return flat[dtype][offset : offset + size].reshape(shape)
        if set(tree) == {"tuple"}:
            return tuple(decode(value) for value in tree["tuple"])
        return {key: decode(value) for key, value in tree.items()}

    return decode(document["cases"])
