# SPDX-License-Identifier: Apache-2.0
"""load_img, save_img, img_to_array, array_to_img, smart_resize; what happens without Pillow."""

import subprocess
import sys

import numpy as np
import pytest

from nyala import ops, preprocessing, utils
from nyala.core.errors import ArgumentError, ShapeError
from tests.training.tools import raises

Image = pytest.importorskip("PIL.Image")
PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3)).astype("uint8")


def test_a_file_there_and_back(tmp_path):
    utils.save_img(tmp_path / "x.png", PIXELS, scale=False)
    image = utils.load_img(tmp_path / "x.png")
    assert (image.mode, image.size) == ("RGB", (5, 7))
    array = utils.img_to_array(image)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, PIXELS)
    np.testing.assert_array_equal(utils.img_to_array(image, "channels_first", "uint8"), PIXELS.transpose(2, 0, 1))
    assert utils.img_to_array(utils.load_img(tmp_path / "x.png", "grayscale")).shape == (7, 5, 1)
    assert utils.img_to_array(utils.load_img(tmp_path / "x.png", "grayscale"), "channels_first").shape == (1, 7, 5)
    assert utils.img_to_array(utils.load_img(tmp_path / "x.png", "rgba")).shape == (7, 5, 4)
    with (tmp_path / "y").open("wb") as file:
        utils.save_img(file, PIXELS.transpose(2, 0, 1), "channels_first", "png", scale=False)
    with (tmp_path / "y").open("rb") as file:
        np.testing.assert_array_equal(np.asarray(utils.load_img(file)), PIXELS)


def test_sixteen_bits_stay_in_grayscale(tmp_path):
    wide = np.arange(12, dtype="uint16").reshape(3, 4) * 5000
    Image.fromarray(wide).save(tmp_path / "x.png")
    np.testing.assert_array_equal(utils.img_to_array(utils.load_img(tmp_path / "x.png", "grayscale"))[..., 0], wide)
    (tmp_path / "a").mkdir()
    Image.fromarray(wide).save(tmp_path / "a" / "x.png")
    ((x, _),) = utils.image_dataset_from_directory(tmp_path, image_size=(3, 4), verbose=False)
    np.testing.assert_array_equal(x[0, ..., 0], wide >> 8)


def test_sizes(tmp_path):
    utils.save_img(tmp_path / "x.png", PIXELS)
    assert utils.load_img(tmp_path / "x.png", target_size=(3, 4)).size == (4, 3)
    assert utils.load_img(tmp_path / "x.png", target_size=(7, 5)).size == (5, 7)
    cut = utils.load_img(tmp_path / "x.png", target_size=(5, 5), keep_aspect_ratio=True)
    np.testing.assert_array_equal(np.asarray(cut), np.asarray(utils.load_img(tmp_path / "x.png"))[1:6])


def test_values_are_scaled():
    x = np.array([[[-2.0], [0.0]], [[1.0], [3.0]]])
    assert np.asarray(utils.array_to_img(x)).tolist() == [[0, 102], [153, 255]]
    assert np.asarray(utils.array_to_img(np.full((2, 2, 1), 7.0), scale=False)).tolist() == [[7, 7], [7, 7]]
    assert np.asarray(utils.array_to_img(np.full((2, 2, 1), 7.0))).tolist() == [[0, 0], [0, 0]]
    assert utils.array_to_img(x * 1000, scale=False).mode == "I"
    assert utils.array_to_img(np.ones((2, 3, 4))).mode == "RGBA"


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.png"
    utils.save_img(path, PIXELS)
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        utils.save_img(path, PIXELS, pnginfo=3)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.png"]
    utils.save_img(tmp_path / "x.jpg", np.ones((2, 2, 4)))
    assert utils.load_img(tmp_path / "x.jpg", "rgb").size == (2, 2)


def test_smart_resize_cuts_the_middle():
    x = np.arange(60, dtype="float32").reshape(6, 10, 1)
    np.testing.assert_array_equal(preprocessing.image.smart_resize(x, (6, 6)), x[:, 2:8])
    np.testing.assert_array_equal(
        preprocessing.image.smart_resize(np.stack([x, x]), (3, 3), "area")[1], x[:, 2:8].reshape(3, 2, 3, 2, 1).mean((1, 3))
    )
    first = preprocessing.image.smart_resize(x.transpose(2, 0, 1), (6, 6), data_format="channels_first")
    np.testing.assert_array_equal(first, x[:, 2:8].transpose(2, 0, 1))
    tensor = preprocessing.image.smart_resize(ops.convert_to_tensor(x), (6, 6))
    assert not isinstance(tensor, np.ndarray)
    np.testing.assert_array_equal(ops.convert_to_numpy(tensor), x[:, 2:8])


def test_errors(tmp_path):
    with raises(ArgumentError, "load_img(color_mode) needs one of 'grayscale', 'rgb', 'rgba', got 'bgr'."):
        utils.load_img("x.png", "bgr")
    need = "one of 'nearest', 'bilinear', 'bicubic', 'hamming', 'box', 'lanczos'"
    with raises(ArgumentError, f"load_img(interpolation) needs {need}, got 'cubic'.\n  fix: did you mean 'bicubic'?"):
        utils.load_img("x.png", interpolation="cubic")
    with pytest.raises(FileNotFoundError):
        utils.load_img(tmp_path / "x.png")
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(ArgumentError, match=r"load_img\(path\) needs an image that can be read, got .*x\.png.*: cannot identify image file"):
        utils.load_img(tmp_path / "x.png")
    with raises(ShapeError, "img_to_array(img) needs an image of rank 2 or 3, got shape (3,)."):
        utils.img_to_array(np.ones(3))
    with raises(ShapeError, "array_to_img(x) needs an array of rank 3, got shape (2, 2)."):
        utils.array_to_img(np.ones((2, 2)))
    with raises(ShapeError, "array_to_img(x) needs 1, 3 or 4 channels, got shape (2, 2, 2)."):
        utils.array_to_img(np.ones((2, 2, 2)))
    with raises(ArgumentError, "save_img(file_format) needs a format that Pillow writes, such as 'png', got 'xyz'."):
        utils.save_img(tmp_path / "y.xyz", PIXELS)
    with raises(ArgumentError, "smart_resize(size) needs (height, width), got (3,)."):
        preprocessing.image.smart_resize(PIXELS, (3,))
    with raises(ShapeError, "smart_resize(x) needs images of rank 3 or 4, got shape (5, 3)."):
        preprocessing.image.smart_resize(PIXELS[0], (3, 3))


def test_without_pillow_an_error_says_what_to_install():
    code = "import sys; sys.modules['PIL'] = None\nfrom nyala import utils\ntry: utils.load_img('x')\nexcept ImportError as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "load_img needs the package 'PIL', which is not installed here.\n  fix: pip install 'nyala[image]'\n", done.stderr
