# SPDX-License-Identifier: Apache-2.0
"""Prediction from arrays: one look-up of a compiled program per batch, and few programs.

Each number of rows would be a program of its own. Where rows cannot influence each other (`is_row_wise`), a short last batch is filled up with
zero rows to the size of the others, and a single batch to a power of two; the rows added are cut off again. Start at predict_arrays.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from nyala.core import tree
from nyala.engines import current, engine
from nyala.training.data import Alone, ArrayData, with_masks
from nyala.training.loop import padded, signature, specs_of, to_device
from nyala.training.recorded import is_ours

SMALL_BYTES = 2**15
GROUP = 16  # batches that one program runs, where a batch takes less than QUICK_SECONDS
QUICK_SECONDS = 1e-3
GROUP_BYTES = 2**26
TIMED = 8  # batches, the first one apart, from which it is known how long one takes


def predict_arrays(model: Any, data: ArrayData) -> Any:
    """The outputs for all rows, as arrays."""
    here, x = current(), data.parts[0]
    fills = here.compiles and not model.run_eagerly and is_row_wise(model)
    if data.steps == 1 and data.rows <= data.batch_size:
        rows = 1 << (data.rows - 1).bit_length() if fills else data.rows
        results = _cut(joined([predict_batch(model, _filled(inputs_of(model, data.batch(slice(None))), rows))]), data.rows, rows)
        if rows == data.rows and not model._is_own_step("predict"):
            model._programs.remember(x, ("predict", signature((x,))))
        return results
    if not fills:
        return joined([predict_batch(model, inputs_of(model, batch)) for batch in data.batches()])
    results: list[Any] = []
    done, size, began = 0, data.batch_size, 0.0
    while done < data.steps:
        count = GROUP if began and data.steps - done > GROUP and _is_quick(model, (x,), size) else 1
        batch = inputs_of(model, data.batch(slice(done * size, (done + count) * size)))
        results.append(_predict_group(model, batch, size) if count > 1 else predict_batch(model, _filled(batch, size)))
        done += count
        if done == 1:  # compiled by now
            began = time.perf_counter()
        elif done == TIMED:
            here.block(results[-1])
            model._programs.seconds[_timing((x,), size)] = (time.perf_counter() - began) / (TIMED - 1)
    return _cut(joined(results), data.rows, data.steps * size)


def inputs_of(model: Any, batch: tuple) -> tuple:
    """A batch without targets: (x,), or as it is where a step of the user's takes x itself."""
    return batch if type(batch) is Alone and model._is_own_step("predict") else batch[:1]


def _timing(batch: tuple, size: int) -> tuple:
    return current().name, "predict", size, *(leaf.shape[1:] for leaf in tree.flatten(batch))


def _is_quick(model: Any, batch: tuple, size: int) -> bool:
    """Whether batches are so quick that what a dispatch costs is worth saving, and so small that many may go at once."""
    seconds = model._programs.seconds.get(_timing(batch, size))
    bytes_of_group = sum(leaf.nbytes // len(leaf) for leaf in tree.flatten(batch)) * size * GROUP
    return seconds is not None and seconds < QUICK_SECONDS and bytes_of_group < GROUP_BYTES


def _predict_group(model: Any, batch: tuple, size: int) -> Any:
    """Predictions for GROUP batches by one program that runs them one after the other."""
    shapes, predict = signature(batch), with_masks(model._predict)

    def run(batch: tuple) -> Any:
        structure: list[Any] = []

        def one(_: tuple, now: tuple) -> tuple[tuple, tuple]:
            structure[:] = [predict(tree.pack_sequence_as(batch, now))]
            return (), tuple(tree.flatten(structure[0]))

        if current().abstract:
            return predict(batch)
        leaves = [engine.reshape(leaf, (GROUP, size, *leaf.shape[1:])) for leaf in tree.flatten(batch)]
        _, columns = engine.scan(one, (), tuple(leaves), GROUP, False, 1)
        joined_rows = [engine.reshape(column, (GROUP * size, *column.shape[2:])) for column in columns]
        return tree.pack_sequence_as(structure[0], joined_rows)

    program = model._programs.get(("predict", GROUP, shapes), run, [specs_of(batch)])
    return program(to_device(batch))


def predict_batch(model: Any, batch: tuple) -> Any:
    """Predictions for one batch, tensors. Compiled programs take small host arrays as they are; large ones are copied while the last one runs."""
    if model.run_eagerly:
        return with_masks(model._predict)(to_device(batch))
    shapes = signature(batch)
    chosen = None if model._programs.row_wise else shapes  # numbers of rows that were filled up are few
    program = model._programs.get(("predict", shapes), with_masks(model._predict), [specs_of(batch)], chosen)
    small = current().compiles and all(isinstance(leaf, np.ndarray) and leaf.nbytes <= SMALL_BYTES for leaf in tree.flatten(batch))
    return program(batch if small else to_device(batch))


def joined(results: list[Any]) -> Any:
    """Predictions of batches as arrays on the host, joined along the batch axis."""
    here = current()
    to_host = lambda leaf: here.to_numpy(leaf) if here.is_tensor(leaf) else np.asarray(leaf)  # noqa: E731
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
