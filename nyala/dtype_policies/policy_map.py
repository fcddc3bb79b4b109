# SPDX-License-Identifier: Apache-2.0
"""DTypePolicyMap: policies for layers by name, one argument for all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.core.patterns import is_match
from nyala.dtype_policies.policy import DTypePolicy, deserialize, dtype_policy, get, serialize


class DTypePolicyMap(DTypePolicy, MutableMapping):
    """The dtype policy of each layer by its path; keys are paths, or patterns that match whole paths.

    Args:
        default_policy: of all others; None for the global one.
        policy_map: {path or pattern: policy}.

    Raises: ValueError where a path matches several patterns, or a key is set twice.

    >>> policies = DTypePolicyMap("float32", {"head/.*": "bfloat16"})
    >>> policies["head/logits"], policies["body"]
    (<DTypePolicy "bfloat16">, <DTypePolicy "float32">)
    """

    def __init__(self, default_policy: Any = None, policy_map: Mapping[str, Any] | None = None) -> None:
        if policy_map is not None and not isinstance(policy_map, dict):
            raise ArgumentTypeError("DTypePolicyMap(policy_map)", need="a dict", got=repr(policy_map))
        self._given = None if default_policy is None else get(default_policy)
        self._policies = {key: get(policy) for key, policy in (policy_map or {}).items()}

    @property
    def default_policy(self) -> DTypePolicy:
        """Of paths that no key matches."""
        return self._given or dtype_policy()

    @property
    def name(self) -> str:
        return f"map_{self.default_policy.name}"

    @property
    def compute_dtype(self) -> str:
        return self.default_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        return self.default_policy.variable_dtype

    @property
    def quantization_mode(self) -> str | None:
        return self.default_policy.quantization_mode

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policies:
            return self._policies[key]
        found = [pattern for pattern in self._policies if is_match(pattern, key)]
        if len(found) > 1:
            raise ArgumentError("DTypePolicyMap", need=f"one key that matches {key!r}", got=", ".join(map(repr, found)), fix="make patterns narrower")
        return self._policies[found[0]] if found else self.default_policy

    def __setitem__(self, key: str, policy: Any) -> None:
        if key in self._policies:
            fix = "delete it first"
            raise ArgumentError(f"DTypePolicyMap[{key!r}]", need="a key that is not there yet", got=f"one with {self._policies[key]}", fix=fix)
        self._policies[key] = get(policy)

    def __delitem__(self, key: str) -> None:
        del self._policies[key]

    def __len__(self) -> int:
        return len(self._policies)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policies)

    def __contains__(self, key: object) -> bool:
        return key in self._policies

    def __hash__(self) -> int:
        return id(self)

    __eq__ = DTypePolicy.__eq__

    def get_config(self) -> dict[str, Any]:
        policies = {key: serialize(policy) for key, policy in self._policies.items()}
        return {"default_policy": None if self._given is None else self._given.name, "policy_map": policies}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> DTypePolicyMap:
        policies = {key: deserialize(policy, custom_objects) if isinstance(policy, dict) else policy for key, policy in config["policy_map"].items()}
        return cls(config["default_policy"], policies)

    def __repr__(self) -> str:
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={[(k, p.name) for k, p in self._policies.items()]}>"
