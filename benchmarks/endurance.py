# SPDX-License-Identifier: Apache-2.0
"""Whether memory stays flat and compilations few over 2,000 predictions of all sizes, and over 50 models built, trained and dropped.

    python benchmarks/endurance.py          prints a line for every hundred calls and every ten models

Exits with 1 if own memory grows by more than 10 % after the warm-up, or if more programs are compiled than the bounds below allow.
On engines that compile nothing there are no programs to count.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
from measure import own_mb

import nyala
from nyala import layers
from nyala.core.transforms import Program

GROWTH = 1.1  # own memory may become so many times what it was after the warm-up
LARGEST = 300  # rows of a prediction, at most
BATCH = 32  # predict's own
PREDICT_SIZES = [2**power for power in range(int(math.log2(BATCH)) + 1)]  # rows of a single batch: 1, 2, 4, ..., 32
PREDICT_PROGRAMS = len(PREDICT_SIZES) + 1  # and two batches at once, where there are eight or more
PROGRAMS_OF_A_FIT = 2  # batches of the full size; what is left over at the end
RANDOM = np.random.default_rng(0)


class Counts:
    """Programs that were given to the engine to compile, and how often it traced one. Keeps none of them alive."""

    programs = traces = 0


@contextmanager
def counted() -> Iterator[Counts]:
    """Counts what is compiled in this block."""
    counts, compile_program, run_program = Counts(), Program._compile, Program.__call__

    def compile_and_count(self: Program) -> None:
        counts.programs += 1
        compile_program(self)

    def run_and_count(self: Program, *args: Any) -> Any:
        before = self.traces
        try:
            return run_program(self, *args)
        finally:
            counts.traces += self.traces - before

    with mock.patch.object(Program, "_compile", compile_and_count), mock.patch.object(Program, "__call__", run_and_count):
        yield counts


def model_of(width: int) -> nyala.Model:
    """A small network with a convolution, a normalization and dropout."""
    model = nyala.Sequential([
        nyala.Input((12, width)),
        layers.Conv1D(16, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.Dropout(0.1),
        layers.Flatten(),
        layers.Dense(32, activation="relu"),
        layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def predictions(width: int) -> Callable[[], object]:
    """One call of predict: first with a number of rows for each program, then with numbers drawn at random."""
    model, x = model_of(width), RANDOM.normal(size=(LARGEST, 12, width)).astype("float32")
    sizes = itertools.chain(PREDICT_SIZES, [LARGEST], iter(lambda: int(RANDOM.integers(1, LARGEST + 1)), 0))
    return lambda: model.predict(x[: next(sizes)], verbose=0)


def rebuilds(width: int) -> Callable[[], object]:
    """A new model, trained for two epochs and dropped."""
    x, y = RANDOM.normal(size=(100, 12, width)).astype("float32"), RANDOM.integers(0, 3, 100)

    def round_of() -> None:
        model_of(width).fit(x, y, batch_size=BATCH, epochs=2, verbose=0)
        gc.collect()  # a model is a cycle of references

    return round_of


def endure(what: str, once: Callable[[], object], times: int, every: int, warm_up: int, bound: int) -> list[str]:
    """Run it so many times, print memory and programs, and return what is wrong.

    bound: of programs compiled, and of traces."""
    with counted() as counts:
        start, before = math.nan, own_mb()
        for done in range(1, times + 1):
            once()
            if done == warm_up or done % every == 0:
                gc.collect()
                now = own_mb()
                start = now if done == warm_up else start
                print(f"{what} {done:5d}: {before:8.1f} -> {now:8.1f} MiB, {counts.programs} programs, {counts.traces} traces", flush=True)
                before = now
    growth = before / start
    print(f"{what}: {growth:.3f} times the memory after the warm-up; {counts.programs} programs, {counts.traces} traces, at most {bound}")
    faults = []
    if growth > GROWTH:
        faults.append(f"{what}: memory grew to {growth:.2f} times what it was after {warm_up} calls")
    if max(counts.programs, counts.traces) > bound:
        faults.append(f"{what}: {counts.programs} programs and {counts.traces} traces, at most {bound} were expected")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=2000, help="how many calls, at least 100 (2000)")
    parser.add_argument("--rebuilds", type=int, default=50, help="how many models, at least 5 (50)")
    parser.add_argument("--quick", action="store_true", help="100 predictions and 5 models, to see that it runs")
    options = parser.parse_args()
    calls, models, width = (100, 5, 3) if options.quick else (max(options.predictions, 100), max(options.rebuilds, 5), 8)
    faults = endure("predict", predictions(width), calls, calls // 20, calls // 10, PREDICT_PROGRAMS)
    faults += endure("rebuild", rebuilds(width), models, models // 5, models // 5, PROGRAMS_OF_A_FIT)  # equal models share them
    for fault in faults:
        print(f"FAILED {fault}")
    print("failed" if faults else "memory is flat, compilations are bounded")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
