# SPDX-License-Identifier: Apache-2.0
"""Prediction from arrays: one look-up of a compiled program per batch, and few programs.

Each number of rows would be a program of its own. Where rows cannot influence each other (`is_row_wise`), a short last batch is filled up with
zero rows to the size of the others, and a single batch to a power of two; the rows added are cut off again. Start at predict_arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nyala.core import sharding, tree
from nyala.core.errors import ShapeError
from nyala.engines import current
from nyala.training.data import Alone, ArrayData, with_masks
from nyala.training.loop import padded, signature, specs_of, to_device
from nyala.training.recorded import RecordedPrediction, is_ours

SMALL_BYTES = 2**15
GROUP = 16  # batches that are predicted as one, at most
GROUP_BYTES = 2**23  # the most that the largest tensor of such a group takes: it should stay in the caches
LOOP_ROWS = 256  # with recurrent layers, at most: what loops do to so many rows at a time takes two cores, and little of it is in use at once
LOOP_BYTES = 2**26  # the most that the largest tensor takes then


def predict_arrays(model: Any, data: ArrayData) -> Any:
    """The outputs for all rows, as arrays."""
    here, x = current(), data.parts[0]
    fills = here.compiles and not model.run_eagerly and is_row_wise(model)
    if data.steps == 1 and data.rows <= data.batch_size:
        rows = 1 << (data.rows - 1).bit_length() if fills else data.rows
        results = _cut(joined([_predict_filled(model, inputs_of(model, data.batch(slice(None))), rows, data.rows)]), data.rows, rows)
        if rows == data.rows and not model._is_own_step("predict"):
            model._programs.remember(x, ("predict", signature((x,))))
        return results
    if not fills:
        return _in_turn(model, data)
    rows, start, results = min(data.rows, data.steps * data.batch_size), 0, []
    size, fewer = (data.batch_size * count for count in _batches_in_one(model, data))
    while start < rows:
        size = size if rows - start > size // 2 else fewer
        batch = inputs_of(model, data.batch(slice(start, min(start + size, rows))))
        results.append(_predict_filled(model, batch, size, data.batch_size))
        start += size
    return _cut(joined(results), rows, start)


def _batches_in_one(model: Any, data: ArrayData) -> tuple[int, int]:
    """How many batches make one call of the compiled program, and how many if they are the last ones and fill it by less than half.

    Weights are read and packed once for all of them, and large products are quicker. Powers of two, so that programs are few. Sizes alone decide,
    never time: the same rows always meet the same program."""
    count = min(GROUP, data.steps // 4)  # what fills up the last one is a fourth at most
    size = max(_bytes_of_row(model, data.parts[0]) * data.batch_size, 1)
    loops = any(hasattr(layer, "cell") for layer in model._flatten_layers())
    count = min(count, LOOP_ROWS // data.batch_size, LOOP_BYTES // size) if loops else min(count, GROUP_BYTES // size)
    if count < 2:
        return 1, 1  # larger batches fill caches and cores by themselves
    count = 1 << (count.bit_length() - 1)
    return count, 1 if loops else count


def _bytes_of_row(model: Any, x: Any) -> int:
    """Of the largest tensor between two layers, for one sample; sizes that the graph leaves open count as the longest of the input's. What only
    pooling reads does not count: compilers make and pool it piece by piece."""
    given = [leaf.shape[1:] for leaf in tree.flatten(x)]
    longest = max((size for shape in given for size in shape), default=1)
    nodes = [(node, "Pooling" in type(layer).__name__) for layer in model._flatten_layers() for node in layer.inbound_nodes]
    pooled, others = ({id(tensor) for node, pools in nodes for tensor in node.input_tensors if pools is wanted} for wanted in (True, False))
    between = [tensor.shape for node, _ in nodes for tensor in node.output_tensors if id(tensor) not in pooled - others]
    if not between or any(shape[:1] != (None,) for shape in between):
        return GROUP_BYTES  # not built: nothing is known; or the model says how many samples a batch has
    return 4 * max(math.prod(longest if size is None else size for size in shape) for shape in [*given, *(shape[1:] for shape in between)])


def _in_turn(model: Any, data: ArrayData) -> Any:
    """Predictions of batch after batch, each as it is; whether a recording still holds is looked at once."""
    results: list[Any] = []
    full, replay = data.rows // data.batch_size, None
    for number, batch in enumerate(data.batches()):
        x = inputs_of(model, batch)
        if replay is None and number < full and current().records and not model.run_eagerly:
            replay = _recorded(model, x).ready(x)
        results.append(predict_batch(model, x) if replay is None or number >= full else replay(x))
    return joined(results)


def inputs_of(model: Any, batch: tuple) -> tuple:
    """A batch without targets: (x,), or as it is where a step of the user's takes x itself."""
    return batch if type(batch) is Alone and model._is_own_step("predict") else batch[:1]


def predict_batch(model: Any, batch: tuple) -> Any:
    """Predictions for one batch, tensors. Compiled programs take small host arrays as they are; large ones are copied while the last one runs."""
    if model.run_eagerly:
        return with_masks(model._predict)(to_device(batch))
    if current().records:
        return _recorded(model, batch)(batch)
    shapes = signature(batch)
    chosen = None if model._programs.row_wise else shapes  # numbers of rows that were filled up are few
    program = model._programs.get(("predict", shapes), with_masks(model._predict), [specs_of(batch)], chosen)
    small = (
        current().compiles
        and sharding.current is None
        and all(isinstance(leaf, np.ndarray) and leaf.nbytes <= SMALL_BYTES for leaf in tree.flatten(batch))
    )
    return program(batch if small else to_device(batch))


def _predict_filled(model: Any, batch: tuple, rows: int, size: int) -> Any:
    """Predictions for a batch filled up to `rows`; an error tells of the shape of a batch of `size` as it was given."""
    try:
        return predict_batch(model, _filled(batch, rows))
    except ShapeError as error:
        refused = error
    predict_batch(model, tree.map_structure(lambda leaf: leaf[:size], batch))  # raises, too
    raise refused


def _recorded(model: Any, batch: tuple) -> RecordedPrediction:
    """The prediction of batches like this on an engine that records."""
    table, key = model._programs.table, (current().name, "predict", signature(batch))
    if key not in table:
        table[key] = RecordedPrediction(model, with_masks(model._predict))
    return table[key]


def joined(results: list[Any]) -> Any:
    """Predictions of batches as arrays on the host, joined along the batch axis."""
    here = current()
    to_host = lambda leaf: here.to_numpy(leaf) if here.is_tensor(leaf) else np.asarray(leaf)  # noqa: E731
    if sharding.current is not None:
        to_host = lambda leaf, whole=to_host: sharding.own_rows(whole(leaf))  # noqa: E731
    if len(results) == 1:
        return tree.map_structure(to_host, results[0])
    return tree.map_structure(lambda *leaves: np.concatenate([to_host(leaf) for leaf in leaves]), *results)


def is_row_wise(model: Any) -> bool:
    """Whether the model is a graph of known layers, none of which lets one sample of a batch see another, or remembers any. Found out once."""
    if model._programs.row_wise is None:
        model._programs.row_wise = all(map(_is_row_wise, model._flatten_layers())) and type(model).predict_step is _plain_predict_step()
    return model._programs.row_wise


def _plain_predict_step() -> Any:
    from nyala.training.trainer import Trainer

    return Trainer.predict_step


def _is_row_wise(layer: Any) -> bool:
    from nyala.layers.layer import Layer

    axes = tree.flatten(getattr(layer, "axis", ()))
    steps = getattr(layer, "operations", ())  # of a functional model: ops among them may do anything
    return is_ours(layer) and not getattr(layer, "stateful", False) and 0 not in axes and all(isinstance(step, Layer) for step in steps)


def _filled(batch: tuple, rows: int) -> tuple:
    """The batch with zero rows added up to `rows`."""
    return tree.map_structure(lambda leaf: padded(leaf, rows) if isinstance(leaf, np.ndarray) else leaf, batch)


def _cut(outputs: Any, rows: int, filled: int) -> Any:
    return outputs if rows == filled else tree.map_structure(lambda leaf: np.ascontiguousarray(leaf[:rows]), outputs)
