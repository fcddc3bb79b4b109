# SPDX-License-Identifier: Apache-2.0
"""What a program of old computes with, found by reading it: one that calls functions of TensorFlow needs that engine. Start at first_call."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator

# What programs use of TensorFlow around the computing: settings, data, files, types.
AROUND = {
    "Graph", "Session", "Tensor", "TensorShape", "TensorSpec", "autograph", "compat", "config", "data", "debugging", "device", "distribute", "dtypes",
    "errors", "executing_eagerly", "experimental", "get_default_graph", "get_logger", "global_variables_initializer", "io", "keras", "logging",
    "random", "reset_default_graph", "saved_model", "set_random_seed", "summary", "sysconfig", "test", "train", "version", "bfloat16", "bool",
    "float16", "float32", "float64", "int16", "int32", "int64", "int8", "string", "uint16", "uint8", "ConfigProto", "GPUOptions",
    "enable_eager_execution", "disable_eager_execution", "enable_v2_behavior",
}  # fmt: skip

# Beside them, what takes models and needs that engine.
OF_MODELS = {("train", "Checkpoint"), ("train", "CheckpointManager"), ("saved_model", "save")}


def first_call(source: str | bytes) -> tuple[str, int] | None:
    """The first function of TensorFlow's own that a program computes with, and its line; None if there is none.

    >>> first_call("import tensorflow as tf\\nmodel = tf.keras.Sequential()\\nwith tf.GradientTape() as tape:\\n    pass")
    ('tf.GradientTape', 3)
    >>> first_call("import tensorflow as tf\\ndata = tf.data.Dataset.range(3)")
    """
    try:
        parsed = ast.parse(source)
    except (SyntaxError, ValueError):  # Python will say what is wrong
        return None
    aliases = {name for name, module, _ in _imports(parsed) if module == "tensorflow"}
    found = [(name, line) for name, module, line in _imports(parsed) if module.startswith("tensorflow.") and _computes(module.split(".")[1])]
    for node in ast.walk(parsed):
        names = _dotted(node)
        if names[0] in aliases and ((len(names) == 2 and _computes(names[1])) or names[1:] in OF_MODELS):
            found.append((".".join(names), getattr(node, "lineno", 0)))
    return min(found, key=lambda pair: pair[1], default=None)


def _dotted(node: ast.AST) -> tuple[str, ...]:
    """The names of an expression that is names with dots between them, else one that nothing has."""
    if isinstance(node, ast.Attribute):
        return (*_dotted(node.value), node.attr)
    return (node.id,) if isinstance(node, ast.Name) else ("",)


def _computes(name: str) -> bool:
    return name not in AROUND and not name.startswith("_")


def _imports(parsed: ast.Module) -> Iterator[tuple[str, str, int]]:
    """(name in the program, what it is, line) of all imports."""
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            for item in node.names:
                yield item.asname or item.name.split(".")[0], item.name if item.asname else item.name.split(".")[0], node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for item in node.names:
                yield item.asname or item.name, f"{node.module}.{item.name}", node.lineno


def is_installed() -> bool:
    """Whether TensorFlow itself is there."""
    return importlib.util.find_spec("tensorflow") is not None
