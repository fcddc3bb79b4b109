# SPDX-License-Identifier: Apache-2.0
"""Why a loss is nan: look at the data, the weights and the outputs of layers, in this order, and name the first that is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np

from nyala.core import tree
from nyala.core.variable import Scope
from nyala.engines import current
from nyala.training.data import ArrayData, unpack_x_y_sample_weight


def explain_nan(model: Any, data: Any) -> str:
    """One or two sentences about where the nan came from, with what to do.

    Args:
        model: a model whose loss has become nan or infinite.
        data: what it was trained on.
    """
    if isinstance(data, ArrayData):
        x, y, sample_weight = unpack_x_y_sample_weight(data.parts)
        for name, part in (("x", x), ("y", y), ("sample_weight", sample_weight)):
            for path, leaf in tree.flatten_with_path(part):
                if leaf is not None and leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
                    where = "".join(f"[{key!r}]" for key in path)
                    row = int(np.argwhere(~np.isfinite(leaf))[0][0])
                    return f"{name}{where} holds nan or infinity, first in row {row}: clean the data"
    broken = [weight.path for weight in model.weights if not np.isfinite(np.asarray(weight.numpy(), "float64")).all()]
    if broken:
        return (
            f"the weights {broken[:3]} are no longer finite: either the updates were too large (lower the learning rate, scale the inputs, "
            "or pass clipnorm=1.0 "
            "to the optimizer), or a gradient was nan (look for log(0), 0 / 0 or sqrt(0) in your own layers and losses)"
        )
    layer = _first_layer(model, data) if isinstance(data, ArrayData) else None
    if layer is not None:
        return f"layer {layer!r} gives nan or infinity: look for a division by zero, a log of zero or an overflow there"
    return "data, weights and outputs are finite: the loss overflows (lower the learning rate, scale the targets), divides by zero or takes log(0)"


def _first_layer(model: Any, data: ArrayData) -> str | None:
    """Name of the first layer whose output for some batch is not finite."""
    here = current()
    found: list[str] = []

    def watching(layer: Any) -> Any:
        original = type(layer)._run

        def run(args: tuple, kwargs: dict) -> Any:
            outputs = original(layer, args, kwargs)
            for output in tree.flatten(outputs):
                if here.is_tensor(output) and not np.isfinite(np.asarray(here.to_numpy(output), "float64")).all():
                    found.append(layer.name)
            return outputs

        return run

    layers = list(model._flatten_layers(include_self=False))
    try:
        for layer in layers:
            layer.__dict__["_run"] = watching(layer)
        with Scope():  # nothing that the layers assign is kept
            for batch in data.batches():
                model(batch[0], training=True)
                if found:
                    return found[0]
    except Exception:  # a diagnosis must not hide the problem behind another
        return None
    finally:
        for layer in layers:
            layer.__dict__.pop("_run", None)
    return None
