# SPDX-License-Identifier: Apache-2.0
"""ELU, LeakyReLU, PReLU, ReLU, Softmax: activations with arguments, or with weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import activations, constraints, initializers, ops, regularizers
from nyala.core import dtypes
from nyala.core.errors import ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class ELU(Layer):
    """x where x > 0, else alpha * (exp(x) - 1).

    Args:
        alpha: minus the limit for large negative x.
    Source: Clevert, Unterthiner, Hochreiter 2016, Fast and accurate deep network learning by exponential linear units.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.ELU()([-100.0, 2.0])).tolist()
    [-1.0, 2.0]
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = 1.0 if alpha is None else as_number("ELU(alpha)", alpha)
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return activations.elu(inputs, alpha=self.alpha)


class LeakyReLU(Layer):
    """x where x > 0, else negative_slope * x.

    Args:
        negative_slope: from 0. The old name alpha is taken, too.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.LeakyReLU(0.5)([-3.0, 2.0])).tolist()
    [-1.5, 2.0]
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        negative_slope = as_number("LeakyReLU(negative_slope)", kwargs.pop("alpha", negative_slope), 0)
        super().__init__(**kwargs)
        self.negative_slope = negative_slope
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class ReLU(Layer):
    """x where x >= threshold, else negative_slope * (x - threshold), at most max_value.

    Args:
        max_value: from 0; None for no limit.
        negative_slope, threshold: from 0.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.ReLU(max_value=6)([-3.0, 2.0, 9.0])).tolist()
    [0.0, 2.0, 6.0]
    """

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any) -> None:
        if max_value is not None:
            as_number("ReLU(max_value)", max_value, 0)
        as_number("ReLU(negative_slope)", negative_slope, 0)
        as_number("ReLU(threshold)", threshold, 0)
        super().__init__(**kwargs)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return activations.relu(inputs, negative_slope=self.negative_slope, max_value=self.max_value, threshold=self.threshold)


class PReLU(Layer):
    """x where x > 0, else alpha * x, with a weight alpha for each place.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: of the weight.
        shared_axes: axes, counted from 1, along which all places share one alpha: (1, 2) leaves one per channel of an image.
    Source: He, Zhang, Ren, Sun 2015, Delving deep into rectifiers.
    """

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Sequence[int] | int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = None if shared_axes is None else [shared_axes] if is_int(shared_axes) else list(shared_axes)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = [1 if axis in (self.shared_axes or ()) else size for axis, size in enumerate(input_shape)][1:]
        if None in shape:
            fix = "name it in shared_axes, or give the input a known size"
            raise ShapeError(
                f"PReLU {self.name!r}", need="known sizes beside the batch and the shared axes", got=f"shape {tuple(input_shape)}", fix=fix
            )
        self.alpha = self.add_weight(
            name="alpha", shape=tuple(shape), initializer=self.alpha_initializer, regularizer=self.alpha_regularizer, constraint=self.alpha_constraint
        )
        axes = {axis: size for axis, size in enumerate(input_shape) if axis and axis not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Tensor) -> Tensor:
        return ops.relu(inputs) - self.alpha * ops.relu(-inputs)


class Softmax(Layer):
    """exp(x) / sum(exp(x)) over axis.

    Args:
        axis: one or several.

    In the call, mask (bool, shape of the inputs) leaves out what is False; where all is left out, the result is 0.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.Softmax()([[1.0, 1.0]])).tolist()
    [[0.5, 0.5]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if is_int(axis) else list(axis)
        self.supports_masking = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if mask is not None:
            lowest = -3e4 if dtypes.standardize_dtype(inputs.dtype) == "float16" else -3e38
            inputs = ops.where(mask, inputs, ops.cast(lowest, inputs.dtype))
        if is_int(self.axis):
            y = ops.softmax(inputs, axis=self.axis)
        else:
            y = ops.exp(inputs - ops.logsumexp(inputs, axis=tuple(self.axis), keepdims=True))
        return y if mask is None else ops.where(mask, y, ops.cast(0, y.dtype))
