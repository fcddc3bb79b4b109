# SPDX-License-Identifier: Apache-2.0
"""Where each object of a model keeps its numbers in a file: "layers/dense_1", "optimizer", as Keras 3 spells it.

The path of an object is that of the attributes, lists and dicts through which it is first reached from the model, in a fixed order: the layers of a
graph, then public attributes by name, then private ones. Items of lists and dicts are called by their class, numbered. Knows no file
format. Start at places.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nyala.core.names import to_snake_case
from nyala.layers.layer import Layer
from nyala.layers.tracking import UNTRACKED
from nyala.optimizers.optimizer import Optimizer

# What the library itself keeps in its layers and models, beside what belongs to them.
INTERNAL = UNTRACKED | {
    "_chain", "_tensors", "_layers", "graph", "inputs", "outputs", "_inputs_struct", "_outputs_struct", "_declared_input_shape", "_remat",
    "optimizer", "layers",
}  # fmt: skip


class Place(NamedTuple):
    """An object with numbers of its own, and the path of its group."""

    path: str
    target: Any


def places(root: Any) -> list[Place]:
    """The objects below root that have numbers of their own, root first, each once.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((2,)), nyala.layers.Dense(3), nyala.layers.Dense(1)])
    >>> [place.path for place in places(model)]
    ['', 'layers/dense', 'layers/dense_1']
    """
    seen: dict[int, Any] = {}  # the objects themselves, too: the id of a list that is gone may come again

    def walk(target: Any, path: str) -> Iterator[Place]:
        if id(target) in seen:
            return
        seen[id(target)] = target
        yield Place(path, target)
        for name, child in _children(target):
            yield from enter(child, f"{path}/{_part(name)}" if path else _part(name))

    def enter(child: Any, path: str) -> Iterator[Place]:
        if isinstance(child, (Layer, Optimizer)):
            yield from walk(child, path)
        elif isinstance(child, (list, tuple, dict)) and id(child) not in seen:
            seen[id(child)] = child
            counts: dict[str, int] = {}
            for item in list(child.values()) if isinstance(child, dict) else list(child):
                if isinstance(item, (Layer, Optimizer, list, tuple, dict)):
                    name = "container" if isinstance(item, (list, tuple, dict)) else _class_name(type(item))
                    number = counts.get(name, 0)
                    counts[name] = number + 1
                    yield from enter(item, f"{path}/{_part(name)}" + (f"_{number}" if number else ""))

    return list(walk(root, ""))


def _children(target: Any) -> list[tuple[str, Any]]:
    """Attributes of an object in which others may be kept, in the order in which they are looked through."""
    from nyala.models.functional import Functional
    from nyala.models.model import Model
    from nyala.models.sequential import Sequential

    found = {name: value for name, value in vars(target).items() if name not in INTERNAL and isinstance(value, (Layer, Optimizer, list, tuple, dict))}
    first: dict[str, Any] = {}
    if isinstance(target, Model):
        (first if isinstance(target, (Functional, Sequential)) else found)["layers"] = list(target.layers)
        if isinstance(target.optimizer, Optimizer):
            found["optimizer"] = target.optimizer
    found.update(_of_classes(target, found))
    renamed = {_keras_name(target, name): value for name, value in found.items()}
    return [*first.items(), *sorted(renamed.items(), key=lambda item: (item[0].startswith("_"), item[0]))]


def _of_classes(target: Any, known: dict[str, Any]) -> dict[str, Any]:
    """What properties and attributes of the user's classes hold."""
    found: dict[str, Any] = {}
    for kind in type(target).__mro__:
        if kind.__module__.partition(".")[0] in ("nyala", "builtins"):
            continue
        for name, value in vars(kind).items():
            if name.startswith("__") or name in known or name in INTERNAL or callable(value):
                continue
            try:
                held = getattr(target, name)
            except Exception:  # a property of the user's that is not ready; so does Keras
                continue
            if isinstance(held, (Layer, Optimizer, list, tuple, dict)):
                found[name] = held
    return found


# Class -> attribute here -> the name that files have for it.
SPELLED: dict[str, dict[str, str]] = {
    "MultiHeadAttention": {f"_{name}_dense": f"{name}_dense" for name in ("query", "key", "value", "output")},
}
CLASSES = {"GroupQueryAttention": "grouped_query_attention"}  # classes that files call otherwise


def _class_name(kind: type) -> str:
    return CLASSES.get(kind.__name__) or to_snake_case(kind.__name__)


def _keras_name(target: Any, name: str) -> str:
    for kind in type(target).__mro__:
        spelled = SPELLED.get(kind.__name__)
        if spelled and name in spelled and kind.__module__.startswith("nyala."):
            return spelled[name]
    return name


def _part(name: str) -> str:
    """A name as one part of a path; what could be mistaken for more is percent-encoded.

    >>> _part("dense_1"), _part("a/../b"), _part("..")
    ('dense_1', 'a%2F..%2Fb', '%2E%2E')
    """
    if name in (".", ".."):
        return name.replace(".", "%2E")
    return re.sub(r"[/\\%\0:]", lambda match: f"%{ord(match[0]):02X}", str(name))
