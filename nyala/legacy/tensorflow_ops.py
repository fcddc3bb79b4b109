# SPDX-License-Identifier: Apache-2.0
"""Operations of TensorFlow in graphs of tf.keras 2 (TFOpLambda, SlicingOpLambda), as ops of Nyala. A fixed table; others are refused."""

from __future__ import annotations

from typing import Any

from nyala.core.errors import LookupFailed

# Name in tf -> (op, {argument of tf: argument of the op}); positional arguments stay in their places.
_AXES = {"axis": "axis", "keepdims": "keepdims"}
_X, _XY = {"x": "x"}, {"x": "x1", "y": "x2"}
_REDUCED = {"input_tensor": "x", **_AXES}

OPS: dict[str, tuple[str, dict[str, str]]] = {
    **{f"math.{name}": (name, _X) for name in ("abs", "sign", "exp", "log", "log1p", "sqrt", "rsqrt", "square", "sin", "cos", "tan", "tanh",
                                               "sigmoid", "floor", "ceil", "round", "erf", "reciprocal", "softplus", "negative", "expm1",
                                               "sinh", "cosh")},
    **{f"math.{name}": (name, _XY) for name in ("add", "subtract", "multiply", "maximum", "minimum", "floordiv", "greater", "greater_equal", "less",
                                               "less_equal", "equal", "not_equal", "logical_and", "logical_or")},
    **{f"math.reduce_{name}": (name, _REDUCED) for name in ("sum", "mean", "max", "min", "prod", "logsumexp", "any", "all")},
    "math.reduce_std": ("std", _REDUCED),
    "math.reduce_variance": ("var", _REDUCED),
    "math.truediv": ("true_divide", _XY),
    "math.divide": ("true_divide", _XY),
    "math.pow": ("power", _XY),
    "math.mod": ("mod", _XY),
    "math.floormod": ("mod", _XY),
    "math.logical_not": ("logical_not", _X),
    "math.l2_normalize": ("normalize", {"x": "x", "axis": "axis"}),
    "math.argmax": ("argmax", {"input": "x", "axis": "axis"}),
    "math.argmin": ("argmin", {"input": "x", "axis": "axis"}),
    "abs": ("abs", _X),
    "cast": ("cast", {"x": "x", "dtype": "dtype"}),
    "clip_by_value": ("clip", {"t": "x", "clip_value_min": "x_min", "clip_value_max": "x_max"}),
    "concat": ("concatenate", {"values": "xs", "axis": "axis"}),
    "einsum": ("einsum", {}),
    "expand_dims": ("expand_dims", {"input": "x", "axis": "axis"}),
    "linalg.matmul": ("matmul", {"a": "x1", "b": "x2"}),
    "nn.elu": ("elu", {"features": "x"}),
    "nn.gelu": ("gelu", {"features": "x", "approximate": "approximate"}),
    "nn.leaky_relu": ("leaky_relu", {"features": "x", "alpha": "negative_slope"}),
    "nn.relu": ("relu", {"features": "x"}),
    "nn.relu6": ("relu6", {"features": "x"}),
    "nn.sigmoid": ("sigmoid", _X),
    "nn.silu": ("silu", {"features": "x"}),
    "nn.softmax": ("softmax", {"logits": "x", "axis": "axis"}),
    "nn.softplus": ("softplus", {"features": "x"}),
    "nn.swish": ("silu", {"features": "x"}),
    "nn.tanh": ("tanh", _X),
    "ones_like": ("ones_like", {"input": "x"}),
    "pow": ("power", _XY),
    "repeat": ("repeat", {"input": "x", "repeats": "repeats", "axis": "axis"}),
    "reshape": ("reshape", {"tensor": "x", "shape": "newshape"}),
    "reverse": ("flip", {"tensor": "x", "axis": "axis"}),
    "squeeze": ("squeeze", {"input": "x", "axis": "axis"}),
    "stack": ("stack", {"values": "x", "axis": "axis"}),
    "tile": ("tile", {"input": "x", "multiples": "repeats"}),
    "transpose": ("transpose", {"a": "x", "perm": "axes"}),
    "where": ("where", {"condition": "condition", "x": "x1", "y": "x2"}),
    "zeros_like": ("zeros_like", {"input": "x"}),
    **{f"__operators__.{name}": (name, _XY) for name in ("add", "subtract", "multiply")},
}  # fmt: skip


def op_of(function: Any, layer: str) -> tuple[str, dict[str, str]]:
    """The op that stands for a function of tf, and the names of its arguments."""
    function = str(function).removeprefix("compat.v1.")
    if function not in OPS:
        raise LookupFailed(
            f"the config of {layer!r}",
            need="an operation of TensorFlow that is in the table",
            got=f"tf.{function}",
            why="a file may name only what is known here",
            fix="build the model with nyala.ops, and load the weights alone: model.load_weights(path)",
        )
    return OPS[function]


def index_of(spec: Any) -> Any:
    """The key of x[key], from the slice_spec of a SlicingOpLambda."""
    return [_part(part) for part in spec] if isinstance(spec, list) else _part(spec)


def _part(part: Any) -> Any:
    if isinstance(part, dict) and {"start", "stop", "step"} <= set(part):
        return {"class_name": "__slice__", "config": {k: part[k] for k in ("start", "stop", "step")}}
    if (isinstance(part, dict) and part.get("class_name") == "__ellipsis__") or part in ("...", "Ellipsis"):
        return {"class_name": "__ellipsis__", "config": None}
    return part
