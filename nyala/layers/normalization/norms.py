# SPDX-License-Identifier: Apache-2.0
"""UnitNormalization and RMSNormalization: each sample divided by its length, or by its root mean square."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nyala import ops
from nyala.core.errors import ArgumentTypeError, ShapeError
from nyala.core.op import normalize_axes
from nyala.engines.protocol import Tensor
from nyala.layers.arguments import as_number, is_int
from nyala.layers.layer import Layer


class UnitNormalization(Layer):
    """x / sqrt(sum(x**2)), the sum over the given axes of each sample; zeros stay.

    Args:
        axis: one or several.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.UnitNormalization()([[3.0, 4.0]])).tolist()
    [[0.6000000238418579, 0.800000011920929]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        self.axis = _as_axes("UnitNormalization(axis)", axis)
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor) -> Tensor:
        return ops.cast(ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-12), self.compute_dtype)


class RMSNormalization(Layer):
    """scale * x / sqrt(mean(x**2) + epsilon), the mean over the given axes of each sample.

    Args:
        axis: one or several; their sizes are the shape of scale.
        epsilon: added to the mean square.
    Source: Zhang, Sennrich 2019, Root mean square layer normalization.
    Differs from Keras: any axes will do there, not only the last ones. As in Keras, a mask ends here.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(nyala.layers.RMSNormalization()([[3.0, -3.0]])).round(3).tolist()
    [[1.0, -1.0]]
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        self.axis = _as_axes("RMSNormalization(axis)", axis)
        super().__init__(**kwargs)
        self.epsilon = as_number("RMSNormalization(epsilon)", epsilon, 0)

    def build(self, input_shape: Any) -> None:
        where = f"RMSNormalization {self.name!r}"
        self.axis = [self.axis] if isinstance(self.axis, int) else self.axis  # as configs of built layers have it in Keras
        shape = tuple(input_shape[axis] for axis in normalize_axes(self.axis, len(input_shape), f"{where} (axis)"))
        if None in shape:
            why = "its scale has one number for each place there"
            raise ShapeError(where, need=f"known sizes of axis {self.axis}", got=f"shape {tuple(input_shape)}", why=why)
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, inputs: Tensor) -> Tensor:
        return ops.cast(ops.rms_normalization(inputs, self.scale, self.axis, self.epsilon), self.compute_dtype)


def _as_axes(where: str, axis: Any) -> int | list[int]:
    """One integer, or a list of several."""
    if is_int(axis):
        return int(axis)
    if not (isinstance(axis, (list, tuple)) and axis and all(map(is_int, axis))):
        raise ArgumentTypeError(where, need="an integer or several", got=repr(axis))
    return [int(n) for n in axis]
