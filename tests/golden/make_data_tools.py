# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about data: folders, windows, splits, affine transforms, ImageDataGenerator, Tokenizer.

Keras needs TensorFlow for these, so this runs by itself, in an environment with keras, tensorflow, scipy and pillow:
python -m tests.golden.make_data_tools. Start at make.
"""

import os
import pathlib
import platform
import random
import tempfile

import numpy as np

from tests.golden.store import Store, generator

METHODS = ("bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic")
TEXTS = ["The cat sat, on the mat!", "The dog. sat\tdown The", ""]
TRANSFORM = {"theta": 50, "tx": 2, "ty": -1.5, "shear": 20, "zx": 1.4, "zy": 0.8}  # on square images: the centre of others is another here
CHANGES = {
    "rotation_range": 30, "brightness_range": (0.5, 1.5), "shear_range": 10, "zoom_range": 0.3, "channel_shift_range": 20,
    "horizontal_flip": True, "vertical_flip": True, "rescale": 1 / 255,
}  # fmt: skip


def make():
    store = Store("data_tools")
    for part in (folders, windows, splits, transforms, generators, texts):
        part(store)
    return store


def folders(store):
    import keras
    from PIL import Image

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "a").mkdir()
        read = keras.utils.image_dataset_from_directory
        for height, width in ((11, 13), (17, 5)):
            pixels = generator(f"pixels{height}").integers(0, 256, (height, width, 3)).astype("uint8")
            Image.fromarray(pixels).save(folder / "a" / "x.png")
            options = [{"interpolation": method} for method in METHODS]
            options += [{"crop_to_aspect_ratio": True}, {"pad_to_aspect_ratio": True}, {"color_mode": "rgba"}, {"data_format": "channels_first"}]
            for size in ((7, 6), (23, 19)):
                for arguments in options:
                    data = read(folder, image_size=size, verbose=False, batch_size=None, **arguments)
                    label = f"image/{height}x{width}/{size}/{next(iter(arguments.items()))}"
                    store.add(label, pixels=pixels, size=list(size), arguments=arguments, y=np.asarray(next(iter(data))[0]))
        for label, count in (("b", 5), ("c", 4), ("a", 7)):
            (folder / label / "sub").mkdir(parents=True, exist_ok=True)
            for i in range(count):
                Image.fromarray(np.zeros((2, 2), "uint8")).save(folder / label / ("sub" if i == 2 else "") / f"{i}.png")
        for i, arguments in enumerate(
            [
                {"shuffle": False},
                {"seed": 3},
                {"shuffle": False, "class_names": ["c", "a"]},
                {"seed": 3, "validation_split": 0.3, "subset": "training"},
                {"seed": 3, "validation_split": 0.3, "subset": "validation"},
                {"shuffle": False, "validation_split": 0.35, "subset": "validation"},
            ]
        ):
            data = read(folder, verbose=False, **arguments)
            paths = [pathlib.Path(path).relative_to(folder).as_posix() for path in data.file_paths]
            store.add(f"files/{i}", arguments=arguments, class_names=data.class_names, paths=paths)


def windows(store):
    import keras

    series = np.arange(23)
    for i, arguments in enumerate(
        [
            {"sequence_length": 4},
            {"sequence_length": 4, "sequence_stride": 3, "sampling_rate": 2},
            {"sequence_length": 4, "start_index": 3, "end_index": 15},
            {"sequence_length": 3, "batch_size": 5},
            {"sequence_length": 3, "batch_size": None},
        ]
    ):
        for rows in (None, 23) if "start_index" in arguments else (None, 23, 9):  # with both, Keras reads beyond the targets
            targets = None if rows is None else series[:rows] * 10
            batches = list(keras.utils.timeseries_dataset_from_array(series, targets, **arguments))
            pairs = [[np.asarray(part) for part in batch] if rows else [np.asarray(batch)] for batch in batches]
            store.add(f"windows/{i}/{rows}", arguments=arguments, targets=targets, batches=pairs)


def splits(store):
    import keras

    for i, arguments in enumerate(
        [
            {"left_size": 0.3},
            {"left_size": 3, "right_size": 2},
            {"right_size": 0.25},
            {"left_size": 0.25, "right_size": 0.25},
            {"left_size": 0.55, "right_size": 0.35},
            {"left_size": 3, "right_size": 0.7},
            {"left_size": 0.3, "shuffle": True, "seed": 4},
        ]
    ):
        left, right = ([int(x) for x in part] for part in keras.utils.split_dataset(np.arange(10), **arguments))
        store.add(f"split/{i}", arguments=arguments, left=left, right=right)


def transforms(store):
    from tensorflow.keras.preprocessing import image

    x = generator("transforms").uniform(0, 255, (7, 7, 3)).astype("float32")
    axes = {"row_axis": 0, "col_axis": 1, "channel_axis": 2}
    for mode in ("nearest", "constant", "reflect", "wrap"):
        for order in (0, 1):
            arguments = {**TRANSFORM, **axes, "fill_mode": mode, "cval": 7.0, "order": order}
            store.add(f"affine/{mode}/{order}", x=x, arguments=arguments, y=image.apply_affine_transform(x, **arguments))
    for name in ("theta", "tx", "ty", "shear", "zx", "zy"):
        arguments = {name: TRANSFORM[name], **axes}
        store.add(f"affine/{name}", x=x, arguments=arguments, y=image.apply_affine_transform(x, **arguments))
    first = x.transpose(2, 0, 1)
    store.add("affine/first", x=first, arguments=TRANSFORM, y=image.apply_affine_transform(first, **TRANSFORM))
    for i, (brightness, scale, values) in enumerate([(0.5, True, x), (1.7, False, x), (2.0, False, x - 100), (0.7, True, x / 255)]):
        y = image.apply_brightness_shift(values, brightness, scale)
        store.add(f"brightness/{i}", x=values, arguments={"brightness": brightness, "scale": scale}, y=y)
    np.random.seed(5)
    y = image.random_zoom(image.random_shear(image.random_rotation(x, 40, **axes), 30, **axes), (0.5, 1.5), **axes)
    y = image.random_brightness(image.random_channel_shift(y, 30, channel_axis=2), (0.5, 1.5))
    store.add("random", x=x, axes=axes, y=y)


def generators(store):
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    x = generator("generators").uniform(0, 255, (7, 5, 5, 3)).astype("float32")
    labels = np.arange(7)
    changes = {"changes": CHANGES, "flip": {"horizontal_flip": True}, "channels": {"channel_shift_range": 30.0, "fill_mode": "reflect"}}
    for name, arguments in changes.items():
        flow = ImageDataGenerator(**arguments).flow(x.copy(), labels, batch_size=3, seed=11)
        store.add(f"flow/{name}", x=x, arguments=arguments, batches=[list(next(flow)) for _ in range(4)])
    for name, arguments in {
        "feature": {"featurewise_center": True, "featurewise_std_normalization": True},
        "whitening": {"zca_whitening": True, "zca_epsilon": 1e-2},
        "sample": {"samplewise_std_normalization": True},
    }.items():
        made = ImageDataGenerator(**arguments)
        made.fit(x.copy())
        store.add(f"fit/{name}", x=x, arguments=arguments, y=next(made.flow(x.copy(), batch_size=7, shuffle=False)))
    made = ImageDataGenerator(featurewise_center=True, rotation_range=20)
    made.fit(x, augment=True, rounds=2, seed=4)
    store.add("fit/augment", x=x, mean=np.asarray(made.mean))
    for subset in ("training", "validation"):
        flow = ImageDataGenerator(validation_split=0.34).flow(x, labels % 2, batch_size=9, shuffle=False, subset=subset)
        store.add(f"subset/{subset}", x=x, y=flow[0][1])


def texts(store):
    from tensorflow.keras.preprocessing import sequence, text

    store.add("table", y=sequence.make_sampling_table(11))
    pairs, labels = sequence.skipgrams([1, 2, 3, 0, 4, 2], 6, window_size=2, seed=7, negative_samples=0)
    store.add("skipgrams/shuffled", arguments={"window_size": 2, "seed": 7, "negative_samples": 0}, pairs=np.array(pairs), labels=labels)
    random.seed(3)
    pairs, labels = sequence.skipgrams([1, 2, 3, 0, 4, 2], 6, window_size=1, seed=7, categorical=True)
    store.add("skipgrams/negative", arguments={"window_size": 1, "seed": 7, "categorical": True}, pairs=np.array(pairs), labels=labels)
    for i, arguments in enumerate(
        [
            {"length": 4, "sampling_rate": 2, "stride": 3, "batch_size": 2},
            {"length": 4, "reverse": True, "batch_size": 8, "start_index": 2, "end_index": 15},
            {"length": 5},
        ]
    ):
        made = sequence.TimeseriesGenerator(np.arange(20), np.arange(20) * 10, **arguments)
        store.add(f"series/{i}", arguments=arguments, batches=[list(made[j]) for j in range(len(made))])
    for i, arguments in enumerate([{}, {"num_words": 5, "oov_token": "<u>"}, {"num_words": 3}, {"char_level": True, "lower": False}]):
        made = text.Tokenizer(**arguments)
        made.fit_on_texts(TEXTS)
        matrices = {mode: made.texts_to_matrix(TEXTS[:2], mode) for mode in ("binary", "count", "tfidf", "freq")}
        sequences = made.texts_to_sequences([*TEXTS, "a zebra"])
        back = made.sequences_to_texts([[1, 2, 3, 9], []])
        store.add(f"tokenizer/{i}", arguments=arguments, sequences=sequences, texts=back, index=made.word_index, **matrices)
    for i, arguments in enumerate([{}, {"lower": False, "filters": "!", "split": ","}]):
        store.add(f"words/{i}", arguments=arguments, words=text.text_to_word_sequence(TEXTS[0], **arguments))
    store.add("hashes", y=text.hashing_trick(TEXTS[0], 7, "md5"))


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow

    made = make()
    versions = {"keras": keras.__version__, "tensorflow": tensorflow.__version__, "numpy": np.__version__, "python": platform.python_version()}
    made.write(**versions)
    print("data_tools", len(made.cases), "cases")
