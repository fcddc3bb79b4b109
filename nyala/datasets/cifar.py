# SPDX-License-Identifier: Apache-2.0
"""What CIFAR-10 and CIFAR-100 share: their batches, which are pickles of plain data. Start at read_batch."""

from __future__ import annotations

import pathlib

import numpy as np

from nyala.core.config import image_data_format
from nyala.datasets import plain_pickles
from nyala.datasets.tables import Array, checked, content_of
from nyala.files.errors import CorruptFileError

CHANNELS, SIDE = 3, 32
MAX_BYTES = 256 << 20


def read_batch(where: str, path: pathlib.Path, labels: str, num_classes: int) -> tuple[Array, Array]:
    """Images (n, 3, 32, 32) and labels (n, 1) of a batch, read as data: see plain_pickles."""
    shown = f"{where} in {str(path)!r}"
    batch = plain_pickles.read(content_of(path, shown, MAX_BYTES), shown)
    batch = batch if isinstance(batch, dict) else {}
    x = checked(where, str(path), "data", batch.get("data"), (None, CHANNELS * SIDE * SIDE))
    y = batch.get(labels)
    if x.dtype != "uint8" or not isinstance(y, list) or len(y) != len(x) or not all(type(n) is int and 0 <= n < num_classes for n in y):
        raise CorruptFileError(
            shown, need=f"images of bytes with {labels} from 0 to {num_classes - 1}", got="others", fix="remove the folder and load again",
            rule="dataset-shape",
        )  # fmt: skip
    return x.reshape(-1, CHANNELS, SIDE, SIDE), np.array(y).reshape(-1, 1)


def as_images(x: Array) -> Array:
    """Images (n, 3, 32, 32) in the default data format; new."""
    return np.array(x if image_data_format() == "channels_first" else x.transpose(0, 2, 3, 1))
