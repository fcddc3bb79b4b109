# SPDX-License-Identifier: Apache-2.0
"""Trees: nested lists, tuples, named tuples and dicts (keys in sorted order) of anything. None is a leaf. Public as nyala.tree."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nyala.core.errors import ArgumentError, StructureError

Tree = Any


def is_nested(structure: Any) -> bool:
    """Whether structure is an inner node.

    >>> is_nested([1]), is_nested("text")
    (True, False)
    """
    return isinstance(structure, (list, tuple, dict))


def _children(value: Any) -> Iterable:
    return [value[key] for key in _keys(value)] if isinstance(value, dict) else value


def _keys(value: Mapping) -> list:
    if isinstance(value, collections.OrderedDict):
        return list(value)
    try:
        return sorted(value)
    except TypeError:  # keys of several kinds
        return list(value)


def _rebuild(like: Any, children: Iterable) -> Any:
    """An inner node of the kind of `like` with new children, in the order of _children."""
    if isinstance(like, dict):
        values = dict(zip(_keys(like), children, strict=True))
        ordered = {key: values[key] for key in like}
        return (
            ordered
            if type(like) is dict
            else type(like)(like.default_factory, ordered)
            if isinstance(like, collections.defaultdict)
            else type(like)(ordered)
        )
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*children)
    return type(like)(children)


def flatten(structure: Tree) -> list:
    """Leaves from left to right.

    >>> flatten({"b": [1, (2, 3)], "a": None})
    [None, 1, 2, 3]
    """
    leaves: list = []
    _collect(structure, leaves)
    return leaves


def _collect(structure: Tree, leaves: list) -> None:
    if is_nested(structure):
        for child in _children(structure):
            _collect(child, leaves)
    else:
        leaves.append(structure)


def flatten_with_path(structure: Tree) -> list[tuple[tuple, Any]]:
    """Leaves with their paths of keys and indices.

    >>> flatten_with_path({"a": [5, 6]})
    [(('a', 0), 5), (('a', 1), 6)]
    """
    if not is_nested(structure):
        return [((), structure)]
    keys = _keys(structure) if isinstance(structure, dict) else range(len(structure))
    return [((key, *path), leaf) for key, child in zip(keys, _children(structure), strict=True) for path, leaf in flatten_with_path(child)]


def map_structure(func: Callable, *structures: Tree, none_is_leaf: bool = True) -> Tree:
    """func of the leaves at each place of trees of equal structure.

    >>> map_structure(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
    {'x': [11, 22]}
    """
    if not structures:
        raise ArgumentError("map_structure", need="at least one structure", got="none")
    first = structures[0]
    if not is_nested(first):
        return None if first is None and not none_is_leaf else func(*structures)
    if len(structures) > 1:
        _same(structures, check_types=False)
    return _rebuild(first, [map_structure(func, *children, none_is_leaf=none_is_leaf) for children in zip(*map(_children, structures), strict=True)])


def map_shape_structure(func: Callable, structure: Tree) -> Tree:
    """map_structure for a tree of shapes: a list or tuple of integers and Nones is one leaf.

    >>> map_shape_structure(len, {"a": (2, 3), "b": [(None, 1, 5), (4,)]})
    {'a': 2, 'b': [3, 1]}
    """
    if is_nested(structure) and (isinstance(structure, dict) or not all(n is None or isinstance(n, int) for n in structure)):
        return _rebuild(structure, [map_shape_structure(func, child) for child in _children(structure)])
    return func(structure)


def map_structure_up_to(shallow_structure: Tree, func: Callable, *structures: Tree) -> Tree:
    """func of the subtrees that stand where shallow_structure has its leaves.

    >>> map_structure_up_to([0, 0], len, [[1, 2], [3]])
    [2, 1]
    """
    if not is_nested(shallow_structure):
        return func(*structures)
    _same((shallow_structure, *structures), check_types=False)
    return _rebuild(
        shallow_structure,
        [
            map_structure_up_to(*([child, func]), *children)
            for child, *children in zip(_children(shallow_structure), *map(_children, structures), strict=True)
        ],
    )


def pack_sequence_as(structure: Tree, flat_sequence: Iterable) -> Tree:
    """The leaves of a flat sequence in the places of a tree.

    >>> pack_sequence_as({"b": [0, 0], "a": 0}, [1, 2, 3])
    {'b': [2, 3], 'a': 1}
    """
    flat = list(flat_sequence)
    places = len(flatten(structure))
    if len(flat) != places:
        raise StructureError("tree.pack_sequence_as", need=f"{places} leaves for this structure", got=f"{len(flat)}")
    leaves = iter(flat)
    return map_structure(lambda _: next(leaves), structure)


def assert_same_structure(a: Tree, b: Tree, check_types: bool = True) -> None:
    """Raise ValueError unless both trees have equal inner nodes."""
    _same((a, b), check_types)
    if is_nested(a):
        for one, other in zip(_children(a), _children(b), strict=True):
            assert_same_structure(one, other, check_types)


def assert_same_paths(a: Tree, b: Tree) -> None:
    """Raise ValueError unless the leaves of both trees have equal paths."""
    paths = [[path for path, _ in flatten_with_path(tree)] for tree in (a, b)]
    if set(paths[0]) != set(paths[1]):
        raise StructureError("tree.assert_same_paths", need="two trees with equal paths", got=f"{paths[0]} and {paths[1]}")


def _same(structures: tuple, check_types: bool) -> None:
    first = structures[0]
    for other in structures[1:]:
        kinds = [dict if isinstance(s, dict) else (list, tuple) if isinstance(s, (list, tuple)) else object for s in (first, other)]
        if kinds[0] != kinds[1] or (check_types and is_nested(first) and type(first) is not type(other)):
            raise StructureError("tree", need=f"two trees of the same structure: here a {type(first).__name__}", got=f"a {type(other).__name__}")
        if is_nested(first) and (len(first) != len(other) or (isinstance(first, dict) and set(first) != set(other))):
            shown = [sorted(s, key=str) if isinstance(s, dict) else f"{len(s)} children" for s in (first, other)]
            raise StructureError("tree", need=f"two trees of the same structure: here {shown[0]}", got=f"{shown[1]}")


def traverse(func: Callable, structure: Tree, top_down: bool = True) -> Tree:
    """Rebuild a tree: func sees every node and leaf and may return a replacement, None keeps it; top_down: a replaced node is not entered.

    >>> traverse(lambda x: x + 1 if isinstance(x, int) else None, [1, {"a": 2}])
    [2, {'a': 3}]
    """
    if top_down and (replaced := func(structure)) is not None:
        return _unmark(replaced)
    if is_nested(structure):
        structure = _rebuild(structure, [traverse(func, child, top_down) for child in _children(structure)])
    if not top_down and (replaced := func(structure)) is not None:
        return _unmark(replaced)
    return structure


class MAP_TO_NONE:
    """What a function given to traverse returns to put None in a place."""


def _unmark(value: Any) -> Any:
    return None if value is MAP_TO_NONE else value


def lists_to_tuples(structure: Tree) -> Tree:
    """The same tree with tuples for lists.

    >>> lists_to_tuples([1, [2, {"a": [3]}]])
    (1, (2, {'a': (3,)}))
    """
    if not is_nested(structure):
        return structure
    children = [lists_to_tuples(child) for child in _children(structure)]
    return tuple(children) if isinstance(structure, list) else _rebuild(structure, children)
