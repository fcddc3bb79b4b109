# SPDX-License-Identifier: Apache-2.0
"""Models and functions as SavedModels that TensorFlow runs alone, and SavedModels as layers."""

import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import layers, ops
from nyala.core.errors import ArgumentError, ArgumentTypeError, StateError, UnsafePathError

tf = pytest.importorskip("tensorflow")

TRAINED = next(name for name in ("torch", "jax", "tensorflow") if name in {e.name for e in nyala.testing.installed_engines()})


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def raises(kind, text):
    return pytest.raises(kind, match=f"^{__import__('re').escape(text)}")


def dense():
    inputs = nyala.Input((3,))
    x = layers.Dropout(0.3)(layers.BatchNormalization()(layers.Dense(5, activation="relu")(inputs)))
    return nyala.Model(inputs, layers.Dense(2, activation="softmax")(x)), numbers(7, 3)


def convolutions():
    model = nyala.Sequential(
        [
            nyala.Input((7, 5, 2)),
            layers.Conv2D(4, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(2),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    return model, numbers(7, 7, 5, 2)


def attention():
    first, second = nyala.Input((5, 4)), nyala.Input((4,))
    x = layers.LayerNormalization()(layers.MultiHeadAttention(2, 3)(first, first) + first)
    return nyala.Model([first, second], {"mean": layers.GlobalAveragePooling1D()(x) * second, "all": x}), [numbers(7, 5, 4), numbers(7, 4, seed=1)]


def recurrent():
    model = nyala.Sequential([nyala.Input((5,), dtype="int32"), layers.Embedding(11, 3, mask_zero=True), layers.LSTM(4), layers.Dense(1)])
    return model, np.random.default_rng(0).integers(0, 11, (7, 5)).astype("int32")


@pytest.mark.parametrize("make", [dense, convolutions, attention, recurrent])
def test_tensorflow_gives_what_the_model_gave(make, tmp_path):
    with nyala.backend(TRAINED):
        model, x = make()
        want = model.predict(x, verbose=0)
        model.export(tmp_path / "model", verbose=False)
        assert nyala.backend.backend() == TRAINED
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    for rows in (7, 1):
        given = [part[:rows] for part in x] if isinstance(x, list) else x[:rows]
        got = loaded.serve(given)
        pairs = [(want, got)] if not isinstance(want, dict) else [(want[key], got[key]) for key in want]
        for expected, found in pairs:
            np.testing.assert_allclose(found.numpy(), expected[:rows], rtol=1e-5, atol=1e-5)
    assert len(loaded.variables) == len(model.variables) and len(loaded.trainable_variables) == len(model.trainable_variables)


def test_a_process_without_nyala_runs_it(tmp_path):
    model, x = dense()
    model.export(tmp_path / "model", verbose=False)
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy as np, tensorflow as tf; folder = sys.argv[1]\n"
        "signature = tf.saved_model.load(folder + '/model').signatures['serving_default']\n"
        "(name,) = signature.structured_input_signature[1]\n"
        "(y,) = signature(**{name: tf.constant(np.load(folder + '/x.npy'))}).values()\n"
        "np.save(folder + '/y.npy', y.numpy()); assert 'nyala' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)


def test_an_archive_of_several_endpoints(tmp_path, capsys):
    layer = layers.Dense(2)
    layer(numbers(1, 3))
    count = nyala.Variable(0.0, trainable=False, name="count")
    archive = nyala.export.ExportArchive()
    archive.track_and_add_endpoint("serve", layer, [nyala.InputSpec(shape=(None, 3))])
    archive.track(count)
    archive.add_endpoint("centred", lambda x: x - ops.mean(x, axis=0), [nyala.InputSpec(shape=(4, 3), dtype="float32")])
    archive.add_endpoint("add", lambda x: count.assign_add(ops.sum(x)), [nyala.InputSpec(shape=(4,), dtype="float32")])
    archive.add_variable_collection("weights", layer.weights)
    archive.write_out(tmp_path / "archive")
    assert capsys.readouterr().out == f"Saved artifact at '{tmp_path / 'archive'}' with the endpoints serve, centred, add.\n"
    loaded, x = tf.saved_model.load(str(tmp_path / "archive")), numbers(4, 3)
    np.testing.assert_allclose(loaded.serve(x), ops.convert_to_numpy(layer(x)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded.centred(x), x - x.mean(0), rtol=1e-5, atol=1e-6)
    assert [float(loaded.add(np.float32([1, 2, 3, 4]))) for _ in range(2)] == [10.0, 20.0] and float(count) == 0.0
    assert [v.shape for v in loaded.weights] == [(3, 2), (2,)] and len(archive.trainable_variables) == 2


def test_what_cannot_be_written_is_refused(tmp_path):
    layer = layers.Dense(2)
    archive = nyala.export.ExportArchive()
    rows = [nyala.InputSpec(shape=(None, 3), dtype="float32")]
    with raises(StateError, "ExportArchive.track(resource) needs a layer that has been built, got Dense 'dense"):
        archive.track(layer)
    layer(numbers(1, 3))
    with raises(StateError, "ExportArchive.add_endpoint('serve') needs to know all variables that the function reads, got others: dense"):
        archive.add_endpoint("serve", layer, rows)
    with raises(ArgumentError, "ExportArchive.add_endpoint('mean') needs a function that gives each row of a batch what it gives that row alone,"):
        archive.add_endpoint("mean", lambda x: x - ops.mean(x, axis=0), rows)
    with raises(ArgumentError, "ExportArchive.add_endpoint('f') needs the shapes and dtypes of the arguments, got None."):
        archive.add_endpoint("f", ops.exp)
    with raises(ArgumentError, "ExportArchive.add_endpoint('f') needs inputs whose sizes are known, but for the number of rows"):
        archive.add_endpoint("f", ops.exp, [nyala.InputSpec(shape=(None, None), dtype="float32")])
    with raises(StateError, "ExportArchive.write_out needs at least one endpoint, got none."):
        archive.write_out(tmp_path / "no")
    archive.add_endpoint("f", ops.exp, rows)
    with raises(ArgumentError, "ExportArchive.add_endpoint('f') needs a name of its own, got one that is taken."):
        archive.add_endpoint("f", ops.exp, rows)
    (tmp_path / "file").write_text("text")
    with raises(ArgumentError, "ExportArchive.write_out(filepath) needs a folder, got"):
        archive.write_out(tmp_path / "file")
    with raises(ArgumentError, "Model.export(format) needs one of 'tf_saved_model', 'onnx', got 'tf_saved'.\n  fix: did you mean 'tf_saved_model'?"):
        dense()[0].export(tmp_path / "no", format="tf_saved")
    with pytest.raises(StateError, match="needs to know the shapes of the inputs, got a model that is not built"):
        nyala.Sequential([layers.Dense(2)]).export(tmp_path / "no")
    assert not (tmp_path / "no").exists()


def test_a_saved_model_as_a_layer(tmp_path):
    model, x = dense()
    want = model.predict(x, verbose=0)
    model.export(tmp_path / "model", verbose=False)
    with nyala.backend("tensorflow"):
        layer = layers.TFSMLayer(tmp_path / "model")
        np.testing.assert_allclose(ops.convert_to_numpy(layer(ops.convert_to_tensor(x))), want, rtol=1e-5, atol=1e-6)
        inputs = nyala.Input((3,))
        whole = nyala.Model(inputs, layer(inputs) * 2)
        assert whole.output_shape == (None, 2)
        np.testing.assert_allclose(whole.predict(x, verbose=0), 2 * want, rtol=1e-5, atol=1e-6)
        by_signature = layers.TFSMLayer(tmp_path / "model", call_endpoint="serving_default")
        (found,) = by_signature(ops.convert_to_tensor(x)).values()
        np.testing.assert_allclose(ops.convert_to_numpy(found), want, rtol=1e-5, atol=1e-6)
        with raises(ArgumentError, f"TFSMLayer({str(tmp_path / 'model')!r}) needs one of the endpoints"):
            layers.TFSMLayer(tmp_path / "model", call_endpoint="predict")
    config = layer.get_config()
    with raises(UnsafePathError, "TFSMLayer.from_config needs safe_mode=False, which only a caller can pass, got a config that names the SavedModel"):
        layers.TFSMLayer.from_config(config)
    with raises(UnsafePathError, "deserialize_keras_object(config) at / needs layers whose computation is their own, got a TFSMLayer."):
        layers.deserialize({"module": "keras.layers", "class_name": "TFSMLayer", "config": config, "registered_name": None})
    with nyala.backend("tensorflow"):
        assert layers.TFSMLayer.from_config(config, safe_mode=False).get_config() == config
    with (
        nyala.backend("numpy"),
        raises(StateError, f"TFSMLayer({str(tmp_path / 'model')!r}) needs the engine 'tensorflow'"),
    ):
        layers.TFSMLayer(tmp_path / "model")
    with raises(ArgumentTypeError, "ExportArchive.track(resource) needs a layer, a model, or something else with variables, got 3"):
        nyala.export.ExportArchive().track(3)
