# SPDX-License-Identifier: Apache-2.0
"""A training whose process dies at its n-th operation on files, and dies again while it recovers: what is left must always be a run that goes on.

This process imports everything and then forks: each child trains from a checkpoint folder until it kills itself, or to the end. It needs fork, and
an engine that does not mind it. `python die_at_operations.py FOLDER` prints a line of JSON: where children died, and whether the ends were equal.
Start at main.
"""

import collections
import hashlib
import json
import os
import pathlib
import random
import signal
import sys
import threading
import traceback
import warnings

import numpy as np

import nyala
from nyala import callbacks, layers
from nyala.engines import current

OPERATIONS = ("rename", "replace", "link", "unlink", "rmdir", "mkdir", "fsync")
PLACES = {  # function on the stack -> what the process was doing; the first that is there
    "retain": "retention",
    "_set_aside": "recovery: setting aside",
    "acquire": "the lock",
    "__enter__": "recovery: leftovers",
    "write": "a checkpoint",
}
X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
Y = X[:, :1] * 2 - X[:, 1:2]


def train(folder, background):
    """The run: three epochs of three steps with dropout and a shuffle, a checkpoint after every step. Returns what came out."""
    nyala.utils.set_random_seed(3)
    model = nyala.Sequential([nyala.Input((4,)), layers.Dense(5, "tanh"), layers.Dropout(0.4), layers.Dense(1)])
    model.compile(nyala.optimizers.Adam(0.05), "mse")
    resume = None if folder is None else callbacks.Resume(folder, steps=1, keep=2, background=background)
    stop = callbacks.EarlyStopping("loss", patience=5)
    history = model.fit(X, Y, batch_size=8, epochs=3, verbose=0, callbacks=[stop], resume=resume)
    values = [v.numpy().tobytes() for v in (*model.variables, *model.optimizer.variables)]
    return [hashlib.sha256(b"".join(values)).hexdigest(), [float(v).hex() for v in history.history["loss"]], history.epoch]


def die_at(number, notes):
    """From now on count operations on files, and end this process by SIGKILL before the n-th; 0 lets it live."""
    left = [number]

    def wrap(name):
        real = getattr(os, name) if name != "fsync" else lambda number: None  # what a process wrote outlives it without

        def counted(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                stack = [frame.name for frame in traceback.extract_stack()]
                place = next((what for function, what in PLACES.items() if function in stack), "elsewhere")
                thread = "in the background" if threading.current_thread() is not threading.main_thread() else ""
                with open(notes, "a") as file:
                    file.write(f"{place} {thread}".strip() + "\n")
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        setattr(os, name, counted)

    for name in OPERATIONS:
        wrap(name)


def child(folder, background, number, notes, result):
    """Train in a process of its own; returns whether it came to its end."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == 0
    try:
        warnings.simplefilter("ignore")
        die_at(number, notes)
        result.write_text(json.dumps(train(folder, background)))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def damage(folder):
    """Cut the newest checkpoint off, so that recovery has to set it aside."""
    whole = sorted(folder.glob("checkpoint-*"))
    if len(whole) > 1:
        os.truncate(whole[-1] / "arrays.bin", 5)


def main():
    place, moments = pathlib.Path(sys.argv[1]), random.Random(5)
    notes, result = place / "notes.txt", place / "result.json"
    notes.touch()
    current()  # imports the engine, and computes nothing
    assert child(None, False, 0, notes, result)
    expected = json.loads(result.read_text())
    different, deaths, finished_early = [], [], 0
    for run in range(int(sys.argv[2])):
        folder, background = place / str(run), bool(run % 2)
        ends = [child(folder, background, 1 + run * 8, notes, result)]  # at any operation of the first steps
        if run % 3 == 0:
            damage(folder)
        ends.append(child(folder, background, moments.randint(1, 14), notes, result))  # while it recovers, and soon after
        ends.append(child(folder, background, moments.randint(1, 60), notes, result))
        finished_early += sum(ends)
        result.unlink(missing_ok=True)
        if not child(folder, background, 0, notes, result) or json.loads(result.read_text()) != expected:
            different.append(run)
        deaths.append(3 - sum(ends))
    print(json.dumps({"different": different, "deaths": sum(deaths), "places": collections.Counter(notes.read_text().splitlines())}))


if __name__ == "__main__":
    main()
