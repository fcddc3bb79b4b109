# SPDX-License-Identifier: Apache-2.0
"""Nested lists, tuples and dicts of tensors, taken apart and put together by engines that trace. Knows no array library. Start at flatten."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nyala.engines.protocol import Tree


@dataclass(frozen=True)
class ShapeDtype:
    """A tensor without values, as eval_shape gives it."""

    shape: tuple[int, ...]
    dtype: str


def flatten(tree: Tree, leaves: list) -> Any:
    """Append the leaves of nested lists, tuples and dicts to `leaves`; returns the structure, hashable, for `rebuild`."""
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind, tuple([flatten(part, leaves) for part in tree])
    if kind is dict:
        return dict, tuple(tree), tuple([flatten(part, leaves) for part in tree.values()])
    if isinstance(tree, tuple):  # named tuples
        return kind, tuple([flatten(part, leaves) for part in tree])
    if tree is None:
        return None
    leaves.append(tree)
    return True


def rebuild(structure: Any, leaves: Iterator) -> Tree:
    """The tree with this structure and the next leaves."""
    if structure is None:
        return None
    if structure is True:
        return next(leaves)
    kind, *_, parts = structure
    values = [rebuild(part, leaves) for part in parts]
    if kind is dict:
        return dict(zip(structure[1], values, strict=True))
    return values if kind is list else tuple(values) if kind is tuple else kind(*values)


def map_tree(function: Callable, tree: Tree) -> Tree:
    """function of every leaf."""
    leaves: list = []
    structure = flatten(tree, leaves)
    return rebuild(structure, map(function, leaves))
