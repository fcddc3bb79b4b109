# SPDX-License-Identifier: Apache-2.0
"""What arrays and streams have in common: where training stands in them, as a few plain values that a checkpoint can keep."""

from __future__ import annotations

import base64
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from nyala.core.errors import StateError, missing_method


class Data:
    """Batches for one fit, evaluate or predict, epoch after epoch.

    Attributes:
        steps: batches in an epoch, None if that is found out by reading.
        epoch, step: how many epochs, and batches of the next one, were trained on; what was only read ahead does not count.
        unrewindable: why `state` returns None, a sentence; "" where it does not.
    """

    epoch = 0
    step = 0
    steps: Any = None
    unrewindable = ""

    def state(self) -> dict[str, Any] | None:
        """Where training stands, as a dict of plain values that JSON can keep; None if this data cannot be rewound (see unrewindable)."""
        if self.unrewindable:
            return None
        over = self.steps is not None and self.step >= self.steps  # an epoch that ends here is the beginning of the next
        return {**self._same(), "epoch": self.epoch + over, "step": 0 if over else self.step, "place": self._place(bool(over))}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on behind the last batch that counted in `state`, taken from data like this. Raises StateError if it cannot, and changes nothing."""
        if self.unrewindable:
            raise StateError("resuming", need="data that can be rewound", got=self.name, why=self.unrewindable)
        for name, value in self._same().items():
            if state.get(name) != value:
                need = f"data with {name.replace('_', ' ')} = {state.get(name)}, as before"
                raise StateError("resuming", need=need, got=f"{value}", why="batches would not be the same")
        self._go_to(state["place"], int(state["epoch"]), int(state["step"]))
        self.epoch, self.step = int(state["epoch"]), int(state["step"])

    def close(self) -> None:
        """Stop what reads ahead, and let go of what was opened. The data can be used again."""

    @property
    def name(self) -> str:
        return type(self).__name__

    def _same(self) -> dict[str, Any]:
        """What must be equal in the data that goes on."""
        raise missing_method(self, "_same(self)")

    def _place(self, over: bool) -> Any:
        """Where training stands, beside the numbers of the epoch and the step; over: all of an epoch was seen, but it is not ended yet."""
        raise missing_method(self, "_place(self, over)")

    def _go_to(self, place: Any, epoch: int, step: int) -> None:
        raise missing_method(self, "_go_to(self, place, epoch, step)")


# States of other libraries' loaders as values that JSON can keep ---------------------------------------------------------------------------


def as_plain(value: Any) -> Any:
    """Nested dicts, lists and tuples of numbers, text, bytes and arrays as JSON can keep them. Raises TypeError for anything else.

    >>> as_plain({"offset": 3, "key": b"ab"})
    {'offset': 3, 'key': {'__bytes__': 'YWI='}}
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, bytes):
        return {"__bytes__": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            return {"__pairs__": [[as_plain(key), as_plain(item)] for key, item in value.items()]}
        return {key: as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [as_plain(item) for item in value]
        return items if isinstance(value, list) else {"__tuple__": items}
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "detach"):
        array = value.detach().cpu().numpy()
        return {"__tensor__": type(value).__module__.partition(".")[0], **as_plain(array)}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        return {"__array__": base64.b64encode(np.ascontiguousarray(value).tobytes()).decode(), "dtype": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"{type(value).__name__} is not a plain value")


def from_plain(value: Any) -> Any:
    """What as_plain was given.

    >>> from_plain(as_plain({"a": (1, b"c")}))
    {'a': (1, b'c')}
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if "__bytes__" in value:
        return base64.b64decode(value["__bytes__"])
    if "__tuple__" in value:
        return tuple(from_plain(value["__tuple__"]))
    if "__pairs__" in value:
        return {from_plain(key): from_plain(item) for key, item in value["__pairs__"]}
    if "__array__" in value:
        array = np.frombuffer(base64.b64decode(value["__array__"]), np.dtype(value["dtype"])).reshape(value["shape"]).copy()
        return _as_tensor(array, value["__tensor__"]) if "__tensor__" in value else array
    return {key: from_plain(item) for key, item in value.items()}


def _as_tensor(array: np.ndarray, library: str) -> Any:
    """An array as a tensor of the library that the loader is from, which has loaded it; else as it is."""
    return sys.modules[library].from_numpy(array) if library in sys.modules and hasattr(sys.modules[library], "from_numpy") else array
