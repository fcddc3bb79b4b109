# SPDX-License-Identifier: Apache-2.0
"""MNIST: handwritten digits. Start at load_data; nyala.datasets.digits are smaller ones, which need no download."""

from __future__ import annotations

from nyala.datasets.official import fetch
from nyala.datasets.tables import Splits, arrays_of, same_length


def load_data(path: str = "mnist.npz") -> Splits:
    """70,000 grey images of 28x28 pixels as `((x_train, y_train), (x_test, y_test))`; a download of 11 MB.

    Args:
        path: name of the file in the folder of data sets, or a path.
    Returns: uint8 images (60000, 28, 28) from 0 (paper) to 255 (ink) and digits (60000,), then 10,000 to test on.
    Source: Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits. Licence: CC BY-SA 3.0.
    """
    where, path = "mnist.load_data", fetch("mnist", path=path)
    images, labels = (None, 28, 28), (None,)
    x_train, y_train, x_test, y_test = arrays_of(path, where, x_train=images, y_train=labels, x_test=images, y_test=labels)
    same_length(where, path, (x_train, y_train), (x_test, y_test))
    return (x_train, y_train), (x_test, y_test)
