# SPDX-License-Identifier: Apache-2.0
"""How long a training step, the prediction of one row and the first fit take, for three small networks.

    python benchmarks/train_and_predict.py                 Nyala on its default engine
    python benchmarks/train_and_predict.py --engine torch  on another
    python benchmarks/train_and_predict.py --library keras the same code on Keras, in an environment that has it (KERAS_BACKEND chooses its engine)

Prints one line per network with medians of several epochs. Absolute times depend on the machine and on what else it does:
compare ratios of runs that were made in turn.
"""

from __future__ import annotations

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZES = {"tiny": (9600, 32), "mlp": (19200, 128), "cnn": (6400, 128)}  # samples, batch


def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs and targets of a network."""
    rng, (samples, _) = np.random.default_rng(0), SIZES[name]
    shape = {"tiny": (9,), "mlp": (784,), "cnn": (28, 28, 1)}[name]
    x = rng.normal(size=(samples, *shape)).astype("float32")
    return x, rng.normal(size=(samples, 1)).astype("float32") if name == "tiny" else rng.integers(0, 10, samples).astype("int32")


def build(library: Any, name: str) -> Any:
    """A compiled model."""
    layers = library.layers
    if name == "tiny":
        parts = [library.Input((9,)), layers.Dense(32, activation="relu"), layers.Dense(128, activation="relu"), layers.Dense(1)]
    elif name == "mlp":
        parts = [
            library.Input((784,)),
            layers.Dense(512, activation="relu"),
            layers.Dense(512, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    else:
        parts = [
            library.Input((28, 28, 1)), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(64, 3,
            activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(64, 3, activation="relu"), layers.Flatten(), layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
        ]  # fmt: skip
    model = library.Sequential(parts)
    model.compile(
        optimizer="adam", loss="mse" if name == "tiny" else "sparse_categorical_crossentropy", metrics=["mae"] if name == "tiny" else ["accuracy"]
    )
    return model


def seconds(function: Callable[[], Any]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def measure(library: Any, name: str, epochs: int) -> dict[str, float]:
    """Milliseconds of the first fit, a training step and the prediction of one row; rows predicted per second."""
    (x, y), batch = data(name), SIZES[name][1]
    model = build(library, name)
    first = seconds(lambda: model.fit(x[:batch], y[:batch], batch_size=batch, verbose=0))
    model.fit(x, y, batch_size=batch, verbose=0)
    step = statistics.median(seconds(lambda: model.fit(x, y, batch_size=batch, verbose=0)) for _ in range(epochs)) / (len(x) // batch)
    model.predict(x[:1], verbose=0)
    one = statistics.median(seconds(lambda: model.predict(x[:1], verbose=0)) for _ in range(50))
    model.predict(x, batch_size=batch, verbose=0)
    rows = len(x) / statistics.median(seconds(lambda: model.predict(x, batch_size=batch, verbose=0)) for _ in range(3))
    return {"first fit, ms": first * 1e3, "step, ms": step * 1e3, "predict one, ms": one * 1e3, "rows/s": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--library", default="nyala")
    parser.add_argument("--engine", help="name of the engine")
    parser.add_argument("--networks", default=",".join(SIZES))
    parser.add_argument("--epochs", type=int, default=5)
    options = parser.parse_args()
    if options.engine:
        os.environ["NYALA_BACKEND"] = os.environ["KERAS_BACKEND"] = options.engine
    began = time.perf_counter()
    library = importlib.import_module(options.library)
    print(f"import {options.library}: {(time.perf_counter() - began) * 1e3:.0f} ms")
    for name in options.networks.split(","):
        figures = measure(library, name, options.epochs)
        print(
            f"{name:6s} " + "  ".join(f"{label} {value:,.3g}" if value < 1000 else f"{label} {value:,.0f}" for label, value in figures.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
