# SPDX-License-Identifier: Apache-2.0
"""Whole models and weights in one .h5 file, as Keras 1, 2, tf.keras and Keras 3 (its legacy format) write them; written as Keras 3 does.

The config is rewritten by nyala.legacy, the weights are planned by legacy_weights, what the optimizer had learned by legacy_optimizers.
How a model was trained never keeps its weights from being loaded. Start at load_model_hdf5.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nyala.core import known
from nyala.core.audit import check_work
from nyala.core.serialization import custom_object_scope, serialize_keras_object
from nyala.files import json_text
from nyala.files.errors import CorruptFileError, FileError, translated
from nyala.files.hdf5 import Group, reading, writing
from nyala.files.keras_v3 import check_config, make
from nyala.files.legacy_optimizers import plan_optimizer
from nyala.files.legacy_training import compile_as, training_of
from nyala.files.legacy_weights import Plan, attribute, check_built, pairs_of, plan_weights, set_weights
from nyala.files.loading import Source, check_backed, check_range, set_value
from nyala.layers.preprocessing.lookup import learned_words_in_configs
from nyala.legacy import modernize
from nyala.legacy.era import Era
from nyala.losses import ALIASES

KERAS_VERSION = "3.15.1"  # whose layout is written
MAX_ATTRIBUTE = 64_000  # bytes of names in one attribute; HDF5 holds 64 KiB in the header of a group


def load_model_hdf5(path: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, trusted: Sequence[Any] = ()) -> Any:
    """The model in an .h5 file of any Keras, with its weights and, if it was being trained, with optimizer, loss and metrics.

    Args:
        path: of the file, or an open binary file.
        custom_objects: classes and functions that the file names, {"MyLayer": MyLayer}; functions of Lambda layers by their own name or by that
            of the layer.
        compile: whether the model is compiled as it was.
        trusted: more classes and functions, that go by their own names.
    Raises: CorruptFileError for a file without a model; UnsafeFileError for one with code in it; errors of the layers for configs that do not fit.
    """
    where = f"load_model({_shown(path)})"
    given = {**{one.__name__: one for one in trusted}, **(custom_objects or {})}
    with reading(path, where) as root, translated(where, "a file as Keras writes it", "hdf5-model"):
        if "model_config" not in root.attributes:
            holds_weights = attribute(root, "layer_names") is not None or "nb_layers" in root.attributes or "layers" in root.groups
            raise CorruptFileError(
                where,
                need="a whole model",
                got="weights alone" if holds_weights else "a file without model_config",
                fix="build the model, then model.load_weights(path)" if holds_weights else "",
                rule="hdf5-model",
            )
        group = root.groups.get("model_weights", root)
        config = json_of(root, "model_config", where)
        check_work(config, where)  # before copies of it are made
        era = _era(config, root, group, given)
        with custom_object_scope(given):
            modern = modernize(config, era)
            check_config(modern, where)
            told = compile and "training_config" in root.attributes
            training = training_of(json_of(root, "training_config", where), era, where) if told else None
            model, blank = make(modern, where)
            check_backed(blank.unfilled(), {"": {d.path: Source(d.shape, d.dtype, d.read) for d in group.walk()}}, where)
            _set(plan_weights(model, group, era, where), where)
            blank.fill()
            if training is not None and compile_as(model, training, where):
                _load_optimizer(model, root, group, era, where)
        era.warn(where)
    return model


def load_weights_hdf5(model: Any, path: Any, by_name: bool = False, skip_mismatch: bool = False) -> None:
    """Set the weights of a model from an .h5 file of weights, or of a whole model, of any Keras: all of them or, if one does not fit, none.

    Args:
        model: built.
        path: of the file, or an open binary file.
        by_name: layers go by their names, others are left alone; else all, in order.
        skip_mismatch: leave layers alone whose shapes differ, with a warning.
    """
    where = f"load_weights({_shown(path)})"
    with reading(path, where) as root, translated(where, "a file as Keras writes it", "hdf5-model"):
        group = root.groups.get("model_weights", root)
        config = json_of(root, "model_config", where) if "model_config" in root.attributes else {}
        set_weights(model, group, _era(config, root, group, {}), where, by_name, skip_mismatch)


def _shown(path: Any) -> str:
    return repr(str(path)) if not hasattr(path, "read") else "file"


def json_of(root: Group, name: str, where: str) -> Any:
    """The JSON in an attribute of a file."""
    value = root.attributes[name]
    if not isinstance(value, (str, bytes)):
        raise CorruptFileError(where, need=f"JSON text in the attribute {name}", got=type(value).__name__, rule="hdf5-model")
    return json_text.read(value, f"{name} of {where}")


def _era(config: Any, root: Group, group: Group, given: Mapping[str, Any]) -> Era:
    """Which Keras wrote a file."""
    said = {**root.attributes, **group.attributes}
    version, backend = str(said.get("keras_version") or ""), str(said.get("backend") or "")
    if not version and not config:
        named = attribute(group, "layer_names") is not None
        return Era(1 if named else 0, "", _old_backend(group) if named else "theano", given)
    era = Era.of(config, version, backend, given)
    if not era.backend and era.generation < 2:
        era.backend = _old_backend(group)
    return era


def _old_backend(group: Group) -> str:
    """Keras 1 did not say on what it ran, but TensorFlow's names end in :0."""
    return "tensorflow" if any(dataset.path.endswith(":0") for dataset in group.walk()) else "theano"


def _set(plan: Plan, where: str) -> None:
    for variable, value in plan:
        check_range(variable, value, where)
    for variable, value in plan:
        set_value(variable, value)


def _load_optimizer(model: Any, root: Group, group: Group, era: Era, where: str) -> None:
    """Give the optimizer what it had learned, or say why not."""
    if "optimizer_weights" not in root.groups:
        return
    try:
        model.optimizer.build(model.trainable_variables)
        plan = plan_optimizer(model.optimizer, root.groups["optimizer_weights"], pairs_of(model, group, era, where), era, where)
    except FileError:
        raise
    except Exception as error:
        warnings.warn(f"{where}: the optimizer begins anew, as its state is not understood: {error}", stacklevel=4)
        return
    _set(plan, where)


# Writing ------------------------------------------------------------------------------------------------------------------------


def save_model_hdf5(model: Any, path: Any, include_optimizer: bool = True) -> None:
    """Write a model with its weights, and how it is trained, to an .h5 file as Keras 3 does. The file is whole, or as it was.

    Args:
        model: built.
        path: of the file, or an open binary file.
        include_optimizer: also write the arguments of compile and what the optimizer has learned.
    """
    where = f"save({_shown(path)})"
    check_built(model, where)
    config = stored_config(model)
    training = training_config(model) if include_optimizer and getattr(model, "compiled", False) else None
    with writing(path) as root:
        root.attributes["keras_version"] = KERAS_VERSION
        root.attributes["backend"] = "jax"
        root.attributes["model_config"] = json.dumps(config)
        _write_layers(root.group("model_weights"), model)
        if training is not None:
            root.attributes["training_config"] = json.dumps(training)
            if model.optimizer.built:
                variables = model.optimizer.variables
                _write_arrays(root.group("optimizer_weights"), [v.path for v in variables], variables)


def save_weights_hdf5(model: Any, path: Any) -> None:
    """Write the weights of a model to an .h5 file as Keras 2 and 3 do: a group per layer, by its name. The file is whole, or as it was."""
    check_built(model, f"save_weights({_shown(path)})")
    with writing(path) as root:
        _write_layers(root, model)


def _write_layers(group: Any, model: Any) -> None:
    layers = list(model.layers)
    _write_names(group, "layer_names", [layer.name for layer in layers])
    group.attributes["backend"] = "jax"
    group.attributes["keras_version"] = KERAS_VERSION
    for layer in sorted(layers, key=lambda layer: layer.name):
        weights = weights_of_now(layer)
        _write_arrays(group.group(layer.name), [weight.path for weight in weights], weights)
    top = sorted(model._own_variables(), key=lambda weight: not weight.trainable)
    _write_arrays(group.group("top_level_model_weights"), [weight.path for weight in top], top)


def weights_of_now(layer: Any) -> list[Any]:
    """The weights of a layer in the order of Keras 3: those that are trained now first."""
    return sorted(layer.weights, key=lambda weight: not weight.trainable)


def _write_arrays(group: Any, names: list[str], variables: Sequence[Any]) -> None:
    names = _distinct(names)
    _write_names(group, "weight_names", names)
    for name, variable in zip(names, variables, strict=True):
        folder, _, last = name.rpartition("/")
        (group.group(folder) if folder else group).dataset(last, np.asarray(variable.borrow()))


def _distinct(names: list[str]) -> list[str]:
    """Paths, each another one, and none a part of another."""
    taken: set[str] = set()
    made = []
    for name in names:
        name = "/".join(part for part in name.split("/") if part not in ("", ".", "..")) or "weight"
        candidate, number = name, 0
        while candidate in taken or any(one.startswith(f"{candidate}/") for one in taken) or _inside(candidate, made):
            number += 1
            candidate = f"{name}_{number}"
        taken.add(candidate)
        made.append(candidate)
    return made


def _inside(name: str, others: list[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:i]) in others for i in range(1, len(parts)))


def _write_names(group: Any, name: str, values: list[str]) -> None:
    """A list of names as an attribute, or as several where it is too long for one."""
    size = max((len(value.encode()) for value in values), default=0) + 16
    per = max(MAX_ATTRIBUTE // size, 1)
    if len(values) <= per:
        group.attributes[name] = [value.encode() for value in values]
        return
    for number, start in enumerate(range(0, len(values), per)):
        group.attributes[f"{name}{number}"] = [value.encode() for value in values[start : start + per]]


def stored_config(model: Any) -> dict[str, Any]:
    """The config of a model as an .h5 file has it, with learned vocabularies, for which there is no other place.

    Keras cannot find ops without their modules, so models with ops in their graph keep them all."""
    with learned_words_in_configs():
        entry = serialize_keras_object(model)
    if not _has_ops(entry):
        return legacy_entry(entry)
    return {key: value for key, value in entry.items() if key not in ("compile_config", "build_config")}


def _has_ops(entry: Any) -> bool:
    """Whether there is an op among the layers of a model, or of a model inside."""
    config = entry.get("config") if isinstance(entry, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    return str(entry.get("module")).startswith("keras.src.ops") or any(_has_ops(layer) for layer in layers or () if isinstance(layer, dict))


def legacy_entry(entry: Any) -> Any:
    """The config of a model as .h5 files have it: layers directly in models without their module, nothing about building and compiling.

    >>> legacy_entry({"module": "keras", "class_name": "Sequential", "config": {"layers": []}, "registered_name": None, "compile_config": {}})
    {'class_name': 'Sequential', 'config': {'layers': []}}
    """
    if not isinstance(entry, dict) or "class_name" not in entry:
        return entry
    config = entry["config"]
    if isinstance(config, dict) and isinstance(config.get("layers"), list):
        config = {**config, "layers": [legacy_entry(layer) for layer in config["layers"]]}
    kept = {k: v for k, v in entry.items() if k in ("class_name", "name", "inbound_nodes")}
    name = entry.get("registered_name") if ">" in str(entry.get("registered_name")) else entry["class_name"]
    name = next((inside for inside, public in known.INSIDE.items() if public == name), name)
    return {**kept, "class_name": name, "config": config}


def training_config(model: Any) -> dict[str, Any] | None:
    """What compile was told, as .h5 files have it; None, with a warning, if a config cannot say it."""
    try:
        told = model.get_compile_config()
    except Exception as error:
        warnings.warn(f"the model is saved without its training_config: {error}", stacklevel=4)
        return None
    optimizer = serialize_keras_object(model.optimizer)
    made = {key: _bare(value) for key, value in told.items() if key != "optimizer"}
    made["loss"] = _spelled_out(made.get("loss"))
    return {**made, "optimizer_config": {"class_name": optimizer["class_name"], "config": optimizer["config"]}}


def _spelled_out(value: Any) -> Any:
    """Losses by their long names: Keras does not find short ones, as "mse", in its own .h5 files."""
    if isinstance(value, str):
        return ALIASES.get(value, value)
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _spelled_out(one) for key, one in value.items()}
    return [_spelled_out(one) for one in value] if isinstance(value, list) else value


def _bare(value: Any) -> Any:
    """Configs as class_name and config alone; functions by name."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        return value["config"]
    if isinstance(value, dict) and "class_name" in value:
        return {"class_name": value["class_name"], "config": value["config"]}
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items()}
    return [_bare(v) for v in value] if isinstance(value, (list, tuple)) else value
