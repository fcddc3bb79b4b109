# SPDX-License-Identifier: Apache-2.0
"""DTypePolicy and the global one."""

from __future__ import annotations

from typing import Any

from nyala.core import config as settings
from nyala.core import dtypes
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError

_global: DTypePolicy | None = None


class DTypePolicy:
    """In which dtype a layer keeps its weights (variable_dtype) and in which it computes (compute_dtype).

    Args:
        name: a dtype for both; "mixed_float16" or "mixed_bfloat16" for float32 weights and computation in 16 bits.

    >>> policy = DTypePolicy("mixed_bfloat16")
    >>> policy.variable_dtype, policy.compute_dtype
    ('float32', 'bfloat16')
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise ArgumentError("DTypePolicy(name)", need="a string", got=repr(name))
        self._name = name
        if name.startswith("mixed_"):
            if name not in ("mixed_float16", "mixed_bfloat16"):
                raise ArgumentError("DTypePolicy(name)", need="'mixed_float16', 'mixed_bfloat16' or a dtype", got=repr(name))
            self._compute_dtype, self._variable_dtype = name.removeprefix("mixed_"), "float32"
        else:
            self._compute_dtype = self._variable_dtype = dtypes.standardize_dtype(name)
            if name == "float64":
                dtypes.allow_64_bits()

    @property
    def name(self) -> str:
        return self._name

    @property
    def compute_dtype(self) -> str:
        return self._compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self._variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        """How weights are kept small: "int8", "int4", "float8"; None for not at all."""
        return None

    def convert_input(self, x: Any, autocast: bool, dtype: str) -> Any:
        """x as a tensor; floats in dtype if autocast."""
        from nyala.core.op import convert
        from nyala.engines import current

        x = convert(x)
        return current().cast(x, dtype) if autocast and dtypes.is_float(current().dtype(x)) and current().dtype(x) != dtype else x

    def get_config(self) -> dict[str, Any]:
        return {"name": self._name}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> DTypePolicy:
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and type(self) is type(other) and self.get_config() == other.get_config()

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


FloatDTypePolicy = DTypePolicy


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none.

    >>> dtype_policy()
    <DTypePolicy "float32">
    """
    return _global or DTypePolicy(settings.floatx())


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Set the policy of layers that are given none: a name or a DTypePolicy."""
    global _global
    _global = None if policy is None else get(policy)


def get(identifier: Any) -> DTypePolicy:
    """A policy from None (the global one), a name, a dtype, a config or a policy.

    >>> get("mixed_float16").compute_dtype
    'float16'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        from nyala.dtype_policies.quantized import from_name

        return from_name(identifier) or DTypePolicy(identifier)
    return DTypePolicy(dtypes.standardize_dtype(identifier))


def serialize(dtype_policy: DTypePolicy) -> Any:
    """The policy as a config."""
    from nyala.core.serialization import serialize_keras_object

    return serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """The policy of a config."""
    from nyala.core import known
    from nyala.core.audit import looking_through
    from nyala.core.serialization import custom_object_scope

    where = "dtype_policies.deserialize(config)"
    if not isinstance(config, dict) or not {"class_name", "config"} <= set(config):
        raise ArgumentError(where, need="a config with 'class_name' and 'config'", got=f"{config!r:.80}")
    with custom_object_scope(custom_objects), looking_through(config, where, "dtype"):
        old = config["class_name"] in ("Policy", "PolicyV1")  # as tf.keras called it
        kind = DTypePolicy if old else known.find(config["class_name"], config.get("module"), config.get("registered_name"), "dtype")
        return kind.from_config(config["config"])
