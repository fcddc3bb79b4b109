# SPDX-License-Identifier: Apache-2.0
"""Zip files: equal contents give equal bytes, and whatever could be read in two ways is refused."""

import contextlib
import io
import struct
import zipfile
import zlib

import numpy as np
import pytest

from nyala.files.archive import check_name, reading, writing
from nyala.files.errors import CorruptFileError, ResourceLimitError, UnsafeFileError, UnsafePathError


def made(members, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def contents(data):
    with reading(io.BytesIO(data)) as members:
        return {name: member.bytes(1 << 20) for name, member in members.items()}


def rule_of(data, kind=ValueError):
    with pytest.raises(kind) as info:
        contents(data)
    return info.value.rule


PLAIN = [("a.json", b"{}"), ("folder/b.bin", bytes(range(256)) * 9)]


def test_what_is_written_is_read():
    file = io.BytesIO()
    with writing(file) as add:
        for name, content in PLAIN:
            add(name, content)
    assert contents(file.getvalue()) == dict(PLAIN)
    again = io.BytesIO()
    with writing(again) as add:
        for name, content in PLAIN:
            add(name, content)
    assert again.getvalue() == file.getvalue()


def test_members_that_are_filled_in_any_order():
    seen, file = [], io.BytesIO()

    def fill(member):
        member.seek(4)
        member.write(b"efghXY")
        member.seek(0)
        member.write(b"abcd")
        assert (member.seek(0, 2), member.truncate(8)) == (10, 8)
        member.seek(2)
        assert member.read(3) == b"cde"
        member.truncate(9)

    with writing(file) as add:
        add(*PLAIN[0])
        add("filled", fill, seen.append)
        add(*PLAIN[1], seen.append)
    assert contents(file.getvalue()) == {**dict(PLAIN), "filled": b"abcdefgh\0"}
    assert seen == [b"abcdefgh\0", PLAIN[1][1]]
    with zipfile.ZipFile(file) as opened:
        assert opened.testzip() is None


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zips_of_others_are_read(compression):
    data = made(PLAIN, compression=compression)
    assert contents(data) == dict(PLAIN)
    with reading(io.BytesIO(data)) as members, members["folder/b.bin"].open(1 << 20) as file:
        file.seek(300)
        assert file.read(5) == bytes(range(44, 49))
        assert file.seek(-2, 2) == 2302


def test_streamed_and_large_records_are_read():
    class Stream(io.RawIOBase):
        data = b""

        def writable(self):
            return True

        def write(self, part):
            self.data += bytes(part)
            return len(part)

    stream = Stream()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"one")
        with archive.open("b", "w", force_zip64=True) as member:
            member.write(b"two")
    assert contents(stream.data) == {"a": b"one", "b": b"two"}


BAD_NAMES = [
    "../x", "/abs", "C:\\x", "C:x", "a\\..\\x", "./x", "a/./b", "a//b", "a/../b", "x.", "x ", "nul", "COM1.txt", "a\x00b", "a\x1fb", "x" * 300,
    "a\u200bb",
    "a" * 1001, "a|b", "..",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names(name):
    with pytest.raises(UnsafePathError) as info:
        check_name(name, "x")
    assert info.value.rule == "zip-name"
    if "\0" not in name and "\\" not in name:
        assert rule_of(made([*PLAIN, (name, b"")]), UnsafePathError) == "zip-name"


def test_doubles_and_files_that_are_folders():
    with pytest.warns(UserWarning, match="Duplicate"):
        data = made([("a", b"1"), ("a", b"2")])
    assert rule_of(data, UnsafeFileError) == "zip-duplicate"
    assert rule_of(made([("a", b"1"), ("A", b"2")]), UnsafeFileError) == "zip-duplicate"
    assert rule_of(made([("e\u0301", b"1"), ("\xe9", b"2")]), UnsafeFileError) == "zip-duplicate"
    assert rule_of(made([("a", b"1"), ("a/b", b"2")]), UnsafePathError) == "zip-name"


def test_folders_are_empty():
    """A folder that holds bytes of its own is seen by some readers and not by others."""
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        assert contents(made([*PLAIN, ("more/", b"")], compression=compression)) == dict(PLAIN)
        assert rule_of(made([*PLAIN, ("more/", b"x")], compression=compression), UnsafeFileError) == "zip-folder"
    info = zipfile.ZipInfo("more")
    info.external_attr = 0o40755 << 16
    assert rule_of(made([*PLAIN, (info, b"x")]), UnsafeFileError) == "zip-folder"


def test_what_stands_around():
    data = made(PLAIN)
    assert rule_of(b"before" + data, UnsafeFileError) == "zip-gap"
    assert rule_of(data + b"after", CorruptFileError) == "zip-end"
    file = io.BytesIO(data)
    with zipfile.ZipFile(file, "a") as archive:
        archive.comment = b"hello"
    assert rule_of(file.getvalue()) in ("zip-end",)
    for cut in range(0, len(data), 97):
        assert rule_of(data[:cut], CorruptFileError) == "zip-end"


def test_two_stories():
    data = made(PLAIN)
    renamed = data.replace(b"a.json", b"b.json", 1)  # at its place, not in the directory
    assert rule_of(renamed, UnsafeFileError) == "zip-header"
    start = data.rfind(b"PK\1\2")
    offset = start + 42
    overlapping = data[:offset] + struct.pack("<L", 0) + data[offset + 4 :]
    assert rule_of(overlapping, UnsafeFileError) == "zip-gap"


def test_checksums_and_methods():
    data = made(PLAIN)
    place = data.index(bytes(range(200)))
    damaged = data[: place + 9] + bytes([data[place + 9] ^ 1]) + data[place + 10 :]
    assert rule_of(damaged, CorruptFileError) == "zip-damaged"
    assert rule_of(made(PLAIN, compression=zipfile.ZIP_BZIP2), UnsafeFileError) == "zip-method"
    info = zipfile.ZipInfo("link")
    info.external_attr = 0o120777 << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(info, "target")
    assert rule_of(file.getvalue(), UnsafePathError) == "zip-kind"


def test_sizes():
    bomb = made([("a", bytes(8 << 20))], compression=zipfile.ZIP_DEFLATED)
    with reading(io.BytesIO(bomb)) as members:
        for take in (lambda: members["a"].bytes(1 << 20), lambda: members["a"].chunks(1 << 20, print)):
            with pytest.raises(ResourceLimitError, match="needs at most 1,048,576 bytes, got 8,388,608"):
                take()
    end = bytearray(made(PLAIN))
    end[-14:-10] = struct.pack("<2H", 20_000, 20_000)  # members, says the record at the end
    assert rule_of(bytes(end), ResourceLimitError) == "zip-members"


@pytest.fixture(params=["memory", "disk"])
def opened(request, tmp_path):
    """A function that makes a file of bytes: in memory, or on the disk, where stored members are read by two threads."""
    with contextlib.ExitStack() as stack:

        def make(data):
            if request.param == "memory":
                return io.BytesIO(data)
            (tmp_path / "x.zip").write_bytes(data)
            return stack.enter_context((tmp_path / "x.zip").open("rb"))

        yield make


def test_stored_members_are_looked_at_where_they_are(opened):
    content = np.random.default_rng(1).integers(0, 256, (5 << 19) + 7, "uint8").tobytes()  # of several pieces
    data = made([*PLAIN, ("large", content)])
    seen = bytearray()
    with reading(opened(data)) as members:
        with members["large"].open(1 << 23, seen.extend) as file:
            assert seen == content
            assert file.read() == content
        members["large"].check()
    place = data.index(content)
    for at in (0, 1 << 20, len(content) - 1):
        damaged = bytearray(data)
        damaged[place + at] ^= 16
        with reading(opened(bytes(damaged))) as members:
            for use in (members["large"].check, lambda: members["large"].open(1 << 23, seen.extend).__enter__()):
                with pytest.raises(CorruptFileError, match="Bad CRC-32 for file 'large'") as info:
                    use()
                assert info.value.rule == "zip-damaged"

    def broken(piece):
        raise ZeroDivisionError

    with reading(opened(data)) as members, pytest.raises(ZeroDivisionError):
        members["large"].check(broken)


def test_a_stored_member_that_says_it_is_longer_than_its_bytes(opened):
    """All its sizes and its checksum are those of a longer one, but for the bytes it takes in the file."""
    data = made(PLAIN)
    start, size = data.index(b"{}"), 200
    facts = struct.pack("<3L", zlib.crc32(data[start : start + size]), 2, size)
    local, central = 14, data.index(b"PK\1\2") + 16
    data = data[:local] + facts + data[local + 12 : central] + facts + data[central + 12 :]
    with reading(opened(data)) as members:
        for use in (members["a.json"].check, lambda: members["a.json"].open(1000).__enter__(), lambda: members["a.json"].bytes(1000)):
            with pytest.raises(CorruptFileError):
                use()
