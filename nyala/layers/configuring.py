# SPDX-License-Identifier: Apache-2.0
"""How a layer's config is read off its constructor: the arguments it was made with, what they are as plain values, and which it does not know.

Knows nothing of what a layer computes. Start at bind, which runs when a layer is made, and config_value, which runs when a config is asked for.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import Any

from nyala.core.errors import ArgumentTypeError, NyalaError
from nyala.core.known import position_of
from nyala.core.serialization import revive, serialize_keras_object


@functools.cache
def own_parameters(kind: type) -> tuple[str, ...]:
    """Names of the constructor's own arguments, in order."""
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    return tuple(
        p.name for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name not in ("trainable", "dtype", "autocast", "name")
    )


def bind(kind: type, args: tuple, kwargs: dict) -> dict[str, Any]:
    """Constructor arguments by name, defaults included; {} if they do not fit (the constructor will say so)."""
    try:
        bound = inspect.signature(kind.__init__).bind(None, *args, **kwargs)
    except TypeError:
        old = {name: value for name, value in kwargs.items() if name in renamed_since(kind)}
        if old:
            raise unknown_arguments(kind, old) from None
        return {}
    bound.apply_defaults()
    return dict(list(bound.arguments.items())[1:])


def config_value(value: Any) -> Any:
    """A constructor argument as Keras writes it: functions by name, objects as configs."""
    if inspect.isfunction(value) or getattr(value, "is_op", False):
        from nyala import activations

        return activations.serialize(value)
    if isinstance(value, (list, tuple)):
        return type(value)(config_value(v) for v in value) if type(value) in (list, tuple) else [config_value(v) for v in value]
    return serialize_keras_object(value)


def revived(value: Any, argument: str = "") -> Any:
    """Configs of objects among constructor arguments as the objects; the name of the argument says which kinds it may have."""
    if isinstance(value, dict) and "class_name" in value and "module" in value:
        return revive(value, position_of(argument))
    return [revived(v, argument) for v in value] if isinstance(value, list) else value


def declared_input_shape(kwargs: dict[str, Any]) -> tuple | None:
    """The batch shape that the arguments of a first layer declare; they are taken out of kwargs."""
    given = {k: kwargs.pop(k) for k in ("input_shape", "batch_input_shape", "batch_shape", "input_dim", "input_length", "batch_size") if k in kwargs}
    for key in ("batch_input_shape", "batch_shape"):
        if given.get(key) is not None:
            return tuple(given[key])
    if given.get("input_shape") is not None:
        shape = given["input_shape"]
        return (given.get("batch_size"), *((shape,) if isinstance(shape, int) else shape))
    if given.get("input_dim") is not None:
        return (given.get("batch_size"), *((given["input_length"],) if "input_length" in given else ()), given["input_dim"])
    return None


def renamed_since(kind: type) -> dict[str, str]:
    """What arguments that Keras 1 had are called today; asked for only when an argument is refused."""
    from nyala.legacy.tables import ARGUMENTS, JOINED, MODEL_ARGUMENTS

    if kind.__name__ == "Model":
        return MODEL_ARGUMENTS
    joined = {old: new for new, names in JOINED.items() for several in names for old in several}
    known = own_parameters(kind)
    return {old: new for old, new in {**joined, **ARGUMENTS.get(kind.__name__, {})}.items() if new in known and old not in known}


def unknown_arguments(kind: type, kwargs: dict[str, Any]) -> NyalaError:
    known = [*own_parameters(kind), "name", "dtype", "trainable", "autocast", "activity_regularizer", "input_shape", "batch_shape", "weights"]
    known, renamed = list(dict.fromkeys(known)), renamed_since(kind)
    near = {k: difflib.get_close_matches(k, known, n=2) for k in kwargs if k not in renamed}
    hints = "; ".join(
        [f"{k!r} of old is {renamed[k]!r} today" for k in kwargs if k in renamed]
        + [f"for {k!r} did you mean {' or '.join(map(repr, v))}?" for k, v in near.items() if v]
    )
    return ArgumentTypeError(
        f"{kind.__name__}",
        need="arguments that it knows",
        got=", ".join(f"{k}={v!r}" for k, v in kwargs.items()),
        fix=hints or f"it takes {', '.join(known)}",
    )
