# SPDX-License-Identifier: Apache-2.0
"""HDF5 files: what is in them comes back bit for bit, and each way to point elsewhere, or to promise more than is there, is refused by its rule."""

import contextlib
import io
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest

from nyala.files import archive, hdf5
from nyala.files.errors import CorruptFileError, ResourceLimitError, UnsafeFileError, UnsafePathError
from nyala.files.hdf5 import reading, writing
from tests.training.tools import numbers


def rule_of(path, kind=ValueError):
    with pytest.raises(kind) as info, reading(path):
        pass
    return info.value.rule


@pytest.fixture
def good(tmp_path):
    """The benign twin: what every hostile file below differs from by one thing."""
    path = tmp_path / "good.h5"
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = numbers(5, 3)
        file["layers/dense/vars"].attrs["name"] = "dense"
    return path


def test_round_trip(tmp_path):
    arrays = {
        "a": numbers(3, 5), "b": np.array(7, "int64"), "c": np.array([True, False]), "d": numbers(2, 0), "e": numbers(4).astype("float16"),
        "f": numbers(2, 3).astype("complex64"), "g": numbers(5).astype(">f4"),
    }  # fmt: skip
    path = tmp_path / "x.h5"
    with writing(path) as root:
        group = root.group("one/two")
        for name, array in arrays.items():
            group.dataset(name, array)
        group.attributes["text"] = "été"
        group.attributes["names"] = [b"a", b"bc"]
        group.attributes["size"] = 3
    with reading(path) as tree:
        found = tree.find("one/two")
        assert found.attributes == {"text": "été", "names": ["a", "bc"], "size": 3}
        for name, array in arrays.items():
            dataset = found.datasets[name]
            got = dataset.read(array.shape)
            assert (dataset.shape, dataset.dtype) == (array.shape, array.dtype.newbyteorder("=").name)
            np.testing.assert_array_equal(got, array)
        assert next(dataset.path for dataset in tree.walk()) == "/one/two/a"
        assert tree.find("one/three/a") is None
        with pytest.raises(CorruptFileError, match=r"needs shape \(5, 3\) at '/one/two/a', got \(3, 5\)"):
            found.datasets["a"].read((5, 3))


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_numbers_beyond_numpy(dtype):
    from nyala.core.dtypes import numpy_dtype

    array = numbers(3, 2).astype(numpy_dtype(dtype))
    file = io.BytesIO()
    with writing(file) as root:
        root.dataset("a", array)
    with reading(file) as tree:
        assert tree.datasets["a"].dtype == dtype
        assert tree.datasets["a"].read().tobytes() == array.tobytes()


def test_packed_arrays_are_read(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("a", data=numbers(31, 7), chunks=(8, 7), compression="gzip", shuffle=True, fletcher32=True)
    with reading(tmp_path / "x.h5") as tree:
        np.testing.assert_array_equal(tree.datasets["a"].read(), numbers(31, 7))


@pytest.mark.parametrize("kind", ["disk", "memory"])
def test_packed_arrays_are_read_by_threads_beside_each_other(kind, tmp_path):
    """None moves in the file while another reads there: not even where the system cannot read at a place that is named."""
    arrays = {str(i): numbers(64, 450, seed=i).astype("float32") for i in range(40)}
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i, (name, array) in enumerate(arrays.items()):
            file.create_dataset(name, data=array, chunks=(1, 450), compression="gzip" if i % 8 == 0 else None)
    source = tmp_path / "x.h5" if kind == "disk" else io.BytesIO((tmp_path / "x.h5").read_bytes())
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with reading(source) as tree, ThreadPoolExecutor(2) as pool:
            for name, found in zip(tree.datasets, pool.map(hdf5.Dataset.read, tree.datasets.values()), strict=True):
                np.testing.assert_array_equal(found, arrays[name])
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("place", ["/", "layers", "layers/dense", "layers/dense/vars"])
@pytest.mark.parametrize("kind", ["external", "soft", "dangling"])
def test_links_are_refused_before_they_are_followed(good, tmp_path, place, kind):
    with reading(good):
        pass
    pipe = tmp_path / "pipe"
    if hasattr(os, "mkfifo"):
        os.mkfifo(pipe)  # whoever opens it waits for ever
    links = {"external": h5py.ExternalLink(str(pipe), "/"), "soft": h5py.SoftLink("/layers"), "dangling": h5py.ExternalLink("nowhere.h5", "/x")}
    with h5py.File(good, "a") as file:
        file[place]["evil"] = links[kind]
    assert rule_of(good, UnsafePathError) == "hdf5-link"


def test_second_names_and_circles(good):
    with h5py.File(good, "a") as file:
        file["layers/dense/up"] = file["layers"]
    assert rule_of(good, UnsafePathError) == "hdf5-cycle"


def test_storage_elsewhere(good, tmp_path):
    (tmp_path / "secret").write_bytes(b"s" * 64)
    with h5py.File(good, "a") as file:
        file.create_dataset("evil", (16,), "float32", external=[(str(tmp_path / "secret"), 0, 64)])
    assert rule_of(good, UnsafePathError) == "hdf5-storage"
    with h5py.File(good, "a") as file:
        del file["evil"]
        layout = h5py.VirtualLayout((5, 3), "float32")
        layout[:] = h5py.VirtualSource(".", "layers/dense/vars/0", (5, 3))
        file.create_virtual_dataset("evil", layout)
    assert rule_of(good, UnsafePathError) == "hdf5-storage"


@pytest.mark.parametrize(
    "make",
    [
        lambda file: file.create_dataset("x", data=["text"], dtype=h5py.string_dtype()),
        lambda file: file.create_dataset("x", data=np.array([b"fixed"])),
        lambda file: file.create_dataset("x", data=np.zeros(2, [("a", "f4"), ("b", "i4")])),
        lambda file: file.create_dataset("x", (2,), h5py.vlen_dtype("f4")),
        lambda file: file.create_dataset("x", (2,), h5py.ref_dtype),
        lambda file: file.create_dataset("x", data=np.array([0, 1], h5py.enum_dtype({"a": 0, "b": 1}))),
        lambda file: file.create_dataset("x", data=h5py.Empty("f4")),
    ],
)
def test_other_dtypes(good, make):
    with h5py.File(good, "a") as file:
        make(file)
    assert rule_of(good, UnsafeFileError) == "hdf5-dtype"


def test_other_filters_and_stored_types(good):
    with h5py.File(good, "a") as file:
        file.create_dataset("x", data=numbers(8, 8), chunks=(4, 4), compression="lzf")
    assert rule_of(good, UnsafeFileError) == "hdf5-filter"
    with h5py.File(good, "a") as file:
        del file["x"]
        file["x"] = np.dtype("f8")
    assert rule_of(good, UnsafeFileError) == "hdf5-object"


@pytest.mark.parametrize("options", [{}, {"chunks": (1 << 10,), "compression": "gzip"}, {"chunks": (1 << 26,)}])
def test_what_is_declared_must_be_there(good, options):
    with h5py.File(good, "a") as file:
        file.create_dataset("x", (1 << 30,), "float32", **options)  # 4 GiB, in 1,400 bytes
    assert rule_of(good, ResourceLimitError) == "hdf5-declared"


def test_depth(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_group("/".join("g" * 70))
    assert rule_of(tmp_path / "x.h5", ResourceLimitError) == "hdf5-depth"


def test_damage(good):
    whole = good.read_bytes()
    for i in range(1, 32):
        good.write_bytes(whole[: len(whole) * i // 32])
        assert rule_of(good, CorruptFileError) in ("hdf5-size", "hdf5-signature", "hdf5-damaged", "hdf5-version")
    for content, rule in (
        (b"", "hdf5-signature"),
        (b"PK\3\4", "hdf5-signature"),
        (whole + b"tail", "hdf5-size"),
        (bytes(512) + whole, "hdf5-signature"),
    ):
        good.write_bytes(content)
        assert rule_of(good, CorruptFileError) == rule
    random = np.random.default_rng(3)
    for _ in range(60):  # a flipped bit is found, or is in a number
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] ^= 1 << int(random.integers(8))
        good.write_bytes(bytes(damaged))
        try:
            with reading(good) as tree:
                [dataset.read() for dataset in tree.walk()]
        except (CorruptFileError, UnsafeFileError):
            pass


@pytest.mark.parametrize("inside", [False, True])
def test_numbers_that_end_after_the_file(inside, tmp_path):
    """A place that an array names is one in its file: not after its end, and not in what follows it in an archive."""
    array, path = numbers(5, 3), tmp_path / "x.h5"
    with writing(path) as root:
        root.dataset("a", array)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        place = file["a"].id.get_offset()
    address = place.to_bytes(8, "little")
    assert whole.count(address) == 1
    for wrong, right in ((place, True), (len(whole) - array.nbytes + 1, False), (len(whole), False), (len(whole) + 40, False), (1 << 60, False)):
        content = whole.replace(address, wrong.to_bytes(8, "little"))
        if inside:
            with archive.writing(path) as add:
                add("x.h5", content)
                add("secret", b"s" * 4000)
        else:
            path.write_bytes(content)
        with contextlib.ExitStack() as stack:
            source = stack.enter_context(stack.enter_context(archive.reading(path))["x.h5"].open(1 << 20)) if inside else path
            if right:
                found = stack.enter_context(reading(source)).datasets["a"]
                np.testing.assert_array_equal(found.read(), array)
                continue
            for use in (hdf5.Dataset.read, hdf5.Dataset.check, lambda dataset: list(dataset.pieces())):
                with pytest.raises(CorruptFileError) as info, reading(source) as tree:
                    use(tree.datasets["a"])
                assert info.value.rule == "hdf5-damaged"


def test_pipes_and_folders(tmp_path):
    assert rule_of(tmp_path, UnsafePathError) == "file-kind"
    assert rule_of(tmp_path / "no.h5", CorruptFileError) == "file-missing"
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert rule_of(tmp_path / "pipe", UnsafePathError) == "file-kind"


def test_error_text(good):
    with h5py.File(good, "a") as file:
        file["evil"] = h5py.SoftLink("/layers")
    with pytest.raises(UnsafePathError) as info, reading(good):
        pass
    assert str(info.value) == (
        f"the file {str(good)!r} needs arrays that are in the file itself, got a soft link at /evil.\n  why: a file that is opened opens no other\n"
        "  fix: copy what it points at into the file, if you trust it\n  rule: hdf5-link"
    )


def test_a_write_that_fails_is_heard_of():
    class Full(io.BytesIO):
        def write(self, data):
            if self.tell() > 4000:
                raise OSError(28, "No space left on device")
            return super().write(data)

    with pytest.raises(OSError, match="No space left"), writing(Full()) as root:
        for i in range(20):
            root.dataset(str(i), numbers(40, 10))


def test_names_in_a_large_file_are_read_and_long_texts_named_often_are_not(good, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAX_TEXT", 1 << 20)  # of the texts in one attribute; the files are larger
    names = [f"block_{i}" for i in range(20)]
    with h5py.File(good, "a") as file:
        file["large"] = numbers(600, 1000)
        file["layers"].attrs["layer_names"] = [name.encode() for name in names]
        file.attrs["model_config"] = "x" * 900_000
    with reading(good) as tree:
        assert tree.find("layers").attributes["layer_names"] == names
        assert len(tree.attributes["model_config"]) == 900_000
    with h5py.File(good, "a") as file:
        file["layers"].attrs["layer_names"] = [b"y" * 400_000] * 3
    assert rule_of(good, ResourceLimitError) == "hdf5-attribute"
