# SPDX-License-Identifier: Apache-2.0
"""Configs of single layers, rewritten: class, names of arguments, values. What is special to one class is one small function.

Start at modern_layer.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.files.errors import UnsafeObjectError
from nyala.legacy import tables
from nyala.legacy.era import Era
from nyala.legacy.objects import modern_argument

Config = dict[str, Any]


def modern_layer(entry: Mapping[str, Any], era: Era) -> Config:
    """The entry {"class_name", "config", ...} of a layer of Keras 1 or 2, as Keras 3 writes it.

    Layers that the caller has handed over stay as they are.

    >>> modern_layer({"class_name": "Dense", "config": {"name": "d", "output_dim": 3, "bias": True}}, Era(1))["config"]
    {'name': 'd', 'units': 3, 'use_bias': True}
    """
    name, config = entry["class_name"], entry["config"]
    if era.gives(name):
        return {k: v for k, v in entry.items() if k in ("class_name", "config", "name", "registered_name", "build_config")}
    if name in tables.MODELS:
        from nyala.legacy.graphs import modern_model

        return modern_model({"class_name": name, "config": config}, era)
    name = name.rpartition(">")[2]
    where = f"the config of {name} {config.get('name', '')!r}"
    if name in tables.GONE:
        raise ArgumentError(
            where,
            need="a layer that there is still",
            got=name,
            fix=f"write it as a Layer ({tables.GONE[name]}) and pass custom_objects={{{name!r}: YourLayer}}",
        )
    kind: str = tables.CLASSES.get(name) or name
    config = {**config, **tables.IMPLIED.get(name, {})}
    if special := _SPECIAL.get(kind):
        config = special(config, era, where)
    config = _renamed(kind, config, era)
    config = {k: v for k, v in tables.MISSING.get(kind, {}).items() if k not in config} | config
    config = {k: modern_argument(k, v, era) for k, v in config.items()}
    return {"module": "keras.layers", "class_name": kind, "config": _known(kind, config, era, where), "registered_name": None}


def _renamed(kind: str, config: Config, era: Era) -> Config:
    """Arguments under their new names, several joined to one, data formats in words."""
    config = dict(config)
    for new, choices in tables.JOINED.items():
        for old in choices:
            if all(k in config for k in old):
                config[new] = [config.pop(k) for k in old]
    names = tables.ARGUMENTS.get(kind, {})
    if "dim_ordering" in config:
        config["dim_ordering"] = tables.DATA_FORMATS.get(config["dim_ordering"], config["dim_ordering"])
    elif "dim_ordering" in names and era.generation < 2 and era.data_format:  # some layers did not write theirs
        config["dim_ordering"] = era.data_format
    return {names.get(k, k): v for k, v in config.items()}


@functools.cache
def known_arguments(kind: str) -> frozenset[str] | None:
    """What the constructor of a public layer takes; None for a class that is none."""
    from nyala import layers

    if kind not in layers.__all__:
        return None
    names: set[str] = {"name", "trainable", "dtype", "activity_regularizer"}
    for cls in getattr(layers, kind).__mro__:
        if cls.__module__.startswith("nyala.layers") and cls.__name__ != "Layer":
            names.update(p.name for p in inspect.signature(cls.__init__).parameters.values() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD))
            if not any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls.__init__).parameters.values()):
                break
    return frozenset(names - {"self"})


def _known(kind: str, config: Config, era: Era, where: str) -> Config:
    """The arguments that the layer takes; others are left out if nothing is lost by it: they say how, not what, or have the default value."""
    known = known_arguments(kind)
    if known is None:
        return config
    beside = ("batch_input_shape", "vocabulary_size") if "vocabulary" in known else ("batch_input_shape",)
    kept = {k: v for k, v in config.items() if k in known or k in beside}
    if kind not in ("Embedding", "Hashing", "Discretization"):
        kept = {k: v for k, v in kept.items() if k not in ("input_dim", "input_length")}
    for name, value in config.items():
        if name in kept or name in tables.HARMLESS:
            continue
        if value is None or any(_same(value, default) for default in tables.DEFAULTS.get(name, ())):
            continue
        raise ArgumentError(
            where,
            need="arguments that it knows",
            got=f"{name}={value!r}",
            why=f"nothing here does what this argument of Keras {era.version or era.generation} did",
            fix=f"pass custom_objects={{{kind!r}: YourLayer}} with a class that takes it, or load the weights alone into a model of your own",
        )
    return kept


def _same(value: Any, default: Any) -> bool:
    """Whether an argument has its default value; an object is known by the name of its class."""
    return value == default or (isinstance(value, dict) and value.get("class_name") == default)


# What is special to one class ---------------------------------------------------------------------------------------------------


def _input(config: Config, era: Era, where: str) -> Config:
    shape = config.get("batch_input_shape", config.get("batch_shape"))
    dtype = modern_argument("dtype", config.get("dtype") or config.get("input_dtype") or "float32", era)
    return {"batch_shape": shape, "dtype": dtype, "name": config.get("name")}


def _batch_normalization(config: Config, era: Era, where: str) -> Config:
    if config.get("mode", 0) != 0:
        raise ArgumentError(
            where,
            need="mode 0",
            got=f"mode={config['mode']}",
            why="mode 1 normalized each sample, mode 2 never used the kept averages",
            fix="use LayerNormalization for mode 1, and load the weights alone",
        )
    axis = config.get("axis", -1)
    if isinstance(axis, (list, tuple)):
        if len(axis) != 1:
            raise ArgumentError(where, need="one axis", got=f"axis={list(axis)}", fix="normalize axis by axis, and load the weights alone")
        axis = axis[0]
    return {**config, "axis": axis}


def _recurrent(config: Config, era: Era, where: str) -> Config:
    config = dict(config)
    first = config.pop("forget_bias_init", None)
    if first is not None:
        config["unit_forget_bias"] = first in ("one", "ones")
    return config


def _conv(config: Config, era: Era, where: str) -> Config:
    if config.get("border_mode") == "full":
        raise ArgumentError(
            where, need="border_mode 'valid' or 'same'", got="'full', which only Theano knew", fix="put ZeroPadding in front, and load the weights"
        )
    return {k: v for k, v in config.items() if k != "batch_size"}


def _transposed(config: Config, era: Era, where: str) -> Config:
    return {k: v for k, v in _conv(config, era, where).items() if k != "output_shape"}


def _separable(config: Config, era: Era, where: str) -> Config:
    return {**_conv(config, era, where), **({"pointwise_initializer": config["init"]} if "init" in config else {})}


def _zero_padding_2d(config: Config, era: Era, where: str) -> Config:
    padding = config.get("padding")
    if isinstance(padding, dict):
        sides = [padding.get(f"{side}_pad", 0) for side in ("top", "bottom", "left", "right")]
        padding = [sides[:2], sides[2:]]
    elif isinstance(padding, (list, tuple)) and len(padding) == 4:
        padding = [list(padding[:2]), list(padding[2:])]
    return {**config, "padding": padding}


def _embedding(config: Config, era: Era, where: str) -> Config:
    config = dict(config)
    if config.pop("dropout", 0.0):
        era.note(f"{where}: dropout of whole words is left out")
    length = config.pop("input_length", None)
    if "input_shape" in config:  # before 1.0 the size of the vocabulary stood there
        del config["input_shape"]
        config["batch_input_shape"] = [None, *(length if isinstance(length, (list, tuple)) else [length])]
    return config


def _wrapper(config: Config, era: Era, where: str) -> Config:
    inner = {k: modern_layer(config[k], era) for k in ("layer", "backward_layer") if config.get(k)}
    return {**{k: v for k, v in config.items() if k not in ("layer", "backward_layer")}, **inner}


def _rnn(config: Config, era: Era, where: str) -> Config:
    cell = config.get("cell")
    if isinstance(cell, list):
        return {**config, "cell": [modern_layer(one, era) for one in cell]}
    return {**config, "cell": modern_layer(cell, era)} if cell else config


def _stacked(config: Config, era: Era, where: str) -> Config:
    return {**config, "cells": [modern_layer(cell, era) for cell in config["cells"]]}


def _lambda(config: Config, era: Era, where: str) -> Config:
    kept = {k: v for k, v in config.items() if k in ("name", "trainable", "dtype", "arguments", "batch_input_shape") and v is not None}
    kept["function"] = given_function(config.get("function"), config.get("name", ""), era, where)
    if (
        isinstance(config.get("output_shape"), list)
        and config.get("output_shape_type") != "lambda"
        and all(_is_size(n) for n in config["output_shape"])
    ):
        kept["output_shape"] = config["output_shape"]
    return kept


def _is_size(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def given_function(stored: Any, layer: str, era: Era, where: str) -> Config:
    """What names the function of a Lambda: the caller's of the stored name, or of the name of the layer. Code in a file is never run."""
    if isinstance(stored, dict):
        stored = stored.get("config") if stored.get("class_name") == "function" else None
    for name in (stored if isinstance(stored, str) else "", layer):
        if name and era.gives(name):
            return {"module": "builtins", "class_name": "function", "config": name, "registered_name": name}
    kind = f"the name {stored!r}" if isinstance(stored, str) else "the bytes of a lambda"
    raise UnsafeObjectError(
        where,
        need="its function from you",
        got=kind,
        why="code from a file is never run",
        fix=f"write the function again and pass custom_objects={{{(stored if isinstance(stored, str) else layer)!r}: function}}",
        rule="object-lambda",
    )


def _activation_with(config: Config, era: Era, where: str) -> Config:
    """Max_value, negative_slope and threshold of ReLU: numbers, which NumPy arrays once were."""
    return {k: float(v["value"]) if isinstance(v, dict) and v.get("type") == "ndarray" else v for k, v in config.items()}


_SPECIAL: dict[str, Callable[[Config, Era, str], Config]] = {
    "InputLayer": _input,
    "BatchNormalization": _batch_normalization,
    "Bidirectional": _wrapper,
    "Conv1D": _conv,
    "Conv2D": _conv,
    "Conv2DTranspose": _transposed,
    "Conv3D": _conv,
    "Conv3DTranspose": _transposed,
    "ConvLSTM2D": lambda config, era, where: _recurrent(_conv(config, era, where), era, where),
    "ELU": _activation_with,
    "Embedding": _embedding,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "Lambda": _lambda,
    "LeakyReLU": _activation_with,
    "RNN": _rnn,
    "ReLU": _activation_with,
    "SeparableConv2D": _separable,
    "SimpleRNN": _recurrent,
    "StackedRNNCells": _stacked,
    "ThresholdedReLU": _activation_with,
    "TimeDistributed": _wrapper,
    "ZeroPadding2D": _zero_padding_2d,
}
