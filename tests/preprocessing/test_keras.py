# SPDX-License-Identifier: Apache-2.0
"""Data against recorded answers of Keras: folders, windows, splits, affine transforms, ImageDataGenerator, Tokenizer."""

import pathlib
import random

import numpy as np
import pytest

from nyala import preprocessing, utils
from nyala.preprocessing import image, sequence, text
from tests.golden.store import read

pytest.importorskip("PIL")
CASES = read("data_tools")
TEXTS = ["The cat sat, on the mat!", "The dog. sat\tdown The", ""]


def named(kind):
    names = [name for name in CASES if name.split("/")[0] == kind]
    return pytest.mark.parametrize("case", [CASES[name] for name in names], ids=names)


@named("image")
def test_images_of_a_folder(case, tmp_path):
    from PIL import Image

    (tmp_path / "a").mkdir()
    Image.fromarray(case["pixels"]).save(tmp_path / "a" / "x.png")
    data = utils.image_dataset_from_directory(tmp_path, image_size=tuple(case["size"]), verbose=False, batch_size=None, **case["arguments"])
    ((pixels, label),) = data
    assert (pixels.dtype, label.dtype, label) == (np.float32, np.int32, 0)
    loose = {"bicubic": 0.2, "gaussian": 2}  # Keras looks cubic weights up in a table of 1,024, and rounds where the Gauss kernel ends
    np.testing.assert_allclose(pixels, case["y"], atol=loose.get(case["arguments"].get("interpolation"), 1e-3))


@named("files")
def test_files_and_splits_of_a_folder(case, tmp_path):
    for label, count in (("b", 5), ("c", 4), ("a", 7)):
        (tmp_path / label / "sub").mkdir(parents=True)
        for i in range(count):
            utils.save_img(tmp_path / label / ("sub" if i == 2 else "") / f"{i}.png", np.zeros((2, 2, 1)))
    if not (tmp_path / "a" / "x.png").exists():
        utils.save_img(tmp_path / "a" / "x.png", np.zeros((2, 2, 1)))
    data = preprocessing.image_dataset_from_directory(tmp_path, verbose=False, **case["arguments"])
    assert data.class_names == case["class_names"]
    assert [pathlib.Path(path).relative_to(tmp_path).as_posix() for path in data.file_paths] == case["paths"]


@named("windows")
def test_windows(case):
    data = utils.timeseries_dataset_from_array(np.arange(23), case["targets"], **case["arguments"])
    got = [batch if isinstance(batch, tuple) else (batch,) for batch in data]
    assert len(got) == len(case["batches"]) == len(data)
    for batch, want in zip(got, case["batches"], strict=True):
        for part, wanted in zip(batch, want, strict=True):
            np.testing.assert_array_equal(part, wanted)


@named("split")
def test_splits(case):
    left, right = utils.split_dataset(np.arange(10), **case["arguments"])
    assert ([int(x) for x in left], [int(x) for x in right]) == (case["left"], case["right"])


@named("affine")
def test_affine_transforms(case):
    np.testing.assert_allclose(image.apply_affine_transform(case["x"], **case["arguments"]), case["y"], rtol=1e-5, atol=1e-4)


@named("brightness")
def test_brightness(case):
    np.testing.assert_allclose(image.apply_brightness_shift(case["x"], **case["arguments"]), case["y"], rtol=1e-5, atol=1e-5)


def test_random_transforms_draw_what_keras_draws():
    case = CASES["random"]
    axes = case["axes"]
    np.random.seed(5)
    y = image.random_zoom(image.random_shear(image.random_rotation(case["x"], 40, **axes), 30, **axes), (0.5, 1.5), **axes)
    y = image.random_brightness(image.random_channel_shift(y, 30, channel_axis=2), (0.5, 1.5))
    np.testing.assert_allclose(y, case["y"], atol=1.01)  # a rounding may move one of the 256 levels
    assert np.mean(np.abs(y - case["y"]) > 1e-3) < 0.02


@named("flow")
def test_flows_draw_what_keras_draws(case):
    flow = image.ImageDataGenerator(**case["arguments"]).flow(case["x"].copy(), np.arange(7), batch_size=3, seed=11)
    for images, labels in case["batches"]:
        x, y = next(flow)
        np.testing.assert_array_equal(y, labels)
        levels = 1 / 255 if case["arguments"].get("rescale") else 1
        np.testing.assert_allclose(x, images, atol=1.01 * levels)
        assert np.mean(np.abs(x - images) > 1e-3 * levels) < 0.02


@named("fit")
def test_normalizations_learnt_from_data(case):
    if "mean" in case:
        made = image.ImageDataGenerator(featurewise_center=True, rotation_range=20)
        made.fit(case["x"], augment=True, rounds=2, seed=4)
        np.testing.assert_allclose(made.mean, case["mean"], rtol=1e-5)
        return
    made = image.ImageDataGenerator(**case["arguments"])
    made.fit(case["x"].copy())
    np.testing.assert_allclose(next(made.flow(case["x"].copy(), batch_size=7, shuffle=False)), case["y"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("subset", ["training", "validation"])
def test_subsets_of_arrays(subset):
    case = CASES[f"subset/{subset}"]
    flow = image.ImageDataGenerator(validation_split=0.34).flow(case["x"], np.arange(7) % 2, batch_size=9, shuffle=False, subset=subset)
    assert flow[0][1].tolist() == case["y"].tolist()


def test_sampling_table():
    np.testing.assert_allclose(sequence.make_sampling_table(11), CASES["table"]["y"], rtol=1e-6)


@named("skipgrams")
def test_skipgrams(case):
    random.seed(3)
    pairs, labels = sequence.skipgrams([1, 2, 3, 0, 4, 2], 6, **case["arguments"])
    assert (pairs, labels) == (case["pairs"].tolist(), case["labels"])


@named("series")
def test_timeseries_generator(case):
    made = sequence.TimeseriesGenerator(np.arange(20), np.arange(20) * 10, **case["arguments"])
    assert len(made) == len(case["batches"])
    for (x, y), (windows, targets) in zip(made, case["batches"], strict=True):
        np.testing.assert_array_equal(x, windows)
        np.testing.assert_array_equal(y, targets)


@named("tokenizer")
def test_tokenizer(case):
    fitted = text.Tokenizer(**case["arguments"])
    fitted.fit_on_texts(TEXTS)
    for made in (fitted, text.tokenizer_from_json(fitted.to_json())):
        assert made.word_index == case["index"]
        assert made.texts_to_sequences([*TEXTS, "a zebra"]) == case["sequences"]
        assert made.sequences_to_texts([[1, 2, 3, 9], []]) == case["texts"]
        for mode in ("binary", "count", "tfidf", "freq"):
            np.testing.assert_allclose(made.texts_to_matrix(TEXTS[:2], mode), case[mode])


@named("words")
def test_words(case):
    assert text.text_to_word_sequence(TEXTS[0], **case["arguments"]) == case["words"]


def test_hashes():
    assert text.hashing_trick(TEXTS[0], 7, "md5") == CASES["hashes"]["y"] == text.one_hot(TEXTS[0], 7)
