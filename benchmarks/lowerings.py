# SPDX-License-Identifier: Apache-2.0
"""What each special lowering of the JAX engine gains alone: the same work without and with it, in turn.

    python benchmarks/lowerings.py                       all of them
    python benchmarks/lowerings.py --only relu,lstm      some

Each line is one experiment: two models of one seed in this process, one of them traced and run with a single lowering replaced by what JAX or the
composed ops would do, then timed A B A B. Settings that belong to a process (memory, the compile cache) are compared between child processes.
A ratio above 1 says what the lowering gains. Most of them are for CPUs; elsewhere both sides run the same program and the ratio is 1.
Start at LOWERINGS. A new lowering brings a row there.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import workloads
from jax import lax
from measure import HERE, child, in_turn, machine, seconds, table

import nyala
from nyala import layers
from nyala.core import twins
from nyala.engines import _jax_joined as joining
from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_windows as windows
from nyala.engines import jax as jax_engine
from nyala.engines._jax_fast import FAST

Measured = Callable[[], float]  # milliseconds of one measurement
Patch = Callable[[], AbstractContextManager]


class Lowering(NamedTuple):
    """One experiment.

    what: the work that is timed. pair: (whether quick) -> how to measure it without and with the lowering."""

    name: str
    what: str
    pair: Callable[[bool], tuple[Measured, Measured]]


# What stands in for a lowering -------------------------------------------------------------------------------------------------------------


def replaced(owner: Any, name: str, other: Any) -> Patch:
    """A patch: owner.name is `other`."""
    return lambda: mock.patch.object(owner, name, other)


def without_shortcut(name: str) -> Patch:
    """A patch: the composed body of an op runs, as in op.composed."""

    @contextlib.contextmanager
    def patch() -> Any:
        with mock.patch.dict(FAST):
            del FAST[name]
            yield

    return patch


def xla_kernel_gradient(x: Any, g: Any, *, spatial: Any, strides: Any, padding: Any, dilation: Any) -> Any:
    """The gradient by the kernel as XLA differentiates a convolution."""
    plain = lambda kernel: kernels.xla_convolution(x, kernel, strides, padding, (1,) * len(strides), dilation)  # noqa: E731
    return jax.linear_transpose(plain, jax.ShapeDtypeStruct((*spatial, x.shape[-1], g.shape[-1]), x.dtype))(g)[0]


def xla_max_of_tiles(x: Any, window: tuple[int, ...]) -> Any:
    """A maximum with XLA's gradient, select_and_scatter."""
    return lax.reduce_window(x, np.asarray(-np.inf, x.dtype), lax.max, (1, *window, 1), (1, *window, 1), "VALID")


# Experiments in this process ---------------------------------------------------------------------------------------------------------------


def repeated(run: Callable[[], Any], count: int, patch: Patch) -> Measured:
    """Milliseconds of one of `count` steps of run(). Tracing happens here, under the patch, which stays on while it is timed."""
    twins.forget()  # an equal model would take over the programs of the one without the patch
    with patch():
        run()
        run()  # the number of steps in a dispatch is known now

    def measured() -> float:
        with patch():
            return seconds(run) / count * 1e3

    return measured


def steps(model: Any, x: np.ndarray, y: np.ndarray, batch: int, patch: Patch, **options: Any) -> Measured:
    """Milliseconds of a training step."""
    return repeated(lambda: model.fit(x, y, batch_size=batch, verbose=0, **options), len(x) // batch, patch)


def predictions(model: Any, x: np.ndarray, y: np.ndarray, batch: int, patch: Patch) -> Measured:
    """Milliseconds of predicting a batch, one of many."""
    return repeated(lambda: model.predict(x, batch_size=batch, verbose=0), len(x) // batch, patch)


def pair_of_steps(make: Callable[[bool], tuple[Any, np.ndarray, np.ndarray, int]], patch: Patch) -> Callable[[bool], tuple[Measured, Measured]]:
    """Training steps of a model and its data; make: (whether quick) -> (model, x, y, batch)."""
    return lambda quick: (steps(*make(quick), patch), steps(*make(quick), contextlib.nullcontext))


def pair_of_predictions(make: Callable[[bool], tuple[Any, np.ndarray, np.ndarray, int]], patch: Patch) -> Callable[[bool], tuple[Measured, Measured]]:
    """The same of predictions."""
    return lambda quick: (predictions(*make(quick), patch), predictions(*make(quick), contextlib.nullcontext))


NO_KERNELS = replaced(kernels, "available", lambda: False)
NO_MINIMAL = replaced(kernels, "minimal_pays", lambda *_: False)
NOT_JOINED = replaced(joining, "joined", lambda function: function)
NOT_JOINED_IN_STEPS = replaced(joining, "differentiable", lambda function: function)


def both(*patches: Patch) -> Patch:
    """One patch of several."""

    @contextlib.contextmanager
    def patch() -> Any:
        with contextlib.ExitStack() as stack:
            for each in patches:
                stack.enter_context(each())
            yield

    return patch


def pair_without_kernels(
    make: Callable[[bool], tuple[Any, np.ndarray, np.ndarray, int]], patch: Patch
) -> Callable[[bool], tuple[Measured, Measured]]:
    """Training steps on a machine without a compiler, where no kernel takes over what this lowering is for."""
    return lambda quick: (steps(*make(quick), both(NO_KERNELS, patch)), steps(*make(quick), NO_KERNELS))


def workload(name: str, batches: int) -> Callable[[bool], tuple[Any, np.ndarray, np.ndarray, int]]:
    """A workload of workloads.py over so many batches."""

    def make(quick: bool) -> tuple[Any, np.ndarray, np.ndarray, int]:
        full = workloads.SIZES[name]
        size = workloads.quick(full) if quick else full._replace(rows=full.batch * batches)
        return workloads.build(nyala, name, size), *workloads.data(name, size), size.batch

    return make


def images(
    make_layers: Callable[[], list[Any]], side: int, channels: int, batch: int = 32
) -> Callable[[bool], tuple[Any, np.ndarray, np.ndarray, int]]:
    """Layers on images of random numbers, averaged and classified."""

    def make(quick: bool) -> tuple[Any, np.ndarray, np.ndarray, int]:
        pixels, rows = (8, 2) if quick else (side, batch)
        parts = [nyala.Input((pixels, pixels, channels)), *make_layers(), layers.GlobalAveragePooling2D(), layers.Dense(10)]
        model = nyala.Sequential(parts)
        model.compile("sgd", nyala.losses.SparseCategoricalCrossentropy(from_logits=True))
        rng = np.random.default_rng(0)
        x = rng.normal(size=(4 * rows, pixels, pixels, channels)).astype("float32")
        return model, x, rng.integers(0, 10, 4 * rows), rows

    return make


def pointwise() -> list[Any]:
    return [layers.Conv2D(256, 1, activation="relu"), layers.Conv2D(64, 1)]


def depthwise() -> list[Any]:
    return [layers.Conv2D(64, 1), layers.Conv2D(64, 3, padding="same", groups=64)]


def three_by_three() -> list[Any]:
    return [layers.Conv2D(128, 3, padding="same", activation="relu") for _ in range(3)]


def overlapping() -> list[Any]:
    return [layers.Conv2D(64, 1), layers.MaxPooling2D(3, 2, padding="same")]


def gru(quick: bool) -> tuple[Any, np.ndarray, np.ndarray, int]:
    """The LSTM workload with a GRU."""
    _, x, y, batch = workload("lstm", 10)(quick)
    parts = [layers.Embedding(workloads.WORDS, workloads.UNITS), layers.GRU(workloads.UNITS), layers.Dense(1, activation="sigmoid")]
    model = nyala.Sequential([nyala.Input((workloads.TIMES,)), *parts])
    model.compile("adam", "binary_crossentropy")
    return model, x, y, batch


def one_row(quick: bool) -> tuple[Measured, Measured]:
    """Predictions of one row, with every call taking the long way, and with the look-up by shape."""

    def measured(direct: bool) -> Measured:
        model, x, _, _ = workload("mlp", 1)(quick)
        row, calls = x[:1].copy(), 3 if quick else 200
        model.predict(row, verbose=0)
        if not direct:
            model._programs.remember = lambda *_: None
            model._programs.direct.clear()
        return lambda: statistics.median(seconds(lambda: model.predict(row, verbose=0)) for _ in range(calls)) * 1e3

    return measured(False), measured(True)


class EveryBatch(nyala.callbacks.Callback):
    """Wants to see each batch, so that each step is a dispatch of its own."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.seen = batch


def dispatches(quick: bool) -> tuple[Measured, Measured]:
    """Steps one by one and many in a dispatch."""
    make = workload("tiny", 300)
    return steps(*make(quick), contextlib.nullcontext, callbacks=[EveryBatch()]), steps(*make(quick), contextlib.nullcontext)


# Experiments between processes -------------------------------------------------------------------------------------------------------------


def in_child(figure: str, name: str, quick: bool, scale: float, **settings: str) -> Measured:
    """A figure of workloads.py, run with these environment variables."""
    arguments = [HERE / "workloads.py", "nyala", name, *(["--quick"] if quick else [])]
    return lambda: child(arguments, NYALA_BACKEND="jax", **settings)[figure] * scale


def memory_settings(quick: bool) -> tuple[Measured, Measured]:
    """Training steps with the C library's own way with large blocks, and with ours."""
    run = functools.partial(in_child, "step_ms", "tiny" if quick else "transformer", quick, 1.0)
    return run(NYALA_MALLOC="default"), run(NYALA_MALLOC="")


FOLDERS = contextlib.ExitStack()  # lives until the process ends


def compile_cache(quick: bool) -> tuple[Measured, Measured]:
    """The first fit of a process that compiles, and of one that finds what another has compiled."""
    folder = FOLDERS.enter_context(tempfile.TemporaryDirectory())
    run = functools.partial(in_child, "first_s", "tiny" if quick else "cnn", True, 1e3)
    cached = run(XDG_CACHE_HOME=folder, LOCALAPPDATA=folder)  # on macOS the user's own folder
    cached()
    return run(NYALA_COMPILE_CACHE="off"), cached


LOWERINGS = (
    *(Lowering(f"kernels-{name}", f"{name} step: kernels of its own", pair_of_steps(workload(name, batches), NO_KERNELS))
      for name, batches in (("mlp", 50), ("cnn", 20), ("lstm", 10), ("transformer", 10), ("autoencoder", 50), ("resnet50", 2))),
    Lowering("minimal", "step of 3x3 convolutions: minimal filtering", pair_of_steps(images(three_by_three, 28, 128, 8), NO_MINIMAL)),
    *(Lowering(f"joined-{name}", f"{name} predict: convolutions joined", pair_of_predictions(workload(name, batches), NOT_JOINED))
      for name, batches in (("cnn", 20), ("resnet50", 2))),
    Lowering("joined-step", "cnn step: convolutions joined", pair_of_steps(workload("cnn", 20), NOT_JOINED_IN_STEPS)),
    Lowering("convolution", "cnn step: not by YNNPACK",
             pair_without_kernels(workload("cnn", 20), replaced(jax_engine, "_compiler_options", lambda: None))),
    Lowering("kernel-gradient", "cnn step: kernel gradient as a correlation",
             pair_without_kernels(workload("cnn", 20), replaced(kernels, "kernel_gradient_as_correlation", xla_kernel_gradient))),
    Lowering("pointwise", "step of 1x1 convolutions: as products",
             pair_of_steps(images(pointwise, 28, 64), replaced(windows, "_correlate", kernels.xla_convolution))),
    Lowering("depthwise", "step of a 3x3 depthwise convolution: as slices",
             pair_of_steps(images(depthwise, 28, 64), replaced(windows, "_correlate", kernels.xla_convolution))),
    Lowering("pooling", "cnn step: max pooling with its own gradient",
             pair_of_steps(workload("cnn", 20), replaced(windows, "_max_of_tiles", xla_max_of_tiles))),
    Lowering("overlapping-pooling", "step of 3x3 pooling by 2: as slices",
             pair_of_steps(images(overlapping, 56, 64), replaced(windows, "LARGEST_UNROLLED_WINDOW", 0))),
    Lowering("relu", "cnn step: relu as a maximum", pair_of_steps(workload("cnn", 20), without_shortcut("relu"))),
    Lowering("lstm", "lstm step: gradient of its own", pair_of_steps(workload("lstm", 10), without_shortcut("lstm_sequence"))),
    Lowering("gru", "gru step: gradient of its own", pair_of_steps(gru, without_shortcut("gru_sequence"))),
    Lowering("rows", "transformer step: products of rows",
             pair_without_kernels(workload("transformer", 10), replaced(jax_engine.JaxEngine, "matmul", lambda _, x, y: jnp.matmul(x, y)))),
    Lowering("memory", "transformer step: large blocks kept", memory_settings),
    Lowering("look-up", "mlp predict of one row: direct look-up", one_row),
    Lowering("dispatch", "tiny step: many in a dispatch", dispatches),
    Lowering("cache", "cnn first fit: compiled by another process", compile_cache),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(lowering.name for lowering in LOWERINGS), help="names of lowerings (all)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="tiny sizes and one round, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="file to write the table to")
    parser.add_argument("--json", type=pathlib.Path, help="file to write the figures to")
    options = parser.parse_args()
    chosen = options.only.split(",")
    if unknown := set(chosen) - {lowering.name for lowering in LOWERINGS}:
        parser.error(f"no such lowering: {', '.join(sorted(unknown))}")
    rows, results = [], {}
    with nyala.backend("jax"), FOLDERS:
        for lowering in LOWERINGS:
            if lowering.name not in chosen:
                continue
            print(f"{lowering.name} ...", file=sys.stderr, flush=True)
            nyala.utils.set_random_seed(0)
            without, having = lowering.pair(options.quick)
            got = in_turn({"without": without, "with": having}, 1 if options.quick else options.rounds)
            ratio = got["without"] / got["with"]
            results[lowering.name] = {**got, "ratio": ratio}
            rows.append([lowering.name, lowering.what, f"{got['without']:.3f}", f"{got['with']:.3f}", f"{ratio:.2f}x"])
    shown = table(["lowering", "work", "without, ms", "with, ms", "gain"], rows, words=2)
    print(shown)
    if options.markdown:
        options.markdown.write_text(f"{machine()}, JAX {jax.__version__}\n\n{shown}\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "jax": jax.__version__, "lowerings": results}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
