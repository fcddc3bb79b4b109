# SPDX-License-Identifier: Apache-2.0
"""What dividing a batch costs on one CPU: step time without a distribution, on one, two and eight devices of it, and in two processes.

    python benchmarks/distribution.py --markdown table.md

Devices and processes of one CPU share its cores, so nothing can become faster here: what is measured is what the division itself costs.
Each figure is of a process of its own, in turn, and a median.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from measure import child, in_turn, machine, number, seconds, table
from workloads import SIZES, build, data, quick

WAYS = {"alone": (0, 1), "1 device": (1, 1), "2 devices": (2, 1), "8 devices": (8, 1), "2 processes": (1, 2)}  # devices of each process, processes
WORKLOADS = ["mlp", "cnn", "lstm", "transformer"]


def step_ms(workload: str, small: bool, devices: int, processes: int, number_of_process: int, port: str) -> float:
    """Milliseconds of a step, in this process."""
    import nyala

    if processes > 1:
        nyala.distribution.initialize(f"127.0.0.1:{port}", processes, number_of_process)
    if devices:
        nyala.distribution.set_distribution(nyala.distribution.DataParallel())
    size = quick(SIZES[workload]) if small else SIZES[workload]
    x, y = data(workload, size)
    model = build(nyala, workload, size)
    fit: Callable[[], object] = lambda: model.fit(x, y, batch_size=size.batch, verbose=0)  # noqa: E731
    fit()
    return min(seconds(fit) for _ in range(1 if small else 4)) / (len(x) // size.batch) * 1e3


def measured(workload: str, way: str, small: bool) -> float:
    """Milliseconds of a step, in processes of their own."""
    devices, processes = WAYS[way]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    flags = f"--xla_force_host_platform_device_count={devices}" if devices > 1 else ""

    def one(process: int) -> float:
        arguments = [__file__, "--child", workload, devices, processes, process, port, *["--quick"] * small]
        return child(list(map(str, arguments)), XLA_FLAGS=flags, NYALA_BACKEND="jax")["step_ms"]

    with ThreadPoolExecutor(processes) as team:
        return max(team.map(one, range(processes)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=WORKLOADS, metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), metavar="WAY", help=f"of {', '.join(WAYS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs")
    parser.add_argument("--markdown", type=pathlib.Path, help="write the table to this file")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        workload, devices, processes, process, port = options.child
        print(json.dumps({"step_ms": step_ms(workload, options.quick, int(devices), int(processes), int(process), port)}))
        return
    rows = []
    for workload in options.only:
        ways = {way: lambda way=way, workload=workload: measured(workload, way, options.quick) for way in options.ways}
        found = in_turn(ways, 1 if options.quick else options.rounds)
        first = found[options.ways[0]]
        rows.append([workload, *(f"{number(ms)} ({ms / first:.2f}x)" for ms in found.values())])
        print(*rows[-1], file=sys.stderr, flush=True)
    shown = table(["step, ms", *options.ways], rows)
    print(machine(), "", shown, sep="\n")
    if options.markdown:
        options.markdown.write_text(shown + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
