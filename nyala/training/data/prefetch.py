# SPDX-License-Identifier: Apache-2.0
"""Batches made ahead by one thread, which nobody needs to know of: errors come out where the batch would have, and it ends with its reader.

Start at prefetched. The thread alone runs the iterator, from its first item to its end, and closes it.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from nyala.engines import current, using

AHEAD = 2  # batches that wait
SILENCE_SECONDS = 60.0  # after this long without a batch a warning says where the reading stands
CLOSE_SECONDS = 5.0  # how long the end waits for a thread or process in the middle of a batch
END = object()


def prefetched(items: Iterator[Any], ahead: int = AHEAD, name: str = "the data", report: Callable[[], str] | None = None) -> Iterator[Any]:
    """The items of an iterator, made by a thread of their own, a few ahead.

    Args:
        items: run in that thread, with the engine that is in force here.
        ahead: how many items wait at most.
        name: of the data, for messages.
        report: says what other workers are at, when nothing comes for a minute.
    """
    thread = Prefetch(items, ahead, name, report)
    try:
        yield from thread
    finally:
        thread.close()


class Prefetch:
    """An iterator that is run ahead. Whoever makes one closes it."""

    def __init__(self, items: Iterator[Any], ahead: int, name: str, report: Callable[[], str] | None) -> None:
        self._items, self._name, self._report = items, name, report
        self._ready: queue.SimpleQueue = queue.SimpleQueue()
        self._places: queue.SimpleQueue = queue.SimpleQueue()  # one token for each item that may wait
        for _ in range(max(ahead, 1)):
            self._places.put(None)
        self._engine, self._closing = current(), False
        self._thread = threading.Thread(target=self._fill, name="nyala-prefetch", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        silent = 0.0
        while True:
            try:
                item, error = self._ready.get(timeout=SILENCE_SECONDS)
                break
            except queue.Empty:
                silent += SILENCE_SECONDS
                warnings.warn(self._silence(silent), RuntimeWarning, stacklevel=2)
        if error is not None:
            try:
                raise error
            finally:
                del error  # its traceback holds this frame
        if item is END:
            raise StopIteration
        self._places.put(None)
        return item

    def _fill(self) -> None:
        try:
            with using(self._engine):
                try:
                    while not self._closing:
                        self._places.get()
                        if self._closing:
                            break
                        item = next(self._items, END)
                        self._ready.put((item, None))
                        if item is END:
                            break
                finally:
                    if hasattr(self._items, "close"):
                        self._items.close()  # type: ignore[attr-defined]
        except BaseException as error:  # KeyboardInterrupt and SystemExit of a generator belong to its reader, too
            self._ready.put((END, error))

    def _silence(self, seconds: float) -> str:
        others = self._report() if self._report else ""
        return f"{self._name} gave no batch for {seconds:.0f} s. It is still waited for; it stands at\n{others}{where_is(self._thread.ident)}"

    def close(self) -> None:
        """End the thread; what it made and nobody read is dropped."""
        self._closing = True
        self._places.put(None)
        end_thread(self._thread, self._name)


def end_thread(thread: threading.Thread, name: str) -> None:
    """Wait for a thread that was told to end, but not for ever: it dies with the process."""
    thread.join(CLOSE_SECONDS)
    if thread.is_alive():
        stands = f"is left alone. It stands at\n{where_is(thread.ident)}"
        warnings.warn(f"{name}: a thread is still busy with a batch {CLOSE_SECONDS:.0f} s after the end, and {stands}", RuntimeWarning, stacklevel=3)


def where_is(ident: int | None) -> str:
    """The lines that a thread of this process is at."""
    frame = sys._current_frames().get(ident or 0)
    return "".join(traceback.format_stack(frame)[-6:]) if frame is not None else "  (it has ended)\n"


@contextlib.contextmanager
def closing(items: Any) -> Iterator[Any]:
    """An iterator that is closed at the end of the block, if it can be."""
    try:
        yield items
    finally:
        if hasattr(items, "close"):
            items.close()
