# SPDX-License-Identifier: Apache-2.0
"""Downloads of data sets that break off, run out of room, or are asked for by many at once."""

import shutil
import threading

import numpy as np
import pytest

from nyala import datasets
from nyala.datasets import official
from nyala.files import transfers
from nyala.files.downloads import DownloadError
from tests.files.downloads.served import Server, files
from tests.test_datasets_official import rehash
from tests.training.tools import raises


@pytest.fixture
def served(server, server_files, home, monkeypatch):
    """A function that serves a file of a data set as the official one, on a mirror whose address it returns."""
    rehash(monkeypatch, server_files)

    def serve(name, index=0):
        Server.body = (server_files / official.SETS[name].files[index].name).read_bytes()
        address = server.rpartition("/")[0]
        monkeypatch.setenv(official.MIRROR, address)
        return address

    return serve


def kept(home):
    return [name for name in files(home) if name.endswith((".part", ".json"))]


def test_a_data_set_goes_on_where_it_stopped(served, home, monkeypatch):
    address, size = served("mnist"), len(Server.body)
    Server.plan = [700]
    with (
        monkeypatch.context() as patch,
        raises(
            DownloadError,
            f"The data set 'mnist' needs mnist.npz (11,490,434 bytes) from {address}/mnist.npz, "
            f"got no answer, or half of one: 700 of {size:,} bytes came.\n"
            f"  why: 700 of {size:,} bytes are kept; the next call goes on after them\n"
            f"  fix: get {official.GOOGLE}mnist.npz where there is a network and put it at {str(home / 'datasets' / 'mnist.npz')!r}, "
            "or into a folder that NYALA_DATASETS_MIRROR names",
        ),
    ):
        patch.setattr(transfers, "PAUSES", ())
        datasets.mnist.load_data()
    assert not datasets.info()["mnist"].cached
    assert len(kept(home)) == 2
    (x_train, _), _ = datasets.mnist.load_data()
    assert x_train.shape == (7, 28, 28)
    assert Server.asked == [(None, None), ("bytes=700-", '"one"')]
    assert Server.sent == [700, size - 700]
    assert datasets.info()["mnist"].cached
    assert files(home) == ["datasets/mnist.npz"]


def test_many_at_once_get_and_unpack_it_once(served, home):
    served("cifar100")
    Server.plan = [1000]  # and it breaks off, too
    found = []
    threads = [threading.Thread(target=lambda: found.append(datasets.cifar100.load_data())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert Server.asked == [(None, None), ("bytes=1000-", '"one"')]
    for one in found[1:]:
        np.testing.assert_array_equal(one[0][0], found[0][0][0])
    assert not kept(home)
    assert not list(home.rglob("*.part"))


def test_no_room(served, home, monkeypatch):
    served("mnist")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DownloadError, match=r"The data set 'mnist' needs mnist\.npz .*\n  why: max_bytes, or the disk, has no room for more\n"):
        datasets.mnist.load_data()
    assert files(home) == []


def test_a_file_that_is_cut_off_with_its_length(served, home):
    """A short answer that says it is whole is another file."""
    served("mnist")
    Server.body = Server.body[:-1]
    with pytest.raises(DownloadError, match="damaged on the way"):
        datasets.mnist.load_data()
    assert files(home) == []
