# SPDX-License-Identifier: Apache-2.0
"""How cost grows with the work: fitted exponents, pictures, and memory while data streams.

    python benchmarks/scaling.py --picture scaling.png --json scaling.json
    python benchmarks/scaling.py --only batch,length

Time of a training step against batch size, sequence length, image size and number of parameters, and of an epoch against the size of the data set:
cost = c size^p fitted by least squares on logarithmic axes, once to all sizes and once to the largest three, where fixed costs weigh little.
Then memory, sampled while a fit reads from a generator, and from a file on disk mapped into memory (np.memmap) that is larger than what is put on the
device whole. Own memory leaves out pages of the file, which the system takes back when it wants them; it must stay flat.
Start at CURVES and STREAMS.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
import workloads
from measure import exponent, machine, number, own_mb, rss_mb, seconds, table

import nyala
from nyala import layers
from nyala.training import loop

WIDTH, SAMPLES, WARM_UP = 256, 60, 0.1  # features of a streamed row; points of a memory curve; the share of a stream that does not count
FLAT = 1.1  # own memory may be so many times what it was after the warm-up

RANDOM = np.random.default_rng(0)


class Curve(NamedTuple):
    """Seconds against size. cost: (size, whether quick) -> (what stands on the axis, seconds)."""

    title: str
    axis: str
    sizes: Sequence[int]
    tiny: Sequence[int]
    cost: Callable[[int, bool], tuple[float, float]]


def step_seconds(model: Any, x: np.ndarray, y: np.ndarray, batch: int) -> float:
    """Median time of a training step."""
    fit = lambda: model.fit(x, y, batch_size=batch, verbose=0)  # noqa: E731
    fit()
    fit()
    return statistics.median(seconds(fit) for _ in range(3)) / (len(x) // batch)


def floats(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype("float32")


def labels(rows: int, top: int = 2) -> np.ndarray:
    return RANDOM.integers(0, top, rows).astype("int32")


def network(*parts: Any) -> Any:
    """A classifier, compiled."""
    model = nyala.Sequential(list(parts))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def dense(width: int) -> Any:
    return network(nyala.Input((width,)), *(layers.Dense(width, activation="relu") for _ in range(2)), layers.Dense(2, activation="softmax"))


def by_batch(batch: int, quick: bool) -> tuple[float, float]:
    width, batches = (8, 2) if quick else (512, 10)
    return batch, step_seconds(dense(width), floats(batches * batch, width), labels(batches * batch), batch)


def by_parameters(width: int, quick: bool) -> tuple[float, float]:
    batch = 4 if quick else 128
    model = dense(width)
    return model.count_params(), step_seconds(model, floats(10 * batch, width), labels(10 * batch), batch)


def by_rows(rows: int, quick: bool) -> tuple[float, float]:
    width, batch = (8, 4) if quick else (64, 32)
    return rows, step_seconds(dense(width), floats(rows, width), labels(rows), batch) * (rows // batch)


def by_length(length: int, quick: bool) -> tuple[float, float]:
    """LSTM: each time costs the same."""
    batch, units = (2, 4) if quick else (32, 128)
    model = network(nyala.Input((length, units)), layers.LSTM(units), layers.Dense(2, activation="softmax"))
    return length, step_seconds(model, floats(4 * batch, length, units), labels(4 * batch), batch)


def by_words(length: int, quick: bool) -> tuple[float, float]:
    """Transformer: each word costs the same, but for attention, where each pair does."""
    batch = 2 if quick else 8
    model = workloads.transformer(nyala, length)
    model.compile("adam", "sparse_categorical_crossentropy")
    words = RANDOM.integers(0, workloads.WORDS, (4 * batch, length)).astype("int32")
    return length, step_seconds(model, words, labels(4 * batch), batch)


def by_pixels(side: int, quick: bool) -> tuple[float, float]:
    batch, filters = (2, 4) if quick else (16, 32)
    convolutions = (layers.Conv2D(filters, 3, padding="same", activation="relu") for _ in range(3))
    pooled = (layers.MaxPooling2D(), layers.GlobalAveragePooling2D(), layers.Dense(2, activation="softmax"))
    model = network(nyala.Input((side, side, 3)), *convolutions, *pooled)
    return side * side, step_seconds(model, floats(4 * batch, side, side, 3), labels(4 * batch), batch)


CURVES = {
    "batch": Curve("dense, 3 layers: step", "rows in a batch", (16, 32, 64, 128, 256, 512, 1024), (2, 4, 8), by_batch),
    "length": Curve("LSTM: step", "times", (16, 32, 64, 128, 256, 512), (4, 8, 16), by_length),
    "words": Curve("transformer: step", "words in a row", (32, 64, 128, 256, 512), (4, 8, 16), by_words),
    "image": Curve("convolutions: step", "pixels", (16, 32, 64, 128, 192), (4, 8, 12), by_pixels),
    "parameters": Curve("dense, 3 layers: step", "parameters", (64, 128, 256, 512, 1024, 2048), (4, 8, 16), by_parameters),
    "rows": Curve("dense, 3 layers: epoch", "rows of data", (2000, 4000, 8000, 16000, 32000, 64000), (8, 16, 32), by_rows),
}  # fmt: skip


def measure(curve: Curve, quick: bool) -> dict[str, Any]:
    """The points of a curve and its exponents."""
    points = [curve.cost(size, quick) for size in (curve.tiny if quick else curve.sizes)]
    sizes, costs = [float(size) for size, _ in points], [cost for _, cost in points]
    return {
        "sizes": sizes,
        "ms": [cost * 1e3 for cost in costs],
        "exponent": exponent(sizes, costs),
        "exponent_of_largest": exponent(sizes[-3:], costs[-3:]),
    }


# Memory ------------------------------------------------------------------------------------------------------------------------------------


class Sampler(nyala.callbacks.Callback):
    """Notes memory now and then; a callback that wants every batch."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.every = max(batches // SAMPLES, 1)
        self.points: list[tuple[int, float, float]] = []  # batches so far, own memory, resident memory

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if (batch + 1) % self.every == 0:
            self.points.append((batch + 1, own_mb(), rss_mb()))


def curve_of(sampler: Sampler, megabytes: float) -> dict[str, Any]:
    """Memory while so much data passed, and how many times what it was after the warm-up own memory became."""
    batches, own, resident = (list(column) for column in zip(*sampler.points, strict=True))
    after = own[int(len(own) * WARM_UP) :]
    scale = megabytes / batches[-1]
    return {"read_mb": [count * scale for count in batches], "own_mb": own, "rss_mb": resident, "growth": max(after) / after[0]}


def from_generator(megabytes: float, batch: int) -> dict[str, Any]:
    """One epoch of batches made on the way."""
    model, count = dense(WIDTH), max(int(megabytes * 2**20) // (batch * WIDTH * 4), 2 * 10)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for _ in range(count):
            yield floats(batch, WIDTH), labels(batch)

    sampler = Sampler(count)
    model.fit(batches(), steps_per_epoch=count, callbacks=[sampler], verbose=0)
    return curve_of(sampler, megabytes)


def from_file(megabytes: float, batch: int) -> dict[str, Any]:
    """One epoch over a mapped file, in order. What goes on the device whole is limited to half of it, as it would be if it were huge."""
    rows = max(int(megabytes * 2**20) // (WIDTH * 4), 2 * 10 * batch)
    model, piece = dense(WIDTH), floats(min(rows, 4096), WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "rows.f32"
        with path.open("wb") as file:
            for start in range(0, rows, len(piece)):
                file.write(piece[: rows - start].tobytes())
        x = np.memmap(path, np.float32, "r", shape=(rows, WIDTH))
        sampler = Sampler(rows // batch)
        with mock.patch.object(loop, "RESIDENT_BYTES", min(x.nbytes // 2, loop.RESIDENT_BYTES)):
            model.fit(x, labels(rows), batch_size=batch, shuffle=False, callbacks=[sampler], verbose=0)
        del x  # Windows keeps files that are mapped
    return curve_of(sampler, megabytes)


STREAMS = {"generator": from_generator, "file": from_file}


# What is shown -----------------------------------------------------------------------------------------------------------------------------


def draw(curves: dict[str, dict[str, Any]], streams: dict[str, dict[str, Any]], path: pathlib.Path) -> None:
    """One small picture per curve; a line shows the exponent of the largest sizes."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import EngFormatter, LogLocator, NullLocator

    columns = min(4, len(curves) + len(streams))
    lines = -(-(len(curves) + len(streams)) // columns)
    figure, axes = pyplot.subplots(lines, columns, figsize=(3.6 * columns, 3.1 * lines), squeeze=False, layout="constrained")
    places = iter(axes.flat)
    for name, got in curves.items():
        place, curve, sizes = next(places), CURVES[name], np.array(got["sizes"])
        place.loglog(sizes, got["ms"], "o", color="#1f4e79", markersize=5)
        slope = got["exponent_of_largest"]
        factor = np.exp(np.mean(np.log(got["ms"][-3:]) - slope * np.log(sizes[-3:])))
        place.loglog(sizes, factor * sizes**slope, "-", color="#c0504d", linewidth=1, zorder=0)
        place.set_title(f"{curve.title} ~ size$^{{{slope:.2f}}}$", fontsize=10)
        place.set(xlabel=curve.axis, ylabel="ms")
        place.set_xticks(sizes, [EngFormatter(places=0, sep="")(size) for size in sizes], fontsize=8)
        place.xaxis.set_minor_locator(NullLocator())
        place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        place.yaxis.set_major_formatter("{x:g}")
        place.yaxis.set_minor_locator(NullLocator())
    for name, got in streams.items():
        place = next(places)
        place.plot(got["read_mb"], got["rss_mb"], color="#9dbad7", label="resident")
        place.plot(got["read_mb"], got["own_mb"], color="#1f4e79", label="own")
        place.set_title(f"memory, data from a {name}: x {got['growth']:.2f}", fontsize=10)
        place.set(xlabel="MiB read", ylabel="MiB", ylim=(0, None))
        place.legend(frameon=False, fontsize=8, loc="lower left")
    for place in axes.flat:
        place.spines[["top", "right"]].set_visible(False)
        place.grid(alpha=0.25)
    for place in places:
        place.set_visible(False)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join([*CURVES, *STREAMS]), help="names of curves (all)")
    parser.add_argument("--megabytes", type=float, default=1024, help="how much data streams, from the generator and from a temporary file (1024)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--picture", type=pathlib.Path, help="PNG file to draw (needs matplotlib)")
    parser.add_argument("--json", type=pathlib.Path, help="file to write the figures to")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - {*CURVES, *STREAMS}:
        parser.error(f"no such curve: {', '.join(sorted(unknown))}")
    megabytes, batch = (2.0, 32) if options.quick else (options.megabytes, 256)
    curves, streams = {}, {}
    for name in STREAMS:  # first: what the curves leave free would hide growth
        if name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            streams[name] = STREAMS[name](megabytes, batch)
    for name in CURVES:
        if name in chosen:
            print(f"{name} ...", file=sys.stderr, flush=True)
            curves[name] = measure(CURVES[name], options.quick)
    if curves:
        rows = [
            [name, CURVES[name].axis, number(got["sizes"][0]), number(got["sizes"][-1]), number(got["ms"][0]), number(got["ms"][-1]),
             f"{got['exponent']:.2f}", f"{got['exponent_of_largest']:.2f}"]
            for name, got in curves.items()
        ]  # fmt: skip
        print(table(["time", "against", "from", "to", "ms", "to ms", "exponent", "of largest"], rows, words=2))
    if streams:
        rows = [
            [name, number(got["read_mb"][-1]), number(got["own_mb"][0]), number(got["own_mb"][-1]), f"{got['growth']:.2f}x",
             "flat" if got["growth"] <= FLAT else "grows" if got["growth"] > FLAT else "-"]
            for name, got in streams.items()
        ]  # fmt: skip
        print(table(["memory", "MiB read", "own MiB, first", "last", "growth", "so it"], rows))
    if options.json:
        record = {"machine": machine(), "engine": nyala.config.backend(), "curves": curves, "streams": streams}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(curves, streams, options.picture)


if __name__ == "__main__":
    main()
