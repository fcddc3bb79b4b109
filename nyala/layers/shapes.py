# SPDX-License-Identifier: Apache-2.0
"""Shapes of trees of tensors, and trees of shapes: what `build`, symbolic calls and configs speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from nyala.core.symbolic import plain_shape


def shapes_of(value: Any) -> Any:
    """The shapes of a tree of tensors, as a tree of tuples with None for unknown sizes."""
    if isinstance(value, dict):
        return {k: shapes_of(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [shapes_of(v) for v in value] if isinstance(value, list) else tuple(shapes_of(v) for v in value)
    return plain_shape(value.shape) if hasattr(value, "shape") else None


def is_shape(value: Any) -> TypeGuard[Sequence[Any]]:
    """Whether a value is one shape: sizes and Nones."""
    return isinstance(value, (list, tuple)) and all(n is None or isinstance(n, (int, np.integer)) for n in value)


def shape_places(shapes: Any) -> Any:
    """The tree in which each shape is one leaf."""
    if shapes is None or is_shape(shapes):
        return 0
    if isinstance(shapes, dict):
        return {k: shape_places(v) for k, v in shapes.items()}
    return type(shapes)(shape_places(v) for v in shapes) if isinstance(shapes, (list, tuple)) else 0


def as_shapes(value: Any) -> Any:
    """Shapes from a config, where tuples came back as lists."""
    if is_shape(value):
        return tuple(value)
    if isinstance(value, dict):
        return {k: as_shapes(v) for k, v in value.items()}
    return [as_shapes(v) for v in value] if isinstance(value, (list, tuple)) else value
