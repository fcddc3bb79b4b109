# SPDX-License-Identifier: Apache-2.0
"""LayerNormalization: each sample with its own mean and variance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import constraints, initializers, ops, regularizers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import normalize_axes
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number, is_int
from nyala.layers.layer import Layer


class LayerNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over the given axes of each sample.

    Args:
        axis: one or several; their sizes are the shape of gamma and beta.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma.
        beta_initializer, gamma_initializer: of the weights.
        beta_regularizer, gamma_regularizer: added to the loss.
        beta_constraint, gamma_constraint: applied after each update.
        rms_scaling: gamma * x / sqrt(variance + epsilon): the mean stays, and there is no beta.
    Source: Ba, Kiros, Hinton 2016, Layer normalization.
    Differs: from the paper on root mean square normalization, as Keras does: rms_scaling divides by the root of the variance, not of the mean square.

    >>> import nyala
    >>> x = nyala.layers.LayerNormalization()([[1.0, 3.0]])
    >>> nyala.ops.convert_to_numpy(x).round(2).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        *,
        rms_scaling: bool = False,
        **kwargs: Any,
    ) -> None:
        axes = (axis,) if is_int(axis) else axis
        if not (isinstance(axes, (list, tuple)) and axes and all(map(is_int, axes))):
            raise ArgumentError("LayerNormalization(axis)", need="an integer or several", got=repr(axis))
        as_number("LayerNormalization(epsilon)", epsilon, 0)
        super().__init__(**kwargs)
        self.axis = int(axis) if is_int(axis) else list(axes)
        self.epsilon, self.center, self.scale, self.rms_scaling = epsilon, center, scale, rms_scaling
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        where = f"LayerNormalization {self.name!r}"
        self.axis = [self.axis] if isinstance(self.axis, int) else self.axis  # as configs of built layers have it in Keras
        shape = tuple(input_shape[axis] for axis in normalize_axes(self.axis, len(input_shape), f"{where} (axis)"))
        if None in shape:
            raise ShapeError(
                where,
                need=f"known sizes of axis {self.axis}",
                got=f"shape {tuple(input_shape)}",
                why="its weights have one number for each place there",
            )
        self.gamma = self.beta = None
        if self.scale or self.rms_scaling:
            self.gamma = self.add_weight(
                name="gamma", shape=shape, initializer=self.gamma_initializer, regularizer=self.gamma_regularizer, constraint=self.gamma_constraint
            )
        if self.center and not self.rms_scaling:
            self.beta = self.add_weight(
                name="beta", shape=shape, initializer=self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )

    def call(self, inputs: Tensor) -> Tensor:
        axes = normalize_axes(self.axis, len(inputs.shape))
        y = ops.layer_normalization(inputs, self.gamma, self.beta, axes, self.epsilon, rms_scaling=self.rms_scaling)
        return ops.cast(y, self.compute_dtype)
