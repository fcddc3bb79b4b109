# SPDX-License-Identifier: Apache-2.0
"""InputSpec: what a layer accepts, and the check that says what to do about anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nyala.core import dtypes, tree
from nyala.core.audit import looks_through
from nyala.core.errors import ArgumentError, NyalaError, ShapeError


class InputSpec:
    """Ranks, sizes and dtype that a layer accepts.

    Args:
        dtype: required dtype.
        shape: required shape, None where any size will do.
        ndim, max_ndim, min_ndim: required number of axes.
        axes: {axis: size} required.
        allow_last_axis_squeeze: accept one more or one fewer last axis of size 1.
        name: key expected where inputs are a dict.
        optional: whether None will do.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Sequence[int | None] | None = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtypes.standardize_dtype(dtype) if dtype is not None else None
        self.shape = tuple(shape) if shape is not None else None
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(k): v for k, v in axes.items()} if axes else {}
        self.allow_last_axis_squeeze, self.name, self.optional = allow_last_axis_squeeze, name, optional
        limit = self.ndim if self.ndim is not None else max_ndim
        if self.axes and limit is not None and max(self.axes) >= limit:
            raise ArgumentError("InputSpec(axes)", need=f"axes below {limit}", got=f"{max(self.axes)}")

    def __repr__(self) -> str:
        parts = [f"{k}={v}" for k in ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes") if (v := getattr(self, k))]
        return f"InputSpec({', '.join(parts)})"

    def get_config(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes", "optional")}

    @classmethod
    @looks_through
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        return cls(**config)


def check_inputs(specs: Any, inputs: Any, layer: Any) -> None:
    """Raise ShapeError unless inputs (tensors or symbolic tensors) fit the specs of the layer."""
    expected = tree.flatten(specs)
    where = f"{type(layer).__name__} {layer.name!r}"
    if isinstance(inputs, dict) and all(spec.name for spec in expected):
        missing = [spec.name for spec in expected if spec.name not in inputs and not spec.optional]
        if missing:
            raise ShapeError(where, need=f"inputs named {[s.name for s in expected]}", got=f"{sorted(inputs)}", fix=f"add {missing}")
        given = [inputs.get(spec.name) for spec in expected]
    else:
        given = tree.flatten(inputs)
    if len(given) != len(expected):
        raise ShapeError(where, need=f"{len(expected)} input{'s' * (len(expected) != 1)}", got=f"{len(given)}")
    for i, (spec, x) in enumerate(zip(expected, given, strict=True)):
        if spec is not None and not (x is None and spec.optional):
            _check(spec, x, where if len(expected) == 1 else f"{where}, input {i}", layer)


def _check(spec: InputSpec, x: Any, where: str, layer: Any) -> None:
    if x is None:
        raise ShapeError(where, need="a tensor", got="None")
    if not hasattr(x, "shape"):
        raise ShapeError(where, need="a tensor", got=f"{type(x).__name__}", fix="pass arrays or tensors")
    shape, ndim = tuple(x.shape), len(x.shape)
    got = f"shape {_shown(shape)}"
    if spec.ndim is not None and ndim != spec.ndim and not spec.allow_last_axis_squeeze:
        raise _rank_error(where, f"an input with {spec.ndim} axes", spec.ndim, ndim, got, spec)
    if spec.max_ndim is not None and ndim > spec.max_ndim:
        raise _rank_error(where, f"an input with at most {spec.max_ndim} axes", spec.max_ndim, ndim, got, spec)
    if spec.min_ndim is not None and ndim < spec.min_ndim:
        raise _rank_error(where, f"an input with at least {spec.min_ndim} axes", spec.min_ndim, ndim, got, spec)
    if spec.dtype is not None and dtypes.standardize_dtype(x.dtype) != spec.dtype:
        raise ShapeError(where, need=f"dtype {spec.dtype}", got=dtypes.standardize_dtype(x.dtype))
    for axis, size in spec.axes.items():
        if size is not None and -ndim <= axis < ndim and shape[axis] is not None and shape[axis] != size:
            place = "last axis" if axis in (-1, ndim - 1) else f"axis {axis}"
            raise size_error(where, layer, place, size, shape)
    if spec.shape is not None:
        for axis, size in enumerate(spec.shape[:ndim]):
            if size is not None and shape[axis] is not None and shape[axis] != size:
                raise ShapeError(where, need=f"an input of shape {_shown(spec.shape)}", got=got)


def size_error(where: str, layer: Any, place: str, size: int, shape: tuple) -> NyalaError:
    """An axis has the wrong size; say which weights need it."""
    kernel = getattr(layer, "kernel", None)
    built = f"its kernel was built with shape {tuple(kernel.shape)} at the first call" if kernel is not None else "it was built for that size"
    channels = {1: "grey", 3: "colour (RGB)", 4: "RGBA"}
    got_size = shape[-1] if place == "last axis" else None
    if len(shape) == 4 and got_size in channels and size in channels:
        fix = f"these look like {channels[got_size]} images where {channels[size]} ones are wanted: convert them"
    else:
        fix = (
            f"feed it {size} features, or make a new {type(layer).__name__} for {got_size}" if got_size is not None else f"feed it size {size} there"
        )
    return ShapeError(where, need=f"an input whose {place} is {size}", got=f"shape {_shown(shape)}", why=built, fix=fix)


def _rank_error(where: str, need: str, wanted: int, ndim: int, got: str, spec: InputSpec) -> NyalaError:
    fix = ""
    if ndim == wanted - 1:
        fix = (
            "add the batch axis to a single sample, x[None]; or the channels axis to grey images, x[..., None]"
            if wanted >= 4
            else "add the missing axis: x[None] for a single sample, x[..., None] for one feature"
        )
    elif ndim > wanted:
        fix = "flatten or reshape it, or wrap the layer in TimeDistributed"
    return ShapeError(where, need=need, got=f"{ndim} ({got})", why="the first axis is the batch", fix=fix)


def _shown(shape: tuple) -> tuple:
    """Shapes as users write them: stand-ins for unknown sizes as None."""
    from nyala.core.symbolic import plain_shape

    return plain_shape(shape)
