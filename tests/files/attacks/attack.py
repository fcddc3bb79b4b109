# SPDX-License-Identifier: Apache-2.0
"""Files that want what no file may: each as data, with the rule that must refuse it, and the doors through which it is tried.

Every payload is harmless. An attack is a poison, a function that changes one thing in a good file; the good file is its twin, which must load through
the same doors. `doors` is what runs in the limited child process (`child`), `packing` puts a poison into files, `table` joins everything.
Start at Attack.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

LOADS = "loads"  # in the place of a rule: the door has nothing to do with the poison, and must give what the twin gives
VALUE = "config-argument"  # the rule of values that a constructor does not take
ANY = "any"  # either of both, and nothing else


@dataclasses.dataclass(frozen=True)
class Attack:
    """One hostile file.

    Attributes:
        row: of the list of threats, "C1".
        name: distinct within the row.
        carrier: what is poisoned, a key of packing.CARRIERS.
        poison: changes one thing; what it is given depends on the carrier.
        rules: any of which must refuse it.
        twin: the good file, a key of packing.TWINS.
        doors: those of the carrier by default.
        but: door -> the rules there, or LOADS.
        memory: bytes that the process may grow by, at most.
    """

    row: str
    name: str
    carrier: str
    poison: Callable[..., Any]
    rules: tuple[str, ...]
    twin: str = "mlp"
    doors: tuple[str, ...] | None = None
    but: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    memory: int = 64 << 20

    @property
    def id(self) -> str:
        return f"{self.row} {self.name}"

    def rules_at(self, door: str) -> tuple[str, ...]:
        """What must refuse it at a door, "folder:load_model"; `but` may name the door, its packing or its function alone."""
        packing, _, function = door.partition(":")
        return next((self.but[key] for key in (door, function, packing) if key in self.but), self.rules)
