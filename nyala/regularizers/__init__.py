# SPDX-License-Identifier: Apache-2.0
"""Regularizers: functions of a weight or an output that are added to the loss. Start at regularizer.py."""

from nyala.core.lazy import lazy

_NAMES = {
    **{name: name for name in ("L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "serialize")},
    "l1": "L1", "l1_l2": "L1L2", "l2": "L2", "orthogonal_regularizer": "OrthogonalRegularizer",
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.regularizer:{target}" for name, target in _NAMES.items()})
