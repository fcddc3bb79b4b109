# SPDX-License-Identifier: Apache-2.0
"""The engine that writes what it is asked to compute as operations of ONNX. Nobody selects it: `_onnx_export` runs a model on it once.

Shapes and dtypes come from the rules of the spec engine; each primitive adds the operations that compute it. Training, linear algebra and random
numbers are refused. Start at OnnxEngine, then at `_unary`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np

from nyala.core.dtypes import numpy_dtype
from nyala.core.errors import ArgumentError
from nyala.core.op import install_operators
from nyala.engines import get_engine
from nyala.engines._onnx_graph import TYPES, Constant, Graph, Input, Number, Pads, Sizes, Trace
from nyala.engines._spec_rules import SpecTensor, broadcast, is_scalar, kind_of
from nyala.engines.protocol import Engine, Shape, Tensor

WIDER = {"float16": "float32", "bfloat16": "float32", "int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}
MOVES = {"Cast", "Concat", "Gather", "GatherElements", "Identity", "Reshape", "Slice", "Transpose", "BitShift", "BitwiseNot", "BitwiseAnd",
         "BitwiseOr", "BitwiseXor"}  # what computes in every dtype  # fmt: skip
SIGNED = {"Neg", "Pow", "ReduceSum", "ReduceProd", "CumSum", "Where"}  # what lacks uint64, and gives the same bits for int64
LAST = np.iinfo(np.int64).min  # where a slice that runs backwards ends


class OnnxTensor(SpecTensor):
    """A value of the graph: its shape in this trace, its dtype, and its name or constant."""

    __slots__ = ("value",)

    def __init__(self, shape: Sequence[int], dtype: str, value: Input) -> None:
        super().__init__(shape, dtype)
        self.value = value

    def __repr__(self) -> str:
        return f"OnnxTensor({self.shape}, {self.dtype})"

    __hash__ = object.__hash__


install_operators(OnnxTensor)


class OnnxEngine(Engine):
    """See `Engine` for the contract of every method.

    Args:
        trace: what is written to.
    """

    name = "onnx"
    differentiable = False

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.spec: Any = get_engine("spec")
        self.fast = {name.removeprefix("_fast_"): getattr(self, name) for name in dir(type(self)) if name.startswith("_fast_")}

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> OnnxTensor:
        if isinstance(value, OnnxTensor):
            return value if dtype is None or value.dtype == dtype else self.cast(value, dtype)
        if isinstance(value, SpecTensor):
            _refuse("a tensor of known values", "one that has a shape alone")
        if isinstance(value, (list, tuple)) and any(isinstance(part, OnnxTensor) for part in value):
            parts = [self.asarray(part, dtype) for part in value]
            return self.concatenate([self.reshape(part, (1, *part.shape)) for part in parts], 0)
        array = np.asarray(value)
        array = array if dtype is None else array.astype(numpy_dtype(dtype))
        return OnnxTensor(array.shape, array.dtype.name, Constant(np.array(array, order="C")))

    def constant(self, array: np.ndarray, key: Any, name: str) -> OnnxTensor:
        """A tensor of an array that is the same in every trace."""
        return OnnxTensor(array.shape, array.dtype.name, Constant(array, key, name))

    def to_numpy(self, x: Tensor) -> NoReturn:
        _refuse("a model whose operations follow from shapes", "one that looks at the values of a tensor", "use ops.where or ops.cond in it")

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, OnnxTensor)

    def shape(self, x: Tensor) -> Shape:
        return x.shape

    def dtype(self, x: Tensor) -> str:
        return x.dtype

    def canonical_dtype(self, dtype: str) -> str:
        return dtype

    def block(self, tree: Any) -> Any:
        return tree

    def devices(self) -> list[str]:
        return ["cpu:0"]

    # Transforms -------------------------------------------------------------------------------------------------------------

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        return function

    def eval_shape(self, function: Callable, *args: Any) -> Any:
        return function(*args)

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        def mapped(*args: Any) -> Any:
            axes = list(in_axes) if isinstance(in_axes, (list, tuple)) else [in_axes] * len(args)
            moved = [
                x if axis is None else self.transpose(x, (axis, *(i for i in range(x.ndim) if i != axis))) for x, axis in zip(args, axes, strict=True)
            ]
            xs = [x for x, axis in zip(moved, axes, strict=True) if axis is not None]
            single: list[bool] = []

            def body(_: tuple, rows: tuple) -> tuple[tuple, tuple]:
                found = iter(rows)
                result = function(*(x if axis is None else next(found) for x, axis in zip(moved, axes, strict=True)))
                single[:] = [isinstance(result, OnnxTensor)]
                return (), (result,) if single[0] else tuple(result)

            _, ys = self.scan(body, (), tuple(xs), xs[0].shape[0], False, 1)
            if out_axes != 0:
                ys = tuple(self.transpose(y, (*range(1, out_axes + 1), 0, *range(out_axes + 1, y.ndim))) for y in ys)
            return ys[0] if single[0] else ys

        return mapped

    def custom_gradient(self, function: Callable) -> Callable:
        return lambda *tensors: function(*tensors)[0]

    def remat(self, function: Callable) -> Callable:
        return function

    def stop_gradient(self, x: Tensor) -> Tensor:
        return x

    # Writing ------------------------------------------------------------------------------------------------------------------

    def add_node(self, kind: str, inputs: Sequence[Any], like: SpecTensor, **attributes: Any) -> OnnxTensor:
        """The output of one operation, whose shape and dtype are those of `like`. Runtimes compute in few dtypes: the others go by a wider one."""
        wide = like.dtype
        if kind in SIGNED and like.dtype == "uint64":  # the same bits
            signed = self.add_node(kind, [self.cast(x, "int64") if isinstance(x, OnnxTensor) and x.dtype == "uint64" else x for x in inputs],
                                   _as(like, "int64"), **attributes)  # fmt: skip
            return self.cast(signed, "uint64")
        if kind not in MOVES:
            inputs, wide = [self._widened(x) for x in inputs], WIDER.get(wide, wide)
        (name,) = self.trace.add(kind, [_value(x) for x in inputs], **attributes)
        self.trace.shapes[name] = like.shape
        return self.cast(OnnxTensor(like.shape, wide, name), like.dtype)

    def _widened(self, x: Any) -> Any:
        if not isinstance(x, OnnxTensor) or x.dtype not in WIDER:
            return x
        wide = WIDER[x.dtype]
        if isinstance(x.value, Number):  # as the narrow dtype rounds it
            return OnnxTensor((), wide, Number(np.asarray(x.value.value, numpy_dtype(x.dtype)).astype(wide).item(), wide))
        return self.cast(x, wide)

    def lifted(self, *operands: Any) -> list[OnnxTensor]:
        """Operands as tensors: a Python number takes the dtype of the others."""
        dtype = next(x.dtype for x in operands if isinstance(x, SpecTensor))
        return [OnnxTensor((), dtype, Number(x, dtype)) if is_scalar(x) else x for x in operands]

    def transposed(self, x: Any, axes: Sequence[int]) -> OnnxTensor:
        """As transpose; a constant is transposed in the file."""
        axes = tuple(axes)
        if isinstance(x.value, Constant):
            return self.derived(x, lambda array: array.transpose(axes), axes)
        return self.transpose(x, axes)

    def derived(self, x: OnnxTensor, function: Callable[[np.ndarray], np.ndarray], key: Any) -> OnnxTensor:
        """A constant made of a constant, once for each key."""
        source: Any = x.value
        kept = (source.key if source.key is not None else id(source.array), key)
        if kept not in self.trace.kept:
            made = Constant(np.ascontiguousarray(function(source.array)), None if source.key is None else kept, source.name)
            self.trace.kept[kept] = source, made
        _, found = self.trace.kept[kept]
        return OnnxTensor(found.array.shape, found.array.dtype.name, found)

    # Elementwise ------------------------------------------------------------------------------------------------------------

    def rsqrt(self, x: Tensor) -> Tensor:
        return self.add_node("Reciprocal", [self.sqrt(x)], x)

    def expm1(self, x: Tensor) -> Tensor:
        """As 2 sinh(x / 2) exp(x / 2), which is exact near 0; below -50 it is -1."""
        x = self.maximum(x, -50.0)
        half = self.multiply(x, 0.5)
        return self.multiply(self.multiply(self.sinh(half), self.exp(half)), 2.0)

    def log1p(self, x: Tensor) -> Tensor:
        """As log(u) x / (u - 1) with u = 1 + x rounded: what was lost in u is made good."""
        u = self.add(x, 1.0)
        lost = self.subtract(u, 1.0)
        exact = self.equal(lost, x)
        return self.where(exact, self.log(u), self.where(self.equal(lost, 0.0), x, self.multiply(self.log(u), self.divide(x, lost))))

    def arctan2(self, x: Tensor, y: Tensor) -> Tensor:
        """From the angle of x / y in the right half, where two infinities count as 1 and two zeros as x."""
        x, y = self.lifted(x, y)
        infinite = self.logical_and(self._is_infinite(x), self._is_infinite(y))
        zero = self.logical_and(self.equal(x, 0.0), self.equal(y, 0.0))
        ratio = self.where(infinite, self.multiply(self.sign(x), self.sign(y)), self.where(zero, x, self.divide(x, y)))
        angle = self.arctan(ratio)
        left = self.where(self._is_negative(x), self.subtract(angle, math.pi), self.add(angle, math.pi))
        return self.where(self._is_negative(y), left, angle)

    def _is_infinite(self, x: Any) -> Tensor:
        return self.equal(self.abs(x), math.inf)

    def _is_negative(self, x: Any) -> Tensor:
        """Below 0, or -0."""
        return self.logical_or(self.less(x, 0.0), self.logical_and(self.equal(x, 0.0), self.less(self.divide(self.lifted(1.0, x)[0], x), 0.0)))

    def round(self, x: Tensor) -> Tensor:
        return self.add_node("Round", [x], x) if kind_of(x.dtype) == "float" else x

    def floor(self, x: Tensor) -> Tensor:
        return self.add_node("Floor", [x], x) if kind_of(x.dtype) == "float" else x

    def ceil(self, x: Tensor) -> Tensor:
        return self.add_node("Ceil", [x], x) if kind_of(x.dtype) == "float" else x

    def isnan(self, x: Tensor) -> Tensor:
        return self.add_node("IsNaN", [x], _as(x, "bool")) if kind_of(x.dtype) == "float" else self.full(x.shape, False, "bool")

    def isfinite(self, x: Tensor) -> Tensor:
        if kind_of(x.dtype) != "float":
            return self.full(x.shape, True, "bool")
        return self.less(self.abs(x), math.inf)

    def add(self, x: Any, y: Any) -> Tensor:
        return self._of_two("Or" if _is_bool(x, y) else "Add", x, y)

    def multiply(self, x: Any, y: Any) -> Tensor:
        return self._of_two("And" if _is_bool(x, y) else "Mul", x, y)

    def maximum(self, x: Any, y: Any) -> Tensor:
        return self._of_two("Or" if _is_bool(x, y) else "Max", x, y)

    def minimum(self, x: Any, y: Any) -> Tensor:
        return self._of_two("And" if _is_bool(x, y) else "Min", x, y)

    def _of_two(self, kind: str, x: Any, y: Any, dtype: str | None = None) -> OnnxTensor:
        x, y = self.lifted(x, y)
        return self.add_node(kind, [x, y], SpecTensor(broadcast(kind, x.shape, y.shape), dtype or x.dtype))

    def floor_divide(self, x: Any, y: Any) -> Tensor:
        x, y = self.lifted(x, y)
        if kind_of(x.dtype) == "float":  # the rest is exact, a quotient may have been rounded up
            whole = self.round(self.divide(self.subtract(x, self.remainder(x, y)), y))
            return self.where(self.logical_and(self.less(self.abs(x), math.inf), self.not_equal(y, 0.0)), whole, self.divide(x, y))
        zero, turns = self.equal(y, 0), self.equal(y, -1) if kind_of(x.dtype) == "int" else self.full(y.shape, False, "bool")
        divisor = self.where(self.logical_or(zero, turns), 1, y)  # the smallest integer by -1 ends programs
        quotient = self._of_two("Div", x, divisor)  # rounds towards 0
        if kind_of(x.dtype) == "int":
            rest = self.subtract(x, self.multiply(quotient, divisor))
            below = self.logical_and(self.not_equal(rest, 0), self.not_equal(self.less(rest, 0), self.less(divisor, 0)))
            quotient = self.subtract(quotient, self.cast(below, x.dtype))
            quotient = self.where(turns, self.negative(quotient), quotient)
        return self.where(zero, 0, quotient)

    def remainder(self, x: Any, y: Any) -> Tensor:
        x, y = self.lifted(x, y)
        if kind_of(x.dtype) == "float":
            rest = self.add_node("Mod", [x, y], SpecTensor(broadcast("remainder", x.shape, y.shape), x.dtype), fmod=1)  # with the sign of x
            other = self.logical_and(self.not_equal(rest, 0.0), self.not_equal(self.less(rest, 0.0), self.less(y, 0.0)))
            return self.where(other, self.add(rest, y), rest)
        zero = self.equal(y, 0)
        turns = self.equal(y, -1) if kind_of(x.dtype) == "int" else zero
        rest = self._of_two("Mod", x, self.where(self.logical_or(zero, turns), 1, y))
        return self.where(zero, 0, rest)

    def not_equal(self, x: Any, y: Any) -> Tensor:
        return self.logical_not(self.equal(x, y))

    def _shifted(self, x: Any, y: Any, left: bool) -> Tensor:
        x, y = self.lifted(x, y)
        inside = self.less(y, int(x.dtype.lstrip("uint")))
        if kind_of(x.dtype) == "uint":
            like = SpecTensor(broadcast("shift", x.shape, y.shape), x.dtype)
            shifted = self.add_node("BitShift", [x, y], like, direction="LEFT" if left else "RIGHT")
        else:
            wide = self.cast(x, "int64")
            factor = self.cast(self.power(self.full((), 2.0, "float64"), self.cast(self.where(inside, y, 0), "float64")), "int64")
            shifted = self.cast(self.multiply(wide, factor) if left else self.floor_divide(wide, factor), x.dtype)
        sign = 0 if left or kind_of(x.dtype) == "uint" else self.where(self.less(x, 0), self.full((), -1, x.dtype), 0)
        return self.where(inside, shifted, sign)

    def left_shift(self, x: Any, y: Any) -> Tensor:
        return self._shifted(x, y, True)

    def right_shift(self, x: Any, y: Any) -> Tensor:
        return self._shifted(x, y, False)

    def where(self, condition: Any, x: Any, y: Any) -> Tensor:
        x, y = self.lifted(x, y)
        condition = OnnxTensor((), "bool", Number(condition, "bool")) if is_scalar(condition) else condition
        if x.dtype == "bool":  # runtimes have no such choice
            return self.logical_or(self.logical_and(condition, x), self.logical_and(self.logical_not(condition), y))
        return self.add_node("Where", [condition, x, y], self.spec.where(condition, x, y))

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        if x.dtype == dtype:
            return x
        if dtype not in TYPES:
            _refuse("dtypes that ONNX has here", dtype)
        return self.add_node("Cast", [x], _as(x, dtype), to=int(TYPES[dtype]))

    # Reductions -------------------------------------------------------------------------------------------------------------

    def _reduced(self, kind: str, x: Any, axes: Sequence[int], keepdims: bool) -> OnnxTensor:
        like = self.spec.max(_as(x, "float32"), tuple(axes), keepdims)
        if not axes:
            return x
        return self.add_node(kind, [x, Sizes(tuple(axes))], SpecTensor(like.shape, x.dtype), keepdims=int(keepdims))

    def sum(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self._reduced("ReduceSum", x, axes, keepdims)

    def prod(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self._reduced("ReduceProd", x, axes, keepdims)

    def max(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self.any(x, axes, keepdims) if x.dtype == "bool" else self._reduced("ReduceMax", x, axes, keepdims)

    def min(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self.all(x, axes, keepdims) if x.dtype == "bool" else self._reduced("ReduceMin", x, axes, keepdims)

    def any(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self.greater(self._reduced("ReduceMax", self.cast(x, "int32"), axes, keepdims), 0)

    def all(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return self.cast(self._reduced("ReduceMin", self.cast(x, "int32"), axes, keepdims), "bool")

    def _place(self, kind: str, x: Any, axis: int) -> Tensor:
        compared = {"bool": "int32", "int64": "float64", "uint32": "float64", "uint64": "float64"}
        x = self.cast(x, compared[x.dtype]) if x.dtype in compared else x
        return self.cast(self.add_node(kind, [x], _as(self.spec.argmax(x, axis), "int64"), axis=axis, keepdims=0), "int32")

    def argmax(self, x: Tensor, axis: int) -> Tensor:
        return self._place("ArgMax", x, axis)

    def argmin(self, x: Tensor, axis: int) -> Tensor:
        return self._place("ArgMin", x, axis)

    def cumsum(self, x: Tensor, axis: int) -> Tensor:
        return self.add_node("CumSum", [x, Number(axis, "int64")], x)

    def _running(self, x: Any, axis: int, combine: Callable, neutral: Any) -> Tensor:
        """By doubling: each turn reaches twice as far back."""
        step, size = 1, x.shape[axis]
        while step < size:
            widths = [(step, 0) if i == axis else (0, 0) for i in range(x.ndim)]
            stops = [n - step if i == axis else n for i, n in enumerate(x.shape)]
            before = self.pad(self.slice(x, (0,) * x.ndim, tuple(stops), (1,) * x.ndim), widths, neutral)
            x, step = combine(x, before), 2 * step
        return x

    def cumprod(self, x: Tensor, axis: int) -> Tensor:
        return self._running(x, axis, self.multiply, 1)

    def cummax(self, x: Tensor, axis: int) -> Tensor:
        lowest = -math.inf if kind_of(x.dtype) == "float" else 0 if kind_of(x.dtype) in ("uint", "bool") else int(np.iinfo(x.dtype).min)
        return self._running(x, axis, self.maximum, lowest)

    # Shape moves -------------------------------------------------------------------------------------------------------------

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        if tuple(shape) == x.shape:
            return x
        if isinstance(x.value, Constant) and x.value.key is not None:
            return self.derived(x, lambda array: array.reshape(shape), ("reshape", tuple(shape)))
        return self.add_node("Reshape", [x, Sizes(tuple(int(n) for n in shape))], self.spec.reshape(x, shape))

    def transpose(self, x: Tensor, axes: Shape) -> Tensor:
        if tuple(axes) == tuple(range(x.ndim)):
            return x
        return self.add_node("Transpose", [x], self.spec.transpose(x, axes), perm=[int(axis) for axis in axes])

    def broadcast_to(self, x: Tensor, shape: Shape) -> Tensor:
        return self.add_node("Expand", [x, Sizes(tuple(int(n) for n in shape))], self.spec.broadcast_to(x, shape)) if tuple(shape) != x.shape else x

    def concatenate(self, xs: Sequence[Tensor], axis: int) -> Tensor:
        xs = list(xs)
        return xs[0] if len(xs) == 1 else self.add_node("Concat", xs, self.spec.concatenate(xs, axis), axis=axis)

    def pad(self, x: Tensor, widths: Sequence[tuple[int, int]], value: Any) -> Tensor:
        like = self.spec.pad(x, widths, value)
        if x.dtype == "bool":
            return self.cast(self.pad(self.cast(x, "int32"), widths, int(value)), "bool")
        pads = Sizes((*(int(before) for before, _ in widths), *(int(after) for _, after in widths)))
        return self.add_node("Pad", [x, pads, OnnxTensor((), x.dtype, Number(value, x.dtype))], like) if any(pads.values) else x

    def slice(self, x: Tensor, starts: Shape, stops: Shape, steps: Shape) -> Tensor:
        like = self.spec.slice(x, starts, stops, steps)
        axes = [i for i, (a, b, s) in enumerate(zip(starts, stops, steps, strict=True)) if (a, b, s) != (0, x.shape[i], 1)]
        if not axes:
            return x
        vectors = [Sizes(tuple(int(values[i]) for i in axes)) for values in (starts, stops)]
        return self.add_node("Slice", [x, *vectors, Sizes(tuple(axes)), Sizes(tuple(int(steps[i]) for i in axes))], like)

    def flip(self, x: Tensor, axes: Shape) -> Tensor:
        count = len(axes)
        return self.add_node("Slice", [x, Sizes((-1,) * count), Sizes((LAST,) * count), Sizes(tuple(axes)), Sizes((-1,) * count)], x) if count else x

    # Indexing ----------------------------------------------------------------------------------------------------------------

    def take(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        return self.add_node("Gather", [x, indices], self.spec.take(x, indices, axis), axis=axis)

    def take_along_axis(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        like = self.spec.take_along_axis(x, indices, axis)
        whole = tuple(x.shape[axis] if i == axis else n for i, n in enumerate(like.shape))
        return self.add_node("GatherElements", [self.broadcast_to(x, whole), self.broadcast_to(indices, like.shape)], like, axis=axis)

    def scatter(self, x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
        like = self.spec.scatter(x, indices, updates, mode)
        if x.dtype == "bool":
            mode = {"add": "max", "multiply": "min"}.get(mode, mode)
            return self.cast(self.scatter(self.cast(x, "int32"), indices, self.cast(updates, "int32"), mode), "bool")
        kind = {"set": "none", "add": "add", "multiply": "mul", "max": "max", "min": "min"}[mode]
        sizes = self.asarray(np.array(x.shape[: indices.shape[1]], np.int64))
        places = self.cast(indices, "int64")
        places = self.where(self.less(places, 0), self.add(places, sizes), places)
        return self.add_node("ScatterND", [x, places, updates], like, reduction=kind)

    def _starts(self, starts: Sequence[Any], sizes: Shape, blocks: Shape) -> OnnxTensor:
        """Where a block begins, moved so that it lies inside, as a vector of int64."""
        parts = [
            self.asarray(np.array([start], np.int64)) if isinstance(start, int) else self.reshape(self.cast(start, "int64"), (1,)) for start in starts
        ]
        most = self.asarray(np.array([n - k for n, k in zip(sizes, blocks, strict=True)], np.int64))
        return self.maximum(self.minimum(self.concatenate(parts, 0), most), 0)

    def dynamic_slice(self, x: Tensor, starts: Sequence[Any], sizes: Shape) -> Tensor:
        like = self.spec.dynamic_slice(x, starts, sizes)
        if not x.ndim:
            return x
        first = self._starts(starts, x.shape, sizes)
        last = self.add(first, self.asarray(np.array(sizes, np.int64)))
        return self.add_node("Slice", [x, first, last, Sizes(tuple(range(x.ndim)))], like)

    def dynamic_update_slice(self, x: Tensor, update: Tensor, starts: Sequence[Any]) -> Tensor:
        like = self.spec.dynamic_update_slice(x, update, starts)
        if not x.ndim:
            return update
        places = np.stack(np.meshgrid(*map(np.arange, update.shape), indexing="ij"), axis=-1).astype(np.int64)
        places = self.add(self.asarray(places), self._starts(starts, x.shape, update.shape))
        return self.add_node("ScatterND", [x, places, update], like)

    def nonzero(self, x: Tensor) -> NoReturn:
        OnnxEngine.to_numpy(self, x)

    # Order -------------------------------------------------------------------------------------------------------------------

    def _ordered(self, x: Any, k: int, axis: int, largest: bool) -> tuple[Tensor, Tensor]:
        shape = tuple(k if i == axis else n for i, n in enumerate(x.shape))
        kept = x.dtype
        x = self.cast(x, "int32") if kept == "bool" else self._widened(x)
        values, places = self.trace.add("TopK", [_value(x), Sizes((k,))], 2, axis=axis, largest=int(largest), sorted=1)
        return self.cast(OnnxTensor(shape, x.dtype, values), kept), self.cast(OnnxTensor(shape, "int64", places), "int32")

    def sort(self, x: Tensor, axis: int) -> Tensor:
        return self._ordered(x, x.shape[axis], axis, False)[0]

    def argsort(self, x: Tensor, axis: int) -> Tensor:
        return self._ordered(x, x.shape[axis], axis, False)[1]

    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        return self._ordered(x, k, x.ndim - 1, True)

    def searchsorted(self, sequence: Tensor, values: Tensor, side: str) -> Tensor:
        compare = self.less if side == "left" else self.less_equal
        below = compare(sequence, self.reshape(values, (*values.shape, 1)))
        return self.sum(self.cast(below, "int32"), (values.ndim,), False)

    # Contractions and windows ------------------------------------------------------------------------------------------------

    def matmul(self, x: Tensor, y: Tensor) -> Tensor:
        like = self.spec.matmul(x, y)
        if kind_of(like.dtype) == "float" or like.dtype in ("int32", "int64", "uint32", "uint64"):
            return self.add_node("MatMul", [x, y], like)
        return self.cast(self.matmul(self.cast(x, "int32"), self.cast(y, "int32")), like.dtype)

    def einsum(self, equation: str, *operands: Tensor) -> Tensor:
        return self.add_node("Einsum", operands, self.spec.einsum(equation, *operands), equation=equation)

    def conv(self, x: Tensor, kernel: Tensor, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape, groups: int) -> Tensor:
        like, n = self.spec.conv(x, kernel, strides, padding, dilation, groups), x.ndim - 2
        kernel = self.transposed(kernel, (n + 1, n, *range(n)))
        settings = {"strides": list(strides), "dilations": list(dilation), "group": groups, "kernel_shape": list(kernel.shape[2:])}
        pads = _pads(x.shape[1:-1], kernel.shape[2:], strides, padding, dilation)
        return self._channels_last(self.add_node("Conv", [self._channels_first(x), kernel], _first(like), pads=pads, **settings), like)

    def conv_input_gradient(
        self, g: Tensor, kernel: Tensor, input_shape: Shape, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape, groups: int
    ) -> Tensor:
        n, like = g.ndim - 2, SpecTensor(input_shape, g.dtype)
        kernel = self.transposed(kernel, (n + 1, n, *range(n)))
        sizes = zip(g.shape[1:-1], kernel.shape[2:], strides, padding, dilation, input_shape[1:-1], strict=True)
        more = [size - ((count - 1) * step + d * (k - 1) + 1 - before - after) for count, k, step, (before, after), d, size in sizes]
        # What lies beyond the windows is 0: some kernels of output_padding refuse more than a stride, a Pad does not.
        pads = [before for before, _ in padding] + [after for _, after in padding]
        settings = {"strides": list(strides), "dilations": list(dilation), "group": groups, "kernel_shape": list(kernel.shape[2:]), "pads": pads}
        small = all(0 <= extra < max(step, d) for extra, step, d in zip(more, strides, dilation, strict=True))
        if small:
            result = self.add_node("ConvTranspose", [self._channels_first(g), kernel], _first(like), output_padding=more, **settings)
            return self._channels_last(result, like)
        short = SpecTensor((g.shape[0], *(size - extra for size, extra in zip(input_shape[1:-1], more, strict=True)), input_shape[-1]), g.dtype)
        result = self._channels_last(self.add_node("ConvTranspose", [self._channels_first(g), kernel], _first(short), **settings), short)
        return self.pad(result, [(0, 0), *((0, extra) for extra in more), (0, 0)], 0)

    def max_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]]) -> Tensor:
        like = self.spec.max_pool(x, window, strides, padding)
        if kind_of(x.dtype) != "float":
            return self.cast(self.max_pool(self.cast(x, "float64"), window, strides, padding), x.dtype)
        pads = _pads(x.shape[1:-1], window, strides, padding, (1,) * len(window))
        result = self.add_node("MaxPool", [self._channels_first(x)], _first(like), kernel_shape=list(window), strides=list(strides), pads=pads)
        return self._channels_last(result, like)

    def sum_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]]) -> Tensor:
        like = self.spec.sum_pool(x, window, strides, padding)
        if kind_of(x.dtype) != "float":
            return self.cast(self.round(self.sum_pool(self.cast(x, "float32"), window, strides, padding)), x.dtype)
        pads = _pads(x.shape[1:-1], window, strides, padding, (1,) * len(window))
        settings = {"kernel_shape": list(window), "strides": list(strides), "count_include_pad": 1}
        result = self.add_node("AveragePool", [self._channels_first(x)], _first(like), pads=pads, **settings)
        return self.multiply(self._channels_last(result, like), float(math.prod(window)))

    def _channels_first(self, x: Any) -> OnnxTensor:
        """(b, c, *s) of (b, *s, c); what was turned the other way just before is taken as it was."""
        last = self.trace.graphs[-1].nodes
        perm = [0, *range(2, x.ndim), 1]
        for node in reversed(last[-4:]):
            if node.outputs == [x.value] and node.kind == "Transpose" and node.attributes["perm"] == perm:
                return OnnxTensor(_first(x).shape, x.dtype, node.inputs[0])
        return self.transpose(x, (0, x.ndim - 1, *range(1, x.ndim - 1)))

    def _channels_last(self, x: Any, like: SpecTensor) -> OnnxTensor:
        return self.add_node("Transpose", [x], like, perm=[0, *range(2, x.ndim), 1])

    # Creation -----------------------------------------------------------------------------------------------------------------

    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        return self.add_node("Expand", [OnnxTensor((), dtype, Number(value, dtype)), Sizes(tuple(int(n) for n in shape))], SpecTensor(shape, dtype))

    def arange(self, size: int, dtype: str) -> Tensor:
        found = self.add_node("Range", [Number(0, "int64"), Number(size, "int64"), Number(1, "int64")], SpecTensor((size,), "int64"))
        return self.cast(found, dtype)

    def random_bits(self, key: Tensor, shape: Shape) -> NoReturn:
        _refuse("a model that computes the same each time", "one that draws random numbers", "leave out what draws them")

    # Control flow -------------------------------------------------------------------------------------------------------------

    def _written(self, inputs: Sequence[Any], function: Callable[[list[OnnxTensor]], Sequence[Any]]) -> tuple[Graph, list[Any]]:
        """A graph of a function of tensors like `inputs`, and its results."""
        names = [self.trace.name() for _ in inputs]
        results: list[Any] = []

        def write() -> None:
            graph = self.trace.graphs[-1]
            graph.inputs = [(name, x.shape, x.dtype) for name, x in zip(names, inputs, strict=True)]
            found = function([OnnxTensor(x.shape, x.dtype, name) for name, x in zip(names, inputs, strict=True)])
            results.extend(self.add_node("Identity", [self.asarray(x)], self.asarray(x)) for x in found)
            graph.outputs = [(x.value, x.shape, x.dtype) for x in results]

        return self.trace.inside(write), results

    def cond(self, predicate: Any, true_fn: Callable, false_fn: Callable, operands: tuple) -> tuple:
        predicate = OnnxTensor((), "bool", Number(predicate, "bool")) if is_scalar(predicate) else predicate
        first, results = self._written((), lambda _: true_fn(*operands))
        second, _ = self._written((), lambda _: false_fn(*operands))
        names = self.trace.add("If", [_value(predicate)], len(results), then_branch=first, else_branch=second)
        return tuple(OnnxTensor(x.shape, x.dtype, name) for x, name in zip(results, names, strict=True))

    def while_loop(self, condition: Callable, body: Callable, state: tuple) -> tuple:
        state = tuple(self.asarray(x) for x in state)
        turn = (SpecTensor((), "int64"), SpecTensor((), "bool"))

        def write(inputs: list[OnnxTensor]) -> list[Any]:
            after = tuple(self.asarray(x, old.dtype) for x, old in zip(body(*inputs[2:]), state, strict=True))
            return [condition(*after), *after]

        graph, _ = self._written((*turn, *state), write)
        names = self.trace.add("Loop", ["", _value(condition(*state)), *map(_value, state)], len(state), body=graph)
        return tuple(OnnxTensor(x.shape, x.dtype, name) for x, name in zip(state, names, strict=True))

    def scan(self, body: Callable, carry: tuple, xs: tuple, length: int, reverse: bool, unroll: int | bool) -> tuple[tuple, tuple]:
        if not xs:
            xs, plain = (self.arange(length, "int32"),), body
            body = lambda carry, _: plain(carry, ())  # noqa: E731
        carry = tuple(self.asarray(x) for x in carry)

        def write(inputs: list[OnnxTensor]) -> list[Any]:
            after, ys = body(tuple(inputs[: len(carry)]), tuple(inputs[len(carry) :]))
            return [*(self.asarray(x, old.dtype) for x, old in zip(after, carry, strict=True)), *ys]

        graph, results = self._written([*carry, *(SpecTensor(x.shape[1:], x.dtype) for x in xs)], write)
        ys = results[len(carry) :]
        settings: dict[str, Any] = {"num_scan_inputs": len(xs)}
        if reverse:
            settings["scan_input_directions"] = [1] * len(xs)
        if reverse and ys:
            settings["scan_output_directions"] = [1] * len(ys)
        names = self.trace.add("Scan", [*map(_value, carry), *map(_value, xs)], len(results), body=graph, **settings)
        after = tuple(OnnxTensor(x.shape, x.dtype, name) for x, name in zip(carry, names, strict=False))
        return after, tuple(OnnxTensor((length, *y.shape), y.dtype, name) for y, name in zip(ys, names[len(carry) :], strict=True))

    # Shortcuts: operations that ONNX has as one ------------------------------------------------------------------------------------

    def _fast_relu(self, x: Any) -> Any:
        return self.add_node("Relu", [x], x) if kind_of(x.dtype) == "float" else NotImplemented

    def _fast_leaky_relu(self, x: Any, negative_slope: float = 0.2) -> Any:
        return self.add_node("LeakyRelu", [x], x, alpha=float(negative_slope))

    def _fast_elu(self, x: Any, alpha: float = 1.0) -> Any:
        return self.add_node("Elu", [x], x, alpha=float(alpha))

    def _fast_softplus(self, x: Any) -> Any:
        return self.add_node("Softplus", [x], x)

    def _fast_softsign(self, x: Any) -> Any:
        return self.add_node("Softsign", [x], x)

    def _fast_hard_sigmoid(self, x: Any) -> Any:
        return self.add_node("HardSigmoid", [x], x, alpha=1 / 6, beta=0.5)

    def _fast_hard_silu(self, x: Any) -> Any:
        return self.add_node("HardSwish", [x], x)

    def _fast_softmax(self, x: Any, axis: Any = -1) -> Any:
        return self.add_node("Softmax", [x], x, axis=axis) if isinstance(axis, int) else NotImplemented

    def _fast_log_softmax(self, x: Any, axis: Any = -1) -> Any:
        return self.add_node("LogSoftmax", [x], x, axis=axis) if isinstance(axis, int) else NotImplemented

    def _fast_layer_normalization(
        self, x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None, **kwargs: Any
    ) -> Any:
        if kwargs or epsilon is None or x.dtype != "float32" or axis not in (-1, [-1], (-1,), x.ndim - 1, [x.ndim - 1], (x.ndim - 1,)):
            return NotImplemented
        scale = self.full((x.shape[-1],), 1.0, "float32") if gamma is None else self.cast(gamma, "float32")
        inputs = [x, scale] if beta is None else [x, scale, self.cast(beta, "float32")]
        return self.add_node("LayerNormalization", inputs, x, axis=-1, epsilon=float(epsilon))

    def _gates(self, x: Any, order: tuple[int, ...]) -> OnnxTensor:
        """(d, n u) as (1, n u, d), with the gates in another order."""
        count = len(order)
        move = lambda a: np.concatenate([np.split(a, count, axis=-1)[i] for i in order], axis=-1)  # noqa: E731
        if isinstance(x.value, Constant):
            return self.derived(x, lambda a: move(a).T[None] if a.ndim == 2 else move(a)[None], order)
        units = x.shape[-1] // count
        columns = [self.slice(x, (*(0,) * (x.ndim - 1), i * units), (*x.shape[:-1], (i + 1) * units), (1,) * x.ndim) for i in order]
        moved = self.concatenate(columns, x.ndim - 1)
        moved = self.transpose(moved, (1, 0)) if x.ndim == 2 else moved
        return self.reshape(moved, (1, *moved.shape))

    def _recurrence(self, kind: str, inputs: Any, states: Sequence[Any], weights: Sequence[Any], backwards: bool, **settings: Any) -> tuple:
        b, t, _ = inputs.shape
        units = states[0].shape[-1]
        first = [self.reshape(state, (1, b, units)) for state in states]
        operands = [self.transpose(inputs, (1, 0, 2)), *weights, "", *first]
        names = self.trace.add(kind, [_value(x) for x in operands], 1 + len(states), hidden_size=units,
                               direction="reverse" if backwards else "forward", **settings)  # fmt: skip
        outputs = self.transpose(self.reshape(OnnxTensor((t, 1, b, units), inputs.dtype, names[0]), (t, b, units)), (1, 0, 2))
        last = [self.reshape(OnnxTensor((1, b, units), inputs.dtype, name), (b, units)) for name in names[1:]]
        return (self.flip(outputs, (1,)) if backwards else outputs, *last)

    def _biases(self, bias: Any, recurrent_bias: Any, like: Any, order: tuple[int, ...]) -> OnnxTensor:
        size = like.shape[-1]
        parts = [self.full((1, size), 0.0, like.dtype) if x is None else self._gates(x, order) for x in (bias, recurrent_bias)]
        return self.concatenate(parts, 1)

    def _fast_lstm_sequence(
        self, inputs: Any, hidden: Any, cell: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, mask: Any = None,
        go_backwards: bool = False, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    ) -> Any:  # fmt: skip
        if mask is not None or (activation, recurrent_activation) != ("tanh", "sigmoid") or inputs.dtype not in ("float32", "float64"):
            return NotImplemented
        order = (0, 3, 1, 2)  # i f c o -> i o f c
        weights = [self._gates(kernel, order), self._gates(recurrent_kernel, order), self._biases(bias, None, kernel, order)]
        return self._recurrence("LSTM", inputs, (hidden, cell), weights, go_backwards)

    def _fast_gru_sequence(
        self, inputs: Any, hidden: Any, kernel: Any, recurrent_kernel: Any, bias: Any = None, recurrent_bias: Any = None, mask: Any = None,
        go_backwards: bool = False, reset_after: bool = True, activation: Any = "tanh", recurrent_activation: Any = "sigmoid",
    ) -> Any:  # fmt: skip
        if mask is not None or (activation, recurrent_activation) != ("tanh", "sigmoid") or inputs.dtype not in ("float32", "float64"):
            return NotImplemented
        order = (0, 1, 2)
        second = recurrent_bias if reset_after else None
        weights = [self._gates(kernel, order), self._gates(recurrent_kernel, order), self._biases(bias, second, kernel, order)]
        return self._recurrence("GRU", inputs, (hidden,), weights, go_backwards, linear_before_reset=int(reset_after))


# Small things ---------------------------------------------------------------------------------------------------------------------------------


def _refuse(need: str, got: str, fix: str | None = None) -> NoReturn:
    raise ArgumentError("Model.export, format 'onnx'", need=need, got=got, fix=fix or "export it as 'tf_saved_model'")


def _value(x: Any) -> Input:
    return x.value if isinstance(x, OnnxTensor) else x


def _as(x: SpecTensor, dtype: str) -> SpecTensor:
    return SpecTensor(x.shape, dtype)


def _first(x: SpecTensor) -> SpecTensor:
    """(b, *s, c) as (b, c, *s)."""
    return SpecTensor((x.shape[0], x.shape[-1], *x.shape[1:-1]), x.dtype)


def _is_bool(*operands: Any) -> bool:
    return any(isinstance(x, SpecTensor) and x.dtype == "bool" for x in operands)


def _pads(sizes: Shape, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape) -> Pads:
    """The attribute, which knows whether it is what "same" padding is for these sizes."""
    totals = [max((-(-n // s) - 1) * s + (k - 1) * d + 1 - n, 0) for n, k, s, d in zip(sizes, window, strides, dilation, strict=True)]
    same = [(total // 2, total - total // 2) for total in totals]
    values = (*(int(before) for before, _ in padding), *(int(after) for _, after in padding))
    return Pads(values, [(int(a), int(b)) for a, b in padding] == same)


def _unary(kind: str) -> Callable:
    return lambda self, x: self.add_node(kind, [x], x)


UNARY = {
    "negative": "Neg", "abs": "Abs", "sign": "Sign", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan",
    "arcsin": "Asin", "arccos": "Acos", "arctan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "arcsinh": "Asinh", "arccosh": "Acosh",
    "arctanh": "Atanh", "sigmoid": "Sigmoid", "erf": "Erf", "logical_not": "Not", "bitwise_not": "BitwiseNot",
}  # fmt: skip
BINARY = {
    "subtract": "Sub", "divide": "Div", "power": "Pow", "logical_and": "And", "logical_or": "Or", "bitwise_and": "BitwiseAnd",
    "bitwise_or": "BitwiseOr", "bitwise_xor": "BitwiseXor",
}  # fmt: skip
COMPARE = {"equal": "Equal", "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater", "greater_equal": "GreaterOrEqual"}
REFUSED = (
    "erfinv", "lgamma", "digamma", "conv_kernel_gradient", "cholesky", "solve", "triangular_solve", "qr", "svd", "eigh", "eig", "lu", "complex",
    "real", "imag", "fft", "ifft", "value_and_grad",
)  # fmt: skip


def _binary(kind: str) -> Callable:
    return lambda self, x, y: self._of_two(kind, x, y)


def _compare(kind: str) -> Callable:
    def method(self: OnnxEngine, x: Any, y: Any) -> Any:
        x, y = self.lifted(x, y)
        if x.dtype == "bool" and kind != "Equal":
            x, y = self.cast(x, "int32"), self.cast(y, "int32")
        return self._of_two(kind, x, y, "bool")

    return method


def _refused(name: str) -> Callable:
    def method(self: OnnxEngine, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("operations that ONNX has", f"{name}")

    return functools.wraps(getattr(Engine, name))(method)


for _name, _kind in UNARY.items():
    setattr(OnnxEngine, _name, _unary(_kind))
for _name, _kind in BINARY.items():
    setattr(OnnxEngine, _name, _binary(_kind))
for _name, _kind in COMPARE.items():
    setattr(OnnxEngine, _name, _compare(_kind))
for _name in REFUSED:
    setattr(OnnxEngine, _name, _refused(_name))
