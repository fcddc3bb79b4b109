# SPDX-License-Identifier: Apache-2.0
"""GroupNormalization: each sample with a mean and variance for each group of channels."""

from __future__ import annotations

from typing import Any

from nyala import constraints, initializers, ops, regularizers
from nyala.core.errors import ArgumentError, AxisError, ShapeError
from nyala.core.op import normalize_axis
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number, is_int
from nyala.layers.input_spec import InputSpec
from nyala.layers.layer import Layer


class GroupNormalization(Layer):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over each group of neighbouring channels, all places together.

    Args:
        groups: their number, a divisor of the channels: 1 normalizes a sample as a whole; -1 each channel by itself (instance normalization).
        axis: that of the channels.
        epsilon: added to the variance.
        center, scale: whether there is a beta, a gamma, each (channels,).
        beta_initializer, gamma_initializer: of the weights.
        beta_regularizer, gamma_regularizer: added to the loss.
        beta_constraint, gamma_constraint: applied after each update.
    Source: Wu, He 2018, Group normalization.

    >>> import nyala
    >>> x = nyala.layers.GroupNormalization(groups=2)([[1.0, 3.0, 10.0, 30.0]])
    >>> nyala.ops.convert_to_numpy(x).round(2).tolist()
    [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        if not is_int(groups) or groups < -1 or groups == 0:
            raise ArgumentError("GroupNormalization(groups)", need="a positive integer, or -1 for one group per channel", got=repr(groups))
        if not is_int(axis) or axis == 0:
            raise ArgumentError("GroupNormalization(axis)", need="the axis of the channels, not 0", got=repr(axis), why="axis 0 is the batch")
        as_number("GroupNormalization(epsilon)", epsilon, 0)
        super().__init__(**kwargs)
        self.groups, self.axis, self.epsilon, self.center, self.scale = int(groups), int(axis), epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        where = f"GroupNormalization {self.name!r}"
        axis = normalize_axis(self.axis, len(input_shape), f"{where} (axis)")
        if axis == 0:
            raise AxisError(f"{where} (axis)", need="an axis of channels behind the batch", got=f"{self.axis} of shape {tuple(input_shape)}")
        channels = input_shape[axis]
        if channels is None:
            raise ShapeError(where, need=f"a known size of axis {self.axis}", got=f"shape {tuple(input_shape)}", why="it has one scale per channel")
        if self.groups == -1:
            self.groups = channels
        if channels % self.groups:
            raise ShapeError(where, need=f"a number of channels that its {self.groups} groups divide", got=f"{channels} (shape {tuple(input_shape)})")
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=(channels,),
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta", shape=(channels,), initializer=self.beta_initializer, regularizer=self.beta_regularizer, constraint=self.beta_constraint
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: channels})

    def call(self, inputs: Tensor) -> Tensor:
        axis = normalize_axis(self.axis, len(inputs.shape))
        shape = tuple(inputs.shape)
        groups = (*shape[:axis], self.groups, shape[axis] // self.groups, *shape[axis + 1 :])
        x = ops.layer_normalization(ops.reshape(inputs, groups), axis=[i for i in range(1, len(groups)) if i != axis], epsilon=self.epsilon)
        x = ops.reshape(x, shape)
        along = tuple(n if i == axis else 1 for i, n in enumerate(shape))
        if self.gamma is not None:
            x = ops.multiply(x, ops.reshape(self.gamma, along))
        if self.beta is not None:
            x = ops.add(x, ops.reshape(self.beta, along))
        return ops.cast(x, self.compute_dtype)
