# SPDX-License-Identifier: Apache-2.0
"""Numbers as 8-bit floats, scaled by the largest ones seen lately. Start at quantize_and_dequantize.

Source: Micikevicius et al. 2022, FP8 formats for deep learning.
"""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import DTypeError
from nyala.core.op import convert
from nyala.engines.protocol import Tensor

LARGEST = {"float8_e4m3fn": 448.0, "float8_e5m2": 57344.0}


def compute_float8_scale(amax: Tensor, scale: Tensor, dtype_max: float, margin: int = 0) -> Tensor:
    """amax * 2**margin / dtype_max, by which numbers up to amax are divided to fit; the old scale if amax is 0 or not finite.

    Args:
        amax: largest absolute value.
        scale: the old one.
        dtype_max: largest number of the 8-bit float.
        margin: powers of 2 that stay free above amax.

    >>> float(compute_float8_scale(896.0, 1.0, 448.0))
    2.0
    """
    amax, scale = convert(amax), convert(scale)
    factor = ops.divide(ops.divide(dtype_max, amax), 2**margin)
    factor = ops.where(ops.logical_and(ops.greater(amax, 0.0), ops.isfinite(amax)), factor, ops.divide(1.0, scale))
    return ops.divide(1.0, factor)


def compute_float8_amax_history(x: Tensor, amax_history: Tensor) -> Tensor:
    """The history moved on by one place, with max |x| at its front.

    >>> ops.convert_to_numpy(compute_float8_amax_history(ops.array([2.0, -5.0]), ops.array([1.0, 2.0, 3.0]))).tolist()
    [5.0, 3.0, 1.0]
    """
    amax_history = convert(amax_history)
    newest = ops.cast(ops.max(ops.absolute(convert(x))), amax_history.dtype)
    return ops.concatenate([ops.reshape(newest, (1,)), ops.roll(amax_history, -1)[1:]])


def quantize_and_dequantize(inputs: Tensor, scale: Tensor, quantized_dtype: str, compute_dtype: str) -> Tensor:
    """inputs / scale as an 8-bit float, times scale: what is left of inputs in 8 bits.

    Args:
        inputs: floats; beyond the range of the 8-bit float they are cut off.
        scale: one number.
        quantized_dtype: "float8_e4m3fn", finer, or "float8_e5m2", farther.
        compute_dtype: of the result.

    >>> ops.convert_to_numpy(quantize_and_dequantize(ops.array([1.0, 1.07, 900.0]), 1.0, "float8_e4m3fn", "float32")).tolist()
    [1.0, 1.125, 448.0]
    """
    kind = dtypes.standardize_dtype(quantized_dtype)
    if kind not in LARGEST:
        raise DTypeError("quantize_and_dequantize(quantized_dtype)", need="'float8_e4m3fn' or 'float8_e5m2'", got=repr(quantized_dtype))
    inputs, scale = (ops.cast(convert(x), compute_dtype) for x in (inputs, scale))
    largest = LARGEST[kind] if compute_dtype != "float16" else min(LARGEST[kind], 65504.0)
    small = ops.cast(ops.clip(ops.divide(inputs, scale), -largest, largest), kind)
    return ops.multiply(ops.cast(small, compute_dtype), scale)


def through_float8(x: Tensor, scale: Any, history: Any, training: bool) -> Tensor:
    """x in 8 bits. Gradients pass; while training, the "gradients" of scale and history are their new values, which optimizers assign."""

    @ops.custom_gradient
    def forward(x: Tensor, scale: Tensor, history: Tensor) -> tuple[Tensor, Any]:
        new = compute_float8_scale(ops.max(history), scale, LARGEST["float8_e4m3fn"]) if training else scale
        seen = compute_float8_amax_history(x, history) if training else history

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return (upstream, new, seen) if training else (upstream, ops.zeros_like(scale), ops.zeros_like(history))

        return quantize_and_dequantize(x, new, "float8_e4m3fn", dtypes.standardize_dtype(x.dtype)), gradient

    return forward(x, convert(scale), convert(history))


def gradient_through_float8(y: Tensor, scale: Any, history: Any) -> Tensor:
    """y, whose gradient goes through 8 bits; the "gradients" of scale and history are their new values."""

    @ops.custom_gradient
    def forward(y: Tensor, scale: Tensor, history: Tensor) -> tuple[Tensor, Any]:
        new = compute_float8_scale(ops.max(history), scale, LARGEST["float8_e5m2"])

        def gradient(upstream: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            small = quantize_and_dequantize(upstream, new, "float8_e5m2", dtypes.standardize_dtype(upstream.dtype))
            return small, new, compute_float8_amax_history(upstream, history)

        return y, gradient

    return forward(y, convert(scale), convert(history))
