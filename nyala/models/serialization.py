# SPDX-License-Identifier: Apache-2.0
"""Functional models as configs and back, and architectures as JSON."""

from __future__ import annotations

import collections
import difflib
import functools
import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

from nyala.core import known, tree
from nyala.core.errors import ArgumentError, CorruptFileError, NyalaError, StructureError, UnknownObjectError, placed
from nyala.core.serialization import custom_object_scope, revive, serialize_keras_object
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

    def end(tensor: Symbolic) -> list:
        name, call, output = history(tensor)
        return [name, call + _counts_itself(tensor.node.operation), output]  # type: ignore[union-attr]

    ends = {
        name: tree.map_structure(end, structure)
        for name, structure in (("input_layers", model._inputs_struct), ("output_layers", model._outputs_struct))
    }
    return {"name": model.name, "trainable": model.trainable, "layers": layers, **ends}


def _counts_itself(operation: Any) -> bool:
    """Whether the ends of a model count one call of this operation more than there are: for Keras the first call of a graph is its own."""
    from nyala.models.functional import Functional

    return isinstance(operation, Functional)


# Ops are written as Keras does: a class in camel case, with its tensors in the call and everything else in its config.

OP_MODULES = {
    "nn": "nn",
    "linalg": "linalg",
    "core": "core",
    "control": "core",
    "fourier": "math",
    "image": "image",
}  # file of nyala.ops, up to its first "_" -> module of keras.ops
_MATH = (
    "cdist", "erf", "erfc", "erfinv", "in_top_k", "logdet", "logsumexp", "rsqrt", "segment_max", "segment_min", "segment_prod", "segment_sum",
    "top_k", "view_as_complex", "view_as_real",
)  # fmt: skip
ELSEWHERE = {**dict.fromkeys(_MATH, "math"), **dict.fromkeys(("multi_hot", "one_hot", "polar"), "nn"), "slogdet": "numpy"}  # in another module there
SPELLED = {
    "allclose": "AllClose", "cdist": "CDist", "ctc_decode": "CTCDecode", "ctc_loss": "CTCLoss", "fft": "FFT", "fft2": "FFT2",
    "hsv_to_rgb": "HSVToRGB", "ifft2": "IFFT2", "irfft": "IRFFT", "isin": "IsIn", "istft": "ISTFT", "psnr": "PSNR", "rfft": "RFFT",
    "rgb_to_grayscale": "RGBToGrayscale", "rgb_to_hsv": "RGBToHSV", "searchsorted": "SearchSorted", "ssim": "SSIM", "stft": "STFT", "svd": "SVD",
}  # fmt: skip
# Arguments that are in the config though they may be tensors, and in the call though they need not be.
IN_CONFIG = {"clip": {"x_min", "x_max"}, "threshold": {"threshold", "default_value"}, "bincount": {"weights"}, "trapezoid": {"x"}}
IN_CALL = {
    "percentile": {"q"}, "quantile": {"q"}, "nanpercentile": {"q"}, "nanquantile": {"q"}, "pad": {"constant_values"}, "where": {"x1", "x2"},
    "select": {"choicelist", "default"}, "slice": {"start_indices"}, "slice_update": {"start_indices"}, "isclose": {"rtol", "atol"},
    "full_like": {"fill_value"}, "scale_and_translate": {"output_shape"}, "dot_product_attention": {"scale"}, "get_item": {"key"},
}  # fmt: skip


def _op_entry(operation: Any, config: dict[str, Any]) -> dict[str, Any]:
    file = operation.op.__module__.split(".")[2].partition("_")[0]
    name = class_name(operation.op.__name__)
    return {
        "module": f"keras.src.ops.{ELSEWHERE.get(operation.op.__name__) or OP_MODULES.get(file, 'numpy')}",
        "class_name": name,
        "config": {"name": operation.name, **config},
        "registered_name": name,
    }


def class_name(op: str) -> str:
    """The name of the class by which configs name an op.

    >>> class_name("expand_dims"), class_name("fft")
    ('ExpandDims', 'FFT')
    """
    return SPELLED.get(op) or "".join(word[:1].upper() + word[1:] for word in op.split("_"))


def _has_symbolic(value: Any) -> bool:
    return any(isinstance(leaf, Symbolic) for leaf in tree.flatten(value))


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
        elif name in IN_CONFIG.get(op.__name__, ()) and not _has_symbolic(value):
            others[name] = value
        elif re.match(r"(Sequence\[|list\[)?Tensor|Tree", str(parameter.annotation)) or name in IN_CALL.get(op.__name__, ()) or _has_symbolic(value):
            tensors.append(list(value) if isinstance(value, tuple) else value)
        else:
            others |= value if parameter.kind is parameter.VAR_KEYWORD else {name: value}
    while tensors and tensors[-1] is None:
        tensors.pop()
    return tensors, others


@functools.cache
def _op_names() -> dict[str, str]:
    """The names of the ops that may stand in a graph, by the class names that configs give them."""
    return {class_name(name): name for name in known.known_names("op")}


def is_op_class(name: Any) -> bool:
    """Whether a config that names this may mean an op."""
    return isinstance(name, str) and name in _op_names()


def op_of_class(name: Any) -> Any:
    """The op that a config names. Raises UnknownObjectError with near matches."""
    if is_op_class(name):
        return known.op_named(_op_names()[name])
    near = difflib.get_close_matches(str(name), _op_names(), n=3)
    raise UnknownObjectError(
        "a functional config",
        need="ops that are in nyala.ops",
        got=f"{name!r:.80}" + (f"; near: {', '.join(near)}" if near else ""),
        rule="object-op",
    )


def _find_op(entry: Mapping[str, Any]) -> tuple[Function, dict[str, Any]] | None:
    """The op that a config names, and its arguments beside tensors; None for layers."""
    if not str(entry.get("module")).startswith(("keras.src.ops", "keras.ops", "nyala.ops")):
        return None
    found = op_of_class(entry["class_name"])
    parameters = inspect.signature(found).parameters
    given = {k: v for k, v in entry["config"].items() if k != "name" and not (k == "dtype" and (k not in parameters or isinstance(v, dict)))}
    config = {k: revive(v, "arguments") for k, v in given.items()}
    named = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return Function(found, entry["config"].get("name")), {k: v for k, v in config.items() if named or k in parameters}


def functional_from_config(cls: type, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A functional model from its config: make the layers, then repeat the calls as their arguments become known."""
    with custom_object_scope(custom_objects):
        try:
            return _from_graph(cls, config)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            if isinstance(error, NyalaError) or error.__traceback__ is None or _raised_elsewhere(error):
                raise
            raise StructureError(
                f"{cls.__name__}.from_config", need="the config of a functional model", got=f"one that is not whole ({type(error).__name__}: {error})"
            ) from error


def _raised_elsewhere(error: Exception) -> bool:
    """Whether an error comes from a layer rather than from the reading of the config."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and last.tb_frame.f_code.co_filename != __file__


def _from_graph(cls: type, config: dict[str, Any]) -> Any:
    made: dict[str, tuple[Any, dict[str, Any]]] = {}  # name -> layer or op, and arguments of every call
    for entry in config["layers"]:
        inner = {k: v for k, v in entry.items() if k not in ("inbound_nodes", "name", "build_config")}
        layer, arguments = _find_op(entry) or (revive(inner, "layers"), {})
        made[entry.get("name") or layer.name] = layer, arguments
    waiting = {name: collections.deque(entry["inbound_nodes"]) for name, entry in zip(made, config["layers"], strict=True)}
    calls = {name: [] if waiting[name] else [node.output_tensors for node in layer.inbound_nodes] for name, (layer, _) in made.items()}
    until: dict[tuple[str, int], list[str]] = {}  # a call -> layers whose next call needs its outputs
    ready = list(reversed(made))
    while ready:
        name = ready.pop()
        layer, arguments = made[name]
        while waiting[name]:
            missing = next(((other, call) for other, call, _ in _histories(waiting[name][0]) if call >= len(calls.get(other, ()))), None)
            if missing is not None:
                until.setdefault(missing, []).append(name)
                break
            args, kwargs = _arguments(waiting[name].popleft(), calls, isinstance(layer, Function) and layer.op.__name__ == "get_item")
            if isinstance(layer, Function) and layer.op.__name__ in IN_CALL:  # what the config does not have, in order
                free = [parameter for parameter in inspect.signature(layer.op).parameters if parameter not in arguments]
                args, kwargs = [], {**dict(zip(free, args, strict=False)), **kwargs}
            if isinstance(layer, Function) and not _has_symbolic([args, kwargs]):  # as arange(10**12), which nothing stands for in the file
                raise StructureError(f"{cls.__name__}.from_config", need=f"an op of tensors of the graph at {name!r}", got="one of numbers alone")
            layer(*args, **kwargs, **arguments)
            calls[name].append(layer.inbound_nodes[-1].output_tensors)
            ready += until.pop((name, len(calls[name]) - 1), [])
    if any(waiting.values()):
        missing_layers = sorted({other for nodes in waiting.values() for node in nodes for other, *_ in _histories(node)} - set(made))
        got = f"calls on {missing_layers}, which are not" if missing_layers else "calls that wait for each other"
        raise StructureError(f"{cls.__name__}.from_config", need="layers whose inputs are among the layers", got=got)

    zeros = {name for name, call, _ in _ends(config["output_layers"]) if call == 0}  # files that do not count it

    def end(structure: Any) -> Any:
        if _is_end(structure):
            name, call, output = structure
            return calls[name][call - (_counts_itself(made[name][0]) and name not in zeros)][output]
        return {k: end(v) for k, v in structure.items()} if isinstance(structure, dict) else [end(v) for v in structure]

    model = cls(inputs=end(config["input_layers"]), outputs=end(config["output_layers"]), name=config.get("name"))
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _is_end(structure: Any) -> bool:
    return isinstance(structure, (list, tuple)) and len(structure) == 3 and isinstance(structure[0], str) and isinstance(structure[1], int)


def _ends(structure: Any) -> list[Any]:
    """All [layer, call, output] of a structure of them."""
    if _is_end(structure):
        return [structure]
    inner = structure.values() if isinstance(structure, dict) else structure if isinstance(structure, (list, tuple)) else ()
    return [found for value in inner for found in _ends(value)]


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
            return revive(value, "arguments") if "class_name" in value else {k: resolve(v) for k, v in value.items()}
        return [resolve(v) for v in value] if isinstance(value, list) else value

    kwargs = {k: resolve(v) for k, v in node["kwargs"].items() if v is not None}
    if kwargs.get("training") is False and "training" not in node.get("explicit", ()):
        del kwargs["training"]  # Keras writes it for calls that left it open
    args = [resolve(v) for v in node["args"]]
    return [tuple(v) if key and isinstance(v, list) else v for v in args], kwargs


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model whose architecture to_json wrote, here or in any Keras since 2015; its weights are new.

    >>> import nyala
    >>> model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2, name="out")])
    >>> model_from_json(model.to_json()).get_layer("out").units
    2
    """
    from nyala.files import json_text

    where = "model_from_json(json_string)"
    try:
        config = json.loads(json_string) if not isinstance(json_string, (str, bytes)) else json_text.read(json_string, where)
    except (TypeError, CorruptFileError) as error:
        why = error.why if isinstance(error, CorruptFileError) else error
        wrong = ArgumentError(where, need="JSON text, as model.to_json() returns it", got=f"{str(json_string)[:40]!r} ({why})")
        raise placed(wrong, where, getattr(error, "rule", "json-text")) from error
    from nyala.files.keras_v3 import make_new
    from nyala.legacy import build

    return build(config, custom_objects, make=lambda modern: make_new(modern, where))
