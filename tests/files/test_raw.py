# SPDX-License-Identifier: Apache-2.0
"""Bytes that go straight from a file into an array: the right ones, or none; never those beside the file's own part."""

import io
import os

import numpy as np
import pytest

from nyala.core.alignment import aligned
from nyala.files import raw
from nyala.files.raw import Slice, fill, pieces

pytestmark = pytest.mark.skipif(not hasattr(os, "preadv"), reason="reads that name their place")
CONTENT = np.random.default_rng(0).integers(0, 256, 5000, "uint8").tobytes()


@pytest.fixture
def file(tmp_path):
    (tmp_path / "x").write_bytes(CONTENT)
    with (tmp_path / "x").open("rb") as opened:
        yield opened


def filled(source, place, size):
    target = aligned((size,), np.dtype("uint8"))
    return fill(source, place, target) and target.tobytes()


@pytest.mark.parametrize("halves", [1, 700, 1 << 22])  # one thread, or two
@pytest.mark.parametrize(("place", "size"), [(0, 5000), (0, 1), (7, 701), (4999, 1), (13, 1402), (5000, 0), (3, 0)])
def test_bytes_at_a_place(file, place, size, halves, monkeypatch):
    monkeypatch.setattr(raw, "HALVES", halves)
    if size:
        assert filled(file, place, size) == CONTENT[place : place + size]
    assert b"".join(pieces(file, place, size)) == CONTENT[place : place + size]


@pytest.mark.parametrize("halves", [1, 1 << 22])
@pytest.mark.parametrize(("place", "size"), [(0, 5001), (4999, 2), (4000, 2001), (9000, 3)])
def test_bytes_that_are_not_there(file, place, size, halves, monkeypatch):
    monkeypatch.setattr(raw, "HALVES", halves)
    assert filled(file, place, size) is False


def test_a_part_of_a_file_ends_where_it_ends(file):
    part = Slice(Slice(file, 100, 2000), 11, 500)
    assert filled(part, 3, 497) == CONTENT[114:611]
    assert filled(part, 3, 498) is False, "the file goes on, the part does not"
    assert pieces(part, 3, 498) is None
    assert filled(Slice(Slice(file, 100, 300), 11, 500), 3, 400) is False


@pytest.mark.parametrize("array", [np.float32(2.5), np.arange(6, dtype="int16").reshape(2, 3), np.array([True, False]), np.zeros(3, "V2")])
def test_arrays_of_every_kind(array, tmp_path):
    array = np.asarray(array)
    (tmp_path / "x").write_bytes(b"before" + array.tobytes())
    target = aligned(array.shape, array.dtype)
    with (tmp_path / "x").open("rb") as file:
        assert fill(file, 6, target)
    assert target.tobytes() == array.tobytes()


def test_files_of_other_kinds_are_left_alone():
    target = np.full(3, 7, "uint8")
    assert not fill(io.BytesIO(CONTENT), 0, target)
    assert pieces(io.BytesIO(CONTENT), 0, 3) is None
    assert target.tolist() == [7, 7, 7]
