# SPDX-License-Identifier: Apache-2.0
"""What a config names, looked at before anything is made of it: each object, where it stands, and whether it may.

Reads plain values only: no class is instantiated, no layer is built. Files are looked through before a model is made of them (audit); so are
configs that come as dicts, by whatever function (looking_through). Both have the bounds of nyala.core.plain. Start at audit.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from nyala.core import known
from nyala.core.errors import NyalaError, ResourceLimitError, UnknownObjectError, UnsafeObjectError, UnsafePathError, placed
from nyala.core.patterns import excess
from nyala.core.plain import check_bounds, pointer
from nyala.core.serialization import NOT_USABLE, caller_objects, custom_object_scope, not_data, not_usable

MAX_LAYERS = 20_000
MAX_CALLS = 1_000_000  # of layers, those in models that are called several times counted each time
VALUES = frozenset({"__tuple__", "__bytes__", "__ellipsis__", "__slice__", "__numpy__", "__tensor__", "__keras_tensor__"})
LOOKUPS = frozenset({"StringLookup", "IntegerLookup", "TextVectorization", "IndexLookup"})
PATTERNS = frozenset({"policy_map", "optimizer_map", "exclude_layers"})  # arguments with regular expressions
MAX_THRESHOLDS = 1_000_000  # of a metric
# Classes that make tables on the host, or go through as many steps, as an argument says: its largest value, and its names.
TABLES: dict[str, tuple[int, tuple[str, ...]]] = {
    **{f"Adaptive{kind}Pooling{rank}D": (10_000, ("output_size",)) for kind in ("Average", "Max") for rank in (1, 2, 3)},
    **dict.fromkeys(("Resizing", "RandomCrop", "CenterCrop"), (1_000_000, ("height", "width"))),
    **dict.fromkeys(("Linspace", "Logspace", "Geomspace"), (10_000_000, ("inbound_nodes", "num"))),
    "MelSpectrogram": (65_536, ("num_mel_bins", "fft_length", "sequence_length")),
    "RandomGaussianBlur": (10_000, ("kernel_size",)),
}
PARTS = frozenset({"build_config", "compile_config"})


class Finding(NamedTuple):
    """An object that a config names.

    Attributes:
        place: as a JSON pointer.
        name: of the class or function.
        module: as the config spells it.
        problem: why it may not be there; None if it may.
    """

    place: str
    name: str
    module: str | None
    problem: NyalaError | None


def audit(config: Any, where: str, start: str = "") -> list[Finding]:
    """All objects that a config names, in its order.

    Args:
        config: plain values, as a file has them.
        where: what to call the file in errors.
        start: pointer to config itself in the file.
    Raises: ResourceLimitError for a config that would take too long to follow.

    >>> audit({"module": "os", "class_name": "System", "config": {}}, "example")[0].problem.rule
    'object-unknown'
    """
    return list(findings(config, where, start))


def findings(config: Any, where: str, start: str = "") -> Iterator[Finding]:
    """What audit lists, one by one: who wants the first problem alone does not wait for the others."""
    check_work(config, where)
    yield from _walk(config, where, (start.strip("/"),) if start.strip("/") else (), "", False)


class _Looking(threading.local):
    inside = False


_looking = _Looking()


@contextlib.contextmanager
def looking_through(config: Any, where: str, position: str = "") -> Iterator[None]:
    """Inside, an object is made of a config that came as a dict. Before, it is held to the bounds of files and refused if it names what none may.

    What is merely unknown is left to whoever makes the object: it may be no object at all. If that fails, the error says where it stands.
    Within another config that has been looked through this does nothing.

    Args:
        config: plain values, and objects that the caller put among them.
        where: what to call it in errors, "Dense.from_config".
        position: of the object, a key of nyala.core.known.POSITIONS.
    """
    if _looking.inside:
        yield
        return
    check_bounds(config, where)
    check_work(config, where)
    unknown: list[NyalaError] = []
    for finding in _walk(config, where, (), position, False, compiled=True):
        if isinstance(finding.problem, UnknownObjectError):
            unknown.append(finding.problem)
        elif finding.problem is not None:
            raise finding.problem
    _looking.inside = True
    try:
        yield
    except UnknownObjectError as error:
        found = next((one for one in unknown if one.got == error.got), None)
        if found is None:
            raise
        raise found from error
    except NyalaError as error:
        if not error.rule:
            placed(error, where, "config-argument")
        raise
    finally:
        _looking.inside = False


def looks_through(from_config: Callable[..., Any]) -> Callable[..., Any]:
    """A from_config, of a class of the library, that looks through its config before it makes anything of it."""

    @functools.wraps(from_config)
    def looking(cls: type, config: Any, *arguments: Any, **options: Any) -> Any:
        given = options.get("custom_objects", arguments[0] if arguments else None)
        with custom_object_scope(given), looking_through(config, f"{cls.__name__}.from_config(config)"):
            try:
                return from_config(cls, config, *arguments, **options)
            except NOT_USABLE as error:
                if isinstance(error, NyalaError):
                    raise
                raise not_usable(cls, config, error) from error

    return looking


@contextlib.contextmanager
def looked_through() -> Iterator[None]:
    """Inside, objects are made of a config that was audited already, as that of a file."""
    before, _looking.inside = _looking.inside, True
    try:
        yield
    finally:
        _looking.inside = before


def _walk(value: Any, where: str, path: tuple, position: str, shapes_only: bool, compiled: bool = False) -> Iterator[Finding]:
    if isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _walk(item, where, (*path, i), position, shapes_only, compiled)
    if not isinstance(value, dict):
        return
    if "class_name" in value and ("config" in value or str(value["class_name"]).startswith("__")):
        yield _look(value, where, path, position, shapes_only)
    elif isinstance(value.get("class_name"), str) and shapes_only:
        yield Finding(pointer(path), value["class_name"], None, _inside(where, path))
    name = value.get("class_name")
    given = name == "Lambda" and isinstance(value.get("config"), dict) and caller_objects(str(value["config"].get("name")))
    if name == "Lambda" and not given and isinstance(value.get("config"), dict) and not isinstance(value["config"].get("function", {}), dict):
        yield Finding(pointer((*path, "config", "function")), "Lambda", None, _code(where, pointer(path)))
    if (problem := _excess(value, where, path)) is not None:
        yield Finding(pointer(path), str(name)[:80], None, problem)
    for key, inner in value.items():
        if callable(given) and key == "config":
            inner = {k: v for k, v in inner.items() if k != "function"}  # the caller passes it, by the name of the layer
        if key == "inbound_nodes":
            yield from _walk(inner, where, (*path, key), "arguments", shapes_only, compiled)
        elif key == "compile_config" and not compiled:
            continue
        else:
            deeper = position if isinstance(name, str) and name.startswith("__") else known.position_of(key)
            yield from _walk(inner, where, (*path, key), deeper, shapes_only or key == "build_config", compiled)
    config = value.get("config")
    if name == "TorchModuleWrapper" and isinstance(config, dict) and isinstance(config.get("module"), str):
        yield Finding(pointer((*path, "config", "module")), name, None, _pickle(where, pointer(path)))
    if isinstance(name, str) and name in LOOKUPS and isinstance(config, dict):
        for key in ("vocabulary", "idf_weights"):
            if isinstance(config.get(key), str):
                yield Finding(
                    pointer((*path, "config", key)),
                    config[key][:80],
                    None,
                    _outer_file(f"{where} at {pointer((*path, 'config', key))}", name, config[key]),
                )


def _excess(value: dict[str, Any], where: str, path: tuple) -> NyalaError | None:
    """What in the arguments of an object would take time or memory out of all proportion, though it is short."""
    for key in PATTERNS & value.keys():
        held = value[key]
        patterns = [one for one in (held if isinstance(held, (list, tuple, dict)) else [held]) if isinstance(one, str)]
        if found := excess(patterns, anywhere=key == "exclude_layers"):
            need, fix = "patterns that are matched in a bounded time", "make the object in code: there, patterns may be any"
            return ResourceLimitError(f"{where} at {pointer((*path, key))}", need=need, got=found, fix=fix, rule="config-pattern")
    count = value.get("num_thresholds")
    if isinstance(count, int) and count > MAX_THRESHOLDS:
        place = f"{where} at {pointer((*path, 'num_thresholds'))}"
        return ResourceLimitError(place, need=f"at most {MAX_THRESHOLDS:,} thresholds", got=f"{count:,}", rule="config-work")
    name, config = value.get("class_name"), value.get("config")
    largest, keys = TABLES.get(name, (0, ())) if isinstance(name, str) else (0, ())
    for key in keys:
        held = value.get(key) if key == "inbound_nodes" else config.get(key) if isinstance(config, dict) else None
        if (count := _largest(held)) > largest:
            place = f"{where} at {pointer((*path, key) if key == 'inbound_nodes' else (*path, 'config', key))}"
            need, why = f"at most {largest:,} for {name}", "it makes a table of as many numbers"
            return ResourceLimitError(place, need=need, got=f"{count:,}", why=why, fix="make the layer in code", rule="config-work")
    return None


def _largest(value: Any) -> int:
    """The largest integer among plain values."""
    if isinstance(value, (list, tuple, dict)):
        return max(map(_largest, value.values() if isinstance(value, dict) else value), default=0)
    return value if isinstance(value, int) else 0


def _look(value: dict[str, Any], where: str, path: tuple, position: str, shapes_only: bool) -> Finding:
    name, module = value["class_name"], value.get("module")
    shown = str(value.get("config") if name == "function" else name)[:80]
    place = pointer(path)
    if shapes_only and not (isinstance(name, str) and name in VALUES):
        return Finding(place, shown, module if isinstance(module, str) else None, _inside(where, path))
    problem: NyalaError | None = None
    if name == "TFSMLayer" and caller_objects(name) is None:
        problem = UnsafePathError(
            f"{where} at {place}",
            need="layers whose computation is their own",
            got="a TFSMLayer",
            why="it runs a SavedModel, which is code, from a place that the file chooses",
            fix="make the layer yourself, and put it into the model in code",
            rule="path-savedmodel",
        )
        return Finding(place, name, module if isinstance(module, str) else None, problem)
    try:
        if isinstance(name, str) and name.startswith("__"):
            if name not in VALUES:
                raise not_data(name)
        elif name in ("function", "builtin_function_or_method"):
            known.find(value.get("config"), module, value.get("registered_name"), position, function=True)
        elif isinstance(module, str) and module.startswith(("keras.src.ops", "keras.ops", "nyala.ops")):
            from nyala.models.serialization import op_of_class

            op_of_class(name)
        else:
            known.find(name, module, value.get("registered_name"), position)
    except NyalaError as error:
        problem = _refused(error, where, place)
    return Finding(place, shown, module if isinstance(module, str) else None, problem)


def _refused(error: NyalaError, where: str, place: str) -> NyalaError:
    """The same refusal, that says where in which file."""
    kind = type(error) if isinstance(error, (UnsafeObjectError, UnknownObjectError)) else UnknownObjectError
    rule = getattr(error, "rule", "object-unknown")
    return kind(f"{_at(where, place)}: {error.where}", need=error.need, got=error.got, why=error.why, fix=error.fix, rule=rule)


def _at(where: str, place: str) -> str:
    return where if place == "/" else f"{where} at {place}"


def _inside(where: str, path: tuple) -> UnsafeObjectError:
    return UnsafeObjectError(f"{where} at {pointer(path)}", need="shapes alone", got="an object", rule="object-shapes")


def _code(where: str, place: str) -> UnsafeObjectError:
    return UnsafeObjectError(
        f"{where} at {place}",
        need="functions by name",
        got="the bytes of one, which are code",
        why="a config holds no code: nothing in a file is ever run",
        fix="write the function with def, and pass it in custom_objects under the name of its layer",
        rule="object-lambda",
    )


def _pickle(where: str, place: str) -> UnsafeObjectError:
    return UnsafeObjectError(
        f"{where} at {place}",
        need="modules of PyTorch as the name of a function that makes them",
        got="the bytes of one, a pickle",
        why="a pickle can run any code; none is read here",
        fix="make the module in code, and put TorchModuleWrapper(module) into the model yourself",
        rule="object-pickle",
    )


def _outer_file(where: str, name: str, path: str) -> UnsafePathError:
    return UnsafePathError(
        f"{where}: the vocabulary of {name}",
        need="the tokens themselves",
        got=f"a path, {path[:80]!r}",
        why="a file that is opened opens no other",
        fix="make the layer with the path yourself, and pass its weights on",
        rule="path-vocabulary",
    )


def check_work(config: Any, where: str) -> None:
    """Raise for a config of too many layers, or of too many calls of layers in one pass through the model."""
    layers = 0

    def calls(value: Any) -> int:
        nonlocal layers
        inner = value.get("config") if isinstance(value, dict) else None
        entries = inner.get("layers") if isinstance(inner, dict) else None
        if not isinstance(entries, list):
            return 1
        layers += len(entries)
        total = 0
        for entry in entries:
            nodes = entry.get("inbound_nodes") if isinstance(entry, dict) else None
            total += calls(entry) * max(1, len(nodes) if isinstance(nodes, list) else 1)
            if layers > MAX_LAYERS or total > MAX_CALLS:
                raise ResourceLimitError(
                    where,
                    need=f"at most {MAX_LAYERS:,} layers and {MAX_CALLS:,} calls of layers",
                    got="more",
                    why="models called in models multiply",
                    rule="config-work",
                )
        return max(total, 1)

    calls(config)


def compiling(config: Any, where: str, start: str = "/compile_config") -> Iterator[Finding]:
    """The objects among the words of compile. What is merely unknown there is no problem: the model comes uncompiled then."""
    for finding in findings({"config": config}, where, start):
        yield finding._replace(problem=None) if isinstance(finding.problem, UnknownObjectError) else finding


def problems_of_compiling(config: Any, where: str) -> NyalaError | None:
    """The first object among the words of compile that no file may name: code, not merely something unknown."""
    return next((finding.problem for finding in compiling(config, where) if finding.problem is not None), None)
