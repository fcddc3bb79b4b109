# SPDX-License-Identifier: Apache-2.0
"""The calls between layers of functional models of Keras 1 and 2, as Keras 3 writes them. Start at modern_nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.errors import ArgumentError, StructureError
from nyala.legacy import tables
from nyala.legacy.drawing import call, tensor
from nyala.legacy.era import Era
from nyala.legacy.tensorflow_ops import index_of, op_of
from nyala.models.serialization import class_name

Config = dict[str, Any]
CONSTANT = "_CONSTANT_VALUE"
RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM", "RNN", "SimpleRNN")


def modern_nodes(config: Mapping[str, Any], era: Era) -> Nodes:
    """The calls in the config of a functional model, by the name of the layer."""
    return Nodes(config, era)


class Nodes:
    """The calls of each layer: nodes["dense"] is its inbound_nodes."""

    def __init__(self, config: Mapping[str, Any], era: Era) -> None:
        self.era = era
        self.layers = {entry.get("name") or entry["config"]["name"]: entry for entry in config["layers"]}
        self._first = self._first_calls(config)

    def _first_calls(self, config: Mapping[str, Any]) -> dict[str, int]:
        """How many calls of a layer came before the first one in this model.

        A model inside a model counts the call that made it, which is not in the config."""
        seen: dict[str, set[int]] = {}
        waiting: list[Any] = [[entry.get("inbound_nodes") for entry in self.layers.values()], config["input_layers"], config["output_layers"]]
        while waiting:
            value = waiting.pop()
            if self._is_history(value):
                seen.setdefault(value[0], set()).add(value[1])
                waiting += value[3:]
            elif isinstance(value, (list, dict)):
                waiting += value if isinstance(value, list) else value.values()
        models = {name for name, entry in self.layers.items() if entry["class_name"] in tables.MODELS}
        return {name: min(calls) for name, calls in seen.items() if name in models}

    def _is_history(self, value: Any) -> bool:
        """Whether a list names a tensor: [layer, call, output] or [layer, call, output, kwargs]."""
        if not isinstance(value, list) or len(value) not in (3, 4) or not isinstance(value[0], str):
            return False
        return value[0] in self.layers and all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])

    def history(self, value: list) -> list:
        """[layer, call, output], calls counted from 0 in this model."""
        return [value[0], value[1] - self._first.get(value[0], 0), value[2]]

    def ends(self, ends: Any) -> Any:
        """input_layers or output_layers; a list of one stands for itself."""
        if self._is_history(ends):
            return self.history(ends)
        if isinstance(ends, dict):
            return {key: self.ends(value) for key, value in ends.items()}
        return self.ends(ends[0]) if len(ends) == 1 else [self.ends(value) for value in ends]

    def __getitem__(self, name: str) -> list[Config]:
        entry = self.layers[name]
        return [self._call(node, entry) for node in entry.get("inbound_nodes") or []]

    def _call(self, node: Any, entry: Mapping[str, Any]) -> Config:
        """One call: its tensors, and the keyword arguments that are written behind the first of them."""
        kwargs: Config = {}
        structure = self._structure(node, kwargs)
        kwargs = {k: self._value(v) for k, v in kwargs.items() if v is not None and k != "name"}
        tensors = structure if isinstance(structure, list) else [structure]
        if entry["class_name"] in RECURRENT and len(tensors) > 1:
            made = call(tensors[0], **kwargs, initial_state=tensors[1:])
        else:
            made = call(tensors[0] if len(tensors) == 1 and isinstance(structure, list) else structure, **kwargs)
        return {**made, "explicit": ["training"]} if kwargs.get("training") is False else made

    def _structure(self, node: Any, kwargs: Config) -> Any:
        if isinstance(node, dict):
            return {key: self._structure(value, kwargs) for key, value in node.items()}
        if self._is_history(node) or (isinstance(node, list) and node[:1] == [CONSTANT]):
            if len(node) > 3 and isinstance(node[3], dict):
                kwargs.update(node[3])
            return self._value(node)
        if isinstance(node, list):
            return [self._structure(value, kwargs) for value in node]
        raise StructureError("inbound_nodes", need="tensors as [layer, call, output]", got=f"{node!r:.80}")

    def _value(self, value: Any) -> Any:
        """A keyword argument: tensors in it as such."""
        if isinstance(value, list) and value[:1] == [CONSTANT] and len(value) > 2:
            return value[2]
        if self._is_history(value):
            return tensor(self.history(value))
        if isinstance(value, list):
            return [self._value(v) for v in value]
        if isinstance(value, dict) and value.get("class_name") == "TypeSpec":
            return None
        return {k: self._value(v) for k, v in value.items()} if isinstance(value, dict) and "class_name" not in value else value

    def ops(self, entry: Mapping[str, Any], name: str) -> list[Config]:
        """The entry of an operation of TensorFlow."""
        made = []
        function, op = entry["config"].get("function"), ""
        for node in self[name]:
            args, kwargs = list(node["args"]), dict(node["kwargs"])
            if function == "__operators__.getitem":
                op, args = "get_item", [args[0], index_of(entry_spec(entry) or kwargs.pop("slice_spec"))]
                kwargs = {}
            else:
                op, names = op_of(function, name)
                if lost := sorted(k for k, v in kwargs.items() if k not in names and v is not False):
                    raise ArgumentError(f"the config of {name!r}", need=f"arguments of tf.{function} that are in the table", got=", ".join(lost))
                kwargs = {names[k]: v for k, v in kwargs.items() if k in names}
            made.append({"args": args, "kwargs": kwargs})
        return [{
            "module": "keras.src.ops.numpy", "class_name": class_name(op), "config": {"name": name}, "registered_name": class_name(op), "name": name,
            "inbound_nodes": made,
        }] if made else []  # fmt: skip


def entry_spec(entry: Mapping[str, Any]) -> Any:
    """The slice_spec where the config of the layer has it."""
    return entry["config"].get("slice_spec")
