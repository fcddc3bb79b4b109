# SPDX-License-Identifier: Apache-2.0
"""Configs of 2015, before Keras 1.0: one flat dict per layer, Graph models. from_keras_0 gives them the form of Keras 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nyala.core.errors import ArgumentError

Config = dict[str, Any]

WRAPPERS = ("Siamese",)


def from_keras_0(config: Mapping[str, Any]) -> Config:
    """The config of a model, with class_name and config everywhere.

    >>> from_keras_0({"name": "Sequential", "layers": [{"name": "Dense", "custom_name": "dense", "output_dim": 2, "input_shape": [3]}]})["config"]
    [{'class_name': 'Dense', 'config': {'output_dim': 2, 'name': 'dense_1', 'batch_input_shape': [None, 3]}}]
    """
    return _Names().model(config)


class _Names:
    """Gives each layer a name of its own: those that users chose stay, others are numbered by their class."""

    def __init__(self) -> None:
        self.used: Counter[str] = Counter()

    def model(self, config: Mapping[str, Any]) -> Config:
        if config.get("name") == "Graph" or "node_config" in config:
            return {"class_name": "Graph", "config": self.graph(config)}
        return {"class_name": "Sequential", "config": [self.layer(one) for one in config["layers"]]}

    def layer(self, config: Mapping[str, Any], name: str | None = None) -> Config:
        kind = config["name"]
        if kind == "Graph" or (kind == "Sequential" and "layers" in config):
            return self.model(config)
        inner = {k: v for k, v in config.items() if k not in ("name", "custom_name", "cache_enabled", "input_shape")}
        inner["name"] = self.name(kind, name or config.get("custom_name") or kind.lower())
        if "input_shape" in config:
            shape = config["input_shape"]
            inner.update({"input_shape": shape} if kind == "Embedding" else {"batch_input_shape": [None, *shape]})
        if isinstance(inner.get("layer"), dict):
            inner["layer"] = self.layer(inner["layer"])
        if kind == "Merge":
            inner["layers"] = [self.layer(one) for one in inner["layers"]]
        return {"class_name": kind, "config": inner}

    def name(self, kind: str, name: str) -> str:
        own = name == kind.lower()
        self.used[name] += 1
        return f"{name}_{self.used[name]}" if own or self.used[name] > 1 else name

    def graph(self, config: Mapping[str, Any]) -> Config:
        inputs = []
        for given in config["input_config"]:
            shape = given.get("batch_input_shape") or [None, *given["input_shape"]]
            dtype = {"float": "float32", "int": "int32"}.get(str(given.get("dtype", "float")), given.get("dtype"))
            inputs.append({"name": given["name"], "batch_shape": shape, "dtype": dtype})
        nodes = []
        for node in config["node_config"]:
            stored = config["nodes"][node["name"]]
            shared = stored["name"] in WRAPPERS
            if stored["name"] in ("LambdaMerge", "SiameseHead"):
                raise ArgumentError(f"the node {node['name']!r} of a Graph", need="a layer that there is still", got=stored["name"])
            nodes.append({
                "name": node["name"],
                "inputs": _taken(node),
                "outputs": node.get("outputs") or [],
                "shared": shared,
                "merge": _merge(node),
                "layer": self.layer(stored["layer"] if shared else stored, node["name"]),
            })  # fmt: skip
        outputs = [{"name": one["name"], "inputs": _taken(one), "merge": _merge(one)} for one in config["output_config"]]
        order = config.get("output_order") or [one["name"] for one in outputs]
        first = config.get("input_order") or [one["name"] for one in inputs]
        return {
            "inputs": sorted(inputs, key=lambda one: first.index(one["name"])),
            "nodes": nodes,
            "outputs": sorted(outputs, key=lambda one: order.index(one["name"])),
        }


def _taken(node: Mapping[str, Any]) -> list[str]:
    return list(node.get("inputs") or [node["input"]])


def _merge(node: Mapping[str, Any]) -> Config:
    return {k: node[k] for k in ("concat_axis", "dot_axes") if k in node} | {"mode": node.get("merge_mode")} if node.get("merge_mode") else {}
