# SPDX-License-Identifier: Apache-2.0
"""Servers that answer otherwise than asked, and parts of downloads that somebody changed: nothing is joined that does not belong together."""

import contextlib
import hashlib
import json
import os
import shutil
import sys

import pytest

from nyala.core.errors import ArgumentError
from nyala.files.downloads import DownloadError
from tests.files.downloads.served import BODY, OTHER, OTHER_SHA, SHA, Server, files, whole
from tests.training.tools import raises

# Servers that do otherwise

MISSING = len(BODY) - 400_000
WRONG = {
    "another start": {"Content_Range": f"bytes 399999-{len(BODY) - 1}/{len(BODY)}"},
    "from the beginning": {"Content_Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"},
    "another end": {"Content_Range": f"bytes 400000-500000/{len(BODY)}"},
    "another size": {"Content_Range": f"bytes 400000-{len(BODY) - 1}/{len(BODY) + 1}"},
    "a size that is not known": {"Content_Range": f"bytes 400000-{len(BODY) - 1}/*"},
    "no range": {"Content_Range": None},
    "other words": {"Content_Range": "all"},
    "another tag": {"ETag": '"two"'},
    "no tag": {"ETag": None},
    "packed": {"Content_Encoding": "gzip"},
    "longer than its range": {"Content_Length": str(MISSING + 7)},
    "shorter than its range": {"Content_Length": str(MISSING - 7)},
    "several ranges": {"Content_Range": None, "Content_Type": "multipart/byteranges; boundary=x"},
}


def answer_206(changed, content=None):
    good = {"ETag": '"one"', "Content_Length": str(MISSING), "Content_Range": f"bytes 400000-{len(BODY) - 1}/{len(BODY)}"}
    return lambda handler: handler.raw(206, BODY[400_000:] if content is None else content, **{**good, **changed})


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_that_does_not_fit_is_not_joined(name, get, interrupted):
    interrupted(file_hash=SHA)
    Server.plan = [answer_206(WRONG[name], b"evil")]
    assert whole(get(file_hash=SHA))
    assert Server.asked == [("bytes=400000-", '"one"'), (None, None)]
    assert Server.sent[1] == len(BODY)


def test_an_answer_that_fits_is_joined(get, interrupted):
    interrupted(file_hash=SHA)
    Server.plan = [answer_206({})]
    assert whole(get(file_hash=SHA))
    assert Server.asked == [("bytes=400000-", '"one"')]


def test_ranges_that_cannot_be(get, interrupted):
    interrupted()
    Server.plan = [lambda s: s.raw(416, b"", Content_Range=f"bytes */{len(BODY)}")]
    assert whole(get())
    assert Server.asked == [("bytes=400000-", '"one"'), (None, None)]


@pytest.mark.parametrize("status", [204, 206, 226, 416])
def test_answers_that_nobody_asked_for(status, get, tmp_path):
    Server.plan = [lambda s: s.raw(status, b"", Content_Length="0")]
    with pytest.raises(DownloadError, match=f"needs the file, got the answer {status} "):
        get()
    assert files(tmp_path) == []


def test_servers_without_ranges_begin_anew(get, interrupted):
    interrupted(file_hash=SHA)
    Server.plan = [lambda s: s.raw(200, BODY, Content_Length=str(len(BODY)))]
    assert whole(get(file_hash=SHA))
    assert len(Server.asked) == 1


@pytest.mark.parametrize("kept", ["in one call", "by the next call"])
def test_a_file_that_changed_meanwhile_comes_anew(kept, get, interrupted):
    def change(handler):
        Server.body, Server.tags = OTHER[:700_001], {"ETag": '"two"'}
        handler.answer()

    if kept == "in one call":
        Server.plan = [400_000, change]
    else:
        interrupted()
        Server.plan = [change]
    assert whole(get(), OTHER[:700_001])
    assert Server.asked[-1] == ("bytes=400000-", '"one"')


def test_a_server_that_lies_about_its_version_is_found_out_by_the_hash(get, interrupted, tmp_path):
    interrupted(file_hash=OTHER_SHA)
    Server.body = OTHER  # and the old tag
    mixed = hashlib.sha256(BODY[:400_000] + OTHER[400_000:]).hexdigest()
    with pytest.raises(DownloadError, match=f"got one of 1,000,003 bytes whose sha256 is {mixed}"):
        get(file_hash=OTHER_SHA)
    assert files(tmp_path) == []
    assert whole(get(file_hash=OTHER_SHA), OTHER)


def test_a_range_that_ends_early_is_gone_on_with(get, interrupted):
    interrupted(file_hash=SHA)
    Server.plan = [answer_206({}, BODY[400_000:500_000])]
    assert whole(get(file_hash=SHA))
    assert [span for span, _ in Server.asked] == ["bytes=400000-", "bytes=500000-"]


def chunked(handler):
    """The range that was asked for, in an answer that has no length and no end."""
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(206)
    for name, value in {"ETag": '"one"', "Transfer-Encoding": "chunked", "Content-Range": f"bytes 400000-{len(BODY) - 1}/{len(BODY)}"}.items():
        handler.send_header(name, value)
    handler.end_headers()
    with contextlib.suppress(OSError):
        for _ in range(1000):
            handler.wfile.write(b"%x\r\n" % 50_000 + bytes(50_000) + b"\r\n")
    handler.close_connection = True


def test_a_range_without_an_end_is_cut_off(get, interrupted, tmp_path):
    interrupted()
    Server.plan = [chunked]
    with pytest.raises(DownloadError, match=r"needs the 1,000,003 bytes that the server announced, got more\.\n  fix: check the URL"):
        get()
    assert files(tmp_path) == []


def test_a_body_longer_than_announced_is_not_read_on(get):
    Server.plan = [lambda s: s.raw(200, BODY * 10, Content_Length=str(len(BODY)), ETag='"one"')]
    assert whole(get(file_hash=SHA))


def test_packed_answers(get, server, tmp_path):
    Server.plan = [lambda s: s.answer(Content_Encoding="gzip")]
    with raises(
        DownloadError, f"get_file({server!r}) needs the file as it is, got one packed with 'gzip'.\n  fix: get it by hand, or from another address"
    ):
        get(file_hash=SHA)
    assert files(tmp_path) == []
    Server.plan = [lambda s: s.answer(cut=1000, Content_Encoding="x-gzip")]  # as old servers announce files that are packed themselves
    address = server.replace("x.bin", "x.tar.gz")
    with pytest.raises(DownloadError, match="1,000 of 1,000,003 bytes came"):
        get(address)
    assert files(tmp_path) == []
    Server.plan = [lambda s: s.answer(Content_Encoding="br")]
    with pytest.raises(DownloadError, match="got one packed with 'br'"):
        get(address)
    Server.plan = [lambda s: s.answer(Content_Encoding="x-gzip")]
    assert get(address, file_hash=SHA).read_bytes() == BODY


def test_the_bound_counts_all(get, interrupted, tmp_path, monkeypatch):
    interrupted()
    with pytest.raises(DownloadError, match=r"needs at most 1,000,002 bytes, got 1,000,003 or more\.\n  why: max_bytes, or the disk"):
        get(max_bytes=len(BODY) - 1)
    assert files(tmp_path) == []
    interrupted()
    space = MISSING - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9 - space, space))
    with pytest.raises(DownloadError, match=r"needs at most 1,000,002 bytes, got 1,000,003 or more"):
        get()
    monkeypatch.undo()
    interrupted()
    space = MISSING  # what is here needs no more
    monkeypatch.setattr(shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10**9, 10**9 - space, space))
    assert whole(get(max_bytes=len(BODY)))


def test_redirections_that_are_no_addresses(get):
    Server.plan = [lambda s: s.raw(302, b"", Location="http://[x/y")]
    with pytest.raises(DownloadError, match=r"no answer, or half of one: .*Invalid IPv6"):
        get()


# Parts of something else


def test_a_part_is_of_one_address_and_one_hash(get, interrupted, server, tmp_path):
    interrupted(file_hash=SHA)
    assert get(server + "?a=b", file_hash=SHA).read_bytes() == BODY
    assert Server.asked == [(None, None)]
    assert files(tmp_path) == ["x.bin"]  # the other part went, too: the file it was of is here
    (tmp_path / "x.bin").unlink()
    interrupted(file_hash=SHA)
    Server.body, Server.tags = OTHER, {"ETag": '"one"'}
    assert whole(get(file_hash=OTHER_SHA), OTHER)
    assert Server.asked == [(None, None)]


def test_a_forced_download_asks_whether_the_last_byte_is_still_that(get, interrupted):
    part, note = interrupted(size=len(BODY) - 1)
    part.write_bytes(BODY)
    note.write_text(note.read_text().replace(f"{len(BODY) - 1}}}", f"{len(BODY)}}}"))
    assert json.loads(note.read_text())["size"] == len(BODY)
    assert whole(get(force_download=True))
    assert Server.asked == [(f"bytes={len(BODY) - 1}-", '"one"')]


NOTES = {
    "nothing": lambda note: b"",
    "no JSON": lambda note: b"{'a': 1}",
    "no object": lambda note: b"[1, 2]",
    "deep": lambda note: b"[" * 3000,
    "long": lambda note: json.dumps({**note, "more": "x" * 5000}).encode(),
    "another download": lambda note: json.dumps({**note, "key": "0" * 64}).encode(),
    "another header": lambda note: json.dumps({**note, "field": "X-Evil"}).encode(),
    "two headers": lambda note: json.dumps({**note, "value": '"one"\r\nX-Evil: 1'}).encode(),
    "no text": lambda note: json.dumps({**note, "value": 1}).encode(),
    "a negative size": lambda note: json.dumps({**note, "size": -1}).encode(),
    "half a byte": lambda note: json.dumps({**note, "size": 1.5}).encode(),
    "a length of one": lambda note: json.dumps({**note, "length": 1}).encode(),
}


@pytest.mark.parametrize("name", NOTES)
def test_notes_that_make_no_sense_are_not_believed(name, get, interrupted):
    _, note = interrupted()
    note.write_bytes(NOTES[name](json.loads(note.read_bytes())))
    assert whole(get())
    assert Server.asked == [(None, None)]


@pytest.mark.parametrize(("size", "asked"), [(300_000, 300_000), (500_000, 400_000), (0, None)])
def test_the_smaller_of_part_and_note_counts(size, asked, get, interrupted):
    part, _ = interrupted()
    part.write_bytes((BODY[:400_000] + bytes(100_000))[:size])
    assert whole(get())
    assert Server.asked == [(f"bytes={asked}-", '"one"') if asked else (None, None)]


def linked(part, victim):
    part.unlink()
    part.symlink_to(victim)


def dangling(part, victim):
    part.unlink()
    part.symlink_to(victim.with_name("nowhere"))


def second_name(part, victim):
    part.unlink()
    os.link(victim, part)


def pipe(part, victim):
    part.unlink()
    os.mkfifo(part)


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes of POSIX")
@pytest.mark.parametrize("which", [0, 1], ids=["part", "note"])
@pytest.mark.parametrize("put", [linked, dangling, second_name, pipe])
def test_other_files_are_not_written_through_a_part(put, which, get, interrupted, tmp_path):
    names = interrupted()
    (tmp_path / "home").mkdir()
    victim = tmp_path / "home" / "victim"
    victim.write_bytes(BODY[:500_000])
    put(names[which], victim)
    path = get()
    assert path.read_bytes() == BODY
    assert not path.is_symlink()
    assert victim.read_bytes() == BODY[:500_000]
    assert files(tmp_path) == ["home/victim", "x.bin"]
    assert Server.asked == [(None, None)]


@pytest.mark.skipif(sys.platform == "win32", reason="links of POSIX")
def test_a_link_of_the_name_is_replaced(get, tmp_path):
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "x.bin").symlink_to(tmp_path / "victim")
    path = get(cache_dir=tmp_path / "cache", file_hash=SHA)
    assert whole(path)
    assert not path.is_symlink()
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_names_leave_room_for_those_of_parts(get):
    name = "\u00e9" * 101
    with raises(ArgumentError, f"get_file(fname) needs a name of at most 200 bytes, got {name!r}.\n  fix: pass a shorter one"):
        get(fname=name)
    assert get(fname="\u00e9" * 100).read_bytes() == BODY
