# SPDX-License-Identifier: Apache-2.0
"""LearningRateSchedule, the base: a function of the step, computed with ops, so that it lives inside a compiled training step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nyala.core import config as settings
from nyala.core.configurable import Configurable
from nyala.core.errors import ArgumentError, missing_method
from nyala.core.op import convert
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object
from nyala.engines.protocol import Tensor


class LearningRateSchedule(Configurable):
    """A function step -> learning rate; subclasses write `__call__`. The step counts from 0 and may be an integer, a variable or a tensor.

    >>> class Halving(LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.1 * 0.5 ** step
    >>> Halving()(2)
    0.025
    """

    name: str | None = None

    def __call__(self, step: Any) -> Tensor:
        """The learning rate at this step."""
        raise missing_method(self, "__call__(self, step)")


def as_float(step: Any) -> Tensor:
    """The step as a float tensor."""
    return convert(step, settings.floatx())


def check_positive(where: str, value: Any) -> Any:
    """The value, refused unless it is above 0."""
    if not value > 0:
        raise ArgumentError(where, need="a number of steps above 0", got=repr(value))
    return value


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict[str, Any]:
    """A schedule as a config of plain values."""
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None) -> LearningRateSchedule:
    """The schedule of a config; names are looked up among the public, the registered and custom_objects."""
    if isinstance(config, dict) and "class_name" in config and "module" not in config:
        config = {"module": "keras.optimizers.schedules", **config}
    return deserialize_keras_object(config, custom_objects)
