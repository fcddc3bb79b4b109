# SPDX-License-Identifier: Apache-2.0
"""ImageDataGenerator and its iterators: laws, files, data frames, training, errors. Numbers against Keras: test_keras.py."""

import numpy as np
import pytest

import nyala
from nyala import layers, utils
from nyala.core.errors import ArgumentError, ShapeError, StateError
from nyala.preprocessing import image
from nyala.preprocessing.image import ImageDataGenerator
from tests.training.tools import raises

X = np.random.default_rng(0).uniform(0, 255, (7, 5, 3, 2)).astype("float32")


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("PIL")
    random = np.random.default_rng(1)
    for name, count in (("cats", 5), ("dogs", 4)):
        (tmp_path / name).mkdir()
        for i in range(count):
            utils.save_img(tmp_path / name / f"{i}.png", random.uniform(0, 255, (7, 5, 3)), scale=False)
    (tmp_path / "cats" / "notes.txt").write_text("no image")
    return tmp_path


def test_whole_shifts_and_quarter_turns_move_pixels():
    shifted = image.apply_affine_transform(X[0], tx=1, ty=-2, row_axis=0, col_axis=1, channel_axis=2, fill_mode="constant")
    np.testing.assert_array_equal(shifted[2:, :-1], X[0][:-2, 1:])
    assert not shifted[:2].any()
    assert not shifted[:, -1].any()
    square = X[0][:3]
    turned = image.apply_affine_transform(square, theta=90, row_axis=0, col_axis=1, channel_axis=2)
    np.testing.assert_allclose(turned, np.rot90(square), rtol=1e-5)


def test_ranges_are_kept():
    made = ImageDataGenerator(height_shift_range=0.4, width_shift_range=2, zoom_range=(0.5, 0.6), rotation_range=10)
    for seed in range(50):
        drawn = made.get_random_transform((5, 3, 2), seed)
        assert abs(drawn["ty"]) <= 2
        assert drawn["tx"] in (-1, 0, 1)
        assert 0.5 <= drawn["zx"] <= 0.6
        assert abs(drawn["theta"]) <= 10
        assert drawn["brightness"] is None
    assert {int(ImageDataGenerator(width_shift_range=[3, 1]).get_random_transform((5, 3, 2), s)["tx"]) for s in range(30)} == {-3, -1, 1, 3}
    np.testing.assert_array_equal(made.apply_transform(X[0], {"flip_horizontal": True}), X[0][:, ::-1])
    np.testing.assert_array_equal(made.apply_transform(X[0], {"flip_vertical": True}), X[0][::-1])


def test_a_height_shift_moves_rows():
    moved = ImageDataGenerator(height_shift_range=[1], fill_mode="constant").random_transform(X[0], seed=0)
    assert np.array_equal(moved[1:], X[0][:-1]) or np.array_equal(moved[:-1], X[0][1:])


def test_all_arguments_at_once_and_channels_first():
    made = ImageDataGenerator(
        samplewise_center=True, rotation_range=10, height_shift_range=1, brightness_range=(0.9, 1.1), horizontal_flip=True, rescale=0.5,
        preprocessing_function=lambda x: x + 1, data_format="channels_first", dtype="float64",
    )  # fmt: skip
    x = next(made.flow(X.transpose(0, 3, 1, 2), batch_size=7, shuffle=False, seed=2))
    assert (x.shape, x.dtype) == ((7, 2, 5, 3), np.float64)
    np.testing.assert_allclose(x.mean((1, 2, 3)), 0, atol=1e-4)


def test_batches_of_arrays():
    flow = ImageDataGenerator().flow((X, np.arange(7) * 10), np.arange(7), batch_size=3, sample_weight=np.arange(7) / 2, shuffle=True, seed=5)
    seen = []
    for _ in range(len(flow)):
        (x, other), y, weight = next(flow)
        np.testing.assert_array_equal(x, X[y])
        np.testing.assert_array_equal(other, y * 10)
        np.testing.assert_array_equal(weight, y / 2)
        seen += y.tolist()
    assert sorted(seen) == list(range(7))
    assert next(flow)[1].tolist() != seen[:3]  # the next epoch has another order
    flow.reset()
    assert flow.batch_index == 0
    (x, *others), y = ImageDataGenerator().flow([X, [X[..., 0], np.arange(7)]], np.arange(7), batch_size=4, shuffle=False)[1]
    for found, given in zip([x, *others, y], [X, X[..., 0], np.arange(7), np.arange(7)], strict=True):
        np.testing.assert_array_equal(found, given[4:])
    plain = ImageDataGenerator().flow(X, batch_size=4, shuffle=False)
    np.testing.assert_array_equal(plain[1], X[4:])
    with pytest.raises(IndexError, match="batch 2 was asked for, but there are 2"):
        plain[2]


def test_training_on_changed_images(folder):
    made = ImageDataGenerator(rotation_range=20, horizontal_flip=True, rescale=1 / 255)
    model = nyala.Sequential([nyala.Input((6, 4, 3)), layers.Flatten(), layers.Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    flow = made.flow_from_directory(folder, target_size=(6, 4), class_mode="binary", batch_size=4)
    history = model.fit(flow, epochs=2, validation_data=flow, verbose=0).history
    assert len(history["val_loss"]) == 2
    assert model.predict(flow, verbose=0).shape == (9, 1)


def test_folders(folder, capsys):
    made = ImageDataGenerator(validation_split=0.3)
    flow = made.flow_from_directory(folder, (6, 4), batch_size=5, shuffle=False, class_mode="sparse", subset="training", color_mode="grayscale")
    assert capsys.readouterr().out == "Found 7 images belonging to 2 classes.\n"
    assert (flow.class_indices, flow.samples, flow.num_classes, flow.image_shape) == ({"cats": 0, "dogs": 1}, 7, 2, (6, 4, 1))
    assert [name.replace("\\", "/") for name in flow.filenames] == [f"cats/{i}.png" for i in range(1, 5)] + [f"dogs/{i}.png" for i in range(1, 4)]
    x, y = flow[0]
    assert (x.shape, x.dtype, y.tolist(), flow.labels.tolist()) == ((5, 6, 4, 1), np.float32, [0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1, 1])
    x, y = ImageDataGenerator().flow_from_directory(folder, classes=["dogs"], class_mode="categorical", batch_size=2)[0]
    assert (x.shape, y.tolist()) == ((2, 256, 256, 3), [[1], [1]])
    x, y = ImageDataGenerator().flow_from_directory(folder, class_mode="input", batch_size=2)[0]
    np.testing.assert_array_equal(x, y)
    assert ImageDataGenerator(data_format="channels_first").flow_from_directory(folder, (6, 4), class_mode=None)[0].shape == (9, 3, 6, 4)


def test_changed_images_are_saved(folder):
    (folder / "made").mkdir()
    next(ImageDataGenerator().flow(X[..., :1], batch_size=3, save_to_dir=folder / "made", save_prefix="p", save_format="png"))
    assert len(list((folder / "made").glob("p_*.png"))) == 3


def test_data_frames(folder):
    frame = {"filename": ["cats/0.png", "cats/missing.png", "dogs/1.png", "cats/notes.txt", "dogs/2.png"], "class": list("xxyxz"), "value": range(5)}
    frame = {name: np.array(list(values)) for name, values in frame.items()}
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, target_size=(6, 4), shuffle=False, class_mode="categorical")
    x, y = flow[0]
    assert (x.shape, y.tolist(), flow.class_indices) == ((3, 6, 4, 3), np.eye(3).tolist(), {"x": 0, "y": 1, "z": 2})
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, y_col="value", class_mode="raw", shuffle=False, weight_col="value")
    assert [part.tolist() for part in flow[0][1:]] == [[0, 2, 4], [0, 2, 4]]
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, y_col=["value", "value"], class_mode="multi_output", shuffle=False)
    assert [part.tolist() for part in flow[0][1]] == [[0, 2, 4], [0, 2, 4]]
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, class_mode="binary", classes=["y", "x"], shuffle=False)
    assert flow[0][1].tolist() == [1, 0]
    assert list(flow.labels) == [1, 0]


def test_data_frames_know_the_classes_of_files_that_are_there(folder):
    frame = {"filename": ["cats/0.png", "missing.png", "dogs/1.png"], "class": ["x", "a", "y"]}
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, shuffle=False, class_mode="binary")
    assert (flow.class_indices, flow[0][1].tolist(), list(flow.labels), list(flow.classes)) == ({"x": 0, "y": 1}, [0, 1], [0, 1], [0, 1])


def test_data_frames_with_several_classes_of_an_image(folder):
    several = [["b", "a"], ["c"], ["b"], ["d", "a"], ("a", "c")]
    frame = {"filename": ["cats/0.png", "cats/1.png", "missing.png", "dogs/0.png", "dogs/1.png"], "class": several, "value": range(5)}
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, target_size=(6, 4), shuffle=False)
    assert flow.class_indices == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert flow[0][1].tolist() == [[1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1], [1, 0, 1, 0]]
    assert flow.labels == [[1, 0], [2], [3, 0], [0, 2]]
    flow = ImageDataGenerator().flow_from_dataframe(frame, folder, target_size=(6, 4), shuffle=False, classes=["c", "b"])
    assert (flow.samples, flow[0][1].tolist()) == (3, [[0, 1], [1, 0], [1, 0]])
    equal = {**frame, "class": [["a", "b"], ["b", "c"], ["c", "a"], ["a", "b"], ["b", "a"]]}  # of one length each
    assert ImageDataGenerator().flow_from_dataframe(equal, folder, shuffle=False)[0][1].tolist() == [[1, 1, 0], [0, 1, 1], [1, 1, 0], [1, 1, 0]]
    where = "ImageDataGenerator.flow_from_dataframe"
    with raises(ArgumentError, f"{where}(class_mode) needs 'categorical' for several classes of an image, got 'sparse'."):
        ImageDataGenerator().flow_from_dataframe(frame, folder, class_mode="sparse")
    with raises(ArgumentError, f"{where}(class_mode) needs two classes for 'binary', got 4.\n  fix: use 'sparse' or 'categorical'"):
        ImageDataGenerator().flow_from_dataframe({**frame, "class": list("abbcd")}, folder, class_mode="binary")
    with raises(ArgumentError, f"{where}(weight_col) needs a column of numbers, got 'filename' with 'cats/0.png'."):
        ImageDataGenerator().flow_from_dataframe({**frame, "class": list("abbcd")}, folder, weight_col="filename")


ERRORS = [
    (lambda: ImageDataGenerator(validation_split=2), ArgumentError, "ImageDataGenerator(validation_split) needs a number between 0 and 1, got 2."),
    (lambda: ImageDataGenerator(zoom_range=(1, 2, 3)), ArgumentError,
     "ImageDataGenerator(zoom_range) needs two numbers, (lower, upper), got (1, 2, 3)."),
    (lambda: ImageDataGenerator(interpolation_order=3, rotation_range=9).random_transform(X[0]), ArgumentError,
     "apply_affine_transform(order) needs 0 or 1, got 3.\n  why: splines are not offered"),
    (lambda: ImageDataGenerator().flow(X, np.arange(3)), ShapeError,
     "ImageDataGenerator.flow needs x, y and sample_weight of equal length, got lengths [7, 3]."),
    (lambda: ImageDataGenerator().flow(X[0]), ShapeError, "ImageDataGenerator.flow(x) needs images of rank 4, got shape (5, 3, 2)."),
    (lambda: ImageDataGenerator().flow(X, subset="test"), ArgumentError,
     "ImageDataGenerator.flow(subset) needs one of 'training', 'validation', None, got 'test'."),
    (lambda: next(ImageDataGenerator(featurewise_center=True).flow(X)), StateError,
     "ImageDataGenerator needs the mean of the data, got none.\n  fix: call fit(images) before flow"),
    (lambda: ImageDataGenerator().flow_from_directory("nowhere"), ArgumentError,
     "ImageDataGenerator.flow_from_directory(directory) needs a folder, got 'nowhere'.\n  why: there is no folder of this name"),
    (lambda: ImageDataGenerator().flow_from_directory(".", class_mode="one_hot"), ArgumentError,
     "ImageDataGenerator.flow_from_directory(class_mode) needs one of 'categorical', 'binary', 'sparse', 'input', None, got 'one_hot'."),
    (lambda: ImageDataGenerator(fill_mode="edge"), ArgumentError,
     "ImageDataGenerator(fill_mode) needs one of 'nearest', 'constant', 'reflect', 'wrap', got 'edge'."),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), ERRORS)
def test_errors(call, kind, message):
    with raises(kind, message):
        call()
