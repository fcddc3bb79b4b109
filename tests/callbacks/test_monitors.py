# SPDX-License-Identifier: Apache-2.0
"""SwapEMAWeights, RemoteMonitor, TensorBoard."""

import http.server
import json
import threading
import urllib.parse

import numpy as np
import pytest

import nyala
from nyala import callbacks, layers
from nyala.core.errors import ArgumentError, StateError
from nyala.testing import installed_engines
from tests.training.tools import X, Y, linear, raises


def averaging(momentum=0.5):
    model = linear()
    model.compile(nyala.optimizers.SGD(0.1, use_ema=True, ema_momentum=momentum), "mse", metrics=["mae"])
    return model


class Seen(callbacks.Callback):
    """Notes a weight at each hook."""

    def __init__(self):
        super().__init__()
        self.at = {"batch": [], "test": [], "epoch": [], "predict": []}

    def note(self, when):
        self.at[when].append(self.model.get_weights()[0][0, 0])

    def on_train_batch_end(self, batch, logs=None):
        self.note("batch")

    def on_test_begin(self, logs=None):
        self.note("test")

    def on_predict_begin(self, logs=None):
        self.note("predict")

    def on_epoch_end(self, epoch, logs=None):
        self.note("epoch")


@pytest.mark.parametrize("swap", [False, True])
def test_averages_are_measured_and_weights_are_trained(swap):
    model, seen = averaging(), Seen()
    model.fit(X, Y, epochs=3, batch_size=4, validation_data=(X, Y), verbose=0, shuffle=False, callbacks=[callbacks.SwapEMAWeights(swap), seen])
    own = np.array(seen.at["batch"])
    averages = [own[0]]
    for value in own[1:]:
        averages.append(0.5 * averages[-1] + 0.5 * value)
    ends = [2, 5, 8]  # three batches an epoch
    np.testing.assert_allclose(seen.at["test"], np.array(averages)[ends], rtol=1e-5)
    np.testing.assert_allclose(seen.at["epoch"], np.array(averages)[ends] if swap else own[ends], rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0][0, 0], averages[-1], rtol=1e-5)  # the optimizer ends with its averages
    plain, plainly = averaging(), Seen()
    plain.fit(X, Y, epochs=3, batch_size=4, verbose=0, shuffle=False, callbacks=[plainly])
    np.testing.assert_allclose(plainly.at["batch"], own, rtol=1e-6)


def test_averages_are_shown_while_predicting_and_not_after():
    model, seen = averaging(0.9), Seen()
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    before = model.get_weights()
    model.predict(X, verbose=0, callbacks=[callbacks.SwapEMAWeights(), seen])
    assert seen.at["predict"][0] != before[0][0, 0]
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.compile("sgd", "mse")
    with raises(StateError, "SwapEMAWeights needs an optimizer that keeps averages, got SGD.\n  fix: make it with use_ema=True"):
        model.evaluate(X, Y, verbose=0, callbacks=[callbacks.SwapEMAWeights()])


class Server(http.server.BaseHTTPRequestHandler):
    got: list = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.got.append((self.path, self.headers["Content-Type"], self.headers["X-Key"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


def test_logs_are_sent():
    Server.got = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        model = linear()
        model.compile("sgd", "mse")
        model.fit(X, Y, verbose=0, callbacks=[callbacks.RemoteMonitor(root, headers={"X-Key": "k"})])
        callbacks.RemoteMonitor(root, "/p", send_as_json=True).on_epoch_end(3, {"loss": np.float32(0.5), "each": np.array([1, 2])})
        server.shutdown()
    (path, kind, key, body), (path2, kind2, _, body2) = Server.got
    assert (path, kind, key) == ("/publish/epoch/end/", "application/x-www-form-urlencoded", "k")
    logs = json.loads(urllib.parse.parse_qs(body)["data"][0])
    assert (set(logs), logs["epoch"]) == ({"epoch", "loss"}, 0)
    assert (path2, kind2, json.loads(body2)) == ("/p", "application/json", {"epoch": 3, "loss": 0.5, "each": [1, 2]})


def test_a_server_that_is_not_there_is_warned_about():
    with pytest.warns(UserWarning, match="RemoteMonitor could not send the logs of epoch 2 to http://127.0.0.1:9: "):
        callbacks.RemoteMonitor("http://127.0.0.1:9").on_epoch_end(2, {"loss": 1.0})
    with raises(ArgumentError, "RemoteMonitor(root) needs an http or https URL, got 'file:///etc/hosts'."):
        callbacks.RemoteMonitor("file:///etc/hosts")


def events(folder):
    """{(tag, step): (plugin, tensor)} of the event files of a folder."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    tensors = pytest.importorskip("tensorboard.util.tensor_util")
    found = {}
    for file in sorted(folder.glob("events.out.tfevents.*")):
        for event in loader.EventFileLoader(str(file)).Load():
            for value in event.summary.value:
                found[value.tag, event.step] = value.metadata.plugin_data.plugin_name, tensors.make_ndarray(value.tensor)
    return found


def test_event_files(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("PIL")
    model = linear()
    model.compile(nyala.optimizers.SGD(0.25), "mse", metrics=["mae"])
    board = callbacks.TensorBoard(tmp_path, histogram_freq=2, write_images=True, write_steps_per_second=True, update_freq=2)
    history = model.fit(X, Y, epochs=3, batch_size=4, validation_data=(X, Y), verbose=0, callbacks=[board]).history
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    for epoch in range(3):
        for name in ("loss", "mae"):
            assert train[f"epoch_{name}", epoch][1] == np.float32(history[name][epoch])
            assert validation[f"epoch_{name}", epoch][1] == np.float32(history[f"val_{name}"][epoch])
            assert validation[f"evaluation_{name}_vs_iterations", 3 * epoch + 3][1] == np.float32(history[f"val_{name}"][epoch])
        assert train["epoch_learning_rate", epoch][1] == 0.25
        assert train["epoch_steps_per_second", epoch][1] > 0
    assert {step for tag, step in train if tag == "batch_loss"} == {2, 4, 6, 8}
    assert {step for tag, step in train if tag == "batch_steps_per_second"} == {2, 4, 6, 8}
    assert json.loads(train["keras", 0][1].item())["class_name"] == "Sequential"
    assert {step for tag, step in train if tag == "net/out/kernel/histogram"} == {0, 2}
    plugin, histogram = train["net/out/kernel/histogram", 2]
    kernel = model.get_weights()[0]
    assert (plugin, histogram.shape, histogram[:, 2].sum()) == ("histograms", (30, 3), 3)
    np.testing.assert_allclose([histogram[0, 0], histogram[-1, 1]], [kernel.min(), kernel.max()])
    plugin, image = train["net/out/kernel/image", 0]
    assert (plugin, image[:2].tolist(), image[2][:4]) == ("images", [b"3", b"1"], b"\x89PNG")


def test_little_is_written_by_default(tmp_path):
    pytest.importorskip("tensorboard")
    model = linear()
    model.compile("sgd", "mse")
    board = callbacks.TensorBoard(tmp_path, write_graph=False)
    model.fit(X, Y, epochs=2, verbose=0, callbacks=[board])
    assert set(events(tmp_path / "train")) == {(tag, epoch) for tag in ("epoch_loss", "epoch_learning_rate") for epoch in (0, 1)}
    model.evaluate(X, Y, verbose=0, callbacks=[board])
    assert set(events(tmp_path / "validation")) == {("evaluation_loss_vs_iterations", 2)}
    board.on_train_end()


def test_embeddings_for_the_projector(tmp_path):
    pytest.importorskip("tensorboard")
    model = nyala.Sequential([nyala.Input((2,), dtype="int32"), layers.Embedding(5, 3, name="words"), layers.Flatten(), layers.Dense(1)])
    model.compile("sgd", "mse")
    ids = np.array([[0, 1], [2, 3]])
    board = callbacks.TensorBoard(tmp_path, embeddings_freq=1, embeddings_metadata={"words": "names.tsv"}, write_graph=False)
    model.fit(ids, ids[:, :1], verbose=0, callbacks=[board])
    np.testing.assert_allclose(np.loadtxt(tmp_path / "words_embedding.tsv"), model.get_weights()[0], rtol=1e-6)
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config == 'embeddings {\n  tensor_name: "words"\n  tensor_path: "words_embedding.tsv"\n  metadata_path: "names.tsv"\n}\n'


def test_errors_of_the_board(tmp_path):
    pytest.importorskip("tensorboard")
    with raises(ArgumentError, "TensorBoard(update_freq) needs 'epoch', 'batch' or a number of batches, got 0."):
        callbacks.TensorBoard(tmp_path, update_freq=0)
    text = "TensorBoard(profile_batch) needs 0, the number of a batch, or a pair (first, last), got {}."
    for wrong in (-1, (3, 2), [1, 2, 3]):
        with raises(ArgumentError, text.format(wrong)):
            callbacks.TensorBoard(tmp_path, profile_batch=wrong)


@pytest.mark.parametrize("name", [engine.name for engine in installed_engines() if engine.differentiable])
def test_profiles_lie_where_the_board_looks(name, tmp_path):
    """Recorded by the engine during the batches asked for, beside the events of training."""
    pytest.importorskip("tensorboard")
    with nyala.backend(name):
        model = linear()
        model.compile("sgd", "mse")
        board = callbacks.TensorBoard(tmp_path, profile_batch=(2, 3), write_graph=False)
        model.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[board])
    found = [str(path.relative_to(tmp_path)) for path in (tmp_path / "train").rglob("*") if path.is_file() and "tfevents" not in path.name]
    assert any("plugins" in path or path.endswith((".pt.trace.json", ".pt.trace.json.gz")) for path in found), found
