# SPDX-License-Identifier: Apache-2.0
"""Models with strings among their inputs: the layers that read them run on the host, and what they answer goes into the compiled part.

Strings never reach an engine. What a model is given, a whole array or batch after batch, is encoded first; in place of its inputs the model then gets
a dict of numbers by the names of those layers. Start at HostPart; `on_host` is where training and prediction come in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from nyala.core import tree
from nyala.core.errors import ArgumentTypeError, StructureError
from nyala.core.symbolic import Node, Symbolic
from nyala.engines import current
from nyala.layers.preprocessing.host import HostLayer, as_array, is_native, is_text
from nyala.models.graph import Graph
from nyala.training.data import is_stream


class HostPart:
    """The nodes of a graph that read strings, and the graph behind them.

    Args:
        graph: of the model.
        names: of its inputs.
        where: the model, for errors.
    """

    def __init__(self, graph: Graph, names: list[str], where: str) -> None:
        self.inputs, self.where = graph.inputs, where
        self.nodes = [node for node in graph.nodes if any(tensor.dtype == "string" for tensor in node.input_tensors)]
        known = set(map(id, graph.inputs))
        for node in self.nodes:
            self._check(node, known)
            known.update(map(id, node.output_tensors))
        self.numbers = {name: tensor for name, tensor in zip(names, graph.inputs, strict=True) if tensor.dtype != "string"}
        for node in self.nodes:
            for i, tensor in enumerate(tensor for tensor in node.output_tensors if tensor.dtype != "string"):
                name = node.operation.name if node.index + i == 0 else f"{node.operation.name}:{node.index}:{i}"
                self.numbers[name] = tensor
        self.graph = Graph(list(self.numbers.values()), graph.outputs, where)

    def _check(self, node: Node, known: set[int]) -> None:
        operation = node.operation
        if not isinstance(operation, HostLayer):
            why, fix = "an engine has no strings", "put StringLookup, Hashing or TextVectorization between them"
            raise ArgumentTypeError(self.where, need="a layer that reads strings", got=f"{operation.name!r} on a string input", why=why, fix=fix)
        strays = [tensor for tensor in node.input_tensors if id(tensor) not in known]
        if strays:
            got = f"{strays[0].name!r}, which is computed"
            raise ArgumentTypeError(f"{self.where}: {operation.name!r}", need="inputs of the model beside strings", got=got, fix="look it up apart")

    def encode(self, given: list[Any]) -> dict[str, Any]:
        """Numbers by name for what was given in the places of the inputs."""
        values = {id(tensor): _fitted(value, tensor, self.where) for tensor, value in zip(self.inputs, given, strict=True)}
        for node in self.nodes:
            args, kwargs = tree.map_structure(lambda leaf: values[id(leaf)] if isinstance(leaf, Symbolic) else leaf, [list(node.args), node.kwargs])
            results = node.operation(*args, **kwargs)
            for tensor, value in zip(node.output_tensors, tree.flatten(results), strict=True):
                values[id(tensor)] = as_host(value)
        return {name: values[id(tensor)] for name, tensor in self.numbers.items()}

    def run(self, numbers: dict[str, Any], fit: Callable[[Any, Symbolic], Any]) -> list[Any]:
        """The outputs for numbers by name."""
        return self.graph.run([fit(numbers[name], tensor) for name, tensor in self.numbers.items()])


def in_places(inputs: Any, structure: Any, names: list[str], where: str) -> list[Any]:
    """What was given for each input: a list of texts is one input, a dict goes by name."""
    if isinstance(structure, Symbolic) and not isinstance(inputs, dict):
        return [inputs[0] if isinstance(inputs, (list, tuple)) and len(inputs) == 1 and hasattr(inputs[0], "shape") else inputs]
    if isinstance(inputs, dict):
        named = dict(zip(names, tree.flatten(structure), strict=True)) if not isinstance(structure, dict) else structure
        if any(name not in inputs for name in named):
            raise StructureError(where, need=f"inputs named {list(named)}", got=f"{list(inputs)}", fix="rename the keys to these")
        structure, inputs = named, {name: inputs[name] for name in named}
    found: list[Any] = []
    try:
        tree.map_structure_up_to(structure, lambda _, value: found.append(value), structure, inputs)
    except (ValueError, TypeError) as error:
        raise StructureError(where, need=f"{len(names)} inputs {names}", got=type(inputs).__name__, fix="pass a dict by these names") from error
    return found


def _fitted(value: Any, tensor: Symbolic, where: str) -> Any:
    """Strings as the input declared them: a last axis of 1 added or dropped. Numbers stay as they are."""
    if tensor.dtype != "string":
        return value
    where = f"{where}, input {tensor.name!r}"
    texts = as_array(value, where)
    if texts.size and not is_text(texts):
        raise ArgumentTypeError(where, need="strings", got=f"an array of {texts.dtype}")
    if texts.ndim == len(tensor.shape) - 1 and tensor.shape[-1] == 1:
        return texts[..., None]
    return texts[..., 0] if texts.ndim == len(tensor.shape) + 1 and texts.shape[-1] == 1 else texts


def as_host(value: Any) -> Any:
    """What a layer answered, as an array."""
    return current().to_numpy(value) if is_native(value) else value


def on_host(x: Any, encode: Callable[[Any], Any], batches: bool = False) -> Any:
    """What fit, evaluate and predict were given, encoded: data at once, streams batch by batch. With `batches` a tuple is (x, y) or (x, y, w)."""
    if is_stream(x):
        return _encoded_stream(x, lambda batch: _encoded_batch(batch, encode))
    if x is None:
        return None
    return _encoded_batch(x, encode) if batches and isinstance(x, (tuple, list)) else encode(x)


def _encoded_batch(batch: Any, encode: Callable[[Any], Any]) -> Any:
    return (encode(batch[0]), *batch[1:]) if isinstance(batch, (tuple, list)) else encode(batch)


class _Stream:
    """The batches of another stream, encoded."""

    def __init__(self, source: Any, encode: Callable[[Any], Any]) -> None:
        self.source, self.encode = source, encode

    def __iter__(self) -> Iterator:
        return map(self.encode, self.source)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.source, name)


class _Sized(_Stream):
    def __len__(self) -> int:
        return len(self.source)


class _Indexed(_Sized):
    def __getitem__(self, index: int) -> Any:
        return self.encode(self.source[index])


def _encoded_stream(source: Any, encode: Callable[[Any], Any]) -> Any:
    if hasattr(source, "__next__"):
        return map(encode, source)
    kind = _Stream if not hasattr(source, "__len__") else _Indexed if hasattr(source, "__getitem__") else _Sized
    return kind(source, encode)


def holds_text(x: Any) -> bool:
    """Whether x is a string, or a list or array of strings."""
    if isinstance(x, np.ndarray):
        return is_text(x)
    if isinstance(x, (list, tuple)):
        return len(x) > 0 and holds_text(x[0])
    return isinstance(x, (str, bytes)) or (hasattr(x, "to_numpy") and holds_text(x.to_numpy()))
