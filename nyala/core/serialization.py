# SPDX-License-Identifier: Apache-2.0
"""Objects as configs of plain values and back, in Keras's format.

A config can only name what is public here, registered, or handed over by the caller.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from nyala.core import dtypes, known
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, NyalaError, ResourceLimitError, UnsafeObjectError, placed
from nyala.core.variable import Variable
from nyala.engines import current

_registered: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}

# Package of the library -> the name that configs use for it, as Keras does.
PARTS = (
    "activations", "constraints", "distillation", "initializers", "layers", "losses", "metrics",
    "optimizers", "quantizers", "regularizers", "random", "ops",
)  # fmt: skip
PUBLIC = {f"nyala.{part}": f"keras.{part}" for part in PARTS}


class _Custom(threading.local):
    def __init__(self) -> None:
        self.scopes: list[Mapping[str, Any]] = []


_custom = _Custom()


@contextlib.contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside, configs may name these objects: {"MyLayer": MyLayer, ...}."""
    _custom.scopes.append(dict(custom_objects or {}))
    try:
        yield
    finally:
        _custom.scopes.pop()


CustomObjectScope = custom_object_scope


def get_custom_objects() -> dict[str, Any]:
    """The registered objects by name; what is put in becomes known."""
    return _registered


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable:
    """Decorator: configs may name this class or function, as "package>name".

    >>> @register_keras_serializable("docs")
    ... class OfTheDocs: ...
    >>> get_registered_name(OfTheDocs)
    'docs>OfTheDocs'
    """

    def decorate(target: Any) -> Any:
        registered = f"{package}>{name or target.__name__}"
        _registered[registered] = target
        _registered_names[target] = registered
        return target

    return decorate


def get_registered_name(obj: Any) -> str:
    """The name under which obj was registered, else its own name."""
    return _registered_names.get(obj, obj.__name__) if isinstance(obj, (type,)) or callable(obj) else str(obj)


def registered_object(name: str) -> Any:
    """The object registered under exactly this name, "package>name"; None if there is none."""
    return _registered.get(name)


def caller_objects(name: str) -> Any:
    """The object of this name that the caller handed over, in the innermost scope that has it; None if there is none."""
    for table in reversed(_custom.scopes):
        for key in (name, name.rpartition(">")[2]):
            if key in table:
                return table[key]
    return None


def names_of_caller() -> set[str]:
    """All names that the caller registered or handed over."""
    return {*_registered, *(key for table in _custom.scopes for key in table)}


def get_registered_object(name: str, custom_objects: Mapping[str, Any] | None = None, module_objects: Mapping[str, Any] | None = None) -> Any:
    """The object of this name among those of the caller, of the scopes in force and registered; None if there is none."""
    for table in (custom_objects or {}, *reversed(_custom.scopes), _registered, module_objects or {}):
        for key in (name, name.rpartition(">")[2]):
            if key in table:
                return table[key]
    return next((target for key, target in _registered.items() if key.rpartition(">")[2] == name), None)


def public_place(kind: Any) -> tuple[str, str] | None:
    """(module, name) under which configs name a class or function of this library; None for anything else.

    >>> import nyala
    >>> public_place(nyala.layers.Dense)
    ('keras.layers', 'Dense')
    """
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__name__", "")
    if name in ("Sequential", "Model") and module.startswith("nyala.models"):
        return "keras", name
    if name == "Functional" and module.startswith("nyala.models"):
        return "keras.src.models.functional", name
    if module.startswith("nyala.dtype_policies"):
        return "keras" if name == "DTypePolicy" else "keras.dtype_policies", name
    if name == "SeedGenerator" and module == "nyala.core.seeds":
        return "keras.random", name
    package = ".".join(module.split(".")[:2])
    if package == "nyala.applications":
        return f"keras.src.{module.removeprefix('nyala.')}", name
    if name == "FeatureSpace" and module == "nyala.utils.feature_space":
        return "keras.utils", name
    if "optimizers.schedules" in module:
        return "keras.optimizers.schedules", name
    return (PUBLIC[package], name) if package in PUBLIC else None


def serialize_keras_object(obj: Any) -> Any:
    """Anything public as plain values: numbers, strings, lists and dicts.

    Raises: TypeError for an object without get_config, and for a lambda.

    >>> import nyala
    >>> serialize_keras_object(nyala.initializers.Zeros())
    {'module': 'keras.initializers', 'class_name': 'Zeros', 'config': {}, 'registered_name': None}
    """
    value = obj
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        try:
            return {"class_name": "__bytes__", "config": {"value": value.decode()}}
        except UnicodeDecodeError:  # Keras has no config for these
            return {"class_name": "__bytes__", "value": value.decode("latin-1")}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return {"class_name": "__tuple__", "items": [serialize_keras_object(v) for v in value]}
    if isinstance(value, list):
        return [serialize_keras_object(v) for v in value]
    if isinstance(value, dict):
        return {k: serialize_keras_object(v) for k, v in value.items()}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": None}
    if isinstance(value, slice):
        return {"class_name": "__slice__", "config": {k: serialize_keras_object(getattr(value, k)) for k in ("start", "stop", "step")}}
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__", "config": {"value": value.tolist(), "dtype": value.dtype.name}}
    from nyala.core.symbolic import Symbolic

    if isinstance(value, Symbolic):
        node = value.node
        history = [node.operation.name, node.index, value.tensor_index] if node else None
        return {"class_name": "__keras_tensor__", "config": {"shape": list(value.shape), "dtype": value.dtype, "keras_history": history}}
    configurable = callable(value) | hasattr(value, "get_config")  # no tensor: asking an engine would load it
    if isinstance(value, Variable) or (not configurable and current().is_tensor(value)):
        array = value.numpy() if isinstance(value, Variable) else current().to_numpy(value)
        return {"class_name": "__tensor__", "config": {"value": array.tolist(), "dtype": dtypes.standardize_dtype(array.dtype)}}
    if inspect.isfunction(value) or inspect.isbuiltin(value) or getattr(value, "is_op", False):
        return _serialize_function(value)
    if isinstance(value, type):
        place = public_place(value)
        return {
            "module": place[0] if place else value.__module__,
            "class_name": "__type__" if place is None else place[1],
            "config": value.__name__,
            "registered_name": get_registered_name(value),
        }
    if not hasattr(value, "get_config"):
        raise ArgumentTypeError(
            "a config",
            need="plain values and objects with a method get_config()",
            got=f"{type(value).__name__}",
            fix=f"give {type(value).__name__} get_config and from_config",
        )
    place = public_place(type(value))
    config = dict(value.get_config())
    result = {
        "module": place[0] if place else type(value).__module__,
        "class_name": type(value).__name__,
        "config": _plain(config),
        "registered_name": None if place and not place[0].startswith("keras.src") else get_registered_name(type(value)),
    }
    if hasattr(value, "get_build_config") and (build := value.get_build_config()):
        result["build_config"] = _plain(build)
    if hasattr(value, "get_compile_config"):
        result["compile_config"] = {} if _state.without_compile else _compile_config(value)
    return _mark_shared(value, result)


def _compile_config(model: Any) -> dict[str, Any]:
    """What compile was told; nothing if a config cannot say it, as with a loss that is a lambda."""
    try:
        return _plain(model.get_compile_config() or {})
    except ArgumentTypeError:
        return {}


def _plain(value: Any) -> Any:
    """Config values as plain ones; tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return serialize_keras_object(value)


def _serialize_function(value: Callable) -> Any:
    name = getattr(value, "__name__", "")
    if name == "<lambda>":
        raise ArgumentTypeError(
            "a config", need="a function with a name", got="a lambda", why="a config holds no code", fix="define it with def and register it"
        )
    return {"module": "builtins", "class_name": "function", "config": get_registered_name(value), "registered_name": "function"}


class _Shared(threading.local):
    """What the config that is being read, or written, holds more than once: objects by id."""

    made: dict[int, tuple[Any, Any]] | None = None
    unmarked: dict[tuple, Any] = {}
    written: dict[int, dict[str, Any]] | None = None


_shared = _Shared()


@contextlib.contextmanager
def sharing_objects() -> Iterator[None]:
    """Inside, an object that is written twice is marked as one, and what is marked as one is made once."""
    before = _shared.made, _shared.unmarked, _shared.written
    _shared.made, _shared.unmarked, _shared.written = {}, {}, {}
    try:
        yield
    finally:
        _shared.made, _shared.unmarked, _shared.written = before


def _mark_shared(value: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Note that an object has been written; from the second time on, all its configs have the same shared_object_id."""
    if _shared.written is not None and getattr(value, "_shared_in_configs", False):
        first = _shared.written.setdefault(id(value), config)
        if first is not config:
            number = first.setdefault("shared_object_id", 1 + sum("shared_object_id" in other for other in _shared.written.values()))
            config["shared_object_id"] = number
    return config


def deserialize_keras_object(config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True, **kwargs: Any) -> Any:
    """The object that a config describes.

    Args:
        config: what serialize_keras_object returned, perhaps through JSON.
        custom_objects: classes and functions the config may name beside the public and the registered ones.
        safe_mode: kept for Keras's sake; configs never carry code here, and False changes nothing.
    Raises: ValueError if a name is not found, with near matches.
    """
    with contextlib.ExitStack() as stack:
        if custom_objects:
            stack.enter_context(custom_object_scope(custom_objects))
        if _shared.made is None:
            stack.enter_context(sharing_objects())
        return revive(config, kwargs.get("position", ""), "deserialize_keras_object(config)")


def revive(config: Any, position: str = "", where: str = "a config") -> Any:
    """deserialize_keras_object for a config that stands in a position, a key of nyala.core.known.POSITIONS: only what belongs there can be named."""
    from nyala.core.audit import looking_through

    with looking_through(config, where, position):
        return _revive(config, position)


def _revive(config: Any, position: str = "") -> Any:
    if config is None or isinstance(config, (bool, int, float, str)):
        return config
    if isinstance(config, (list, tuple)):
        return [_revive(v, position) for v in config]
    if not isinstance(config, dict):
        raise ArgumentTypeError("deserialize_keras_object(config)", need="plain values", got=type(config).__name__)
    if "class_name" not in config or ("config" not in config and not str(config["class_name"]).startswith("__")):
        return {k: _revive(v, known.position_of(k) or position) for k, v in config.items()}
    name, inner = config["class_name"], config.get("config")
    special = _special(name, config, inner, position)
    if special is not _NOTHING:
        return special
    if name in ("function", "builtin_function_or_method"):
        return known.find(inner, config.get("module"), config.get("registered_name"), position, function=True)
    kind = known.find(name, config.get("module"), config.get("registered_name"), position)
    if not hasattr(kind, "from_config"):
        if isinstance(kind, type) or not callable(kind):
            raise ArgumentTypeError("deserialize_keras_object", need=f"a class with from_config as {name!r}", got=f"{kind!r}")
        return kind  # a function that the caller gave for a layer that was saved as one
    if (shared := _made_before(config, name)) is not None:
        return shared
    value = _from_config(kind, inner)
    if config.get("build_config") and hasattr(value, "build_from_config"):
        value.build_from_config(config["build_config"])
    if config.get("compile_config") and hasattr(value, "compile_from_config") and not _state.without_compile:
        value.compile_from_config(config["compile_config"])
    if _shared.made is not None and getattr(value, "_shared_in_configs", False):
        _shared.unmarked[_identity(config, name)] = value
        if isinstance(config.get("shared_object_id"), int):
            _shared.made[config["shared_object_id"]] = name, value
    return value


def _from_config(kind: Any, config: Any) -> Any:
    """An object from its config; what a constructor of this library cannot use, or has no room for, is an error of this library."""
    try:
        return kind.from_config(config)
    except NyalaError as error:
        if not error.rule:
            name = config.get("name") if isinstance(config, dict) else None
            placed(error, f"the config of {kind.__name__!r}" + (f" named {name!r:.80}" if name else ""), "config-argument")
        raise
    except (*NOT_USABLE, MemoryError, OverflowError, RecursionError) as error:
        where = f"the config of {kind.__name__!r}"
        if not isinstance(error, NOT_USABLE):
            got = f"{type(error).__name__}: {str(error)[:200]}"
            raise ResourceLimitError(where, need="an object that fits into memory", got=got, rule="weights-declared") from error
        if not str(kind.__module__).startswith("nyala."):
            raise
        raise not_usable(kind, config, error) from error


NOT_USABLE = (TypeError, KeyError, AttributeError, IndexError)  # what from_config raises for a config of another form


def not_usable(kind: type, config: Any, error: Exception) -> ArgumentTypeError:
    """The error of a class of this library whose from_config raised one of NOT_USABLE."""
    where = f"the config of {kind.__name__!r}"
    said = f"nothing at {error}" if isinstance(error, KeyError) else str(error)[:200]
    found = ArgumentTypeError(where, need="a config that its constructor takes", got=f"{str(config)[:80]} ({said})")
    placed(found, where, "config-argument")
    return found


def _identity(config: dict[str, Any], name: str) -> tuple:
    """What two configs of one layer have in common."""
    inner = config.get("config")
    own = inner.get("name") if isinstance(inner, dict) else None
    plain = tuple(sorted((k, repr(v)) for k, v in inner.items() if isinstance(v, (int, float, str)))) if isinstance(inner, dict) else ()
    return name, config.get("registered_name"), own, plain


class _State(threading.local):
    without_compile = False


_state = _State()


@contextlib.contextmanager
def without_compiling() -> Iterator[None]:
    """Inside, what configs of models say about compiling is left alone."""
    before, _state.without_compile = _state.without_compile, True
    try:
        yield
    finally:
        _state.without_compile = before


def _made_before(config: dict[str, Any], name: str) -> Any:
    """The layer that an earlier config of the same file made, if this one says it is the same."""
    number = config.get("shared_object_id")
    if number is None or _shared.made is None:
        return None
    if not isinstance(number, int) or isinstance(number, bool):
        raise UnsafeObjectError(f"the config of {name!r}", need="an integer as shared_object_id", got=f"{number!r:.40}", rule="object-shared")
    other, value = _shared.made.get(number, (name, None))
    if value is None:  # Keras does not mark the first of several
        return _shared.unmarked.get(_identity(config, name))
    if other != name:
        raise UnsafeObjectError(
            f"the config of {name!r}", need="one kind of object for each shared_object_id", got=f"{other!r} and {name!r}", rule="object-shared"
        )
    return value if getattr(value, "_shared_in_configs", False) else None


_NOTHING = object()


def _special(name: Any, config: dict, inner: Any, position: str) -> Any:
    """Values that JSON has no word for."""
    if not isinstance(name, str):
        raise UnsafeObjectError("a config", need="text as class_name", got=f"{name!r:.80}", rule="object-name")
    if not name.startswith("__"):
        return _NOTHING
    try:
        if name == "__tuple__":
            return tuple(_revive(v, position) for v in config["items"])
        if name == "__bytes__":
            return config["value"].encode("latin-1") if "value" in config else inner["value"].encode()
        if name == "__ellipsis__":
            return ...
        if name == "__slice__":
            return slice(*(_revive(inner[k], position) for k in ("start", "stop", "step")))
        if name == "__numpy__":
            return np.array(inner["value"], dtype=dtypes.numpy_dtype(dtypes.standardize_dtype(inner["dtype"])))
        if name == "__tensor__":
            array = np.array(inner["value"], dtype=dtypes.numpy_dtype(dtypes.standardize_dtype(inner["dtype"])))
            return current().asarray(array, dtypes.standardize_dtype(inner["dtype"]))
        if name == "__keras_tensor__":
            from nyala.core.symbolic import Symbolic

            return Symbolic(inner["shape"], inner["dtype"])
    except (KeyError, TypeError, AttributeError, ValueError, UnicodeError) as error:
        where = f"the config of a {name}"
        wrong = ArgumentError(where, need="its value as it is written", got=f"{str(error)[:80]}")
        raise placed(wrong, where, "config-argument") from error
    raise not_data(name)


def not_data(name: str) -> UnsafeObjectError:
    """The error of a value that no config may hold, by the class name that says so."""
    what = "the bytes of a lambda, which are code" if name == "__lambda__" else f"{name[:40]!r}"
    return UnsafeObjectError(
        "a config",
        need="objects that are data",
        got=what,
        why="a config holds no code: nothing in a file is ever run",
        fix="write the function with def, and pass it in custom_objects under the name of its layer"
        if name == "__lambda__"
        else "leave it out of the config",
        rule="object-lambda" if name == "__lambda__" else "object-special",
    )


def find_object(name: str, module: str | None = None, registered_name: str | None = None) -> Any:
    """The class or function that a config names. Raises UnknownObjectError with near matches and what to write."""
    return known.find(name, module, registered_name)


def from_identifier(identifier: Any, package: str, kind: type | tuple[type, ...] | None, noun: str) -> Any:
    """What `get(identifier)` of initializers, losses, ... returns: objects and functions pass, names and configs are looked up in the package.

    Args:
        identifier: None, a name ("glorot_uniform", "GlorotUniform"), a config, a class, an object or a function.
        package: where names are looked up, "nyala.initializers".
        kind: the class of its objects.
        noun: what to call one in an error.
    """
    if identifier is None or (kind and isinstance(identifier, kind)):
        return identifier
    if isinstance(identifier, dict):
        if "class_name" not in identifier:
            raise ArgumentError(noun, need="a config with 'class_name' and 'config'", got=f"{identifier}")
        with_module = {"module": package.replace("nyala", "keras"), **identifier} if identifier.get("module") is None else identifier
        return revive(with_module, known.position_of(noun))
    if isinstance(identifier, str):
        found = get_registered_object(identifier)
        module = importlib.import_module(package)
        if found is None:
            name = vars(module).get("ALIASES", {}).get(identifier, identifier)  # not by getattr: a missing name would look for near ones
            found = getattr(module, name) if name in module.__all__ else None
        if found is None:
            from nyala.core.names import to_snake_case

            snake = {to_snake_case(public): public for public in reversed(module.__all__)}
            found = getattr(module, snake[identifier]) if identifier in snake else None
        if found is None:
            near = difflib.get_close_matches(identifier, sorted({*module.__all__, *getattr(module, "ALIASES", {})}), n=3)
            raise LookupFailed(
                noun,
                need=f"a name known in {package}",
                got=repr(identifier),
                fix=f"did you mean {' or '.join(map(repr, near))}?" if near else f"see dir({package})",
            )
        identifier = found
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier):
        return identifier
    raise ArgumentError(noun, need="a name, a config, an object or a function", got=repr(identifier))
