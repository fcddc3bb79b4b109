# SPDX-License-Identifier: Apache-2.0
"""The data sets that ship inside the package: shapes, values, the fixed split, and that nobody can spoil them for others."""

import hashlib
from importlib.resources import files

import numpy as np
import pytest

from nyala import datasets
from nyala.datasets import digits


@pytest.fixture
def split():
    return digits.load_data()


def test_digits_have_the_documented_shapes_and_dtypes(split):
    (x_train, y_train), (x_test, y_test) = split
    assert (x_train.shape, y_train.shape) == ((1437, 8, 8), (1437,))
    assert (x_test.shape, y_test.shape) == ((360, 8, 8), (360,))
    assert {array.dtype for pair in split for array in pair} == {np.dtype("uint8")}
    assert (x_train.min(), x_train.max(), y_train.min(), y_train.max()) == (0, 16, 0, 9)


def test_digits_are_the_published_ones(split):
    """UCI publishes the number of images of each digit; the checksum guards every pixel, label and side of the split."""
    (_, y_train), (_, y_test) = split
    published = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(np.bincount(y_train) + np.bincount(y_test), published)
    whole = b"".join(array.tobytes() for pair in split for array in pair)
    assert hashlib.sha256(whole).hexdigest() == "242a2003c8c6e7dd28018ae5901fa5ac089fbcc6f1fa9429074319b71755664a"


def test_the_split_is_balanced(split):
    for _, labels in split:
        share = np.bincount(labels, minlength=10) / len(labels)
        assert share.min() > 0.07
        assert share.max() < 0.13


def test_no_image_is_on_both_sides(split):
    (x_train, _), (x_test, _) = split
    seen = {image.tobytes() for image in x_train}
    assert len(seen) == len(x_train)
    assert not seen & {image.tobytes() for image in x_test}


def test_images_and_labels_belong_together(split):
    """The nearest neighbour in plain pixels reads nearly all digits; with labels out of step it would read one in ten."""
    (x_train, y_train), (x_test, y_test) = split
    train, test = (x.reshape(len(x), 64).astype("float64") for x in (x_train, x_test))
    distances = (test**2).sum(1)[:, np.newaxis] - 2 * test @ train.T + (train**2).sum(1)
    assert np.mean(y_train[distances.argmin(1)] == y_test) > 0.97


def test_each_call_returns_arrays_of_its_own():
    first = digits.load_data()
    for pair in first:
        for array in pair:
            array += 1  # writable, though the stored file is never written
    second = digits.load_data()
    assert second[0][0].max() == 16
    assert not any(np.shares_memory(a, b) for a in second[0] for b in second[1])


def test_the_file_is_plain_data_with_its_licence_beside_it():
    with files(datasets).joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as stored:
        assert {name: stored[name].dtype.name for name in stored.files} == {"images": "uint8", "labels": "uint8", "order": "uint16"}
        assert sorted(stored["order"]) == list(range(1797))
    note = files(datasets).joinpath("digits.md").read_text(encoding="utf-8")
    for fact in ("Alpaydin", "Kaynak", "10.24432/C50P49", "https://creativecommons.org/licenses/by/4.0/"):
        assert fact in note


def test_unknown_data_sets_are_refused():
    assert "digits" in dir(datasets)
    with pytest.raises(AttributeError, match=r"^module 'nyala\.datasets' has no attribute 'digit'; did you mean 'digits'\?$"):
        datasets.digit  # noqa: B018
