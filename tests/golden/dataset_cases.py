# SPDX-License-Identifier: Apache-2.0
"""Small data sets in the formats of the official files, and the questions about them. Imports neither Keras nor Nyala. Start at write_all.

The pickles of CIFAR, IMDB and Reuters were written by Python 2; pickle_2 writes such ones, byte by byte, since Python 3 writes others.
"""

import gzip
import io
import json
import pathlib
import struct
import tarfile
import zipfile

import numpy as np

from tests.golden.store import generator

SEQUENCES = [
    {}, {"num_words": 20}, {"num_words": 20, "oov_char": None}, {"skip_top": 10}, {"maxlen": 6}, {"maxlen": 4, "seed": 7}, {"start_char": None},
    {"start_char": None, "index_from": 0, "num_words": 30}, {"seed": 5, "index_from": 6, "start_char": 3, "oov_char": 4, "num_words": 25},
]  # fmt: skip
SPLITS = [{}, {"test_split": 0.37}, {"seed": 3}, {"test_split": 0.0}]
CASES = [
    ("mnist", {}),
    ("fashion_mnist", {}),
    ("cifar100", {}),
    ("cifar100", {"label_mode": "coarse"}),
    *(("imdb", options) for options in SEQUENCES),
    *(("reuters", options) for options in [*SEQUENCES, *SPLITS[1:]]),
    *(("boston_housing", options) for options in SPLITS),
    *(("california_housing", options) for options in [*SPLITS, {"version": "small", "seed": 2}]),
]


def label(name, options):
    return f"{name}/" + ",".join(f"{key}={value}" for key, value in options.items())


def write_all(folder):
    """Every official file, small, in a folder; cifar10 has batches of 3 images."""
    folder = pathlib.Path(folder)
    draw = generator("datasets")
    pixels = {n: draw.integers(0, 256, (n, 28, 28)).astype("uint8") for n in (7, 5)}
    labels = {n: draw.integers(0, 10, n).astype("uint8") for n in (7, 5)}
    np.savez_compressed(folder / "mnist.npz", x_train=pixels[7], y_train=labels[7], x_test=pixels[5], y_test=labels[5])
    for part, n in (("train", 7), ("t10k", 5)):
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", pixels[n][::-1])
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels[n][::-1])
    write_tar(folder / "cifar-100-python.tar.gz", {f"cifar-100-python/{part}": batch_100(draw, n) for part, n in (("train", 5), ("test", 2))})
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    write_tar(folder / "cifar-10-python.tar.gz", {f"cifar-10-batches-py/{name}": batch_10(draw, name) for name in names})
    write_objects(
        folder / "imdb.npz", x_train=texts(draw, 23), y_train=draw.integers(0, 2, 23), x_test=texts(draw, 17), y_test=draw.integers(0, 2, 17)
    )
    write_objects(folder / "reuters.npz", x=texts(draw, 29), y=draw.integers(0, 46, 29))
    for name, index in (("imdb", {"the": 1, "film": 2, "s\u00e9ance": 3}), ("reuters", {"oil": 2, "mln": 1})):
        (folder / f"{name}_word_index.json").write_text(json.dumps(index), encoding="utf-8")
    np.savez(folder / "boston_housing.npz", x=draw.normal(size=(31, 13)), y=draw.normal(size=31))
    x = np.arange(611 * 8, dtype="float32").reshape(611, 8)
    np.savez(folder / "california_housing.npz", x=x, y=np.arange(611, dtype="float32"))


def write_idx(path, array):
    with gzip.open(path, "wb") as file:
        file.write(struct.pack(f">{1 + array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes())


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_objects(path, **arrays):
    """A .npz file whose arrays of lists are pickles of Python 2, deflated as the official ones."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in arrays.items():
            archive.writestr(f"{name}.npy", npy(value) if isinstance(value, list) else plain_npy(value))


def plain_npy(array):
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def npy(rows, content=None):
    """An .npy file of version 1.0 that holds an array of objects: a header and a pickle."""
    header = f"{{'descr': '|O', 'fortran_order': False, 'shape': ({len(rows)},), }}"
    header += " " * (-(10 + len(header) + 1) % 16) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + (pickle_2(np_objects(rows)) if content is None else content)


def np_objects(rows):
    array = np.empty(len(rows), object)
    for i, row in enumerate(rows):
        array[i] = row
    return array


def texts(draw, count):
    """Lists of frequent and rare words: one, two and four bytes are needed for their numbers."""
    rows = [[int(word) for word in draw.integers(1, 60, draw.integers(1, 9))] for _ in range(count)]
    rows[1][-1], rows[2][-1], rows[3] = 300, 70_000, [5, 6]
    return rows


def batch_100(draw, count):
    return pickle_2({
        "filenames": [f"image_{i}.png".encode() for i in range(count)],
        "batch_label": b"a batch",
        "fine_labels": [int(n) for n in draw.integers(0, 100, count)],
        "coarse_labels": [int(n) for n in draw.integers(0, 20, count)],
        "data": draw.integers(0, 256, (count, 3072)).astype("uint8"),
    })  # fmt: skip


def batch_10(draw, name):
    return pickle_2(
        {"batch_label": name.encode(), "labels": [int(n) for n in draw.integers(0, 10, 3)], "data": draw.integers(0, 256, (3, 3072)).astype("uint8")}
    )


class _Memo:
    """The numbers under which Python 2 keeps what it writes."""

    count = 0

    def put(self):
        self.count += 1
        return b"q" + struct.pack("<B", self.count) if self.count < 256 else b"r" + struct.pack("<I", self.count)


def pickle_2(value):
    """What cPickle of Python 2 writes with protocol 2."""
    return b"\x80\x02" + _packed(value, _Memo()) + b"."


def _packed(value, memo):
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return b"\x88" if value else b"\x89"
    if isinstance(value, int):
        if 0 <= value < 256:
            return b"K" + struct.pack("<B", value)
        return b"M" + struct.pack("<H", value) if 0 <= value < 65536 else b"J" + struct.pack("<i", value)
    if isinstance(value, (str, bytes)):
        text = value if isinstance(value, bytes) else value.encode("ascii")
        return (b"U" + struct.pack("<B", len(text)) if len(text) < 256 else b"T" + struct.pack("<i", len(text))) + text + memo.put()
    if isinstance(value, tuple):
        items = b"".join(_packed(item, memo) for item in value)
        return (items + bytes([0x84 + len(value)]) if 0 < len(value) < 4 else b"(" + items + b"t") + memo.put()
    if isinstance(value, list):
        start = b"]" + memo.put()
        return start + b"(" + b"".join(_packed(item, memo) for item in value) + b"e"
    if isinstance(value, dict):
        start = b"}" + memo.put()
        return start + b"(" + b"".join(_packed(key, memo) + _packed(item, memo) for key, item in value.items()) + b"u"
    make = b"cnumpy.core.multiarray\n_reconstruct\n" + memo.put() + b"cnumpy\nndarray\n" + memo.put()
    make += _packed((0,), memo) + _packed(b"b", memo) + b"\x87" + memo.put() + b"R" + memo.put()
    objects = value.dtype == object
    kind = (
        b"cnumpy\ndtype\n" + memo.put() + _packed("O8" if objects else value.dtype.str[1:], memo) + b"K\x00K\x01\x87" + memo.put() + b"R" + memo.put()
    )
    kind += _packed((3, value.dtype.str[0], None, None, None, -1, -1, 63 if objects else 0), memo) + b"b"
    values = _packed(list(value), memo) if objects else _packed(value.tobytes(), memo)
    return make + b"(K\x01" + _packed(value.shape, memo) + kind + b"\x89" + values + b"t" + memo.put() + b"b"
