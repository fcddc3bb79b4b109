# SPDX-License-Identifier: Apache-2.0
"""Dtype policies: in which dtype a layer keeps its weights and in which it computes. Start at DTypePolicy."""

from nyala.core.lazy import lazy

_FILES = {
    "policy": ("DTypePolicy", "FloatDTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"),
    "quantized": ("AWQDTypePolicy", "GPTQDTypePolicy", "Int4DTypePolicy", "QuantizedDTypePolicy", "QuantizedFloat8DTypePolicy"),
    "policy_map": ("DTypePolicyMap",),
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.{file}:" for file, names in _FILES.items() for name in names})
