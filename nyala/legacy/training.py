# SPDX-License-Identifier: Apache-2.0
"""How old models were trained (training_config of .h5 files), as arguments of compile. Start at modernize_training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core.errors import LookupFailed
from nyala.legacy import tables
from nyala.legacy.era import Era

Config = dict[str, Any]


def modernize_training(config: Mapping[str, Any], era: Era) -> Config:
    """The arguments of compile, as configs that deserialize.

    >>> old = {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1}}, "loss": "kullback_leibler_divergence", "metrics": ["acc"]}
    >>> modernize_training(old, Era(1))["loss"]
    'kl_divergence'
    """
    made: Config = {"optimizer": modern_optimizer(config["optimizer_config"], era), "loss": _each(config.get("loss"), modern_loss, era)}
    for name in ("metrics", "weighted_metrics"):
        if config.get(name):
            made[name] = _each(_unnested(config[name]), modern_metric, era)
    if config.get("loss_weights"):
        made["loss_weights"] = config["loss_weights"]
    for name in ("steps_per_execution", "run_eagerly"):
        if config.get(name):
            made[name] = config[name]
    return made


def _each(value: Any, convert: Any, era: Era) -> Any:
    """A name or config, or a list or dict of them."""
    if isinstance(value, list):
        return [_each(one, convert, era) for one in value]
    if isinstance(value, dict) and "class_name" not in value:
        return {key: _each(one, convert, era) for key, one in value.items()}
    return convert(value, era)


def _unnested(metrics: Any) -> Any:
    """Metrics of one output, which tf.keras put into a list of their own."""
    return metrics[0] if isinstance(metrics, list) and len(metrics) == 1 and isinstance(metrics[0], list) else metrics


def modern_optimizer(config: Any, era: Era) -> Any:
    """The config of an optimizer."""
    if not isinstance(config, dict) or "class_name" not in config:
        return config
    name, inner = config["class_name"].rpartition(">")[2], dict(config.get("config") or {})
    if era.gives(name):
        return config
    if name == "TFOptimizer":
        raise LookupFailed("the training_config", need="an optimizer of Keras", got="one of TensorFlow", fix="call compile yourself")
    if isinstance(inner.get("inner_optimizer"), dict):
        inner["inner_optimizer"] = modern_optimizer(inner["inner_optimizer"], era)
    inner = {tables.OPTIMIZER_ARGUMENTS.get(k, k): v for k, v in inner.items() if k not in tables.OPTIMIZER_HARMLESS}
    if era.multibackend and inner.get("clipnorm"):  # one length of all gradients together
        inner["global_clipnorm"] = inner.pop("clipnorm")
    if era.multibackend and name == "Adagrad":
        inner.setdefault("initial_accumulator_value", 0.0)
    inner = {k: v for k, v in inner.items() if not (v is None or (k == "decay" and not v))}
    rate = inner.get("learning_rate")
    if isinstance(rate, dict):
        inner["learning_rate"] = {"module": "keras.optimizers.schedules", "registered_name": None, **rate}
    inner["name"] = _snake(str(inner.get("name", name)))
    return {"module": "keras.optimizers", "class_name": name[:1].upper() + name[1:], "config": inner, "registered_name": None}


def _snake(name: str) -> str:
    from nyala.core.names import to_snake_case

    return to_snake_case(name)


def modern_loss(value: Any, era: Era) -> Any:
    """A loss: its name, or the config of one."""
    if value is None or (isinstance(value, str) and era.gives(value)):
        return value
    if isinstance(value, str):
        return tables.LOSSES.get(value, value)
    if value["class_name"] == "function":
        return modern_loss(value["config"], era)
    config = {k: v for k, v in value["config"].items() if k != "fn" and v is not None}
    if "reduction" in config:
        config["reduction"] = tables.REDUCTIONS.get(config["reduction"], config["reduction"])
    name = value["class_name"].rpartition(">")[2]
    if name == "LossFunctionWrapper":
        return modern_loss(value["config"].get("fn"), era)
    if era.gives(name):
        return value
    return {"module": "keras.losses", "class_name": tables.LOSS_CLASSES.get(name, name), "config": config, "registered_name": None}


def modern_metric(value: Any, era: Era) -> Any:
    """A metric: its name, or the config of one."""
    if value is None or (isinstance(value, str) and era.gives(value)):
        return value
    if isinstance(value, str):
        if value in tables.METRICS_1:
            raise LookupFailed("the training_config", need="metrics that there are still", got=repr(value), fix="call compile yourself")
        return tables.LOSSES.get(value, value)
    if value["class_name"] == "function":
        return modern_metric(value["config"], era)
    name, config = value["class_name"].rpartition(">")[2], dict(value.get("config") or {})
    function = config.pop("fn", None)
    config.pop("reduction", None)  # of a loss that served as a metric; the metric of its name is the same
    if name in ("MeanMetricWrapper", "SumOverBatchSizeMetricWrapper"):
        function = function["config"].get("fn", function["config"].get("name")) if isinstance(function, dict) else function
        wrapped = {"module": "keras.metrics", "class_name": "function", "config": tables.LOSSES.get(function, function), "registered_name": None}
        return {"module": "keras.metrics", "class_name": "MeanMetricWrapper", "config": {**config, "fn": wrapped}, "registered_name": None}
    if era.gives(name):
        return value
    return {"module": "keras.metrics", "class_name": name, "config": config, "registered_name": None}
