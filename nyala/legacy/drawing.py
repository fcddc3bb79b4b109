# SPDX-License-Identifier: Apache-2.0
"""Drawing: the config of a functional model, made layer by layer. A tensor is [layer, call, output]."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.legacy.era import Era
from nyala.legacy.tables import MERGE_MODES

Config = dict[str, Any]


def tensor(history: Any) -> Config:
    """The argument of a call that is the output [layer, call, output] of another."""
    return {"class_name": "__keras_tensor__", "config": {"shape": None, "dtype": "float32", "keras_history": list(history)}}


def call(*args: Any, **kwargs: Any) -> Config:
    """One call of a layer."""
    return {"args": list(args), "kwargs": kwargs}


def functional_entry(config: Config) -> Config:
    """The entry of a functional model. In its ends Keras 3 counts the calls of functional models inside from 1."""
    functional = {entry["name"] for entry in config["layers"] if entry["class_name"] == "Functional"}

    def end(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: end(one) for key, one in value.items()}
        if value and isinstance(value[0], str):
            return [value[0], value[1] + (value[0] in functional), value[2]]
        return [end(one) for one in value]

    config = {**config, **{key: end(config[key]) for key in ("input_layers", "output_layers")}}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, "registered_name": None}


class Drawing:
    """The layers of a functional model, with the calls of each.

    Attributes:
        entries: as in the config.
        inputs: names of the input layers.
    """

    def __init__(self) -> None:
        self.entries: list[Config] = []
        self.inputs: list[str] = []

    def _entry(self, made: Config) -> Config:
        """The entry of this layer; the same again for a layer that is there already."""
        name = made["config"]["name"]
        found = next((entry for entry in self.entries if entry["name"] == name), None)
        if found is None:
            self.entries.append({**made, "name": name, "inbound_nodes": []})
        return found or self.entries[-1]

    def input(self, batch_shape: Any, dtype: str, name: str | None = None) -> list:
        """A new input."""
        name = name or f"input_{len(self.inputs) + 1}"
        self.inputs.append(name)
        config = {"batch_shape": list(batch_shape), "dtype": dtype, "name": name}
        self._entry({"module": "keras.layers", "class_name": "InputLayer", "config": config})
        return [name, 0, 0]

    def layer(self, made: Config, inputs: list[list]) -> list:
        """One more call of a layer, on a tensor or a list of them."""
        entry = self._entry(made)
        tensors = [tensor(one) for one in inputs]
        entry["inbound_nodes"].append(call(tensors[0] if len(tensors) == 1 else tensors))
        return [entry["name"], len(entry["inbound_nodes"]) - 1, 0]

    def op(self, kind: str, name: str, inputs: list[Any], config: Config) -> list:
        """A call of an op; it is a layer of its own."""
        entry = self._entry({"module": "keras.src.ops.numpy", "class_name": kind, "config": {"name": name, **config}})
        entry["inbound_nodes"].append(call(*(tensor(one) for one in inputs)))
        return [name, len(entry["inbound_nodes"]) - 1, 0]

    def merge(self, config: Config, inputs: list[list], era: Era) -> list:
        """A Merge of Keras 0 or 1."""
        from nyala.legacy.layers import given_function

        mode, name = config.get("mode", "sum"), config["name"]
        where = f"the config of Merge {name!r}"
        if config.get("mode_type", "raw") != "raw" or not isinstance(mode, str):
            function = given_function(mode, name, era, where)
            inner = {"name": name, "function": function, "arguments": config.get("arguments") or {}}
            return self.layer({"module": "keras.layers", "class_name": "Lambda", "config": inner}, inputs)
        if mode not in MERGE_MODES:
            raise ArgumentError(where, need=f"a mode among {sorted(MERGE_MODES)}", got=repr(mode), fix="write the model with the functional API")
        kind, inner = MERGE_MODES[mode], {"name": name}
        if mode == "concat":
            inner["axis"] = config.get("concat_axis", -1)
        if mode in ("dot", "cos"):
            inner["axes"] = _axes(config.get("dot_axes", -1), where)
        if mode != "cos":
            return self.layer({"module": "keras.layers", "class_name": kind, "config": inner}, inputs)
        inner |= {"name": f"{name}_dot", "normalize": True}
        return self.op("ExpandDims", name, [self.layer({"module": "keras.layers", "class_name": kind, "config": inner}, inputs)], {"axis": 1})

    def model(self, name: str | None, outputs: list[list]) -> Config:
        """The whole, with one output or a list of them."""
        ends = {"input_layers": [[one, 0, 0] for one in self.inputs], "output_layers": outputs}
        ends = {key: value[0] if len(value) == 1 else value for key, value in ends.items()}
        config = {**({"name": name} if name else {}), "layers": self.entries, **ends}
        return functional_entry(config)


def _axes(axes: Any, where: str) -> Any:
    """Axes of a dot: one, or one for each side; each may be in a list of its own."""
    if not isinstance(axes, list):
        return axes
    pair = [axis[0] if isinstance(axis, list) and len(axis) == 1 else axis for axis in axes]
    if len(pair) != 2 or not all(isinstance(axis, int) for axis in pair):
        raise ArgumentError(where, need="one axis for each side", got=f"dot_axes={axes}", fix="reshape to one axis, and load the weights alone")
    return pair
