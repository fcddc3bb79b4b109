# SPDX-License-Identifier: Apache-2.0
"""Classes that take the words of old: views of classes of today, whose constructor translates and then calls the class of today.

A view makes objects of the class of today, never of its own, so that configs and files know nothing of it. Only a class that is derived from a
view, by a program, has it among its bases. The words are those of tables.py. Start at view.
"""

from __future__ import annotations

import copyreg
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from nyala.core.errors import ArgumentError
from nyala.legacy import tables
from nyala.legacy.era import Era

Call = tuple[tuple, dict[str, Any]]
Translate = Callable[[tuple, dict[str, Any]], Call]

# Arguments of every layer, which are the same in all generations.
_EVERYWHERE = frozenset({
    "activity_regularizer", "autocast", "batch_input_shape", "batch_shape", "batch_size", "dtype", "input_dim", "input_length", "input_shape", "name",
    "trainable", "weights",
})  # fmt: skip


class Spelled(type):
    """The class of views: calls of a view are translated, and objects of the class of today count as objects of the view."""

    today: Any
    translate: Translate

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "today" in cls.__dict__:
            args, kwargs = cls.translate(args, kwargs)
            return cls.today(*args, **kwargs)
        maker = inspect.getattr_static(cls, "__init__")
        if hasattr(maker, "translate"):  # a class of one's own without an __init__ of its own
            args, kwargs = maker.translate(args, kwargs)
        return super().__call__(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.today) if "today" in cls.__dict__ else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.today) if "today" in cls.__dict__ else super().__subclasscheck__(subclass)

    def __eq__(cls, other: object) -> bool:
        return _today(cls) is _today(other)

    def __hash__(cls) -> int:
        return type.__hash__(_today(cls))


def _today(value: Any) -> Any:
    return value.__dict__["today"] if isinstance(value, Spelled) and "today" in value.__dict__ else value


copyreg.pickle(Spelled, lambda cls: (_itself, (cls.today,)) if "today" in cls.__dict__ else cls.__qualname__)  # type: ignore[attr-defined]


def _itself(value: Any) -> Any:
    return value


def view(today: type, name: str, translate: Translate) -> Any:
    """A class that is called with the words of old and makes objects of a class of today.

    Args:
        today: the class of today.
        name: how the view is called.
        translate: (args, kwargs) as they were written -> as the class of today takes them.

    >>> from nyala.layers import Dropout
    >>> Old = view(Dropout, "Dropout", lambda args, kwargs: (args, {{"p": "rate"}.get(k, k): v for k, v in kwargs.items()}))
    >>> type(Old(p=0.25)) is Dropout, isinstance(Dropout(0.5), Old), Old(p=0.25).rate
    (True, True, 0.25)
    """

    @functools.wraps(today.__init__)
    def initialize(self: Any, *args: Any, **kwargs: Any) -> None:
        args, kwargs = translate(args, kwargs)
        today.__init__(self, *args, **kwargs)

    initialize.translate = translate  # type: ignore[attr-defined]
    body = {"__init__": initialize, "__doc__": today.__doc__, "__module__": today.__module__, "__qualname__": name}
    body |= {"today": today, "translate": staticmethod(translate)}
    return Spelled(name, (today,), body)


# Layers ---------------------------------------------------------------------------------------------------------------------------


def layer_call(name: str, kind: str, args: tuple, kwargs: dict[str, Any]) -> Call:
    """The arguments of a layer, as they were written, as the layer of today takes them.

    What has a word or a place that only Keras 1 knew means what it meant there: initial values, hard_sigmoid, the gates of a GRU. Anything else
    means what it means today.

    Args:
        name: of the layer as it is written.
        kind: the class of today.

    >>> layer_call("Convolution2D", "Conv2D", (8, 3, 3), {"border_mode": "same", "activation": "relu"})
    ((), {'filters': 8, 'padding': 'same', 'activation': 'relu', 'kernel_size': [3, 3]})
    """
    kwargs = {k: v for k, v in kwargs.items() if not (k in tables.SAID_HOW and k not in _parameters(kind))}
    kwargs = {**tables.IMPLIED.get(name, {}), **kwargs}
    if not _is_keras_1(name, kind, args, kwargs):
        same = tables.SAME_MEANING.get(kind, {})
        return args, {same.get(k, k): _first_values(v) if k.endswith("_initializer") else v for k, v in kwargs.items()}
    places = tables.PLACES_1.get(name) or tables.PLACES_1.get(kind, ())
    if len(args) > len(places):
        raise ArgumentError(
            name, need=f"at most {len(places)} arguments without a name", got=f"{len(args)}", fix=f"they are {', '.join(places)}, in this order"
        )
    given = {**dict(zip(places, args, strict=False)), **kwargs}
    kept = {k: v for k, v in given.items() if k in _EVERYWHERE and not (kind == "Embedding" and k == "input_dim")}
    if kind == "Embedding" and "input_length" in kept:
        kept["input_length"] = given.pop("input_length")
    given = {k: v for k, v in given.items() if k not in kept or k in ("activity_regularizer", "name")}
    era = Era(1)
    from nyala.legacy.layers import modern_layer

    made = modern_layer({"class_name": name if name in tables.CLASSES else kind, "config": {"name": None, **given}}, era)["config"]
    era.warn(name)
    if kind in tables.HARD_SIGMOID_1 and "recurrent_activation" not in made:
        made["recurrent_activation"] = _hard_sigmoid()
    for argument in ("kernel_initializer", "recurrent_initializer"):
        if argument not in made and argument in (defaults := tables.INITIALIZERS_OF_1.get(kind, {})):
            made[argument] = defaults[argument]
    made = {k: _initial(v) if k.endswith("_initializer") else _built(k, v) for k, v in made.items() if v is not None or k != "name"}
    return (), {**made, **{k: v for k, v in kept.items() if k not in ("activity_regularizer", "name")}}


def _hard_sigmoid() -> Any:
    from nyala.legacy.functions import hard_sigmoid_of_keras_2

    return hard_sigmoid_of_keras_2


def _initial(value: Any) -> Any:
    """A function (shape, name) -> variable, as Keras 1 took them, as one of (shape, dtype); other initial values as objects."""
    made = _first_values(value)
    return _built("kernel_initializer", value) if made is value else made


def _first_values(value: Any) -> Any:
    """A function of a shape that takes no dtype, which Keras called without one up to 2.2, as one that does; anything else as it is."""
    if not inspect.isfunction(value):
        return value
    parameters = inspect.signature(value).parameters
    if "dtype" in parameters or any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return value

    @functools.wraps(value)
    def first(shape: Any, dtype: Any = None) -> Any:
        from nyala.legacy.k.graphs import get_value

        return get_value(value(shape))

    return first


def _built(argument: str, value: Any) -> Any:
    """Configs of objects as the objects."""
    from nyala.core.known import position_of
    from nyala.core.serialization import revive

    return revive(value, position_of(argument)) if isinstance(value, dict) and "class_name" in value else value


@functools.cache
def _parameters(kind: str) -> frozenset[str]:
    from nyala.legacy.layers import known_arguments

    return known_arguments(kind) or frozenset()


def old_words(kind: str) -> frozenset[str]:
    """Arguments that only Keras 1 had."""
    joined = {old for names in tables.JOINED.values() for several in names for old in several}
    words = {old for old in tables.ARGUMENTS.get(kind, {}) if old not in tables.SAME_MEANING.get(kind, {})} | tables.ONLY_1.get(kind, frozenset())
    return frozenset((words | (joined if "nb_filter" in words or "size1" in words else set())) - _parameters(kind))


def _is_keras_1(name: str, kind: str, args: tuple, kwargs: Mapping[str, Any]) -> bool:
    """Whether a call can only have been written for Keras 1."""
    if any(word in kwargs for word in old_words(kind)):
        return True
    axes = {"Conv2D": 2, "Conv2DTranspose": 2, "SeparableConv2D": 2, "LocallyConnected2D": 2, "Conv3D": 3}.get(kind)
    if name not in tables.NAMES_1 or axes is None:
        return False
    numbers = [value for value in args[1 : axes + 1] if isinstance(value, int)]
    return len(numbers) == axes


def layer(name: str) -> Any:
    """The view of a layer by its name of old; LookupError if it is no layer with words of old.

    >>> layer("Deconvolution2D").__name__, layer("Dense")(output_dim=3, init="uniform").units
    ('Deconvolution2D', 3)
    """
    from nyala import layers

    kind = tables.CLASSES.get(name, name)
    if kind not in tables.ARGUMENTS and name not in tables.CLASSES and kind not in tables.SAME_MEANING:
        raise LookupError(name)
    return _layer(name, getattr(layers, kind))


@functools.cache
def _layer(name: str, today: type) -> Any:
    return view(today, name, functools.partial(layer_call, name, today.__name__))


# Other classes --------------------------------------------------------------------------------------------------------------------


def renaming(names: Mapping[str, str], dropped: frozenset[str] = frozenset(), without_none: frozenset[str] = frozenset()) -> Translate:
    """A translation that renames arguments, drops some, and drops some where they are None."""

    def translate(args: tuple, kwargs: dict[str, Any]) -> Call:
        kept = {k: v for k, v in kwargs.items() if k not in dropped and not (k in without_none and v is None)}
        return args, {names.get(k, k): v for k, v in kept.items()}

    return translate
