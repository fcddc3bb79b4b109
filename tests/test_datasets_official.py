# SPDX-License-Identifier: Apache-2.0
"""The data sets of other servers: equal to Keras on small files in the true formats; hostile files; downloads, mirrors, no network."""

import contextlib
import functools
import hashlib
import http.server
import importlib
import io
import os
import pathlib
import pickle
import struct
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import nyala
from nyala import datasets
from nyala.core.errors import ArgumentError, ArgumentTypeError
from nyala.datasets import official, plain_pickles
from nyala.files.downloads import DownloadError
from nyala.files.errors import CorruptFileError, FileError, UnsafeFileError
from tests.golden import dataset_cases as cases
from tests.golden import store
from tests.training.tools import raises

NAMES = [name for name in official.SETS if name != "digits"]


@pytest.fixture(scope="module")
def server_files(tmp_path_factory):
    """A folder with every official file, small."""
    folder = tmp_path_factory.mktemp("server")
    cases.write_all(folder)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NYALA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(official.MIRROR, raising=False)
    return tmp_path / "home"


def rehash(monkeypatch, folder):
    """The table with the hashes of the files of a folder."""
    for name, entry in official.SETS.items():
        digests = [hashlib.sha256((folder / file.name).read_bytes()).hexdigest() for file in entry.files]
        files = tuple(file._replace(digest=digest) for file, digest in zip(entry.files, digests, strict=True))
        monkeypatch.setitem(official.SETS, name, entry._replace(files=files))


@pytest.fixture
def mirror(server_files, home, monkeypatch):
    """The small files as the official ones, in a folder that the environment names."""
    rehash(monkeypatch, server_files)
    monkeypatch.setenv(official.MIRROR, str(server_files))
    return server_files


@pytest.fixture
def poison(tmp_path, home, monkeypatch):
    """A function that makes bytes the file of a data set, with the right hash: what remains if a server itself is evil."""

    def put(name, content):
        (tmp_path / "evil").mkdir(exist_ok=True)
        entry = official.SETS[name]
        (tmp_path / "evil" / entry.files[0].name).write_bytes(content)
        first = entry.files[0]._replace(digest=hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(official.SETS, name, entry._replace(files=(first, *entry.files[1:])))
        monkeypatch.setenv(official.MIRROR, str(tmp_path / "evil"))
        return importlib.import_module(f"nyala.datasets.{name}").load_data

    return put


# Equal to Keras


@functools.cache
def golden():
    return store.read("datasets")


@pytest.mark.parametrize(("name", "options"), cases.CASES, ids=[cases.label(*case) for case in cases.CASES])
def test_arrays_orders_and_splits_are_those_of_keras(name, options, mirror):
    (x_train, y_train), (x_test, y_test) = getattr(datasets, name).load_data(**options)
    found = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    for key, expected in golden()[cases.label(name, options)].items():
        if isinstance(expected, list):
            assert found[key].dtype == object
            assert [list(row) for row in found[key]] == expected
        else:
            assert found[key].dtype == expected.dtype
            assert found[key].flags.writeable
            np.testing.assert_array_equal(found[key], expected)


def test_cifar10_joins_its_five_batches(mirror):
    (x_train, y_train), (x_test, y_test) = datasets.cifar10.load_data()
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == ((15, 32, 32, 3), (15, 1), (3, 32, 32, 3), (3, 1))
    assert {a.dtype for a in (x_train, y_train, x_test, y_test)} == {np.dtype("uint8")}
    folder = pathlib.Path(os.environ["NYALA_HOME"], "datasets", "cifar-10-python_extracted", "cifar-10-batches-py")
    third = plain_pickles.read((folder / "data_batch_3").read_bytes(), "a batch")
    assert third["batch_label"] == b"data_batch_3"
    np.testing.assert_array_equal(x_train[6:9], third["data"].reshape(3, 3, 32, 32).transpose(0, 2, 3, 1))
    assert y_train[6:9, 0].tolist() == third["labels"]


def test_channels_come_first_if_they_should(mirror):
    last = datasets.cifar100.load_data()[0][0]
    nyala.config.set_image_data_format("channels_first")
    try:
        np.testing.assert_array_equal(datasets.cifar100.load_data()[0][0], last.transpose(0, 3, 1, 2))
    finally:
        nyala.config.set_image_data_format("channels_last")


def test_splits_leave_the_global_random_state_alone(mirror):
    np.random.seed(4)
    expected = np.random.RandomState(4).random()
    datasets.boston_housing.load_data()
    datasets.imdb.load_data()
    assert np.random.random() == expected


def test_words_and_topics(mirror):
    assert datasets.imdb.get_word_index() == {"the": 1, "film": 2, "séance": 3}
    assert datasets.reuters.get_word_index() == {"oil": 2, "mln": 1}
    names = datasets.reuters.get_label_names()
    assert len(names) == len(set(names)) == 46
    assert (names[0], names[3], names[19], names[45]) == ("cocoa", "earn", "money-fx", "lead")


REFUSED = [
    ("cifar100", {"label_mode": "fin"}, "(label_mode) needs one of 'fine', 'coarse', got 'fin'.\n  fix: did you mean 'fine'?"),
    ("california_housing", {"version": "larg"}, "(version) needs one of 'small', 'large', got 'larg'.\n  fix: did you mean 'large'?"),
    ("boston_housing", {"test_split": 1.0}, "(test_split) needs a number from 0 to below 1, got 1.0.\n  why: some rows are to train on"),
    ("boston_housing", {"seed": -1}, "(seed) needs an integer from 0 to 2**32 - 1, or None, got -1."),
    ("reuters", {"test_split": -0.5}, "(test_split) needs a number from 0 to 1, got -0.5."),
    ("imdb", {"num_words": 2.5}, "(num_words) needs an integer from 0, or None, got 2.5."),
    ("imdb", {"skip_top": None}, "(skip_top) needs an integer from 0, got None."),
    ("imdb", {"maxlen": 1}, "(maxlen) needs a length that some texts stay below, got 1.\n  fix: take a larger one, or None"),
]


@pytest.mark.parametrize(("name", "options", "text"), REFUSED, ids=[cases.label(*row[:2]) for row in REFUSED])
def test_arguments_that_cannot_be_are_refused(name, options, text, mirror):
    with raises(ArgumentError, f"{name}.load_data{text}"):
        getattr(datasets, name).load_data(**options)


def test_unknown_arguments_are_refused(mirror):
    with raises(ArgumentTypeError, "imdb.load_data needs arguments that it knows, got 'words'."):
        datasets.imdb.load_data(words=3)


def test_the_old_name_of_num_words(mirror):
    assert [*datasets.imdb.load_data(nb_words=9)[0][0]] == [*datasets.imdb.load_data(num_words=9)[0][0]]


# Pickles


class Marker:
    """Runs when it is unpickled."""

    def __reduce__(self):
        return exec, ("import sys; sys.modules['the_marker'] = sys",)


def with_marker(protocol, value):
    rows = np.empty(2, object)
    rows[:] = [[1, 2], value]
    return pickle.dumps(rows, protocol)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_pickles_of_today_are_read_too(protocol):
    words = cases.np_objects([[1, 300, 70_000, -4, 1 << 40], [], [*range(250, 1251)]])  # 1001: the last one is appended alone
    data = np.arange(12, dtype=">i4").reshape(3, 4)
    for value in (words, data, data[:, ::2].astype("f8"), np.asfortranarray(data)):
        content = pickle.dumps(value, protocol)
        if b"_codecs" in content:  # bytes in protocol 2
            with pytest.raises(UnsafeFileError, match=r"the name '_codecs\.encode'"):
                plain_pickles.read(content, "a file")
            continue
        found = plain_pickles.read(content, "a file")
        assert found.dtype == value.dtype
        assert found.tolist() == value.tolist()
    content = pickle.dumps({"data": data, "labels": [1, 2], "name": "x", "more": (True, None)}, protocol)
    if protocol > 2:
        found = plain_pickles.read(content, "a file")
        assert found.pop("data").tolist() == data.tolist()
        assert found == {"labels": [1, 2], "name": "x", "more": (True, None)}


ARRAY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
OBJECTS = b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
BYTES = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
HUGE = b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft"
HOSTILE = {
    "a call": b"\x80\x02cos\nsystem\nU\x04echo\x85R.",
    "a call by builtins": b"\x80\x02c__builtin__\neval\nU\x011\x85R.",
    "a stacked name": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04echo\x85R.",
    "names of NumPy": b"\x80\x02cnumpy\nload\nU\x01x\x85R.",
    "a dtype called on a name": b"\x80\x02cnumpy\ndtype\ncnumpy\nndarray\nK\x00K\x01\x87R.",
    "an array called as a class": b"\x80\x02cnumpy\nndarray\nK\x05\x85\x85R.",
    "a dtype of a class": b"\x80\x02cnumpy\ndtype\nU\x02V8K\x00K\x01\x87R.",
    "NEWOBJ": b"\x80\x02cnumpy\nndarray\n)\x81.",
    "INST": b"\x80\x02(ios\nsystem\n.",
    "OBJ": b"\x80\x02(cnumpy\nndarray\no.",
    "an extension": b"\x80\x02\x82\x01.",
    "a persistent id": b"\x80\x02Px\n.",
    "protocol 5 buffers": b"\x80\x05\x97.",
    "protocol 0": b"I5\n.",
    "a long integer": b"\x80\x02\x8b\xff\xff\xff\x7f.",
    "an integer of 9 bytes": b"\x80\x02\x8a\x09123456789.",
    "a state for a list": b"\x80\x02]}b.",
    "a state twice": b"\x80\x02" + BYTES + b"(K\x03U\x01|NNNtb.",
    "objects in an array": b"\x80\x02" + ARRAY + b"(K\x01K\x02\x85" + OBJECTS + b"\x89](U\x01aU\x01be" + b"tb.",
    "strings in its lists": b"\x80\x02" + ARRAY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89](](U\x01aee" + b"tb.",
    "one list a thousand times": b"\x80\x02" + ARRAY + b"(K\x01M\xe8\x03\x85" + OBJECTS + b"\x89](](" + b"K\x01" * 999 + b"eq\x01" + b"h\x01" * 999
    + b"etb.",
}  # fmt: skip
DAMAGED = {
    "nothing": b"",
    "no end": b"\x80\x02]",
    "more after the end": b"\x80\x02].]",
    "an empty stack": b"\x80\x02e.",
    "no mark": b"\x80\x02]K\x01K\x02e.",
    "a number never kept": b"\x80\x02h\x07.",
    "a string longer than the file": b"\x80\x02T\xff\xff\xff\x7fx.",
    "a string of negative length": b"\x80\x02T\xff\xff\xff\xffx.",
    "a list as a key": b"\x80\x02}]]s.",
    "half a pair": b"\x80\x02}(U\x01au.",
    "items for an integer": b"\x80\x02K\x01(K\x02e.",
    "an array that is never filled": b"\x80\x02" + ARRAY + b".",
    "an array in itself": b"\x80\x02" + ARRAY + b"q\x01(K\x01K\x00\x85h\x01\x89]tb.",
    "a huge shape": b"\x80\x02" + ARRAY + b"(K\x01" + HUGE + BYTES + b"\x89U\x01xtb.",
    "a huge shape of objects": b"\x80\x02" + ARRAY + b"(K\x01J\xff\xff\xff\x7f\x85" + OBJECTS + b"\x89]tb.",
    "a name without an end": b"\x80\x02cnumpy",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_pickle_is_refused(name):
    with pytest.raises(UnsafeFileError) as info:
        plain_pickles.read(HOSTILE[name], "the file")
    assert info.value.rule == "pickle-instruction"


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_pickle_is_refused(name):
    tracemalloc.start()
    with pytest.raises(CorruptFileError) as info:
        plain_pickles.read(DAMAGED[name], "the file")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert info.value.rule == "pickle-data"
    assert peak < 1 << 20


def test_what_a_refusal_says():
    with raises(
        UnsafeFileError,
        "the file needs plain arrays and lists, got the name 'os.system' at byte 13.\n"
        "  why: a pickle can run any code; only what data need is read here\n"
        "  fix: remove the file and load again\n  rule: pickle-instruction",
    ):
        plain_pickles.read(HOSTILE["a call"], "the file")


def test_a_file_that_is_cut_off_or_changed_anywhere_never_does_anything_else():
    content = cases.pickle_2({"labels": [1, 300, 70_000], "data": np.arange(7, dtype="uint8"), "rows": cases.np_objects([[1], [2, 3]])})
    assert plain_pickles.read(content, "it")["rows"].tolist() == [[1], [2, 3]]
    for i in range(len(content)):
        with pytest.raises(FileError):
            plain_pickles.read(content[:i], "it")
        for byte in (0, 0x28, 0x4A, 0x52, 0x62, 0x80, 0x93, 0xFF):
            with contextlib.suppress(FileError):
                plain_pickles.read(content[:i] + bytes([byte]) + content[i + 1 :], "it")


def test_nothing_that_a_data_set_holds_is_run(poison, tmp_path, monkeypatch):
    """A __reduce__ marker wherever a pickle can be: it would put a module under its name."""
    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, None)
    rows = cases.np_objects([[1], [2]])
    for protocol in (2, 4):
        hidden = cases.npy(rows, with_marker(protocol, Marker()))
        names = ("x_train", "y_train", "x_test", "y_test")
        for array in (hidden, cases.npy(rows, pickle.dumps(Marker(), protocol))):
            for name, members in (
                ("imdb", names),
                ("reuters", ("x", "y")),
                ("mnist", names),
                ("boston_housing", ("x", "y")),
                ("california_housing", ("x", "y")),
            ):
                load = poison(name, zipped(dict.fromkeys(members, array)))
                with pytest.raises(FileError):
                    load()
        for name, member in (("cifar10", "cifar-10-batches-py/data_batch_1"), ("cifar100", "cifar-100-python/train")):
            cases.write_tar(tmp_path / "x.tar.gz", {member: pickle.dumps({"data": Marker(), "labels": [1]}, protocol)})
            with pytest.raises(UnsafeFileError, match="pickle-instruction"):
                poison(name, (tmp_path / "x.tar.gz").read_bytes())()
    assert "the_marker" not in sys.modules
    monkeypatch.undo()
    pickle.loads(pickle.dumps(Marker()))
    assert sys.modules.pop("the_marker") is sys  # the marker does mark


def zipped(members):
    import zipfile

    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


# Other hostile files


def header(text):
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text)) + text.encode()


BOMBS = {
    "2 to the 50 rows": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1125899906842624, 13), }\n"),
    "rows below none": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 13), }\n"),
    "10 MB of header": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1, 13), }" + " " * 10_000_000 + "\n"),
    "a header that is code": header("__import__('sys').modules.__setitem__('the_marker', 1)\n"),
    "strings": header("{'descr': '<U4', 'fortran_order': False, 'shape': (1,), }\n") + b"\0" * 16,
    "no array": b"text",
}


@pytest.mark.parametrize("name", BOMBS)
def test_headers_are_refused_before_memory_is_taken(name, poison):
    for dataset, members in (("boston_housing", ("x", "y")), ("reuters", ("x", "y"))):
        load = poison(dataset, zipped(dict.fromkeys(members, BOMBS[name])))
        tracemalloc.start()
        with pytest.raises(CorruptFileError):
            load()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 64 << 20
    assert "the_marker" not in sys.modules


def test_a_table_of_another_shape_says_so(poison, home):
    load = poison("boston_housing", zipped({"x": cases.plain_npy(np.ones((5, 12))), "y": cases.plain_npy(np.ones(5))}))
    path = str(home / "datasets" / "boston_housing.npz")
    with raises(
        CorruptFileError,
        f"boston_housing.load_data needs an array 'x' of shape (n, 13) in {path!r}, got shape (5, 12).\n"
        "  fix: remove the file and load again\n  rule: dataset-shape",
    ):
        load()
    with pytest.raises(CorruptFileError, match="as many labels as rows"):
        poison("boston_housing", zipped({"x": cases.plain_npy(np.ones((5, 13))), "y": cases.plain_npy(np.ones(4))}))()
    with pytest.raises(CorruptFileError, match=r"'y' of shape .* got none"):
        poison("boston_housing", zipped({"x": cases.plain_npy(np.ones((5, 13)))}))()
    whole = zipped({"x": cases.plain_npy(np.ones((5, 13))), "y": cases.plain_npy(np.ones(5))})
    with pytest.raises(CorruptFileError):
        poison("boston_housing", whole[:-30])()


@pytest.mark.parametrize("damage", ["kind", "rows", "cut", "bomb", "text"])
def test_idx_files_that_lie(damage, poison, tmp_path):
    import gzip

    content = struct.pack(">4I", 0x803, 3, 28, 28) + bytes(3 * 784)
    content = {
        "kind": b"\0\0\x0b" + content[3:], "rows": content.replace(b"\0\0\0\3\0\0\0\x1c", b"\x7f\xff\xff\xff\0\0\0\x1c", 1),
        "bomb": content + bytes(100 << 20),
    }.get(damage, content)  # fmt: skip
    packed = {"text": b"<html>", "cut": gzip.compress(content)[:-20]}.get(damage) or gzip.compress(content, 1)
    with pytest.raises(CorruptFileError, match="a gzipped IDX file of bytes"):
        poison("fashion_mnist", packed)
        from nyala.datasets.fashion_mnist import _read_idx

        _read_idx(str(tmp_path / "evil" / "train-images-idx3-ubyte.gz"), (28, 28))


# Downloads


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def address(server_files, home, monkeypatch):
    """The small files on a server of this machine; the table has their hashes and its address."""
    rehash(monkeypatch, server_files)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=str(server_files))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_every_data_set_is_got_once_and_then_needs_no_network(address, home, monkeypatch, capsys):
    monkeypatch.setenv(official.MIRROR, address)
    assert [name for name, row in datasets.info().items() if row.cached] == ["digits"]
    for name in NAMES:
        getattr(datasets, name).load_data()
    datasets.imdb.get_word_index()
    datasets.reuters.get_word_index()
    assert capsys.readouterr().out.count("Downloading") == sum(len(entry.files) for entry in official.SETS.values())
    assert all(row.cached for row in datasets.info().values())
    monkeypatch.setenv(official.MIRROR, "http://127.0.0.1:9/")
    for name in NAMES:
        getattr(datasets, name).load_data()
    assert not capsys.readouterr().out


def test_a_wrong_hash_keeps_nothing(address, home, monkeypatch):
    entry = official.SETS["mnist"]
    monkeypatch.setitem(official.SETS, "mnist", entry._replace(files=(entry.files[0]._replace(digest="a" * 64),)))
    monkeypatch.setenv(official.MIRROR, address)
    with pytest.raises(DownloadError, match=r"got one of .* bytes whose sha256 is") as info:
        datasets.mnist.load_data()
    assert "damaged on the way" in str(info.value)
    assert not [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_without_a_network_the_error_says_what_to_put_where(home, monkeypatch):
    closed = official.File("http://127.0.0.1:9/mnist.npz", "b" * 64, 11_490_434)
    monkeypatch.setitem(official.SETS, "mnist", official.SETS["mnist"]._replace(files=(closed,)))
    with pytest.raises(DownloadError) as info:
        datasets.mnist.load_data()
    text = str(info.value)
    assert text.startswith(
        "The data set 'mnist' needs mnist.npz (11,490,434 bytes) from http://127.0.0.1:9/mnist.npz, got no answer, or half of one: "
    )
    assert text.endswith(
        f"  fix: get http://127.0.0.1:9/mnist.npz where there is a network and put it at {str(home / 'datasets' / 'mnist.npz')!r}, "
        "or into a folder that NYALA_DATASETS_MIRROR names"
    )


def test_a_file_put_there_by_hand_is_taken(server_files, home, monkeypatch):
    rehash(monkeypatch, server_files)
    (home / "datasets").mkdir(parents=True)
    (home / "datasets" / "reuters.npz").write_bytes((server_files / "reuters.npz").read_bytes())
    assert len(datasets.reuters.load_data(test_split=0)[0][0]) == 29


def test_path_names_the_file_or_its_place(mirror, home, tmp_path):
    first = datasets.mnist.load_data("other.npz")
    assert (home / "datasets" / "other.npz").is_file()
    second = datasets.mnist.load_data(str(tmp_path / "mine" / "m.npz"))
    assert (tmp_path / "mine" / "m.npz").is_file()
    np.testing.assert_array_equal(first[0][0], second[0][0])


def test_a_mirror_that_is_not_there(home, monkeypatch, tmp_path):
    monkeypatch.setenv(official.MIRROR, str(tmp_path / "nowhere"))
    nowhere = repr(str(tmp_path / "nowhere"))
    need = "NYALA_DATASETS_MIRROR needs a folder, or an address that begins with https://"
    with raises(ArgumentError, f"{need}, got {nowhere}.\n  fix: correct it, or unset it"):
        datasets.mnist.load_data()
    monkeypatch.setenv(official.MIRROR, str(tmp_path))
    with pytest.raises(DownloadError, match=r"needs mnist\.npz .* from file:"):
        datasets.mnist.load_data()


def test_the_table_is_whole(home):
    assert sorted(datasets.info()) == sorted(set(dir(datasets)) - {"info"})
    for entry in official.SETS.values():
        for file in entry.files:
            assert file.origin.startswith("https://")
            assert len(file.digest) == (32 if file.name.endswith(".json") else 64)
    text = repr(datasets.info()).splitlines()
    assert len(text) == 10
    assert "cifar10             170.5 MB  no    60,000 colour images of 10 kinds, 32x32" in repr(datasets.info())
