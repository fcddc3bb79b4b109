# SPDX-License-Identifier: Apache-2.0
"""Models that are changed after they are made: Sequential models that begin with several inputs, `layers.pop()`, and outputs that are set.

What methods.py adds to models. Start at add and end.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.layers.layer import shapes_of
from nyala.models.functional import Functional
from nyala.models.model import Model
from nyala.models.sequential import Sequential

# Layers that `layers.pop()` took out of the list of a functional model; its outputs stay what they are.
_popped: weakref.WeakKeyDictionary[Any, weakref.WeakSet] = weakref.WeakKeyDictionary()


def add(add: Callable) -> Callable:
    """Sequential.add, which takes a model with several inputs as the first layer."""

    @functools.wraps(add)
    def call(self: Any, layer: Any, rebuild: bool = True) -> None:
        if isinstance(layer, Model) and not self._chain and len(getattr(layer, "inputs", None) or ()) > 1:
            self._chain.append(layer)
            return
        add(self, layer, rebuild)
        if _has_several_inputs(self):
            _result(self)  # weights are made, as the shapes are known
            self.built = True

    return call


def _has_several_inputs(model: Sequential) -> bool:
    """Whether the first layer is a model that takes more than one tensor."""
    return bool(model._chain) and isinstance(model._chain[0], Model) and not model._tensors


def _result(model: Sequential) -> Any:
    """The symbolic output of such a model."""
    first, *others = model._chain
    tensor = first.output
    for layer in others:
        known = next((node.outputs for node in layer.inbound_nodes if len(node.input_tensors) == 1 and node.input_tensors[0] is tensor), None)
        tensor = layer(tensor) if known is None else known
    return tensor


# What a Sequential says of its ends -> the same of one that begins with a model of several inputs.
ENDS: dict[str, Callable[[Any], Any]] = {
    "input": lambda model: model._chain[0].input,
    "inputs": lambda model: model._chain[0].inputs,
    "input_shape": lambda model: shapes_of(model._chain[0].input),
    "output": _result,
    "outputs": lambda model: [_result(model)],
    "output_shape": lambda model: _result(model).shape,
}


def end(name: str, found: property) -> property:
    """One of ENDS as an attribute."""

    def get(self: Any) -> Any:
        """What goes in, or comes out."""
        return ENDS[name](self) if _has_several_inputs(self) else found.__get__(self)

    return property(get, _end_at if name == "outputs" else None)


def _end_at(self: Any, tensors: Sequence[Any]) -> None:
    """Set the outputs of a Sequential, which ends at the layer that they come from."""
    places = [i for i, tensor in enumerate(self._tensors) if len(tensors) == 1 and tensors[0] is tensor]
    if not places:
        fix = "model.outputs = [model.layers[-1].output]"
        raise ArgumentError(f"{self.name}.outputs", need="a list of the output of one of its layers", got=f"{tensors}", fix=fix)
    while len(self._chain) > places[0] + 1:
        self.pop()


def _set_outputs(self: Any, tensors: Sequence[Any]) -> None:
    """Set the outputs of a functional model, which computes them from then on."""
    if "graph" not in self.__dict__:  # it is being made
        self.__dict__["outputs"] = tensors
        return
    del self.graph
    Functional.__init__(self, self._inputs_struct, list(tensors) if len(tensors) > 1 else tensors[0], name=self.name)


def _get_outputs(self: Any) -> Any:
    """The symbolic outputs."""
    if "outputs" not in self.__dict__:
        raise AttributeError(f"{type(self).__name__!r} object has no attribute 'outputs'", name="outputs", obj=self)
    return self.__dict__["outputs"]


OUTPUTS = property(_get_outputs, _set_outputs)


class Layers(list):
    """The layers of a model: pop() takes the last one from the model, too, as in Keras 1 and 2."""

    def __init__(self, model: Any, layers: Sequence[Any]) -> None:
        super().__init__(layers)
        self._model = model

    def pop(self, index: Any = -1) -> Any:
        """Take a layer out of the list. A Sequential ends at the one before; a functional model keeps its outputs."""
        is_last = index in (-1, len(self) - 1)
        layer = super().pop(index)
        if isinstance(self._model, Sequential):
            if not is_last:
                raise ArgumentError(f"{self._model.name}.layers.pop", need="the last layer", got=f"index {index}", fix="make a new Sequential")
            self._model.pop()
        else:
            _popped.setdefault(self._model, weakref.WeakSet()).add(layer)
        return layer


def live(found: property) -> property:
    """model.layers as Layers."""

    def layers(self: Any) -> list[Any]:
        """The layers directly below."""
        gone = _popped.get(self, ())
        return Layers(self, [layer for layer in found.__get__(self) if layer not in gone])

    return property(layers)
