# SPDX-License-Identifier: Apache-2.0
"""Which Keras wrote a config or a file, and what the caller handed over to read it. Start at Era.of."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Mapping
from typing import Any

from nyala.core.serialization import get_registered_object
from nyala.legacy.tables import DATA_FORMATS


@dataclasses.dataclass
class Era:
    """The Keras that wrote something.

    Attributes:
        generation: 0 (before 1.0), 1, 2 (tf.keras of TensorFlow 1 and 2 included) or 3.
        version: as the file says it, "2.2.4-tf"; "" if it does not.
        backend: "tensorflow", "theano", "cntk", "jax", ...; "" if the file does not say.
        custom: classes and functions that the caller handed over.
        data_format: of layers that do not name theirs.
        notes: what was left out on the way, for people to read.
    """

    generation: int
    version: str = ""
    backend: str = ""
    custom: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data_format: str | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    @classmethod
    def of(cls, config: Any, version: Any = "", backend: Any = "", custom: Mapping[str, Any] | None = None) -> Era:
        """The era of the config of a model, by what it says and how it is spelled.

        >>> Era.of({"class_name": "Sequential", "config": [], "keras_version": "1.2.2"}).generation
        1
        """
        inside = config if isinstance(config, dict) else {}
        version = str(version or inside.get("keras_version") or "")
        era = cls(_generation(inside, version), version, str(backend or inside.get("backend") or ""), dict(custom or {}))
        formats = _formats(config)
        era.data_format = DATA_FORMATS[formats.pop()] if len(formats) == 1 else None
        return era

    @property
    def multibackend(self) -> bool:
        """Whether it is a Keras up to 2.3.1, the last one that was not part of TensorFlow."""
        numbers = tuple(int(n) for n in re.findall(r"\d+", self.version)[:2])
        return self.generation < 2 or (self.generation == 2 and bool(numbers) and numbers < (2, 4) and not self.version.endswith("-tf"))

    def gives(self, name: str) -> bool:
        """Whether the caller has handed over or registered an object of this name."""
        return get_registered_object(name, self.custom) is not None

    def note(self, text: str) -> None:
        """Remember what was left out."""
        if text not in self.notes:
            self.notes.append(text)

    def warn(self, where: str) -> None:
        """Say once, together, what was left out."""
        if self.notes:
            warnings.warn(f"{where}: {'; '.join(self.notes)}", stacklevel=3)


def _generation(config: dict[str, Any], version: str) -> int:
    if "node_config" in config or ("layers" in config and "class_name" not in config):
        return 0
    if first := re.match(r"[0-9]{1,3}(?![0-9])", version):
        return min(int(first[0]), 3)
    if isinstance(config.get("config"), list):
        return 1
    return _spelled(config)


def _spelled(config: dict[str, Any]) -> int:
    """The generation of a config that names no version, by words that only one of them has."""
    words: set[str] = set()
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            words.update(key for key in value if isinstance(key, str))
            words.add(str(value.get("class_name")))
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    if words & {"batch_shape", "__keras_tensor__", "DTypePolicy"}:
        return 3
    if words & {"output_dim", "nb_filter", "border_mode", "inner_init", "input_dtype", "concat_axis"} and not words & {
        "kernel_initializer",
        "embeddings_initializer",
    }:
        return 1
    return 2 if words & {"batch_input_shape", "inbound_nodes"} or "module" not in words else 3


def _formats(config: Any) -> set[str]:
    """The values of dim_ordering in a config."""
    found: set[str] = set()
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("dim_ordering") in ("tf", "th"):
                found.add(value["dim_ordering"])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return found
