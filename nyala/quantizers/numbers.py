# SPDX-License-Identifier: Apache-2.0
"""Numbers as small integers: by their largest absolute value, by groups with a zero point, two to a byte. Start at abs_max_quantize.

Composed from ops; nothing here knows a layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ArgumentError, DTypeError, ShapeError
from nyala.core.op import convert
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_choice, as_count

Axis = int | Sequence[int] | None
Range = tuple[float, float]


def abs_max_quantize(
    inputs: Tensor, axis: Axis, value_range: Range = (-127, 127), dtype: str = "int8", epsilon: float = 1e-7, to_numpy: bool = False
) -> tuple[Tensor, Tensor]:
    """round(inputs * scale) with scale = value_range[1] / (max |inputs| along axis + epsilon).

    Args:
        inputs: floats of any shape.
        axis: what shares a scale; None means everything.
        value_range: least and largest integer.
        dtype: of the integers.
        epsilon: keeps the scale of zeros finite.
        to_numpy: compute on the host; the results are tensors all the same.
    Returns: the integers, and the scale in the dtype of inputs with size 1 along axis; integers / scale is about inputs.

    >>> values, scale = abs_max_quantize(ops.array([[1.0, -2.0], [0.25, 4.0]]), axis=0)
    >>> ops.convert_to_numpy(values).tolist()
    [[127, -64], [32, 127]]
    """
    if to_numpy:
        return _on_host(abs_max_quantize, inputs, axis, value_range, dtype, epsilon)
    x = _floats("abs_max_quantize(inputs)", inputs)
    axis = axis if axis is None or isinstance(axis, int) else tuple(axis)
    scale = ops.divide(value_range[1], ops.add(ops.max(ops.absolute(x), axis=axis, keepdims=True), epsilon))
    scale = ops.cast(scale, x.dtype)
    return _rounded(ops.multiply(x, scale), value_range, dtype), scale


def abs_max_quantize_grouped_with_zero_point(
    inputs: Tensor, block_size: int, value_range: Range = (-8, 7), dtype: str = "int8", epsilon: float = 1e-7, to_numpy: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """round(inputs / scale) + zero, with one scale and one zero for each column of each block of rows.

    A block that is cut off at the end is filled up with zeros, which count. As in Keras the zero is one of the integers,
    so a block in which all have one sign, far from 0, loses the ends of its range.

    Args:
        inputs: floats (rows, columns).
        block_size: rows that share a scale.
        value_range: least and largest integer, also of zero.
        dtype: of the integers.
        epsilon: least span of a block that decides its scale.
        to_numpy: compute on the host; the results are tensors all the same.
    Returns: integers (rows, columns); scale (blocks, columns); zero (blocks, columns). (integers - zero) * scale is about inputs.

    >>> values, scale, zero = abs_max_quantize_grouped_with_zero_point(ops.array([[0.0], [1.5], [-3.0]]), block_size=2)
    >>> ops.convert_to_numpy(values).ravel().tolist(), ops.convert_to_numpy(zero).ravel().tolist()
    ([-8, 7, -8], [-8, 7])
    """
    if to_numpy:
        return _on_host(abs_max_quantize_grouped_with_zero_point, inputs, block_size, value_range, dtype, epsilon)
    where = "abs_max_quantize_grouped_with_zero_point"
    x = _floats(f"{where}(inputs)", inputs)
    if len(x.shape) != 2:
        raise ShapeError(f"{where}(inputs)", need="a matrix", got=f"shape {tuple(x.shape)}", fix="reshape it to (rows, columns) first")
    size = as_count(f"{where}(block_size)", block_size)
    rows, columns = x.shape
    blocks, (least, largest) = -(-rows // size), value_range
    filled = ops.reshape(ops.pad(x, [[0, blocks * size - rows], [0, 0]]), (blocks, size, columns))
    low, high = ops.min(filled, axis=1), ops.max(filled, axis=1)  # blocks columns
    flat = ops.equal(low, high)
    low, high = ops.where(flat, ops.subtract(low, 1), low), ops.where(flat, ops.add(high, 1), high)
    scale = ops.divide(ops.subtract(high, low), largest - least)
    zero = ops.clip(ops.round(ops.subtract(least, ops.divide(low, scale))), least, largest)
    every = lambda t: ops.repeat(t, size, axis=0)[:rows]  # noqa: E731
    values = _rounded(ops.add(ops.round(ops.divide(x, every(scale))), every(zero)), value_range, dtype)
    return values, scale, ops.cast(zero, "int8")


def fake_quant_with_min_max_vars(
    inputs: Tensor, min_vals: Any, max_vals: Any, num_bits: int = 8, narrow_range: bool = False, axis: int | None = None
) -> Tensor:
    """Inputs rounded to the 2**num_bits numbers from min_vals to max_vals, as floats; the range is moved a little so that 0 is one of them.

    Gradients pass where inputs lie in the range; beyond it they go to the end of the range.

    Args:
        inputs: floats.
        min_vals, max_vals: ends of the range: one number each, or one for each place along axis, the last one.
        num_bits: number of bits of an integer that would hold the result.
        narrow_range: leave the least integer out, so that the range is symmetric.
        axis: the channels that have ranges of their own; None: all share one.

    >>> ops.convert_to_numpy(fake_quant_with_min_max_vars(ops.array([-1.0, 0.3, 5.0]), 0.0, 3.0, num_bits=2)).tolist()
    [0.0, 0.0, 3.0]
    """
    x = _floats("fake_quant_with_min_max_vars(inputs)", inputs)
    as_count("fake_quant_with_min_max_vars(num_bits)", num_bits)
    low, high = (ops.cast(convert(v), x.dtype) for v in (min_vals, max_vals))
    where, rank = "fake_quant_with_min_max_vars", len(x.shape)
    if axis is not None and not -rank <= axis < rank:
        raise ArgumentError(f"{where}(axis)", need=f"an axis in [{-rank}, {rank})", got=repr(axis))
    along = None if axis is None else axis % rank
    shape = None if along is None else tuple(-1 if i == along else 1 for i in range(rank))
    others = tuple(i for i in range(rank) if i != along)
    fewest = 1 if narrow_range else 0
    steps = 2**num_bits - 1

    @ops.custom_gradient
    def rounded(x: Tensor, low: Tensor, high: Tensor) -> tuple[Tensor, Any]:
        first, last = (v if shape is None else ops.reshape(v, shape) for v in (low, high))
        step = ops.divide(ops.subtract(last, first), steps - fewest)
        zero = ops.clip(ops.round(ops.subtract(fewest, ops.divide(first, step))), fewest, steps)
        first, last = (ops.multiply(ops.subtract(end, zero), step) for end in (fewest, steps))
        inside = ops.logical_and(ops.greater_equal(x, first), ops.less_equal(x, last))
        counts = ops.floor(ops.add(ops.divide(ops.subtract(ops.clip(x, first, last), first), step), 0.5))
        below, above = ops.less(x, first), ops.greater(x, last)

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            of = lambda chosen: ops.where(chosen, upstream, ops.zeros_like(upstream))  # noqa: E731
            ends = (ops.reshape(ops.sum(of(chosen), axis=others), v.shape) for chosen, v in ((below, low), (above, high)))
            return (of(inside), *ends)

        return ops.add(ops.multiply(counts, step), first), gradient

    return rounded(x, low, high)


def pack_int4(arr: Tensor, axis: int = 0, dtype: str = "int8") -> tuple[Tensor, tuple[int, ...], int]:
    """Two 4-bit integers to a byte: the first of a pair along axis in the low bits, the second in the high ones.

    Args:
        arr: integers of dtype: -8 to 7 of int8, 0 to 15 of uint8.
        axis: along which neighbours pair; an odd last one pairs with 0.
        dtype: "int8" or "uint8", of arr and of the bytes.
    Returns: the bytes, their shape, and the size of arr along axis.

    >>> packed, shape, length = pack_int4(ops.array([[1], [-2], [3]], "int8"))
    >>> ops.convert_to_numpy(packed).ravel().tolist(), shape, length
    ([-31, 3], (2, 1), 3)
    """
    x = convert(arr)
    as_choice("pack_int4(dtype)", dtype, ("int8", "uint8"))
    if dtypes.standardize_dtype(x.dtype) != dtype:
        raise DTypeError("pack_int4(arr)", need=f"a tensor of {dtype}", got=dtypes.standardize_dtype(x.dtype), fix=f'ops.cast it to "{dtype}" first')
    x = ops.moveaxis(x, axis, 0)
    length = x.shape[0]
    x = ops.cast(ops.pad(x, [[0, length % 2], *[[0, 0]] * (len(x.shape) - 1)]), "int32")
    low, high = ops.bitwise_and(x[0::2], 15), ops.bitwise_and(x[1::2], 15)
    value = ops.add(low, ops.multiply(high, 16))  # 0 to 255
    value = value if dtype == "uint8" else ops.where(ops.greater(value, 127), ops.subtract(value, 256), value)
    packed = ops.moveaxis(ops.cast(value, dtype), 0, axis)
    return packed, tuple(packed.shape), length


def unpack_int4(packed: Tensor, orig_len: int, axis: int = 0, dtype: str = "int8") -> Tensor:
    """What pack_int4 packed.

    Args:
        packed: bytes of pack_int4.
        orig_len: size along axis before.
        axis, dtype: as for pack_int4.

    >>> packed, _, length = pack_int4(ops.array([[1], [-2], [3]], "int8"))
    >>> ops.convert_to_numpy(unpack_int4(packed, length)).ravel().tolist()
    [1, -2, 3]
    """
    x = convert(packed)
    as_choice("unpack_int4(dtype)", dtype, ("int8", "uint8"))
    if dtypes.standardize_dtype(x.dtype) not in ("int8", "uint8"):
        raise DTypeError("unpack_int4(packed)", need="a tensor of int8 or uint8", got=dtypes.standardize_dtype(x.dtype))
    x = ops.moveaxis(ops.cast(x, "int32"), axis, 0)
    halves = ops.stack([ops.bitwise_and(x, 15), ops.bitwise_and(ops.right_shift(x, 4), 15)], axis=1)  # pairs 2 *s
    value = ops.reshape(halves, (-1, *x.shape[1:]))[:orig_len]
    value = value if dtype == "uint8" else ops.where(ops.greater(value, 7), ops.subtract(value, 16), value)
    return ops.moveaxis(ops.cast(value, dtype), 0, axis)


def _floats(where: str, x: Any) -> Tensor:
    x = convert(x)
    if not dtypes.is_float(dtypes.standardize_dtype(x.dtype)):
        raise DTypeError(where, need="floats", got=dtypes.standardize_dtype(x.dtype))
    return x


def _rounded(x: Tensor, value_range: Range, dtype: str) -> Tensor:
    return ops.cast(ops.clip(ops.round(x), *value_range), dtype)


def _on_host(function: Any, inputs: Any, *args: Any) -> Any:
    """The function on the NumPy engine, its results as tensors of the engine in force."""
    from nyala.engines import get_engine, using

    host = ops.convert_to_numpy(inputs)
    with using(get_engine("numpy")):
        results = function(host, *args)
    return tuple(convert(result) for result in results)
