# SPDX-License-Identifier: Apache-2.0
"""CIFAR-100: small colour photographs of a hundred kinds. Start at load_data."""

from __future__ import annotations

import pathlib

from nyala.datasets.cifar import as_images, read_batch
from nyala.datasets.official import fetch
from nyala.datasets.tables import Splits
from nyala.layers.arguments import as_choice

NUM_CLASSES = {"fine": 100, "coarse": 20}


def load_data(label_mode: str = "fine") -> Splits:
    """60,000 colour images of 32x32 pixels as `((x_train, y_train), (x_test, y_test))`; a download of 169 MB.

    Args:
        label_mode: "fine" for 100 kinds, "coarse" for the 20 groups of five that they make.
    Returns: uint8 images (50000, 32, 32, 3) from 0 to 255 and int64 labels (50000, 1), then 10,000 to test on; with the data format
        "channels_first" (50000, 3, 32, 32).
    Source: A. Krizhevsky, 2009, Learning multiple layers of features from tiny images. Licence: not stated.
    """
    num_classes = NUM_CLASSES[as_choice("cifar100.load_data(label_mode)", label_mode, tuple(NUM_CLASSES))]
    folder = pathlib.Path(fetch("cifar100", extract=True), "cifar-100-python")
    (x_train, y_train), (x_test, y_test) = (
        read_batch("cifar100.load_data", folder / name, f"{label_mode}_labels", num_classes) for name in ("train", "test")
    )
    return (as_images(x_train), y_train), (as_images(x_test), y_test)
