# SPDX-License-Identifier: Apache-2.0
"""Why a loss is nan: look at the data, the weights, the outputs of layers, the losses and the gradients, in this order, and name the first that is
not finite. Start at explain_nan.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nyala.core import tree
from nyala.core.op import convert
from nyala.core.transforms import value_and_grad
from nyala.core.variable import Scope
from nyala.engines import current
from nyala.layers.core.embedding import Embedding
from nyala.training.data import ArrayData, masked, unpack_x_y_sample_weight

SECONDS = 20.0  # that a diagnosis may take
TOO_LARGE = "lower the learning rate, scale the inputs, or pass clipnorm=1.0 to the optimizer"


def explain_nan(model: Any, data: Any, before: Sequence[Any] | None = None, last: Any = None) -> str:
    """One or two sentences about where the nan came from, with what to do.

    Args:
        model: a model whose loss has become nan or infinite.
        data: what it was trained on.
        before: arrays of its weights when all was well; without them little can be told once the weights are nan.
        last: where the data come in a stream, the batch after which the loss was nan, which alone is looked at.
    """
    arrays, one = (data, "") if isinstance(data, ArrayData) else (_as_data(last), " of that batch")
    if arrays is not None and (found := _in_the_data(arrays, one)):
        return found
    if arrays is not None:
        with contextlib.suppress(Exception), np.errstate(all="ignore"), Scope(model.weights, [w.value for w in model.weights]):
            if found := _first(arrays, lambda batch: _in_ids(model, batch)):
                return found
    broken = [weight.path for weight in model.weights if not _is_finite(weight.numpy())]
    if broken and before is None:
        seen = "either" if not one else "the data of an earlier batch hold nan (pass nyala.callbacks.TerminateOnNaN() to find it),"
        return (
            f"the weights {broken[:3]} are no longer finite: {seen} the updates were too large ({TOO_LARGE}), or a gradient was nan "
            "(look for log(0), 0 / 0 or sqrt(0) in your own layers and losses)"
        )
    if arrays is not None:
        values = [] if before is None else [convert(value, weight.dtype) for value, weight in zip(before, model.weights, strict=True)]
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # a diagnosis must not hide the problem behind another
            for look in (_in_a_layer, _in_a_loss, _in_a_gradient):
                with Scope(model.weights if values else [], values):  # nothing that the layers assign is kept
                    if found := _first(arrays, lambda batch, look=look: look(model, batch)):
                        return found
    if broken:
        return f"data, outputs, losses and gradients were finite at the start of the epoch: the updates were too large ({TOO_LARGE})"
    return "data, weights and outputs are finite: the loss overflows (lower the learning rate, scale the targets), divides by zero or takes log(0)"


def _as_data(batch: Any) -> ArrayData | None:
    """A batch on the device as data."""
    if batch is None:
        return None
    return ArrayData(*unpack_x_y_sample_weight(tree.map_structure(lambda leaf: None if leaf is None else current().to_numpy(leaf), batch)))


def _is_finite(value: Any) -> bool:
    return bool(np.isfinite(np.asarray(value, "float64")).all())


def _first_row(value: np.ndarray) -> int | None:
    """The first row with a number that is not finite; None if there are no rows to speak of."""
    return int(np.argwhere(~np.isfinite(value))[0][0]) if value.ndim else None


def _in_the_data(data: ArrayData, one: str) -> str:
    for name, part in zip(("x", "y", "sample_weight"), unpack_x_y_sample_weight(data.parts), strict=True):
        for path, leaf in tree.flatten_with_path(part):
            if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
                where = "".join(f"[{key!r}]" for key in path)
                return f"{name}{where} holds nan or infinity, first in row {_first_row(leaf)}{one}: clean the data"
    return ""


Found = tuple[str, int | None]  # a text with a place for the row, and the row of the batch


def _first(data: ArrayData, look: Callable[[tuple], Found | None]) -> str:
    """What is found in the first batch in which something is found, in the order of the data."""
    for start, batch in _batches(data):
        if (found := look(batch)) is not None:
            text, row = found
            return text.format(row="" if row is None else f" for row {start + row}")
    return ""


def _batches(data: ArrayData) -> Iterator[tuple[int, tuple]]:
    began = time.monotonic()
    for start in range(0, data.rows, data.batch_size):
        if time.monotonic() - began > SECONDS:
            return
        yield start, masked(data.batch(slice(start, start + data.batch_size)))


def _in_ids(model: Any, batch: tuple) -> Found | None:
    """The first layer that is asked for a row that its table has not."""

    def look(layer: Any, args: tuple, outputs: Any) -> Found | None:
        size = layer.input_dim
        ids = np.asarray(current().to_numpy(convert(args[0])))
        wrong = (ids >= size) | (ids < -size)
        if not wrong.any():
            return None
        need = f"layer {layer.name!r} has rows for ids from 0 to {size - 1}, and got {int(ids[wrong][0])}"
        return f"{need}{{row}}: make it Embedding({int(ids.max()) + 1}, {layer.output_dim}), or map rare ids to one that it has", _row_of(wrong)

    return _watched(model, batch, look, lambda layer: isinstance(layer, Embedding))


def _row_of(wrong: np.ndarray) -> int | None:
    return int(np.argwhere(wrong)[0][0]) if wrong.ndim else None


def _in_a_layer(model: Any, batch: tuple) -> Found | None:
    """The first layer whose output is not finite."""
    here = current()

    def look(layer: Any, args: tuple, outputs: Any) -> Found | None:
        for output in tree.flatten(outputs):
            value = np.asarray(here.to_numpy(output), "float64") if here.is_tensor(output) else None
            if value is not None and not np.isfinite(value).all():
                text = "gives nan or infinity{row}: look for a division by zero, a log of zero or an overflow there"
                return f"layer {layer.name!r} {text}", _first_row(value)
        return None

    return _watched(model, batch, look)


def _watched(
    model: Any, batch: tuple, look: Callable[[Any, tuple, Any], Found | None], which: Callable[[Any], bool] = lambda _: True
) -> Found | None:
    """The first thing that look finds when the layers run: it is given a layer, its arguments and its outputs."""
    found: list[Found] = []

    def watching(layer: Any) -> Any:
        original = type(layer)._run

        def run(args: tuple, kwargs: dict) -> Any:
            outputs = original(layer, args, kwargs)
            if (seen := look(layer, args, outputs)) is not None:
                found.append(seen)
            return outputs

        return run

    layers = [layer for layer in model._flatten_layers(include_self=False) if which(layer)]
    try:
        for layer in layers:
            layer.__dict__["_run"] = watching(layer)
        if layers:
            model(batch[0], training=True)
    finally:
        for layer in layers:
            layer.__dict__.pop("_run", None)
    return found[0] if found else None


def _in_a_loss(model: Any, batch: tuple) -> Found | None:
    """The first loss that is not finite for some sample."""
    x, y, _ = unpack_x_y_sample_weight(batch)
    objectives, y_pred = model._objectives, model(x, training=True)
    for name, loss, target, prediction in zip(objectives.names, objectives.losses, objectives.targets(y), tree.flatten(y_pred), strict=True):
        if loss is None or target is None:
            continue
        values = np.asarray(current().to_numpy(loss.call(convert(target, loss.dtype), convert(prediction, loss.dtype))), "float64")
        if not np.isfinite(values).all():
            text = "is nan or infinite{row}, though the output is finite: look for a log of zero, a division by zero or an overflow in it"
            return f"the loss {loss.name!r} of the output {name!r} {text}", _first_row(values)
    return None


def _in_a_gradient(model: Any, batch: tuple) -> Found | None:
    """The first weight whose gradient is not finite."""
    x, y, sample_weight = unpack_x_y_sample_weight(batch)
    weights = model.trainable_variables
    _, gradients = value_and_grad(lambda: (model._ask_loss(x, y, model(x, training=True), sample_weight, True), None), weights)()
    for weight, gradient in zip(weights, gradients, strict=True):
        if not _is_finite(current().to_numpy(gradient)):
            text = "is nan or infinite, though the loss is finite: look for sqrt(0), a norm of zeros or 0 / 0 above it, and move them away from zero"
            return f"the gradient by {weight.path!r} {text}", None
    return None
