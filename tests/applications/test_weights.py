# SPDX-License-Identifier: Apache-2.0
"""Trained weights: where the published files are, how they come here, what is said when they do not, and files of old layouts."""

import hashlib
import json
import pathlib
import subprocess
import sys

import h5py
import numpy as np
import pytest

import nyala
from nyala import applications
from nyala.applications import frame, imagenet_utils
from nyala.core.errors import ShapeError
from nyala.files.downloads import DownloadError
from nyala.initializers import VarianceScaling
from tests.golden.application_cases import GRAPHS, NETWORKS
from tests.golden.store import read
from tests.layers.tools import raises

SMALL = {"alpha": 0.25, "include_top": False, "input_shape": (128, 128, 3)}
FILE = "mobilenet_2_5_128_tf_no_top.h5"
ADDRESS = f"{frame.ORIGIN}tensorflow/keras-applications/mobilenet/{FILE}"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Nothing is there yet, and no mirror."""
    monkeypatch.setenv("NYALA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv(frame.MIRROR, raising=False)
    return tmp_path / "home"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder in the place of the network."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv(frame.MIRROR, str(folder))
    return folder


@pytest.fixture
def undrawn(monkeypatch):
    """Nobody may draw weights."""
    monkeypatch.setattr(VarianceScaling, "__call__", lambda *_, **__: pytest.fail("weights were drawn"))


def values(model):
    return np.concatenate([np.ravel(value) for value in model.get_weights()])


def test_every_network_has_files_with_and_without_the_top():
    files = {name[5:]: case["file"] for name, case in read("applications").items() if name.startswith("file/")}  # held against ours elsewhere
    for network in NETWORKS:
        with_top, without = files[f"trained/{network}"], files[f"features/{network}"]
        assert with_top[1] != without[1]
        assert [bool(with_top[2]), bool(without[2])] == 2 * [network not in ("MobileNet", "MobileNetV2")]  # of these no hash is published
    used = [tuple(files[name][:2]) for name in files if files[name]]
    names = {address.rpartition("/")[2] for _, address in used}
    assert len(names) == len({address for _, address in used})  # a mirror is one folder
    assert len({name for name, _ in used}) == len(names)
    assert all(address.startswith(frame.ORIGIN) for _, address in used)
    assert {GRAPHS[name][0] for name in files if name in GRAPHS and files[name]} == set(NETWORKS)


def test_weights_from_a_mirror_then_from_here(mirror, home, request):
    first = applications.MobileNet(weights=None, **SMALL)
    first.save_weights(mirror / FILE)
    request.getfixturevalue("undrawn")
    np.testing.assert_array_equal(values(applications.MobileNet(**SMALL)), values(first))
    (mirror / FILE).unlink()
    np.testing.assert_array_equal(values(applications.MobileNet(**SMALL)), values(first))
    assert (home / "models" / FILE).is_file()


def test_without_a_network_the_error_says_what_to_get(home, mirror, monkeypatch):
    with raises(
        DownloadError,
        f"The trained weights of mobilenet needs {FILE} from {mirror.resolve().as_uri()}/{FILE}, got no answer, or half of one: "
        f"[Errno 2] No such file or directory: {str(mirror.resolve() / FILE)!r}.\n"
        f"  fix: get {ADDRESS} where there is a network and put it at {str(home / 'models' / FILE)!r}, or into a folder that {frame.MIRROR} names",
    ):
        applications.MobileNet(**SMALL)
    monkeypatch.setenv(frame.MIRROR, "http://127.0.0.1:9/")
    with pytest.raises(DownloadError, match=f"needs {FILE} from http://127.0.0.1:9/{FILE}, got no answer") as caught:
        applications.MobileNet(**SMALL)
    assert f"fix: get {ADDRESS} where there is a network" in str(caught.value)


def test_another_file_is_refused(mirror, home):
    (mirror / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"not the weights")
    with pytest.raises(DownloadError, match=r"needs resnet50_weights_tf_dim_ordering_tf_kernels_notop\.h5 from") as caught:
        applications.ResNet50(include_top=False)
    assert "one of 15 bytes whose md5 is" in str(caught.value)
    assert not list((home / "models").glob("*.h5"))


def test_a_file_that_is_too_large_is_refused(mirror):
    with (mirror / FILE).open("wb") as file:
        file.truncate(18 << 20)  # five bytes for each of 218,544 weights, and 16 MiB
    with pytest.raises(DownloadError, match="got 18,874,368 or more"):
        applications.MobileNet(**SMALL)


def test_a_file_of_another_network_changes_nothing(tmp_path):
    applications.MobileNet(weights=None, alpha=0.5, input_shape=(32, 32, 3), include_top=False).save_weights(tmp_path / "half.h5")
    with pytest.raises(ShapeError, match=r"needs 1 arrays of shapes \[\(3, 3, 3, 8\)\] for layer 'conv1', got 1 of shapes \[\(3, 3, 3, 16\)\]"):
        applications.MobileNet(weights=tmp_path / "half.h5", **SMALL)


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".weights.h5", ".safetensors"])
def test_weights_from_a_path(suffix, tmp_path, request):
    arguments = {"alpha": 0.25, "input_shape": (32, 32, 3), "classes": 5}
    first = applications.MobileNet(weights=None, **arguments)
    first.save_weights(tmp_path / f"mine{suffix}")
    request.getfixturevalue("undrawn")
    for path in (tmp_path / f"mine{suffix}", str(tmp_path / f"mine{suffix}")):
        np.testing.assert_array_equal(values(applications.MobileNet(weights=path, **arguments)), values(first))


def write_layers(path, layers, version=None):
    """A file of weights as h5py wrote it for Keras 1 and 2: a group for each layer, names of groups and arrays in attributes."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in layers]
        if version:
            file.attrs["keras_version"], file.attrs["backend"] = version, b"tensorflow"
        for name, arrays in layers:
            group = file.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key, _ in arrays]
            for key, array in arrays:
                group[key] = array


def test_files_without_a_version_of_keras(tmp_path):
    """As the files of VGG16: of Keras 1, which put nothing but names beside its arrays, in the order of the layers."""
    first = applications.VGG16(weights=None, include_top=False)
    layers = []
    for number, layer in enumerate(first.layers):
        arrays = zip((f"convolution2d_{number}_W:0", f"convolution2d_{number}_b:0"), layer.get_weights(), strict=False)
        layers.append((f"layer_{number}", list(arrays)))
    write_layers(tmp_path / "vgg.h5", layers)
    np.testing.assert_array_equal(values(applications.VGG16(weights=tmp_path / "vgg.h5", include_top=False)), values(first))


def test_files_go_by_order_whatever_layers_are_called(tmp_path):
    """As the files of InceptionV3, where names count on: those of the model depend on what was built before it."""
    nyala.utils.clear_session()
    first = applications.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3))
    numbers: dict[str, int] = {}
    layers = []
    for layer in first.layers:
        kind = layer.name.rstrip("0123456789_") if layer.name.startswith(("conv2d", "batch_norm")) else layer.name
        numbers[kind] = numbers.get(kind, 0) + 1
        name = f"{kind}_{numbers[kind] + 500}" if kind != layer.name else kind
        layers.append((name, [(f"{name}/{weight.name}:0", weight.numpy()) for weight in layer.weights]))
    write_layers(tmp_path / "inception.h5", layers, b"2.0.4")
    again = applications.InceptionV3(weights=tmp_path / "inception.h5", include_top=False, input_shape=(75, 75, 3))
    assert again.layers[1].name != first.layers[1].name
    np.testing.assert_array_equal(values(again), values(first))


def test_many_names_in_a_large_file(tmp_path):
    """As today's h5py writes: names as texts of any length, each of which could be as long as the file."""
    first = applications.MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3))
    write_layers(tmp_path / "names.h5", [(layer.name, [(w.path, w.numpy()) for w in layer.weights]) for layer in first.layers], b"2.15.0")
    with h5py.File(tmp_path / "names.h5", "a") as file:
        names = [layer.name for layer in first.layers]
        file.attrs.create("layer_names", names, dtype=h5py.string_dtype())
    assert len(names) * (tmp_path / "names.h5").stat().st_size > 1 << 30
    again = applications.MobileNet(weights=tmp_path / "names.h5", include_top=False, input_shape=(32, 32, 3))
    np.testing.assert_array_equal(values(again), values(first))


def test_nested_layers(tmp_path):
    """As the files of ConvNeXt: a group for each inner model, with the arrays of its layers."""
    first = applications.ConvNeXtTiny(weights=None, include_top=False, input_shape=(32, 32, 3))
    first.save_weights(tmp_path / "convnext.h5")
    with h5py.File(tmp_path / "convnext.h5") as file:
        assert len(file["convnext_tiny_stem"].attrs["weight_names"]) == 4
    again = applications.ConvNeXtTiny(weights=tmp_path / "convnext.h5", include_top=False, input_shape=(32, 32, 3))
    np.testing.assert_array_equal(values(again), values(first))


def test_decode_predictions_gets_the_names(mirror, home, monkeypatch):
    words = {str(i): [f"n{i:08d}", f"class {i}"] for i in range(1000)}
    index = mirror / "imagenet_class_index.json"
    index.write_text(json.dumps(words), encoding="utf-8")
    with pytest.raises(DownloadError, match=r"decode_predictions needs imagenet_class_index.json \(35,363 bytes\) from"):
        imagenet_utils.decode_predictions(np.eye(1000)[:1])  # it is not the published one
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX_MD5", hashlib.md5(index.read_bytes()).hexdigest())
    assert imagenet_utils.decode_predictions(np.eye(1000)[[7]], top=1) == [[("n00000007", "class 7", 1.0)]]
    assert (home / "models" / index.name).is_file()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_a_network_is_built_within_its_weights(tmp_path):
    """EfficientNetB7 takes the memory of its 66,658,687 weights, and little beside."""
    code = """
import nyala
def resident(field):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field)) / 1024
nyala.applications.MobileNet(weights=None, input_shape=(32, 32, 3), alpha=0.25)
before = resident("VmRSS")
model = nyala.applications.EfficientNetB7(weights=None)
print(model.count_params(), before, resident("VmRSS"), resident("VmHWM"))
"""
    root = str(pathlib.Path(nyala.__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", cwd=root)
    assert done.returncode == 0, done.stderr
    count, before, after, peak = map(float, done.stdout.split())
    assert count == 66_658_687
    weights = 4 * count / 2**20
    assert after - before < weights + 60
    assert peak - before < weights + 80
