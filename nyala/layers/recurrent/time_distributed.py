# SPDX-License-Identifier: Apache-2.0
"""TimeDistributed: one layer at every time step."""

from __future__ import annotations

from typing import Any

from nyala import ops
from nyala.core.errors import ShapeError
from nyala.core.tree import map_structure as _map
from nyala.engines.protocol import Tensor
from nyala.layers.building import call_signature
from nyala.layers.core.wrapper import Wrapper
from nyala.layers.layer import Layer


class TimeDistributed(Wrapper):
    """The same layer, with the same weights, at every step of the second axis: (b, t, ...) to (b, t, ...).

    Args:
        layer: what is applied to (b, ...).

    All steps are one large batch for the layer, except while training one that updates statistics, as BatchNormalization does:
    it sees the steps one by one.

    >>> import nyala
    >>> TimeDistributed(nyala.layers.Dense(4))(nyala.ops.ones((2, 3, 5))).shape
    (2, 3, 4)
    """

    def __init__(self, layer: Layer, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]  Keras's names
        shape = tuple(input_shape)
        if len(shape) < 3:
            raise ShapeError(
                f"TimeDistributed {self.name!r}",
                need="an input with at least 3 axes (batch, time, ...)",
                got=f"shape {shape}",
                fix="apply the layer itself, without TimeDistributed",
            )
        if not self.layer.built:
            self.layer.build((shape[0], *shape[2:]))
            self.layer.built = True

    def call(self, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None) -> Any:
        masks = mask is not None and mask.ndim > 2 and "mask" in call_signature(type(self.layer)).names
        given = {"inputs": inputs, "mask": mask} if masks else {"inputs": inputs}
        one = lambda x: self.layer(x["inputs"], training=training, **({"mask": x["mask"]} if "mask" in x else {}))  # noqa: E731
        if training and any(not weight.made_trainable for weight in self.layer.weights):
            return _map(lambda x: ops.swapaxes(x, 0, 1), ops.map(one, _map(lambda x: ops.swapaxes(x, 0, 1), given)))
        lead = tuple(inputs.shape)[:2]
        folded = _map(lambda x: ops.reshape(x, (lead[0] * lead[1], *tuple(x.shape)[2:])), given)
        return _map(lambda x: ops.reshape(x, (*lead, *tuple(x.shape)[1:])), one(folded))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask if previous_mask is None or previous_mask.ndim == 2 else None
