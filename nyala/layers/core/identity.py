# SPDX-License-Identifier: Apache-2.0
"""Identity: a layer that changes nothing."""

from __future__ import annotations

from typing import Any

from nyala.layers.layer import Layer


class Identity(Layer):
    """Its inputs, any tree of tensors, as they are.

    >>> import nyala
    >>> nyala.layers.Identity()(nyala.ops.ones((2, 3))).shape
    (2, 3)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs
