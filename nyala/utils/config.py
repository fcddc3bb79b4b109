# SPDX-License-Identifier: Apache-2.0
"""Config: settings under names, by attribute or by key, that can be frozen."""

from __future__ import annotations

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

from nyala.core.errors import ArgumentError, StateError


class Config(MutableMapping):
    """Settings of an experiment: config.rate is config["rate"], and freeze() keeps them as they are.

    >>> config = Config(rate=0.1, layers=[64, 10])
    >>> config.rate = 0.2
    >>> config.freeze()
    >>> config, config.to_json()
    (<Config {'rate': 0.2, 'layers': [64, 10]}>, '{"rate": 0.2, "layers": [64, 10]}')
    """

    def __init__(self, **kwargs: Any) -> None:
        object.__setattr__(self, "_frozen", False)
        object.__setattr__(self, "_values", {})
        self.update(kwargs)

    @property
    def frozen(self) -> bool:
        """Whether changes are refused."""
        return self._frozen

    def freeze(self) -> None:
        """Refuse changes from now on."""
        object.__setattr__(self, "_frozen", True)

    def unfreeze(self) -> None:
        """Allow changes again."""
        object.__setattr__(self, "_frozen", False)

    def as_dict(self) -> dict[str, Any]:
        """The settings as a new dict."""
        return dict(self._values)

    def to_json(self) -> str:
        """The settings as JSON."""
        return json.dumps(self._values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._require_thawed(name)
        if hasattr(type(self), name):
            raise ArgumentError("Config", need="names that are no methods of it", got=repr(name))
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self._require_thawed(name)
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._values:
            raise AttributeError(f"this Config has no {name!r}; it has {sorted(self.__dict__.get('_values', ()))}")
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        if name not in self._values:
            raise AttributeError(f"this Config has no {name!r}")
        del self[name]

    def __repr__(self) -> str:
        return f"<Config {self._values}>"

    def _require_thawed(self, name: str) -> None:
        if self._frozen:
            raise StateError(f"Config[{name!r}]", need="a config that is not frozen", got="a frozen one", fix="call unfreeze() first")
