# SPDX-License-Identifier: Apache-2.0
"""Functions of `keras.backend` on tensors: arithmetic, shapes, reductions. Each is an op of today with the names and defaults of then."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.config import floatx
from nyala.core.errors import ShapeError
from nyala.core.symbolic import Symbolic
from nyala.core.variable import Variable
from nyala.engines.protocol import Tensor
from nyala.legacy.own_optimizers import Updates, made

# The same under the same name, or under another one.
cos, exp, log, round, sign, sin, square = ops.cos, ops.exp, ops.log, ops.round, ops.sign, ops.sin, ops.square
abs, sigmoid, softplus, softsign, tanh = ops.abs, ops.sigmoid, ops.softplus, ops.softsign, ops.tanh
cast, is_tensor, transpose = ops.cast, ops.is_tensor, ops.transpose


def _of_two(op: Callable) -> Callable[[Tensor, Tensor], Tensor]:
    """The same with the words of then."""

    def call(x: Tensor, y: Tensor) -> Tensor:
        return op(x, y)

    call.__name__ = call.__qualname__ = op.__name__
    return call


equal, not_equal, maximum, minimum = _of_two(ops.equal), _of_two(ops.not_equal), _of_two(ops.maximum), _of_two(ops.minimum)
greater, greater_equal, less, less_equal = _of_two(ops.greater), _of_two(ops.greater_equal), _of_two(ops.less), _of_two(ops.less_equal)
lesser, lesser_equal = less, less_equal


def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    return ops.reshape(x, shape)


def sqrt(x: Tensor) -> Tensor:
    """The root, 0 of what is below 0.

    >>> sqrt([-1.0, 4.0]).tolist()
    [0.0, 2.0]
    """
    return ops.sqrt(ops.maximum(x, 0))


def identity(x: Tensor, name: str | None = None) -> Tensor:
    """The tensor itself, as a new one."""
    return ops.multiply(x, 1) if isinstance(x, Symbolic) else ops.convert_to_tensor(x)


def _floats(x: Any) -> Any:
    return ops.cast(x, floatx()) if ops.dtype(x) == "bool" else x


def mean(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean; of booleans the share that is True."""
    return ops.mean(_floats(x), axis=_axes(axis), keepdims=keepdims)


def sum(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.sum(x, axis=_axes(axis), keepdims=keepdims)


def prod(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.prod(x, axis=_axes(axis), keepdims=keepdims)


def max(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.max(x, axis=_axes(axis), keepdims=keepdims)


def min(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.min(x, axis=_axes(axis), keepdims=keepdims)


def var(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.var(_floats(x), axis=_axes(axis), keepdims=keepdims)


def std(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.std(_floats(x), axis=_axes(axis), keepdims=keepdims)


def any(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.any(ops.cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def all(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.all(ops.cast(x, "bool"), axis=_axes(axis), keepdims=keepdims)


def logsumexp(x: Tensor, axis: Any = None, keepdims: bool = False) -> Tensor:
    return ops.logsumexp(x, axis=_axes(axis), keepdims=keepdims)


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def argmax(x: Tensor, axis: int = -1) -> Tensor:
    """The place of the largest, along the last axis by default."""
    return ops.argmax(x, axis=axis)


def argmin(x: Tensor, axis: int = -1) -> Tensor:
    """The place of the smallest, along the last axis by default."""
    return ops.argmin(x, axis=axis)


def cumsum(x: Tensor, axis: int = 0) -> Tensor:
    return ops.cumsum(x, axis=axis)


def cumprod(x: Tensor, axis: int = 0) -> Tensor:
    return ops.cumprod(x, axis=axis)


def pow(x: Tensor, a: Any) -> Tensor:
    return ops.power(x, a)


def clip(x: Tensor, min_value: Any = None, max_value: Any = None) -> Tensor:
    """x within bounds; None is no bound, and the upper one is never below the lower one."""
    low = -math.inf if min_value is None else min_value
    high = math.inf if max_value is None else max_value
    if isinstance(low, (int, float)) and isinstance(high, (int, float)) and high < low:
        high = low
    return ops.clip(x, low, high)


def relu(x: Tensor, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    from nyala import activations

    return activations.relu(x, negative_slope=alpha, max_value=max_value, threshold=threshold)


def elu(x: Tensor, alpha: float = 1.0) -> Tensor:
    return ops.elu(x, alpha=alpha)


def softmax(x: Tensor, axis: int = -1) -> Tensor:
    return ops.softmax(x, axis=axis)


def hard_sigmoid(x: Tensor) -> Tensor:
    """clip(x / 5 + 1/2, 0, 1), as it was in Keras 1 and 2.

    >>> hard_sigmoid([1.0]).tolist()
    [0.699999988079071]
    """
    from nyala.legacy.functions import hard_sigmoid_of_keras_2

    return hard_sigmoid_of_keras_2(x)


def l2_normalize(x: Tensor, axis: Any = None) -> Tensor:
    """x over its length along axes, which counts at least 1e-6."""
    return ops.multiply(x, ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=_axes(axis), keepdims=True), 1e-12)))


# Products -------------------------------------------------------------------------------------------------------------------------


def dot(x: Tensor, y: Tensor) -> Tensor:
    """The product over the last axis of x and the last but one of y.

    >>> dot(ops.ones((2, 3)), ops.ones((3, 4))).shape
    (2, 4)
    """
    return ops.dot(x, y)


def batch_dot(x: Tensor, y: Tensor, axes: Any = None) -> Tensor:
    """Products sample by sample, over one axis of each; a result without other axes gets one of size 1.

    Args:
        x, y: (b, ...).
        axes: one for both, or a pair, the batch counted; by default the last of x and the last but one of y.

    >>> batch_dot(ops.ones((5, 3, 4)), ops.ones((5, 4, 2))).shape, batch_dot(ops.ones((5, 3)), ops.ones((5, 3)), axes=1).shape
    ((5, 3, 2), (5, 1))
    """
    ranks = len(x.shape), len(y.shape)
    if axes is None:
        axes = (ranks[0] - 1, 1 if ranks[1] == 2 else ranks[1] - 2)
    first, second = (axes, axes) if isinstance(axes, int) else axes
    first, second = first % ranks[0], second % ranks[1]
    if 0 in (first, second):
        raise ShapeError("K.batch_dot(axes)", need="axes behind the batch", got=f"{axes}")
    letters = iter("cdefghijklmnopqrstuvwxyz")
    left = ["b" if i == 0 else "a" if i == first else next(letters) for i in range(ranks[0])]
    right = ["b" if i == 0 else "a" if i == second else next(letters) for i in range(ranks[1])]
    kept = [c for c in left[1:] if c != "a"] + [c for c in right[1:] if c != "a"]
    result = ops.einsum(f"{''.join(left)},{''.join(right)}->{''.join(['b', *kept])}", x, y)
    return result if kept else ops.expand_dims(result, 1)


def bias_add(x: Tensor, bias: Tensor, data_format: str | None = None) -> Tensor:
    """x plus one number for each channel, or one for each place and channel, (*s, c), which is reshaped to (c, *s) with channels first."""
    from nyala.legacy.k.windows import normalize_data_format

    if normalize_data_format(data_format) == "channels_first" and len(x.shape) > 2:
        places = bias.shape[:-1] if len(bias.shape) > 1 else (1,) * (len(x.shape) - 2)
        bias = ops.reshape(bias, (bias.shape[-1], *places))
    return ops.add(x, bias)


# Shapes ---------------------------------------------------------------------------------------------------------------------------


def int_shape(x: Any) -> Any:
    """The shape, None where a size is unknown.

    >>> import nyala
    >>> int_shape(nyala.Input((3,)))
    (None, 3)
    """
    from nyala.core.symbolic import plain_shape

    shape = getattr(x, "shape", None)
    return None if shape is None else plain_shape(shape)


def shape(x: Any) -> Any:
    return ops.shape(x)


def ndim(x: Any) -> int:
    return len(x.shape)


def size(x: Any, name: str | None = None) -> Any:
    return ops.size(x)


def dtype(x: Any) -> str:
    return ops.dtype(x)


def count_params(x: Any) -> int:
    """The number of numbers in a tensor."""
    return math.prod(x.shape)


def is_sparse(tensor: Any) -> bool:
    return bool(getattr(tensor, "sparse", False))


def to_dense(tensor: Any) -> Any:
    """The tensor: all are dense here."""
    return tensor


def is_variable(x: Any) -> bool:
    return isinstance(x, Variable)


def cast_to_floatx(x: Any) -> Any:
    """Numbers as the usual float; an array stays an array."""
    if ops.is_tensor(x) or isinstance(x, (Symbolic, Variable)):
        return ops.cast(x, floatx())
    import numpy as np

    return np.asarray(x, dtype=dtypes.numpy_dtype(floatx()))


def concatenate(tensors: Sequence[Tensor], axis: int = -1) -> Tensor:
    return ops.concatenate(list(tensors), axis=axis)


def stack(x: Sequence[Tensor], axis: int = 0) -> Tensor:
    return ops.stack(list(x), axis=axis)


def flatten(x: Tensor) -> Tensor:
    """One axis of everything."""
    return ops.reshape(x, (-1,))


def batch_flatten(x: Tensor) -> Tensor:
    """Two axes: samples, and everything of each."""
    sizes = x.shape[1:]
    return ops.reshape(x, (-1, math.prod(sizes))) if None not in sizes else ops.reshape(x, (x.shape[0], -1))


def expand_dims(x: Tensor, axis: int = -1, dim: int | None = None) -> Tensor:
    return ops.expand_dims(x, axis=axis if dim is None else dim)


def squeeze(x: Tensor, axis: int) -> Tensor:
    return ops.squeeze(x, axis=axis)


def permute_dimensions(x: Tensor, pattern: Sequence[int]) -> Tensor:
    return ops.transpose(x, axes=tuple(pattern))


def repeat(x: Tensor, n: int) -> Tensor:
    """(b, d) n times as (b, n, d)."""
    return ops.repeat(ops.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Tensor, rep: int, axis: int) -> Tensor:
    """Each entry along an axis several times in a row."""
    return ops.repeat(x, rep, axis=axis)


def tile(x: Tensor, n: Any) -> Tensor:
    return ops.tile(x, n)


def reverse(x: Tensor, axes: Any) -> Tensor:
    return ops.flip(x, axis=_axes(axes))


def slice(x: Tensor, start: Any, size: Any) -> Tensor:
    """The part that begins at start; a size of -1 goes to the end."""
    whole = x.shape
    sizes = [n - s if wanted == -1 else wanted for wanted, s, n in zip(size, start, whole, strict=True)]
    return ops.slice(x, start, sizes)


def transpose_shape(shape: Sequence[Any], target_format: str, spatial_axes: Sequence[int]) -> Any:
    """A shape with channels last, in another order."""
    if target_format != "channels_first":
        return shape
    turned = [*shape[: spatial_axes[0]], shape[-1], *(shape[axis] for axis in spatial_axes)]
    return tuple(turned) if isinstance(shape, tuple) else turned


# Making tensors -------------------------------------------------------------------------------------------------------------------


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros; in the call of a layer a tensor, whose sizes may be those of others.

    >>> zeros((2, 3)).numpy().tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    return _filled(ops.zeros, shape, dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones; in the call of a layer a tensor, whose sizes may be those of others."""
    return _filled(ops.ones, shape, dtype, name)


def _filled(fill: Callable, shape: Any, dtype: Any, name: str | None) -> Any:
    from nyala.layers.layer import context

    if context.root is not None and not Updates.running:
        return fill(shape, dtype or floatx())
    return made(lambda: Variable(fill, _sizes(shape), dtype or floatx(), name=name))


def _sizes(shape: Any) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(int(n) for n in shape)


def zeros_like(x: Tensor, dtype: Any = None, name: str | None = None) -> Tensor:
    return ops.zeros_like(x, dtype=dtype)


def ones_like(x: Tensor, dtype: Any = None, name: str | None = None) -> Tensor:
    return ops.ones_like(x, dtype=dtype)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Variable:
    """A variable: the identity matrix."""
    import numpy as np

    rows, columns = (size, size) if isinstance(size, int) else size
    return Variable(np.eye(rows, columns, dtype=dtypes.numpy_dtype(dtype or floatx())), name=name)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Tensor:
    bounds = (0, builtins.max(start, 0)) if stop is None else (start, stop)
    if dtype == "int32" and builtins.any(isinstance(n, float) for n in (*bounds, step)):
        dtype = None  # floats stay floats
    return ops.arange(*bounds, step, dtype=dtype)


def one_hot(indices: Tensor, num_classes: int | None = None, nb_classes: int | None = None) -> Tensor:
    return ops.one_hot(indices, num_classes if num_classes is not None else nb_classes)


def gather(reference: Tensor, indices: Any) -> Tensor:
    """Rows by number."""
    return ops.take(reference, ops.cast(indices, "int32"), axis=0)


def in_top_k(predictions: Tensor, targets: Tensor, k: int) -> Tensor:
    return ops.in_top_k(targets, predictions, k)


def stop_gradient(variables: Any) -> Any:
    return [ops.stop_gradient(v) for v in variables] if isinstance(variables, (list, tuple)) else ops.stop_gradient(variables)


# Loops ----------------------------------------------------------------------------------------------------------------------------


def map_fn(fn: Callable, elems: Any, name: str | None = None, dtype: Any = None) -> Any:
    """fn of each entry along the first axis."""
    return ops.map(fn, elems)


def foldl(fn: Callable, elems: Tensor, initializer: Any = None, name: str | None = None) -> Any:
    """fn(total, entry) over the first axis, from the first entry to the last.

    >>> float(foldl(lambda total, x: total - x, ops.array([8.0, 2.0, 1.0])))
    5.0
    """
    start, rest = (elems[0], elems[1:]) if initializer is None else (initializer, elems)
    return ops.scan(lambda total, x: (fn(total, x), None), start, rest)[0]


def foldr(fn: Callable, elems: Tensor, initializer: Any = None, name: str | None = None) -> Any:
    """fn(total, entry) over the first axis, from the last entry to the first."""
    return foldl(fn, ops.flip(elems, axis=0), initializer)
