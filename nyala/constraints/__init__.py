# SPDX-License-Identifier: Apache-2.0
"""Constraints: what is done to a weight after each update. Start at constraint.py."""

from nyala.core.lazy import lazy

_NAMES = {
    **{name: name for name in ("Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "serialize")},
    "max_norm": "MaxNorm", "min_max_norm": "MinMaxNorm", "non_neg": "NonNeg", "unit_norm": "UnitNorm",
    "maxnorm": "MaxNorm", "nonneg": "NonNeg", "unitnorm": "UnitNorm",
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.constraint:{target}" for name, target in _NAMES.items()})
