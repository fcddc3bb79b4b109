# SPDX-License-Identifier: Apache-2.0
"""Data sets for worker processes, which import them, and a script that trains on one and is killed. Light to import: no engine, no pytest."""

import os
import signal
import sys
import threading
import time

import numpy as np

from nyala.core.errors import ShapeError
from nyala.utils.dataset import PyDataset


class Numbered(PyDataset):
    """Batch i holds the number i, the epoch, and the process that made it."""

    def __init__(self, number=6, mishap="", **kwargs):
        super().__init__(**kwargs)
        self.number, self.mishap, self.epoch = number, mishap, 0

    def __len__(self):
        return self.number

    def on_epoch_end(self):
        self.epoch += 1

    def __getitem__(self, index):
        if self.mishap and index == 3:
            MISHAPS[self.mishap]()
        x = np.zeros((2, 3), "float32")
        x[:, 0], x[:, 1], x[:, 2] = index, self.epoch, os.getpid() % 10007
        return x, np.zeros((2, 1), "float32")


class OfOwn(Exception):
    """An error that pickle can pack, but not unpack."""

    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def raise_own():
    raise OfOwn(1, 2)


def raise_known():
    raise ShapeError("file 3", need="three channels", got="four")


def hold_the_thread():
    time.sleep(600)  # here it hangs


MISHAPS = {
    "raises": raise_known,
    "raises its own": raise_own,
    "is killed": lambda: os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM)),
    "leaves": lambda: os._exit(7),
    "exits": lambda: sys.exit(4),
    "hangs": hold_the_thread,
    "is slow": lambda: time.sleep(0.3),
}


class NotToBePacked(Numbered):
    """Holds a lock."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.lock = threading.Lock()


class GivesWhatCannotBePacked(Numbered):
    def __getitem__(self, index):
        return (lambda: index), None


if __name__ == "__main__":  # python data_workers.py KIND: a program for the tests to run, and to kill
    import nyala

    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it, and so do its children

    def train(workers):
        nyala.set_backend("torch")
        model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
        model.compile(nyala.optimizers.SGD(0.0), "mse")
        data = Numbered(number=10**6, mishap=sys.argv[2] if len(sys.argv) > 2 else "", workers=workers, use_multiprocessing=True)
        watch = nyala.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: print("batch", batch, flush=True))
        model.fit(data, shuffle=False, callbacks=[watch], verbose=0)

    train(int(sys.argv[1]))
