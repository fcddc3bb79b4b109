# SPDX-License-Identifier: Apache-2.0
"""Dtype policies: in which dtype a layer keeps its weights and in which it computes. Start at DTypePolicy."""

from nyala.core.lazy import lazy

__getattr__, __dir__, __all__ = lazy(
    __name__,
    dict.fromkeys(
        ("DTypePolicy", "FloatDTypePolicy", "deserialize", "dtype_policy", "get", "serialize", "set_dtype_policy"), "nyala.dtype_policies.policy:"
    ),
)
