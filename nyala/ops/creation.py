# SPDX-License-Identifier: Apache-2.0
"""Tensors from nothing but sizes and numbers. dtype None means floatx, or what the numbers say. Start at full."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine, normalize_axis, op
from nyala.core.sizes import plain
from nyala.engines.protocol import Tensor

Shape = int | Sequence[int]


def resolve(dtype: Any) -> str:
    """The dtype that the engine uses for this one."""
    return engine.canonical_dtype(dtypes.standardize_dtype(dtype))


def sizes(name: str, shape: Any) -> tuple[int, ...]:
    """A shape given as one size or several; sizes that are unknown or below 0 are refused."""
    shape = plain(shape)
    given = tuple(shape) if isinstance(shape, (list, tuple)) or hasattr(shape, "__len__") else (shape,)
    try:
        result = tuple(int(size) for size in given)
    except (TypeError, ValueError) as error:
        raise ShapeError(
            f"{name}(shape)", need="known sizes", got=f"{given}", fix="use the sizes of a tensor with values, or zeros_like and its kin"
        ) from error
    if any(size < 0 for size in result):
        raise ShapeError(f"{name}(shape)", need="sizes of at least 0", got=f"{result}")
    return result


@op
def array(x: Any, dtype: str | None = None) -> Tensor:
    """x as a tensor: a number, nested list, array or tensor.

    >>> array([1, 2], dtype="float32").tolist()
    [1.0, 2.0]
    """
    return convert(x, None if dtype is None else resolve(dtype))


@op
def copy(x: Tensor) -> Tensor:
    """x; tensors never change, so this is x itself or its equal."""
    return x


@op
def full(shape: Shape, fill_value: Any, dtype: str | None = None) -> Tensor:
    """Every element fill_value: a number, or a tensor that broadcasts to shape.

    >>> full((2, 2), 3).tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    return _filled(sizes("full", shape), fill_value, resolve(dtype))


def _filled(shape: tuple[int, ...], value: Any, dtype: str) -> Tensor:
    if isinstance(value, (bool, int, float)):
        return engine.full(shape, value, dtype)
    return engine.broadcast_to(convert(value, dtype), shape)


@op
def zeros(shape: Shape, dtype: str | None = None) -> Tensor:
    """Every element 0."""
    return engine.full(sizes("zeros", shape), 0, resolve(dtype))


@op
def ones(shape: Shape, dtype: str | None = None) -> Tensor:
    """Every element 1."""
    return engine.full(sizes("ones", shape), 1, resolve(dtype))


@op
def empty(shape: Shape, dtype: str | None = None) -> Tensor:
    """Zeros: memory is never handed out with what was in it before."""
    return engine.full(sizes("empty", shape), 0, resolve(dtype))


@op
def full_like(x: Tensor, fill_value: Any, dtype: str | None = None) -> Tensor:
    """Every element fill_value, in the shape of x, and in its dtype unless another is given."""
    return _filled(tuple(x.shape), fill_value, engine.dtype(x) if dtype is None else resolve(dtype))


@op
def zeros_like(x: Tensor, dtype: str | None = None) -> Tensor:
    """Zeros in the shape of x, and in its dtype unless another is given."""
    return _filled(tuple(x.shape), 0, engine.dtype(x) if dtype is None else resolve(dtype))


@op
def ones_like(x: Tensor, dtype: str | None = None) -> Tensor:
    """Ones in the shape of x, and in its dtype unless another is given."""
    return _filled(tuple(x.shape), 1, engine.dtype(x) if dtype is None else resolve(dtype))


@op
def empty_like(x: Tensor, dtype: str | None = None) -> Tensor:
    """Zeros in the shape of x, as empty."""
    return _filled(tuple(x.shape), 0, engine.dtype(x) if dtype is None else resolve(dtype))


@op
def arange(start: float, stop: float | None = None, step: float | None = None, dtype: str | None = None) -> Tensor:
    """start, start + step, ... below stop; from 0 with one argument. int32 if all are integers, else floatx.

    >>> arange(5, 0, -2).tolist()
    [5, 3, 1]
    """
    start, stop, step = [
        _number("arange", value)
        for value in ((0, start, 1 if step is None else step) if stop is None else (start, stop, 1 if step is None else step))
    ]
    if step == 0:
        raise ArgumentError("arange(step)", need="a step other than 0", got="0")
    if dtype is None:
        dtype = "int32" if all(isinstance(value, int) for value in (start, stop, step)) else None
    size, dtype = max(0, math.ceil((stop - start) / step)), resolve(dtype)
    if (start, step) == (0, 1):
        return engine.arange(size, dtype)
    values = start + step * np.arange(size)  # on the host, in double precision
    return engine.asarray(values.astype(dtypes.numpy_dtype(dtype)), dtype)


def _number(name: str, value: Any) -> int | float:
    """A number that the host knows."""
    value = plain(value)
    if isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (np.ndarray, np.generic)):
        return value.item()
    if engine.abstract:
        raise ArgumentError(
            name, need="numbers that are known while shapes are inferred", got="a tensor", why="the size of the result depends on them"
        )
    return engine.to_numpy(convert(value)).item()


@op
def eye(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """N x M zeros with ones on diagonal k: above the main one if k > 0, below if k < 0.

    >>> eye(2, 3, k=1).tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    rows, columns = grid(*sizes("eye", (N, N if M is None else M)))
    return engine.cast(engine.equal(engine.add(rows, int(k)), columns), resolve(dtype))


@op
def identity(n: int, dtype: str | None = None) -> Tensor:
    """The n x n identity matrix."""
    return eye.function(n, None, 0, dtype)


@op
def tri(N: int, M: int | None = None, k: int = 0, dtype: str | None = None) -> Tensor:
    """N x M: ones on and below diagonal k, zeros above."""
    rows, columns = grid(*sizes("tri", (N, N if M is None else M)))
    return engine.cast(engine.greater_equal(engine.add(rows, int(k)), columns), resolve(dtype))


def grid(rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Row numbers as a column and column numbers as a row, int32."""
    return engine.reshape(engine.arange(rows, "int32"), (rows, 1)), engine.reshape(engine.arange(columns, "int32"), (1, columns))


@op
def tril(x: Tensor, k: int = 0) -> Tensor:
    """x with zeros above diagonal k of its last two axes."""
    rows, columns = grid(*_matrix("tril", x))
    return engine.where(engine.greater_equal(engine.add(rows, int(k)), columns), x, engine.full((), 0, engine.dtype(x)))


@op
def triu(x: Tensor, k: int = 0) -> Tensor:
    """x with zeros below diagonal k of its last two axes."""
    rows, columns = grid(*_matrix("triu", x))
    return engine.where(engine.less_equal(engine.add(rows, int(k)), columns), x, engine.full((), 0, engine.dtype(x)))


def _matrix(name: str, x: Tensor) -> tuple[int, int]:
    if x.ndim < 2:
        raise ShapeError(name, need="a tensor of at least two axes", got=f"shape {tuple(x.shape)}")
    return x.shape[-2], x.shape[-1]


@op(promote="float")
def linspace(
    start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: str | None = None, axis: int = 0
) -> Tensor:
    """num evenly spaced numbers from start to stop, this one included if endpoint; with retstep also the step.

    Args:
        start, stop: numbers or tensors that broadcast; the new axis of the result is `axis`.

    >>> linspace(0, 1, 5).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    num, parts = _positive("linspace", num), num - 1 if endpoint else num
    kind = engine.dtype(start)
    shape = tuple(engine.add(start, stop).shape)
    axis = normalize_axis(axis, len(shape) + 1)
    spread = lambda x: engine.reshape(engine.broadcast_to(x, shape), (*shape[:axis], 1, *shape[axis:]))  # noqa: E731
    first, last = spread(start), spread(stop)
    column = tuple(num if i == axis else 1 for i in range(len(shape) + 1))
    part = engine.asarray(np.arange(num).reshape(column) / max(parts, 1), kind)
    values = engine.add(engine.multiply(first, engine.subtract(1.0, part)), engine.multiply(last, part))  # exact at both ends
    if dtype is not None:
        dtype = resolve(dtype)
        values = engine.cast(engine.floor(values) if dtypes.is_integer(dtype) else values, dtype)
    if not retstep:
        return values
    step = engine.divide(engine.subtract(stop, start), float(parts)) if parts > 0 else engine.full(shape, math.nan, kind)
    return values, step


def _positive(name: str, num: int) -> int:
    if not isinstance(num, (int, np.integer)) or num < 0:
        raise ArgumentError(f"{name}(num)", need="an integer of at least 0", got=repr(num))
    return int(num)


@op(promote="float")
def logspace(start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, base: float = 10, dtype: str | None = None, axis: int = 0) -> Tensor:
    """base**start, ..., base**stop: num numbers with evenly spaced logarithms."""
    exponents = linspace.function(start, stop, num, endpoint, False, None, axis)
    values = engine.power(convert(float(base), engine.dtype(exponents)), exponents)
    return values if dtype is None else engine.cast(values, resolve(dtype))


@op(promote="float")
def geomspace(start: Tensor, stop: Tensor, num: int = 50, endpoint: bool = True, dtype: str | None = None, axis: int = 0) -> Tensor:
    """start, ..., stop: num numbers of equal ratio."""
    sign = engine.sign(start)
    logs = [engine.log(engine.multiply(x, sign)) for x in (start, stop)]
    values = engine.exp(linspace.function(*logs, num, endpoint, False, None, axis))
    shape = tuple(engine.add(start, stop).shape)
    at = normalize_axis(axis, len(shape) + 1)
    values = engine.multiply(values, engine.reshape(engine.broadcast_to(sign, shape), (*shape[:at], 1, *shape[at:])))
    return values if dtype is None else engine.cast(values, resolve(dtype))


@op
def meshgrid(*x: Tensor, indexing: str = "xy") -> list[Tensor]:
    """Coordinates of a grid, one tensor per vector: "ij" in the order of the vectors, "xy" with the first two axes swapped."""
    if indexing not in ("xy", "ij"):
        raise ArgumentError("meshgrid(indexing)", need="'xy' or 'ij'", got=repr(indexing))
    places = list(range(len(x)))
    if indexing == "xy" and len(x) > 1:
        places[:2] = [1, 0]
    lengths = [math.prod(vector.shape) for vector in x]
    shape = tuple(lengths[places.index(axis)] for axis in range(len(x)))
    spread = [tuple(length if axis == place else 1 for axis in range(len(x))) for length, place in zip(lengths, places, strict=True)]
    return [engine.broadcast_to(engine.reshape(vector, form), shape) for vector, form in zip(x, spread, strict=True)]


@op(promote="same")
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:
    """Powers of a vector as columns, x**(N - 1), ..., x**0, or the other way round."""
    if x.ndim != 1:
        raise ShapeError("vander", need="a vector", got=f"shape {tuple(x.shape)}")
    count = x.shape[0] if N is None else int(N)
    one = engine.full((x.shape[0], 1), 1, engine.dtype(x))
    if count == 0:
        return engine.reshape(engine.slice(one, (0, 0), (x.shape[0], 0), (1, 1)), (x.shape[0], 0))
    column = engine.broadcast_to(engine.reshape(x, (x.shape[0], 1)), (x.shape[0], count - 1))
    powers = engine.cumprod(engine.concatenate([one, column], 1), 1)
    return powers if increasing else engine.flip(powers, (1,))


# Windows of signal processing -----------------------------------------------------------------------------------------------------------


def _window(name: str, x: Any, values: Any) -> Tensor:
    size = int(_number(name, x))
    made = np.ones(max(size, 0)) if size <= 1 else values(size)
    return engine.asarray(made.astype(dtypes.numpy_dtype(resolve(None))), resolve(None))


@op
def bartlett(x: int) -> Tensor:
    """Triangular window of x points, 0 at its ends."""
    return _window("bartlett", x, np.bartlett)


@op
def blackman(x: int) -> Tensor:
    """Blackman window of x points: 0.42 - 0.5 cos + 0.08 cos of twice the angle."""
    return _window("blackman", x, np.blackman)


@op
def hamming(x: int) -> Tensor:
    """Hamming window of x points: 0.54 - 0.46 cos."""
    return _window("hamming", x, np.hamming)


@op
def hanning(x: int) -> Tensor:
    """Hann window of x points: 0.5 - 0.5 cos."""
    return _window("hanning", x, np.hanning)


@op
def kaiser(x: int, beta: float) -> Tensor:
    """Kaiser window of x points; the larger beta, the narrower."""
    return _window("kaiser", x, lambda size: np.kaiser(size, float(_number("kaiser(beta)", beta))))
