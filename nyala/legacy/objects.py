# SPDX-License-Identifier: Apache-2.0
"""Initializers, regularizers, constraints, activations and dtypes of old configs, as Keras 3 writes them. Start at modern_argument."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError
from nyala.legacy import tables
from nyala.legacy.era import Era


def modern_argument(name: str, value: Any, era: Era) -> Any:
    """The value of an argument: objects by the kind that its name says, other values as they are."""
    value = _plain(value)
    if name == "dtype":
        return modern_dtype(value)
    for end, kind in tables.KINDS.items():
        if name.endswith(end) and not (end == "init" and name != "init"):
            return modern_object(kind, value, era)
    if isinstance(value, (str, int)) and value in tables.VALUES.get(name, {}):
        return tables.VALUES[name][value]
    return value


def modern_object(kind: str, value: Any, era: Era) -> Any:
    """A name or config of an initializer, regularizer, constraint or activation."""
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, str):
        return value if era.gives(value) else _KINDS[kind](value, {}, era)
    if not isinstance(value, dict):
        return value
    if "class_name" not in value:
        value = {"class_name": value.get("name"), "config": {k: v for k, v in value.items() if k != "name"}}
    name, config = value["class_name"], value.get("config")
    if name == "function" and isinstance(config, str):
        return value if era.gives(config) else modern_object(kind, config, era)
    if not isinstance(name, str) or not isinstance(config, dict) or era.gives(name):
        return value
    return _KINDS[kind](name, {k: _plain(v) for k, v in config.items()}, era)


def _entry(module: str, name: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": f"keras.{module}", "class_name": name, "config": config, "registered_name": None}


def _initializer(name: str, config: dict[str, Any], era: Era) -> Any:
    if era.generation < 2 and name in tables.INITIALIZERS_1:
        then = tables.INITIALIZERS_1[name]
        return _entry("initializers", then["class_name"], dict(then["config"]))
    if not config:
        return name if name[:1].islower() else _entry("initializers", _versionless(tables.INITIALIZERS.get(name, name)), {})
    config = {k: v for k, v in config.items() if k not in ("dtype", "partition_info", "verify_shape")}
    if "distribution" in config:
        config["distribution"] = tables.DISTRIBUTIONS.get(config["distribution"], config["distribution"])
    return _entry("initializers", _versionless(tables.INITIALIZERS.get(name, name)), config)


def _regularizer(name: str, config: dict[str, Any], era: Era) -> Any:
    if name == "EigenvalueRegularizer":
        raise ArgumentError("a config of Keras 1", need="regularizers l1 and l2", got=name, fix="remove it from the config: weights load without it")
    kind = tables.REGULARIZERS.get(name, name)
    if "l" in config:  # the only argument of l1 and l2 in Keras 1 and 2
        config = {{"L1": "l1", "L2": "l2"}.get(kind, "l"): config["l"]}
    if kind == "L1L2" and not config and name.endswith(("l1l2", "l1_l2")):
        config = {"l1": 0.01, "l2": 0.01}
    return _entry("regularizers", kind, config)


def _constraint(name: str, config: dict[str, Any], era: Era) -> Any:
    config = {tables.CONSTRAINT_ARGUMENTS.get(k, k): v for k, v in config.items()}
    return _entry("constraints", tables.CONSTRAINTS.get(name, name), config)


def _activation(name: str, config: dict[str, Any], era: Era) -> Any:
    if config or name[:1].isupper():  # a layer
        from nyala.legacy.layers import modern_layer

        return modern_layer({"class_name": name, "config": config}, era)
    if name in tables.OTHER_ACTIVATIONS and era.generation < 3:
        from nyala.legacy.functions import PACKAGE

        return {"module": "builtins", "class_name": "function", "config": f"{PACKAGE}>{name}_of_keras_2", "registered_name": "function"}
    return tables.ACTIVATIONS.get(name, name)


_KINDS = {"initializers": _initializer, "regularizers": _regularizer, "constraints": _constraint, "activations": _activation}


def _versionless(name: str) -> str:
    """GlorotUniformV2 -> GlorotUniform."""
    return name[:-2] if name[-2:] in ("V1", "V2") else name


def modern_dtype(value: Any) -> Any:
    """A dtype or policy.

    >>> modern_dtype({"class_name": "Policy", "config": {"name": "mixed_float16"}})
    'mixed_float16'
    """
    if isinstance(value, dict) and isinstance(value.get("config"), dict):
        return value["config"].get("name", "float32") if value.get("class_name") in ("Policy", "PolicyV1", "AutoCastVariable") else value
    if not isinstance(value, str):
        return value
    return None if value in ("_infer", "infer", "") else {"float": "float32", "int": "int32"}.get(value, value)


def _plain(value: Any) -> Any:
    """Arrays that Keras 2 wrote as {"type": "ndarray", "value": ...} as their values."""
    if isinstance(value, dict) and value.get("type") == "ndarray" and "value" in value:
        return value["value"]
    return value
