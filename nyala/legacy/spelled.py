# SPDX-License-Identifier: Apache-2.0
"""Layers by their names of old, each a view of a layer of today: see spelling.py."""

from typing import Any

from nyala.legacy import tables
from nyala.legacy.spelling import layer

_GONE_CLASSES = {"BatchNormalizationV1", "BatchNormalizationV2", "GRUV1", "GRUV2", "LSTMV1", "LSTMV2", "LayerNormalizationV2"}
_NAMES = {*tables.ARGUMENTS, *tables.CLASSES, *tables.SAME_MEANING}

__all__ = sorted(_NAMES - _GONE_CLASSES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = layer(name)
    globals()[name] = made
    return made


def __dir__() -> list[str]:
    return __all__
