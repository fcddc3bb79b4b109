# SPDX-License-Identifier: Apache-2.0
"""Programs that equal functions share: a model built anew, as in cross-validation or a search, trains with the program of the first one.

Two functions are twins if all that they can reach is equal: code, constants, settings, and the shapes and dtypes of variables, whose values do not
count. Only what is made of this package's code can be compared; functions and classes of users have no twins. Start at description_of.

A class has a say in it: `what_counts(self)` returns the parts of an object that are compared, instead of all its attributes; `name_is_told` says that
programs return the names of its objects; `reads_names`, that the code of an object looks at the names of others.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
import types
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from nyala.core import config, names, sharding, tree
from nyala.core.variable import Variable

KEPT = 32  # compiled programs, of those used last
LARGEST_CONSTANT = 2**20  # bytes of an array that is compared
CONSTANTS = (type(None), bool, int, float, complex, str, bytes, type(...), slice, range, np.dtype, np.generic)
VALUES = {"_stored", "_owner", "_lent", "_place", "_leaf", "number"}  # of variables
STOPS = {"stop_training", "stop_evaluating", "stop_predicting"}
ASIDE = STOPS | {"_programs", "_compile_config", "history", "_warned_unused", "_explain_nan", "updates", "_updating"}  # no step reads them
NAMES = {"name", "_name", "path"}
_UNKNOWN = object()


class _Stranger(Exception):
    """Something that cannot be compared."""


class Description:
    """What a function can reach: a digest that is equal for twins, and its variables in the order in which they were met."""

    def __init__(self, digest: bytes, variables: list[Variable]) -> None:
        self.digest, self.variables = digest, variables


def description_of(function: Callable, specs: Any, where: str) -> Description | None:
    """What to know a function's twins by; None if it reaches code that is not this package's.

    specs: of its arguments. where: the name of the engine.
    """
    if sharding.current is not None:
        return None  # layouts go by paths, which twins do not share
    walk = _Walk(asked={key for path, _ in tree.flatten_with_path(specs) for key in path if isinstance(key, str)})
    try:
        walk.note(where, config.floatx(), config.epsilon(), config.image_data_format())
        walk.visit(function)
        walk.visit(specs)
    except (_Stranger, RecursionError):
        return None
    return Description(walk.digest(), walk.variables)


class _Walk:
    """One walk over all that can be reached."""

    def __init__(self, asked: set[str]) -> None:
        self.asked = asked  # names that are keys of the data
        self.all_names = False  # whether those that were made up count, too
        self.variables: list[Variable] = []
        self._hash = hashlib.blake2b(digest_size=16)
        self._made_up: list[str] = []
        self._seen: dict[int, tuple[int, Any]] = {}  # id -> its number, and the object, which must live as long as its id is used

    def digest(self) -> bytes:
        if self.all_names:
            self.note(*self._made_up)
        return self._hash.digest()

    def note(self, *values: Any) -> None:
        self._hash.update(repr(values).encode("utf-8", "surrogatepass"))

    def visit(self, value: Any) -> None:
        """Note a value and all that it reaches."""
        if isinstance(value, CONSTANTS):
            return self.note(type(value).__name__, value)
        if id(value) in self._seen:
            return self.note("again", self._seen[id(value)][0])
        self._seen[id(value)] = len(self._seen), value
        kind = type(value)
        if isinstance(value, np.ndarray):
            self._array(value)
        elif isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc)):
            self.note("constant", id(value), value.__name__)
        elif isinstance(value, types.FunctionType):
            self._function(value)
        elif isinstance(value, types.MethodType):
            self._parts("method", (value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._parts("partial", (value.func, value.args, value.keywords))
        elif isinstance(value, contextlib._GeneratorContextManager):  # around a function, as a decorator
            self._parts("context", (value.func, value.args, value.kwds))
        elif kind in (list, tuple, deque) or (isinstance(value, tuple) and hasattr(value, "_fields")):
            self._parts(kind.__name__, value)
        elif isinstance(value, Mapping) and kind.__module__ in ("builtins", "collections"):
            self._parts(kind.__name__, (part for item in value.items() for part in item))
        elif kind in (set, frozenset):
            self.note(kind.__name__, sorted(map(_constant, value)))
        elif kind.__module__.partition(".")[0] == "nyala":
            self._object(value)
        else:
            raise _Stranger(kind)
        return None

    def _parts(self, kind: str, parts: Iterable[Any]) -> None:
        self.note(kind)
        for part in parts:
            self.visit(part)
        self.note("end")

    def _array(self, value: np.ndarray) -> None:
        if value.nbytes > LARGEST_CONSTANT or value.dtype.hasobject:
            raise _Stranger(value.dtype)
        self.note("array", value.shape, value.dtype.str)
        self._hash.update(np.ascontiguousarray(value).tobytes())

    def _function(self, value: types.FunctionType) -> None:
        if (value.__module__ or "").partition(".")[0] != "nyala":
            raise _Stranger(value)
        self.note("function", id(value.__code__), value.__qualname__)
        self._parts("held", (value.__defaults__, value.__kwdefaults__, *(_content(cell) for cell in value.__closure__ or ())))

    def _object(self, value: Any) -> None:
        from nyala.initializers import Initializer

        kind = type(value)
        self.note("object", id(kind), kind.__qualname__)
        if isinstance(value, Initializer):
            return  # what it made is in the variables
        if hasattr(kind, "what_counts"):
            return self._parts("counts", value.what_counts())
        aside = ASIDE
        if isinstance(value, Variable):
            self.variables.append(value)
            aside = VALUES
        self.all_names = self.all_names or getattr(value, "reads_names", False)
        told = getattr(kind, "name_is_told", False)
        for name, part in _attributes(value):
            if name in NAMES and isinstance(part, str):
                self._name(name, part, told, isinstance(value, Variable))
            elif name not in aside:
                self.note(name)
                self.visit(part)
        return self.note("end")

    def _name(self, attribute: str, name: str, told: bool, of_variable: bool) -> None:
        """Names that were made up are others in each rebuilt model, and so are those of variables, which repeat them."""
        if told or name in self.asked or not (of_variable or attribute == "path" or names.is_made_up(name)):
            self.note(attribute, name)
        else:
            self._made_up.append(name)


def _attributes(value: Any) -> Iterable[tuple[str, Any]]:
    yield from vars(value).items() if hasattr(value, "__dict__") else ()
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                yield name, getattr(value, name)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _constant(value: Any) -> str:
    if isinstance(value, tuple):
        return repr(tuple(map(_constant, value)))
    if not isinstance(value, CONSTANTS):
        raise _Stranger(type(value))
    return repr(value)


class _Caller(threading.local):
    """The program on whose behalf this thread runs a trace."""

    program: Any = None


class Trace:
    """What the engine made of a function, for all its twins; it holds none of them.

    Attributes:
        run: the compiled function (values of the variables written, of those only read, *args) -> (outputs, new values).
        written, only_read: those variables, by their places in a description.
    """

    def __init__(self) -> None:
        self.run: Callable = _not_compiled
        self.caller = _Caller()
        self.written: list[int] = []
        self.only_read: list[int] = []

    def keep(self, description: Description | None, written: list[Variable], only_read: list[Variable]) -> None:
        """Let twins find it, if all variables are among those that a description names."""
        if description is None:
            return
        places = {id(variable): place for place, variable in enumerate(description.variables)}
        if all(id(variable) in places for variable in (*written, *only_read)):
            self.written = [places[id(variable)] for variable in written]
            self.only_read = [places[id(variable)] for variable in only_read]
            with _lock:
                _kept[description.digest] = self
                while len(_kept) > KEPT:
                    _kept.popitem(last=False)


def _not_compiled(*_: Any) -> Any:
    raise AssertionError("a trace runs only once it is compiled")


_kept: OrderedDict[bytes, Trace] = OrderedDict()
_lock = threading.Lock()


def find(description: Description | None) -> Trace | None:
    """The trace of a twin, if there is one."""
    if description is None:
        return None
    with _lock:
        found = _kept.get(description.digest)
        if found is not None:
            _kept.move_to_end(description.digest)
    return found


def forget() -> None:
    """Drop all that is kept for twins to come."""
    with _lock:
        _kept.clear()
