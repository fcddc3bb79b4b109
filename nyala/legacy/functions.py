# SPDX-License-Identifier: Apache-2.0
"""Functions whose name means something else in Keras 3. Models of Keras 1 and 2 are read with these."""

from __future__ import annotations

from nyala import ops
from nyala.core.serialization import register_keras_serializable
from nyala.engines.protocol import Tensor

PACKAGE = "nyala.legacy"


@register_keras_serializable(PACKAGE)
def hard_sigmoid_of_keras_2(x: Tensor) -> Tensor:
    """clip(x / 5 + 1/2, 0, 1), what Keras 1 and 2 called hard_sigmoid; that of Keras 3 has x / 6.

    >>> import nyala
    >>> nyala.ops.convert_to_numpy(hard_sigmoid_of_keras_2([-3.0, 0.0, 1.0])).round(3).tolist()
    [0.0, 0.5, 0.7]
    """
    return ops.clip(ops.add(ops.multiply(x, 0.2), 0.5), 0.0, 1.0)
