# SPDX-License-Identifier: Apache-2.0
"""Samples of different lengths: padded with zeros at the end, with their lengths beside them until a step begins.

In a batch such an input is a `Padded` in the place of its array, an inner node of the tree. Where a step begins (`with_masks`) it becomes the padded
tensor again, with a mask in core/masks.py, which layers, losses and metrics know how to use. Targets have their mask in the sample weights instead:
0 for padded places.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from nyala.core import config, sharding
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.masks import set_mask
from nyala.engines import current


class Padded(NamedTuple):
    """Samples of different lengths.

    values: (b, t, ...), zeros behind the end of each sample. lengths: (b,), int32.
    """

    values: Any
    lengths: Any


def pad(samples: Any, what: str, longest: Callable[[int], int] = int) -> Padded:
    """Samples of different lengths as one array. longest: gives the length to pad to for that of the longest.

    >>> pad([[1, 2], [3]], "x").values
    array([[1, 2],
           [3, 0]])
    """
    from nyala.utils.sequences import pad_sequences

    try:
        rows = [np.asarray(sample) for sample in samples]
        inner = {row.shape[1:] for row in rows if row.ndim and len(row)}
    except ValueError:
        inner = set()
        rows = []
    if len(inner) != 1 or any(row.ndim == 0 for row in rows):
        raise ArgumentError(
            what,
            need="samples that differ in their first axis only",
            got="a ragged list of another kind",
            fix="pad them to one shape, for example with nyala.utils.pad_sequences",
        )
    dtype = np.result_type(*(row.dtype for row in rows if len(row)))
    if dtype.kind not in "biufc":
        raise ArgumentError(what, need="numbers", got="lists of strings" if dtype.kind in "US" else f"lists of {dtype}", fix="encode them first")
    lengths = np.array([len(row) for row in rows], "int32")
    dtype = np.dtype(config.floatx()) if dtype == np.float64 else dtype
    return Padded(pad_sequences(rows, longest(int(lengths.max())), dtype, "post"), lengths)


def differ_in_length(arrays: Sequence) -> bool:
    """Whether arrays are alike but for the length of their first axes."""
    shapes = {tuple(getattr(array, "shape", ())) for array in arrays}
    return len(shapes) > 1 and () not in shapes and len({shape[1:] for shape in shapes}) == 1


def weights_for_padding(y: Any, sample_weight: Any) -> tuple[Any, Any]:
    """Targets without lengths, and weights that are 0 for their padded places."""
    if not _has_padding(y):
        return y, sample_weight
    if sample_weight is not None and not isinstance(y, Padded):
        need = "None beside several targets of which some are ragged"
        raise ArgumentError("sample_weight", need=need, got="weights", fix="pad the targets, and put the weights together")
    return _values(y), _weights(y, sample_weight)


def _has_padding(value: Any) -> bool:
    if isinstance(value, Padded):
        return True
    return any(map(_has_padding, value.values() if isinstance(value, Mapping) else value)) if isinstance(value, (Mapping, list, tuple)) else False


def _values(value: Any) -> Any:
    return _replace(value, lambda padded: padded.values, lambda leaf: leaf)


def _weights(y: Any, sample_weight: Any) -> Any:
    def of_padded(padded: Padded) -> np.ndarray:
        mask = np.arange(padded.values.shape[1]) < padded.lengths[:, None]  # b t
        if sample_weight is None:
            return mask.astype(config.floatx())
        given = np.asarray(_values(sample_weight))
        if given.shape not in (mask.shape[:1], mask.shape):
            raise ShapeError("sample_weight", need=f"shape {mask.shape[:1]} or {mask.shape}", got=f"{given.shape}")
        return (given[:, None] if given.ndim == 1 else given) * mask

    return _replace(y, of_padded, lambda leaf: None if leaf is None else np.ones(len(leaf), config.floatx()))


def _replace(value: Any, of_padded: Callable[[Padded], Any], of_leaf: Callable[[Any], Any]) -> Any:
    """A tree with something else for each Padded and each leaf."""
    if isinstance(value, Padded):
        return of_padded(value)
    if isinstance(value, Mapping):
        return {key: _replace(child, of_padded, of_leaf) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        children = [_replace(child, of_padded, of_leaf) for child in value]
        return type(value)(*children) if hasattr(value, "_fields") else type(value)(children)
    return of_leaf(value)


def masked(data: Any) -> Any:
    """A batch of tensors with masks set, instead of lengths beside them."""
    return _replace(data, _with_mask, lambda leaf: leaf) if _has_padding(data) else data


def _with_mask(padded: Padded) -> Any:
    from nyala import ops

    values = padded.values if current().is_tensor(padded.values) else ops.convert_to_tensor(padded.values)
    places = ops.arange(values.shape[1], dtype="int32")
    set_mask(values, ops.less(places, ops.expand_dims(ops.cast(padded.lengths, "int32"), -1)))
    return values


def with_masks(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A step that gets masks set on its inputs where they are padded, and batches that are divided among devices."""

    @functools.wraps(step)
    def call(data: Any) -> Any:
        data = masked(data)
        return step(data if sharding.current is None or current().abstract else sharding.divided(data))

    return call
