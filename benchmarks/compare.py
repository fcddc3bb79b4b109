# SPDX-License-Identifier: Apache-2.0
"""Workloads on several peers in turn, A B C A B C: medians, and how many times better the first peer is than each other.

    python benchmarks/compare.py --rounds 5 --markdown table.md \\
        nyala=PYTHON:nyala:jax keras-jax=PYTHON:keras:jax keras-tf=PYTHON:keras:tensorflow torch=PYTHON:torch:-

A peer is NAME=PYTHON:LIBRARY:ENGINE. PYTHON is the interpreter of an environment that has the library (nothing: this one);
LIBRARY and the workloads are those of workloads.py; ENGINE goes to NYALA_BACKEND and KERAS_BACKEND, - sets neither.
Only figures of one run belong together: on shared machines absolute times drift. Accelerators are hidden unless CUDA_VISIBLE_DEVICES is set.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import sys
from typing import Any, NamedTuple

from measure import HERE, child, machine, number, table

WORKLOADS = ("tiny", "mlp", "cnn", "lstm", "transformer", "autoencoder", "resnet50")
FIGURES = {  # name -> what the table calls it
    "import_s": "import, s", "first_s": "first fit, s", "step_ms": "train step, ms", "one_ms": "predict one row, ms", "rows_s": "predict, rows/s",
    "rss_mb": "peak memory, MiB", "gflops_s": "train step, GFLOP/s", "share": "share of peak",
}  # fmt: skip
MORE_IS_BETTER = ("rows_s", "gflops_s", "share")
COMPARED = ("import_s", "first_s", "step_ms", "one_ms", "rows_s", "rss_mb")  # the others follow from the time of a step

Medians = dict[str, dict[str, float]]  # peer -> figure -> median


class Peer(NamedTuple):
    """Who is measured."""

    name: str
    python: str
    library: str
    engine: str

    def run(self, workload: str, quick: bool) -> dict[str, Any]:
        """The figures of one process."""
        settings = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "")}
        if self.engine != "-":
            settings |= {"NYALA_BACKEND": self.engine, "KERAS_BACKEND": self.engine}
        return child([HERE / "workloads.py", self.library, workload, *(["--quick"] if quick else [])], self.python, **settings)


def as_peer(text: str) -> Peer:
    """NAME=PYTHON:LIBRARY:ENGINE. PYTHON may hold colons, as paths on Windows do."""
    name, equals, rest = text.partition("=")
    python, *others = rest.rsplit(":", 2)
    if not equals or not name or len(others) != 2:
        raise argparse.ArgumentTypeError(f"a peer is NAME=PYTHON:LIBRARY:ENGINE, got {text!r}")
    return Peer(name, python or sys.executable, *others)


def measure(workload: str, peers: list[Peer], rounds: int, quick: bool) -> Medians:
    """Medians of all rounds; who fails is said on the error stream and has none."""
    got: dict[str, list[dict[str, Any]]] = {}
    for _ in range(rounds):
        for peer in peers:
            try:
                got.setdefault(peer.name, []).append(peer.run(workload, quick))
            except (RuntimeError, OSError, ValueError) as error:
                print(f"{workload} {peer.name}: failed: {error}", file=sys.stderr, flush=True)
    return {name: {figure: statistics.median(run[figure] for run in runs) for figure in FIGURES} for name, runs in got.items() if runs}


def better(figure: str, first: float, other: float) -> float:
    """How many times better the first is: above 1 it wins."""
    return first / other if figure in MORE_IS_BETTER else other / first


def rows_of(workload: str, medians: Medians, peers: list[Peer]) -> list[list[str]]:
    """Lines of the table: each figure of each peer, with the ratio to the first, and the ratio to the best of the others."""
    first, rows = medians.get(peers[0].name), []
    for figure, label in FIGURES.items():
        cells, ratios = [], []
        for peer in peers:
            value = medians.get(peer.name, {}).get(figure)
            text = number(value)
            if text != "-" and first is not None and peer is not peers[0] and figure in COMPARED:
                ratios.append(better(figure, first[figure], value))
                text += f" ({ratios[-1]:.2f}x)"
            cells.append(text)
        rows.append([f"{workload}: {label}", *cells, f"{min(ratios):.2f}x" if ratios else "-"])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="+", type=as_peer, metavar="NAME=PYTHON:LIBRARY:ENGINE")
    parser.add_argument("--work", default=",".join(WORKLOADS), help="names of workloads (all)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a few rows, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="file to write the table to")
    parser.add_argument("--json", type=pathlib.Path, help="file to write the medians to")
    options = parser.parse_args()
    peers: list[Peer] = options.peers
    head = [f"median of {options.rounds}", *(peer.name for peer in peers), f"{peers[0].name} to best other"]
    rows, results = [], {}
    for workload in options.work.split(","):
        results[workload] = medians = measure(workload, peers, options.rounds, options.quick)
        new = rows_of(workload, medians, peers)
        rows += new
        print(table(head, new), "\n", sep="", flush=True)
    note = f"{machine()}. In brackets: how many times better {peers[0].name} is."
    if options.markdown:
        options.markdown.write_text(f"{note}\n\n{table(head, rows)}\n", encoding="utf-8")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rounds": options.rounds, "medians": results}, indent=1) + "\n", encoding="utf-8")
    return 0 if all(peer.name in medians for medians in results.values() for peer in peers) else 1


if __name__ == "__main__":
    sys.exit(main())
