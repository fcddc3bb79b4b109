# SPDX-License-Identifier: Apache-2.0
"""Famous networks on several libraries and engines in turn: how long they take to build, for one image and for a batch, and their memory.

    python benchmarks/applications.py --rounds 3 nyala=:nyala:jax keras-jax=PYTHON:keras:jax keras-tf=PYTHON:keras:tensorflow
    python benchmarks/applications.py --only EfficientNetB7,ConvNeXtXLarge --build nyala=:nyala:jax

Peers are those of compare.py. Every round is a process of its own. Images have 224 x 224 pixels, weights are drawn. Figures:

    build, s          of the first network in the process; for Keras this includes the programs that draw its weights
    build again, s    of the second
    memory / weights  the most memory that building took, by that of the weights
    first image, s    prediction of one image, compilation included
    one image, ms     the same later, median
    images/s          in a batch of 32

Start at figures.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pathlib
import statistics
import sys
from typing import Any

import numpy as np
from compare import Peer, as_peer
from measure import child, machine, median_seconds, number, peak_mb, rss_mb, seconds, table

NETWORKS = ("ResNet50", "MobileNetV2", "EfficientNetB0")
FIGURES = {
    "build_s": "build, s",
    "again_s": "build again, s",
    "memory": "memory / weights",
    "first_s": "first image, s",
    "one_ms": "one image, ms",
    "images_s": "images/s",
}
BATCH = 32


def figures(library: str, network: str, build_only: bool, quick: bool) -> dict[str, float]:
    """What is measured in this process."""
    module = importlib.import_module(library)
    function = getattr(module.applications, network)
    arguments: dict[str, Any] = {"weights": None, "input_shape": (32, 32, 3)} if quick else {"weights": None}
    made: list[Any] = []
    before = rss_mb()
    build_s = seconds(lambda: made.append(function(**arguments)))
    model = made[0]
    weights = 4 * model.count_params() / 2**20
    found = {"build_s": build_s, "memory": (peak_mb() - before) / weights}
    if build_only:
        return found
    found["again_s"] = seconds(lambda: made.append(function(**arguments)))
    images = np.random.default_rng(0).random((BATCH, *model.input_shape[1:]), dtype="float32")
    found["first_s"] = seconds(lambda: model.predict(images[:1], verbose=0))
    found["one_ms"] = 1e3 * median_seconds(lambda: model.predict(images[:1], verbose=0), 2 if quick else 20)
    found["images_s"] = BATCH / median_seconds(lambda: model.predict(images, batch_size=BATCH, verbose=0), 1 if quick else 3)
    return found


def measured(network: str, peer: Peer, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one process of a peer."""
    settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
    settings |= {"NYALA_BACKEND": peer.engine, "KERAS_BACKEND": peer.engine}
    step = json.dumps([peer.library, network, options.build, options.quick])
    return child([pathlib.Path(__file__), "--figures", step], peer.python, **settings)


def rows_of(network: str, medians: dict[str, dict[str, float]], peers: list[Peer]) -> list[list[str]]:
    """Lines of the table; in brackets how many times better the first peer is."""
    rows, first = [], medians.get(peers[0].name, {})
    for figure, label in FIGURES.items():
        values = [medians.get(peer.name, {}).get(figure) for peer in peers]
        if all(value is None for value in values):
            continue
        cells = [number(values[0])]
        for value in values[1:]:
            ratio = None if value is None or figure not in first else first[figure] / value if figure == "images_s" else value / first[figure]
            cells.append(number(value) + ("" if ratio is None else f" ({ratio:.2f}x)"))
        rows.append([f"{network}: {label}", *cells])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", type=as_peer, metavar="NAME=PYTHON:LIBRARY:ENGINE")
    parser.add_argument("--only", default=",".join(NETWORKS), help="names of networks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--build", action="store_true", help="building alone")
    parser.add_argument("--quick", action="store_true", help="small images, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="file to write the table to")
    parser.add_argument("--figures", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.figures:
        print(json.dumps({name: float(f"{value:.5g}") for name, value in figures(*json.loads(options.figures)).items()}))
        return 0
    peers = options.peers or [as_peer("nyala=:nyala:jax")]
    rows, failed = [], False
    for network in options.only.split(","):
        got: dict[str, list[dict[str, float]]] = {peer.name: [] for peer in peers}
        for _ in range(options.rounds):
            for peer in peers:
                try:
                    got[peer.name].append(measured(network, peer, options))
                except (RuntimeError, OSError, ValueError) as error:
                    failed = True
                    print(f"{network} {peer.name}: failed: {error}", file=sys.stderr, flush=True)
        medians = {name: {key: statistics.median(run[key] for run in runs) for key in runs[0]} for name, runs in got.items() if runs}
        rows += rows_of(network, medians, peers)
    shown = table([f"median of {options.rounds}", *(peer.name for peer in peers)], rows)
    print(shown)
    if options.markdown:
        options.markdown.write_text(f"{machine()}. In brackets: how many times better {peers[0].name} is.\n\n{shown}\n", encoding="utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
