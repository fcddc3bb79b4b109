# SPDX-License-Identifier: Apache-2.0
"""Fixtures of downloads that break off. Start at interrupted."""

import http.server
import pathlib
import threading

import pytest

from nyala import utils
from nyala.files import transfers
from nyala.files.downloads import DownloadError
from tests.files.downloads.served import BODY, Server, files, key


@pytest.fixture
def server():
    Server.asked, Server.sent, Server.plan, Server.body, Server.tags = [], [], [], BODY, {"ETag": '"one"'}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}/x.bin"
        made.shutdown()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(transfers, "PAUSES", (0, 0, 0, 0))


@pytest.fixture
def get(server, tmp_path):
    def one(origin=server, **options):
        return pathlib.Path(utils.get_file(origin=origin, **{"cache_dir": tmp_path, "cache_subdir": "", **options}))

    return one


@pytest.fixture
def interrupted(get, server, tmp_path, monkeypatch):
    """A function that leaves the first bytes of a download; it returns the part and its note."""

    def leave(size=400_000, **options):
        Server.plan = [size]
        with monkeypatch.context() as patch, pytest.raises(DownloadError, match=f"{size:,} of {len(Server.body):,} bytes are kept"):
            patch.setattr(transfers, "PAUSES", ())
            get(**options)
        part = tmp_path / f".x.bin.{key(server, options.get('file_hash'))[:32]}.part"
        assert files(tmp_path) == [part.with_suffix(".json").name, part.name]
        Server.asked.clear()
        Server.sent.clear()
        return part, part.with_suffix(".json")

    return leave


@pytest.fixture
def gate():
    """Opens for a server that has sent a part and waits."""
    made = threading.Event()
    yield made
    made.set()
