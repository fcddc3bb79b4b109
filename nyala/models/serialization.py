# SPDX-License-Identifier: Apache-2.0
"""Functional models as configs and back, and architectures as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nyala.core import tree
from nyala.core.errors import ArgumentError, StructureError
from nyala.core.serialization import custom_object_scope, deserialize_keras_object, serialize_keras_object
from nyala.core.symbolic import Function, Node, Symbolic
from nyala.layers.layer import Layer


def functional_config(model: Any) -> dict[str, Any]:
    """The graph of a functional model as plain values: layers, and for each call of one which tensors it got."""
    kept = {id(node): node for node in model.graph.nodes}
    number: dict[int, int] = {}  # node -> its number among the kept calls of its operation
    for operation in model.graph.operations:
        calls = [node for node in operation.inbound_nodes if id(node) in kept]
        number.update({id(node): i for i, node in enumerate(calls)})

    def history(tensor: Symbolic) -> list:
        return [tensor.node.operation.name, number[id(tensor.node)], tensor.tensor_index]  # type: ignore[union-attr]

    def argument(value: Any) -> Any:
        if isinstance(value, Symbolic):
            return {"class_name": "__keras_tensor__", "config": {"shape": list(value.shape), "dtype": value.dtype, "keras_history": history(value)}}
        if isinstance(value, (list, tuple)):
            items = [argument(v) for v in value]
            return {"class_name": "__tuple__", "items": items} if isinstance(value, tuple) else items
        return {k: argument(v) for k, v in value.items()} if isinstance(value, dict) else serialize_keras_object(value)

    def call(node: Node) -> dict[str, Any]:
        return {"args": [argument(v) for v in node.args], "kwargs": {k: argument(v) for k, v in node.kwargs.items()}}

    layers = []
    for operation in model.graph.operations:
        entry = serialize_keras_object(operation) if isinstance(operation, Layer) else _op_config(operation)
        entry["name"] = operation.name
        entry["inbound_nodes"] = [call(node) for node in operation.inbound_nodes if id(node) in kept and node.input_tensors]
        layers.append(entry)
    ends = {name: tree.map_structure(history, structure) for name, structure in (("input_layers", model._inputs_struct), ("output_layers", model._outputs_struct))}
    return {"name": model.name, "trainable": model.trainable, "layers": layers, **ends}


def _op_config(operation: Any) -> dict[str, Any]:
    """An op of a graph, by its public name."""
    return {"module": "nyala.ops", "class_name": "Function", "config": operation.get_config(), "registered_name": None}


def functional_from_config(cls: type, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A functional model from its config: make the layers, then repeat the calls as their arguments become known."""
    where = f"{cls.__name__}.from_config"
    made: dict[str, Any] = {}
    with custom_object_scope(custom_objects):
        for entry in config["layers"]:
            inner = {k: v for k, v in entry.items() if k not in ("inbound_nodes", "name", "build_config")}
            layer = Function.from_config(entry["config"]) if entry["class_name"] == "Function" and entry.get("module") == "nyala.ops" else deserialize_keras_object(inner)
            made[entry.get("name") or layer.name] = layer
    calls = {name: [node.output_tensors for node in layer.inbound_nodes] if not entry["inbound_nodes"] else [] for (name, layer), entry in zip(made.items(), config["layers"], strict=True)}
    waiting = [(entry.get("name") or made_name, node) for made_name, entry in zip(made, config["layers"], strict=True) for node in entry["inbound_nodes"]]

    def known(value: Any) -> bool:
        return all(h[0] in calls and h[1] < len(calls[h[0]]) for h in _histories(value))

    while waiting:
        ready = next(((name, node) for name, node in waiting if known(node) and not any(n == name and m is not node and waiting.index((n, m)) < waiting.index((name, node)) for n, m in waiting)), None)
        if ready is None:
            missing = sorted({h[0] for _, node in waiting for h in _histories(node) if h[0] not in made})
            raise StructureError(where, need="layers whose inputs are among the layers", got=f"calls that wait for {missing or 'each other'}")
        name, node = ready
        waiting.remove(ready)
        args, kwargs = _arguments(node, calls)
        made[name](*args, **kwargs)
        calls[name].append(made[name].inbound_nodes[-1].output_tensors)

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


def _arguments(node: dict[str, Any], calls: dict[str, list]) -> tuple[list, dict]:
    def resolve(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get("class_name") == "__keras_tensor__":
                layer, call, output = value["config"]["keras_history"]
                return calls[layer][call][output]
            if value.get("class_name") == "__tuple__":
                return tuple(resolve(v) for v in value["items"])
            return deserialize_keras_object(value) if "class_name" in value else {k: resolve(v) for k, v in value.items()}
        return [resolve(v) for v in value] if isinstance(value, list) else value

    return [resolve(v) for v in node["args"]], {k: resolve(v) for k, v in node["kwargs"].items()}


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
        raise ArgumentError("model_from_json(json_string)", need="JSON text, as model.to_json() returns it", got=f"{str(json_string)[:40]!r} ({error})") from error
    return deserialize_keras_object(config, custom_objects)
