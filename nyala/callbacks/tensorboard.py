# SPDX-License-Identifier: Apache-2.0
"""TensorBoard: logs as event files, written by the package `tensorboard` (the extra of that name) without TensorFlow.

Tags are those that Keras writes. Start at on_epoch_end.
"""

from __future__ import annotations

import io
import os
import pathlib
import re
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.callbacks.callback import Callback, Logs
from nyala.core.errors import ArgumentError
from nyala.engines import current
from nyala.files.atomic import replacing, write_bytes
from nyala.layers.arguments import is_int
from nyala.utils.extras import need

BUCKETS = 30
MAX_IMAGES = 3
MODULES = ("compat.proto.event_pb2", "compat.proto.summary_pb2", "summary.writer.event_file_writer", "util.tensor_util")


class TensorBoard(Callback):
    """Write what training does for TensorBoard: run `tensorboard --logdir logs` to see it.

    Args:
        log_dir: folder; a folder "train" and one "validation" are made in it.
        histogram_freq: epochs between histograms of the weights; 0 writes none.
        write_graph: write the architecture.
        write_images: write weights as images where histograms are written; needs Pillow.
        write_steps_per_second: write the speed.
        update_freq: "epoch"; "batch" or a number of batches writes the logs of batches too.
        profile_batch: the number of a batch, from 1, or (first, last): what the engine does there is recorded for TensorBoard's profile tab
            (install its plugin: tensorboard-plugin-profile for JAX, torch-tb-profiler for PyTorch); 0 records nothing.
        embeddings_freq: epochs between copies of the weights of Embedding layers for the projector; 0 writes none.
        embeddings_metadata: path of a file of names, or a dict of such by name of the layer.

    Differs from Keras: needs no TensorFlow; profiles are those of the engine; embeddings are written as .tsv files.
    """

    def __init__(
        self,
        log_dir: Any = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        need("tensorboard", "tensorboard", "TensorBoard")
        if update_freq not in ("epoch", "batch") and not (is_int(update_freq) and update_freq > 0):
            raise ArgumentError("TensorBoard(update_freq)", need="'epoch', 'batch' or a number of batches", got=repr(update_freq))
        self.profile_batch = profile_batch
        self._first_profiled, self._last_profiled = _profiled(profile_batch)
        self._profiler: Any = None
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq, self.write_graph, self.write_images = histogram_freq, write_graph, write_images
        self.write_steps_per_second, self.update_freq = write_steps_per_second, 1 if update_freq == "batch" else update_freq
        self.embeddings_freq, self.embeddings_metadata = embeddings_freq, embeddings_metadata
        self._writers: dict[str, Any] = {}
        self._batches = self._epoch_batches = self._seen = 0
        self._batch_start = self._epoch_start = 0.0
        self._has_graph = self._trains = False
        if self.update_freq != "epoch" or self._last_profiled:
            self.on_train_batch_begin = self._batch_begin  # type: ignore[method-assign]
            self.on_train_batch_end = self._batch_end  # type: ignore[method-assign]

    def _write(self, run: str, step: int, tag: str, value: Any, plugin: str = "scalars") -> None:
        """One value, as a tensor that a plugin of TensorBoard understands."""
        events, summaries, writers, tensors = (need(f"tensorboard.{module}", "tensorboard", "TensorBoard") for module in MODULES)
        if run not in self._writers:
            self._writers[run] = writers.EventFileWriter(os.path.join(self.log_dir, run))
        metadata = summaries.SummaryMetadata(plugin_data=summaries.SummaryMetadata.PluginData(plugin_name=plugin))
        shown = summaries.Summary.Value(tag=tag, tensor=tensors.make_tensor_proto(value), metadata=metadata)
        self._writers[run].add_event(events.Event(wall_time=time.time(), step=step, summary=summaries.Summary(value=[shown])))

    def _scalars(self, run: str, step: int, logs: dict[str, Any], name: Callable[[str], str]) -> None:
        for key, value in logs.items():
            if np.ndim(value) == 0:
                self._write(run, step, name(key), np.float32(value))

    def _steps(self) -> int:
        optimizer = getattr(self.model, "optimizer", None)
        return int(optimizer.iterations.numpy()) if optimizer is not None and optimizer.built else 0

    def get_state(self) -> dict[str, Any]:
        return {"batches": self._batches, "has_graph": self._has_graph, "epoch_batches": self._epoch_batches}

    def set_state(self, state: dict[str, Any]) -> None:
        self._batches, self._has_graph, self._epoch_batches = state["batches"], state["has_graph"], state["epoch_batches"]

    def on_train_begin(self, logs: Logs = None) -> None:
        self._trains, self._batches, self._seen = True, self._steps(), 0
        if self.write_graph and not self._has_graph:
            self._has_graph = True
            try:
                graph = self.model.to_json()
            except Exception:  # a subclass without get_config has no picture
                return
            self._write("train", 0, "keras", graph.encode(), "graph_keras_model")

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._epoch_start, self._epoch_batches = time.perf_counter(), self._steps()

    def _batch_begin(self, batch: int, logs: Logs = None) -> None:
        self._seen += 1
        if self._seen == self._first_profiled:
            self._start_profiler()
        self._batch_start = time.perf_counter()

    def _batch_end(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._seen == self._last_profiled:
            self._stop_profiler()
        if self.update_freq == "epoch" or self._batches % int(self.update_freq):
            return
        if self.write_steps_per_second:
            self._write("train", self._batches, "batch_steps_per_second", np.float32(1 / (time.perf_counter() - self._batch_start)))
        self._scalars("train", self._batches, logs or {}, lambda name: f"batch_{name}")

    def _start_profiler(self) -> None:
        self._profiler = current().profiler(os.path.join(self.log_dir, "train"))
        if self._profiler is None:
            warnings.warn(f"TensorBoard(profile_batch) is not used: the engine {current().name!r} has no profiler", stacklevel=2)
        else:
            self._profiler.__enter__()

    def _stop_profiler(self) -> None:
        if self._profiler is not None:
            self._profiler.__exit__(None, None, None)
            self._profiler = None

    def on_test_end(self, logs: Logs = None) -> None:
        self._scalars("validation", self._steps(), logs or {}, lambda name: f"evaluation_{name}_vs_iterations")
        if not self._trains:
            self._flush()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        trained = {name: value for name, value in logs.items() if not name.startswith("val_")}
        if "learning_rate" not in trained and hasattr(getattr(self.model, "optimizer", None), "learning_rate"):
            trained["learning_rate"] = np.asarray(self.model.optimizer.learning_rate, np.float32)
        self._scalars("train", epoch, trained, lambda name: f"epoch_{name}")
        if self.write_steps_per_second:
            speed = (self._steps() - self._epoch_batches) / (time.perf_counter() - self._epoch_start)
            self._write("train", epoch, "epoch_steps_per_second", np.float32(speed))
        measured = {name.removeprefix("val_"): value for name, value in logs.items() if name.startswith("val_")}
        self._scalars("validation", epoch, measured, lambda name: f"epoch_{name}")
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._weights(epoch)
        if self.embeddings_freq and epoch % self.embeddings_freq == 0:
            self._embeddings()
        self._flush()

    def on_train_end(self, logs: Logs = None) -> None:
        self._trains = False
        self._stop_profiler()
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def on_exception(self, error: BaseException) -> None:
        self.on_train_end()

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()

    def _weights(self, epoch: int) -> None:
        """Histograms, and images, of all weights."""
        for weight in self.model.weights:
            value = weight.numpy().astype(np.float64)
            self._write("train", epoch, f"{weight.path}/histogram", _histogram(value), "histograms")
            images = _images(value) if self.write_images else np.zeros((0, 0, 0))
            if len(images):
                height, width = images.shape[1:]
                texts = [str(width).encode(), str(height).encode(), *map(_png, images[:MAX_IMAGES])]
                self._write("train", epoch, f"{weight.path}/image", np.array(texts, object), "images")

    def _embeddings(self) -> None:
        """The weights of Embedding layers as tables, and the file that tells the projector of them."""
        from nyala.layers import Embedding

        layers = [layer for layer in self.model._flatten_layers() if isinstance(layer, Embedding) and layer.built]
        folder = pathlib.Path(self.log_dir)
        folder.mkdir(parents=True, exist_ok=True)
        lines = []
        for layer in layers:
            file = re.sub(r"[^\w.-]", "_", f"{layer.name}_embedding.tsv")
            with replacing(folder / file) as opened:
                np.savetxt(opened, np.asarray(layer.embeddings.numpy(), np.float32), "%.8g", "\t")
            names = self.embeddings_metadata
            names = names.get(layer.name) if isinstance(names, dict) else names
            path = f'  metadata_path: "{_quoted(os.fspath(names))}"\n' if names is not None else ""
            lines.append(f'embeddings {{\n  tensor_name: "{_quoted(layer.name)}"\n  tensor_path: "{file}"\n{path}}}\n')
        write_bytes(folder / "projector_config.pbtxt", "".join(lines).encode())


def _profiled(batches: Any) -> tuple[int, int]:
    """The first and the last batch that is profiled, (0, 0) for none."""
    if isinstance(batches, str):  # "2,5", as programs for TensorFlow write it
        batches = [int(number) for number in batches.split(",") if number.strip().isdigit()]
    first, last = batches if isinstance(batches, (tuple, list)) and len(batches) == 2 else (batches, batches)
    if not (is_int(first) and is_int(last) and (0 < first <= last or first == last == 0)):
        raise ArgumentError("TensorBoard(profile_batch)", need="0, the number of a batch, or a pair (first, last)", got=repr(batches))
    return first, last


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _histogram(values: np.ndarray) -> np.ndarray:
    """Rows (left, right, count)."""
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite, BUCKETS) if finite.size else (np.zeros(BUCKETS), np.linspace(0, 1, BUCKETS + 1))
    return np.stack([edges[:-1], edges[1:], counts], 1)


def _images(values: np.ndarray) -> np.ndarray:
    """A weight of 1 to 3 axes as images (number, height, width) of bytes, its smallest value black and its largest white."""
    values = np.squeeze(values)
    if not 1 <= values.ndim <= 3 or not values.size:
        return np.zeros((0, 0, 0), np.uint8)
    images = values[None, :, None] if values.ndim == 1 else values[None] if values.ndim == 2 else np.moveaxis(values, -1, 0)
    images = images.swapaxes(1, 2) if images.shape[1] > images.shape[2] else images
    low, high = images.min(), images.max()
    return ((images - low) / ((high - low) or 1) * 255).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    need("PIL.Image", "image", "TensorBoard(write_images)").fromarray(image).save(file, "png")
    return file.getvalue()
