# SPDX-License-Identifier: Apache-2.0
"""Handwritten digits: 1,797 grey images of 8x8 pixels that ship inside the package.

Knows NumPy and the one file beside it, `digits.npz`; no network, no cache, no engine.
Start at load_data. Where the images come from and what was changed: `digits.md` beside this file.
"""

from importlib.resources import files
from typing import TypeAlias

import numpy as np

__all__ = ["load_data"]

Images: TypeAlias = np.ndarray[tuple[int, int, int], np.dtype[np.uint8]]
Labels: TypeAlias = np.ndarray[tuple[int], np.dtype[np.uint8]]

NUM_TRAIN = 1437


def load_data() -> tuple[tuple[Images, Labels], tuple[Images, Labels]]:
    """The UCI handwritten digits as `((x_train, y_train), (x_test, y_test))`.

    Each image is 8x8 pixels from 0 (paper) to 16 (ink); each label is the digit, 0 to 9. The split is fixed: 1,437
    images to train on and 360 to test on, drawn once at random, so that both hold all writers. (Digits of *unseen*
    writers are harder: expect a lower accuracy there.) Every call returns fresh arrays, yours to change.

    Returns: uint8 images (1437, 8, 8) and labels (1437,), then uint8 images (360, 8, 8) and labels (360,).
    Source: E. Alpaydin, C. Kaynak, 1998, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
        doi 10.24432/C50P49 (its test file). Licence: CC BY 4.0, https://creativecommons.org/licenses/by/4.0/.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, int(x_train.max())
    ((1437, 8, 8), (360, 8, 8), 16)
    """
    with files("nyala.datasets").joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        order = stored["order"]  # a permutation of the rows: first those to train on, then those to test on
        images, labels = stored["images"][order], stored["labels"][order]
    train, test = slice(None, NUM_TRAIN), slice(NUM_TRAIN, None)
    return (images[train].copy(), labels[train].copy()), (images[test].copy(), labels[test].copy())
