# SPDX-License-Identifier: Apache-2.0
"""One workload on one library, in this process: prints one line of JSON.

    python benchmarks/workloads.py nyala mlp        library: nyala, keras or torch (plain PyTorch: a loop written by hand, channels last)

Nyala and Keras run the very same code; NYALA_BACKEND or KERAS_BACKEND chooses the engine. The figures:

    import_s    seconds until the library's layers are there
    first_s     seconds of the first fit of one batch, compilation included
    step_ms     milliseconds of a training step: median over epochs of the time of a fit by its steps
    one_ms      milliseconds of the prediction of one row, median
    rows_s      rows predicted in a second, in batches
    rss_mb      the most memory that was resident, MiB
    gflops      10^9 additions and multiplications in the matrix products and convolutions of a step; counted, not measured
    gflops_s    gflops by step_ms
    peak_gflops_s   the same for a large float32 matrix product in this process: the limit of the machine
    share       gflops_s by peak_gflops_s

Start at measure_library. A new workload is a row in SIZES, `data`, `build`, `build_torch` and `products`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from measure import median_seconds, peak_mb, seconds


class Size(NamedTuple):
    """How much is done: rows of data, rows in a batch, epochs measured, single rows predicted, pixels of an image's side."""

    rows: int
    batch: int
    epochs: int = 5
    singles: int = 50
    pixels: int = 224


SIZES = {
    "tiny": Size(9600, 32),
    "mlp": Size(19200, 128),
    "cnn": Size(6400, 128),
    "lstm": Size(1600, 32),
    "transformer": Size(640, 32),
    "autoencoder": Size(6400, 128),
    "resnet50": Size(24, 8, epochs=2, singles=10),
}
LOSSES = {"tiny": "mse", "lstm": "binary_crossentropy", "autoencoder": "binary_crossentropy"}  # the others: sparse_categorical_crossentropy
WORDS, LENGTH, WIDTH, HEADS, HIDDEN, BLOCKS = 20000, 128, 128, 4, 512, 2  # of the transformer
TIMES, UNITS = 80, 128  # of the LSTM
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # of ResNet-50: blocks, filters
DENSE = {"tiny": (9, 32, 128, 1), "mlp": (784, 512, 512, 10), "autoencoder": (784, 128, 32, 128, 784)}


def quick(size: Size) -> Size:
    """Just enough to see that a workload runs."""
    return size._replace(rows=2 * 4, batch=4, epochs=1, singles=2, pixels=32)


def data(workload: str, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and targets."""
    rng, rows = np.random.default_rng(0), size.rows

    def floats(*shape: int) -> np.ndarray:
        return rng.normal(size=(rows, *shape)).astype("float32")

    def integers(top: int, *shape: int) -> np.ndarray:
        return rng.integers(0, top, (rows, *shape)).astype("int32")

    match workload:
        case "tiny":
            return floats(9), floats(1)
        case "mlp":
            return floats(784), integers(10)
        case "cnn":
            return floats(28, 28, 1), integers(10)
        case "lstm":
            return integers(WORDS, TIMES), integers(2, 1).astype("float32")
        case "transformer":
            return integers(WORDS, LENGTH), integers(2)
        case "autoencoder":
            pixels = rng.random((rows, 784), dtype="float32")
            return pixels, pixels
    return floats(size.pixels, size.pixels, 3), integers(1000)


# Nyala and Keras ---------------------------------------------------------------------------------------------------------------------------


def build(library: Any, workload: str, size: Size) -> Any:
    """The compiled model."""
    layers = library.layers
    match workload:
        case "tiny" | "mlp" | "autoencoder":
            first, *hidden, last = DENSE[workload]
            ending = {"tiny": None, "mlp": "softmax", "autoencoder": "sigmoid"}[workload]
            parts = [layers.Dense(width, activation="relu") for width in hidden]
            model = library.Sequential([library.Input((first,)), *parts, layers.Dense(last, activation=ending)])
        case "cnn":
            model = library.Sequential([
                library.Input((28, 28, 1)),
                layers.Conv2D(32, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2)),
                layers.Conv2D(64, (3, 3), activation="relu"),
                layers.MaxPooling2D((2, 2)),
                layers.Conv2D(64, (3, 3), activation="relu"),
                layers.Flatten(),
                layers.Dense(64, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ])  # fmt: skip
        case "lstm":
            parts = [layers.Embedding(WORDS, UNITS), layers.LSTM(UNITS), layers.Dense(1, activation="sigmoid")]
            model = library.Sequential([library.Input((TIMES,)), *parts])
        case "transformer":
            model = transformer(library, LENGTH)
        case _:
            inputs = {} if size.pixels == 224 else {"input_shape": (size.pixels, size.pixels, 3)}
            model = library.applications.ResNet50(weights=None, **inputs)
    loss = LOSSES.get(workload, "sparse_categorical_crossentropy")
    model.compile(optimizer="adam", loss=loss, metrics=["mae" if loss == "mse" else "accuracy"])
    return model


def transformer(library: Any, length: int) -> Any:
    """Two blocks of attention and a network of two layers over word embeddings; not compiled."""
    layers = library.layers
    inputs = library.Input((length,))
    x = layers.Embedding(WORDS, WIDTH)(inputs)
    for _ in range(BLOCKS):
        x = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(x, x)]))
        x = layers.LayerNormalization()(layers.Add()([x, layers.Dense(WIDTH)(layers.Dense(HIDDEN, activation="relu")(x))]))
    return library.Model(inputs, layers.Dense(2, activation="softmax")(layers.GlobalAveragePooling1D()(x)))


def measure_library(name: str, workload: str, size: Size, peak_size: int) -> dict[str, Any]:
    """The figures of Nyala or Keras."""
    library: Any = None

    def load() -> None:
        nonlocal library
        library = importlib.import_module(name)
        library.layers.Dense  # noqa: B018  lazy modules load here

    imported = seconds(load)
    (x, y), batch = data(workload, size), size.batch
    model = build(library, workload, size)

    def epoch() -> None:
        model.fit(x, y, batch_size=batch, verbose=0)

    first = seconds(lambda: model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0))
    step = median_seconds(epoch, size.epochs) / (size.rows // batch)
    one = median_seconds(lambda: model.predict(x[:1], verbose=0), size.singles)
    rows = size.rows / median_seconds(lambda: model.predict(x, batch_size=batch, verbose=0), 3)
    figures = {"import_s": imported, "first_s": first, "step_ms": step * 1e3, "one_ms": one * 1e3, "rows_s": rows, "rss_mb": peak_mb()}

    square = library.ops.convert_to_tensor(square_matrix(peak_size))
    corner = lambda: library.ops.convert_to_numpy(library.ops.matmul(square, square)[:1, :1])  # noqa: E731  waits for the product, copies little
    return {**identity(library, name, workload), **figures, **speed(workload, size, step, corner, peak_size)}


# Plain PyTorch -----------------------------------------------------------------------------------------------------------------------------


def build_torch(workload: str) -> Any:
    """The same network as a module that returns logits, as one would write it by hand."""
    from torch import nn
    from torch.nn import functional

    def chain(widths: tuple[int, ...]) -> nn.Module:
        parts = [part for a, b in itertools.pairwise(widths) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*parts[:-1])

    class Lstm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.lstm, self.out = nn.Embedding(WORDS, UNITS), nn.LSTM(UNITS, UNITS, batch_first=True), nn.Linear(UNITS, 1)

        def forward(self, x: Any) -> Any:
            return self.out(self.lstm(self.words(x))[0][:, -1])

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
            self.after_attention, self.after_dense = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.wide, self.narrow = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

        def forward(self, x: Any) -> Any:
            query, key, value = self.qkv(x).view(*x.shape[:2], 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape)
            x = self.after_attention(x + self.out(seen))
            return self.after_dense(x + self.narrow(functional.relu(self.wide(x))))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.blocks, self.out = nn.Embedding(WORDS, WIDTH), nn.Sequential(*(Block() for _ in range(BLOCKS))), nn.Linear(WIDTH, 2)

        def forward(self, x: Any) -> Any:
            return self.out(self.blocks(self.words(x)).mean(1))

    def normalized(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
        return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.BatchNorm2d(outputs))

    class Bottleneck(nn.Module):
        def __init__(self, inputs: int, filters: int, stride: int) -> None:
            super().__init__()
            narrow, middle = normalized(inputs, filters, 1, stride), normalized(filters, filters, 3)
            self.main = nn.Sequential(narrow, nn.ReLU(), middle, nn.ReLU(), normalized(filters, 4 * filters, 1))
            self.side = normalized(inputs, 4 * filters, 1, stride) if inputs != 4 * filters else nn.Identity()

        def forward(self, x: Any) -> Any:
            return functional.relu(self.main(x) + self.side(x))

    class ResNet50(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            blocks, channels = [], 64
            for stage, (count, filters) in enumerate(STAGES):
                for number in range(count):
                    blocks.append(Bottleneck(channels, filters, 2 if number == 0 and stage else 1))
                    channels = 4 * filters
            self.main = nn.Sequential(normalized(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1), *blocks)
            self.out = nn.Linear(channels, 1000)

        def forward(self, x: Any) -> Any:
            return self.out(self.main(x).mean((2, 3)))

    if workload in DENSE:
        return chain(DENSE[workload])
    if workload == "cnn":
        pools = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*pools, nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(), *chain((576, 64, 10)))
    return {"lstm": Lstm, "transformer": Transformer, "resnet50": ResNet50}[workload]()


def measure_torch(workload: str, size: Size, peak_size: int) -> dict[str, Any]:
    """The figures of a loop written by hand."""
    torch: Any = None

    def load() -> None:
        nonlocal torch
        torch = importlib.import_module("torch")
        importlib.import_module("torch.nn")

    imported = seconds(load)
    functional = torch.nn.functional
    device = "cuda" if torch.cuda.is_available() else "cpu"
    finish = torch.cuda.synchronize if device == "cuda" else lambda: None
    x, y = (torch.from_numpy(array).to(device) for array in data(workload, size))
    model = build_torch(workload).to(device)
    if x.ndim == 4:
        x = x.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        model = model.to(memory_format=torch.channels_last)
    losses = {"mse": functional.mse_loss, "binary_crossentropy": functional.binary_cross_entropy_with_logits}
    loss = losses.get(LOSSES.get(workload, ""), lambda logits, labels: functional.cross_entropy(logits, labels.long()))
    optimizer = torch.optim.Adam(model.parameters())

    def epoch(rows: int = size.rows) -> None:
        order = torch.randperm(rows, device=device)
        for start in range(0, rows, size.batch):
            chosen = order[start : start + size.batch]
            optimizer.zero_grad()
            loss(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
        finish()

    def predict(rows: int, batch: int) -> None:
        for start in range(0, rows, batch):
            model(x[start : start + batch])
        finish()

    first = seconds(lambda: epoch(size.batch))
    step = median_seconds(epoch, size.epochs) / (size.rows // size.batch)
    model.eval()
    with torch.inference_mode():
        one = median_seconds(lambda: predict(1, 1), size.singles)
        rows = size.rows / median_seconds(lambda: predict(size.rows, size.batch), 3)
    figures = {"import_s": imported, "first_s": first, "step_ms": step * 1e3, "one_ms": one * 1e3, "rows_s": rows, "rss_mb": peak_mb()}
    square = torch.from_numpy(square_matrix(peak_size)).to(device)
    return {**identity(torch, "torch", workload), **figures, **speed(workload, size, step, lambda: (square @ square)[:1, :1].cpu(), peak_size)}


# How much arithmetic a step is -------------------------------------------------------------------------------------------------------------


class Product(NamedTuple):
    """rows x inner @ inner x columns; a convolution is one with a row for each place of the kernel and `inner` numbers under it."""

    rows: int
    inner: int
    columns: int


def products(workload: str, size: Size) -> Iterator[Product]:
    """The matrix products of a forward pass over one batch, in order."""
    rows = size.batch
    match workload:
        case "tiny" | "mlp" | "autoencoder":
            widths = DENSE[workload]
            yield from (Product(rows, a, b) for a, b in itertools.pairwise(widths))
        case "cnn":
            yield Product(rows * 26 * 26, 3 * 3 * 1, 32)
            yield Product(rows * 11 * 11, 3 * 3 * 32, 64)
            yield Product(rows * 3 * 3, 3 * 3 * 64, 64)
            yield from (Product(rows, 576, 64), Product(rows, 64, 10))
        case "lstm":
            yield from (Product(rows * TIMES, UNITS, 4 * UNITS), Product(rows * TIMES, UNITS, 4 * UNITS), Product(rows, UNITS, 1))
        case "transformer":
            words, head = rows * LENGTH, WIDTH // HEADS
            for _ in range(BLOCKS):
                yield from (Product(words, WIDTH, 3 * WIDTH), Product(words * HEADS, head, LENGTH), Product(words * HEADS, LENGTH, head))
                yield from (Product(words, WIDTH, WIDTH), Product(words, WIDTH, HIDDEN), Product(words, HIDDEN, WIDTH))
            yield Product(rows, WIDTH, 2)
        case _:
            side, channels = -(-size.pixels // 2), 64
            yield Product(rows * side**2, 7 * 7 * 3, channels)
            side = -(-side // 2)
            for stage, (count, filters) in enumerate(STAGES):
                for number in range(count):
                    side = -(-side // 2) if number == 0 and stage else side
                    places = rows * side**2
                    if number == 0:
                        yield Product(places, channels, 4 * filters)
                    yield from (Product(places, channels, filters), Product(places, 9 * filters, filters), Product(places, filters, 4 * filters))
                    channels = 4 * filters
            yield Product(rows, channels, 1000)


def gflops_of_step(workload: str, size: Size) -> float:
    """10^9 operations in the products of a training step: forward, and as many for each of the gradients by both factors.

    Nobody needs the gradient by the data, which is a factor of the first product unless an embedding comes before."""
    counts = [2 * product.rows * product.inner * product.columns for product in products(workload, size)]
    return (3 * sum(counts) - (0 if workload in ("lstm", "transformer") else counts[0])) / 1e9


def square_matrix(size: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(size, size)).astype("float32")


def speed(workload: str, size: Size, step: float, product: Callable[[], Any], peak_size: int) -> dict[str, float]:
    """What a step of so many seconds reaches of what the machine can do; product multiplies two matrices of peak_size and waits for the result."""
    product()
    peak = 2 * peak_size**3 / min(seconds(product) for _ in range(5)) / 1e9
    gflops = gflops_of_step(workload, size)
    return {"gflops": gflops, "gflops_s": gflops / step, "peak_gflops_s": peak, "share": gflops / step / peak}


def identity(library: Any, name: str, workload: str) -> dict[str, str]:
    backend = name
    with contextlib.suppress(AttributeError):
        backend = library.config.backend()
    return {"library": name, "version": library.__version__, "engine": backend, "workload": workload}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", choices=("nyala", "keras", "torch"))
    parser.add_argument("workload", choices=SIZES)
    parser.add_argument("--quick", action="store_true", help="a few rows, to see that it runs")
    options = parser.parse_args()
    size = quick(SIZES[options.workload]) if options.quick else SIZES[options.workload]
    peak_size = 128 if options.quick else 2048
    if options.library == "torch":
        figures = measure_torch(options.workload, size, peak_size)
    else:
        figures = measure_library(options.library, options.workload, size, peak_size)
    print(json.dumps({name: value if isinstance(value, str) else float(f"{value:.5g}") for name, value in figures.items()}))


if __name__ == "__main__":
    main()
