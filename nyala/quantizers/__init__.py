# SPDX-License-Identifier: Apache-2.0
"""Quantizers: numbers in 8 or 4 bits, and how a layer keeps its weights in them. Start at numbers.py; layers.py uses it."""

from nyala.core.lazy import lazy

_FILES = {
    "numbers": ("abs_max_quantize", "abs_max_quantize_grouped_with_zero_point", "fake_quant_with_min_max_vars", "pack_int4", "unpack_int4"),
    "float8": ("compute_float8_amax_history", "compute_float8_scale", "quantize_and_dequantize"),
    "quantizer": ("AbsMaxQuantizer", "Quantizer", "deserialize", "get", "serialize"),
    "configs": (
        "AWQConfig", "Float8QuantizationConfig", "GPTQConfig", "Int4QuantizationConfig", "Int8QuantizationConfig", "QuantizationConfig",
    ),
}  # fmt: skip

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"{__name__}.{file}:" for file, names in _FILES.items() for name in names})
