# SPDX-License-Identifier: Apache-2.0
"""What the spec engine is made of: `SpecTensor`, the rules of shapes and dtypes that several primitives follow, and the errors they give.

Knows no primitive; the operators of `SpecTensor` find theirs by name. Start at SpecTensor; the engine itself is spec.py.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import nyala.engines
from nyala.engines.protocol import Engine, Shape, Tree

FLOATS = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", *FLOATS, "complex64", "complex128")
KINDS = ("bool", "uint", "int", "float", "complex")
PARTS = {"complex64": "float32", "complex128": "float64"}
WHOLES = {part: whole for whole, part in PARTS.items()}


def spec_engine() -> Any:
    """The engine in force if it computes shapes, else the one that does."""
    here = nyala.engines.current()
    return here if here.abstract else nyala.engines.get_engine("spec")


# Trees: list, tuple (named ones too) and dict ---------------------------------------------------------------------------------------------


def rebuild(sequence: list | tuple, items: list) -> Any:
    return type(sequence)(*items) if hasattr(sequence, "_fields") else type(sequence)(items)


def map_tree(function: Callable[[Any], Any], tree: Tree) -> Tree:
    if isinstance(tree, dict):
        return {key: map_tree(function, value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return rebuild(tree, [map_tree(function, item) for item in tree])
    return function(tree)


def leaves(tree: Tree) -> list:
    if isinstance(tree, dict):
        return leaves(list(tree.values()))
    return [leaf for item in tree for leaf in leaves(item)] if isinstance(tree, list | tuple) else [tree]


# Errors and rules -------------------------------------------------------------------------------------------------------------------------


def refuse(where: str, need: str, got: Any, fix: str = "") -> NoReturn:
    raise ValueError(f"{where} needs {need}, got {got}." + (f"\n  fix: {fix}" if fix else ""))


def no_value(what: str) -> NoReturn:
    raise TypeError(
        f"{what} needs the values of a tensor, but shapes are being inferred and there is no value here.\n"
        "  fix: choose with ops.cond or ops.where instead of if and while, and pass sizes and settings as plain Python numbers"
    )


def kind_of(dtype: str) -> str:
    return "float" if dtype in FLOATS else dtype.rstrip("0123456789")  # "bool", "int", "uint", "float", "complex"


def dtype_name(dtype: Any) -> str:
    name = str(getattr(dtype, "name", None) or dtype).rpartition(".")[2]
    return name if name in DTYPES else refuse("dtype", f"one of {', '.join(DTYPES)}", repr(name))


def is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | complex)


def as_tensor(where: str, value: Any) -> SpecTensor:
    if isinstance(value, SpecTensor):
        return value
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return SpecTensor(value.shape, spec_engine().canonical_dtype(dtype_name(value.dtype)))
    raise TypeError(f"{where} needs a tensor, got {value!r} ({type(value).__name__}).\n  fix: convert it first (ops do)")


def need_kind(where: str, kinds: str, *tensors: SpecTensor) -> None:
    for x in tensors:
        if kind_of(x.dtype) not in kinds.split():
            refuse(where, f"a dtype of kind {kinds.replace(' ', ' or ')}", x.dtype, "cast first (ops do)")


def need_axes(where: str, x: SpecTensor, axes: Sequence[int]) -> None:
    for axis in axes:
        if not 0 <= axis < x.ndim:
            refuse(where, f"axes from 0 to {x.ndim - 1} for shape {x.shape}" if x.ndim else "a tensor that has axes", f"axis {axis}")
    if list(axes) != sorted(set(axes)):
        refuse(where, "sorted axes without repeats", tuple(axes))


def need_length(where: str, what: str, values: Sequence, length: int) -> None:
    if len(values) != length:
        refuse(where, f"{length} {what}, one for each axis", f"{len(values)}: {tuple(values)}")


def need_choice(where: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        refuse(where, f"one of {choices}", repr(value))


def common_dtype(where: str, operands: Sequence[Any]) -> str:
    """The one dtype of the tensors among operands, which must be able to hold the Python scalars among them."""
    dtypes = {x.dtype for x in operands if isinstance(x, SpecTensor)}
    if len(dtypes) != 1:
        refuse(where, "operands of one dtype" if dtypes else "at least one tensor", ", ".join(map(repr, operands)), "promote first (ops do), or cast")
    dtype = dtypes.pop()
    for value in operands:
        if not isinstance(value, SpecTensor) and not holds(dtype, value):
            refuse(where, f"a Python scalar that {dtype} can hold", f"{value!r} ({type(value).__name__})", "cast the tensor first")
    return dtype


def holds(dtype: str, value: Any) -> bool:
    kind = kind_of(dtype)
    if kind in ("int", "uint"):
        bits = int(dtype.removeprefix(kind))
        low, high = (0, 2**bits) if kind == "uint" else (-(2 ** (bits - 1)), 2 ** (bits - 1))
        return isinstance(value, int) and low <= value < high
    return isinstance(value, {"bool": bool, "float": bool | int | float, "complex": bool | int | float | complex}[kind])


def broadcast(where: str, *shapes: Shape) -> Shape:
    """The shape NumPy broadcasts these to. An unknown size beside a known one is taken to fit it."""
    ndim = max(map(len, shapes), default=0)
    result = []
    for sizes in zip(*[(1,) * (ndim - len(shape)) + shape for shape in shapes], strict=True):
        distinct = {n for n in sizes if n != 1}
        known = {n for n in distinct if not isinstance(n, UnknownSize)} if len(distinct) > 1 else distinct
        if len(known) > 1 or (distinct and not known):
            refuse(where, "shapes that broadcast (aligned at the last axis, sizes equal or 1)", " and ".join(map(str, shapes)))
        result.append(known.pop() if known else 1)
    return tuple(result)


def elementwise(where: str, operands: Sequence[Any], kinds: str) -> SpecTensor:
    operands = [x if is_scalar(x) else as_tensor(where, x) for x in operands]
    dtype = common_dtype(where, operands)
    tensors = [x for x in operands if isinstance(x, SpecTensor)]
    need_kind(where, kinds, *tensors)
    return SpecTensor(broadcast(where, *[x.shape for x in tensors]), dtype)


def reduced_shape(where: str, x: SpecTensor, axes: Sequence[int], keepdims: bool) -> Shape:
    need_axes(where, x, axes)
    return tuple(1 if i in axes else n for i, n in enumerate(x.shape) if keepdims or i not in axes)


def window_positions(where: str, sizes: Shape, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]], dilation: Shape) -> Shape:
    """Number of positions of a window along each spatial axis."""
    for what, values in (("window sizes", window), ("strides", strides), ("paddings", padding), ("dilations", dilation)):
        need_length(where, what, values, len(sizes))
    result = []
    for n, k, stride, (before, after), step in zip(sizes, window, strides, padding, dilation, strict=True):
        if min(k, stride, step) < 1 or min(before, after) < 0:
            refuse(where, "window sizes, strides and dilations of at least 1 and paddings of at least 0",
                   f"{window}, {strides}, {dilation} and {tuple(padding)}")  # fmt: skip
        reach, room = step * (k - 1) + 1, n + before + after
        if reach > room:
            refuse(where, f"at least {reach} positions for a window of {k} (dilation {step})", f"{room}: {n} and padding {before} + {after}",
                    "use a smaller window or dilation, padding 'same', or a larger input")  # fmt: skip
        result.append((room - reach) // stride + 1)
    return tuple(result)


def as_matrices(where: str, x: Any, square: bool = False) -> SpecTensor:
    x = as_tensor(where, x)
    if x.dtype not in ("float32", "float64"):
        refuse(where, "float32 or float64", x.dtype, "cast first (ops do)")
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        refuse(where, "square matrices on the last two axes" if square else "matrices on the last two axes", f"shape {x.shape}")
    return x


class UnknownSize(int):
    """The stand-in for an unknown size: an int in arithmetic, and recognizable as unknown to whoever builds weights from a shape."""


def _still_unknown(name: str) -> Callable:
    plain = getattr(int, name)

    def arithmetic(self: UnknownSize, *others: Any) -> Any:
        result = plain(self, *others)
        return UnknownSize(result) if isinstance(result, int) else result

    return arithmetic


for _name in ("add", "radd", "mul", "rmul", "sub", "rsub", "floordiv", "neg"):
    setattr(UnknownSize, f"__{_name}__", _still_unknown(f"__{_name}__"))


class SpecTensor:
    """A tensor of which only the shape and the dtype exist. Python operators work as NumPy's do; asking for a value is a TypeError."""

    __slots__ = ("__weakref__", "dtype", "shape")
    __array_ufunc__ = None  # NumPy arrays leave the operators to us

    def __init__(self, shape: Sequence[int], dtype: str = "float32"):
        self.shape: Shape = tuple(n if isinstance(n, int) else operator.index(n) for n in shape)  # an UnknownSize stays one
        self.dtype: str = dtype_name(dtype)
        if min(self.shape, default=0) < 0:
            refuse("a shape", "sizes of at least 0", self.shape)

    def __repr__(self) -> str:
        return f"SpecTensor({self.shape}, {self.dtype})"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def T(self) -> SpecTensor:
        return SpecTensor(self.shape[::-1], self.dtype)

    def __len__(self) -> int:
        return self.shape[0] if self.shape else refuse("len", "a tensor with at least one axis", "shape ()")

    def __iter__(self) -> Any:
        return iter([self[i] for i in range(len(self))])

    def __getitem__(self, key: Any) -> SpecTensor:
        keys = list(key) if isinstance(key, tuple) else [key]
        if not any(k is Ellipsis for k in keys):
            keys.append(Ellipsis)
        where, rest = next(i for i, k in enumerate(keys) if k is Ellipsis), self.ndim - sum(k is not None and k is not Ellipsis for k in keys)
        if rest < 0:
            refuse("indexing", f"at most {self.ndim} indices for shape {self.shape}", len(keys) - 1)
        keys[where : where + 1] = [slice(None)] * rest
        sizes, shape = iter(self.shape), []
        for k in keys:
            if k is None:
                shape.append(1)
            elif isinstance(k, slice):
                shape.append(len(range(*k.indices(next(sizes)))))
            elif hasattr(k, "__index__") and not isinstance(k, bool | SpecTensor):
                index, size = operator.index(k), next(sizes)
                if not -size <= index < size:
                    raise IndexError(f"indexing needs an index in [{-size}, {size}) for shape {self.shape}, got {index}.")
            elif isinstance(k, SpecTensor) and k.ndim == 0 and kind_of(k.dtype) in ("int", "uint"):
                next(sizes)
            else:
                raise TypeError(f"indexing needs ints, slices, None and Ellipsis while shapes are inferred, got {k!r}.\n  fix: use ops.take")
        return SpecTensor(shape, self.dtype)

    def __float__(self) -> float:
        no_value("float()")

    def __int__(self) -> int:
        no_value("int()")

    def __index__(self) -> int:
        no_value("use as an index or a size")

    def __complex__(self) -> complex:
        no_value("complex()")

    def __bool__(self) -> bool:
        no_value("bool(), if, while, and, or, not")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        no_value("conversion to a NumPy array")

    __hash__ = object.__hash__


# Python operator -> the primitive it is, for numbers and for bools
UNARY = {"neg": "negative", "abs": "abs", "invert": "bitwise_not"}
BINARY = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "floordiv": "floor_divide", "mod": "remainder", "pow": "power",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "lshift": "left_shift", "rshift": "right_shift",
}  # fmt: skip
COMPARE = {"eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal"}
OF_BOOLS = {"bitwise_not": "logical_not", "bitwise_and": "logical_and", "bitwise_or": "logical_or", "bitwise_xor": "not_equal"}


def unary_operator(name: str) -> Callable:
    return lambda self: getattr(spec_engine(), OF_BOOLS.get(name, name) if self.dtype == "bool" else name)(self)


def binary_operator(name: str, reflected: bool = False) -> Callable:
    def method(self: SpecTensor, other: Any) -> Any:
        if not (is_scalar(other) or (hasattr(other, "shape") and hasattr(other, "dtype"))):
            return NotImplemented
        if getattr(other, "__array_priority__", 0) > 0:  # a variable: its own operators note that it was read
            return NotImplemented
        pair = promoted(*([other, self] if reflected else [self, other]))
        if name == "divide":  # of integers gives a float
            pair = [SpecTensor(x.shape, "float32") if isinstance(x, SpecTensor) and kind_of(x.dtype) in ("int", "uint") else x for x in pair]
        bools = all(x.dtype == "bool" for x in pair if isinstance(x, SpecTensor))
        return getattr(spec_engine(), OF_BOOLS.get(name, name) if bools else name)(*pair)

    return method


def promoted(*pair: Any) -> list:
    """Operands of a Python operator in one dtype: primitives refuse others, array libraries promote."""
    tensors = [as_tensor("operator", x) for x in pair if not is_scalar(x)]
    if len(tensors) == 2:
        dtype = joint_dtype(tensors[0].dtype, tensors[1].dtype)
        return [SpecTensor(x.shape, dtype) for x in tensors]
    scalar = next(x for x in pair if is_scalar(x))
    if holds(tensors[0].dtype, scalar):
        return list(pair)
    weak = "int32" if isinstance(scalar, int) else "float32" if isinstance(scalar, float) else "complex64"
    return [x if is_scalar(x) else SpecTensor(x.shape, joint_dtype(x.dtype, weak)) for x in pair]


def joint_dtype(a: str, b: str) -> str:
    """The dtype of an operator on two dtypes: that of the higher kind, else the wider one, as in JAX and PyTorch."""
    kinds = ("bool", "uint", "int", "float", "complex")
    (low, small), (high, large) = sorted(((kinds.index(kind_of(x)), x) for x in (a, b)), key=lambda pair: (pair[0], width(pair[1])))
    if (low, high) == (1, 2) and width(small) >= width(large):
        return f"int{min(2 * width(small), 64)}"
    if low == high == 3 and small != large and width(small) == width(large):
        return "float32"  # float16 and bfloat16
    return "complex128" if high == 4 and small == "float64" else large


def width(dtype: str) -> int:
    """Bits."""
    return 1 if dtype == "bool" else int("".join(c for c in dtype.partition("_")[0] if c.isdigit()))


def matmul_operator(self: SpecTensor, other: Any) -> SpecTensor:
    """Matrix product in which, as in NumPy, a vector stands for a row on the left and for a column on the right."""
    if getattr(other, "__array_priority__", 0) > 0:
        return NotImplemented
    x, y = as_tensor("matmul", self), as_tensor("matmul", other)
    result = spec_engine().matmul(x[None] if x.ndim == 1 else x, y[:, None] if y.ndim == 1 else y)
    return result[(..., *([0] if x.ndim == 1 else [slice(None)]), *([0] if y.ndim == 1 else [slice(None)]))]


for _name, _primitive in UNARY.items():
    setattr(SpecTensor, f"__{_name}__", unary_operator(_primitive))
for _name, _primitive in BINARY.items():
    setattr(SpecTensor, f"__{_name}__", binary_operator(_primitive))
    setattr(SpecTensor, f"__r{_name}__", binary_operator(_primitive, reflected=True))
for _name, _primitive in COMPARE.items():
    setattr(SpecTensor, f"__{_name}__", binary_operator(_primitive))
setattr(SpecTensor, "__pos__", lambda self: self)  # noqa: B010 (a type checker accepts it in this form)
setattr(SpecTensor, "__matmul__", matmul_operator)  # noqa: B010
setattr(SpecTensor, "__rmatmul__", lambda self, other: matmul_operator(other, self))  # noqa: B010


# Rules of single kinds of primitives --------------------------------------------------------------------------------------------------------


def look(value: Any) -> tuple[Shape, str]:
    """Shape and dtype of an array, a scalar, or lists of them, without reading the values."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return tuple(value.shape), dtype_name(value.dtype)
    if is_scalar(value):
        return (), {bool: "bool", int: "int32", complex: "complex64"}.get(type(value), "float32" if isinstance(value, float) else "complex64")
    if not isinstance(value, list | tuple):
        raise TypeError(f"asarray needs an array, a number, or lists of numbers, got {value!r} ({type(value).__name__}).")
    looks = [look(item) for item in value]
    shapes = {shape for shape, _ in looks} or {()}
    if len(shapes) > 1:
        refuse("asarray", "nested lists of equal lengths", f"items of shapes {sorted(shapes)}")
    return (len(value), *shapes.pop()), max((dtype for _, dtype in looks), key=dtype_rank, default="float32")


def dtype_rank(dtype: str) -> tuple[int, int]:
    return KINDS.index(kind_of(dtype)), DTYPES.index(dtype)


def without_axis(x: SpecTensor, axis: int) -> SpecTensor:
    return SpecTensor([n for i, n in enumerate(x.shape) if i != axis % x.ndim], x.dtype)


def with_axis(x: SpecTensor, axis: int | None, size: int) -> SpecTensor:
    if axis is None:
        return x
    where = axis % (x.ndim + 1)
    return SpecTensor((*x.shape[:where], size, *x.shape[where:]), x.dtype)


def with_size(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def as_indices(where: str, indices: Any) -> SpecTensor:
    indices = SpecTensor((), "int32") if isinstance(indices, int) else as_tensor(where, indices)
    return indices if indices.dtype in ("int32", "int64") else refuse(f"{where}(indices)", "int32 or int64", indices.dtype, "cast first (ops do)")


def block_of(where: str, x: Any, starts: Sequence, sizes: Shape) -> SpecTensor:
    x = as_tensor(where, x)
    need_length(where, "starts", starts, x.ndim)
    need_length(where, "sizes", sizes, x.ndim)
    if not all(0 <= size <= n for size, n in zip(sizes, x.shape, strict=True)):
        refuse(where, f"a block that fits in shape {x.shape}", f"sizes {tuple(sizes)}")
    return x


def pooled(where: str, x: Any, window: Shape, strides: Shape, padding: Sequence[tuple[int, int]]) -> SpecTensor:
    x = as_tensor(where, x)
    if not 3 <= x.ndim <= 5:
        refuse(where, "x (b, *s, c) with one to three spatial axes", f"shape {x.shape}")
    return SpecTensor((x.shape[0], *window_positions(where, x.shape[1:-1], window, strides, padding, (1,) * (x.ndim - 2)), x.shape[-1]), x.dtype)


def part_of(where: str, x: Any) -> SpecTensor:
    x = as_tensor(where, x)
    need_kind(where, "complex", x)
    return SpecTensor(x.shape, PARTS[x.dtype])


def fourier(where: str, x: Any, axis: int) -> SpecTensor:
    x = as_tensor(where, x)
    need_kind(where, "complex", x)
    need_axes(where, x, (axis,))
    return SpecTensor(x.shape, x.dtype)


def need_shape(where: str, x: SpecTensor, shape: Shape) -> None:
    if x.shape != shape:
        refuse(where, f"shape {shape}", x.shape)


def need_predicate(where: str, x: SpecTensor) -> None:
    if (x.shape, x.dtype) != ((), "bool"):
        refuse(where, "a scalar bool to decide by", x)


def need_alike(where: str, need: str, first: Tree, second: Tree) -> None:
    looks = [[(x.shape, x.dtype) if isinstance(x, SpecTensor) else look(x) for x in leaves(tree)] for tree in (first, second)]
    if looks[0] != looks[1]:
        refuse(where, need, f"{tuple(first)} and {tuple(second)}")


def elementwise_rule(name: str, kinds: str, dtype: str | None = None) -> Callable:
    def two(self: Engine, x: Any, y: Any) -> SpecTensor:
        result = elementwise(name, (x, y), kinds)
        return SpecTensor(result.shape, dtype or result.dtype)

    def one(self: Engine, x: Any) -> SpecTensor:
        x = as_tensor(name, x)
        need_kind(name, kinds, x)
        return SpecTensor(x.shape, dtype or x.dtype)

    return two if getattr(Engine, name).__wrapped__.__code__.co_argcount == 3 else one


def reduction_rule(name: str, kinds: str) -> Callable:
    def reduce(self: Engine, x: Any, axes: Shape, keepdims: bool) -> SpecTensor:
        x = as_tensor(name, x)
        need_kind(name, kinds, x)
        return SpecTensor(reduced_shape(name, x, axes, keepdims), x.dtype)

    return reduce


def running_rule(name: str, kinds: str) -> Callable:
    def run(self: Engine, x: Any, axis: int) -> SpecTensor:
        x = as_tensor(name, x)
        need_kind(name, kinds, x)
        need_axes(name, x, (axis,))
        return SpecTensor(x.shape, x.dtype)

    return run
