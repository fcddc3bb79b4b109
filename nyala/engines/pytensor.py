# SPDX-License-Identifier: Apache-2.0
"""The PyTensor engine (PyTensor carries Theano on): NumPy outside of compiled functions, graphs of PyTensor inside, gradients by PyTensor.

Tensors are NumPy arrays, and PyTensor's variables with known shapes while a function is traced. Each primitive looks at what it gets: arrays go to
the NumPy engine, variables to `_pytensor_ops.py` and what adds to its table. How graphs run says `_pytensor_program.py`; compiled functions and
gradients are in `_pytensor_tracing.py`, loops in `_pytensor_loops.py`. Start at `_either`.

What it has not: GPUs, more than one device, and kernels for 16-bit floats, which are computed in float32 and rounded.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pytensor.gradient import disconnected_grad
from pytensor.graph.basic import Variable

from nyala.engines import _pytensor_linalg, _pytensor_loops, _pytensor_ops, _pytensor_pools, _pytensor_windows
from nyala.engines._memory import keep_freed_memory
from nyala.engines._pytensor_program import linker
from nyala.engines._pytensor_tracing import Compiled, custom_gradient, tracing, value_and_grad
from nyala.engines._pytensor_values import Traced, dtype_of, marked
from nyala.engines._trees import map_tree
from nyala.engines.numpy import NumpyEngine
from nyala.engines.protocol import PRIMITIVES, Shape, Tensor, Tree

__all__ = ["PyTensorEngine"]


class PyTensorEngine(NumpyEngine):
    """See `Engine` for the contract of every method.

    Environment, read when the engine is made: NYALA_PYTENSOR_LINKER=numpy runs graphs on NumPy alone, without loops of C; cvm, numba or jax runs them
    by PyTensor's linker of that name.
    """

    name = "pytensor"
    differentiable = True
    compiles = True

    def __init__(self) -> None:
        linker()  # a wrong name is an error now
        keep_freed_memory()

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        if isinstance(value, (Traced, Variable)):
            value = value if isinstance(value, Traced) else Traced(value)
            return value if dtype is None else self.cast(value, dtype)
        if isinstance(value, (list, tuple)) and _has_traced(value):
            parts = [self.asarray(part, dtype) for part in value]
            return self.concatenate([self.reshape(part, (1, *self.shape(part))) for part in parts], 0)
        return super().asarray(value, dtype)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        if isinstance(x, Traced):
            got = f"a traced tensor of shape {x.shape}"
            raise TypeError(f"to_numpy needs known values, got {got}.\n  fix: call it outside of compiled functions and gradients")
        return super().to_numpy(x)

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, (np.ndarray, Traced))

    def shape(self, x: Tensor) -> Shape:
        return x.shape

    def dtype(self, x: Tensor) -> str:
        return dtype_of(x)

    # Transforms -------------------------------------------------------------------------------------------------------------

    def compile(self, function: Callable, donate: Sequence[int] = ()) -> Callable:
        return Compiled(function, self.asarray)

    def eval_shape(self, function: Callable, *args: Tree) -> Tree:
        return (function if isinstance(function, Compiled) else Compiled(function, self.asarray)).eval_shape(*args)

    def value_and_grad(self, function: Callable) -> Callable:
        return value_and_grad(function, self.asarray)

    def custom_gradient(self, function: Callable) -> Callable:
        return custom_gradient(function, self.asarray)

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        """A loop over the axis."""
        if not tracing.depth:
            return super().vmap(function, in_axes, out_axes)

        def mapped(*args: Tensor) -> Tree:
            axes = in_axes if isinstance(in_axes, (list, tuple)) else [in_axes] * len(args)
            moved = [_to_front(self, x, axis) for x, axis in zip(args, axes, strict=True) if axis is not None]
            structure: list = []

            def body(carry: tuple, rows: tuple) -> tuple:
                found = iter(rows)
                result = function(*(x if axis is None else next(found) for x, axis in zip(args, axes, strict=True)))
                leaves: list = []
                map_tree(leaves.append, result)
                structure[:] = [result]
                return (), tuple(leaves)

            _, stacked = self.scan(body, (), tuple(moved), self.shape(moved[0])[0], False, 1)
            found = iter(stacked)
            return map_tree(lambda _: _from_front(self, next(found), out_axes), structure[0])

        return mapped

    def stop_gradient(self, x: Tensor) -> Tensor:
        return Traced(marked(disconnected_grad(x.variable), x.dtype)) if isinstance(x, Traced) else x

    # Control flow -----------------------------------------------------------------------------------------------------------

    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if isinstance(predicate, Traced):
            return _pytensor_loops.cond(predicate, true_fn, false_fn, operands)
        return tuple((true_fn if predicate else false_fn)(*operands))

    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return _pytensor_loops.while_loop(condition, body, state) if tracing.depth else super().while_loop(condition, body, state)

    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if tracing.depth:
            return _pytensor_loops.scan(body, carry, xs, length, reverse)
        return super().scan(body, carry, xs, length, reverse, unroll)


def _has_traced(value: Any) -> bool:
    return isinstance(value, (Traced, Variable)) or (isinstance(value, (list, tuple)) and any(map(_has_traced, value)))


def _to_front(engine: PyTensorEngine, x: Tensor, axis: int) -> Tensor:
    rank = x.ndim
    return engine.transpose(x, (axis % rank, *(i for i in range(rank) if i != axis % rank)))


def _from_front(engine: PyTensorEngine, x: Tensor, axis: int) -> Tensor:
    order = list(range(1, x.ndim))
    order.insert(axis % x.ndim, 0)
    return engine.transpose(x, tuple(order))


def _either(name: str, of_arrays: Callable) -> Callable:
    """A primitive: of arrays that of the NumPy engine, of variables that of `_pytensor_ops.py`."""

    @functools.wraps(of_arrays)
    def primitive(self: PyTensorEngine, *args: Any, **settings: Any) -> Any:
        for arg in args:
            if isinstance(arg, Traced) or (isinstance(arg, (list, tuple)) and any(isinstance(x, Traced) for x in arg)):
                return _pytensor_ops.call(name, (*args, *settings.values()))
        return of_arrays(self, *args, **settings)

    return primitive


for _name, _kind in PRIMITIVES.items():
    if _kind not in ("control", "create"):
        _function = vars(NumpyEngine)[_name]
        _of_arrays = (lambda _, *args, function=_function.__func__: function(*args)) if isinstance(_function, staticmethod) else _function
        setattr(PyTensorEngine, _name, _either(_name, _of_arrays))
_ = _pytensor_linalg, _pytensor_pools, _pytensor_windows  # imported for what they add to the table
