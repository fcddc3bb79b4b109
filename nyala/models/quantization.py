# SPDX-License-Identifier: Apache-2.0
"""model.quantize: every layer below that can keep its weights in few bits does so. Start at quantize."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from typing import Any

from nyala.core.errors import ArgumentTypeError, StateError
from nyala.quantizers.configs import resolve


def quantize(model: Any, mode: str | None, config: Any, filters: Any, type_check: bool = True) -> None:
    """Quantize the layers below whose name the filters choose; nothing is changed unless all of them can be."""
    where, wanted = f"{type(model).__name__} {model.name!r}.quantize", _chooser(filters)
    config = resolve(where, mode, config)
    if not model.built:
        raise StateError(where, need="a built model", got="one without weights yet", fix="call it once, or build(input_shape), first")
    from nyala.layers.adaptable import Quantizable
    from nyala.quantizers.layers import check_ready

    layers = [layer for layer in model._flatten_layers(include_self=False) if isinstance(layer, Quantizable) and wanted(layer)]
    layers = [layer for layer in layers if config.mode in layer._modes and (not type_check or type(layer).__module__.startswith("nyala."))]
    for layer in layers:
        check_ready(layer)
    if not layers:
        warnings.warn(f"{where}: no layer was quantized; Dense, EinsumDense and the embeddings can be", stacklevel=3)
    for layer in layers:
        layer.quantize(config.mode, type_check=type_check, config=config)
    if hasattr(model, "_forget_programs"):
        model._forget_programs()


def _chooser(filters: Any) -> Callable[[Any], Any]:
    """Whether a layer is meant: by a pattern found in its name, one of several, or a function of the layer."""
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return filters
    patterns = [filters] if isinstance(filters, str) else filters
    if not isinstance(patterns, (list, tuple)) or not all(isinstance(pattern, str) for pattern in patterns):
        raise ArgumentTypeError("quantize(filters)", need="a pattern, a list of patterns or a function of a layer", got=repr(filters))
    return lambda layer: any(re.search(pattern, layer.name) for pattern in patterns)
