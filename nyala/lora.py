# SPDX-License-Identifier: Apache-2.0
"""Low-rank adaptation: a weight is frozen, and the product of two thin ones beside it is trained. Start at enable.

Functions over layers: they know a weight by its name, and no kind of layer.
Source: Hu et al. 2021, LoRA: low-rank adaptation of large language models.
"""

from __future__ import annotations

from typing import Any

from nyala import initializers, ops
from nyala.core.errors import ArgumentError, StateError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_count


def enable(layer: Any, name: str, rank: int, alpha: float | None, a_initializer: Any, b_initializer: Any) -> None:
    """Freeze the weight of this name, w, and add the trainable a (..., rank) and b (rank, last axis of w) of w + alpha / rank * a @ b.

    The regularizer of w counts for a and b.
    """
    where, shape = f"{type(layer).__name__} {layer.name!r}.enable_lora", layer.full_shape
    if not layer.built and not getattr(layer, "_building", False):
        raise StateError(where, need="a built layer", got="one without weights yet", fix="call it once, or build(input_shape), first")
    if layer.lora_enabled:
        raise StateError(where, need="a layer without low-rank weights", got=f"one with rank {layer.lora_rank}", fix="enable them once")
    if getattr(layer, f"{name}_constraint") is not None:
        why = "the constraint would hold for the frozen part alone"
        raise StateError(where, need="no constraint", got=f"a {name}_constraint", why=why, fix=f"make the layer without {name}_constraint")
    rank = as_count(f"{where}(rank)", rank)
    if alpha is not None and (isinstance(alpha, bool) or not isinstance(alpha, (int, float))):
        raise ArgumentError(f"{where}(lora_alpha)", need="a number or None", got=repr(alpha))
    thin = ((f"lora_{name}_a", (*shape[:-1], rank), a_initializer), (f"lora_{name}_b", (rank, shape[-1]), b_initializer))
    with layer.weight_scope():
        for weight, size, initializer in thin:
            regularizer = getattr(layer, f"{name}_regularizer")
            setattr(layer, weight, layer.add_weight(name=weight, shape=size, initializer=initializers.get(initializer), regularizer=regularizer))
    frozen = getattr(layer, f"_{name}")
    frozen.trainable, frozen.held = False, True
    layer.lora_enabled, layer.lora_rank, layer.lora_alpha = True, rank, rank if alpha is None else alpha


def delta(layer: Any, name: str, rows: Any = None) -> Tensor:
    """alpha / rank * a @ b, or only the rows of it that are given by number."""
    a, b = getattr(layer, f"lora_{name}_a"), getattr(layer, f"lora_{name}_b")
    a = ops.convert_to_tensor(a) if rows is None else ops.take(a, rows, axis=0)
    return ops.multiply(ops.matmul(a, b), layer.lora_alpha / layer.lora_rank)
