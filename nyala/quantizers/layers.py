# SPDX-License-Identifier: Apache-2.0
"""Layers whose main weights are kept in few bits: their floats are folded into integers, a scale and perhaps a zero, and unfolded when used.

Functions over layers: a layer says by a Layout how its weight lies. Start at quantize, fold and unfold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nyala import ops
from nyala.core import dtypes
from nyala.core.errors import ShapeError, StateError
from nyala.core.variable import Variable
from nyala.dtype_policies.quantized import Int4DTypePolicy, QuantizedDTypePolicy, QuantizedFloat8DTypePolicy
from nyala.engines import get_engine, using
from nyala.engines.protocol import Tensor
from nyala.quantizers.configs import QuantizationConfig, UnsupportedMode, resolve
from nyala.quantizers.float8 import gradient_through_float8, through_float8
from nyala.quantizers.numbers import abs_max_quantize_grouped_with_zero_point, pack_int4, unpack_int4
from nyala.quantizers.quantizer import AbsMaxQuantizer


@dataclass(frozen=True)
class Layout:
    """How a weight lies.

    Args:
        shape: of the floats.
        summed: axes that the product sums over; the others are channels, with a scale each.
        order: axes in the order in which the 8-bit scale has them.
        scale_shape: of the 8-bit scale.
        matrix: (rows, columns) of the 4-bit integers before they are packed.
        along: the axis of the matrix that blocks divide.
        packed: the axis of the matrix along which two integers share a byte.
        zero_dtype: of the zeros of blocks.
        indexed: whether it has an index of the block of each place; otherwise it shares that of another weight.
    """

    shape: tuple[int, ...]
    summed: tuple[int, ...]
    order: tuple[int, ...]
    scale_shape: tuple[int, ...]
    matrix: tuple[int, int]
    along: int = 0
    packed: int = -1
    zero_dtype: str = "int8"
    indexed: bool = True


def matrix_layout(shape: tuple[int, ...], summed: int, **others: Any) -> Layout:
    """The layout of a matrix whose product sums over one of its axes."""
    return Layout(shape, (summed,), (0, 1), (shape[1 - summed],), (shape[0], shape[1]), along=summed, **others)


def quantize(layer: Any, mode: str | None, type_check: bool, config: Any, supported: tuple[str, ...]) -> None:
    """Fold the weights of a built layer, and let its dtype policy say so; nothing is changed unless all can be done."""
    where, own = f"{type(layer).__name__} {layer.name!r}.quantize", layer.quantization_config
    config = own if config is None and own is not None and own.mode == mode else config
    config = resolve(where, mode, config, supported)
    if type_check and not type(layer).__module__.startswith("nyala."):
        why = "a subclass may use its weights in a way that is not known here"
        raise UnsupportedMode(
            where, need="a layer of the library itself", got=f"a subclass, {type(layer).__name__}", why=why, fix="pass type_check=False"
        )
    check_ready(layer)
    layer.quantized_build(layer.full_shape, config.mode, config)
    layer.dtype_policy = policy_of(config, layer.dtype_policy.name)
    layer.quantization_config = config


def check_ready(layer: Any) -> None:
    """Raise unless the layer is built, and not quantized yet."""
    where = f"{type(layer).__name__} {layer.name!r}.quantize"
    if not layer.built:
        raise StateError(where, need="a built layer", got="one without weights yet", fix="call it once, or build(input_shape), first")
    if layer.quantization_mode is not None:
        got = f"one with the policy {layer.dtype_policy.name!r}"
        raise StateError(where, need="a layer that is not quantized", got=got, why="its floats are gone", fix="start from the float model")


def policy_of(config: QuantizationConfig, source: str) -> QuantizedDTypePolicy:
    """The dtype policy of a layer that was quantized so."""
    if config.mode == "int4":
        return Int4DTypePolicy(f"int4/{block_of(config) or -1}", source)
    return QuantizedFloat8DTypePolicy("float8", source) if config.mode == "float8" else QuantizedDTypePolicy(config.mode, source)


def block_of(config: Any) -> int | None:
    """The number of inputs that share a scale and a zero; None for all, without a zero."""
    size = getattr(config, "block_size", None)
    return None if size in (None, -1) else size


def fold(layer: Any, name: str, layout: Layout, config: QuantizationConfig) -> None:
    """Replace the float weight of this name by integers and what else they need: {name}_scale, {name}_zero, g_idx."""
    old: Variable = getattr(layer, _stored(layer, name))
    parts = folded(old.numpy(), layout, config)
    if parts["scale"].size != math.prod(layout.scale_shape) and "zero" not in parts:
        need = f"one scale for each of the {math.prod(layout.scale_shape)} outputs"
        raise ShapeError(f"{type(layer).__name__} {layer.name!r}.quantize", need=need, got=f"{parts['scale'].size} from the weight quantizer")
    dtype, before = layer.variable_dtype, [w for w in layer._weights if w is not old]
    layer._weights = before
    with layer.weight_scope():
        spelled = {"": name, "scale": f"{name}_scale", "zero": f"{name}_zero", "index": "g_idx"}
        for part, value in parts.items():
            kind = {"": "int8", "zero": layout.zero_dtype}.get(part, dtype)
            first = lambda shape, dtype, value=value: value  # noqa: E731
            weight = layer.add_weight(name=spelled[part], shape=value.shape, initializer=first, dtype=kind, trainable=False)
            setattr(layer, spelled[part], weight)
    layer._layouts[name] = layout


def folded(value: np.ndarray, layout: Layout, config: QuantizationConfig) -> dict[str, np.ndarray]:
    """The integers (under "") and their scale, zero and index, computed on the host so that every engine gets the same."""
    block = block_of(config)
    with using(get_engine("numpy")):
        if config.mode == "int8":
            quantizer = config.weight_quantizer or AbsMaxQuantizer(axis=layout.summed)
            values, scale = quantizer(value)
            return {"": values, "scale": np.transpose(scale, layout.order).reshape(layout.scale_shape)}
        matrix = np.reshape(value, layout.matrix)
        if block is None:
            quantizer = config.weight_quantizer or AbsMaxQuantizer(axis=layout.along, value_range=(-8, 7))
            values, scale = quantizer(matrix)
            return {"": pack_int4(values, layout.packed)[0], "scale": np.ravel(scale)}
        turned = matrix if layout.along == 0 else matrix.T
        values, scale, zero = (t if layout.along == 0 else t.T for t in abs_max_quantize_grouped_with_zero_point(turned, block))
        parts = {"": pack_int4(np.ascontiguousarray(values), layout.packed)[0], "scale": scale, "zero": zero}
        index = {"index": np.arange(layout.matrix[layout.along]) // block} if layout.indexed else {}
        return {**parts, **index}


def integers(layer: Any, name: str, rows: Any = None) -> Tensor:
    """The integers of a folded weight, 4-bit ones taken apart; or those of some rows."""
    layout, values = layer._layouts[name], _rows(getattr(layer, _stored(layer, name)), rows)
    if layer.quantization_mode != "int4":
        return values
    values = unpack_int4(values, layout.matrix[layout.packed], layout.packed)
    return ops.reshape(values, layout.shape) if rows is None else values


def unfold(layer: Any, name: str, rows: Any = None) -> Tensor:
    """The floats of a folded weight; or its rows of these numbers, if scales belong to rows."""
    layout, dtype = layer._layouts[name], layer.compute_dtype
    scale = ops.cast(_rows(getattr(layer, f"{name}_scale"), rows), dtype)
    values = ops.cast(integers(layer, name, rows), dtype)
    if layer.quantization_mode == "int8":
        if rows is not None:
            return ops.divide(values, ops.expand_dims(scale, -1))
        sizes = [1 if axis in layout.summed else layout.shape[axis] for axis in layout.order]
        return ops.divide(values, ops.transpose(ops.reshape(scale, sizes), np.argsort(layout.order).tolist()))
    axis = -1 if rows is not None else layout.along
    values = values if rows is not None else ops.reshape(values, layout.matrix)
    zero = getattr(layer, f"{name}_zero", None)
    if zero is None:
        values = ops.divide(values, ops.expand_dims(scale, axis))
    else:
        index = ops.cast(layer.g_idx, "int32")
        zero, scale = (ops.take(t, index, axis=axis) for t in (ops.cast(_rows(zero, rows), dtype), scale))
        values = ops.multiply(ops.subtract(values, zero), scale)
    return values if rows is not None else ops.reshape(values, layout.shape)


def quantized_inputs(layer: Any, inputs: Tensor, axis: Any = -1) -> Tensor:
    """What is left of inputs after the quantizer of the layer; gradients pass as if it were not there."""
    if layer.inputs_quantizer is None:
        return inputs
    values, scale = layer.inputs_quantizer(inputs, axis=axis)
    left = ops.divide(ops.cast(values, dtypes.standardize_dtype(inputs.dtype)), scale)
    return ops.add(inputs, ops.stop_gradient(ops.subtract(left, inputs)))


def add_float8_state(layer: Any, length: int) -> None:
    """A scale and a history of largest values for inputs, kernel and the gradient of outputs; "gradients" overwrite them."""
    with layer.weight_scope():
        for part in ("inputs", "kernel", "outputs_grad"):
            for kind, shape, first in (("scale", (), "ones"), ("amax_history", (length,), "zeros")):
                name = f"{part}_{kind}"
                weight = layer.add_weight(name=name, shape=shape, initializer=first, dtype="float32", autocast=False, overwrite_with_gradient=True)
                setattr(layer, name, weight)


def float8_product(layer: Any, inputs: Tensor, training: bool) -> Tensor:
    """The product of inputs and kernel in 8-bit floats."""
    x = through_float8(inputs, layer.inputs_scale, layer.inputs_amax_history, training)
    kernel = through_float8(ops.convert_to_tensor(layer.kernel), layer.kernel_scale, layer.kernel_amax_history, training)
    return gradient_through_float8(layer.product(x, kernel), layer.outputs_grad_scale, layer.outputs_grad_amax_history)


def _stored(layer: Any, name: str) -> str:
    return f"_{name}" if name == layer._adapted else name


def _rows(weight: Any, rows: Any) -> Tensor:
    return ops.convert_to_tensor(weight) if rows is None else ops.take(weight, rows, axis=0)
