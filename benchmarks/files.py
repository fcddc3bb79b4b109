# SPDX-License-Identifier: Apache-2.0
"""Time and memory of saving and loading a model of 500 MB in each format, beside Keras if an environment of it is named.

    python benchmarks/files.py --peer /env/bin/python --rounds 5 --markdown files.md

Every figure comes from a process of its own: the model is made, put on its engine and called once; then the call that is measured is made once, and
for the most memory that was resident during it what was resident before is taken off. After loading, one row is predicted, so that weights that
are moved to the engine when they are first used count: in "and first row". Files are written under names that are free, and are in the cache of the
system when they are read. After saving, the file is flushed to the disk, if the library did not do it: "and on the disk" is the time of both. Before
each call a GiB of memory is touched and given back, in the cache of files before saving, and the libraries take turns in going first.
Where this system cannot forget its largest use of memory so far, memory is an upper bound. Start at figures.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import json
import mmap
import os
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import numpy as np
from measure import HERE, child, machine, number, peak_mb, rss_mb, seconds, table

FORMATS = (".keras", ".weights.h5", ".h5", ".safetensors")
WHOLE = (".keras", ".h5")  # formats of whole models; the others hold weights
LAYERS, UNITS = 20, 2500  # 500 MB of float32
FIGURES = {
    "save_s": "save, s",
    "flushed_s": "and on the disk, s",
    "load_s": "load, s",
    "used_s": "and first row, s",
    "save_mb": "save, MiB",
    "load_mb": "load, MiB",
}  # memory beside the model


def model_of(library: Any, width: int, depth: int) -> Any:
    """Dense layers in a row, with numbers that differ, on the engine."""
    model = library.Sequential([library.Input((width,)), *(library.layers.Dense(width, kernel_initializer="zeros") for _ in range(depth))])
    block = np.random.default_rng(0).standard_normal((width, width), dtype="float32")
    for i, layer in enumerate(model.layers):
        layer.kernel.assign(block * (0.01 + i / 1000))
    first_row(model, width)
    return model


def first_row(model: Any, width: int) -> None:
    """Use every weight once."""
    np.asarray(model(np.ones((1, width), "float32")))


def flush(path: str) -> None:
    """Wait until a file is on the disk, and its name."""
    with open(path, "r+b") as file:
        os.fsync(file.fileno())
    if os.name == "posix":
        number = os.open(os.path.dirname(path), os.O_RDONLY)
        os.fsync(number)
        os.close(number)


def warm_memory() -> None:
    """Take a GiB and give it back: on a virtual machine pages that nobody used for long come from the host, ten times as slowly."""
    with mmap.mmap(-1, 1 << 30) as memory:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)  # as NumPy asks for
        for place in range(0, len(memory), mmap.PAGESIZE):
            memory[place] = 1


def warm_cache(folder: str) -> None:
    """The same for the cache of files, whose pages are not those that memory gives back."""
    piece = bytes(1 << 24)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(64):
            file.write(piece)


class Peak:
    """The most memory that was resident in a block, less what was there before it: `mb`."""

    mb = float("nan")

    def __enter__(self) -> Peak:
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # glibc: what is free goes back, so that it cannot hide what is taken
            ctypes.CDLL(None).malloc_trim(0)
        with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:  # Linux: the largest use is forgotten
            file.write("5")
        self.before = rss_mb()
        return self

    def __exit__(self, *_: object) -> None:
        self.mb = peak_mb() - self.before


def figures(library: str, suffix: str, action: str, path: str, width: int) -> dict[str, float]:
    """Time and memory of one call, in this process."""
    nn = importlib.import_module(library)
    whole = suffix in WHOLE
    with tempfile.TemporaryDirectory() as folder:  # what is imported when a format is first used
        tiny, file = model_of(nn, 3, 1), os.path.join(folder, f"tiny{suffix}")
        (tiny.save if whole else tiny.save_weights)(file)
        nn.models.load_model(file, compile=False) if whole else tiny.load_weights(file)
    if action == "save":
        model = model_of(nn, width, LAYERS)
        warm_cache(os.path.dirname(path))
        with Peak() as peak:
            took = seconds(lambda: (model.save if whole else model.save_weights)(path))
        flushed = seconds(lambda: flush(path))
        return {"save_s": took, "flushed_s": took + flushed, "save_mb": peak.mb}
    model = model_of(nn, width, 1 if whole else LAYERS)  # what is compiled for a row is there before
    size = model.count_params() * LAYERS * 4 / 2**20 if whole else 0.0
    warm_memory()
    with Peak() as peak:
        if whole:
            load = time.perf_counter()
            model = nn.models.load_model(path, compile=False)
            took = time.perf_counter() - load
        else:
            took = seconds(lambda: model.load_weights(path))
        used = seconds(lambda: first_row(model, width))
    return {"load_s": took, "used_s": took + used, "load_mb": peak.mb - size}


def measure(suffix: str, peers: dict[str, str], rounds: int, width: int, folder: str) -> dict[str, dict[str, float]]:
    """Medians of the figures of each peer, measured in turn. Who fails is said on the error stream and has none."""
    got: dict[str, dict[str, list[float]]] = {name: {} for name in peers}
    settings = {"NYALA_BACKEND": "jax", "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    for action in ("save", "load"):
        for turn in range(rounds):
            for name, python in list(peers.items())[:: -1 if turn % 2 else 1]:
                path = pathlib.Path(folder, f"{name}{suffix}")
                if action == "save":
                    path.unlink(missing_ok=True)  # who writes beside an old file needs memory of its own in the cache
                arguments = [HERE / "files.py", "--child", name, suffix, action, path, str(width)]
                try:
                    found = child(arguments, python, **settings)
                except (RuntimeError, OSError, ValueError) as error:
                    print(f"{name} {action} {suffix}: failed: {error}", file=sys.stderr, flush=True)
                    continue
                for figure, value in found.items():
                    got[name].setdefault(figure, []).append(value)
    return {name: {figure: statistics.median(values) for figure, values in found.items()} for name, found in got.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", metavar="PYTHON", help="interpreter of an environment with Keras and JAX")
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="where files are written (that of temporary files)")
    parser.add_argument("--quick", action="store_true", help="small layers, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="file to write the table to")
    parser.add_argument("--child", nargs=5, metavar=("LIBRARY", "FORMAT", "ACTION", "PATH", "WIDTH"), help="one measurement in this process")
    options = parser.parse_args()
    if options.child:
        *words, width = options.child
        print(json.dumps(figures(*words, int(width))))
        return 0
    peers = {"nyala": sys.executable, **({"keras": options.peer} if options.peer else {})}
    rows, failed = [], False
    for suffix in options.formats.split(","):
        able = {name: python for name, python in peers.items() if name == "nyala" or suffix != ".safetensors"}
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            found = measure(suffix, able, 1 if options.quick else options.rounds, 50 if options.quick else UNITS, folder)
        failed = failed or not all(set(FIGURES) == set(medians) for medians in found.values())
        rows += [[suffix, name, *(number(medians.get(figure)) for figure in FIGURES)] for name, medians in found.items()]
    shown = table(["format", "library", *FIGURES.values()], rows, words=2)
    print(shown, flush=True)
    if options.markdown:
        options.markdown.write_text(f"{machine()}. Median of {options.rounds}.\n\n{shown}\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
