# SPDX-License-Identifier: Apache-2.0
"""TimeDistributed: one layer at every time step."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core import tree
from nyala.core.errors import ShapeError
from nyala.engines.protocol import Tensor
from nyala.layers.core.wrapper import Wrapper
from nyala.layers.layer import Layer


class TimeDistributed(Wrapper):
    """The same layer, with the same weights, at every step of the second axis: (b, t, ...) to (b, t, ...).

    Args:
        layer: what is applied to (b, ...).

    All steps are one large batch for the layer, so a layer that looks at the batch, as BatchNormalization does, sees all steps at once.

    >>> import nyala
    >>> TimeDistributed(nyala.layers.Dense(4))(nyala.ops.ones((2, 3, 5))).shape
    (2, 3, 4)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        if len(shape) < 3:
            raise ShapeError(f"TimeDistributed {self.name!r}", need="an input with at least 3 axes (batch, time, ...)", got=f"shape {shape}", fix="apply the layer itself, without TimeDistributed")
        if not self.layer.built:
            self.layer.build((shape[0], *shape[2:]))
            self.layer.built = True

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Any:
        lead = tuple(inputs.shape)[:2]
        folded = ops.reshape(inputs, (lead[0] * lead[1], *tuple(inputs.shape)[2:]))
        kwargs: dict[str, Any] = {"training": training}
        if mask is not None and mask.ndim > 2:
            kwargs["mask"] = ops.reshape(mask, (lead[0] * lead[1], *tuple(mask.shape)[2:]))
        outputs = self.layer(folded, **kwargs)
        return tree.map_structure(lambda x: ops.reshape(x, (*lead, *tuple(x.shape)[1:])), outputs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask if previous_mask is None or previous_mask.ndim == 2 else None
