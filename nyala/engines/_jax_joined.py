# SPDX-License-Identifier: Apache-2.0
"""Convolutions joined to what follows them, for the JAX engine on CPUs.

XLA writes a convolution to memory, reads it again to scale and shift its channels (bias, batch normalization), to add a residual, to apply relu, and
writes it again. The kernels of `_jax_kernels.py` do all that while a result is still in registers. Which operations follow which is known once a
program is traced, so a traced program is gone through here: a convolution is put off, and takes over the operations that follow it,
as long as nobody else reads what is between. Start at joined.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from nyala.engines import _jax_kernels as kernels

CALLS = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr", "pjit": "jaxpr", "jit": "jaxpr"}  # and where what they call is


LEAST = 1 << 23  # multiplications of the largest convolution: XLA makes one piece of small networks, which is quicker than calls


def joined(function: Callable) -> Callable:
    """The same function, to be traced and compiled."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not kernels.possible():
            return function(*args)
        closed, shapes = jax.make_jaxpr(functools.partial(function), return_shape=True)(*args)  # a fresh function: JAX remembers by function
        leaves = jax.tree.leaves(args)
        results = _evaluate(closed, leaves) if _work(closed) >= LEAST else jaxpr_as_fun(closed)(*leaves)
        return jax.tree.unflatten(jax.tree.structure(shapes), map(_array, results))

    return call


@dataclasses.dataclass
class _Later:
    """A convolution that is put off: times scale, plus shift, plus more, at least 0 if positive, the largest of each pool.

    scale, shift: (channels,); more: as the convolution; shape: of what comes out."""

    plain: Callable[[], Array]  # the convolution alone
    finished: Callable[..., Array]  # by a kernel: of scale, shift, more, positive and pool
    shape: tuple[int, ...]
    scale: Array | None = None
    shift: Array | None = None
    more: Array | None = None
    positive: bool = False
    pool: tuple[int, ...] = ()

    def array(self) -> Array:
        if self.scale is self.shift is self.more is None and not self.positive and not self.pool:
            return self.plain()
        channels = self.shape[-1:]
        scale = jnp.ones(channels, np.float32) if self.scale is None else self.scale
        shift = jnp.zeros(channels, np.float32) if self.shift is None else self.shift
        return self.finished(scale, shift, self.more, positive=self.positive, pool=self.pool or (1,) * (len(self.shape) - 2))


def _array(value: Any) -> Any:
    return value.array() if isinstance(value, _Later) else value


def _evaluate(closed: ClosedJaxpr, args: Sequence[Any]) -> list[Any]:
    """The results of a program; some may be put off still."""
    jaxpr: Jaxpr = closed.jaxpr
    values: dict[Any, Any] = {**dict(zip(jaxpr.constvars, closed.consts, strict=True)), **dict(zip(jaxpr.invars, args, strict=True))}
    readers = [*itertools.chain.from_iterable(equation.invars for equation in jaxpr.eqns), *jaxpr.outvars]
    reads = Counter(v for v in readers if not isinstance(v, Literal))
    read = lambda v: v.val if isinstance(v, Literal) else values[v] if reads[v] > 1 else values.pop(v)  # noqa: E731
    for equation in jaxpr.eqns:
        found = _apply(equation, [read(v) for v in equation.invars])
        for variable, value in zip(equation.outvars, found, strict=True):
            values[variable] = value if reads[variable] == 1 else _array(value)
    return [read(v) for v in jaxpr.outvars]


def _apply(equation: Any, given: list[Any]) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if name in CALLS and (any(isinstance(value, _Later) for value in given) or _work(params[CALLS[name]])):
        called = params[CALLS[name]]
        return _evaluate(called if isinstance(called, ClosedJaxpr) else ClosedJaxpr(called, ()), given)
    if name in SUMS:
        given = [_array(value) for value in given]
    found = RULES[name](params, *given) if name in RULES else None
    return _bind(equation, [_array(value) for value in given]) if found is None else [found]


def _bind(equation: Any, given: list[Any]) -> Sequence[Any]:
    """The equation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, params = found if isinstance(found, tuple) else ((), found)  # versions of JAX differ
    with equation.ctx.manager:
        result = equation.primitive.bind(*functions, *given, **params)
    return result if equation.primitive.multiple_results else [result]


def _work(program: Any) -> int:
    """The multiplications of the largest convolution in a program."""
    jaxpr = program.jaxpr if isinstance(program, ClosedJaxpr) else program
    found = [0]
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name in CALLS:
            found.append(_work(equation.params[CALLS[name]]))
        elif name in SUMS:
            shape, kernel = equation.outvars[0].aval.shape, equation.invars[1].aval.shape
            found.append(math.prod(shape) * math.prod(kernel) // max(1, shape[equation.params["dimension_numbers"].out_spec[1]]))
    return max(found)


# What is put off --------------------------------------------------------------------------------------------------------------------------


def _convolution(params: dict[str, Any], x: Array, kernel: Array) -> _Later | None:
    n = x.ndim - 2
    image, weights = (0, n + 1, *range(1, n + 1)), (n + 1, n, *range(n))
    numbers = params["dimension_numbers"]
    simple = params["feature_group_count"] == params["batch_group_count"] == 1 and {*params["lhs_dilation"]} <= {1}
    if not simple or (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) != (image, weights, image) or not _usual(params):
        return None
    strides, dilation, padding = tuple(params["window_strides"]), tuple(params["rhs_dilation"]), tuple(map(tuple, params["padding"]))
    whole = functools.partial(kernels.xla_convolution, strides=strides, padding=padding, spread=(1,) * n, dilation=dilation)
    shape = jax.eval_shape(whole, x, kernel).shape
    if not kernels.convolution_pays(x, kernel, shape[1:-1], padding, shape[-1]):
        return None
    window = {"strides": strides, "padding": padding, "dilation": dilation, "turned": False}
    minimal = kernels.minimal_pays(x.shape[0], shape[1:-1], kernel.shape[:-2], strides, dilation, x.shape[-1], shape[-1])
    plain = functools.partial(kernels.convolution, **window) if minimal else whole
    return _Later(lambda: plain(x, kernel), functools.partial(kernels.finished_convolution, x, kernel, **window), shape)


def _usual(params: dict[str, Any]) -> bool:
    return params["precision"] is None and params["preferred_element_type"] in (None, np.float32)


# What they take over ----------------------------------------------------------------------------------------------------------------------


def _channels(value: Any, of: _Later) -> Array | None:
    """A value for each channel, if that is what this is."""
    shape, channels = np.shape(value), of.shape[-1:]
    if value.dtype != np.float32 or math.prod(shape) not in (1, *channels) or (math.prod(shape) > 1 and shape[-1:] != channels):
        return None
    return jnp.broadcast_to(jnp.reshape(value, -1), channels)


def _open(value: Any) -> bool:
    """Whether it is put off, and something can be added to it."""
    return isinstance(value, _Later) and not value.positive and not value.pool


def _add(params: dict[str, Any], x: Any, y: Any) -> _Later | None:
    if not _open(x):
        x, y = y, x
    if not _open(x):
        return None
    shift = None if isinstance(y, _Later) else _channels(y, x)
    if shift is not None:
        return dataclasses.replace(x, shift=shift if x.shift is None else x.shift + shift)
    if np.shape(y) != x.shape or x.more is not None:
        return None
    return dataclasses.replace(x, more=_array(y))


def _subtract(params: dict[str, Any], x: Any, y: Any) -> _Later | None:
    shift = _channels(y, x) if _open(x) and not isinstance(y, _Later) else None
    return None if shift is None else dataclasses.replace(x, shift=-shift if x.shift is None else x.shift - shift)


def _multiply(params: dict[str, Any], x: Any, y: Any) -> _Later | None:
    if not _open(x):
        x, y = y, x
    scale = _channels(y, x) if _open(x) and x.more is None and not isinstance(y, _Later) else None
    if scale is None:
        return None
    return dataclasses.replace(x, scale=scale if x.scale is None else x.scale * scale, shift=None if x.shift is None else x.shift * scale)


def _maximum(params: dict[str, Any], x: Any, y: Any) -> _Later | None:
    if not _open(x):
        x, y = y, x
    if not _open(x) or isinstance(y, jax.core.Tracer) or np.shape(y) != () or y != 0:
        return None
    return dataclasses.replace(x, positive=True)


def _largest(params: dict[str, Any], x: Any) -> _Later | None:
    """Of tiles without padding."""
    window = tuple(params["window_dimensions"])
    if not isinstance(x, _Later) or x.pool or window[0] != 1 or window[-1] != 1 or window != tuple(params["window_strides"]):
        return None
    if any(map(any, params["padding"])) or {*params["base_dilation"], *params["window_dilation"]} != {1}:
        return None
    counts = tuple(size // k for size, k in zip(x.shape, window, strict=True))
    return dataclasses.replace(x, pool=window[1:-1], shape=counts) if min(counts) else None


SUMS = {"conv_general_dilated": _convolution}
RULES = {**SUMS, "add": _add, "sub": _subtract, "mul": _multiply, "max": _maximum, "reduce_window_max": _largest}
