# SPDX-License-Identifier: Apache-2.0
"""CIFAR-10: small colour photographs. Start at load_data."""

from __future__ import annotations

import pathlib

import numpy as np

from nyala.datasets.cifar import as_images, read_batch
from nyala.datasets.official import fetch
from nyala.datasets.tables import Splits

BATCHES = [f"data_batch_{i}" for i in range(1, 6)]


def load_data() -> Splits:
    """60,000 colour images of 32x32 pixels as `((x_train, y_train), (x_test, y_test))`; a download of 170 MB.

    The labels are 0 airplane, 1 automobile, 2 bird, 3 cat, 4 deer, 5 dog, 6 frog, 7 horse, 8 ship, 9 truck.

    Returns: uint8 images (50000, 32, 32, 3) from 0 to 255 and labels (50000, 1), then 10,000 to test on; with the data format
        "channels_first" (50000, 3, 32, 32).
    Source: A. Krizhevsky, 2009, Learning multiple layers of features from tiny images. Licence: not stated.
    """
    folder = pathlib.Path(fetch("cifar10", extract=True), "cifar-10-batches-py")
    read = [read_batch("cifar10.load_data", folder / name, "labels", 10) for name in [*BATCHES, "test_batch"]]
    x, y = zip(*read, strict=True)
    train = as_images(np.concatenate(x[:-1])), np.concatenate(y[:-1]).astype("uint8")
    return train, (as_images(x[-1]), y[-1].astype("uint8"))
