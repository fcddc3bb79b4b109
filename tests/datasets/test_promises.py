# SPDX-License-Identifier: Apache-2.0
"""What is promised of all data sets: arguments of Keras, hashes everywhere, a list that tells the truth, one that needs no network."""

import inspect
import socket

import numpy as np
import pytest

from nyala import datasets
from nyala.datasets import official
from nyala.files.downloads import DownloadError
from tests.test_datasets_official import NAMES, rehash

TEXTS = "start_char=1, oov_char=2, index_from=3"
ARGUMENTS = {  # of Keras 3.15.1
    "boston_housing.load_data": "(path='boston_housing.npz', test_split=0.2, seed=113)",
    "california_housing.load_data": "(version='large', path='california_housing.npz', test_split=0.2, seed=113)",
    "cifar10.load_data": "()",
    "cifar100.load_data": "(label_mode='fine')",
    "fashion_mnist.load_data": "()",
    "imdb.get_word_index": "(path='imdb_word_index.json')",
    "imdb.load_data": f"(path='imdb.npz', num_words=None, skip_top=0, maxlen=None, seed=113, {TEXTS}, **kwargs)",
    "mnist.load_data": "(path='mnist.npz')",
    "reuters.get_label_names": "()",
    "reuters.get_word_index": "(path='reuters_word_index.json')",
    "reuters.load_data": f"(path='reuters.npz', num_words=None, skip_top=0, maxlen=None, test_split=0.2, seed=113, {TEXTS})",
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_are_those_of_keras(name):
    module, _, function = name.partition(".")
    signature = inspect.signature(getattr(getattr(datasets, module), function))
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    assert str(inspect.Signature(plain)) == ARGUMENTS[name]


def test_a_damaged_file_that_is_here_is_got_again(mirror, home):
    first = datasets.boston_housing.load_data()
    place = home / "datasets" / "boston_housing.npz"
    for poisoned in (b"", b"poison", place.read_bytes()[:-1]):
        place.write_bytes(poisoned)
        np.testing.assert_array_equal(datasets.boston_housing.load_data()[0][0], first[0][0])
        assert place.read_bytes() == (mirror / "boston_housing.npz").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_hashes_count_on_mirrors_too(name, mirror, home, monkeypatch, tmp_path):
    file = official.SETS[name].files[0]
    (tmp_path / "changed").mkdir()
    (tmp_path / "changed" / file.name).write_bytes((mirror / file.name).read_bytes() + b"0")
    monkeypatch.setenv(official.MIRROR, str(tmp_path / "changed"))
    with pytest.raises(DownloadError, match=r"one of .* bytes whose sha256 is .*\n  why: it is another file, or was damaged on the way\n"):
        getattr(datasets, name).load_data()
    assert not [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_what_info_tells(server_files, home, monkeypatch):
    rehash(monkeypatch, server_files)
    listed = datasets.info()
    assert set(listed) == {"digits", *NAMES}
    for name, row in listed.items():
        assert row.num_bytes == sum(file.size for file in official.SETS[name].files)
        assert (row.num_bytes > 0) == (name != "digits")
        assert row.licence
        assert row.about
        assert row.cached == (name == "digits")
    monkeypatch.setenv(official.MIRROR, str(server_files))
    datasets.imdb.load_data()
    assert not datasets.info()["imdb"].cached  # its words are not here yet
    datasets.imdb.get_word_index()
    assert [name for name, row in datasets.info().items() if row.cached] == ["digits", "imdb"]


def test_digits_need_no_network(monkeypatch, home):
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was made"))
    monkeypatch.setenv(official.MIRROR, "http://127.0.0.1:9/")
    assert len(datasets.digits.load_data()[0][0]) == 1437
    assert datasets.info()["digits"].cached
    assert not home.exists()
