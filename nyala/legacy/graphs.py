# SPDX-License-Identifier: Apache-2.0
"""Configs of whole models, rewritten: Sequential and functional ones of Keras 1 and 2, those of Keras 0 (Sequential and Graph), and merging.

A model of Keras 0 or 1 that merges inside a Sequential becomes a functional one, its branches drawn out. Start at modernize.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nyala.core.errors import ArgumentError, CorruptFileError, NyalaError, StructureError, placed
from nyala.core.serialization import custom_object_scope, deserialize_keras_object
from nyala.legacy import tables
from nyala.legacy.drawing import Drawing, functional_entry
from nyala.legacy.era import Era
from nyala.legacy.keras_0 import from_keras_0
from nyala.legacy.layers import Config, modern_layer
from nyala.legacy.nodes import modern_nodes


def modernize(config: Mapping[str, Any], era: Era | None = None, custom_objects: Mapping[str, Any] | None = None) -> Config:
    """The config of a model, of any generation, as Keras 3 writes it.

    Args:
        config: as to_json, or the attribute model_config of a file, has it.
        era: which Keras wrote it; by default what the config itself says.
        custom_objects: classes and functions of the caller. Layers of these classes stay as they are; functions of Lambda layers are found by their
            own name or by that of the layer.
    Raises: ArgumentError for what has no counterpart; UnsafeObjectError for functions that are stored as code.

    >>> old = {"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"output_dim": 2, "batch_input_shape": [None, 3]}}]}
    >>> modernize(old)["config"]["layers"][0]["config"]
    {'units': 2, 'batch_input_shape': [None, 3]}
    """
    where = "the config of a model"
    if not isinstance(config, Mapping):
        raise placed(ArgumentError(where, need="an object {...}", got=f"{config!r:.60}"), where, "keras-config")
    try:
        return _modernized(config, era or Era.of(config, custom=custom_objects))
    except NyalaError as error:
        if not error.rule:
            placed(error, where, "keras-config")
        raise
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise CorruptFileError(
            where, need="one that is whole", got=f"one that raises {type(error).__name__}: {str(error)[:200]}", rule="keras-config"
        ) from error


def _modernized(config: Mapping[str, Any], era: Era) -> Config:
    if era.generation >= 3:
        return _with_modules({k: v for k, v in config.items() if k not in ("keras_version", "backend")})
    entry = from_keras_0(config) if era.generation == 0 else _as_lists(config)
    if "class_name" not in entry or not isinstance(entry.get("config"), (dict, list)):
        raise ArgumentError("the config of a model", need="'class_name' and 'config'", got=f"{sorted(map(str, config))}")
    return modern_model(entry, era) if entry["class_name"] in tables.MODELS and not era.gives(entry["class_name"]) else modern_layer(entry, era)


def _as_lists(value: Any) -> Any:
    """Tuples and shapes as tf.keras wrote them, {"class_name": "__tuple__", "items": [...]}, as lists."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__tuple__", "TensorShape") and isinstance(value.get("items"), list):
            return [_as_lists(one) for one in value["items"]]
        return {key: _as_lists(one) for key, one in value.items()}
    return [_as_lists(one) for one in value] if isinstance(value, list) else value


def build(
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
    era: Era | None = None,
    make: Callable[[Config], Any] = deserialize_keras_object,
) -> Any:
    """The model of a config of any generation, which `make` makes of a config of today."""
    era = era or Era.of(config, custom=custom_objects)
    modern = modernize(config, era)
    with custom_object_scope(custom_objects):
        model = make(modern)
    if era.generation == 0 and "layers" in modern["config"]:  # files of that time number layers in the order in which they were made
        model._order_of_layers = [layer.get("name") or layer["config"]["name"] for layer in modern["config"]["layers"]]
    return model


def _with_modules(entry: Config) -> Config:
    """The config of a model in an .h5 file of Keras 3: layers and ops in it, which stand without their module, get it."""
    from nyala.models.serialization import is_op_class

    config = entry.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
        return entry
    layers = []
    for layer in config["layers"]:
        if isinstance(layer, dict) and "module" not in layer and isinstance(layer.get("config"), dict) and "layers" not in layer["config"]:
            inner = layer["config"]
            is_op = layer.get("inbound_nodes") and not {"trainable", "batch_shape"} & set(inner)
            is_op = is_op and ("dtype" not in inner or is_op_class(layer.get("class_name")))  # ops have a dtype if their function takes one
            layer = {"module": "keras.src.ops.numpy", **layer} if is_op else layer
        layers.append(_with_modules(layer) if isinstance(layer, dict) else layer)
    return {**entry, "config": {**config, "layers": layers}}


def modern_model(entry: Mapping[str, Any], era: Era) -> Config:
    """The entry of a Sequential, functional or Graph model."""
    kind, config = entry["class_name"], entry["config"]
    if kind == "Graph":
        return _graph(config, era)
    if kind == "Sequential":
        config: dict[str, Any] = {"layers": config} if isinstance(config, list) else config
        if any(_needs_graph(layer) for layer in config["layers"]):
            drawing = Drawing()
            end = _draw_chain(drawing, config["layers"], None, era)
            return drawing.model(config.get("name") or entry.get("name"), [end])
        return _sequential(config, era)
    if isinstance(config, dict) and "layers" in config and "input_layers" in config:
        return _functional(config, era)
    return {"class_name": kind, "config": config}  # a subclassed model, which only the caller can make


def _sequential(config: Config, era: Era) -> Config:
    layers = [modern_layer(layer, era) for layer in config["layers"]]
    for layer in layers[1:]:
        layer["config"].pop("batch_input_shape", None) if isinstance(layer["config"], dict) else None
    kept = {k: config[k] for k in ("name", "trainable", "build_input_shape") if config.get(k) is not None}
    return {"module": "keras", "class_name": "Sequential", "config": {**kept, "layers": layers}, "registered_name": None}


def _functional(config: Config, era: Era) -> Config:
    layers: list[Config] = []
    nodes = modern_nodes(config, era)
    for entry in config["layers"]:
        name = entry.get("name") or entry["config"]["name"]
        if entry["class_name"] == "Merge" and not era.gives("Merge"):
            layers += _merge_entries(entry, nodes[name], era)
            continue
        if entry["class_name"] in ("TFOpLambda", "SlicingOpLambda"):
            layers += nodes.ops(entry, name)
            continue
        made = modern_layer(entry, era)
        if isinstance(made["config"], dict):
            made["config"].pop("batch_input_shape", None)
        layers.append({**made, "name": name, "inbound_nodes": nodes[name]})
    ends = {key: nodes.ends(config[key]) for key in ("input_layers", "output_layers")}
    kept = {k: config[k] for k in ("name", "trainable") if config.get(k) is not None}
    return functional_entry({**kept, "layers": layers, **ends})


# Merging ------------------------------------------------------------------------------------------------------------------------


def _merge_entries(entry: Config, calls: list[Config], era: Era) -> list[Config]:
    """A Merge layer of a functional model: one layer, or two for the cosine."""
    drawing = Drawing()
    for call in calls:
        drawing.merge(entry["config"], [tensor["config"]["keras_history"] for tensor in _flat(call["args"])], era)
    return drawing.entries


def _flat(args: list) -> list:
    return [leaf for arg in args for leaf in (_flat(arg) if isinstance(arg, list) else [arg])]


def _needs_graph(layer: Mapping[str, Any]) -> bool:
    if layer["class_name"] in ("Merge", "TimeDistributedMerge", "Graph"):
        return True
    inner = layer["config"]
    inner = inner.get("layers") if isinstance(inner, dict) and layer["class_name"] == "Sequential" else inner
    return isinstance(inner, list) and layer["class_name"] == "Sequential" and bool(inner) and _needs_graph(inner[0])


def _draw_chain(drawing: Drawing, layers: list, start: list | None, era: Era) -> list:
    """Draw layers one after another; returns the end."""
    here = start
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        if kind == "Merge":
            branches = [_draw_branch(drawing, branch, era) for branch in config["layers"]]
            here = drawing.merge(config, branches, era)
        elif kind == "TimeDistributedMerge":
            here = drawing.op(tables.TIME_MERGES[config["mode"]], config["name"], [here], {"axis": 1})
        elif kind == "Sequential" and here is None:
            here = _draw_chain(drawing, config if isinstance(config, list) else config["layers"], None, era)
        else:
            here = _draw_layer(drawing, layer, here, era)
    if here is None:
        raise StructureError("a Sequential in a config", need="at least one layer", got="none")
    return here


def _draw_branch(drawing: Drawing, branch: Mapping[str, Any], era: Era) -> list:
    """A branch of a Merge, from its own input."""
    config = branch["config"]
    if branch["class_name"] == "Sequential":
        return _draw_chain(drawing, config if isinstance(config, list) else config["layers"], None, era)
    return _draw_layer(drawing, branch, None, era)


def _draw_layer(drawing: Drawing, layer: Mapping[str, Any], here: list | None, era: Era) -> list:
    made = modern_layer(layer, era)
    config = made["config"]
    if made["class_name"] == "InputLayer":
        return drawing.input(config["batch_shape"], config["dtype"], config.get("name"))
    shape = config.pop("batch_input_shape", None) if isinstance(config, dict) else None
    if here is None and made["class_name"] == "Functional":
        inner = next(e["config"] for e in config["layers"] if e["class_name"] == "InputLayer")
        here = drawing.input(inner["batch_shape"], inner["dtype"])
    if here is None:
        if shape is None:
            raise StructureError(f"the config of {config.get('name')!r}", need="batch_input_shape, as it begins a branch", got="none")
        here = drawing.input(shape, "int32" if made["class_name"] == "Embedding" else "float32")
    return drawing.layer(made, [here])


def _graph(config: Config, era: Era) -> Config:
    """A Graph of Keras 0, in the form that from_keras_0 gives it: inputs, nodes with what they take, outputs."""
    drawing = Drawing()
    ends: dict[str, list] = {}
    for given in config["inputs"]:
        ends[given["name"]] = drawing.input(given["batch_shape"], given["dtype"], given["name"])
    for node in config["nodes"]:
        taken = [ends[name] for name in node["inputs"]]
        if node["shared"]:  # one layer, called on each
            outputs = [_draw_layer(drawing, node["layer"], one, era) for one in taken]
            for name, output in zip(node["outputs"], outputs, strict=False):
                ends[name] = output
            if node["outputs"]:
                continue
            ends[node["name"]] = drawing.merge({**node["merge"], "name": f"{node['name']}_merged"}, outputs, era) if node["merge"] else outputs[0]
            continue
        here = taken[0] if len(taken) == 1 else drawing.merge({**node["merge"], "name": f"{node['name']}_merged"}, taken, era)
        ends[node["name"]] = _draw_node(drawing, node["layer"], here, era)
    outputs = {}
    for output in config["outputs"]:
        taken = [ends[name] for name in output["inputs"]]
        here = taken[0] if len(taken) == 1 else drawing.merge({**output["merge"], "name": f"{output['name']}_merged"}, taken, era)
        outputs[output["name"]] = drawing.layer({"module": "keras.layers", "class_name": "Identity", "config": {"name": output["name"]}}, [here])
    return drawing.model(None, list(outputs.values()))


def _draw_node(drawing: Drawing, layer: Mapping[str, Any], here: list, era: Era) -> list:
    if layer["class_name"] == "TimeDistributedMerge":
        return _draw_chain(drawing, [layer], here, era)
    return _draw_layer(drawing, layer, here, era)
