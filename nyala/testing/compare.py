# SPDX-License-Identifier: Apache-2.0
"""How the contract suite calls an engine and compares what comes out: inputs in a dtype, tolerances, and what holds for every call.

Knows NumPy and the protocol. Start at `call_all`: besides the value it checks the shape and dtype, the spec engine, and that no input changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from nyala.engines.protocol import Engine, Tree
from nyala.engines.spec import SpecEngine, SpecTensor

FLOATS = ("float32", "float64", "float16", "bfloat16")
SIGNED = ("int32", "int64", "int8", "int16")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = (*SIGNED, *UNSIGNED)
COMPLEX = ("complex64", "complex128")
EPSILON = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7, "complex64": 2.0**-23, "complex128": 2.0**-52}
DTYPE: Any = object()  # in the arguments of a case: the dtype under test

_spec = SpecEngine()


class ContractError(AssertionError):
    """An engine does not do what the protocol says."""


def require(condition: Any, message: str) -> None:
    if not condition:
        raise ContractError(message)


def kept(engine: Engine, dtypes: Sequence[str]) -> list[str]:
    """Those of the dtypes that the engine has."""
    return [dtype for dtype in dtypes if engine.canonical_dtype(dtype) == dtype]


def fit(x: np.ndarray, dtype: str) -> np.ndarray:
    """The values of a float64 array made to fit a dtype: rounded to a float, spread over integers, compared with 0 for bool. Always an array.

    Floats come back as float64 with the rounded values (so that an oracle can go on from there), all others in dtype itself."""
    if dtype == "bool":
        return np.asarray(x > 0)
    if dtype in INTEGERS:
        spread = np.asarray(np.round(x * 4))
        return (np.abs(spread) if dtype in UNSIGNED else spread).astype(dtype)
    if dtype == "bfloat16":
        bits = np.asarray(x, np.float32).view(np.uint32)
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
        return np.where(np.isfinite(x), rounded.view(np.float32), x).astype(np.float64).reshape(x.shape)
    with np.errstate(all="ignore"):
        return x.astype(dtype).astype(np.complex128 if dtype in COMPLEX else np.float64)


def is_free(x: Any) -> bool:
    """Whether x is an array that takes the dtype under test: float64 and complex128 ones do, others stay what they are."""
    return isinstance(x, np.ndarray) and x.dtype in (np.float64, np.complex128)


def map_arrays(function: Callable, tree: Tree) -> Tree:
    if isinstance(tree, list | tuple):
        return type(tree)(map_arrays(function, item) for item in tree)
    return function(tree) if isinstance(tree, np.ndarray) else tree


def arrays_of(tree: Tree) -> list:
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in arrays_of(item)]
    return [tree] if isinstance(tree, np.ndarray) else []


def outputs(result: Any) -> list:
    return list(result) if isinstance(result, list | tuple) else [result]


def compare(got: np.ndarray, want: Any, dtype: str, scale: float = 1.0, floor: float = 1.0, signed_zero: bool = False, what: str = "") -> None:
    """Raise ContractError unless got is want, within `scale` times the tolerance of dtype, relative to the larger of |want| and floor."""
    want = np.asarray(want)
    require(got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}")
    if dtype not in EPSILON:
        with np.errstate(all="ignore"):
            wrong = got != want.astype(dtype)
        if wrong.any():
            raise ContractError(f"{what}: {_where(got, want, wrong)}")
        return
    wide = np.complex128 if dtype in COMPLEX else np.float64
    tolerance = scale * EPSILON[dtype] * (16 if dtype in ("float32", "float64", *COMPLEX) else 4)
    with np.errstate(all="ignore"):
        narrow = fit(want.astype(wide), dtype) if dtype != "bfloat16" else want.astype(wide)
        got, exact = got.astype(wide), np.where(np.isfinite(narrow), want, narrow)
        wrong = ~(np.abs(got - exact) <= tolerance * np.maximum(np.abs(exact), floor)) & (got != exact) & ~(np.isnan(got) & np.isnan(exact))
        if signed_zero:
            wrong = wrong | ((exact == 0) & (np.signbit(got) != np.signbit(exact)))
    if wrong.any():
        raise ContractError(f"{what}: {_where(got, exact, wrong)}")


def _where(got: np.ndarray, want: np.ndarray, wrong: np.ndarray) -> str:
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"{int(wrong.sum())} of {wrong.size} values differ, first at {place}: got {got[place]!r}, expected {want[place]!r}"


def describe(args: tuple) -> str:
    def one(x: Any) -> str:
        if isinstance(x, list | tuple):
            inner = ", ".join(map(one, x))
            return f"[{inner}]" if isinstance(x, list) else f"({inner})"
        return f"{x.dtype}{x.shape}" if isinstance(x, np.ndarray) else repr(x)

    return ", ".join(map(one, args))


def call(engine: Engine, name: str, args: tuple, dtype: str = "float32") -> list:
    """Outputs of one call of a primitive for NumPy arguments."""
    return call_all(engine, name, [(args, dtype)])[0]


def call_all(engine: Engine, name: str, calls: Sequence[tuple[tuple, str]], compiled: bool = False) -> list[list]:
    """Outputs of calls (arguments, dtype), after what holds for every call: spec engine and engine agree, and no input has changed.

    compiled: in one compiled function, which saves an engine that compiles much time."""
    given = [
        [engine.asarray(fit(x, dtype), dtype) if is_free(x) else engine.asarray(x, str(x.dtype)) for x in arrays_of(args)] for args, dtype in calls
    ]

    def run(leaves: list[list]) -> list[list]:
        return [outputs(getattr(engine, name)(*_refill(args, iter(own)))) for (args, _), own in zip(calls, leaves, strict=True)]

    if engine.abstract:
        return run(given)
    before = [[engine.to_numpy(x) for x in own] for own in given]
    results = (engine.compile(run) if compiled else run)(given)
    for (args, dtype), own, copies, result in zip(calls, given, before, results, strict=True):
        what = f"{name}({describe(args)}) in {dtype}"
        for x, copy in zip(own, copies, strict=True):
            require(np.array_equal(engine.to_numpy(x), copy, equal_nan=copy.dtype.kind in "fc"), f"{what}: it changed its argument")
        for x in result:
            require(engine.is_tensor(x), f"{what}: returned {type(x).__name__}, which is not a tensor of the engine")
        if name != "nonzero":  # its shape depends on values
            shapes = iter([SpecTensor(x.shape, dtype if is_free(x) else str(x.dtype)) for x in arrays_of(args)])
            expected = [(x.shape, x.dtype) for x in outputs(getattr(_spec, name)(*_refill(args, shapes)))]
            got = [(engine.shape(x), engine.dtype(x)) for x in result]
            require(got == expected, f"{what}: the engine gives {got}, the spec engine {expected}")
    return results


def _refill(args: tuple, leaves: Iterator) -> tuple:
    """args with other leaves in the places of its arrays."""
    return map_arrays(lambda _: next(leaves), args)


def check_values(
    engine: Engine, name: str, oracle: Callable, calls: Sequence[tuple[tuple, str]], result: Any = None, compiled: bool = False, **tolerance: Any
) -> None:
    """Calls (arguments, dtype) against the float64 oracle. result: dtype of the outputs where it is not the one under test, as in `Row`."""
    calls = [(tuple(dtype if arg is DTYPE else arg for arg in args), dtype) for args, dtype in calls]
    for (args, dtype), got in zip(calls, call_all(engine, name, calls, compiled), strict=True):
        settled = map_arrays(lambda x, dtype=dtype: fit(x, dtype) if is_free(x) else x, args)
        what = f"{name}({describe(settled)}) in {dtype}"
        with np.errstate(all="ignore"):
            want = outputs(oracle(*settled))
        require(len(got) == len(want), f"{what}: {len(got)} results, expected {len(want)}")
        named = result(dtype, args) if callable(result) else result
        for x, y, out in zip(got, want, named if isinstance(named, tuple) else (named,) * len(want), strict=True):
            expected = str(out or dtype)
            require(engine.dtype(x) == expected, f"{what}: dtype {engine.dtype(x)}, expected {expected}")
            require(engine.shape(x) == np.shape(y), f"{what}: shape {engine.shape(x)}, expected {np.shape(y)}")
            if not engine.abstract:
                compare(engine.to_numpy(x), y, expected, what=what, **tolerance)


def check_value(engine: Engine, name: str, oracle: Callable, args: tuple, dtype: str, result: Any = None, **tolerance: Any) -> None:
    """One call against the float64 oracle."""
    check_values(engine, name, oracle, [(args, dtype)], result, **tolerance)


def check_gradient(engine: Engine, function: Callable, oracle: Callable, values: Sequence[np.ndarray], scale: float = 1.0, what: str = "") -> None:
    """Gradients of sum(w * output), summed over the float outputs, against central differences of the oracle in float64.

    function(*tensors) and oracle(*arrays) return one output or several; outputs that are not floats are left out."""
    dtype = "float32"
    values = [fit(x, dtype) for x in values]
    random = np.random.default_rng(7)
    wanted = [np.asarray(y) for y in outputs(oracle(*values))]
    weights = [random.uniform(0.5, 1.5, y.shape) * random.choice([-1, 1], y.shape) if y.dtype == np.float64 else None for y in wanted]

    def loss(given: list) -> tuple:
        total = engine.full((), 0.0, dtype)
        for y, w in zip(outputs(function(*given)), weights, strict=True):
            if w is not None:
                product = engine.multiply(y, engine.asarray(w, dtype))
                total = engine.add(total, engine.sum(product, tuple(range(w.ndim)), False))
        return total, ()

    def exact(*given: np.ndarray) -> float:
        return float(sum(np.sum(y * w) for y, w in zip(outputs(oracle(*given)), weights, strict=True) if w is not None))

    _, gradients = engine.compile(engine.value_and_grad(loss))([engine.asarray(x, dtype) for x in values])
    for i, (x, gradient) in enumerate(zip(values, gradients, strict=True)):
        found = engine.shape(gradient), engine.dtype(gradient)
        require(found == (x.shape, dtype), f"{what}: gradient {i} is {found}, expected {(x.shape, dtype)}")
        want, step = np.zeros(x.shape), 1e-6
        for place in np.ndindex(x.shape):
            moved = [v.copy() for v in values]
            moved[i][place] = x[place] + step
            above = exact(*moved)
            moved[i][place] = x[place] - step
            want[place] = (above - exact(*moved)) / (2 * step)
        compare(engine.to_numpy(gradient), want, dtype, scale=50 * scale, what=f"{what}: gradient {i}")
