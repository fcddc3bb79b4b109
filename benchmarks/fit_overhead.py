# SPDX-License-Identifier: Apache-2.0
"""What fit costs beside a loop written by hand on the same engine, per workload and per kind of data.

    python benchmarks/fit_overhead.py [--quick] [--rounds 5] [--only mlp] [--markdown table.md]

The loop by hand is the least that trains the same model: batches cut from arrays, a compiled step with nyala.value_and_grad, no metrics or callbacks,
no checks. So the ratio says what all of those cost together; below 1 fit is faster, because it keeps arrays on the device and runs many steps in
one dispatch. NYALA_BACKEND chooses the engine. Ratios of one run belong together; see README.md. Start at loop_by_hand and FEEDS.
"""

from __future__ import annotations

import argparse
import importlib.util
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from measure import in_turn, machine, number, seconds, table
from workloads import LOSSES, SIZES, Size, build, data, quick

import nyala
from nyala import ops

WORKLOADS = ("tiny", "mlp", "cnn", "lstm", "transformer", "autoencoder")


def loop_by_hand(model: Any, loss: Any, batch: int) -> Callable[[np.ndarray, np.ndarray], None]:
    """An epoch of training, as short as it can be written with what the engine offers."""
    variables = model.trainable_variables
    optimizer = nyala.optimizers.Adam()
    optimizer.build(variables)

    @nyala.jit
    def step(x: Any, y: Any) -> Any:
        (value, _), gradients = nyala.value_and_grad(lambda: (ops.mean(loss(y, model(x, training=True))), None), variables)()
        optimizer.apply(gradients, variables)
        return value

    def epoch(x: np.ndarray, y: np.ndarray) -> None:
        order = np.random.default_rng(0).permutation(len(x))
        value = None
        for start in range(0, len(x) - batch + 1, batch):
            chosen = order[start : start + batch]
            value = step(x[chosen], y[chosen])
        ops.convert_to_numpy(value)  # waits for the last step

    return epoch


# Kinds of data: (x, y, rows in a batch) -> what fit gets first, and its other arguments ------------------------------------------------------


def _generator(x: np.ndarray, y: np.ndarray, batch: int) -> Iterator[tuple]:
    while True:
        for start in range(0, len(x) - batch + 1, batch):
            yield x[start : start + batch], y[start : start + batch]


class _Batches(nyala.utils.PyDataset):
    """Batches by number."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch: int, workers: int) -> None:
        super().__init__(workers=workers)
        self.x, self.y, self.batch = x, y, batch

    def __len__(self) -> int:
        return len(self.x) // self.batch

    def __getitem__(self, index: int) -> tuple:
        rows = slice(index * self.batch, (index + 1) * self.batch)
        return self.x[rows], self.y[rows]


def _arrays(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    return x, {"y": y, "batch_size": batch}


def _lists(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    return x.tolist(), {"y": y.tolist(), "batch_size": batch}


def _mapped(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    path = pathlib.Path(folder) / "x.npy"
    np.save(path, x)
    return np.load(path, mmap_mode="r"), {"y": y, "batch_size": batch}


def _stream(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    return _generator(x, y, batch), {"steps_per_epoch": len(x) // batch}


def _by_number(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    return _Batches(x, y, batch, 1), {}


def _by_workers(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    return _Batches(x, y, batch, 2), {}


def _frame(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    import pandas

    return pandas.DataFrame(x.reshape(len(x), -1)), {"y": y, "batch_size": batch}


def _loader(x: np.ndarray, y: np.ndarray, batch: int, folder: str) -> tuple[Any, dict]:
    import torch

    pairs = torch.utils.data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    return torch.utils.data.DataLoader(pairs, batch_size=batch, shuffle=True, drop_last=True), {}


FEEDS: dict[str, tuple[str | None, Callable[[np.ndarray, np.ndarray, int, str], tuple[Any, dict]]]] = {  # name -> (package needed, maker)
    "arrays": (None, _arrays),
    "lists": (None, _lists),
    "mapped file": (None, _mapped),
    "generator": (None, _stream),
    "PyDataset": (None, _by_number),
    "PyDataset, 2 workers": (None, _by_workers),
    "pandas": ("pandas", _frame),
    "torch DataLoader": ("torch", _loader),
}


def overhead(workload: str, size: Size, rounds: int, feeds: list[str]) -> dict[str, float]:
    """Milliseconds of a step by hand, and of fit for each kind of data."""
    x, y = data(workload, size)
    steps = len(x) // size.batch
    x, y = x[: steps * size.batch], y[: steps * size.batch]
    model = build(nyala, workload, size)
    by_hand = loop_by_hand(model, nyala.losses.get(LOSSES.get(workload, "sparse_categorical_crossentropy")), size.batch)
    with tempfile.TemporaryDirectory() as folder:
        functions: dict[str, Callable[[], Any]] = {"by hand": lambda: by_hand(x, y)}
        for name in feeds:
            package, make = FEEDS[name]
            if (package and importlib.util.find_spec(package) is None) or (name == "pandas" and x.ndim != 2):
                continue
            given, options = make(x, y, size.batch, folder)
            net = build(nyala, workload, size)
            functions[name] = lambda net=net, given=given, options=options: net.fit(given, verbose=0, **options)
        for function in functions.values():
            function()  # compiles
        found = in_turn({name: lambda function=function: seconds(function) for name, function in functions.items()}, rounds)
        functions.clear()  # a mapped file must be closed before its folder goes
    return {name: 1e3 * value / steps for name, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few rows, to see that it runs")
    parser.add_argument("--rounds", type=int, default=5, help="epochs measured of each (5)")
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=WORKLOADS, help="workloads")
    parser.add_argument("--feeds", nargs="+", choices=FEEDS, default=list(FEEDS), help="kinds of data")
    parser.add_argument("--markdown", help="a file to write the table to")
    options = parser.parse_args()
    rows = []
    for workload in options.only:
        size = quick(SIZES[workload]) if options.quick else SIZES[workload]
        found = overhead(workload, size, 1 if options.quick else options.rounds, options.feeds)
        hand = found.pop("by hand")
        rows += [[workload, name, number(hand), number(value), number(value / hand)] for name, value in found.items()]
    head = ["workload", "data", "by hand, ms a step", "fit, ms a step", "fit / by hand"]
    text = f"{nyala.config.backend()}, {machine()}\n\n{table(head, rows, words=2)}\n"
    print(text)
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
