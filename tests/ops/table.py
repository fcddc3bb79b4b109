# SPDX-License-Identifier: Apache-2.0
"""The table that tests ops: a row says what an op computes, and the checks are made from it, for every engine that is installed.

    ROWS = [Row("exp", np.exp, [normal(2, 3)], dtype="float", edges=[-np.inf, 0.0, np.nan])]
    globals().update(checks(ROWS))

gives tests of: values against NumPy in float64, also in every dtype the row takes; the dtype of the result; gradients against finite differences;
the engine's shortcut against the composed body; inferred shapes and dtypes, also with unknown sizes; the call on symbolic tensors; special values;
and the exact text of errors. Start at Row.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import inspect
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from nyala import ops
from nyala.core import dtypes, tree
from nyala.core.symbolic import Symbolic
from nyala.engines import backend, current, get_engine
from nyala.engines.spec import Spec, infer
from nyala.testing import installed_engines

FLOATS, INTEGERS = ("float16", "bfloat16", "float32"), ("int8", "uint8", "int32")
TOLERANCES = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 2e-5, "complex64": 2e-5}


@functools.cache
def engines() -> list[str]:
    """Engines that compute and whose array library is installed."""
    return [engine.name for engine in installed_engines()]


# Inputs -------------------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Input:
    """A tensor argument: its values come from `make(generator)`, the same in every run; float ones also run in other dtypes."""

    make: Callable[[np.random.Generator], np.ndarray]
    dtype: str = "float32"


def normal(*shape: int, scale: float = 1.0, shift: float = 0.0) -> Input:
    """Normal floats."""
    return Input(lambda g: g.normal(shift, scale, shape))


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Input:
    """Uniform floats in [low, high)."""
    return Input(lambda g: g.uniform(low, high, shape))


def integers(*shape: int, low: int = -9, high: int = 10, dtype: str = "int32") -> Input:
    """Uniform integers in [low, high)."""
    return Input(lambda g: g.integers(low, high, shape), dtype)


def bools(*shape: int) -> Input:
    """True and False."""
    return Input(lambda g: g.integers(0, 2, shape) > 0, "bool")


def fixed(values: Any, dtype: str | None = None) -> Input:
    """Just these values."""
    array = np.asarray(values)
    return Input(lambda g: array, dtype or {"f": "float32", "i": "int32", "b": "bool", "c": "complex64"}[array.dtype.kind])


def different(*shape: int) -> Input:
    """Floats that are all different, well apart and in any order: what sorting, extremes and medians can be differentiated at."""
    return Input(lambda g: (g.permutation(int(np.prod(shape))).reshape(shape) - int(np.prod(shape)) / 2.3) / 3.0)


# Rows ---------------------------------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Row:
    """What an op should do.

    Args:
        op: its name in nyala.ops, or a function that calls it.
        oracle: the same with NumPy arrays in float64 (integers as int64), or of any result that NumPy can compare. Takes the arguments of the op.
        inputs: positional arguments: Input for a tensor, lists of them, or plain values.
        options: keyword arguments, one test each.
        more: other (inputs, options), such as empty axes.
        dtype: of the result: "same" (promoted), "float" (the same, integers as floatx), "sum" (small integers wider), or a name; None: not tested.
        takes: kinds of dtype the inputs may have besides their own: "float", "integer", "bool"; "" for none.
        edges: special values that the op gets as one vector.
        errors: (inputs, options, text of the error).
        gradient: whether to compare gradients; the oracle must be differentiable at the inputs.
        unknown: whether shapes can be inferred with unknown sizes.
        spec: whether shapes can be inferred at all.
        tolerance: factor for the tolerances.
    """

    op: str | Callable
    oracle: Callable
    inputs: Sequence[Any]
    options: Sequence[dict[str, Any]] = ({},)
    more: Sequence[tuple[Sequence[Any], dict[str, Any]]] = ()
    dtype: str | None = "same"
    takes: str = "float integer"
    edges: Sequence[float] = ()
    errors: Sequence[tuple[Sequence[Any], dict[str, Any], str]] = ()
    gradient: bool = True
    unknown: bool = True
    spec: bool = True
    tolerance: float = 1.0

    @property
    def name(self) -> str:
        return self.op if isinstance(self.op, str) else self.op.__name__

    @property
    def function(self) -> Callable:
        return getattr(ops, self.op) if isinstance(self.op, str) else self.op

    def cases(self) -> list[tuple[Sequence[Any], dict[str, Any]]]:
        return [*((self.inputs, options) for options in self.options), *self.more]


def is_input(leaf: Any) -> bool:
    return isinstance(leaf, Input)


def arrays_of(row: Row, inputs: Any, dtype: str | None = None) -> Any:
    """Inputs as arrays, in the dtype that the tensors get (16-bit values are rounded here, so that the oracle sees the same)."""
    generator = np.random.default_rng(zlib.crc32(row.name.encode()))

    def make(leaf: Any) -> Any:
        if not is_input(leaf):
            return leaf
        values, kind = leaf.make(generator), leaf.dtype
        if dtype is not None and kind == "float32":
            kind = dtype
            values = values if dtypes.is_float(dtype) else np.nan_to_num(values, posinf=2.0, neginf=-2.0)
            values = (
                np.abs(np.round(values * 3))
                if dtype == "uint8"
                else np.round(values * 3)
                if dtypes.is_integer(dtype)
                else values > 0
                if dtype == "bool"
                else values
            )
        return np.asarray(values).astype(dtypes.numpy_dtype(kind))

    return tree.map_structure(make, list(inputs))


def exact(leaf: Any, kind: str | None = None) -> Any:
    """An array in the widest dtype of its kind; what NumPy is to compute a "float" or "sum" from is no integer, or no bool."""
    if not isinstance(leaf, np.ndarray) or (leaf.dtype == bool and kind not in ("float", "sum")):
        return leaf
    if leaf.dtype == bool or (kind == "float" and leaf.dtype.kind in "iu"):
        return leaf.astype(np.float64 if kind == "float" else np.int64)
    return leaf.astype(np.int64 if leaf.dtype.kind in "iu" else np.complex128 if leaf.dtype.kind == "c" else np.float64)


def tensors_of(arrays: Any) -> Any:
    """Arrays as tensors of the current engine."""
    return tree.map_structure(
        lambda leaf: current().asarray(leaf, dtypes.standardize_dtype(leaf.dtype)) if isinstance(leaf, np.ndarray) else leaf, arrays
    )


def leaves(result: Any) -> list[Any]:
    return [leaf for leaf in tree.flatten(result) if leaf is not None]


def host(leaf: Any) -> np.ndarray:
    return current().to_numpy(leaf) if current().is_tensor(leaf) else np.asarray(leaf)


def expected_dtype(row: Row, arrays: Any) -> str:
    found = [dtypes.standardize_dtype(leaf.dtype) if isinstance(leaf, np.ndarray) else type(leaf).__name__
             for leaf in tree.flatten(arrays) if isinstance(leaf, (np.ndarray, int, float))]  # fmt: skip
    same = dtypes.settle(dtypes.promote(*found))
    if row.dtype == "float":
        return same if dtypes.is_float(same) or dtypes.is_complex(same) else "float32"
    if row.dtype == "sum":
        return {"bool": "int32", "int8": "int32", "uint8": "uint32"}.get(same, same)
    return same if row.dtype == "same" else str(row.dtype)


def assert_close(result: Any, expected: Any, tolerance: float, what: str) -> None:
    """Equal structure, shapes, and values within tolerance, relative to the largest finite one."""
    got, want = leaves(result), leaves(expected)
    assert len(got) == len(want), f"{what}: {len(got)} results where {len(want)} are expected"
    for mine, theirs in zip(got, want, strict=True):
        a, b = host(mine), np.asarray(theirs)
        b = exact(b.astype(a.dtype) if a.dtype.kind in "iu" and b.dtype.kind in "iu" else b)  # small integers wrap
        a = exact(a)
        assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
        finite = np.abs(b[np.isfinite(b)]) if b.dtype.kind in "fc" else np.zeros(0)
        np.testing.assert_allclose(
            a, b, rtol=tolerance, atol=tolerance * (finite.max() if finite.size else 1.0) if b.dtype.kind in "fc" else 0, err_msg=what
        )


def label(options: dict[str, Any]) -> str:
    return ",".join(f"{key}={value}" for key, value in options.items()) or "plain"


def run_oracle(row: Row, arrays: Any, options: dict[str, Any]) -> Any:
    with np.errstate(all="ignore"):
        return row.oracle(*tree.map_structure(lambda leaf: exact(leaf, row.dtype), arrays), **options)


# Checks -------------------------------------------------------------------------------------------------------------------------------------


def check_values(row: Row, name: str, inputs: Any, options: dict[str, Any]) -> None:
    arrays = arrays_of(row, inputs)
    with backend(name):
        result = row.function(*tensors_of(arrays), **options)
        found = [host(leaf) for leaf in leaves(result)]
        tolerance = max((TOLERANCES.get(str(leaf.dtype), 1e-12) for leaf in found), default=0.0) * row.tolerance
        assert_close(result, run_oracle(row, arrays, options), tolerance, row.name)
        if row.dtype is not None:
            for leaf in found:
                assert str(leaf.dtype) == get_engine(name).canonical_dtype(expected_dtype(row, arrays)), row.name
        if row.name in current().fast and hasattr(row.function, "composed"):
            assert_close(
                result, tree.map_structure(host, row.function.composed(*tensors_of(arrays), **options)), TOLERANCES["float32"], f"fast {row.name}"
            )


def check_dtype(row: Row, name: str, dtype: str) -> None:
    inputs, options = row.cases()[0]
    arrays = arrays_of(row, inputs, dtype)
    with backend(name):
        result = row.function(*tensors_of(arrays), **options)
        for leaf in leaves(result):
            assert str(host(leaf).dtype) == current().canonical_dtype(expected_dtype(row, arrays)), f"{row.name} of {dtype}"
        tolerance = max(TOLERANCES.get(str(host(leaf).dtype), 1e-12) for leaf in leaves(result)) * row.tolerance
        assert_close(result, run_oracle(row, arrays, options), tolerance, f"{row.name} of {dtype}")


def check_gradient(row: Row, name: str, inputs: Any, options: dict[str, Any]) -> None:
    """Derivatives of a weighted sum of the results along random directions, against central differences of the oracle in float64."""
    arrays = arrays_of(row, inputs)
    flat = tree.flatten(arrays)
    places = [i for i, leaf in enumerate(flat) if isinstance(leaf, np.ndarray) and leaf.dtype.kind == "f"]
    outputs = [np.asarray(leaf) for leaf in leaves(run_oracle(row, arrays, options))]
    generator = np.random.default_rng(7)
    weights = [generator.normal(size=leaf.shape) if leaf.dtype.kind == "f" else None for leaf in outputs]
    if not places or all(w is None for w in weights) or any(leaf.size == 0 for leaf in (*outputs, *(flat[place] for place in places))):
        return

    def rebuilt(values: Sequence[Any]) -> Any:
        supply = list(flat)
        for place, value in zip(places, values, strict=True):
            supply[place] = value
        return tree.pack_sequence_as(arrays, supply)

    def oracle_loss(values: Sequence[np.ndarray]) -> float:
        results = leaves(run_oracle(row, rebuilt(values), options))
        return sum(float(np.sum(np.asarray(r) * w)) for r, w in zip(results, weights, strict=True) if w is not None)

    with backend(name):
        engine = current()
        fixed_tensors = tensors_of(flat)

        def loss(values: list) -> tuple[Any, None]:
            supply = list(fixed_tensors)
            for place, value in zip(places, values, strict=True):
                supply[place] = value
            results = leaves(row.function(*tree.pack_sequence_as(arrays, supply), **options))
            terms = [
                engine.sum(r * engine.asarray(w, engine.dtype(r)), tuple(range(r.ndim)), False)
                for r, w in zip(results, weights, strict=True)
                if w is not None
            ]
            return functools.reduce(lambda a, b: a + b, terms), None

        _, gradients = engine.value_and_grad(loss)([fixed_tensors[place] for place in places])
        gradients = [engine.to_numpy(g).astype(np.float64) for g in gradients]
    values = [flat[place].astype(np.float64) for place in places]
    for _ in range(3):
        directions = [generator.normal(size=v.shape) for v in values]
        step = 1e-6
        ahead, behind = (oracle_loss([v + s * d for v, d in zip(values, directions, strict=True)]) for s in (step, -step))
        expected = (ahead - behind) / (2 * step)
        found = sum(float(np.sum(g * d)) for g, d in zip(gradients, directions, strict=True))
        size = max(1.0, *(float(np.abs(g * d).sum()) for g, d in zip(gradients, directions, strict=True)))
        assert abs(found - expected) < 2e-4 * row.tolerance * size, f"gradient of {row.name}: {found}, expected {expected}"


def check_spec(row: Row, inputs: Any, options: dict[str, Any]) -> None:
    """Inferred shapes and dtypes are those of the NumPy engine, with known sizes and with unknown ones; symbolic calls give the same."""
    arrays = arrays_of(row, inputs)
    batch = next((leaf.shape[:1] for leaf in tree.flatten(arrays) if isinstance(leaf, np.ndarray)), ())
    with backend("numpy"):
        real = leaves(row.function(*tensors_of(arrays), **options))
        for unknown in (False, True) if row.unknown else (False,):
            first = lambda shape, unknown=unknown: (None, *shape[1:]) if unknown and shape[:1] == batch else tuple(shape)  # noqa: E731
            specs = tree.map_structure(
                lambda leaf, first=first: Spec(first(leaf.shape), dtypes.standardize_dtype(leaf.dtype)) if isinstance(leaf, np.ndarray) else leaf,
                arrays,
            )
            assert_alike(leaves(infer(row.function, *specs, **options)), real, row.name)
            if any(isinstance(leaf, Spec) for leaf in tree.flatten(specs)):
                symbolic = tree.map_structure(lambda leaf: Symbolic(leaf.shape, leaf.dtype) if isinstance(leaf, Spec) else leaf, specs)
                assert_alike(leaves(row.function(*symbolic, **options)), real, f"symbolic {row.name}")


def assert_alike(inferred: Sequence[Any], real: Sequence[Any], what: str) -> None:
    assert len(inferred) == len(real), what
    for guess, truth in zip(inferred, real, strict=True):
        if hasattr(truth, "shape") and hasattr(guess, "shape"):
            assert len(guess.shape) == len(truth.shape) and all(n in (None, m) for n, m in zip(guess.shape, truth.shape, strict=True)), (
                f"{what}: {guess.shape}, {truth.shape}"
            )
            assert guess.dtype == dtypes.standardize_dtype(truth.dtype), f"{what}: {guess.dtype}, {truth.dtype}"


def check_edges(row: Row, name: str) -> None:
    values = np.asarray(row.edges, np.float32)
    with backend(name):
        result = row.function(current().asarray(values))
        with np.errstate(all="ignore"):
            assert_close(result, row.oracle(values.astype(np.float64)), 2e-5 * row.tolerance, f"edges of {row.name}")


def check_error(row: Row, name: str, inputs: Any, options: dict[str, Any], text: str) -> None:
    with backend(name):
        tensors = tensors_of(arrays_of(row, inputs))
        with pytest.raises((ValueError, TypeError, IndexError)) as caught:
            row.function(*tensors, **options)
        assert str(caught.value) == text


# Tests --------------------------------------------------------------------------------------------------------------------------------------


def checks(rows: Sequence[Row]) -> dict[str, Callable]:
    """Test functions for a module: globals().update(checks(ROWS))."""

    def each(cases: Iterator[tuple[str, tuple]]) -> Callable:
        found = list(cases)
        return pytest.mark.parametrize("case", [case for _, case in found], ids=[name for name, _ in found])

    def per_engine(cases: Callable[[Row], list[tuple[str, tuple]]], differentiable: bool = False) -> Iterator[tuple[str, tuple]]:
        for row in rows:
            for text, case in cases(row):
                for name in engines():
                    if get_engine(name).differentiable or not differentiable:
                        yield f"{row.name}-{text}-{name}", (row, name, *case)

    def grid(row: Row) -> list[str]:
        kinds = {"float": FLOATS[:2], "integer": INTEGERS, "bool": ("bool",)}
        return [dtype for kind in row.takes.split() for dtype in kinds[kind]]

    numbered = lambda row: [(f"{i}-{label(options)}", (inputs, options)) for i, (inputs, options) in enumerate(row.cases())]  # noqa: E731

    @each(per_engine(numbered))
    def test_values(case: tuple) -> None:
        check_values(*case)

    @each(per_engine(lambda row: [(d, (d,)) for d in grid(row)] if row.dtype is not None else []))
    def test_dtypes(case: tuple) -> None:
        check_dtype(*case)

    @each(per_engine(lambda row: numbered(row) if row.gradient else [], differentiable=True))
    def test_gradient(case: tuple) -> None:
        check_gradient(*case)

    @each((f"{row.name}-{text}", (row, *case)) for row in rows if row.spec for text, case in numbered(row))
    def test_spec(case: tuple) -> None:
        check_spec(*case)

    @each(per_engine(lambda row: [("edges", ())] if len(row.edges) else []))
    def test_edges(case: tuple) -> None:
        check_edges(*case)

    @each(per_engine(lambda row: [(f"error{i}", error) for i, error in enumerate(row.errors)]))
    def test_errors(case: tuple) -> None:
        check_error(*case)

    return {name: value for name, value in locals().items() if name.startswith("test_")}


def argument_names(name: str, package: str = "nyala.ops") -> str:
    """Arguments of a public function with their defaults, as one string: what parity tests compare."""
    signature = inspect.signature(getattr(importlib.import_module(package), name))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))[1:-1]
