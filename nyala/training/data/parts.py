# SPDX-License-Identifier: Apache-2.0
"""The parts of a batch, x, y and sample_weight: packed, unpacked, converted, and weighted by class. Start at as_parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from nyala.core import config, tree
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Engine
from nyala.training.data.conversion import as_arrays, samples_in
from nyala.training.data.lazy import LazyRows
from nyala.training.data.ragged import Padded, weights_for_padding


class Alone(NamedTuple):
    """A batch that is x and nothing else: a step of the user's gets x itself, as in Keras. All else takes it as (x,)."""

    x: Any


def as_given(batch: Any) -> Any:
    """A batch as a step of the user's gets it."""
    return batch.x if type(batch) is Alone else batch


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """A batch as (x, y, sample_weight), None for what it lacks.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ArgumentError("a batch", need="(x,), (x, y) or (x, y, sample_weight)", got=f"a tuple of {len(data)}")
    return (*data, *[None] * (3 - len(data)))  # type: ignore[return-value]


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch from its parts.

    >>> pack_x_y_sample_weight([1], [2])
    ([1], [2])
    """
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (tuple, list)) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def as_parts(x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, here: Engine | None = None) -> tuple:
    """What a user gave for x, y and sample_weight as Alone(x), (x,), (x, y) or (x, y, sample_weight), trees of arrays.

    Padded places of ragged targets and the classes of class_weight go into the weights.
    here: an engine whose tensors stay what they are, where these parts are a batch."""
    of_x, of_y = samples_in(x), samples_in(y)
    own_target = y is x and isinstance(x, np.ndarray)
    x = as_arrays(x, "x", of_y, here)
    y = x if own_target else as_arrays(y, "y", of_x, here)
    sample_weight = as_arrays(sample_weight, "sample_weight", of_x, here)
    y, sample_weight = weights_for_padding(y, sample_weight)
    if class_weight:
        sample_weight = weighted(sample_weight, class_weights(y, class_weight))
    if y is None and sample_weight is None:
        return (x,) if isinstance(x, (list, tuple)) and not isinstance(x, Padded) else Alone(x)
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def number_of_rows(parts: Mapping[str, Any], where: str = "fit") -> int:
    """The common length of all arrays; ShapeError if they differ or are empty."""
    lengths = [
        (f"{what}{''.join(f'[{k!r}]' for k in path)}", len(leaf))
        for what, part in parts.items()
        for path, leaf in tree.flatten_with_path(part)
        if leaf is not None
    ]
    sizes = {n for _, n in lengths}
    if len(sizes) > 1:
        shown = ", ".join(f"{name}: {n}" for name, n in lengths[:4]) + (", ..." if len(lengths) > 4 else "")
        several = next((what for what, part in parts.items() if isinstance(part, (list, tuple))), None)
        why = f"a list of arrays as {several} means several of them, one array each" if several else "each sample needs its target and its weight"
        raise ShapeError(
            where,
            need="arrays of equal length",
            got=shown,
            why=why,
            fix=f"np.asarray({several}) makes one array of a list of samples" if several else "cut them to one length",
        )
    if sizes == {0} or not sizes:
        raise ShapeError(where, need="at least one sample", got="none")
    return sizes.pop()


def class_weights(y: Any, class_weight: Mapping[int, float], where: str = "fit(class_weight)") -> Any:
    """A weight for each label of y, 1 for labels not named: integer labels of any shape, or one-hot ones."""
    if not isinstance(class_weight, Mapping) or not all(isinstance(key, (int, float, np.number)) for key in class_weight):
        raise ArgumentError(where, need="a dict {label: weight}", got=repr(class_weight))
    if isinstance(y, (Mapping, list, tuple)):
        leaves = tree.flatten(y)
        if len(leaves) != 1:
            raise ArgumentError(where, need="a model with one output", got=f"{len(leaves)} targets", fix="pass sample_weight per output instead")
        y = leaves[0]
    if isinstance(y, LazyRows):
        return y.mapped(lambda rows: class_weights(rows, class_weight, where))
    y = np.asarray(y)
    if y.ndim > 1 and y.shape[-1] == 1:
        y = y[..., 0]
    elif y.ndim > 1 and ((y.ndim == 2 and y.dtype.kind == "f") or (y.min() >= 0 and np.allclose(y.sum(-1), 1))):
        y = y.argmax(-1)  # one-hot, or probabilities
    labels, places = np.unique(np.round(y).astype(np.int64), return_inverse=True)
    return np.array([class_weight.get(int(label), 1.0) for label in labels], config.floatx())[places.reshape(y.shape)]


def weighted(sample_weight: Any, weights: Any) -> Any:
    """The product of weights per sample, or per element, with weights of classes: one has more axes than the other."""
    if sample_weight is None:
        return weights
    if isinstance(sample_weight, (Mapping, list, tuple)):
        sample_weight = tree.flatten(sample_weight)[0]
    sample_weight, weights = np.asarray(sample_weight), np.asarray(weights)
    axes = max(sample_weight.ndim, weights.ndim)
    return sample_weight.reshape(sample_weight.shape + (1,) * (axes - sample_weight.ndim)) * weights.reshape(
        weights.shape + (1,) * (axes - weights.ndim)
    )
