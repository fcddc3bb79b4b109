# SPDX-License-Identifier: Apache-2.0
"""What it costs to train from each kind of data: the time of a step of fit, against the same numbers in NumPy arrays.

    python benchmarks/data_kinds.py --markdown data_kinds.md
    python benchmarks/data_kinds.py --only generator,threads,processes

All kinds give the same batches to the same small network, whose step is short, so that what feeding costs is seen. Arrays are put on the device whole
and run many steps a dispatch; "arrays, batch by batch" is the same path as that of streams, and what streams are to be compared with. Starting
processes is part of a fit, and of their figure. Kinds of libraries that are not installed are left out. Start at KINDS.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy as np
from measure import in_turn, machine, number, seconds, table

import nyala
from nyala import layers
from nyala.training import loop
from nyala.utils.batches import Dataset

WIDTH = 64
RANDOM = np.random.default_rng(0)


class Numbered(nyala.utils.PyDataset):
    """Batches of arrays, by number."""

    def __init__(self, x: np.ndarray, y: np.ndarray, batch: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.x, self.y, self.batch = x, y, batch

    def __len__(self) -> int:
        return len(self.x) // self.batch

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = slice(index * self.batch, (index + 1) * self.batch)
        return self.x[rows], self.y[rows]


class Data:
    """The numbers, in the forms that KINDS asks for.

    Args:
        steps, batch: how many batches there are, and their size.
        folder: for files.
    """

    def __init__(self, steps: int, batch: int, folder: pathlib.Path) -> None:
        self.steps, self.batch, self.folder = steps, batch, folder
        self.x, self.y = RANDOM.normal(size=(steps * batch, WIDTH)).astype("float32"), RANDOM.normal(size=(steps * batch, 1)).astype("float32")

    def numbered(self, **kwargs: Any) -> Numbered:
        return Numbered(self.x, self.y, self.batch, **kwargs)

    def generator(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while True:
            yield from (self.numbered()[i] for i in range(self.steps))

    def mapped(self) -> np.ndarray:
        np.save(self.folder / "x.npy", self.x)
        return np.load(self.folder / "x.npy", mmap_mode="r")

    def loader(self) -> Any:
        import torch

        rows = torch.utils.data.TensorDataset(torch.from_numpy(self.x), torch.from_numpy(self.y))
        return torch.utils.data.DataLoader(rows, batch_size=self.batch)

    def frame(self, library: str) -> Any:
        module = importlib.import_module(library)
        columns = {f"c{i}": self.x[:, i] for i in range(WIDTH)}
        return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)

    def sparse(self) -> Any:
        import scipy.sparse

        return scipy.sparse.csr_matrix(np.where(self.x > 1, self.x, 0))


# name -> what it is made of (a library that must be there, data -> (x, y), whether it is read batch by batch)
KINDS: dict[str, tuple[str | None, Callable[[Data], tuple[Any, Any]], bool]] = {
    "arrays": (None, lambda data: (data.x, data.y), False),
    "arrays, batch by batch": (None, lambda data: (data.x, data.y), True),
    "mapped file": (None, lambda data: (data.mapped(), data.y), True),
    "sparse": ("scipy", lambda data: (data.sparse(), data.y), True),
    "pandas": ("pandas", lambda data: (data.frame("pandas"), data.y), False),
    "polars": ("polars", lambda data: (data.frame("polars"), data.y), False),
    "pyarrow": ("pyarrow", lambda data: (data.frame("pyarrow"), data.y), False),
    "generator": (None, lambda data: (data.generator(), None), True),
    "PyDataset": (None, lambda data: (data.numbered(), None), True),
    "PyDataset, this thread": (None, lambda data: (data.numbered(workers=0), None), True),
    "PyDataset, 2 threads": (None, lambda data: (data.numbered(workers=2), None), True),
    "PyDataset, 2 processes": (None, lambda data: (data.numbered(workers=2, use_multiprocessing=True), None), True),
    "data set of rows": (None, lambda data: (Dataset.from_arrays((data.x, data.y)).batch(data.batch), None), True),
    "torch DataLoader": ("torch", lambda data: (data.loader(), None), True),
}


def network() -> nyala.Model:
    """A small network: its step takes less than feeding it may."""
    model = nyala.Sequential([nyala.Input((WIDTH,)), layers.Dense(32, "relu"), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def measured(kind: str, data: Data, epochs: int) -> Callable[[], float]:
    """A function that fits once more and returns the seconds of a step; what a first fit costs is not in it."""
    _, make, streams = KINDS[kind]
    model, (x, y) = network(), make(data)
    steps = {"steps_per_epoch": data.steps} if kind == "generator" else {}

    def fit() -> None:
        model.fit(x, y, batch_size=data.batch, epochs=epochs, shuffle=False, verbose=0, **steps)

    def run() -> float:
        with mock.patch.object(loop, "RESIDENT_BYTES", 0 if streams else loop.RESIDENT_BYTES):
            return seconds(fit) / (data.steps * epochs)

    run()
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="kinds whose name holds one of these words, separated by commas")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table there")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures there")
    options = parser.parse_args()
    steps, epochs, rounds = (4, 1, 1) if options.quick else (500, 4, options.rounds)
    words = options.only.split(",") if options.only else [""]
    chosen = [kind for kind in KINDS if kind.startswith("arrays") or any(word in kind for word in words)]
    chosen = [kind for kind in chosen if KINDS[kind][0] is None or importlib.util.find_spec(KINDS[kind][0] or "")]
    with tempfile.TemporaryDirectory() as folder:
        data = Data(steps, options.batch, pathlib.Path(folder))
        found = in_turn({kind: measured(kind, data, epochs) for kind in chosen}, rounds)
    base = found["arrays, batch by batch"]
    rows = [[kind, number(1e6 * s), number(1e6 * (s - found["arrays"])), number(s / base)] for kind, s in found.items()]
    shown = table(["kind", "microseconds a step", "more than arrays", "ratio to batch by batch"], rows)
    print(f"{machine()}, engine {nyala.backend.backend()}, batch {options.batch}\n\n{shown}")
    if options.markdown:
        options.markdown.write_text(shown + "\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "seconds": found}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
