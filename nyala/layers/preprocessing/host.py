# SPDX-License-Identifier: Apache-2.0
"""What the preprocessing layers share: reading what users have on the host, encoding ids, and the base of layers that understand strings.

Strings never reach an engine. A layer that is given lists, arrays or columns of a data frame answers on the host; given tensors, as in the
steps of a model, it computes with ops. Start at HostLayer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError, missing_method
from nyala.core.op import convert
from nyala.core.symbolic import Symbolic, contains_symbolic, infer_symbolic
from nyala.core.variable import Variable
from nyala.engines import current
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, is_int
from nyala.layers.layer import Layer
from nyala.layers.pipelines import in_pipeline

IN_FRONT = "strings are encoded on the host: call the layer on the data in front of the model, or of its compiled function"


# Reading ------------------------------------------------------------------------------------------------------------------------------------


def is_native(value: Any) -> bool:
    """Whether value is a tensor of the engine, not host data; to the numpy engine arrays are both, and are read on the host."""
    return not isinstance(value, np.ndarray) and current().is_tensor(value)


def as_array(value: Any, where: str) -> np.ndarray:
    """Host data as an array: of numbers, or of kind U, S or O for strings."""
    if isinstance(value, Variable):
        return value.numpy()
    if is_native(value):
        try:
            return current().to_numpy(value)
        except Exception as error:  # a tensor of a step that is being traced
            raise StateError(where, need="data with values", got="a tensor of a compiled step", fix=IN_FRONT) from error
    if hasattr(value, "to_numpy"):
        value = value.to_numpy()  # a column, without its library being imported
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ArgumentError(where, need="rows of equal length", got="a ragged list", fix="pad the rows, or pass them one by one") from error


def is_text(array: np.ndarray) -> bool:
    """Whether an array holds strings."""
    return array.dtype.kind in "US" or (array.dtype.kind in "OT" and array.size > 0 and isinstance(array.flat[0], (str, bytes)))


def as_bytes(array: np.ndarray, encoding: str, where: str) -> list[bytes]:
    """The strings of an array, row by row, encoded."""
    items = array.ravel().tolist()
    try:
        return [item if type(item) is bytes else item.encode(encoding) for item in items]
    except AttributeError:
        wrong = next(item for item in items if not isinstance(item, (str, bytes)))
        fix = "fill missing values first, for example with ''" if wrong is None or wrong != wrong else ""
        raise ArgumentTypeError(where, need="strings", got=f"{wrong!r} ({type(wrong).__name__})", fix=fix) from None


def batches(data: Any, steps: int | None, where: str) -> Iterator[np.ndarray]:
    """What adapt reads: arrays, lists and columns are one batch, anything else that can be iterated gives batches; of (x, y) the x counts."""
    if steps is not None and (not is_int(steps) or steps < 1):
        raise ArgumentError(f"{where}(steps)", need="an integer of at least 1, or None", got=repr(steps))
    if data is None:
        raise ArgumentTypeError(f"{where}(data)", need="data", got="None")
    whole = isinstance(data, (str, bytes, list, tuple, np.ndarray, Variable)) or hasattr(data, "shape") or not isinstance(data, Iterable)
    for batch in (data,) if whole else itertools.islice(data, steps):
        yield as_array(batch[0] if isinstance(batch, tuple) and not whole else batch, f"{where}(data)")


# Encoding -----------------------------------------------------------------------------------------------------------------------------------

MODES = ("int", "one_hot", "multi_hot", "count")


def as_mode(where: str, mode: Any, modes: Sequence[str] = MODES) -> str:
    """One of the output modes."""
    return as_choice(f"{where}(output_mode)", mode, modes)


def check_sparse(where: str, sparse: Any, mode: str) -> bool:
    """sparse is accepted where Keras knows it; results are dense all the same."""
    if sparse and mode == "int":
        raise ArgumentError(f"{where}(sparse)", need="False with output_mode='int'", got=repr(sparse), why="indices are no rows of zeros")
    return bool(sparse)


def encode(ids: Tensor, mode: str, depth: int, dtype: str, weights: Tensor | None = None) -> Tensor:
    """Ids as they are, as a row of zeros with a 1 each, or as one row for all that lie along the last axis. Ids out of [0, depth) are left out.

    Args:
        ids: integers, any shape; for rows, a last axis of 1 is no axis of its own.
        mode: "int", "one_hot", "multi_hot" or "count".
        depth: length of a row.
        dtype: of rows.
        weights: with "count", how much each id counts, of the shape of ids.
    """
    if mode == "int":
        return ids
    if len(ids.shape) == 0:
        ids = ops.reshape(ids, (1,))
    if mode == "one_hot":
        ids = ops.squeeze(ids, -1) if len(ids.shape) > 1 and ids.shape[-1] == 1 else ids
        return ops.one_hot(ids, depth, dtype=dtype)
    rows = ops.one_hot(ids, depth, dtype=dtype)  # *s n depth
    if weights is not None:
        rows = ops.multiply(rows, ops.expand_dims(ops.cast(weights, dtype), -1))
    total = ops.sum(rows, -2)
    return ops.minimum(total, 1) if mode == "multi_hot" else total


def encode_on_host(ids: np.ndarray, mode: str, depth: int) -> np.ndarray:
    """`encode` for arrays, float32 where it makes rows."""
    if mode == "int":
        return ids
    ids = np.atleast_1d(ids)
    if mode == "one_hot":
        ids = ids[..., None] if ids.ndim == 1 or ids.shape[-1] != 1 else ids
    lead = ids.shape[:-1]
    rows = np.repeat(np.arange(int(np.prod(lead))), ids.shape[-1])
    return count_rows(rows, ids.ravel(), int(np.prod(lead)), depth, mode != "count").reshape(*lead, depth)


def count_rows(rows: np.ndarray, ids: np.ndarray, count: int, depth: int, once: bool) -> np.ndarray:
    """How often, or with `once` whether, each id is in each row: float32 of shape (count, depth)."""
    known = (ids >= 0) & (ids < depth)
    totals = np.bincount(rows[known] * depth + ids[known], minlength=count * depth).reshape(count, depth)
    return (totals > 0 if once else totals).astype(np.float32)


# The base -----------------------------------------------------------------------------------------------------------------------------------


class HostLayer(Layer):
    """Answers on the host what lies on the host: subclasses write `call_on_host` for arrays and `call` for tensors.

    Calls change nothing in the layer, so that threads may share it.
    """

    output_mode = "int"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not args or contains_symbolic(args) or not self._belongs_on_host(args[0]) or in_pipeline(args, kwargs):
            return super().__call__(*args, **kwargs)
        self.built = True
        try:
            return self.call_on_host(*args, **kwargs)
        except Exception as error:
            self._explain(error, args if args[0] is None else ())
            raise

    def _belongs_on_host(self, inputs: Any) -> bool:
        return not is_native(inputs)

    def call_on_host(self, inputs: Any) -> Any:
        """The answer for lists, arrays and columns."""
        raise missing_method(self, "call_on_host(self, inputs)")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """As of any layer; symbolic strings count as integers of their shape, for `call_on_shapes`."""
        plain = lambda leaf: Symbolic(leaf.shape, "int32") if isinstance(leaf, Symbolic) and leaf.dtype == "string" else leaf  # noqa: E731
        return infer_symbolic(self.call_on_shapes, *tree.map_structure(plain, list(args)), **kwargs)

    def call_on_shapes(self, *args: Any, **kwargs: Any) -> Any:
        """`call` where only shapes flow."""
        return self._run(args, kwargs)

    @property
    def result_dtype(self) -> str:
        """Indices are integers whatever the policy."""
        return "int64" if self.output_mode == "int" and not dtypes.is_integer(self.compute_dtype) else self.compute_dtype

    @property
    def where(self) -> str:
        return f"{type(self).__name__} {self.name!r}"


def as_result(array: np.ndarray, dtype: str | None = None) -> Tensor:
    """What the host computed, as a tensor; strings stay an array."""
    if array.dtype.kind in "OUS":
        return array
    return convert(array) if dtype is None else convert(array, current().canonical_dtype(dtypes.standardize_dtype(dtype)))
