# SPDX-License-Identifier: Apache-2.0
"""Primitives of the NumPy engine as operations of PyTensor. Start at Primitive.

Knows PyTensor, NumPy, and the engines `numpy` and `spec`; the first computes, the second says what shape comes out.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.gradient import DisconnectedType
from pytensor.graph.basic import Apply, Variable
from pytensor.graph.op import Op

from nyala.engines import numpy as host
from nyala.engines._pytensor_program import lowers
from nyala.engines._pytensor_values import as_variable, has_gradient, settled, type_of
from nyala.engines.numpy import Padding
from nyala.engines.protocol import Shape
from nyala.engines.spec import SpecEngine, SpecTensor

numpy_engine, spec_engine = host.NumpyEngine(), SpecEngine()


class Narrow(Op):
    """float32 rounded to a narrow float; the gradient is rounded, too."""

    __props__ = ("dtype",)

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def make_node(self, x: Variable) -> Apply:
        return Apply(self, [x], [x.type()])

    def perform(self, node: Apply, inputs: Sequence, outputs: list) -> None:
        outputs[0][0] = np.asarray(self(inputs[0]) if isinstance(inputs[0], Variable) else self.rounded(inputs[0]))

    def rounded(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x).astype(host._dtype(self.dtype)).astype(np.float32)

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        return [self(upstream[0])]


lowers(Narrow)(lambda node: node.op.rounded)


# Primitives -----------------------------------------------------------------------------------------------------------------------

_FLAT = {"sign", "floor_divide", "left_shift", "right_shift", "any", "all"}  # the derivative is 0
_WAY_OUT = "put stop_gradient around it, or choose another engine, for example nyala.set_backend('jax')"
RULES: dict[str, Callable] = {}  # name -> (inputs, outputs, upstream, *settings) -> gradients of the inputs, None for none
OWN: dict[str, tuple[Callable, Callable]] = {}  # name -> what it computes of arrays, and how that looks, for what is no primitive
_ORDER: dict[str, Callable] = {  # where settings do not follow the tensors
    "einsum": lambda inputs, settings: (*settings, *inputs),
    "dynamic_slice": lambda inputs, settings: (inputs[0], inputs[1:], *settings),
    "dynamic_update_slice": lambda inputs, settings: (inputs[0], inputs[1], inputs[2:]),
}


def no_gradient(what: str) -> str:
    """What an operation without a gradient says."""
    return f"value_and_grad needs a gradient of {what!r}, which the engine 'pytensor' has not.\n  fix: {_WAY_OUT}"


def gradient(name: str) -> Callable[[Callable], Callable]:
    """Register the gradient of a primitive."""

    def register(function: Callable) -> Callable:
        RULES[name] = function
        return function

    return register


def own(shape: Callable) -> Callable[[Callable], Callable]:
    """Register a function of arrays under its name; shape(*specs, *settings) gives (shape, dtype) of its result."""

    def register(function: Callable) -> Callable:
        OWN[function.__name__] = function, lambda *args: SpecTensor(*shape(*args))
        return function

    return register


class Primitive(Op):
    """A primitive of the NumPy engine, or a function registered by `own`, with the arguments that are no tensors."""

    __props__ = ("name", "settings")

    def __init__(self, name: str, *settings: Any) -> None:
        self.name, self.settings = name, _hashable(settings)

    def call(self, function: Callable, inputs: list) -> Any:
        return function(*_ORDER.get(self.name, lambda inputs, settings: (*inputs, *settings))(inputs, self.settings))

    def make_node(self, *inputs: Any) -> Apply:
        inputs = [as_variable(x) for x in inputs]
        looks = OWN[self.name][1] if self.name in OWN else getattr(spec_engine, self.name)
        results = self.call(looks, [SpecTensor(x.type.shape, x.type.dtype) for x in inputs])
        return Apply(self, inputs, [type_of(x.shape, x.dtype)() for x in (results if isinstance(results, tuple) else (results,))])

    def run(self, *arrays: np.ndarray) -> Any:
        function = OWN[self.name][0] if self.name in OWN else getattr(numpy_engine, self.name)
        return self.call(function, [np.asarray(x) for x in arrays])

    def perform(self, node: Apply, inputs: Sequence, outputs: list) -> None:
        with np.errstate(all="ignore"):
            results = self.run(*inputs)
        for cell, x in zip(outputs, results if isinstance(results, tuple) else (results,), strict=True):
            cell[0] = np.array(x)

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        return [[self.name not in _FLAT and has_gradient(x)] * len(node.outputs) for x in node.inputs]

    def pullback(self, inputs: Sequence, outputs: Sequence, upstream: Sequence) -> list:
        if self.name in _FLAT:
            return [DisconnectedType()() for _ in inputs]
        if self.name not in RULES:
            what = " ".join([self.name, *(setting for setting in self.settings if isinstance(setting, str))])
            raise NotImplementedError(no_gradient(what))
        arrived = [
            y.zeros_like() if isinstance(u.type, DisconnectedType) else settled(u, y.type.shape) for u, y in zip(upstream, outputs, strict=True)
        ]
        found = RULES[self.name](list(inputs), list(outputs), arrived, *self.settings)
        return [nothing(x) if g is None else g for x, g in zip(inputs, found, strict=True)]


lowers(Primitive)(lambda node: node.op.run)


def _hashable(settings: Any) -> Any:
    return tuple(map(_hashable, settings)) if isinstance(settings, (list, tuple)) else settings


def arrived(outputs: Sequence[Variable], upstream: Sequence[Variable]) -> list[Variable]:
    """The gradients of outputs, zeros in the place of none."""
    return [x.zeros_like() if isinstance(g.type, DisconnectedType) else settled(g, x.type.shape) for x, g in zip(outputs, upstream, strict=True)]


def nothing(x: Variable) -> Variable:
    """The gradient of an input that has none."""
    return x.zeros_like() if has_gradient(x) else DisconnectedType()()


def primitive(name: str, *settings: Any) -> Callable[..., Any]:
    """What applies a primitive, with these settings, to variables."""
    return Primitive(name, *settings)


# Functions of arrays that gradients need ----------------------------------------------------------------------------------------------


@own(lambda g, shape, starts, stops, steps: (shape, g.dtype))
def slice_put(g: np.ndarray, shape: Shape, starts: Shape, stops: Shape, steps: Shape) -> np.ndarray:
    """The adjoint of slice: zeros, and g where it was taken from."""
    whole = np.zeros(shape, g.dtype)
    whole[tuple(map(slice, starts, stops, steps))] = g
    return whole


@own(lambda g, indices, shape, axis: (shape, g.dtype))
def put_along_axis(g: np.ndarray, indices: np.ndarray, shape: Shape, axis: int) -> np.ndarray:
    """The adjoint of take_along_axis: zeros to which g is added where it was taken from."""
    whole = np.zeros((*g.shape[:axis], shape[axis], *g.shape[axis + 1 :]), g.dtype)
    places = list(np.ogrid[tuple(slice(n) for n in g.shape)])
    places[axis] = np.broadcast_to(indices, g.shape)
    np.add.at(whole, tuple(places), g)
    shared = tuple(i for i, (n, size) in enumerate(zip(shape, whole.shape, strict=True)) if n != size)
    return whole.sum(shared, keepdims=True) if shared else whole


@own(lambda x, axis: (x.shape, "int32"))
def running_place(x: np.ndarray, axis: int) -> np.ndarray:
    """The place of the last largest so far along an axis; the first nan stays."""
    largest = np.maximum.accumulate(x, axis)
    here = (x == largest) | (np.isnan(x) & (np.cumsum(np.isnan(x), axis) == 1)) if x.dtype.kind == "f" else x == largest
    places = np.arange(x.shape[axis], dtype=np.int32).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return np.maximum.accumulate(np.where(here, places, 0), axis).astype(np.int32)


def _spots(shape: Shape, window: Shape, strides: Shape, padding: Padding) -> Any:
    """For each tap of a window, the part of the padded tensor that it reads."""
    counts = [(n + sum(sides) - k) // step + 1 for n, k, step, sides in zip(shape[1:-1], window, strides, padding, strict=True)]
    for tap in np.ndindex(*window):
        read = (slice(t, t + (count - 1) * step + 1, step) for t, count, step in zip(tap, counts, strides, strict=True))
        yield (slice(None), *read)


def _inside(shape: Shape, padding: Padding) -> tuple:
    return (slice(None), *(slice(before, before + n) for n, (before, _) in zip(shape[1:-1], padding, strict=True)))


def _wide(shape: Shape, padding: Padding) -> Shape:
    return (shape[0], *(n + sum(sides) for n, sides in zip(shape[1:-1], padding, strict=True)), shape[-1])


def _first_largest(x: np.ndarray, y: np.ndarray, window: Shape, strides: Shape, padding: Padding) -> Any:
    """For each tap, what it reads, and where that is the first largest of its window."""
    padded = host._pad_space(x, padding, host._lowest(x.dtype))
    free = np.ones(y.shape, bool)
    for read in _spots(x.shape, window, strides, padding):
        part = padded[read]
        here = free & ((part == y) | (part != part))
        free &= ~here
        yield read, here


@own(lambda x, y, u, window, strides, padding: (y.shape, u.dtype))
def pool_take(x: np.ndarray, y: np.ndarray, u: np.ndarray, window: Shape, strides: Shape, padding: Padding) -> np.ndarray:
    """What u has where max_pool found y in x."""
    u, found = host._pad_space(u, padding, 0), np.zeros(y.shape, u.dtype)
    for read, here in _first_largest(x, y, window, strides, padding):
        np.copyto(found, u[read], where=here)
    return found


@own(lambda x, y, g, window, strides, padding: (x.shape, g.dtype))
def pool_put(x: np.ndarray, y: np.ndarray, g: np.ndarray, window: Shape, strides: Shape, padding: Padding) -> np.ndarray:
    """The adjoint of pool_take in u: the gradient of max_pool."""
    result = np.zeros(_wide(x.shape, padding), g.dtype)
    for read, here in _first_largest(x, y, window, strides, padding):
        result[read] += np.where(here, g, 0)
    return result[_inside(x.shape, padding)]


@own(lambda g, shape, window, strides, padding: (shape, g.dtype))
def pool_spread(g: np.ndarray, shape: Shape, window: Shape, strides: Shape, padding: Padding) -> np.ndarray:
    """The adjoint of sum_pool."""
    result = np.zeros(_wide(shape, padding), g.dtype)
    for read in _spots(shape, window, strides, padding):
        result[read] += g
    return result[_inside(shape, padding)]


@own(lambda x, k: ((*x.shape[:-1], k), "int32"))
def top_places(x: np.ndarray, k: int) -> np.ndarray:
    """Where the k largest are."""
    return numpy_engine.top_k(x, k)[1]
