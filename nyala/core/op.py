# SPDX-License-Identifier: Apache-2.0
"""@op, the boundary of every public op, and conversion to tensors.

The decorator reads the signature once: parameters annotated `Tensor` are converted, `Sequence[Tensor]` are lists of tensors; `promote`
says how dtypes combine. A call on symbolic tensors becomes a node of a graph; a call on tensors goes straight to the body, or to the
engine's shortcut for it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes, logits, sizes
from nyala.core.errors import ArgumentTypeError, AxisError, DTypeError, NyalaError, ShapeError
from nyala.core.variable import Variable
from nyala.engines import current, engine, owner_of
from nyala.engines.protocol import Engine, Tensor

SCALARS = (bool, int, float)


def convert(value: Any, dtype: str | None = None) -> Tensor:
    """value as a tensor of the current engine: tensors as they are, variables by their value, Python floats as floatx, ints as int32."""
    here = current()
    if isinstance(value, Variable):
        value = value.value
    if here.is_tensor(value) and not (isinstance(value, np.ndarray) and value.dtype.kind in "OUS"):
        return value if dtype is None or here.dtype(value) == here.canonical_dtype(dtype) else here.cast(value, here.canonical_dtype(dtype))
    if dtype is None:
        if isinstance(value, (bool, int, float, complex)):
            dtype = _scalar_dtype(value)
        elif isinstance(value, (list, tuple)):
            return _convert_list(value)
    if isinstance(value, str) or (isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in "OUS") or value is None:
        raise DTypeError(
            "a tensor", need="numbers", got=_describe(value), fix="encode strings as integers first, and pass arrays of one numeric dtype"
        )
    try:
        return here.asarray(value, dtype)
    except ValueError as error:
        if isinstance(value, (list, tuple)) and "inhomogeneous" in str(error):
            raise _ragged() from error
        raise
    except (TypeError, RuntimeError) as error:
        owner = owner_of(value)
        if owner is None or owner is here:
            raise
        return here.asarray(_values_of(value, owner, error), dtype)


def _values_of(value: Any, owner: Engine, error: Exception) -> np.ndarray:
    """The values of a tensor of another engine that NumPy cannot read, by that engine itself."""
    try:
        if isinstance(error, RuntimeError):  # it has them, but something would be lost
            raise error
        return owner.to_numpy(value)
    except (TypeError, RuntimeError) as second:
        raise ArgumentTypeError(
            f"engine {current().name!r}",
            need="tensors of its own, or values it can read",
            got=f"a tensor of engine {owner.name!r}",
            why=str(second).splitlines()[0],
            fix=f"take it out of what is differentiated or traced there, or compute with nyala.set_backend({owner.name!r})",
        ) from error


def _scalar_dtype(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int32" if -(2**31) <= value < 2**31 else "int64"
    return dtypes.settle("float") if isinstance(value, float) else "complex64"


def _convert_list(value: Sequence) -> Tensor:
    """A nested list: of numbers through NumPy, of tensors by stacking."""
    here = current()
    if any(here.is_tensor(v) or isinstance(v, Variable) for v in value):
        from nyala.ops import stack

        return stack(list(value))
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _ragged() from error
    if array.dtype.kind in "OUS":
        if array.dtype.kind == "O":
            from nyala.ops import stack

            return stack([convert(v) for v in value])
        raise DTypeError("a tensor", need="numbers", got="a list of strings", fix="encode strings as integers first")
    if array.dtype == np.float64:
        return here.asarray(array, dtypes.settle("float"))
    if array.dtype == np.int64 and (array.size == 0 or (array.min() >= -(2**31) and array.max() < 2**31)):
        return here.asarray(array, "int32" if array.size else dtypes.settle("float"))
    return here.asarray(array)


def _ragged() -> DTypeError:
    return DTypeError("a tensor", need="lists of equal length", got="a ragged list", fix="pad the rows to one length")


def _describe(value: Any) -> str:
    if isinstance(value, Variable) or current().is_tensor(value):
        shape = value.shape if isinstance(value, Variable) else current().shape(value)
        return f"{dtypes.standardize_dtype(value.dtype)} {tuple(shape)}"
    if isinstance(value, (np.ndarray, np.generic)):
        return f"array {value.dtype} {value.shape}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {len(value)}: " + ", ".join(map(_describe, value[:4])) + (", ..." if len(value) > 4 else "")
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def promote(values: Sequence[Any], mode: str, keep_scalars: bool = False) -> list[Any]:
    """Tensors, and Python scalars (weak), in one dtype: "same" their common one, "float" the same but never an integer or bool.

    keep_scalars leaves Python numbers that the common dtype can hold as they are, as elementwise primitives take them."""
    here = current()
    if _agree(values, mode, keep_scalars, here):
        return list(values)
    found: set[str] = set()
    for value in values:
        if type(value) in SCALARS:
            found.add("bool" if type(value) is bool else "int" if type(value) is int else "float")
        elif value is not None:
            found.add(here.dtype(value))
    if not found:
        return list(values)
    dtype = found.pop() if len(found) == 1 else dtypes.promote(*found)
    dtype = dtypes.settle(dtype)
    if mode == "float" and not (dtypes.is_float(dtype) or dtypes.is_complex(dtype)):
        dtype = dtypes.settle("float")
    dtype = here.canonical_dtype(dtype)
    kind = (bool, int) if dtypes.is_integer(dtype) else (bool,) if dtype == "bool" else SCALARS
    kept = keep_scalars and any(value is not None and type(value) not in SCALARS for value in values)
    result = []
    for value in values:
        if value is None or (kept and type(value) in kind):
            result.append(value)
        elif type(value) in SCALARS:
            result.append(here.asarray(value, dtype))
        else:
            result.append(value if here.dtype(value) == dtype else here.cast(value, dtype))
    return result


def _agree(values: Sequence[Any], mode: str, keep_scalars: bool, here: Engine) -> bool:
    """Whether promote has nothing to do, as nearly always: tensors of one dtype, and with floats numbers that may stay."""
    common, scalars = None, False
    for value in values:
        if type(value) in SCALARS:
            scalars = True
        elif value is not None:
            dtype = here.dtype(value)
            if common is None:
                common = dtype
            elif dtype != common:
                return False
    if common is None or (scalars and not keep_scalars) or here.canonical_dtype(common) != common:
        return False
    return dtypes.is_float(common) or (mode == "same" and not scalars)


def op(function: Callable | None = None, *, promote: str | None = None, scalars: bool = False, probability: bool = False) -> Any:
    """Make a function of tensors a public op.

    Args:
        promote: None converts only; "same" brings all tensors to their common dtype (Keras's rules, Python scalars weak);
            "float" also makes integers floatx.
        scalars: hand Python scalars to the body as they are, where the common dtype can hold them.
        probability: the result is one of the first argument, its logits, along the second: losses may want them (see logits.py).

    The op has the attributes `composed` (the same without the engine's shortcut, for tests), `function` (the bare body) and `name`.
    """
    if function is None:
        return functools.partial(op, promote=promote, scalars=scalars, probability=probability)
    from nyala.core.symbolic import Symbolic, contains_symbolic, record

    parameters = list(inspect.signature(function).parameters.values())
    tensors = [(i, p.name) for i, p in enumerate(parameters) if str(p.annotation).startswith("Tensor")]
    lists = [(i, p.name) for i, p in enumerate(parameters) if str(p.annotation).startswith(("Sequence[Tensor", "list[Tensor"))]
    starred = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_POSITIONAL and str(p.annotation).startswith("Tensor")), None)
    required = [(i, p.name) for i, p in enumerate(parameters) if (i, p.name) in tensors and p.default is p.empty and i != starred]
    name, mode = function.__name__, promote
    followed = name in sizes.FOLLOWED and function.__module__.startswith("nyala.ops.")

    def prepare(args: tuple, kwargs: dict) -> tuple[list, dict]:
        """Arguments with tensors converted and promoted."""
        ready, places, group = list(args), [], []
        for i, parameter in tensors:
            if i < len(ready):
                if i == starred:
                    places.extend(range(i, len(ready)))
                    break
                if ready[i] is not None:
                    places.append(i)
            elif kwargs.get(parameter) is not None:
                places.append(parameter)
        for place in places:
            store: Any = ready if isinstance(place, int) else kwargs
            value = store[place]
            if not (mode and type(value) in SCALARS):
                store[place] = value = convert(value)
            group.append(value)
        for i, parameter in lists:
            store, place = (ready, i) if i < len(ready) else (kwargs, parameter)
            if place == parameter and parameter not in kwargs:
                continue
            if not isinstance(store[place], (list, tuple)):
                store[place] = convert(store[place])
                continue
            items = [v if mode and type(v) in SCALARS else convert(v) for v in store[place]]
            store[place] = items
            if mode:
                store[place] = _promote(items, mode)
        if mode and group:
            for place, value in zip(places, _promote(group, mode, scalars), strict=True):
                (ready if isinstance(place, int) else kwargs)[place] = value
        return ready, kwargs

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        for value in args:
            if isinstance(value, Symbolic) or (isinstance(value, (list, tuple)) and contains_symbolic(value)):
                return record(call, args, kwargs)
        if kwargs:
            for value in kwargs.values():
                if isinstance(value, Symbolic) or (isinstance(value, (list, tuple)) and contains_symbolic(value)):
                    return record(call, args, kwargs)
        given = kwargs
        try:
            ready, kwargs = prepare(args, kwargs)
            shortcut = current().fast.get(name)
            result = NotImplemented if shortcut is None else shortcut(*ready, **kwargs)
            if result is NotImplemented:
                result = function(*ready, **kwargs)
            if probability and logits.notes.on:
                logits.note(name, result, ready[0], *ready[1:], **kwargs)
            if followed and args and (current().abstract or current().compiles):
                sizes.follow(name, result, *args, **given)
            return result
        except Exception as error:
            for i, parameter in required:
                if (args[i] if i < len(args) else kwargs.get(parameter, name)) is None:
                    raise DTypeError(f"{name}({parameter})", need="a tensor", got="None") from error
            if function.__module__ in ELEMENTWISE and not isinstance(error, NyalaError):
                _check_broadcast(error, name, [*args, *kwargs.values()])
            _add_context(error, name, args, kwargs)
            raise

    def composed(*args: Any, **kwargs: Any) -> Any:
        ready, kwargs = prepare(args, kwargs)
        return function(*ready, **kwargs)

    call.composed, call.function, call.name, call.is_op = composed, function, name, True  # type: ignore[attr-defined]
    return call


_promote = promote
ELEMENTWISE = {f"nyala.ops.{file}" for file in ("bits", "comparison", "elementwise", "logical", "transcendental")}  # where shapes need only broadcast


def _check_broadcast(error: Exception, name: str, values: list) -> None:
    """Say so if it was shapes that do not broadcast."""
    try:
        shapes = [tuple(value.shape) if hasattr(value, "shape") else np.shape(value) for value in values]
    except ValueError:  # a list of tensors, or a ragged one
        return
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        need = "shapes that broadcast: sizes equal or 1, aligned at the last axis"
        raise ShapeError(name, need=need, got=f"shapes {' and '.join(map(str, shapes))}") from error


def _add_context(error: Exception, name: str, args: tuple, kwargs: dict) -> None:
    """Say once, on the innermost op, what it was called with."""
    if not isinstance(error, NyalaError) and not getattr(error, "__notes__", None):
        shown = [_describe(v) for v in args] + [f"{k}={_describe(v)}" for k, v in kwargs.items()]
        error.add_note(f"in ops.{name}({', '.join(shown)})")


def normalize_axis(axis: Any, ndim: int, name: str = "axis") -> int:
    """The axis counted from 0; an axis that does not exist is refused.

    >>> normalize_axis(-1, 3)
    2
    """
    if isinstance(axis, (np.integer,)):
        axis = int(axis)
    if not isinstance(axis, int) or isinstance(axis, bool) or not -ndim <= axis < ndim:
        raise AxisError(name, need=f"an axis in [{-ndim}, {ndim})", got=f"{axis!r}", why=f"the tensor has {ndim} axes")
    return axis % ndim


def normalize_axes(axis: Any, ndim: int, name: str = "axis") -> tuple[int, ...]:
    """Sorted axes from one axis, several, or None for all.

    >>> normalize_axes((-1, 0), 3), normalize_axes(None, 2)
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    axes = [normalize_axis(a, ndim, name) for a in (axis if isinstance(axis, (list, tuple)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise AxisError(name, need="axes that differ", got=f"{axis!r}")
    return tuple(sorted(axes))


# Python operators of variables and symbolic tensors: method -> (op, operands swapped)
OPERATORS = {
    "__neg__": ("negative", False), "__pos__": ("identity", False), "__abs__": ("absolute", False), "__invert__": ("logical_or_bitwise_not", False),
    "__getitem__": ("get_item", False), "__round__": ("round", False),
    **{f"__{p}{short}__": (name, p == "r") for p in ("", "r") for short, name in {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide", "mod": "mod", "pow": "power",
        "matmul": "matmul", "lshift": "left_shift", "rshift": "right_shift"}.items()},
    **{f"__{p}{short}__": (f"logical_or_bitwise_{short}", p == "r") for p in ("", "r") for short in ("and", "or", "xor")},
    "__eq__": ("equal", False), "__ne__": ("not_equal", False), "__lt__": ("less", False), "__le__": ("less_equal", False),
    "__gt__": ("greater", False), "__ge__": ("greater_equal", False),
}  # fmt: skip


def apply_operator(name: str, x: Any, *others: Any, swapped: bool = False) -> Any:
    """What a Python operator on a variable or symbolic tensor does: the op of that name."""
    from nyala import ops

    if name.startswith("logical_or_bitwise_"):
        rest = name.removeprefix("logical_or_bitwise_")
        logical = all(type(v) is bool or dtypes.standardize_dtype(v.dtype) == "bool" for v in (x, *others) if hasattr(v, "dtype") or type(v) is bool)
        name = ("logical_" if logical else "bitwise_") + rest
    function = getattr(ops, name)
    return function(*others, x) if swapped else function(x, *others)


def install_operators(kind: type) -> None:
    """Give a class of tensors Python's operators, as ops."""
    for method, (name, swapped) in OPERATORS.items():

        def operate(self: Any, *others: Any, _name: str = name, _swapped: bool = swapped) -> Any:
            return apply_operator(_name, self, *others, swapped=_swapped)

        setattr(kind, method, operate)


install_operators(Variable)

__all__ = ["convert", "engine", "normalize_axes", "normalize_axis", "op", "promote"]
