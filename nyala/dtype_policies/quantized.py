# SPDX-License-Identifier: Apache-2.0
"""Dtype policies of layers whose weights are kept in few bits: "int8_from_float32". Start at QuantizedDTypePolicy."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.dtype_policies.policy import DTypePolicy, dtype_policy

MODES = ("int8", "float8", "int4", "gptq", "awq")


class QuantizedDTypePolicy(DTypePolicy):
    """Weights kept in few bits; all else as another policy says.

    Args:
        mode: "int8", "int4" or "float8"; "gptq" and "awq" can be named, but no layer here computes with them.
        source_name: of the other policy; None for the global one.

    >>> policy = QuantizedDTypePolicy("int8", "mixed_bfloat16")
    >>> policy.name, policy.compute_dtype, policy.quantization_mode
    ('int8_from_mixed_bfloat16', 'bfloat16', 'int8')
    """

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        source_name = dtype_policy().name if source_name is None else source_name
        if not isinstance(source_name, str):
            raise ArgumentTypeError(f"{type(self).__name__}(source_name)", need="the name of a policy", got=repr(source_name))
        kind = mode.partition("/")[0] if isinstance(mode, str) else mode
        if kind not in MODES:
            raise ArgumentError(f"{type(self).__name__}(mode)", need="one of " + ", ".join(map(repr, MODES)), got=repr(mode))
        super().__init__(source_name)
        if kind == "int8" and self._compute_dtype == "float16":
            fix = 'use "bfloat16" or "mixed_bfloat16"'
            raise ArgumentError(type(self).__name__, need="another dtype than float16 with int8", got=source_name, why="scales overflow", fix=fix)
        self._mode, self._source_name, self._name = mode, source_name, f"{mode}_from_{source_name}"
        self._kind = kind

    @property
    def quantization_mode(self) -> str:
        return self._kind

    def get_config(self) -> dict[str, Any]:
        return {"mode": self._mode, "source_name": self._source_name}

    def __repr__(self) -> str:
        return f'<{type(self).__name__} "{self._name}">'


class QuantizedFloat8DTypePolicy(QuantizedDTypePolicy):
    """Products in 8-bit floats.

    Args:
        mode, source_name: "float8", and as for QuantizedDTypePolicy.
        amax_history_length: how many of the last steps decide the scales.
    """

    def __init__(self, mode: str, source_name: str | None = None, amax_history_length: int = 1024) -> None:
        super().__init__(mode, source_name)
        if not isinstance(amax_history_length, int) or amax_history_length < 1:
            raise ArgumentTypeError(f"{type(self).__name__}(amax_history_length)", need="a positive integer", got=repr(amax_history_length))
        self._amax_history_length = amax_history_length

    @property
    def amax_history_length(self) -> int:
        return self._amax_history_length

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "amax_history_length": self._amax_history_length}


class Int4DTypePolicy(QuantizedDTypePolicy):
    """Weights in 4 bits.

    Args:
        mode: "int4/<block_size>", -1 for a scale for each output without blocks.
        source_name: as for QuantizedDTypePolicy.

    >>> Int4DTypePolicy("int4/64", "float32").block_size
    64
    """

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        (self.block_size,) = _numbers(type(self).__name__, mode, "int4/<block_size>")
        super().__init__(mode, source_name)


class _Grouped(QuantizedDTypePolicy):
    """Weights in some bits, in groups: "<kind>/<weight_bits>/<group_size>"."""

    kind: str
    bits: tuple[int, ...]

    def __init__(self, mode: str, source_name: str | None = None) -> None:
        self.weight_bits, self.group_size = _numbers(type(self).__name__, mode, f"{self.kind}/<weight_bits>/<group_size>")
        if self.weight_bits not in self.bits:
            raise ArgumentError(f"{type(self).__name__}(mode)", need=f"weight_bits among {self.bits}", got=repr(mode))
        super().__init__(mode, source_name)


class GPTQDTypePolicy(_Grouped):
    """The policy of layers that GPTQ quantized; a name only, no layer here computes with it.

    Args:
        mode: "gptq/<weight_bits>/<group_size>".
        source_name: as for QuantizedDTypePolicy.
    """

    kind, bits = "gptq", (2, 3, 4, 8)


class AWQDTypePolicy(_Grouped):
    """The policy of layers that AWQ quantized; a name only, no layer here computes with it.

    Args:
        mode: "awq/4/<group_size>".
        source_name: as for QuantizedDTypePolicy.
    """

    kind, bits = "awq", (4,)


def _numbers(where: str, mode: Any, form: str) -> list[int]:
    """The numbers in a mode such as "gptq/4/128"; the last is positive or -1."""
    kind, *rest = mode.split("/") if isinstance(mode, str) else [""]
    expected, *names = form.split("/")
    numbers = [int(n) for n in rest if n.removeprefix("-").isdecimal()]
    if kind != expected or len(rest) != len(names) or len(numbers) != len(rest):
        raise ArgumentError(f"{where}(mode)", need=f"{form!r}", got=repr(mode))
    if numbers[-1] != -1 and numbers[-1] <= 0:
        raise ArgumentError(f"{where}(mode)", need=f"a positive {names[-1]}, or -1 for all", got=repr(mode))
    return numbers


def from_name(name: str) -> QuantizedDTypePolicy | None:
    """The policy of a name such as "int4/64_from_bfloat16"; None for names of other policies.

    Raises: ValueError for a mode alone, such as "int8", which does not say in what to compute.
    """
    mode, found, source = name.partition("_from_")
    kind, slash, _ = mode.partition("/")
    if kind not in MODES:
        return None
    if not found or "_from_" in source:
        fix = f"say {f'{mode}_from_float32'!r}"
        raise ArgumentError("dtype_policies.get", need="a quantized policy as '<mode>_from_<policy>'", got=repr(name), fix=fix)
    if kind == "float8":
        return QuantizedFloat8DTypePolicy(mode, source)
    grouped = {"int4": Int4DTypePolicy if slash else QuantizedDTypePolicy, "gptq": GPTQDTypePolicy, "awq": AWQDTypePolicy}
    return grouped.get(kind, QuantizedDTypePolicy)(mode, source)
