# SPDX-License-Identifier: Apache-2.0
"""Weights in .npz files: bit for bit on every engine, all or nothing, and never anything but numbers."""

import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ShapeError
from nyala.files.errors import CorruptFileError, FileError, UnsafePathError, WeightsMismatchError
from nyala.files.npz import write_npz
from nyala.testing import installed_engines
from tests.training.tools import linear, numbers, raises


def model_of(dtype="float32", units=3):
    return nyala.Sequential(
        [nyala.Input((5,)), layers.Dense(units, name="a", dtype=dtype), layers.BatchNormalization(name="b"), layers.Dense(2, name="c")], name="m"
    )


def filled(model, seed=0):
    model.set_weights([np.abs(numbers(*w.shape, seed=seed + i)) for i, w in enumerate(model.weights)])
    return model


def same_bits(a, b):
    for x, y in zip(a.weights, b.weights, strict=True):
        x, y = x.numpy(), y.numpy()
        assert x.dtype == y.dtype
        assert x.tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_round_trip(dtype, tmp_path):
    model = filled(model_of(dtype))
    model.save_weights(tmp_path / "w.npz")
    other = model_of(dtype)
    other.load_weights(str(tmp_path / "w.npz"))
    same_bits(model, other)
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


def test_float8_is_kept_bit_for_bit(tmp_path):
    layer = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, use_bias=False)])
    for dtype in ("float8_e4m3fn", "float8_e5m2"):
        layer.layers[0].kernel = nyala.Variable(numbers(5, 3), dtype=dtype, name="kernel")
        layer.layers[0]._weights = [layer.layers[0].kernel]
        before = layer.weights[0].numpy()
        layer.save_weights(tmp_path / "w.npz")
        layer.weights[0].assign(np.zeros((5, 3), "float32"))
        layer.load_weights(tmp_path / "w.npz")
        assert layer.weights[0].numpy().tobytes() == before.tobytes()


def test_files_of_one_engine_are_read_on_another(tmp_path):
    saved = filled(model_of())
    for engine in installed_engines():
        with nyala.backend(engine.name):
            saved.predict(numbers(2, 5))
            saved.save_weights(tmp_path / "w.npz")
            other = model_of()
            other.load_weights(tmp_path / "w.npz")
            other.predict(numbers(2, 5))
        same_bits(saved, other)


def test_numbers_can_be_read_with_numpy_alone(tmp_path):
    model = filled(model_of())
    model.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert file.files[:2] == ["0:m/a/kernel:float32", "1:m/a/bias:float32"]
        np.testing.assert_array_equal(file[file.files[0]], model.get_weights()[0])


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".weights.h5", ".weights.json", ".anything", ""])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_format(suffix, dtype, tmp_path):
    """Bit for bit, whatever the suffix; what is not known by its suffix is HDF5."""
    path = tmp_path / f"w{suffix}"
    model = filled(model_of(dtype))
    model.save_weights(path, max_shard_size=1e-7 if suffix == ".weights.json" else None)
    other = model_of(dtype)
    other.load_weights(path)
    same_bits(model, other)
    with pytest.raises(ArgumentError, match="needs a path where no file is"):
        model.save_weights(path, overwrite=False)


@pytest.mark.parametrize("suffix", [".safetensors", ".weights.h5", ".weights.json"])
def test_formats_with_names_are_all_or_nothing(suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    filled(model_of()).save_weights(path)
    wider = filled(model_of(units=4), seed=50)
    before = wider.get_weights()
    with pytest.raises(ShapeError) as info:
        wider.load_weights(path)
    lines = str(info.value).splitlines()
    assert lines[0].startswith(
        f"load_weights({str(path)!r}) needs the weights of the model, each of its shape, got 1 loaded, 7 mismatched ('m/a/kernel' has "
    )
    assert lines[1] == "  why: the first difference: 'm/a/kernel' has shape (5, 4), the file has (5, 3) at 'layers/dense'"
    for a, b in zip(before, wider.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match="not everything fits, and what does not was left alone: 1 loaded, 7 mismatched"):
        report = wider.load_weights(path, skip_mismatch=True)
    assert report.loaded == ["m/c/bias"]
    assert len(report.mismatched) == 7
    longer = nyala.Sequential([nyala.Input((5,)), layers.Dense(3), layers.BatchNormalization(), layers.Dense(2), layers.Dense(2)], name="m")
    with pytest.raises(FileError, match=r"8 loaded, 2 missing \('m/dense\w*/kernel' of shape \(2, 2\), at 'layers/dense_2'"):
        longer.load_weights(path)
    shorter = nyala.Sequential([nyala.Input((5,)), layers.Dense(3), layers.BatchNormalization()], name="m")
    with pytest.raises(FileError, match="6 loaded, 1 unexpected \\('layers/dense_1' with shapes"):
        shorter.load_weights(path)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".weights.h5", ".weights.json"])
def test_every_flipped_bit_of_a_number_is_seen(suffix, tmp_path):
    path = tmp_path / f"w{suffix}"
    model = filled(model_of())
    model.save_weights(path)
    before = model.get_weights()
    other = filled(model_of(), seed=50)
    kept = other.get_weights()
    for kernel in (before[0].tobytes(), before[-2].tobytes()):  # that of the last layer is seen before the first is set
        place = next(p for p in tmp_path.iterdir() if kernel in p.read_bytes())
        whole = place.read_bytes()
        for i in (0, 17, len(kernel) - 1):
            damaged = bytearray(whole)
            damaged[whole.index(kernel) + i] ^= 4
            place.write_bytes(bytes(damaged))
            with pytest.raises(CorruptFileError):
                other.load_weights(path)
        place.write_bytes(whole)
    for a, b in zip(kept, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    other.load_weights(path)
    for a, b in zip(before, other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_optimizer_goes_along(tmp_path):
    model = model_of()
    model.compile("adam", "mse")
    model.train_on_batch(numbers(4, 5), numbers(4, 2))
    model.save_weights(tmp_path / "w.weights.h5")
    other = model_of()
    other.compile("adam", "mse")
    other.load_weights(tmp_path / "w.weights.h5")
    for one, two in zip(model.optimizer.variables, other.optimizer.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    plain = model_of()
    plain.load_weights(tmp_path / "w.weights.h5")
    same_bits(model, plain)


def test_weights_wait_for_layers_that_are_not_built(tmp_path):
    model = filled(model_of())
    model.save_weights(tmp_path / "w.weights.h5")
    late = nyala.Sequential([layers.Dense(3), layers.BatchNormalization(), layers.Dense(2)])
    late.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(late.predict(numbers(2, 5), verbose=0), model.predict(numbers(2, 5), verbose=0))


def test_shards(tmp_path):
    import json

    path = tmp_path / "w.weights.json"
    model = filled(model_of())
    model.save_weights(tmp_path / "w.weights.h5", max_shard_size=1e-7)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["w.weights.json", "w_00000.weights.h5", "w_00001.weights.h5"]
    index = json.loads(path.read_text())
    assert index["metadata"]["total_size"] == 4 * sum(w.size for w in model.weights)
    assert index["weight_map"]["/layers/dense/vars"] == ["w_00000.weights.h5"]
    evil = [
        ("../w_00000.weights.h5", UnsafePathError),
        ("..", UnsafePathError),
        ("C:x.h5", UnsafePathError),
        ("a\\b.h5", UnsafePathError),
        (3, UnsafePathError),
    ]
    for name, kind in [*evil, ("missing.h5", CorruptFileError)]:
        path.write_text(json.dumps({**index, "weight_map": {**index["weight_map"], "/layers/dense/vars": [name]}}))
        with pytest.raises(kind):
            model.load_weights(path)
    with pytest.raises(ArgumentError, match=r"save_weights\(max_shard_size\) needs at least"):
        model.save_weights(path, max_shard_size=1e-9)


def test_all_or_nothing(tmp_path):
    path = tmp_path / "w.npz"
    filled(model_of()).save_weights(path)
    wider = filled(model_of(units=4), seed=50)
    before = wider.get_weights()
    with pytest.raises(ShapeError) as info:
        wider.load_weights(path)
    assert str(info.value).splitlines()[0].endswith("needs shape (5, 4) for 'm/a/kernel', got (5, 3), stored as 'm/a/kernel'.")
    assert str(info.value).endswith("\n  fix: no weight was changed\n  rule: weights-mismatch")
    for a, b in zip(before, wider.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.warns(UserWarning, match=r"what does not fit was left alone: 'm/a/kernel' has shape \(5, 4\), the file has \(5, 3\)"):
        wider.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(wider.get_weights()[0], before[0])
    np.testing.assert_array_equal(wider.get_weights()[-1], filled(model_of()).get_weights()[-1])


def test_refusals(tmp_path):
    path = tmp_path / "w.npz"
    shown = repr(str(path))
    model = linear()
    with raises(ArgumentError, f"load_weights({shown}) needs a file, got nothing at that path.\n  rule: file-missing"):
        model.load_weights(path)
    model.save_weights(path)
    text = f"save_weights(filepath) needs a path where no file is, got {path}.\n  fix: pass overwrite=True, or another path"
    with raises(ArgumentError, text):
        model.save_weights(path, overwrite=False)
    text = f"load_weights({shown}) needs 0 weights, got 2 in the file.\n  why: the model is not built yet"
    text += "\n  fix: use the architecture with which they were saved\n  rule: weights-mismatch"
    with raises(WeightsMismatchError, text):
        nyala.Sequential([layers.Dense(1)]).load_weights(path)
    text = (
        f"load_weights({shown}) needs 8 weights, got 2 in the file.\n  fix: use the architecture with which they were saved\n  rule: weights-mismatch"
    )
    with raises(WeightsMismatchError, text):
        model_of().load_weights(path)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


def test_files_that_are_not_weights(tmp_path, monkeypatch):
    """Cut off, empty, of another kind, or with objects inside: refused by name, and no code runs."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.npz"
    model = linear()
    model.save_weights(path)
    whole = path.read_bytes()
    before = model.get_weights()
    contents = [whole[: len(whole) // 2], b"", b"PK\x03\x04", b"not a zip at all", pickle.dumps(Evil()), whole[:60] + bytes(20) + whole[80:]]
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(FileError):
            model.load_weights(path)
    np.savez(path, **{"0:a:float32": np.array([Evil()], object), "1:b:float32": np.zeros(1)})
    with pytest.raises(CorruptFileError, match=r"needs an array of NumPy|needs an array of numbers"):
        model.load_weights(path)
    with path.open("wb") as file:
        np.save(file, np.zeros(3))  # one array, no archive
    with pytest.raises(CorruptFileError, match="needs a file of a model or of weights"):
        model.load_weights(path)
    np.savez(path, a=np.zeros((3, 1)), b=np.zeros(1))
    with pytest.raises(CorruptFileError, match="needs weights as save_weights writes them"):
        model.load_weights(path)
    assert not (tmp_path / "hacked").exists()
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.npz"
    linear().save_weights(path)
    old = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        linear().save_weights(path)
    monkeypatch.undo()
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["w.npz"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_files_have_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_npz(tmp_path / "w.npz", {"a": np.zeros(2)})
    assert (tmp_path / "w.npz").stat().st_mode == (tmp_path / "plain").stat().st_mode


PEAKS = """
import gc, json, pathlib, sys, tracemalloc
import numpy as np
import nyala
from nyala import layers

model = nyala.Sequential([nyala.Input((256,)), *(layers.Dense(256) for _ in range(32))])  # 8 MiB in arrays of 256 KiB
model(np.ones((1, 256), "float32"))  # on the engine
model.compile("adam")
model.optimizer.build(model.trainable_variables)  # 16 MiB more


def peak(call):
    call()  # what is imported or made once
    gc.collect()
    tracemalloc.start()
    call()
    largest = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return largest / 2**20


path = pathlib.Path(sys.argv[1])
save = model.save if path.suffix == ".keras" else model.save_weights
print(json.dumps([peak(lambda: save(path)), peak(lambda: model.load_weights(path))]))
"""


@pytest.mark.parametrize("suffix", [".weights.h5", ".weights.json", ".safetensors", ".npz", ".h5", ".keras"])
def test_one_array_at_a_time(suffix, tmp_path):
    """Neither saving nor loading holds a second copy of the model or of its optimizer. In a process of its own: other tests leave buffers behind."""
    done = subprocess.run([sys.executable, "-c", PEAKS, str(tmp_path / f"w{suffix}")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    saving, loading = json.loads(done.stdout.splitlines()[-1])
    assert saving < (1 if hasattr(os, "preadv") else 3)  # pieces of 256 KiB are looked at, or of a MiB
    assert loading < (8 if suffix in (".npz", ".h5") else 24) + 5  # the new ones; the old ones were there before


@pytest.mark.parametrize("suffix", [".weights.h5", ".safetensors", ".keras"])
def test_objects_to_skip_keep_what_they_have(suffix, tmp_path):
    path = tmp_path / f"x{suffix}"
    inner = model_of()
    source = filled(nyala.Sequential([nyala.Input((5,)), inner, layers.Dense(7, name="d")]))
    source.save_weights(path)
    target = filled(nyala.Sequential([nyala.Input((5,)), model_of(), layers.Dense(11, name="d")]), seed=20)  # d has another shape
    before, kept = target.get_weights(), target.layers[0].layers[0]
    target.load_weights(path, objects_to_skip=[kept, target.layers[1]])
    for i, (old, new, stored) in enumerate(zip(before, target.get_weights(), source.get_weights(), strict=True)):
        np.testing.assert_array_equal(new, old if i in (0, 1, 8, 9) else stored)
    nyala.saving.load_weights(target, path, objects_to_skip=[target.layers[1]])
    np.testing.assert_array_equal(kept.kernel, inner.layers[0].kernel)
    source.save_weights(tmp_path / "x.npz")
    text = f"load_weights({str(tmp_path / 'x.npz')!r}) needs no objects_to_skip for this file, got 1.\n  why: its arrays go by their order\n"
    with raises(ArgumentError, text + "  fix: save it as .weights.h5 first"):
        target.load_weights(tmp_path / "x.npz", objects_to_skip=[kept])
