# SPDX-License-Identifier: Apache-2.0
"""The calls of layers made in a RematScope: their intermediate values are recomputed for the gradient. Start at rematerialized."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nyala.core import tree
from nyala.core.transforms import discover, remat
from nyala.engines import current

if TYPE_CHECKING:
    from nyala.layers.calling import Calling


def rematerialized(layer: Calling, call: Callable, args: tuple, kwargs: dict[str, Any]) -> Callable:
    """`call` of the layer, changed as the scope that the layer was made in says; the arguments are those it will get."""
    scope = layer._remat
    if scope is None or (scope.mode == "list_of_layers" and layer.name not in scope.layer_names):
        return call
    if scope.mode == "activations":
        return _with_activation(layer, call) if callable(getattr(layer, "activation", None)) else call
    if scope.mode == "larger_than" and _size_of_outputs(layer, call, args, kwargs) <= scope.output_size_threshold:
        return call
    return _whole(layer, call)


def _with_activation(layer: Any, call: Callable) -> Callable:
    def run(*args: Any, **kwargs: Any) -> Any:
        plain, layer.activation = layer.activation, remat(layer.activation)
        try:
            return call(*args, **kwargs)
        finally:
            layer.activation = plain

    return run


def _size_of_outputs(layer: Calling, call: Callable, args: tuple, kwargs: dict[str, Any]) -> int:
    from nyala.engines.spec import Spec

    here = current()
    to_spec = lambda leaf: Spec(tuple(here.shape(leaf)), here.dtype(leaf)) if here.is_tensor(leaf) else leaf  # noqa: E731
    specs = [list(args), kwargs] if here.abstract else tree.map_structure(to_spec, [list(args), kwargs])
    function = _with_losses(layer, lambda given: call(*given[0], **given[1]))
    outputs, _ = function(specs) if here.abstract else discover(function, specs)[2]
    return sum(math.prod(leaf.shape) for leaf in tree.flatten(outputs) if hasattr(leaf, "shape"))


def _whole(layer: Calling, call: Callable) -> Callable:
    """The call under remat; the second run sees the flags of the first."""
    from nyala.layers.calling import context

    training, root = context.training, context.root

    def flagged(*args: Any, **kwargs: Any) -> Any:
        before = context.training, context.root
        context.training, context.root = training, root
        try:
            return call(*args, **kwargs)
        finally:
            context.training, context.root = before

    def run(*args: Any, **kwargs: Any) -> Any:
        outputs, added = remat(_with_losses(layer, flagged))(*args, **kwargs)
        for part, losses in zip(layer._flatten_layers(), added, strict=True):
            part._losses += losses
        return outputs

    return run


def _with_losses(layer: Calling, call: Callable) -> Callable:
    """The call, which returns what add_loss collected meanwhile, layer by layer, beside its outputs, and leaves none of it behind."""
    layers = list(layer._flatten_layers())

    def run(*args: Any, **kwargs: Any) -> tuple[Any, list[list]]:
        counts = [len(part._losses) for part in layers]
        outputs = call(*args, **kwargs)
        added = [part._losses[count:] for part, count in zip(layers, counts, strict=True)]
        for part, count in zip(layers, counts, strict=True):
            del part._losses[count:]
        return outputs, added

    return run
