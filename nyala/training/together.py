# SPDX-License-Identifier: Apache-2.0
"""Checkpoints where several processes train together: each keeps its own, all go on from the same save.

A step needs all processes, so none is more than one save ahead of another (two where they are written in the background): each keeps as many as it
takes to have the last that is common to all.
"""

from __future__ import annotations

import os
from typing import Any

from nyala.core import sharding
from nyala.core.errors import StateError
from nyala.files.checkpoints import CheckpointFolder, read


def folder_of_process(directory: Any) -> str:
    """The folder that this process keeps its checkpoints in: `directory` itself where it trains alone."""
    return directory if sharding.processes() == 1 else os.path.join(directory, f"process-{sharding.process_number()}")


def kept(keep: int, background: bool) -> int:
    """How many checkpoints are kept: a process may be interrupted before it has written what another has."""
    return keep if sharding.processes() == 1 else max(keep, 2 + background)


def newest(folder: CheckpointFolder) -> tuple[Any, Any] | None:
    """The newest checkpoint that all processes have, and its state; None if there is none. Newer ones of this process are deleted."""
    found = folder.newest()
    if sharding.processes() == 1:
        return found
    save = _save_of(found)
    common = min(sharding.from_all(save))
    if save > common:
        folder.drop_newest(lambda path: _save_of((path, read(path))) > common)
        found = folder.newest() if common else None
    there = _save_of(found)
    if any(number != common for number in sharding.from_all(there)):
        raise StateError(
            folder.where,
            need=f"save {common} of the run, the newest that all processes could have",
            got="save " + (f"{there}" if there else "none") + f" at process {sharding.process_number()}",
            why="the processes must go on from one state",
            fix="bring the folders of all processes back from one backup; or remove them, or name another folder, to begin from the start",
        )
    return found


def _save_of(found: tuple[Any, Any] | None) -> int:
    """How many checkpoints the run had taken with this one; 0 for none, and for one of a process that trained alone."""
    return found[1]["place"].get("save", 0) if found else 0
