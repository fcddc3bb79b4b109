# SPDX-License-Identifier: Apache-2.0
"""What tensors are while the PyTensor engine traces: variables of PyTensor whose shapes are known, and their names for the rest of the world.

PyTensor has no bfloat16, and its float16 is partly float32: both are variables of float32 here, with a mark, that are rounded after each primitive.
Knows PyTensor and NumPy only. Start at Traced.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Variable
from pytensor.tensor.type import TensorType
from pytensor.tensor.variable import TensorConstant

from nyala.engines.protocol import Shape, Tensor

NARROW = ("float16", "bfloat16")


def type_of(shape: Sequence[int], dtype: str) -> TensorType:
    """The type of variables that stand for such tensors."""
    return TensorType("float32" if dtype in NARROW else dtype, tuple(int(n) for n in shape))


def marked(variable: Variable, dtype: str) -> Variable:
    """The variable, which stands for a tensor of this dtype."""
    if dtype in NARROW:
        variable.tag.narrow = dtype
    return variable


def dtype_of(x: Tensor) -> str:
    """The dtype of a variable, an array or what was traced."""
    if isinstance(x, Variable):
        return getattr(x.tag, "narrow", None) or x.type.dtype
    return str(x.dtype)


def as_variable(x: Any) -> Variable:
    """The variable behind a tensor; an array becomes a constant."""
    if isinstance(x, (Variable, Traced)):
        return x if isinstance(x, Variable) else x.variable
    x = np.asarray(x)
    dtype = str(x.dtype)
    return marked(TensorConstant(type_of(x.shape, dtype), x.astype(np.float32) if dtype in NARROW else x), dtype)


def settled(x: Variable, shape: Shape) -> Variable:
    """x, whose type says its shape."""
    return x if x.type.shape == tuple(shape) else pt.specify_shape(x, tuple(shape))


def has_gradient(x: Variable) -> bool:
    """Whether it is a number that can change a little."""
    return x.type.dtype.startswith(("float", "complex"))


class Traced:
    """A tensor in a function that is traced: a variable with a shape and a dtype as tensors have them. Python's operators work on it."""

    __slots__ = ("__weakref__", "dtype", "shape", "variable")
    __array_ufunc__ = None  # NumPy leaves operators to this class

    def __init__(self, variable: Variable) -> None:
        if None in variable.type.shape:
            raise TypeError(f"a traced tensor needs a known shape, got {variable.type}.\n  fix: call pytensor.tensor.specify_shape on it first")
        self.variable, self.shape, self.dtype = variable, variable.type.shape, dtype_of(variable)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=int))

    @property
    def T(self) -> Traced:
        return self._also(self.variable.T)

    def _also(self, variable: Variable) -> Traced:
        return Traced(marked(variable, self.dtype) if variable.type.dtype == "float32" else variable)

    def __getitem__(self, index: Any) -> Traced:
        parts = index if isinstance(index, tuple) else (index,)
        return self._also(self.variable[tuple(part.variable if isinstance(part, Traced) else part for part in parts)])

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Traced]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Traced(shape={self.shape}, dtype={self.dtype})"

    def __neg__(self) -> Traced:
        return self._also(-self.variable)

    def __hash__(self) -> int:
        return id(self)

    def _unknown(self, *_: Any) -> NoReturn:
        raise TypeError(
            f"a function that is compiled or differentiated needs no values, got a question for those of a traced tensor of shape {self.shape}.\n"
            "  why: it runs once, before there are values, and becomes a graph of PyTensor\n"
            "  fix: use nyala.ops.where, cond or while_loop in the place of if and while, or ask outside of it"
        )

    __bool__ = __int__ = __float__ = __index__ = __array__ = _unknown


@pt._as_tensor_variable.register(Traced)
def _as_tensor_variable(x: Traced, *_: Any, **__: Any) -> Variable:
    """What PyTensor's functions take in its place."""
    return x.variable


def _operator(function: Callable, turned: bool = False) -> Callable:
    def method(self: Traced, other: Any) -> Any:
        if not isinstance(other, (Traced, Variable, np.ndarray, bool, int, float, np.generic)):
            return NotImplemented
        if isinstance(other, (bool, int, float)) and not (isinstance(other, float) and self.variable.type.dtype[:3] in ("int", "uin", "boo")):
            other = as_variable(np.asarray(other, self.variable.type.dtype))
        other = as_variable(other)
        return self._also(function(other, self.variable) if turned else function(self.variable, other))

    return method


for _name, _function in {
    "add": pt.add, "sub": pt.sub, "mul": pt.mul, "truediv": pt.true_div, "floordiv": pt.floor_div, "mod": pt.mod, "pow": pt.power,
    "matmul": pt.matmul, "and": pt.and_, "or": pt.or_, "xor": pt.xor,
}.items():  # fmt: skip
    setattr(Traced, f"__{_name}__", _operator(_function))
    setattr(Traced, f"__r{_name}__", _operator(_function, turned=True))
for _name, _function in {"lt": pt.lt, "le": pt.le, "gt": pt.gt, "ge": pt.ge, "eq": pt.eq, "ne": pt.neq}.items():
    setattr(Traced, f"__{_name}__", _operator(_function))
