# SPDX-License-Identifier: Apache-2.0
"""Configurable: objects whose config is what their constructor was given, kept in attributes of the same names."""

from __future__ import annotations

import inspect
from typing import Any

from nyala.core.audit import looks_through
from nyala.core.serialization import deserialize_keras_object, serialize_keras_object


class Configurable:
    """Base of small objects: `get_config` reads the arguments of `__init__` back from the attributes of the same names.

    >>> class Power(Configurable):
    ...     def __init__(self, base, exponent=2):
    ...         self.base, self.exponent = base, exponent
    >>> Power(3).get_config()
    {'base': 3, 'exponent': 2}
    >>> Power.from_config({"base": 5}).exponent
    2
    """

    def get_config(self) -> dict[str, Any]:
        """Arguments from which from_config makes an equal object, as plain values."""
        if type(self).__init__ is object.__init__:  # takes nothing; inspect would copy the table of all modules to say so
            return {}
        names = [p.name for p in inspect.signature(type(self)).parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
        values = {name: getattr(self, name) for name in names if hasattr(self, name)}
        return {name: value if isinstance(value, (list, tuple)) else serialize_keras_object(value) for name, value in values.items()}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> Any:
        """Make an object from what get_config returned."""
        return cls(**deserialize_keras_object(dict(config)))
