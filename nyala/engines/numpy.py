# SPDX-License-Identifier: Apache-2.0
"""The NumPy engine: plain inference everywhere Python runs, and the oracle that other engines are compared with.

Knows NumPy only (ml_dtypes when a bfloat16 or float8 is met) and no gradients. Written to be read, not to be fast.
Start at `_primitive`, which all arithmetic goes through; `_special` has the functions that NumPy lacks.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from nyala.engines import _special
from nyala.engines.protocol import Engine, Shape, Tensor, Tree

Padding = Sequence[tuple[int, int]]


@functools.cache
def _dtype(name: str) -> np.dtype:
    """The NumPy dtype of this name; bfloat16 and float8 come from ml_dtypes."""
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes  # only here, so that NumPy alone is enough for everybody else

        return np.dtype(getattr(ml_dtypes, name))


def _is_narrow(dtype: np.dtype) -> bool:
    """Whether dtype is a float of fewer than 32 bits (NumPy gives those of ml_dtypes the kind V)."""
    return dtype.kind in "fV" and dtype.itemsize < 4


def _primitive(method: Callable) -> Callable:
    """The method with IEEE results in silence, narrow floats computed in float32, and arrays also of rank 0."""

    @functools.wraps(method)
    def primitive(self: Engine, *args: Any, **kwargs: Any) -> Any:
        narrow = next((x.dtype for x in (*args, *kwargs.values()) if isinstance(x, np.ndarray) and _is_narrow(x.dtype)), None)

        def widen(x: Any) -> Any:
            return x.astype(np.float32) if isinstance(x, np.ndarray) and x.dtype == narrow else x

        def finish(x: Any) -> np.ndarray:
            x = np.asarray(x)
            return x.astype(narrow) if narrow is not None and x.dtype == np.float32 else x

        with np.errstate(all="ignore"):
            if narrow is not None:
                args, kwargs = tuple(map(widen, args)), {name: widen(value) for name, value in kwargs.items()}
            result = method(self, *args, **kwargs)
            return tuple(map(finish, result)) if isinstance(result, tuple) else finish(result)

    return primitive


def _quiet(function: Callable) -> Callable:
    """A primitive from a function of arrays."""
    return _primitive(functools.wraps(function)(lambda _, *args, **kwargs: function(*args, **kwargs)))


def _unchanged_integers(function: Callable) -> Callable:
    """function, which leaves integers as they are."""
    return lambda x: function(x) if x.dtype.kind == "f" else x


def _lowest(dtype: np.dtype) -> float:
    """The value that is never the largest."""
    return -np.inf if dtype.kind == "f" else np.iinfo(dtype).min


def _stack(results: list[Tree], axis: Any) -> Tree:
    """Equal trees as one tree of stacked tensors; axis may be one int or one per entry."""
    first = results[0]
    if isinstance(first, dict):
        return {key: _stack([result[key] for result in results], axis[key] if isinstance(axis, dict) else axis) for key in first}
    if isinstance(first, (list, tuple)):
        axes = axis if isinstance(axis, (list, tuple)) else [axis] * len(first)
        return type(first)(_stack(list(parts), part_axis) for parts, part_axis in zip(zip(*results, strict=True), axes, strict=True))
    return first if axis is None else np.stack(results, axis)


class NumpyEngine(Engine):
    """See `Engine` for the contract of every method."""

    name = "numpy"
    differentiable = False
    fast: dict[str, Callable] = {}

    # Tensors and the host ---------------------------------------------------------------------------------------------------

    def asarray(self, value: Any, dtype: str | None = None) -> Tensor:
        value = np.asarray(value) if hasattr(value, "__array__") else value  # other libraries refuse to be asked for a copy
        array = np.array(value, None if dtype is None else _dtype(dtype))
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def adopt(self, array: np.ndarray, dtype: str) -> Tensor:
        return np.asarray(array, _dtype(dtype))

    def to_numpy(self, x: Tensor) -> np.ndarray:
        return np.array(x)

    def borrow(self, x: Tensor) -> np.ndarray:
        return x

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, np.ndarray)

    # Transforms -------------------------------------------------------------------------------------------------------------

    def value_and_grad(self, function: Callable) -> Callable:
        raise NotImplementedError(
            "value_and_grad needs an engine with gradients, got engine 'numpy'.\n"
            "  why: NumPy computes values only; this engine is for inference and for checking others\n"
            "  fix: choose an engine that has gradients, for example nyala.set_backend('jax') or nyala.set_backend('torch')"
        )

    def vmap(self, function: Callable, in_axes: Any = 0, out_axes: Any = 0) -> Callable:
        def mapped(*args: Tensor) -> Tree:
            axes = in_axes if isinstance(in_axes, (list, tuple)) else [in_axes] * len(args)
            size = next(x.shape[axis] for x, axis in zip(args, axes, strict=True) if axis is not None)
            moved = [x if axis is None else np.moveaxis(x, axis, 0) for x, axis in zip(args, axes, strict=True)]
            pairs = list(zip(moved, axes, strict=True))
            return _stack([function(*(x if axis is None else x[i, ...] for x, axis in pairs)) for i in range(size)], out_axes)

        return mapped

    def custom_gradient(self, function: Callable) -> Callable:
        return lambda *tensors: function(*tensors)[0]

    # Elementwise ------------------------------------------------------------------------------------------------------------

    negative, abs, sign = _quiet(np.negative), _quiet(np.abs), _quiet(np.sign)
    exp, expm1, log, log1p, sqrt = _quiet(np.exp), _quiet(np.expm1), _quiet(np.log), _quiet(np.log1p), _quiet(np.sqrt)
    rsqrt = _quiet(lambda x: 1 / np.sqrt(x))
    sin, cos, tan = _quiet(np.sin), _quiet(np.cos), _quiet(np.tan)
    arcsin, arccos, arctan = _quiet(np.arcsin), _quiet(np.arccos), _quiet(np.arctan)
    sinh, cosh, tanh = _quiet(np.sinh), _quiet(np.cosh), _quiet(np.tanh)
    arcsinh, arccosh, arctanh = _quiet(np.arcsinh), _quiet(np.arccosh), _quiet(np.arctanh)
    erf, erfinv, lgamma, digamma = _quiet(_special.erf), _quiet(_special.erfinv), _quiet(_special.lgamma), _quiet(_special.digamma)
    floor, ceil, round = (_quiet(_unchanged_integers(function)) for function in (np.floor, np.ceil, np.rint))
    isfinite, isnan = _quiet(np.isfinite), _quiet(np.isnan)

    @_primitive
    def sigmoid(self, x: Tensor) -> Tensor:
        small = np.exp(-np.abs(x))
        return np.where(x < 0, small, 1) / (1 + small)

    add, subtract, multiply, divide = _quiet(np.add), _quiet(np.subtract), _quiet(np.multiply), _quiet(np.true_divide)
    floor_divide, remainder, arctan2 = _quiet(np.floor_divide), _quiet(np.remainder), _quiet(np.arctan2)
    power = _quiet(operator.pow)  # unlike np.power, x * x for the number 2
    maximum, minimum = _quiet(np.maximum), _quiet(np.minimum)
    equal, not_equal, less = _quiet(np.equal), _quiet(np.not_equal), _quiet(np.less)
    less_equal, greater, greater_equal = _quiet(np.less_equal), _quiet(np.greater), _quiet(np.greater_equal)
    logical_not, logical_and, logical_or = _quiet(np.logical_not), _quiet(np.logical_and), _quiet(np.logical_or)
    bitwise_not, bitwise_and = _quiet(np.bitwise_not), _quiet(np.bitwise_and)
    bitwise_or, bitwise_xor = _quiet(np.bitwise_or), _quiet(np.bitwise_xor)
    left_shift, right_shift, where = _quiet(np.left_shift), _quiet(np.right_shift), _quiet(np.where)

    def cast(self, x: Tensor, dtype: str) -> Tensor:
        target = _dtype(dtype)
        with np.errstate(all="ignore"):
            return (x.real if x.dtype.kind == "c" and target.kind not in "cb" else x).astype(target)

    # Reductions -------------------------------------------------------------------------------------------------------------

    @_primitive
    def sum(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.sum(x, axes, x.dtype, keepdims=keepdims)

    @_primitive
    def prod(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.prod(x, axes, x.dtype, keepdims=keepdims)

    @_primitive
    def max(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.max(x, axes, keepdims=keepdims)

    @_primitive
    def min(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.min(x, axes, keepdims=keepdims)

    @_primitive
    def any(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.any(x, axes, keepdims=keepdims)

    @_primitive
    def all(self, x: Tensor, axes: Shape, keepdims: bool) -> Tensor:
        return np.all(x, axes, keepdims=keepdims)

    @_primitive
    def argmax(self, x: Tensor, axis: int) -> Tensor:
        return np.argmax(x, axis).astype(np.int32)

    @_primitive
    def argmin(self, x: Tensor, axis: int) -> Tensor:
        return np.argmin(x, axis).astype(np.int32)

    @_primitive
    def cumsum(self, x: Tensor, axis: int) -> Tensor:
        return np.cumsum(x, axis, x.dtype)

    @_primitive
    def cumprod(self, x: Tensor, axis: int) -> Tensor:
        return np.cumprod(x, axis, x.dtype)

    @_primitive
    def cummax(self, x: Tensor, axis: int) -> Tensor:
        return np.maximum.accumulate(x, axis)

    # Shape moves ------------------------------------------------------------------------------------------------------------

    reshape, transpose = staticmethod(np.reshape), staticmethod(np.transpose)
    broadcast_to, concatenate, flip = staticmethod(np.broadcast_to), staticmethod(np.concatenate), _quiet(np.flip)

    def pad(self, x: Tensor, widths: Padding, value: float) -> Tensor:
        return _pad(x, widths, value)

    def slice(self, x: Tensor, starts: Shape, stops: Shape, steps: Shape) -> Tensor:
        return x[(*map(slice, starts, stops, steps), ...)]  # the ... keeps an array of rank 0 an array

    # Indexing ---------------------------------------------------------------------------------------------------------------

    def take(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        return np.asarray(np.take(x, indices.astype(np.intp), axis))

    def take_along_axis(self, x: Tensor, indices: Tensor, axis: int) -> Tensor:
        return np.take_along_axis(x, indices.astype(np.intp), axis)

    @_primitive
    def scatter(self, x: Tensor, indices: Tensor, updates: Tensor, mode: str) -> Tensor:
        result, where = x.copy(), tuple(indices.T)
        if mode == "set":
            result[where] = updates
        else:
            {"add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}[mode].at(result, where, updates)
        return result

    def dynamic_slice(self, x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> Tensor:
        return x[_block(x, starts, sizes)]

    def dynamic_update_slice(self, x: Tensor, update: Tensor, starts: Sequence[Tensor | int]) -> Tensor:
        result = x.copy()
        result[_block(x, starts, update.shape)] = update
        return result

    def nonzero(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(np.argwhere(x).astype(np.int32).T)  # argwhere takes rank 0 too

    # Order ------------------------------------------------------------------------------------------------------------------

    sort = _quiet(np.sort)

    @_primitive
    def argsort(self, x: Tensor, axis: int) -> Tensor:
        return np.argsort(x, axis, kind="stable").astype(np.int32)

    @_primitive
    def top_k(self, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        backwards = np.argsort(x[..., ::-1], -1, kind="stable")[..., ::-1][..., :k]  # among equals the last of the reversed, so the first of x
        indices = x.shape[-1] - 1 - backwards
        return np.take_along_axis(x, indices, -1), indices.astype(np.int32)

    @_primitive
    def searchsorted(self, sequence: Tensor, values: Tensor, side: Literal["left", "right"]) -> Tensor:
        return np.searchsorted(sequence, values, side).astype(np.int32)

    # Contractions -----------------------------------------------------------------------------------------------------------

    matmul = _quiet(np.matmul)
    einsum = _quiet(functools.partial(np.einsum, optimize=True))

    # Windows: each window becomes a row of a matrix ---------------------------------------------------------------------------

    @_primitive
    def conv(self, x: Tensor, kernel: Tensor, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Tensor:
        windows = _windows(_pad_space(x, padding, 0), kernel.shape[:-2], strides, dilation)  # b *s' c *k
        result = _rows_of_windows(windows, groups) @ _kernel_matrix(kernel, groups)  # g rows o/g
        return _from_groups(result).reshape(*windows.shape[: x.ndim - 1], kernel.shape[-1])

    @_primitive
    def conv_input_gradient(
        self, g: Tensor, kernel: Tensor, input_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int
    ) -> Tensor:
        taps, space = kernel.shape[:-2], g.shape[1:-1]
        windows = _to_groups(g, groups) @ _kernel_matrix(kernel, groups).swapaxes(1, 2)  # g rows c/g*k
        windows = _from_groups(windows).reshape(*g.shape[:-1], input_shape[-1], *taps)  # b *s' c *k
        sizes = [size + before + after for size, (before, after) in zip(input_shape[1:-1], padding, strict=True)]
        result = np.zeros((input_shape[0], *sizes, input_shape[-1]), g.dtype)
        for tap in np.ndindex(*taps):  # where each tap of the kernel read, it now adds
            read = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, space, strides, strict=True))
            result[(slice(None), *read)] += windows[(..., *tap)]
        return result[(slice(None), *(slice(before, before + size) for size, (before, _) in zip(input_shape[1:-1], padding, strict=True)))]

    @_primitive
    def conv_kernel_gradient(
        self, x: Tensor, g: Tensor, kernel_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int
    ) -> Tensor:
        *taps, depth, outputs = kernel_shape
        windows = _windows(_pad_space(x, padding, 0), tuple(taps), strides, dilation)
        matrix = _rows_of_windows(windows, groups).swapaxes(1, 2) @ _to_groups(g, groups)  # g c/g*k o/g
        matrix = matrix.reshape(groups, depth, *taps, outputs // groups)
        return np.moveaxis(matrix, (0, 1), (-2, -3)).reshape(kernel_shape)

    @_primitive
    def max_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
        windows = _windows(_pad_space(x, padding, _lowest(x.dtype)), window, strides, (1,) * len(window))
        return np.max(windows, tuple(range(x.ndim, windows.ndim)))

    @_primitive
    def sum_pool(self, x: Tensor, window: Shape, strides: Shape, padding: Padding) -> Tensor:
        windows = _windows(_pad_space(x, padding, 0), window, strides, (1,) * len(window))
        return np.sum(windows, tuple(range(x.ndim, windows.ndim)), x.dtype)

    # Linear algebra ---------------------------------------------------------------------------------------------------------

    cholesky, solve, qr, eigh = _quiet(np.linalg.cholesky), _quiet(np.linalg.solve), _quiet(np.linalg.qr), _quiet(np.linalg.eigh)
    svd = _quiet(np.linalg.svd)

    @_primitive
    def triangular_solve(self, a: Tensor, b: Tensor, lower: bool) -> Tensor:
        return np.linalg.solve(np.tril(a) if lower else np.triu(a), b)

    @_primitive
    def eig(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kind = np.result_type(x, np.complex64)
        values, vectors = np.linalg.eig(x)
        return values.astype(kind), vectors.astype(kind)

    @_primitive
    def lu(self, x: Tensor) -> tuple[Tensor, Tensor]:
        matrix = x.copy()  # * m n
        steps = min(x.shape[-2:])
        pivots = np.zeros((*x.shape[:-2], steps), np.int32)
        for k in range(steps):
            pivot = np.argmax(np.abs(matrix[..., k:, k]), -1) + k
            pivots[..., k] = pivot
            order = np.broadcast_to(np.arange(x.shape[-2]), matrix.shape[:-1]).copy()
            np.put_along_axis(order, pivot[..., None], k, -1)
            order[..., k] = pivot
            matrix = np.take_along_axis(matrix, order[..., None], -2)
            diagonal = matrix[..., k, k][..., None]
            matrix[..., k + 1 :, k] /= np.where(diagonal == 0, 1, diagonal)  # a zero pivot has only zeros below
            matrix[..., k + 1 :, k + 1 :] -= matrix[..., k + 1 :, k, None] * matrix[..., k, None, k + 1 :]
        return matrix, pivots

    # Complex numbers and Fourier transforms ---------------------------------------------------------------------------------

    def complex(self, real: Tensor, imaginary: Tensor) -> Tensor:
        result = np.empty(np.broadcast_shapes(real.shape, imaginary.shape), np.result_type(real, np.complex64))
        result.real, result.imag = real, imaginary
        return result

    real, imag = staticmethod(np.real), staticmethod(np.imag)

    @_primitive
    def fft(self, x: Tensor, axis: int) -> Tensor:
        return np.fft.fft(x, axis=axis)

    @_primitive
    def ifft(self, x: Tensor, axis: int) -> Tensor:
        return np.fft.ifft(x, axis=axis)

    # Random bits ------------------------------------------------------------------------------------------------------------

    @_primitive
    def random_bits(self, key: Tensor, shape: Shape) -> Tensor:
        number = np.arange(math.prod(shape), dtype=np.uint64)
        keys = (key[0], key[1], key[0] ^ key[1] ^ np.uint32(0x1BD11BDA))
        a = (number >> 32).astype(np.uint32) + keys[0]
        b = number.astype(np.uint32) + keys[1]
        for block in range(5):
            for rotation in ((13, 15, 26, 6), (17, 29, 16, 24))[block % 2]:
                a = a + b
                b = (b << rotation | b >> (32 - rotation)) ^ a
            a = a + keys[(block + 1) % 3]
            b = b + keys[(block + 2) % 3] + np.uint32(block + 1)
        return (a ^ b).reshape(shape)

    # Creation ---------------------------------------------------------------------------------------------------------------

    def full(self, shape: Shape, value: Any, dtype: str) -> Tensor:
        return np.full(shape, value, _dtype(dtype))

    def arange(self, size: int, dtype: str) -> Tensor:
        return np.arange(size).astype(_dtype(dtype))

    # Control flow -----------------------------------------------------------------------------------------------------------

    def cond(self, predicate: Tensor, true_fn: Callable, false_fn: Callable, operands: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (true_fn if predicate else false_fn)(*operands)

    def while_loop(self, condition: Callable, body: Callable, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        while condition(*state):
            state = body(*state)
        return state

    def scan(
        self, body: Callable, carry: tuple[Tensor, ...], xs: tuple[Tensor, ...], length: int, reverse: bool, unroll: int | bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        if length == 0:  # one turn on zeros, only for the shapes of the ys
            _, y = body(carry, tuple(np.zeros(x.shape[1:], x.dtype) for x in xs))
            return carry, tuple(np.zeros((0, *part.shape), part.dtype) for part in y)
        ys = []
        for i in reversed(range(length)) if reverse else range(length):
            carry, y = body(carry, tuple(x[i, ...] for x in xs))
            ys.append(y)
        return carry, tuple(np.stack(parts) for parts in zip(*(reversed(ys) if reverse else ys), strict=True))


# Windows and groups ---------------------------------------------------------------------------------------------------------


def _block(x: Tensor, starts: Sequence[Tensor | int], sizes: Shape) -> tuple:
    """The index of the block of these sizes at starts, moved inside x."""
    first = [max(0, min(int(start), whole - size)) for start, whole, size in zip(starts, x.shape, sizes, strict=True)]
    return (*(slice(start, start + size) for start, size in zip(first, sizes, strict=True)), ...)


def _pad(x: Tensor, widths: Padding, value: float) -> Tensor:
    result = np.full([size + before + after for size, (before, after) in zip(x.shape, widths, strict=True)], value, x.dtype)
    result[(*(slice(before, before + size) for size, (before, _) in zip(x.shape, widths, strict=True)), ...)] = x
    return result


def _pad_space(x: Tensor, padding: Padding, value: float) -> Tensor:
    return _pad(x, ((0, 0), *padding, (0, 0)), value)


def _windows(x: Tensor, taps: Shape, strides: Shape, dilation: Shape) -> Tensor:
    """Every window of a padded x, as a view (b, *s', c, *k)."""
    spans = [(tap - 1) * rate + 1 for tap, rate in zip(taps, dilation, strict=True)]
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, tuple(range(1, x.ndim - 1)))
    every = [slice(None, None, step) for step in strides], [slice(None, None, rate) for rate in dilation]
    return windows[(slice(None), *every[0], slice(None), *every[1])]


def _rows_of_windows(windows: Tensor, groups: int) -> Tensor:
    """(b, *s', c, *k) as (groups, b * s', c / groups * k)."""
    space = (windows.ndim - 2) // 2
    rows, width = math.prod(windows.shape[: space + 1]), math.prod(windows.shape[space + 1 :])
    return windows.reshape(rows, groups, width // groups).swapaxes(0, 1)


def _kernel_matrix(kernel: Tensor, groups: int) -> Tensor:
    """(*k, c / groups, o) as (groups, c / groups * k, o / groups)."""
    *taps, depth, outputs = kernel.shape
    parts = kernel.reshape(*taps, depth, groups, outputs // groups)
    return np.moveaxis(parts, (-2, -3), (0, 1)).reshape(groups, depth * math.prod(taps), outputs // groups)


def _to_groups(x: Tensor, groups: int) -> Tensor:
    """(*, c) as (groups, rows, c / groups)."""
    return x.reshape(math.prod(x.shape[:-1]), groups, x.shape[-1] // groups).swapaxes(0, 1)


def _from_groups(x: Tensor) -> Tensor:
    """(groups, rows, c / groups) as (rows, c)."""
    return x.swapaxes(0, 1).reshape(x.shape[1], x.shape[0] * x.shape[2])
