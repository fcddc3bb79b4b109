# SPDX-License-Identifier: Apache-2.0
"""get_file and archives: a server on this machine that answers well and badly, archives that are kind and hostile."""

import errno
import hashlib
import http.server
import io
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import sys
import tarfile
import threading
import time
import urllib.request
import zipfile

import pytest

from nyala import utils
from nyala.core.errors import ArgumentError
from nyala.files import transfers
from nyala.files.downloads import DownloadError
from nyala.files.errors import UnsafeFileError
from nyala.files.transfers import _Redirects
from nyala.files.unpacking import extract
from tests.training.tools import raises

BODY = bytes(range(256)) * 5000
SHA, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    asked: list = []
    body = BODY

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.headers.get("X-To") or {"file": "file:///etc/hosts", "ok": "/x.bin"}[self.path[4:]])
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        if self.path == "/slow":
            for i in range(0, len(self.body), 200_000):
                self.wfile.write(self.body[i : i + 200_000])
                time.sleep(0.05)
            return
        if self.path == "/stuck":
            self.wfile.write(self.body[:1000])
            time.sleep(1.5)
            return
        self.wfile.write(self.body[: len(self.body) // 2] if self.path == "/half" else self.body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    Server.asked, Server.body = [], BODY
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as made:
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()


@pytest.fixture
def get(tmp_path):
    return lambda origin, **options: utils.get_file(origin=origin, **{"cache_dir": tmp_path, **options})


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in pathlib.Path(folder).rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_file_is_got_once(server, get, tmp_path, capsys):
    path = get(f"{server}/x.bin?version=2")
    assert path == str(tmp_path / "datasets" / "x.bin")
    assert pathlib.Path(path).read_bytes() == BODY
    assert capsys.readouterr().out == f"Downloading data from {server}/x.bin?version=2\n"
    assert get(f"{server}/x.bin", file_hash=SHA) == get(f"{server}/x.bin", md5_hash=MD5) == path
    assert get(f"{server}/x.bin", file_hash=SHA.upper(), hash_algorithm="sha256") == path
    assert len(Server.asked) == 1
    get(f"{server}/x.bin", force_download=True)
    assert len(Server.asked) == 2
    assert get(f"{server}/to/ok", fname="y", cache_subdir="models/a") == str(tmp_path / "models" / "a" / "y")
    assert files(tmp_path) == ["datasets/x.bin", "models/a/y"]


def test_a_file_url(get, tmp_path):
    (tmp_path / "source.bin").write_bytes(BODY)
    path = get((tmp_path / "source.bin").as_uri(), file_hash=SHA)
    assert pathlib.Path(path).read_bytes() == BODY


def test_a_damaged_file_in_the_cache_is_got_again(server, get):
    path = pathlib.Path(get(f"{server}/x.bin"))
    path.write_bytes(b"poison")
    get(f"{server}/x.bin", file_hash=SHA)
    assert path.read_bytes() == BODY


def test_what_comes_wrong_leaves_the_old_file_and_nothing_else(server, get, tmp_path):
    path = pathlib.Path(get(f"{server}/x.bin"))
    Server.body = BODY[:100]
    url = f"{server}/x.bin"
    with raises(
        DownloadError,
        f"get_file({url!r}) needs a file whose sha256 is {'0' * 64}, got one of 100 bytes whose sha256 is {hashlib.sha256(BODY[:100]).hexdigest()}.\n"
        "  why: it is another file, or was damaged on the way\n  fix: check the URL and the hash; nothing was kept",
    ):
        get(url, file_hash="0" * 64)
    assert path.read_bytes() == BODY
    assert files(tmp_path) == ["datasets/x.bin"]


def test_half_files_answers_that_say_no_and_no_answer(server, get, tmp_path):
    with pytest.raises(DownloadError, match=r"/half'\) needs (1,280,000 bytes, got 640,000|the file, got no answer, or half of one)"):
        get(f"{server}/half")
    with raises(DownloadError, f"get_file('{server}/missing') needs the file, got the answer 404 Not Found.\n  fix: check the URL"):
        get(f"{server}/missing")
    with pytest.raises(DownloadError, match=r"needs the file, got no answer, or half of one: .*\n  fix: check the connection, or put the file at"):
        get("http://127.0.0.1:9/x")
    with pytest.raises(DownloadError, match="no answer, or half of one"):
        get((tmp_path / "nothing").as_uri())
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["x.bin", "endless"])
def test_the_size_has_a_bound(server, get, tmp_path, name):
    with pytest.raises(DownloadError, match=r"needs at most 1,000 bytes, got [\d,]+ or more\.\n  why: max_bytes, or the disk, has no room for more"):
        get(f"{server}/{name}", max_bytes=1000)
    assert files(tmp_path) == []
    assert get(f"{server}/{name}", max_bytes=len(BODY))


def test_a_redirection_leads_to_no_file(server, get, tmp_path):
    with pytest.raises(DownloadError, match=r"needs the file, got the answer 302 .*'file:///etc/hosts' is not allowed"):
        get(f"{server}/to/file", fname="x")
    assert files(tmp_path) == []
    secure = urllib.request.Request("https://a/b")
    with raises(
        UnsafeFileError,
        "get_file(origin) needs redirections to https, got one to 'http://a/c'.\n  why: 'https://a/b' is what you asked for\n"
        "  fix: ask for the other address yourself, if you trust it",
    ):
        _Redirects().redirect_request(secure, None, 302, "Found", {}, "http://a/c")
    with pytest.raises(UnsafeFileError, match="needs redirections to https or http, got one to 'ftp://a/c'"):
        _Redirects().redirect_request(urllib.request.Request("http://a/b"), None, 302, "Found", {}, "ftp://a/c")
    assert _Redirects().redirect_request(secure, None, 302, "Found", {}, "https://a/c").full_url == "https://a/c"


def test_many_at_once_get_it_once(server, get):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(get(f"{server}/x.bin", file_hash=SHA))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(set(paths)), len(paths), Server.asked) == (1, 5, ["/x.bin"])


FETCH = """
import sys
from nyala import utils
print(utils.get_file(origin=sys.argv[1], cache_dir=sys.argv[2], file_hash=sys.argv[3]), flush=True)
"""


def fetch(url, folder):
    command = [sys.executable, "-c", FETCH, url, str(folder), SHA]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_get_it_once(server, tmp_path):
    both = [fetch(f"{server}/slow", tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert {out.splitlines()[-1] for out, _ in said} == {str(tmp_path / "datasets" / "slow")}
    assert Server.asked == ["/slow"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL there")
def test_a_process_that_is_killed_meanwhile_leaves_nothing_under_the_name(server, get, tmp_path):
    with fetch(f"{server}/slow", tmp_path) as process:
        assert "Downloading" in process.stdout.readline()
        until = time.monotonic() + 60
        while not Server.asked and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
    assert not (tmp_path / "datasets" / "slow").exists()
    path = pathlib.Path(get(f"{server}/slow", file_hash=SHA))  # its lock is free again
    assert path.read_bytes() == BODY
    assert Server.asked == ["/slow", "/slow"]


def test_a_server_that_stops_answering_is_given_up(server, get, tmp_path, monkeypatch):
    monkeypatch.setattr(transfers, "TIMEOUT", 0.3)
    with pytest.raises(DownloadError, match=r"needs the file, got no answer, or half of one: timed out\.\n  fix: check the connection"):
        get(f"{server}/stuck")
    assert files(tmp_path) == []
    assert get(f"{server}/slow", file_hash=SHA)  # slow is not dead


def test_a_full_disk(server, get, tmp_path, monkeypatch):
    path = pathlib.Path(get(f"{server}/x.bin"))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DownloadError, match=r"needs at most 1,000 bytes, got 1,280,000 or more\.\n  why: max_bytes, or the disk, has no room"):
        get(f"{server}/x.bin", force_download=True)
    monkeypatch.undo()

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfers, "_own", lambda place: Full(place, "wb+"))
    with pytest.raises(DownloadError, match=r"needs the file, got an error where it is written: .*No space left on device\.\n  fix: make room"):
        get(f"{server}/x.bin", force_download=True)
    assert path.read_bytes() == BODY
    assert files(tmp_path) == ["datasets/x.bin"]


def test_without_a_network_what_is_there_is_used(server, get, monkeypatch):
    path = get(f"{server}/x.bin", file_hash=SHA)

    def cut(*args, **kwargs):
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket, "create_connection", cut)
    assert get(f"{server}/x.bin", file_hash=SHA) == path
    with pytest.raises(DownloadError, match=r"no answer, or half of one: .*Network is unreachable"):
        get(f"{server}/other.bin")


ERRORS = [
    ({"origin": None}, "get_file(origin) needs a URL, got None."),
    ({"origin": "ftp://a/b"}, "get_file(origin) needs an https, http or file URL, got 'ftp://a/b'."),
    *[({"origin": f"https://a/{end}"}, f"get_file(origin) needs a URL that ends in the name of a file, got 'https://a/{end}'.\n  fix: pass fname")
      for end in ("", "..", "b/.", "C:", "%2e%2e", "a%2Fb", "a%5Cb")],
    *[({"origin": "https://a/b", "fname": name},
       f"get_file(fname) needs a plain name, without folders, got {name!r}.\n  fix: folders go into cache_dir and cache_subdir")
      for name in ("a/b", "../a", "/a", "a\\b", "..", "a:b")],
    ({"origin": "https://a/b", "file_hash": "abc"},
     "get_file(file_hash) needs 64 hexadecimal digits of SHA-256, or 32 of MD5, got 'abc' with hash_algorithm='auto'."),
    ({"origin": "https://a/b", "file_hash": SHA, "hash_algorithm": "md5"},
     f"get_file(file_hash) needs 64 hexadecimal digits of SHA-256, or 32 of MD5, got {SHA!r} with hash_algorithm='md5'."),
    (
        {"origin": "https://a/b", "hash_algorithm": "sha1"},
        "get_file(hash_algorithm) needs one of 'auto', 'md5', 'sha256', got 'sha1'.\n  fix: did you mean 'sha256'?",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), ERRORS)
def test_errors(arguments, message):
    with raises(ArgumentError, message):
        utils.get_file(**arguments)


def tar_of(path, *members, mode="w:gz"):
    """A tar file of members: (name, contents) or a TarInfo."""
    with tarfile.open(path, mode) as file:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                file.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size, info.mode = len(member[1]), member[2] if len(member) > 2 else 0o600
            file.addfile(info, io.BytesIO(member[1]))
    return path


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, contents in members:
            file.writestr(name, contents)
    return path


MEMBERS = (("data/a.txt", b"a"), ("./data/sub/b.bin", BODY))


@pytest.mark.parametrize("made", [tar_of, zip_of])
def test_archives_are_unpacked(made, get, tmp_path):
    suffix = {tar_of: ".tar.gz", zip_of: ".zip"}[made]
    source = made(tmp_path / f"s{suffix}", *MEMBERS).as_uri()
    for options, folder in (
        ({"extract": True}, f"s{suffix}"),
        ({"untar": True, "fname": "d"}, "d"),
        ({"extract": True, "fname": f"e{suffix}"}, "e_extracted"),
    ):
        for _ in range(2):
            assert get(source, **options) == str(tmp_path / "datasets" / folder)
        assert files(tmp_path / "datasets" / folder) == ["data/a.txt", "data/sub/b.bin"]
        assert (tmp_path / "datasets" / folder / "data/sub/b.bin").read_bytes() == BODY
    assert get(source, fname="f", extract=True, archive_format=None) == str(tmp_path / "datasets" / "f")
    assert not (tmp_path / "datasets" / "f").exists()
    made(tmp_path / f"s{suffix}", ("new.txt", b"n"))
    get(source, extract=True, force_download=True)
    assert files(tmp_path / "datasets" / f"s{suffix}") == ["new.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are those of POSIX")
def test_files_are_readable_and_no_more(tmp_path):
    extract(tar_of(tmp_path / "x.tar", ("a", b"a", 0o4777), ("b", b"b", 0o600), mode="w"), tmp_path / "x")
    assert [stat.S_IMODE(os.stat(tmp_path / "x" / name).st_mode) for name in "ab"] == [0o755, 0o644]


def link(name, to, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def device(name):
    info = tarfile.TarInfo(name)
    info.type = tarfile.FIFOTYPE
    return info


def folder_of(name, size):
    info = tarfile.TarInfo(name)
    info.type, info.size = tarfile.DIRTYPE, size
    return info


BAD_NAMES = ["../x", "/x", "a/../../x", "C:/x", "a\\..\\x", "a//x", "x\0y", "a/..", "x.", "x ", "y" * 300, "a/con.txt", "nul"]
HOSTILE = {
    **{f"tar {name!r:.20}": lambda path, name=name: tar_of(path, ("ok", b"1"), (name, b"2")) for name in BAD_NAMES if "\0" not in name},
    **{
        f"zip {name!r:.20}": lambda path, name=name: zip_of(path, ("ok", b"1"), (name.replace("\0", "_"), b"2"))
        for name in BAD_NAMES
        if "\0" not in name
    },
    "symbolic link": lambda path: tar_of(path, link("l", "/", tarfile.SYMTYPE), ("l/x", b"2")),
    "link inside": lambda path: tar_of(path, ("a", b"1"), link("l", "a", tarfile.SYMTYPE)),
    "hard link": lambda path: tar_of(path, link("l", "../MARKER", tarfile.LNKTYPE)),
    "pipe": lambda path: tar_of(path, device("p")),
    "twice": lambda path: tar_of(path, ("a", b"1"), ("a", b"2")),
    "twice but for case": lambda path: zip_of(path, ("a", b"1"), ("A", b"2")),
    "twice but for accents": lambda path: tar_of(path, ("\u00e9", b"1"), ("e\u0301", b"2")),
    "folder with contents": lambda path: zip_of(path, ("a", b"1"), ("b/", b"2")),
    "folder with contents in tar": lambda path: tar_of(path, ("a", b"1"), folder_of("b", 512)),
    "file and folder": lambda path: tar_of(path, ("a", b"1"), ("a/b", b"2")),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("where", [".", "inside"])
def test_hostile_archives_write_nothing(make, where, tmp_path, monkeypatch):
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / where)
    archive = make(tmp_path / "x.archive")
    with pytest.raises(UnsafeFileError, match=r"^extract needs files below one folder, got .*\n  why: .*\n  fix: nothing was unpacked"):
        extract(archive, tmp_path / "inside" / "out")
    assert files(tmp_path) == ["x.archive"]
    assert list((tmp_path / "inside").iterdir()) == []


def test_links_in_zip_files(tmp_path):
    info = zipfile.ZipInfo("l")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(UnsafeFileError, match="it is a link or a device"):
        extract(zip_of(tmp_path / "x.zip", (info, "/etc")), tmp_path / "x")


def test_archives_have_a_bound_and_are_whole(tmp_path):
    bomb = zip_of(tmp_path / "bomb.zip", ("zeros", bytes(10**6)))
    with pytest.raises(UnsafeFileError, match=r"needs an archive of at most 2,000,000 files and 100,000 bytes, got .* of 1 and 1,000,000\."):
        extract(bomb, tmp_path / "x", max_bytes=10**5)
    data = tar_of(tmp_path / "x.tar.gz", *MEMBERS).read_bytes()
    (tmp_path / "x.tar.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ArgumentError, match=r"extract needs a whole archive, got .*\n  fix: get the file again"):
        extract(tmp_path / "x.tar.gz", tmp_path / "x")
    data = bytearray(zip_of(tmp_path / "y.zip", *MEMBERS).read_bytes())
    data[80] ^= 1
    (tmp_path / "y.zip").write_bytes(data)
    with pytest.raises(ArgumentError, match="extract needs a whole archive"):
        extract(tmp_path / "y.zip", tmp_path / "x")
    (tmp_path / "z").write_text("plain")
    with raises(ArgumentError, f"extract needs a zip or tar archive, got {str(tmp_path / 'z')!r}, which is none.\n  fix: check what the URL gives"):
        extract(tmp_path / "z", tmp_path / "x")
    with raises(ArgumentError, "archive_format needs 'auto', 'tar', 'zip', a list of these, or None, got 'rar'."):
        extract(tmp_path / "z", tmp_path / "x", "rar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bomb.zip", "x.tar.gz", "y.zip", "z"]
