# SPDX-License-Identifier: Apache-2.0
"""Files of data sets from an evil server, with the right hash: bombs and lies in every format, through every reader, refused in little memory."""

import io
import math
import shutil
import struct
import sys
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from nyala import datasets
from nyala.core.errors import ArgumentError
from nyala.datasets import official
from nyala.files.errors import CorruptFileError, FileError, ResourceLimitError, UnsafeFileError
from tests.golden import dataset_cases as cases
from tests.test_datasets_official import BOMBS, header

SMALL = 32 << 20
ARRAYS = {
    "mnist": {"x_train": (3, 28, 28), "y_train": (3,), "x_test": (2, 28, 28), "y_test": (2,)},
    "imdb": {"x_train": None, "y_train": (3,), "x_test": None, "y_test": (3,)},
    "reuters": {"x": None, "y": (3,)},
    "boston_housing": {"x": (3, 13), "y": (3,)},
    "california_housing": {"x": (3, 8), "y": (3,)},
}


def good(name):
    """The members of a whole file of a data set."""
    rows = cases.npy([[1, 2], [3], [4, 300]])
    arrays = {key: shape and np.random.default_rng(5).integers(0, 9, shape) for key, shape in ARRAYS[name].items()}
    return {f"{key}.npy": rows if array is None else cases.plain_npy(array) for key, array in arrays.items()}


def npz(members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def refused(load, kind=FileError):
    """The error of load, which takes little memory."""
    tracemalloc.start()
    try:
        with pytest.raises(kind) as info:
            load()
        assert tracemalloc.get_traced_memory()[1] < SMALL
    finally:
        tracemalloc.stop()
    assert "the_marker" not in sys.modules
    return info.value


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_lie(name, poison):
    """One member after the other is a bomb; the good ones load."""
    members = good(name)
    (x_train, _), _ = poison(name, npz(members))()
    assert len(x_train)
    for member in members:
        for bomb in BOMBS.values():
            refused(poison(name, npz({**members, member: bomb})), CorruptFileError)
        left = {key: content for key, content in members.items() if key != member}
        assert refused(poison(name, npz(left))).got == "none"
        shorter = cases.plain_npy(np.ones(1, "int64")) if ARRAYS[name][member[:-4]] == (3,) else None
        if shorter:
            assert "as many labels as rows" in str(refused(poison(name, npz({**members, member: shorter}))))


@pytest.mark.parametrize(("name", "shape"), [("mnist", (50_000, 28, 28)), ("imdb", (9_000_000,))])
def test_arrays_that_are_truly_huge_are_not_unpacked(name, shape, poison):
    """Zeros take a thousandth when they are packed: a form that fits, a size that no such data set has."""
    members = good(name)
    first = next(iter(members))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(first, "w") as member:
            member.write(header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n"))
            for _ in range(100):
                member.write(bytes(math.prod(shape) * 8 // 100))
        for key, other in list(members.items())[1:]:
            archive.writestr(key, other)
    error = refused(poison(name, file.getvalue()), ResourceLimitError)
    assert error.rule == "zip-size"


def test_rows_that_are_fewer_than_said(poison):
    rows = cases.npy([[1], [2], [3]])
    members = good("reuters") | {"x.npy": rows.replace(b"(3,)", b"(9,)")}
    assert "an array of shape (9,), as it says" in str(refused(poison("reuters", npz(members)), CorruptFileError))


def test_members_that_nobody_needs_are_not_read(poison):
    more = {"z.npy": BOMBS["2 to the 50 rows"], "notes.txt": b"text"}
    for name in ("reuters", "boston_housing"):
        assert len(poison(name, npz(good(name) | more))()[0][0]) == 2


INDEXES = {
    "a list": b"[1, 2]",
    "words": b'{"a": "b"}',
    "fractions": b'{"a": 1.5}',
    "yes and no": b'{"a": true}',
    "a word twice": b'{"a": 1, "a": 2}',
    "deep": b'{"a": ' + b"[" * 100_000,
    "many digits": b'{"a": ' + b"9" * 100_000 + b"}",
    "half": b'{"a": 1',
    "a pickle": b"\x80\x02cos\nsystem\nU\x04echo\x85R.",
    "nothing": b"",
    "too large": b'{"a": 1}' + b" " * (17 << 20),
}


@pytest.mark.parametrize("index", INDEXES)
@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_indexes_of_words_that_are_none(name, index, home, tmp_path, monkeypatch):
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / f"{name}_word_index.json").write_bytes(INDEXES[index])
    monkeypatch.setenv(official.MIRROR, str(tmp_path / "evil"))
    entry = official.SETS[name]
    (home / "datasets").mkdir(parents=True)
    monkeypatch.setitem(official.SETS, name, entry._replace(files=(entry.files[0], entry.files[1]._replace(digest=None))))
    refused(getattr(datasets, name).get_word_index)


# Archives of images


BATCH, TEST = "cifar-100-python/train", "cifar-100-python/test"
ONE = {"data": np.zeros((1, 3072), "uint8"), "fine_labels": [1]}
GOOD = cases.pickle_2(ONE)


def tar(*members):
    """An archive of members and a good batch to test on."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in (*members, (TEST, GOOD)):
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                info.type, info.linkname = content
                archive.addfile(info)
    return file.getvalue()


IMAGES = {
    "a link to another file": (tar((BATCH, (tarfile.SYMTYPE, "/etc/passwd"))), UnsafeFileError),
    "a second name of another file": (tar((BATCH, (tarfile.LNKTYPE, "../../mnist.npz"))), UnsafeFileError),
    "a pipe": (tar((BATCH, (tarfile.FIFOTYPE, ""))), UnsafeFileError),
    "a name that leads out": (tar(("../../../evil", b"1"), (BATCH, GOOD)), UnsafeFileError),
    "no batch": (tar(), CorruptFileError),
    "a folder of its name": (tar((f"{BATCH}/x", b"1")), FileError),
    "no pickle": (tar((BATCH, b"text")), FileError),
    "a list": (tar((BATCH, cases.pickle_2([1, 2]))), CorruptFileError),
    "no images": (tar((BATCH, cases.pickle_2({"fine_labels": []}))), CorruptFileError),
    "images of another size": (tar((BATCH, cases.pickle_2({**ONE, "data": np.zeros((1, 3071), "uint8")}))), CorruptFileError),
    "images of larger numbers": (tar((BATCH, cases.pickle_2({**ONE, "data": np.zeros((1, 3072), "uint16")}))), CorruptFileError),
    "fewer labels": (tar((BATCH, cases.pickle_2({**ONE, "fine_labels": []}))), CorruptFileError),
    "labels beyond all": (tar((BATCH, cases.pickle_2({**ONE, "fine_labels": [100]}))), CorruptFileError),
    "half an archive": (tar((BATCH, GOOD))[:-30], ArgumentError),
    "no archive": (b"text", ArgumentError),
}


@pytest.mark.parametrize("name", IMAGES)
def test_archives_of_images(name, poison, home, tmp_path):
    assert len(poison("cifar100", tar((BATCH, GOOD)))()[0][0]) == 1
    shutil.rmtree(home)
    content, kind = IMAGES[name]
    load = poison("cifar100", content)
    refused(load, kind)
    refused(load, kind)  # from what is here now
    outside = {path.name for path in tmp_path.iterdir()} | {path.name for path in home.iterdir()}
    assert outside == {"home", "evil", "datasets"}


def test_a_batch_that_is_too_large(poison, monkeypatch):
    from nyala.datasets import cifar

    monkeypatch.setattr(cifar, "MAX_BYTES", 1000)
    assert refused(poison("cifar100", tar((BATCH, bytes(1001)))), ResourceLimitError).rule == "dataset-size"


def test_images_and_labels_of_other_numbers(poison, home, monkeypatch):
    """A file of images in the place of one of labels, and fewer labels than images."""
    import gzip

    entry = official.SETS["fashion_mnist"]
    folder = home.parent / "evil"
    poison("fashion_mnist", b"")
    for file, count in zip(entry.files, (3, 2, 3, 3), strict=True):
        shape = (count, 28, 28) if "images" in file.name else (count,)
        cases.write_idx(folder / file.name, np.zeros(shape, "uint8"))
    monkeypatch.undo()
    monkeypatch.setenv("NYALA_HOME", str(home))
    monkeypatch.setenv(official.MIRROR, str(folder))
    hashed = [file._replace(digest=None) for file in entry.files]
    monkeypatch.setitem(official.SETS, "fashion_mnist", entry._replace(files=tuple(hashed)))
    with pytest.raises(CorruptFileError, match=r"as many labels as rows in .*train-labels.*, got 2 and 3"):
        datasets.fashion_mnist.load_data()
    place = home / "datasets" / "fashion-mnist" / entry.files[1].name
    place.write_bytes(gzip.compress(struct.pack(">4I", 0x803, 3, 28, 28) + bytes(3 * 784)))
    with pytest.raises(CorruptFileError, match=r"a gzipped IDX file of bytes at .*train-labels"):
        datasets.fashion_mnist.load_data()
