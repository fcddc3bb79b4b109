# SPDX-License-Identifier: Apache-2.0
"""What runs in a worker process: it gets a data set, then indices, and sends batches, until the other side of the pipe is closed.

It ends with its parent, however that ends. It loads no engine, unless the data set does.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
import threading
import traceback
from typing import Any


def serve(pipe: Any, questions: Any) -> None:
    """Answer tasks ("data", pickled data set) and ("batch", number, index) with (number, batch, failure)."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then closes the pipe
    threading.Thread(target=_answer, args=(questions, threading.get_ident()), name="nyala-answers", daemon=True).start()
    source: Any = None
    broken: tuple | None = None
    while True:
        try:
            message = pipe.recv()
        except (EOFError, OSError):
            return
        if message[0] == "data":
            try:
                source, broken = pickle.loads(message[1]), None
            except BaseException as error:
                broken = _failure(error)
            continue
        _, number, index = message
        batch, failure = None, broken
        if failure is None:
            try:
                batch = source[index]
            except BaseException as error:
                failure = _failure(error)
        _send(pipe, number, batch, failure)


def _send(pipe: Any, number: int, batch: Any, failure: tuple | None) -> None:
    try:
        pipe.send((number, batch, failure))
    except OSError:  # the parent reads no more
        return
    except Exception as error:  # the batch cannot be pickled
        pipe.send((number, None, _failure(error)))


def _failure(error: BaseException) -> tuple[bytes | None, str, str]:
    """An error as what can be sent: itself pickled, its name and message, its traceback."""
    text = "".join(traceback.format_exception(error))
    try:
        packed = pickle.dumps(error)
        pickle.loads(packed)  # some can be packed only
    except Exception:
        packed = None
    return packed, f"{type(error).__name__}: {error}", text


def _answer(questions: Any, main: int) -> None:
    """Say where the main thread is when asked; end the process when nobody is left to ask."""
    while True:
        try:
            questions.recv()
        except (EOFError, OSError):
            os._exit(0)
        frame = sys._current_frames().get(main)
        with contextlib.suppress(OSError):
            questions.send("".join(traceback.format_stack(frame)[-6:]))
