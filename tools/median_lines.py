# SPDX-License-Identifier: Apache-2.0
"""How many lines of code a layer and an op have, docstrings, comments and blank lines apart: python tools/median_lines.py.

A class counts with the lines of its body, a function with its own; what it shares with others counts where it stands. Start at lines_of.
"""

from __future__ import annotations

import ast
import inspect
import pathlib
import statistics
import sys
import textwrap
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def lines_of(thing: Any) -> int:
    """Lines with code in the source of a class or function, without docstrings and comments."""
    source = textwrap.dedent(inspect.getsource(thing))
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.expr) and not isinstance(getattr(node, "value", None), str) and hasattr(node, "lineno"):
            lines.update((node.lineno, node.end_lineno or node.lineno))
        elif isinstance(node, ast.stmt) and not _is_docstring(node):
            lines.add(node.lineno)
    return len(lines)


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def main() -> None:
    from nyala import layers, ops
    from nyala.layers.names import FILES

    public = {name for listed in FILES.values() for name in listed if name[0].isupper()} - {"Input", "InputSpec", "Layer"}
    kinds = {getattr(layers, name) for name in public}
    functions = {inspect.unwrap(getattr(ops, name)) for name in dir(ops) if getattr(getattr(ops, name), "is_op", False)}
    for what, group in (("layers", kinds), ("ops", functions)):
        counts = sorted(lines_of(thing) for thing in group)
        print(f"{what}: {len(counts)}, median {statistics.median(counts):g} lines, mean {statistics.fmean(counts):.1f}, largest {counts[-1]}")


if __name__ == "__main__":
    main()
