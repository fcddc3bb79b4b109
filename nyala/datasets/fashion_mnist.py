# SPDX-License-Identifier: Apache-2.0
"""Fashion-MNIST: clothes and shoes, in gzipped IDX files. Start at load_data."""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import numpy as np

from nyala.datasets.official import fetch
from nyala.datasets.tables import Array, Splits, same_length
from nyala.files.errors import CorruptFileError
from nyala.files.hdf5 import open_regular

WHERE = "fashion_mnist.load_data"
MAX_BYTES = 64 << 20


def load_data() -> Splits:
    """70,000 grey images of 28x28 pixels as `((x_train, y_train), (x_test, y_test))`; a download of 31 MB.

    The labels are 0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.

    Returns: uint8 images (60000, 28, 28) from 0 to 255 and labels (60000,), then 10,000 to test on.
    Source: H. Xiao, K. Rasul, R. Vollgraf, 2017, Fashion-MNIST, arXiv 1708.07747. Licence: MIT.
    """
    paths = [fetch("fashion_mnist", i) for i in range(4)]
    x_train, y_train, x_test, y_test = (_read_idx(path, form) for path, form in zip(paths, ((28, 28), ()) * 2, strict=True))
    same_length(WHERE, paths[1], (x_train, y_train))
    same_length(WHERE, paths[3], (x_test, y_test))
    return (x_train, y_train), (x_test, y_test)


def _read_idx(path: str, form: tuple[int, ...]) -> Array:
    """The bytes of a gzipped IDX file as an array (n, *form): a kind, the number of axes, their sizes, the values."""
    try:
        with open_regular(path, f"{WHERE} in {path!r}") as packed, gzip.GzipFile(fileobj=packed) as file:
            content = file.read(MAX_BYTES + 1)
        kind, *shape = struct.unpack_from(f">{2 + len(form)}I", content)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        if isinstance(error, CorruptFileError):
            raise
        raise _corrupt(path, f"one that cannot be read ({str(error)[:100]})") from error
    start = 4 * (2 + len(form))
    if kind != 0x800 + 1 + len(form) or tuple(shape[1:]) != form or math.prod(shape) != len(content) - start:
        raise _corrupt(path, f"{len(content):,} bytes that begin with {content[:start].hex()}")
    return np.frombuffer(content, "uint8", offset=start).reshape(shape).copy()


def _corrupt(path: str, got: str) -> CorruptFileError:
    return CorruptFileError(WHERE, need=f"a gzipped IDX file of bytes at {path!r}", got=got, fix="remove the file and load again", rule="dataset-idx")
