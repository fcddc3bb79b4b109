# SPDX-License-Identifier: Apache-2.0
"""Images, texts and sounds of folders: labels, batches, broken files, errors. Pixels and splits against Keras: tests/preprocessing/test_keras.py."""

import os
import struct
import sys
import wave

import numpy as np
import pytest

import nyala
from nyala import layers, utils
from nyala.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from nyala.utils.resample import METHODS, resample, resize
from nyala.utils.sound import read_wav
from tests.training.tools import raises

pytest.importorskip("PIL")


@pytest.fixture
def images(tmp_path):
    random = np.random.default_rng(1)
    for name, count in (("b", 3), ("a", 5)):
        (tmp_path / name).mkdir()
        for i in range(count):
            utils.save_img(tmp_path / name / f"{i}.{'jpg' if i == 1 else 'PNG'}", random.uniform(0, 255, (7, 5, 3)), scale=False)
        (tmp_path / name / "notes.md").write_text("no image")
    (tmp_path / ".hidden").mkdir()
    return tmp_path


@pytest.fixture
def texts(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        for i in range(3):
            (tmp_path / name / f"{i}.txt").write_text(f"héllo {name} {i}\n", encoding="utf-8")
    return tmp_path


def write_wav(path, samples, rate=8000, width=2):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())


def test_labels(images, capsys):
    read = utils.image_dataset_from_directory
    data = read(images, image_size=(4, 3), shuffle=False)
    assert capsys.readouterr().out == "Found 8 files belonging to 2 classes.\n"
    ((x, y),) = data
    assert (x.shape, x.dtype, y.dtype, y.tolist()) == ((8, 4, 3, 3), np.float32, np.int32, [0] * 5 + [1] * 3)
    assert (data.class_names, [os.path.basename(path) for path in data.file_paths][:3]) == (["a", "b"], ["0.PNG", "1.jpg", "2.PNG"])
    quiet = {"image_size": (4, 3), "shuffle": False, "verbose": False}
    assert next(iter(read(images, label_mode="categorical", **quiet)))[1].tolist() == [[1, 0]] * 5 + [[0, 1]] * 3
    assert next(iter(read(images, label_mode="binary", class_names=["b", "a"], **quiet)))[1].tolist() == [[0]] * 3 + [[1]] * 5
    assert next(iter(read(images, label_mode=None, **quiet))).shape == (8, 4, 3, 3)
    assert read(images, labels=None, **quiet).class_names is None
    halves = [0.5, 1.5, -2.5, 3.0, 0.25, 7.5, 11.0, 1.5]
    numbers = np.concatenate([y for _, y in read(images, labels=halves, **quiet)])
    assert numbers.dtype == "float32" and numbers.tolist() == halves
    assert next(iter(read(images, **{**quiet, "image_size": 5})))[0].shape[1:] == (5, 5, 3)
    data = read(images, labels=[3, 1, 4, 1, 5, 3, 2, 6], **quiet)
    assert (next(iter(data))[1].tolist(), data.class_names) == ([3, 1, 4, 1, 5, 3, 2, 6], ["1", "2", "3", "4", "5", "6"])
    assert read(images, color_mode="grayscale", data_format="channels_first", **quiet).element_spec[0].shape == (None, 1, 4, 3)
    assert capsys.readouterr().out == ""


def test_subsets_have_no_file_in_common(images, capsys):
    arguments = {"image_size": (4, 3), "validation_split": 0.4, "seed": 5}
    one = [utils.image_dataset_from_directory(images, subset=part, **arguments) for part in ("training", "validation")]
    assert capsys.readouterr().out.splitlines()[1::2] == ["Using 5 files for training.", "Using 3 files for validation."]
    both = utils.image_dataset_from_directory(images, subset="both", **arguments)
    assert [data.file_paths for data in one] == [data.file_paths for data in both]
    assert len({*one[0].file_paths, *one[1].file_paths}) == 8
    orders = [[y.tolist() for _, y in data] for data in (one[0], both[0], one[0])]
    assert orders[0] == orders[1]


def test_a_model_is_trained_on_a_folder(images):
    data = utils.image_dataset_from_directory(images, image_size=(4, 3), batch_size=3, label_mode="binary", seed=1, verbose=False)
    model = nyala.Sequential([nyala.Input((4, 3, 3)), layers.Flatten(), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    assert set(model.fit(data.map(lambda x, y: (x / 255, y)).cache(), epochs=2, verbose=0).history) == {"loss", "accuracy"}
    assert len(model.evaluate(data, verbose=0)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_links_are_followed_only_when_asked(images, tmp_path):
    (images / "a" / "more").symlink_to(images / "b", target_is_directory=True)
    count = [len(utils.image_dataset_from_directory(images, follow_links=f, verbose=False).file_paths) for f in (False, True)]
    assert count == [8, 11]


def test_a_broken_file_is_named(images):
    broken = images / "a" / "2.PNG"
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(ArgumentError, match=r"image_dataset_from_directory needs files that can be read, got '.*2\.PNG': .*\n  fix: repair the file"):
        list(utils.image_dataset_from_directory(images, verbose=False))
    broken.write_bytes(b"nonsense")
    with pytest.raises(ArgumentError, match=r"got '.*2\.PNG': cannot identify image file"):
        list(utils.image_dataset_from_directory(images, verbose=False))


def errors(folder):
    need = "image_dataset_from_directory"
    return [
        ({"directory": "nowhere"}, ArgumentError, f"{need}(directory) needs a folder, got 'nowhere'.\n  why: there is no folder of this name"),
        ({"directory": folder / ".hidden"}, ArgumentError,
         f"{need}(directory) needs images: files that end in .bmp, .gif, .jpeg, .jpg, .png, got none below {str(folder / '.hidden')!r}."),
        ({"label_mode": "one_hot"}, ArgumentError, f"{need}(label_mode) needs one of 'int', 'categorical', 'binary', None, got 'one_hot'."),
        ({"labels": "guess"}, ArgumentError, f"{need}(labels) needs \"inferred\", a list of integers, or None, got 'guess'."),
        ({"labels": 3}, ArgumentTypeError, f'{need}(labels) needs "inferred", a list of integers, or None, got int.'),
        ({"labels": [1, 2]}, ArgumentError,
         f"{need}(labels) needs one label for each of the 8 files, got 2.\n  why: labels belong to the files sorted by folder and name"),
        ({"class_names": ["a", "c"]}, ArgumentError, f"{need}(class_names) needs names of subfolders, each once: ['a', 'b'], got ['a', 'c']."),
        ({"labels": None, "class_names": ["a"]}, ArgumentError,
         f'{need}(class_names) needs labels="inferred" with names of classes, got labels=None.'),
        ({"label_mode": "binary", "class_names": ["a"]}, ArgumentError, f"{need}(label_mode=\"binary\") needs exactly 2 classes, got 1: ['a']."),
        ({"subset": "training"}, ArgumentError, f"{need}(validation_split, subset) needs both or neither, got None and 'training'."),
        ({"subset": "training", "validation_split": 3}, ArgumentError, f"{need}(validation_split) needs a number between 0 and 1, got 3."),
        ({"subset": "test", "validation_split": 0.3}, ArgumentError,
         f"{need}(subset) needs one of 'training', 'validation', 'both', got 'test'."),
        ({"subset": "training", "validation_split": 0.3}, ArgumentError,
         f"{need}(seed) needs an integer, got None.\n"
         "  why: the two subsets are cut from one shuffled list, which must be the same in both calls\n"
         '  fix: pass the same seed in both calls, shuffle=False, or subset="both"'),
        ({"subset": "both", "validation_split": 0.1}, ArgumentError,
         f"{need}(validation_split) needs a share that leaves files on both sides, got 0.1 of 8."),
        ({"color_mode": "bgr"}, ArgumentError, f"{need}(color_mode) needs one of 'grayscale', 'rgb', 'rgba', got 'bgr'."),
        ({"image_size": (1, 2, 3)}, ArgumentError, f"{need}(image_size) needs an integer or 2 integers, each at least 1, got (1, 2, 3)."),
        ({"image_size": None}, ArgumentError, f"{need}(image_size) needs an integer or 2 integers, each at least 1, got None."),
        ({"labels": ["a"] * 8}, ArgumentError, f"{need}(labels) needs \"inferred\", a list of numbers, or None, got ['a', 'a', 'a']."),
        ({"labels": [0, 1, 5, 0, 1, 5, 0, 1], "label_mode": "categorical"}, ArgumentError,
         f'{need}(label_mode="categorical") needs integers from 0 to 2, as there are 3 different ones, got labels from 0 to 5.'),
        ({"crop_to_aspect_ratio": True, "pad_to_aspect_ratio": True}, ArgumentError,
         f"{need} needs crop_to_aspect_ratio or pad_to_aspect_ratio, got both."),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(17))
def test_errors(images, number):
    arguments, kind, message = errors(images)[number]
    with raises(kind, message):
        list(utils.image_dataset_from_directory(**{"directory": images, "verbose": False, **arguments}))


def test_texts(texts):
    ((x, y),) = utils.text_dataset_from_directory(texts, shuffle=False, verbose=False)
    assert x.tolist() == [f"héllo {name} {i}\n" for name in "ab" for i in range(3)]
    assert (x.dtype, y.tolist()) == (object, [0, 0, 0, 1, 1, 1])
    data = utils.text_dataset_from_directory(texts, shuffle=False, verbose=False, max_length=4, batch_size=4, label_mode=None)
    assert [batch.tolist() for batch in data] == [["héll"] * 4, ["héll"] * 2]
    assert data.element_spec.dtype == "string"
    (texts / "a" / "0.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match=r"text_dataset_from_directory needs files that can be read, got '.*0\.txt': 'utf-8' codec"):
        list(utils.text_dataset_from_directory(texts, verbose=False))


def test_sounds(tmp_path):
    random = np.random.default_rng(0)
    (tmp_path / "a").mkdir()
    written = [random.integers(-(2**15), 2**15, (5 + i, 2)).astype("<i2") for i in range(3)]
    for i, samples in enumerate(written):
        write_wav(tmp_path / "a" / f"{i}.wav", samples)
    read = utils.audio_dataset_from_directory
    ((x, y),) = read(tmp_path, shuffle=False, verbose=False)
    assert (x.shape, x.dtype, y.tolist()) == ((3, 7, 2), np.float32, [0, 0, 0])
    for sound, samples in zip(x, written, strict=True):
        np.testing.assert_array_equal(sound[: len(samples)], samples / np.float32(2**15))
        assert not sound[len(samples) :].any()
    ((x, _),) = read(tmp_path, shuffle=False, verbose=False, output_sequence_length=6)
    assert x.shape == (3, 6, 2)
    np.testing.assert_array_equal(x[2], written[2][:6] / np.float32(2**15))
    ((x, _),) = read(tmp_path, shuffle=False, verbose=False, ragged=True)
    assert [sound.shape for sound in x] == [(5, 2), (6, 2), (7, 2)]
    assert next(iter(read(tmp_path, verbose=False, label_mode=None, sampling_rate=16000, shuffle=False))).shape == (3, 14, 2)
    with raises(ArgumentError, "audio_dataset_from_directory needs ragged=True or output_sequence_length, got both."):
        read(tmp_path, ragged=True, output_sequence_length=4)
    write_wav(tmp_path / "a" / "mono.wav", written[0][:, :1])
    with pytest.raises(ShapeError, match="a batch needs elements of one shape"):
        list(read(tmp_path, verbose=False))


def test_a_tone_keeps_its_pitch_at_another_rate(tmp_path):
    (tmp_path / "a").mkdir()
    tone = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    write_wav(tmp_path / "a" / "tone.wav", np.round(tone * 20000).astype("<i2")[:, None])
    for rate in (5000, 16000, 11025):
        ((x,),) = utils.audio_dataset_from_directory(tmp_path, sampling_rate=rate, label_mode=None, verbose=False)
        want = np.sin(2 * np.pi * 440 * ((np.arange(rate) + 0.5) * 8000 / rate - 0.5) / 8000) * 20000 / 2**15
        np.testing.assert_allclose(x[50:-50, 0], want[50:-50], atol=5e-3)


def riff(kind, bits, channels, data, extra=b""):
    layout = struct.pack("<HHIIHH", kind, channels, 8000, 0, 0, bits) + extra
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(data))
    return b"RIFF\0\0\0\0WAVE" + chunks + data


def test_widths_of_samples(tmp_path):
    path = tmp_path / "x.wav"
    values = np.array([-0.5, 0.25, 0.75])
    wide = (values * 2**31).astype("<i4")
    for data in (
        riff(1, 8, 1, (values * 128 + 128).astype(np.uint8).tobytes()),
        riff(1, 16, 1, (values * 2**15).astype("<i2").tobytes()),
        riff(1, 24, 1, wide.view(np.uint8).reshape(3, 4)[:, 1:].tobytes()),
        riff(1, 32, 1, wide.tobytes()),
        riff(3, 32, 1, values.astype("<f4").tobytes()),
        riff(3, 64, 1, values.tobytes()),
        riff(0xFFFE, 16, 1, (values * 2**15).astype("<i2").tobytes(), struct.pack("<HHIH", 22, 16, 0, 1) + bytes(14)),
    ):
        path.write_bytes(data)
        sound, rate = read_wav(str(path))
        assert (sound[:, 0].tolist(), sound.dtype, rate) == (values.tolist(), np.float32, 8000)
    broken = {
        "it is no WAVE file": b"OggS" + bytes(20),
        "it has no samples": b"RIFF\0\0\0\0WAVE",
        "it should have 6 bytes of samples but ends after 2": riff(1, 16, 1, bytes(6))[:-4],
        "samples of format 6 with 8 bits in 1 channels are not known; PCM and float are": riff(6, 8, 1, bytes(4)),
    }
    for message, data in broken.items():
        path.write_bytes(data)
        with raises(ValueError, message):
            read_wav(str(path))


@pytest.mark.parametrize("method", METHODS)
def test_resampling(method):
    x = np.random.default_rng(0).uniform(0, 255, (7, 5, 3))
    same = resize(x, (7, 5), method)
    if method not in ("gaussian", "mitchellcubic"):  # which smooth
        np.testing.assert_allclose(same, x, rtol=1e-6)
    np.testing.assert_allclose(resize(np.full((7, 5, 1), 3.0), (11, 2), method), 3, rtol=1e-6)
    np.testing.assert_allclose(resize(x[::-1], (13, 3), method), resize(x, (13, 3), method)[::-1], atol=1e-3 if method != "nearest" else 300)
    stack = resize(np.stack([x, x + 1]), (3, 4), method)
    np.testing.assert_allclose(stack[0], resize(x, (3, 4), method), rtol=1e-6)


def test_area_is_the_mean_of_blocks():
    x = np.arange(24.0).reshape(6, 4, 1)
    np.testing.assert_allclose(resize(x, (2, 2), "area")[..., 0], x.reshape(2, 3, 2, 2).mean((1, 3)))
    with pytest.raises(ArgumentError, match="needs one of 'bilinear', 'nearest'"):
        resample(x, 3, 0, "cubic")
