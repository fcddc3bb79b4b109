# SPDX-License-Identifier: Apache-2.0
"""Metrics from names and configs, and back."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from nyala.core.names import to_snake_case
from nyala.core.serialization import custom_object_scope, from_identifier, get_registered_object, serialize_keras_object
from nyala.metrics.metric import Metric

# Names of metrics that their classes do not have, in lower case.
_CLASSES = {
    "acc": "Accuracy", "bce": "BinaryCrossentropy", "cosine": "CosineSimilarity", "cosine_proximity": "CosineSimilarity", "kld": "KLDivergence",
    "kullback_leibler_divergence": "KLDivergence", "log_cosh": "LogCoshError", "logcosh": "LogCoshError", "mae": "MeanAbsoluteError",
    "mape": "MeanAbsolutePercentageError", "mse": "MeanSquaredError", "msle": "MeanSquaredLogarithmicError", "rmse": "RootMeanSquaredError",
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The metric of a name, a config or a class; objects, functions and None pass. Names may be written in any case.

    >>> get("mse").name, get("MAE").name, get("binary_accuracy").name
    ('mean_squared_error', 'mean_absolute_error', 'binary_accuracy')
    """
    if isinstance(identifier, str) and get_registered_object(identifier) is None:
        identifier = _class_name(identifier) or identifier
    return from_identifier(identifier, "nyala.metrics", Metric, "metric")


def _class_name(name: str) -> str | None:
    """The class that a name means, in any case and with or without underscores; None if there is none."""
    module = importlib.import_module("nyala.metrics")
    classes = [known for known in module.__all__ if known not in module.ALIASES and known[:1].isupper()]
    found = {spelling.lower(): known for known in classes for spelling in (to_snake_case(known), known)}
    return _CLASSES.get(name.lower()) or found.get(name.lower())


def serialize(metric: Any) -> Any:
    """A metric object or function as a config of plain values."""
    return serialize_keras_object(metric)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The metric of a name or config; names are looked up among the public, the registered and custom_objects."""
    with custom_object_scope(custom_objects):
        return get(config)
