# SPDX-License-Identifier: Apache-2.0
"""What users pass to fit, evaluate and predict, as batches: arrays that can be put on the device whole, or a stream of batches.

Start at as_data. A batch is a tuple (x,), (x, y) or (x, y, sample_weight) of trees of arrays, as train_step gets it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from nyala.core import config, seeds, tree
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError, StateError
from nyala.core.variable import Variable


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


def as_array(value: Any, what: str) -> np.ndarray:
    """One argument as an array of numbers: floats in floatx if they come as Python numbers or float64. Raises for anything else, naming it."""
    if isinstance(value, Variable):
        value = value.numpy()
    if hasattr(value, "to_numpy") and not isinstance(value, np.ndarray):
        value = getattr(value, "to_numpy")()  # noqa: B009  a name the checker cannot know
    elif hasattr(value, "detach"):
        value = getattr(value, "detach")().cpu().numpy()  # noqa: B009  as above
    if isinstance(value, (str, bytes, int, float, bool)) or value is None or isinstance(value, type):
        raise _no_data(what, f"{type(value).__name__} {value!r}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ArgumentError(
            what, need="rows of equal length", got="a ragged list", fix="pad them to one length, for example with nyala.utils.pad_sequences"
        ) from error
    if array.dtype.kind == "O" and array.ndim == 0:
        raise _no_data(what, type(value).__name__)
    if array.dtype.kind in "OUS":
        kind = "strings" if array.dtype.kind in "US" else f"objects ({type(array.flat[0]).__name__})" if array.size else "nothing"
        raise ArgumentTypeError(what, need="numbers", got=f"an array of {kind}", fix="encode them as numbers first")
    if array.ndim == 0:
        raise ArgumentError(what, need="at least one axis: the samples", got="a single number", fix="wrap it in a list")
    return array.astype(config.floatx()) if array.dtype == np.float64 else array


def _no_data(what: str, got: str) -> ArgumentTypeError:
    return ArgumentTypeError(what, need="an array, a list of numbers, a dict or list of arrays, or an iterable of batches", got=got)


def as_arrays(value: Any, what: str) -> Any:
    """A tree of arrays. Dicts and tuples are structure; a list is one too if it holds arrays, else it is data."""
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {k: as_arrays(v, f"{what}[{k!r}]") for k, v in value.items()}
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame is one array of its columns
        return as_array(value, what)
    if isinstance(value, (list, tuple)) and len(value) and all((hasattr(v, "shape") and len(v.shape) > 0) or isinstance(v, Mapping) for v in value):
        return (
            type(value)(as_arrays(v, f"{what}[{i}]") for i, v in enumerate(value))
            if not hasattr(value, "_fields")
            else type(value)(*(as_arrays(v, what) for v in value))
        )
    if isinstance(value, tuple):
        return tuple(as_arrays(v, f"{what}[{i}]") for i, v in enumerate(value))
    return as_array(value, what)


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
    y = np.asarray(y)
    if y.ndim > 1 and y.shape[-1] == 1:
        y = y[..., 0]
    elif y.ndim > 1 and ((y.ndim == 2 and y.dtype.kind == "f") or (y.min() >= 0 and np.allclose(y.sum(-1), 1))):
        y = y.argmax(-1)  # one-hot, or probabilities
    labels, places = np.unique(np.round(y).astype(np.int64), return_inverse=True)
    return np.array([class_weight.get(int(label), 1.0) for label in labels], config.floatx())[places.reshape(y.shape)]


def weighted(sample_weight: Any, weights: np.ndarray) -> np.ndarray:
    """The product of weights per sample, or per element, with weights of classes: one has more axes than the other."""
    if sample_weight is None:
        return weights
    if isinstance(sample_weight, (Mapping, list, tuple)):
        sample_weight = tree.flatten(sample_weight)[0]
    axes = max(sample_weight.ndim, weights.ndim)
    return sample_weight.reshape(sample_weight.shape + (1,) * (axes - sample_weight.ndim)) * weights.reshape(
        weights.shape + (1,) * (axes - weights.ndim)
    )


class ArrayData:
    """Arrays in memory.

    Attributes:
        parts: (x,), (x, y) or (x, y, sample_weight), trees of arrays with equal first axes.
        rows, batch_size: numbers of samples.
        steps: batches in an epoch, the last one possibly smaller.
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        shuffle: bool = False,
        steps: int | None = None,
        class_weight: Any = None,
        where: str = "fit",
    ) -> None:
        x, y, sample_weight = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")
        self.rows = number_of_rows({"x": x, "y": y, "sample_weight": sample_weight}, where)
        if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
            raise ArgumentError("batch_size", need="an integer of at least 1, or None", got=repr(batch_size))
        self.batch_size = min(int(batch_size or 32), self.rows) if steps is None or batch_size else max(self.rows // steps, 1)
        if class_weight:
            sample_weight = weighted(sample_weight, class_weights(y, class_weight))
        self.parts = (x,) if y is None and sample_weight is None else (x, y) if sample_weight is None else (x, y, sample_weight)
        self.shuffle, self.wanted_steps = bool(shuffle), steps
        self.steps = min(-(-self.rows // self.batch_size), *(n for n in (steps, config.max_steps_per_epoch()) if n is not None), sys.maxsize)
        self._random = seeds.host_generator(seeds.draw_seed()) if self.shuffle else None

    @property
    def bytes(self) -> int:
        return sum(leaf.nbytes for leaf in tree.flatten(self.parts) if leaf is not None)

    def order(self) -> np.ndarray:
        """The order of samples in the next epoch, int32."""
        return self._random.permutation(self.rows).astype(np.int32) if self._random is not None else np.arange(self.rows, dtype=np.int32)

    def batch(self, index: Any) -> tuple:
        """The samples that an index array or slice names."""
        return tree.map_structure(lambda leaf: None if leaf is None else leaf[index], self.parts)

    def batches(self) -> Iterator[tuple]:
        """One epoch of batches on the host."""
        order = self.order() if self.shuffle else None
        for step in range(self.steps):
            index: Any = slice(step * self.batch_size, (step + 1) * self.batch_size)
            yield self.batch(index if order is None else order[index])


class StreamData:
    """Batches from a generator, an iterator, or an object that can be iterated again or indexed."""

    def __init__(self, source: Any, steps: int | None = None, class_weight: Any = None, shuffle: bool = False, where: str = "fit") -> None:
        self.source, self.class_weight, self.shuffle, self.where = source, class_weight, shuffle, where
        self.epoch = 0
        self.indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        stream: Any = source
        self.once = not self.indexed and (inspect.isgenerator(stream) or (hasattr(source, "__next__") and iter(source) is source))
        known = len(source) if hasattr(source, "__len__") else getattr(source, "num_batches", None)
        self.steps: int | None = steps if steps is not None else known or None  # 0 batches: found out, and refused, by asking for one
        self.limit = config.max_steps_per_epoch() or sys.maxsize
        self.steps = self.steps and min(self.steps, self.limit)
        self._iterator: Iterator | None = None
        self._random = seeds.host_generator(seeds.draw_seed()) if shuffle and self.indexed else None

    def _start(self) -> Iterator:
        if self.indexed:
            order = self._random.permutation(len(self.source)) if self._random is not None else range(len(self.source))
            return (self.source[int(i)] for i in order)
        return iter(self.source)

    def batches(self) -> Iterator[tuple]:
        """One epoch: `steps` batches, or all; a source that can be iterated again begins anew when it runs out."""
        if self._iterator is None or not (self.once or self.steps):
            self._iterator = self._start()
        if hasattr(self.source, "on_epoch_begin"):
            self.source.on_epoch_begin()
        self.epoch += 1
        done = 0
        while done < self.limit and (self.steps is None or done < self.steps):
            batch = next(self._iterator, None)
            if batch is None and self.steps is not None and not self.once:
                self._iterator = self._start()
                batch = next(self._iterator, None)
            if batch is None:
                if self.steps is None and done:
                    break
                raise StateError(
                    self.where,
                    need=f"{self.steps or 'at least 1'} batch{'es' * (self.steps not in (None, 1))} in epoch {self.epoch}",
                    got=f"{done} from {'a generator that ran out' if self.once else f'an empty {type(self.source).__name__}'}",
                    why="a generator can be read once only" if self.once else "",
                    fix="pass a nyala.utils.PyDataset or another object that can be iterated again, let the generator loop forever, "
                    "or ask for fewer steps"
                    if self.once
                    else "",
                )
            yield self._prepare(batch)
            done += 1
        if not self.once and hasattr(self.source, "on_epoch_end"):
            self.source.on_epoch_end()
            self._iterator = None

    def _prepare(self, batch: Any) -> tuple:
        x, y, sample_weight = unpack_x_y_sample_weight(batch)
        x, y, sample_weight = as_arrays(x, "x"), as_arrays(y, "y"), as_arrays(sample_weight, "sample_weight")
        if self.class_weight:
            sample_weight = weighted(sample_weight, class_weights(y, self.class_weight))
        return (x,) if y is None and sample_weight is None else (x, y) if sample_weight is None else (x, y, sample_weight)


def is_stream(x: Any) -> bool:
    """Whether x gives batches rather than being data."""
    if isinstance(x, (np.ndarray, Variable, Mapping, list, tuple, str)) or x is None or hasattr(x, "shape") or hasattr(x, "columns"):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def as_data(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool = False,
    class_weight: Any = None,
    where: str = "fit",
) -> ArrayData | StreamData:
    """Whatever a user passed, as ArrayData or StreamData."""
    if steps is not None and (not isinstance(steps, (int, np.integer)) or steps < 1):
        name = {"fit": "fit(steps_per_epoch)", "fit(validation_data)": "fit(validation_steps)"}.get(where, f"{where}(steps)")
        raise ArgumentError(name, need="an integer of at least 1, or None", got=repr(steps))
    if is_stream(x):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ArgumentError(
                    f"{where}({name})",
                    need="None beside an iterable of batches",
                    got=type(value).__name__,
                    fix="let the iterable give (x, y, sample_weight)",
                )
        return StreamData(x, steps, class_weight, shuffle, where)
    if x is None:
        raise ArgumentTypeError(f"{where}(x)", need="data", got="None")
    return ArrayData(x, y, sample_weight, batch_size, shuffle, steps, class_weight, where)


def split_validation(x: Any, y: Any, sample_weight: Any, share: float) -> tuple[tuple, tuple]:
    """Cut the last share of the samples off for validation, before any shuffling: ((x, y, w), (x, y, w))."""
    if not isinstance(share, (int, float)) or not 0 < share < 1:
        raise ArgumentError("fit(validation_split)", need="a number between 0 and 1", got=repr(share))
    if is_stream(x):
        raise ArgumentError("fit(validation_split)", need="arrays", got=f"an iterable ({type(x).__name__})", fix="pass validation_data")
    parts = {"x": as_arrays(x, "x"), "y": as_arrays(y, "y"), "sample_weight": as_arrays(sample_weight, "sample_weight")}
    rows = number_of_rows(parts)
    cut = int(rows * (1 - share))
    if cut in (0, rows):
        raise ArgumentError("fit(validation_split)", need="a share that leaves samples on both sides", got=f"{share} of {rows} samples")
    head, tail = (
        tuple(tree.map_structure(lambda a, s=s: None if a is None else a[s], part) for part in parts.values())
        for s in (slice(0, cut), slice(cut, rows))
    )
    return head, tail
