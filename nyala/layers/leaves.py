# SPDX-License-Identifier: Apache-2.0
"""Loops of the user's own with loss.backward(), on engines that have it: a call of a layer there begins a graph at its weights.

Elsewhere calls keep no graph: results are plain tensors, and no memory goes to gradients that nobody asks for. Who asks is seen by the code that
calls, or has called it, which says `backward` somewhere, or by the layer's `parameters()`, which were asked for. Start at wants_graph.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any

from nyala.core.errors import StateError
from nyala.core.variable import Scope, Variable, state
from nyala.engines import current


def wants_graph(layer: Any, caller: FrameType) -> bool:
    """Whether the result of a call from this frame may meet a backward(), there or in what has called it."""
    if state.scopes or state.plainly:
        return False
    frame: FrameType | None = caller
    wanted = layer._asked_for_parameters
    while frame is not None and not wanted:
        wanted, frame = says_backward(frame.f_code), frame.f_back
    return wanted


@functools.lru_cache(1024)
def says_backward(code: CodeType) -> bool:
    """Whether a function, or one that is written in it, calls backward."""
    return "backward" in code.co_names or any(isinstance(constant, CodeType) and says_backward(constant) for constant in code.co_consts)


def run_from_leaves(layer: Any, args: tuple, kwargs: dict) -> Any:
    """Call a layer so that a backward() from what it returns puts gradients on the values of its weights, `weight.value.grad`."""
    here = current()
    if not all(below.built for below in layer._flatten_layers()):
        with Scope():  # weights are made; what else the call would change is changed by the next one
            layer._run(args, kwargs)
    variables = layer.trainable_variables
    with Scope(variables, [variable.leaf() for variable in variables]) as inside:
        result = layer._run(args, kwargs)
    for key, variable in inside.touched.items():
        variable.assign(here.settled(inside.values[key]))
    return result


def parameters(layer: Any) -> Iterator[tuple[str, Any]]:
    """The values of the trainable weights by their paths, as tensors that torch.optim and the like update in place."""
    if not current().has_backward:
        where, got = f"parameters of {layer.name!r}", f"the engine {current().name!r}"
        fix = "call nyala.set_backend('torch') first, or take gradients by nyala.value_and_grad"
        raise StateError(where, need="an engine with backward()", got=got, fix=fix)
    layer._asked_for_parameters = True
    return iter([(variable.path, variable.leaf()) for variable in layer.trainable_variables])


def forget_gradients(variables: list[Variable]) -> None:
    """Have each weight begin without a gradient."""
    for variable in variables:
        if variable._leaf is not None:
            variable._leaf.grad = None
