# SPDX-License-Identifier: Apache-2.0
"""Which classes and functions a config may name, and where: a closed list per position.

A config is data. It can name the public layers, initializers, losses and so on, each only where such a thing belongs, and what its caller
registered or handed over. No module is imported because a config names it: the words of a config are keys of tables that are written here.
Start at find.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import re
import sys
from typing import Any, NamedTuple

from nyala.core.errors import UnknownObjectError, UnsafeObjectError


class Kind(NamedTuple):
    """A kind of object: where its classes live, which class is their base, and whether plain functions of that package count."""

    package: str
    base: str
    functions: bool = False


KINDS = {
    "layer": Kind("nyala.layers", "nyala.layers.layer:Layer"),
    "model": Kind("nyala.models", "nyala.layers.layer:Layer"),
    "scale": Kind("nyala.applications", "nyala.layers.layer:Layer"),
    "activation": Kind("nyala.activations", "", functions=True),
    "initializer": Kind("nyala.initializers", "nyala.initializers.initializer:Initializer"),
    "regularizer": Kind("nyala.regularizers", "nyala.regularizers.regularizer:Regularizer"),
    "constraint": Kind("nyala.constraints", "nyala.constraints.constraint:Constraint"),
    "loss": Kind("nyala.losses", "nyala.losses.loss:Loss", functions=True),
    "metric": Kind("nyala.metrics", "nyala.metrics.metric:Metric", functions=True),
    "optimizer": Kind("nyala.optimizers", "nyala.optimizers.optimizer:Optimizer"),
    "schedule": Kind("nyala.optimizers.schedules", "nyala.optimizers.schedules.schedule:LearningRateSchedule"),
    "policy": Kind("nyala.dtype_policies", "nyala.dtype_policies.policy:DTypePolicy"),
    "quantizer": Kind("nyala.quantizers", "nyala.quantizers.quantizer:Quantizer"),
    "quantization": Kind("nyala.quantizers", "nyala.quantizers.configs:QuantizationConfig"),
    "seed": Kind("nyala.random", "nyala.core.seeds:SeedGenerator"),
    "op": Kind("nyala.ops", "", functions=True),
    "spec": Kind("nyala.layers", "nyala.layers.input_spec:InputSpec"),
    "features": Kind("nyala.utils", "nyala.layers.layer:Layer"),
    "feature": Kind("nyala.utils.feature_space", ""),
    "distiller": Kind("nyala.distillation", "nyala.layers.layer:Layer"),
    "distillation": Kind("nyala.distillation", "nyala.distillation.losses:DistillationLoss"),
}

# Modules as configs of all generations spell them, without what comes before ("keras.src", "tensorflow.keras") -> kinds that live there.
MODULES = {
    "": ("model", "layer", "policy", "spec", "initializer", "regularizer", "loss", "metric", "optimizer", "quantizer"),
    "layers": ("layer", "model", "feature"), "models": ("model",), "engine": ("model", "layer", "spec"), "activations": ("activation",),
    "initializers": ("initializer",), "regularizers": ("regularizer",), "constraints": ("constraint",), "losses": ("loss",), "metrics": ("metric",),
    "optimizers": ("optimizer", "schedule"), "dtype_policies": ("policy",), "mixed_precision": ("policy", "optimizer"),
    "quantizers": ("quantizer", "quantization"), "random": ("seed",), "ops": ("op",), "applications": ("scale",), "backend": ("seed",),
    "saving": (), "utils": ("features",), "distillation": ("distiller", "distillation"),
}  # fmt: skip

# Argument -> the kinds of objects it may be given; "" for arguments that no table knows.
POSITIONS = {
    "activation": ("activation", "layer"), "recurrent_activation": ("activation", "layer"), "initializer": ("initializer",),
    "regularizer": ("regularizer",), "constraint": ("constraint",), "dtype": ("policy",), "dtype_policy": ("policy",), "layer": ("layer", "model"),
    "layers": ("layer", "model", "scale"), "backward_layer": ("layer", "model"), "forward_layer": ("layer", "model"), "cell": ("layer", "model"),
    "cells": ("layer", "model"), "loss": ("loss",), "metrics": ("metric",), "weighted_metrics": ("metric",), "optimizer": ("optimizer",),
    "inner_optimizer": ("optimizer",), "optimizers": ("optimizer",), "learning_rate": ("schedule",), "seed": ("seed",), "seed_generator": ("seed",),
    "quantization_config": ("quantization",), "weight_quantizer": ("quantizer",), "activation_quantizer": ("quantizer",), "policy_map": ("policy",),
    "default_policy": ("policy",), "function": ("activation", "op"), "output_shape": (), "mask": (), "arguments": (), "vocabulary": (),
    "metric": ("metric",), "quantizer": ("quantizer",), "idf_weights": (), "input_spec": ("spec",), "call_fn": (), "init_fn": (),
    "fn": ("activation", "loss", "metric"),
    "pointwise_initializer": ("initializer",), "depthwise_initializer": ("initializer",), "distillation_losses": ("distillation",),
    "teacher": ("layer", "model", "distiller"), "student": ("layer", "model", "distiller"),
    "": ("layer", "model", "scale", "activation", "initializer", "regularizer", "constraint", "loss", "metric", "optimizer", "schedule", "policy",
         "quantizer", "quantization", "seed", "op", "spec", "features", "feature", "distiller", "distillation"),
}  # fmt: skip
INSIDE = {"GroupedQueryAttention": "GroupQueryAttention"}  # what Keras calls a class where it names no module, as in .h5 files
NOT_OBJECTS = frozenset({"get", "serialize", "deserialize"})
# Ops that take functions, or whose result is no tensor of the graph.
NOT_IN_GRAPHS = frozenset({
    "associative_scan", "cond", "convert_to_numpy", "custom_gradient", "dtype", "fori_loop", "is_tensor", "jvp", "map", "scan", "shape", "switch",
    "vectorize", "vectorized_map", "while_loop",
})  # fmt: skip
_SPELLED = re.compile(
    r"(?:tensorflow\.(?:python\.)?)?(?:tf_keras|keras|nyala)(?:\.(?:src|api|_tf_keras\.keras|_v2|v2))*(?:\.([a-z_0-9]+))?(?:\.[a-z_0-9]+)*"
)


def position_of(key: Any) -> str:
    """The position that the name of an argument says.

    >>> position_of("kernel_initializer"), position_of("activation"), position_of("my_argument")
    ('initializer', 'activation', '')
    """
    if not isinstance(key, str):
        return ""
    if key in POSITIONS:
        return key
    last = key.rpartition("_")[2]
    return last if last in ("initializer", "regularizer", "constraint", "quantizer", "activation") and last in POSITIONS else ""


def kinds_of_module(module: Any) -> tuple[str, ...] | None:
    """The kinds of objects that live in a module as a config spells it; None if it is no module of this library.

    >>> kinds_of_module("keras.layers"), kinds_of_module("keras.src.models.functional"), kinds_of_module("os")
    (('layer', 'model', 'feature'), ('model',), None)
    """
    found = _SPELLED.fullmatch(module) if isinstance(module, str) and len(module) < 200 else None
    return MODULES.get(found[1] or "") if found else None


@functools.cache
def _base(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def member(kind: str, name: str, function: bool | None = None) -> Any:
    """The class or function of a kind that has this name; None if there is none.

    Args:
        kind: a key of KINDS.
        name: exactly as it is public.
        function: whether a function or a class is meant; None takes either.
    """
    package, base, functions = KINDS[kind]
    if name.startswith("_") or name in NOT_OBJECTS:
        return None
    if kind == "op":
        return op_named(name)
    if kind == "seed" and name == "SeedGenerator":
        return _base(base)
    if kind == "model" and name == "Functional":
        return importlib.import_module("nyala.models.functional").Functional
    if kind == "scale":
        places = {
            "LayerScale": "nyala.applications.convnext:LayerScale",
            "CustomScaleLayer": "nyala.applications.inception_resnet_v2:CustomScaleLayer",
        }
        return _base(places[name]) if name in places else None
    if kind == "optimizer" and name == "OptimizerMap":  # the argument of a MultiOptimizer, a table and no optimizer
        return importlib.import_module(package).OptimizerMap
    if kind == "feature" and name == "TFDIdentity":  # what configs of a FeatureSpace call the layer of a feature that stays as it is
        return importlib.import_module("nyala.layers").Identity
    if kind == "feature":
        return getattr(importlib.import_module(package), name) if name in ("Cross", "Feature") else None
    if kind == "features" and name != "FeatureSpace":
        return None
    loaded = importlib.import_module(package)
    name = INSIDE.get(name, name)
    if name not in loaded.__all__:
        return None
    value = getattr(loaded, name)
    if isinstance(value, type):
        return value if base and not function and issubclass(value, _base(base)) else None
    return value if functions and function is not False and callable(value) and hasattr(value, "__name__") else None


def op_named(name: str) -> Any:
    """The op that may stand in a graph under this name; None if there is none."""
    from nyala import ops

    if name in NOT_IN_GRAPHS:
        return None
    if name == "convert_to_tensor":  # of a symbolic tensor a cast, or nothing, but Keras writes it
        return ops.convert_to_tensor
    for part in (ops, ops.image):
        if name in part.__all__:
            value = getattr(part, name)
            return value if getattr(value, "is_op", False) else None
    return None


def known_names(kind: str) -> list[str]:
    """All names that configs may use for objects of a kind; the whole of what files can reach.

    >>> known_names("constraint")[:2]
    ['Constraint', 'MaxNorm']
    """
    extra = {"scale": ["CustomScaleLayer", "LayerScale"], "seed": ["SeedGenerator"], "feature": ["Cross", "Feature"], "features": ["FeatureSpace"]}
    if kind in extra:
        return extra[kind]
    loaded = importlib.import_module(KINDS[kind].package)
    names = {*loaded.__all__, *(importlib.import_module("nyala.ops.image").__all__ if kind == "op" else ())}
    return sorted(name for name in names if member(kind, name) is not None)


def find(name: Any, module: Any = None, registered_name: Any = None, position: str = "", function: bool = False) -> Any:
    """The class or function that a config names in a position.

    Args:
        name: of the class or function.
        module: as the config spells it; None where old configs name none.
        registered_name: as the config spells it.
        position: of the object, a key of POSITIONS.
        function: whether a function is meant.
    Raises: UnknownObjectError with near matches and what to write; UnsafeObjectError for what no file may name.
    """
    from nyala.core.serialization import caller_objects, get_registered_object, registered_object

    if (
        not isinstance(name, str)
        or not (registered_name is None or isinstance(registered_name, str))
        or not (module is None or isinstance(module, str))
    ):
        raise UnsafeObjectError(
            "a config", need="names that are text", got=f"{name!r:.80} from module {module!r:.80}", why="a config is data", rule="object-name"
        )
    ours = kinds_of_module(module) if module not in (None, "builtins") else POSITIONS[position]
    for key in dict.fromkeys((registered_name, name)):
        if key and (found := caller_objects(key)) is not None:
            return found
    allowed = [kind for kind in POSITIONS[position] if ours is None or kind in ours]
    found = next((value for kind in allowed if (value := member(kind, name, function)) is not None), None) if ours is not None else None
    if found is not None:
        plain = (None, name, "function", "type", "builtin_function_or_method")
        if module not in (None, "builtins") and registered_name not in plain and registered_object(registered_name) is not None:
            raise UnsafeObjectError(
                f"the config of {name!r}",
                need=f"one object: {name!r} of this library, or the registered {registered_name!r}",
                got="both names",
                why="a built-in is replaced only by what the caller passes",
                fix=f"pass custom_objects={{{name!r}: ...}}",
                rule="object-confusion",
            )
        return found
    if ours is None or module in (None, "builtins"):
        if name.startswith("nyala.legacy>"):
            importlib.import_module("nyala.legacy.functions")  # registers them
        for key in dict.fromkeys((registered_name, name)):
            if key and (found := get_registered_object(key)) is not None:
                return found
    raise _unknown(name, module, registered_name, position, [n for kind in allowed for n in known_names(kind)] if ours is not None else [])


def _unknown(name: str, module: Any, registered_name: Any, position: str, known: list[str]) -> UnknownObjectError:
    from nyala.core.serialization import names_of_caller

    main = vars(sys.modules["__main__"]) if "__main__" in sys.modules else {}  # named in the error, and no more
    own = {key for key, value in main.items() if isinstance(value, type) and not key.startswith("_")}
    near = difflib.get_close_matches(name, {*known, *names_of_caller(), *own}, n=3)
    short = name.rpartition(">")[2]
    fix = f"pass custom_objects={{{short!r}: {short}}}, or put @nyala.saving.register_keras_serializable() above its definition"
    where = f" as {position!r}" if position else ""
    return UnknownObjectError(
        f"the config of {name[:80]!r}",
        need=f"a class or function that is public{where}, registered or given",
        got=f"{name[:80]!r} from module {module if module is None else module[:80]!r}" + (f"; near: {', '.join(near)}" if near else ""),
        why="a config is data: nothing is imported because a file names it",
        fix=fix,
        rule="object-unknown",
    )
