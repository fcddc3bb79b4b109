# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: time, memory, child processes, fitted exponents and tables.

It knows no library that is measured; NumPy and the standard library are enough.
"""

from __future__ import annotations

import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

HERE = pathlib.Path(__file__).parent


def seconds(function: Callable[[], Any]) -> float:
    """How long one call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def median_seconds(function: Callable[[], Any], rounds: int) -> float:
    """Median time of several calls, after one that does not count."""
    function()
    return statistics.median(seconds(function) for _ in range(rounds))


def in_turn(functions: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Medians of what the functions return, called A B C A B C, so that what else the machine does meets all of them alike."""
    got: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            got[name].append(function())
    return {name: statistics.median(values) for name, values in got.items()}


# Memory of this process, in MiB; nan where the system does not tell ----------------------------------------------------------------------


def _status(field: str) -> float:
    """A line of Linux's /proc/self/status."""
    try:
        with open("/proc/self/status") as file:
            return next((int(line.split()[1]) / 1024 for line in file if line.startswith(f"{field}:")), math.nan)
    except OSError:
        return math.nan


def rss_mb() -> float:
    """Resident memory now, pages of mapped files included."""
    found = _status("VmRSS")
    if math.isnan(found) and os.name == "posix":
        shown = subprocess.run(["ps", "-o", "rss=", "-p", str(os.getpid())], capture_output=True, text=True).stdout.strip()
        return int(shown) / 1024 if shown else math.nan
    return found


def own_mb() -> float:
    """Resident memory now without pages of mapped files, which the system takes back when it needs them (all of it, where it cannot be told)."""
    found = _status("RssAnon")
    return rss_mb() if math.isnan(found) else found


def peak_mb() -> float:
    """The most memory that was resident so far."""
    found = _status("VmHWM")
    if math.isnan(found) and os.name == "posix":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)
    return found


# Child processes ---------------------------------------------------------------------------------------------------------------------------


def child(arguments: Sequence[str | pathlib.Path], python: str = sys.executable, **settings: str) -> dict[str, Any]:
    """The JSON line that a script of this folder prints last, run in a process of its own with these environment variables."""
    run = subprocess.run([python, *map(str, arguments)], env={**os.environ, **settings}, capture_output=True, text=True, encoding="utf-8")
    if run.returncode:
        lines = run.stderr.strip().splitlines() or [f"exit status {run.returncode}"]
        raise RuntimeError(lines[-1])
    return json.loads(run.stdout.strip().splitlines()[-1])


# What is shown -----------------------------------------------------------------------------------------------------------------------------


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The p of cost = c size^p that fits best on logarithmic axes, by least squares.

    >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    x, y = [math.log(size) for size in sizes], [math.log(cost) for cost in costs]
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def number(value: float | None) -> str:
    """Three digits, or all of a large number."""
    if value is None or math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """A Markdown table that reads well as plain text: the first columns, of words, to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(f"{c:<{w}}" if i < words else f"{c:>{w}}" for i, (c, w) in enumerate(zip(cells, widths, strict=True))) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if i < words else ":") for i, width in enumerate(widths)) + "|"
    return "\n".join([line(head), rule, *map(line, rows)])


def machine() -> str:
    """The machine and the Python of this run, in one line."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), model)
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
