# SPDX-License-Identifier: Apache-2.0
"""Layers. `nyala.layers.LSTM` is found in `nyala/layers/recurrent/lstm.py`: one folder per family, one file per idea."""

from nyala.core.lazy import lazy
from nyala.layers.names import FAMILIES, FILES

__getattr__, __dir__, __all__ = lazy(
    __name__,
    {
        **{name: f"nyala.layers.{file}:" for file, names in FILES.items() for name in names},
        **{family: f"nyala.layers.{family}" for family in FAMILIES},
        "deserialize": "nyala.layers.serialization:",
        "serialize": "nyala.layers.serialization:",
    },
)
