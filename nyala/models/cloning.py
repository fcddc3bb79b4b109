# SPDX-License-Identifier: Apache-2.0
"""clone_model: the same architecture with layers and weights of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.symbolic import Function, Symbolic
from nyala.layers.core.input_layer import InputLayer
from nyala.layers.layer import Layer
from nyala.models.functional import Functional
from nyala.models.model import Model
from nyala.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of the same architecture with new layers and new weights.

    Args:
        model: Sequential, functional, or a subclass with get_config.
        input_tensors: symbolic tensors to build it on instead of new Inputs.
        clone_function: layer -> its copy; by default from its config.
        call_function: (layer, *args, **kwargs) -> outputs, how a copied layer is called; functional models only.
        recursive: apply clone_function inside nested models, too.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    >>> clone_model(model).output_shape
    (None, 2)
    """
    if kwargs:
        raise ArgumentTypeError("clone_model", need="arguments that it knows", got=f"{sorted(kwargs)}")
    if not isinstance(model, Model):
        raise ArgumentTypeError("clone_model(model)", need="a model", got=type(model).__name__)
    copy = clone_function or (lambda layer: type(layer).from_config(layer.get_config()))
    for tensor in [] if input_tensors is None else tree.flatten(input_tensors):
        if not isinstance(tensor, Symbolic):
            raise ArgumentTypeError("clone_model(input_tensors)", need="symbolic tensors, from nyala.Input", got=type(tensor).__name__)

    def copied(layer: Layer) -> Layer:
        if recursive and isinstance(layer, (Functional, Sequential)):
            calls = call_function if isinstance(layer, Functional) else None
            return clone_model(layer, clone_function=clone_function, call_function=calls, recursive=True)
        clone = copy(layer)
        if not isinstance(clone, Layer):
            raise ArgumentTypeError("clone_model(clone_function)", need="a function that returns a layer", got=f"{clone!r} for {layer.name!r}")
        return clone

    if isinstance(model, Sequential):
        if call_function is not None:
            raise ArgumentError("clone_model(call_function)", need="a functional model", got="a Sequential", why="it lists layers, and calls none")
        return _clone_sequential(model, input_tensors, copied)
    if isinstance(model, Functional):
        return _clone_functional(model, input_tensors, copied, call_function)
    if input_tensors is not None or clone_function is not None or call_function is not None:
        raise ArgumentError("clone_model", need="a Sequential or functional model for these arguments", got=f"a subclass, {type(model).__name__}")
    return type(model).from_config(model.get_config())


def _clone_sequential(model: Sequential, input_tensors: Any, copied: Callable[[Layer], Layer]) -> Sequential:
    clone = Sequential(name=model.name, trainable=model.trainable)
    if input_tensors is not None:
        given = tree.flatten(input_tensors)
        if len(given) != 1:
            raise ArgumentError("clone_model(input_tensors)", need="1 tensor", got=f"{len(given)}")
        tensor = given[0]
        clone.add(InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name))
    for layer in model._chain:
        if isinstance(layer, InputLayer):
            if input_tensors is None:
                clone.add(InputLayer.from_config(layer.get_config()))
        else:
            clone.add(copied(layer))
    return clone


def _clone_functional(model: Functional, input_tensors: Any, copied: Callable[[Layer], Layer], call: Callable | None) -> Functional:
    call = call or (lambda layer, *args, **kwargs: layer(*args, **kwargs))
    values: dict[int, Symbolic] = {}
    given = tree.flatten(input_tensors) if input_tensors is not None else [None] * len(model.inputs)
    if len(given) != len(model.inputs):
        raise ArgumentError("clone_model(input_tensors)", need=f"{len(model.inputs)} tensors", got=f"{len(given)}")
    for tensor, replacement in zip(model.inputs, given, strict=True):
        name = tensor.node.operation.name if tensor.node else tensor.name
        values[id(tensor)] = replacement if replacement is not None else InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype, name=name).output
    layers: dict[int, Any] = {}
    for node in model.graph.nodes:
        if all(id(tensor) in values for tensor in node.output_tensors):
            continue
        operation = node.operation
        if id(operation) not in layers:
            layers[id(operation)] = copied(operation) if isinstance(operation, Layer) else Function(operation.op, operation.name)  # type: ignore[attr-defined]
        args, kwargs = tree.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, Symbolic) else leaf, [list(node.args), dict(node.kwargs)])
        outputs = call(layers[id(operation)], *args, **kwargs)
        values.update({id(old): new for old, new in zip(node.output_tensors, tree.flatten(outputs), strict=True)})
    ends = [tree.map_structure(lambda leaf: values[id(leaf)], structure) for structure in (model._inputs_struct, model._outputs_struct)]
    clone = Functional(*ends, name=model.name)
    if not model.trainable:
        clone.trainable = False
    return clone
