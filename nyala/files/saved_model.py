# SPDX-License-Identifier: Apache-2.0
"""TensorFlow SavedModel folders of tf.keras 2, without TensorFlow: the Keras part (keras_metadata.pb) and the checkpoint beside it.

The graph in saved_model.pb is never run nor read. Folders without the Keras part are refused, with what to do. Start at load_saved_model.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.core.serialization import custom_object_scope
from nyala.files import json_text
from nyala.files.errors import CorruptFileError, FileError, translated
from nyala.files.keras_v3 import check_config, make
from nyala.files.legacy_layouts import weights_of
from nyala.files.legacy_training import compile_as, training_of
from nyala.files.legacy_weights import Plan
from nyala.files.loading import Source, check_backed, set_value
from nyala.files.tensor_bundle import Bundle, Node, fields, regular
from nyala.legacy import modernize
from nyala.legacy.era import Era

MAX_METADATA = 64 << 20  # bytes


def is_saved_model(path: Any) -> bool:
    """Whether a path is the folder of a SavedModel."""
    return pathlib.Path(path).is_dir() and any((pathlib.Path(path) / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt"))


def load_saved_model(path: Any, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, trusted: Sequence[Any] = ()) -> Any:
    """The Keras model in a SavedModel folder, with its weights; compiled as it was, its optimizer begins anew.

    Args:
        path: of the folder.
        custom_objects: classes and functions that it names.
        compile: whether the model is compiled as it was.
        trusted: more classes and functions, that go by their own names.
    Raises: ArgumentError for a path where no SavedModel is; FileError, with what to do, for one without a Keras model that can be built.
    """
    where = f"load_model({str(path)!r})"
    folder = check_path(path, where)
    with translated(where, "a SavedModel as Keras writes it", "saved-model"):
        config, training, version = _metadata(folder, where)
        given = {**{one.__name__: one for one in trusted}, **(custom_objects or {})}
        era = Era(2, version or "2", "tensorflow", given)
        with custom_object_scope(given):
            modern = modernize(config, era)
            check_config(modern, where)
            arguments = training_of(training, era, where) if compile and training else None
            model, blank = make(modern, where)
            if not model.built:
                raise _not_read(where, "a model whose layers say no shapes", config.get("class_name"))
            bundle = Bundle(folder / "variables" / "variables", where)
            sources = {key: Source(t.shape, t.dtype or "void8", t.read) for key, t in bundle.tensors.items() if t.dtype}
            check_backed(blank.unfilled(), {"": sources}, where)
            for weight, value in _plan(model, modern["config"], bundle, where):
                set_value(weight, value)
            blank.fill()
            if arguments is not None:
                compile_as(model, arguments, where)
        era.warn(where)
    return model


def check_path(path: Any, where: str) -> pathlib.Path:
    """The folder, if there is one that holds a SavedModel."""
    text = os.fspath(path)
    if not text or not str(text).strip():
        raise ArgumentError(where, need="a path", got="an empty one", fix="pass the path of the model")
    folder = pathlib.Path(str(text))
    if not folder.exists():
        near = folder.parent if folder.parent.is_dir() else None
        names = sorted(one.name for one in near.iterdir())[:8] if near else []
        raise ArgumentError(
            where, need="a path where something is", got="nothing there", fix=f"in that folder there are {names}" if names else "check the path"
        )
    if not folder.is_dir() or not is_saved_model(folder):
        raise ArgumentError(
            where, need="the folder of a SavedModel, with saved_model.pb in it", got="a file" if folder.is_file() else "another folder"
        )
    return folder


def _not_read(where: str, got: str, kind: Any = None) -> FileError:
    name = f" of class {kind}" if kind else ""
    return FileError(
        where,
        need="a SavedModel with a Keras model in it that can be built from its config",
        got=got + name,
        why="a SavedModel is a program of TensorFlow, which is not run here",
        fix="where TensorFlow 2.15 and tf_keras are installed: tf_keras.models.load_model(path).save('model.h5'), then load that; or build the model "
        "and load the weights: tf_keras.models.load_model(path).save_weights('model.weights.h5')",
        rule="saved-model",
    )


def _metadata(folder: pathlib.Path, where: str) -> tuple[dict[str, Any], Any, str]:
    """The config of the root model, how it was trained, and the version of Keras."""
    path = folder / "keras_metadata.pb"
    if not path.exists():
        raise _not_read(where, "one without keras_metadata.pb")
    if regular(path, where).stat().st_size > MAX_METADATA:
        raise CorruptFileError(where, need=f"keras_metadata.pb of at most {MAX_METADATA:,} bytes", got="more", rule="saved-model")
    for number, node in list(fields(path.read_bytes(), where)):  # the whole of it first: it may be cut off
        found = dict(fields(node, where)) if number == 1 else {}
        if found.get(3) == b"root":
            told = json_text.read(found.get(5, b""), f"keras_metadata.pb of {where}")
            if not isinstance(told, dict) or not isinstance(told.get("config"), dict) or not told.get("is_graph_network", "layers" in told["config"]):
                raise _not_read(where, "a model that is written as a class", told.get("class_name") if isinstance(told, dict) else None)
            return {"class_name": told["class_name"], "config": told["config"]}, told.get("training_config"), str(told.get("keras_version") or "")
    raise _not_read(where, "keras_metadata.pb without a model")


def _plan(model: Any, config: dict[str, Any], bundle: Bundle, where: str) -> Plan:
    """The arrays of each layer: those of the object "layer_with_weights-<number>" of the root, numbered in the order of the config."""
    nodes = bundle.objects()
    if not nodes:
        raise CorruptFileError(where, need="a checkpoint with a model in it", got="an empty one", rule="saved-model")
    order = [entry.get("name") or entry["config"]["name"] for entry in config["layers"]]
    plan: Plan = []
    for number, layer in enumerate(sorted((layer for layer in model.layers if layer.weights), key=lambda layer: order.index(layer.name))):
        place = nodes[0].children.get(f"layer_with_weights-{number}")
        if place is None:
            raise CorruptFileError(where, need=f"an object for layer {layer.name!r}", got="none", rule="saved-model")
        plan += _plan_layer(layer, _variables(nodes, place), bundle, where)
    return plan


def _variables(nodes: list[Node], start: int) -> list[Node]:
    """The variables of an object and its parts, each once."""
    found: list[Node] = []
    seen: set[int] = set()
    waiting = [start]
    while waiting:
        place = waiting.pop()
        if place in seen or not 0 <= place < len(nodes):
            continue
        seen.add(place)
        node = nodes[place]
        if node.key:
            found.append(node)
        waiting += reversed([child for name, child in node.children.items() if name not in ("keras_api", "_inbound_nodes", "_outbound_nodes")])
    return found


def _plan_layer(layer: Any, found: list[Node], bundle: Bundle, where: str) -> Plan:
    """Variables go by the ends of their names and by their shapes, those of equal ends in order."""
    left = [(node, bundle.tensors[node.key]) for node in found if node.key in bundle.tensors]
    chosen = []
    for weight in weights_of(layer):
        ends = [(i, node) for i, (node, held) in enumerate(left) if held.shape == weight.shape and _is_called(weight.name, node.name)]
        matches = [(_common(weight.path, node.name), -i, i) for i, node in ends]
        if not matches:
            got = f"{[(node.name, held.shape) for node, held in left]}"
            raise CorruptFileError(where, need=f"{weight.path!r} of shape {weight.shape} for layer {layer.name!r}", got=got, rule="saved-model")
        chosen.append((weight, left.pop(max(matches)[2])[1]))
    return [(weight, held.read()) for weight, held in chosen]


def _is_called(weight: str, name: str) -> bool:
    """Whether a variable's name is that of a weight: "kernel" was also "depthwise_kernel"."""
    last = name.rpartition("/")[2]
    return last == weight or last.endswith(f"_{weight}")


def _common(path: str, name: str) -> int:
    """How many last parts of two paths are the same."""
    count = 0
    for a, b in zip(reversed(path.split("/")), reversed(name.split("/")), strict=False):
        if a != b:
            break
        count += 1
    return count
