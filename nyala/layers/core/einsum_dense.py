# SPDX-License-Identifier: Apache-2.0
"""EinsumDense: a kernel multiplied into the input along the axes that an equation names. Start at _Plan, which reads the equation."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.engines.protocol import Tensor
from nyala.initializers.scaling import VarianceScaling
from nyala.layers.adaptable import Quantizable, main_weight
from nyala.layers.arguments import is_int, refuse
from nyala.layers.input_spec import InputSpec
from nyala.quantizers.layers import Layout

Shape = tuple[int | None, ...]
EQUATION = re.compile(r"(\.{3})?([A-Za-z]+)(\.{3})?,([A-Za-z]+)->(\.{3})?([A-Za-z]+)(\.{3})?")


class EinsumDense(Quantizable):
    """activation(einsum(equation, x, kernel) + bias).

    Args:
        equation: "abc,cd->abd": axes of the input, of the kernel and of the result; "..." in front or at the end of input and result: any axes.
        output_shape: of a sample, or its last sizes behind a leading "..."; None where a size is that of the input.
        activation: name or function; None for none.
        bias_axes: letters of the result along which there is a bias; None: no bias.
        kernel_initializer, bias_initializer: of the weights; the inputs of a unit are the axes that the sum runs over.
        kernel_regularizer, bias_regularizer: of the weights, added to the loss.
        kernel_constraint, bias_constraint: applied to the weights after each update.
        lora_rank, lora_alpha: low-rank weights from the start, as enable_lora adds them later.
        gptq_unpacked_column_size: None; GPTQ is not supported here.
        quantization_config: how, if the dtype policy says that weights are quantized.

    As in Keras, a mask ends here.

    >>> import nyala
    >>> layer = nyala.layers.EinsumDense("abc,cd->abd", output_shape=(None, 7), bias_axes="d")
    >>> layer(nyala.ops.zeros((2, 3, 5))).shape, [w.shape for w in layer.weights]
    ((2, 3, 7), [(5, 7), (7,)])
    """

    kernel = main_weight("kernel")

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse("EinsumDense", "leave it out", gptq_unpacked_column_size=gptq_unpacked_column_size)
        sizes = (output_shape,) if is_int(output_shape) else output_shape
        if not isinstance(sizes, (list, tuple)) or not all(n is None or (is_int(n) and n > 0) for n in sizes):
            raise ArgumentError("EinsumDense(output_shape)", need="positive integers, None where the input decides", got=repr(output_shape))
        self._plan = _Plan(equation, tuple(sizes), bias_axes)
        super().__init__(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config, **kwargs)
        self.equation, self.bias_axes = equation, bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        kernel_shape, bias_shape = self._plan.shapes(f"EinsumDense {self.name!r}", tuple(input_shape))
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self._plan.with_fans(self.kernel_initializer),
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if bias_shape is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self.input_spec = self._plan.input_spec(kernel_shape)
        self.adapt()

    def call(self, inputs: Tensor) -> Tensor:
        return self.finish(self.product(inputs, self.kernel))

    def product(self, inputs: Tensor, kernel: Any) -> Tensor:
        return ops.einsum(self.equation, inputs, kernel)

    def summed_inputs(self) -> tuple[int, ...]:
        return self._plan.summed_inputs()

    def layouts(self) -> dict[str, Layout]:
        return {"kernel": self._plan.layout(self.full_shape)}

    def finish(self, x: Tensor) -> Tensor:
        """activation(x + bias)"""
        if self.bias is not None:
            x = ops.add(x, self.bias)
        return x if self.activation is None else self.activation(x)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["gptq_unpacked_column_size"]
        return {"activity_regularizer": None, **config, "output_shape": list(self._plan.sizes)}


class _Plan:
    """An equation, taken apart: letters of the input, the kernel and the result, and where axes without letters stand.

    Args:
        sizes: of the result, without the batch.
        bias: letters of the bias, or None.
    """

    def __init__(self, equation: Any, sizes: Shape, bias: str | None) -> None:
        found = EQUATION.fullmatch(equation) if isinstance(equation, str) else None
        if found is None or (found[1], found[3]) != (found[5], found[7]) or (found[1] and found[3]):
            need = "letters as 'ab,bc->ac', '...b,bc->...c' or 'ab...,bc->ac...'"
            raise ArgumentError("EinsumDense(equation)", need=need, got=repr(equation))
        self.inputs, self.kernel, self.result, self.sizes = found[2], found[4], found[6], sizes
        self.leading, self.trailing = bool(found[1]), bool(found[3])
        strays = sorted(set(self.kernel) - set(self.inputs + self.result)) + sorted(set(self.result) - set(self.inputs + self.kernel))
        if strays:
            need = "each letter of the kernel in the input or the result, and each of the result in the input or the kernel"
            raise ArgumentError("EinsumDense(equation)", need=need, got=f"{equation!r}, where {strays[0]!r} stands alone")
        named = len(self.result) - (not self.leading)  # the batch has no size here
        if len(sizes) != named and not ((self.leading or self.trailing) and len(sizes) > named):
            more = " or more" if self.leading or self.trailing else ""
            raise ArgumentError("EinsumDense(output_shape)", need=f"{named} sizes{more}, as {equation!r} has behind the batch", got=f"{sizes}")
        if bias is not None and not (isinstance(bias, str) and bias and set(bias) <= set(self.result)):
            raise ArgumentError("EinsumDense(bias_axes)", need=f"letters of the result {self.result!r}, or None", got=repr(bias))
        self.bias = bias

    def shapes(self, where: str, shape: Shape) -> tuple[Shape, Shape | None]:
        """The shapes of kernel and bias for inputs of this shape."""
        free = len(shape) - len(self.inputs)
        if free < 0 or (free and not (self.leading or self.trailing)):
            raise ShapeError(where, need=f"an input with {len(self.inputs)} axes, {self.inputs!r}", got=f"{len(shape)} (shape {shape})")
        given = dict(zip(self.inputs, shape[free:] if self.leading else shape, strict=False))
        wanted = self.sizes[-len(self.result) :] if self.leading else (shape[0], *self.sizes)
        sizes = dict(zip(self.result, wanted, strict=False))
        for letter, size in sizes.items():
            if size is None:
                sizes[letter] = given.get(letter)
            elif given.get(letter, size) not in (size, None):
                raise ShapeError(where, need=f"size {size} of axis {letter!r}, as output_shape says", got=f"{given[letter]} (shape {shape})")
        sizes = {**given, **sizes}
        kernel = tuple(sizes[letter] for letter in self.kernel)
        bias = None
        if self.bias is not None:
            letters = self.result[min(map(self.result.index, self.bias)) :]
            bias = (*(sizes[letter] if letter in self.bias else 1 for letter in letters), *(1,) * (free if self.trailing else 0))
        if None in kernel or (bias and None in bias):
            raise ShapeError(where, need="known sizes of all axes of its weights", got=f"shape {shape} and output_shape {self.sizes}")
        return kernel, bias

    def with_fans(self, initializer: Any) -> Any:
        """The initializer, which is told which axes of the kernel are inputs of a unit: those that the sum runs over."""
        if not isinstance(initializer, VarianceScaling) or initializer.input_axes is not None:
            return initializer
        initializer = copy.copy(initializer)
        initializer.input_axes = [i for i, letter in enumerate(self.kernel) if letter not in self.result]
        initializer.output_axes = [i for i, letter in enumerate(self.kernel) if letter in self.result]
        return initializer

    def summed_inputs(self) -> tuple[int, ...]:
        """The axes of the input that it shares with the kernel alone."""
        first = -len(self.inputs) if self.leading else 0
        return tuple(first + i for i, letter in enumerate(self.inputs) if letter in self.kernel and letter not in self.result)

    def layout(self, shape: tuple[int, ...]) -> Layout:
        """How the kernel lies when it is quantized: 8-bit scales as in the result, 4-bit integers with the summed axes as rows."""
        summed = tuple(i for i, letter in enumerate(self.kernel) if letter not in self.result)
        order = (*summed, *(self.kernel.index(letter) for letter in self.result if letter in self.kernel))
        scale = tuple(shape[self.kernel.index(letter)] if letter in self.kernel else 1 for letter in self.result)
        rows = math.prod(shape[i] for i in summed)
        return Layout(shape, summed, order, scale, (rows, math.prod(shape) // rows))

    def input_spec(self, kernel: Shape) -> InputSpec:
        """The axes of the input that meet the kernel have its sizes."""
        first = -len(self.inputs) if self.leading else 0
        axes = {first + i: kernel[self.kernel.index(letter)] for i, letter in enumerate(self.inputs) if letter in self.kernel}
        number = len(self.inputs)
        return InputSpec(min_ndim=number, axes=axes) if self.leading or self.trailing else InputSpec(ndim=number, axes=axes)
