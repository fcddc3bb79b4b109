# SPDX-License-Identifier: Apache-2.0
"""Functional models as configs and back, and architectures as JSON."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, LookupFailed, StructureError
from nyala.core.serialization import custom_object_scope, deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import Function, Node, Symbolic
from nyala.layers.layer import Layer


def functional_config(model: Any) -> dict[str, Any]:
    """The graph of a functional model as plain values: layers, and for each call of one which tensors it got."""
    kept = {id(node) for node in model.graph.nodes}
    calls = {id(operation): [node for node in operation.inbound_nodes if id(node) in kept] for operation in model.graph.operations}
    number = {id(node): i for nodes in calls.values() for i, node in enumerate(nodes)}  # of a node among the kept calls of its operation

    def history(tensor: Symbolic) -> list:
        return [tensor.node.operation.name, number[id(tensor.node)], tensor.tensor_index]  # type: ignore[union-attr]

    def argument(value: Any) -> Any:
        if isinstance(value, Symbolic):
            return {"class_name": "__keras_tensor__", "config": {"shape": list(value.shape), "dtype": value.dtype, "keras_history": history(value)}}
        if isinstance(value, (list, tuple)):
            items = [argument(v) for v in value]
            return {"class_name": "__tuple__", "items": items} if isinstance(value, tuple) else items
        return {k: argument(v) for k, v in value.items()} if isinstance(value, dict) else serialize_keras_object(value)

    def call(args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
        entry = {"args": [argument(v) for v in args], "kwargs": {k: argument(v) for k, v in kwargs.items()}}
        return {**entry, "explicit": ["training"]} if kwargs.get("training") is False else entry

    layers = []
    for operation in model.graph.operations:
        nodes = [node for node in calls[id(operation)] if node.input_tensors]
        if isinstance(operation, Layer):
            entry = {**serialize_keras_object(operation), "inbound_nodes": [call(node.args, node.kwargs) for node in nodes]}
        else:
            tensors, config = _split(operation.op, nodes[0])  # type: ignore[attr-defined]
            entry = {
                **_op_entry(operation, {k: argument(list(v) if isinstance(v, tuple) else v) for k, v in config.items()}),
                "inbound_nodes": [call(tensors, {})],
            }
        layers.append({**entry, "name": operation.name})
    ends = {
        name: tree.map_structure(history, structure)
        for name, structure in (("input_layers", model._inputs_struct), ("output_layers", model._outputs_struct))
    }
    return {"name": model.name, "trainable": model.trainable, "layers": layers, **ends}


# Ops are written as Keras does: a class in camel case, with its tensors in the call and everything else in its config.

OP_MODULES = {
    "nn": "nn",
    "linalg": "linalg",
    "core": "core",
    "control": "core",
    "fourier": "math",
    "image": "image",
}  # file of nyala.ops, up to its first "_" -> module of keras.ops


def _op_entry(operation: Any, config: dict[str, Any]) -> dict[str, Any]:
    file = operation.op.__module__.split(".")[2].partition("_")[0]
    name = class_name(operation.op.__name__)
    return {
        "module": f"keras.src.ops.{OP_MODULES.get(file, 'numpy')}",
        "class_name": name,
        "config": {"name": operation.name, **config},
        "registered_name": name,
    }


def class_name(op: str) -> str:
    """The name of the class by which configs name an op.

    >>> class_name("expand_dims")
    'ExpandDims'
    """
    return "".join(word[:1].upper() + word[1:] for word in op.split("_"))


def _split(op: Any, node: Node) -> tuple[list, dict[str, Any]]:
    """The arguments of a call of an op: its tensors, in order, and the others by name."""
    bound = inspect.signature(op).bind(*node.args, **node.kwargs)
    bound.apply_defaults()
    tensors: list = []
    others: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        parameter = bound.signature.parameters[name]
        if parameter.kind is parameter.VAR_POSITIONAL:
            tensors += value
        elif re.match(r"(Sequence\[|list\[)?Tensor|Tree", str(parameter.annotation)) or op.__name__ == "get_item":
            tensors.append(list(value) if isinstance(value, tuple) else value)
        else:
            others |= value if parameter.kind is parameter.VAR_KEYWORD else {name: value}
    while tensors and tensors[-1] is None:
        tensors.pop()
    return tensors, others


def _find_op(entry: Mapping[str, Any]) -> tuple[Function, dict[str, Any]] | None:
    """The op that a config names, and its arguments beside tensors; None for layers."""
    if not str(entry.get("module")).startswith(("keras.src.ops", "keras.ops", "nyala.ops")):
        return None
    from nyala import ops

    found = next((getattr(part, name) for part in (ops, ops.image) for name in dir(part) if class_name(name) == entry["class_name"]), None)
    if found is None:
        raise LookupFailed("a functional config", need="ops that are in nyala.ops", got=repr(entry["class_name"]))
    config = {k: deserialize_keras_object(v) for k, v in entry["config"].items() if k not in ("name", "dtype")}
    known = inspect.signature(found).parameters
    named = any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values())
    return Function(found, entry["config"].get("name")), {k: v for k, v in config.items() if named or k in known}


def functional_from_config(cls: type, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A functional model from its config: make the layers, then repeat the calls as their arguments become known."""
    made: dict[str, tuple[Any, dict[str, Any]]] = {}  # name -> layer or op, and arguments of every call
    with custom_object_scope(custom_objects):
        for entry in config["layers"]:
            inner = {k: v for k, v in entry.items() if k not in ("inbound_nodes", "name", "build_config")}
            layer, arguments = _find_op(entry) or (deserialize_keras_object(inner), {})
            made[entry.get("name") or layer.name] = layer, arguments
        waiting = {name: list(entry["inbound_nodes"]) for name, entry in zip(made, config["layers"], strict=True)}
        calls = {name: [] if waiting[name] else [node.output_tensors for node in layer.inbound_nodes] for name, (layer, _) in made.items()}
        while any(waiting.values()):
            before = sum(map(len, waiting.values()))
            for name, (layer, arguments) in made.items():
                while waiting[name] and all(call < len(calls.get(other, ())) for other, call, _ in _histories(waiting[name][0])):
                    args, kwargs = _arguments(waiting[name].pop(0), calls, isinstance(layer, Function) and layer.op.__name__ == "get_item")
                    layer(*args, **kwargs, **arguments)
                    calls[name].append(layer.inbound_nodes[-1].output_tensors)
            if sum(map(len, waiting.values())) == before:
                missing = sorted({other for nodes in waiting.values() for node in nodes for other, *_ in _histories(node)} - set(made))
                got = f"calls on {missing}, which are not" if missing else "calls that wait for each other"
                raise StructureError(f"{cls.__name__}.from_config", need="layers whose inputs are among the layers", got=got)

    def end(structure: Any) -> Any:
        if isinstance(structure, (list, tuple)) and len(structure) == 3 and isinstance(structure[0], str):
            return calls[structure[0]][structure[1]][structure[2]]
        return {k: end(v) for k, v in structure.items()} if isinstance(structure, dict) else [end(v) for v in structure]

    model = cls(inputs=end(config["input_layers"]), outputs=end(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _histories(value: Any) -> list[list]:
    """The tensors that arguments name, as [layer, call, output]."""
    if isinstance(value, dict):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"]]
        return [h for v in value.values() for h in _histories(v)]
    return [h for v in value for h in _histories(v)] if isinstance(value, (list, tuple)) else []


def _arguments(node: dict[str, Any], calls: dict[str, list], key: bool = False) -> tuple[list, dict]:
    """What a call got; a list after its tensor is a key, a tuple, if that is said."""

    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                layer, call, output = value["config"]["keras_history"]
                return calls[layer][call][output]
            if value.get("class_name") == "__tuple__":
                return tuple(resolve(v) for v in value["items"])
            return deserialize_keras_object(value) if "class_name" in value else {k: resolve(v) for k, v in value.items()}
        return [resolve(v) for v in value] if isinstance(value, list) else value

    kwargs = {k: resolve(v) for k, v in node["kwargs"].items() if v is not None}
    if kwargs.get("training") is False and "training" not in node.get("explicit", ()):
        del kwargs["training"]  # Keras writes it for calls that left it open
    args = [resolve(v) for v in node["args"]]
    return [tuple(v) if key and isinstance(v, list) else v for v in args], kwargs


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model whose architecture to_json wrote; its weights are new.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2, name="out")])
    >>> model_from_json(model.to_json()).get_layer("out").units
    2
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "model_from_json(json_string)", need="JSON text, as model.to_json() returns it", got=f"{str(json_string)[:40]!r} ({error})"
        ) from error
    return deserialize_keras_object(config, custom_objects)
