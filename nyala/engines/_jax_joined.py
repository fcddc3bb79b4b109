# SPDX-License-Identifier: Apache-2.0
"""Convolutions joined to what follows them, for the JAX engine on CPUs.

XLA writes a convolution to memory, reads it again to scale and shift its channels (bias, batch normalization), to add a residual, to apply relu, and
writes it again. The kernels of `_jax_kernels.py` do all that while a result is still in registers. Which operations follow which is known once a
program is traced, so a traced program is gone through here: a convolution is put off, and takes over the operations that follow it,
as long as nobody else reads what is between. What gradients are taken of is gone through by itself, before they are taken: there only
Nyala's own operations are joined, those with a name, into one whose gradient is known. Start at joined and differentiable.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun

from nyala.engines import _jax_kernels as kernels
from nyala.engines import _jax_windows as windows

ARRAYS = (jax.Array, np.ndarray, np.generic)

CALLS = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr", "pjit": "jaxpr", "jit": "jaxpr"}  # and where what they call is
RULED = ("custom_jvp_call", "custom_vjp_call")  # of these, those with a derivative of their own

LEAST = 1 << 23  # multiplications of the largest convolution: XLA makes one piece of small networks, which is quicker than calls


class _Tracing(threading.local):
    programs = 0  # that this thread is tracing, to compile them


_tracing = _Tracing()


def joined(function: Callable) -> Callable:
    """The same function, to be traced and compiled."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        if not kernels.possible():
            return function(*args)
        _tracing.programs += 1
        try:
            closed, shapes = jax.make_jaxpr(functools.partial(function), return_shape=True)(*args)  # a fresh function: JAX remembers by function
        finally:
            _tracing.programs -= 1
        leaves = jax.tree.leaves(args)
        results = _evaluate(closed, leaves) if _work(closed) >= LEAST else jaxpr_as_fun(closed)(*leaves)
        return jax.tree.unflatten(jax.tree.structure(shapes), map(_array, results))

    return call


def differentiable(function: Callable) -> Callable:
    """The same function, for gradients with respect to its first argument to be taken of."""

    @functools.wraps(function)
    def call(first: Any, *rest: Any) -> Any:
        if not _tracing.programs or not kernels.possible():
            return function(first, *rest)
        others: list[Any] = []

        def arrays_of(first: Any) -> list[Any]:
            leaves, structure = jax.tree.flatten(function(first, *rest))
            others[:] = [structure, [None if isinstance(leaf, ARRAYS) else leaf for leaf in leaves]]
            return [leaf for leaf in leaves if isinstance(leaf, ARRAYS)]

        closed = jax.make_jaxpr(arrays_of)(first)
        leaves = jax.tree.leaves(first)
        found = _evaluate(closed, leaves, differentiated=True) if _work(closed) >= LEAST else jaxpr_as_fun(closed)(*leaves)
        arrays, (structure, kept) = iter(found), others
        return jax.tree.unflatten(structure, [_array(next(arrays)) if leaf is None else leaf for leaf in kept])

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


def _evaluate(closed: ClosedJaxpr, args: Sequence[Any], differentiated: bool = False) -> list[Any]:
    """The results of a program; some may be put off still."""
    jaxpr: Jaxpr = closed.jaxpr
    values: dict[Any, Any] = {**dict(zip(jaxpr.constvars, closed.consts, strict=True)), **dict(zip(jaxpr.invars, args, strict=True))}
    readers = [*itertools.chain.from_iterable(equation.invars for equation in jaxpr.eqns), *jaxpr.outvars]
    reads = Counter(v for v in readers if not isinstance(v, Literal))
    read = lambda v: v.val if isinstance(v, Literal) else values[v] if reads[v] > 1 else values.pop(v)  # noqa: E731
    for equation in jaxpr.eqns:
        found = _apply(equation, [read(v) for v in equation.invars], differentiated)
        for variable, value in zip(equation.outvars, found, strict=True):
            values[variable] = value if reads[variable] == 1 else _array(value)
    return [read(v) for v in jaxpr.outvars]


def _apply(equation: Any, given: list[Any], differentiated: bool) -> Sequence[Any]:
    name, params = equation.primitive.name, equation.params
    if differentiated and name in RULED:
        inner = _marked(_called(equation))
        name, params = (inner.primitive.name, inner.params) if inner is not None else ("", {})
    elif name in CALLS and (any(isinstance(value, _Later) for value in given) or _work(_called(equation))):
        return _evaluate(_called(equation), given, differentiated)
    if name in SUMS:
        given = [_array(value) for value in given]
    rules = DIFFERENTIATED if differentiated else RULES
    found = rules[name](params, *given) if name in rules else None
    return _bind(equation, [_array(value) for value in given]) if found is None else [found]


def _called(equation: Any) -> ClosedJaxpr:
    """What a call calls."""
    called = equation.params[CALLS[equation.primitive.name]]
    return called if isinstance(called, ClosedJaxpr) else ClosedJaxpr(called, ())


def _marked(called: ClosedJaxpr) -> Any:
    """The one equation of a function with a derivative of its own, if that is an operation of Nyala's."""
    jaxpr = called.jaxpr
    alone = len(jaxpr.eqns) == 1 and jaxpr.eqns[0].primitive.name.startswith("nyala_") and not called.consts
    return jaxpr.eqns[0] if alone and [*jaxpr.eqns[0].invars] == [*jaxpr.invars] and [*jaxpr.eqns[0].outvars] == [*jaxpr.outvars] else None


def _bind(equation: Any, given: list[Any]) -> Sequence[Any]:
    """The equation as it is."""
    found = equation.primitive.get_bind_params(equation.params)
    functions, params = found if isinstance(found, tuple) else ((), found)  # versions of JAX differ
    with equation.ctx.manager:
        result = equation.primitive.bind(*functions, *given, **params)
    return result if equation.primitive.multiple_results else [result]


def _work(program: ClosedJaxpr) -> int:
    """The multiplications of the largest convolution in a program."""
    found = [0]
    for equation in program.jaxpr.eqns:
        name = equation.primitive.name
        if name in CALLS:
            found.append(_work(_called(equation)))
        elif name in SUMS:
            shape, kernel = equation.outvars[0].aval.shape, equation.invars[1].aval.shape
            axis = equation.params["dimension_numbers"].out_spec[1] if name == "conv_general_dilated" else -1
            found.append(math.prod(shape) * math.prod(kernel) // max(1, shape[axis]))
    return max(found)


# What is put off --------------------------------------------------------------------------------------------------------------------------


def _convolution(params: dict[str, Any], x: Array, kernel: Array) -> _Later | None:
    """Of whoever wrote it."""
    n = x.ndim - 2
    image, weights = (0, n + 1, *range(1, n + 1)), (n + 1, n, *range(n))
    numbers = params["dimension_numbers"]
    if params["batch_group_count"] != 1 or (numbers.lhs_spec, numbers.rhs_spec, numbers.out_spec) != (image, weights, image) or not _usual(params):
        return None
    padding, spread = tuple(map(tuple, params["padding"])), tuple(params["lhs_dilation"])
    sizes = {"strides": params["window_strides"], "padding": padding, "spread": spread, "dilation": params["rhs_dilation"]}
    return _convolve({**sizes, "groups": params["feature_group_count"]}, x, kernel)


def _convolve(params: dict[str, Any], x: Array, kernel: Array) -> _Later | None:
    """Of Nyala's own."""
    window = _window(params, x, kernel)
    if window is None:
        return None
    strides, padding, dilation, shape = window
    settings = {"strides": strides, "padding": padding, "dilation": dilation, "turned": False}
    minimal = kernels.minimal_pays(x.shape[0], shape[1:-1], kernel.shape[:-2], strides, dilation, x.shape[-1], shape[-1])
    whole = functools.partial(kernels.xla_convolution, strides=strides, padding=padding, spread=(1,) * len(strides), dilation=dilation)
    plain = functools.partial(kernels.convolution, **settings) if minimal else whole
    return _Later(lambda: plain(x, kernel), functools.partial(kernels.finished_convolution, x, kernel, **settings), shape)


def _convolve_differentiated(params: dict[str, Any], x: Array, kernel: Array) -> _Later | None:
    window = _window(params, x, kernel)
    if window is None:
        return None
    strides, padding, dilation, shape = window
    plain = functools.partial(windows.conv, x, kernel, strides, padding, dilation, 1)
    geometry = windows.Geometry(x.shape, kernel.shape, strides, padding, dilation, 1)

    def finished(scale: Array, shift: Array, more: Array | None, *, positive: bool, pool: tuple[int, ...]) -> Array:
        found: Any = _block(x, kernel, shift, more, _Block(geometry, positive, pool))
        return found[0]

    return _Later(plain, finished, shape)


def _window(params: dict[str, Any], x: Array, kernel: Array) -> tuple[Any, Any, Any, tuple[int, ...]] | None:
    """Strides, padding, dilation, and the shape of the result; None if no kernel shall compute it."""
    if params["groups"] != 1 or not {*params["spread"]} <= {1}:
        return None
    strides, padding, dilation = (tuple(params[name]) for name in ("strides", "padding", "dilation"))
    whole = functools.partial(kernels.xla_convolution, strides=strides, padding=padding, spread=params["spread"], dilation=dilation)
    shape = jax.eval_shape(whole, x, kernel).shape
    if not kernels.convolution_pays(x, kernel, shape[1:-1], padding, shape[-1]):
        return None
    return strides, padding, dilation, shape


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
    return _positive(params, x)


def _positive(params: dict[str, Any], x: Any) -> _Later | None:
    return dataclasses.replace(x, positive=True) if _open(x) else None


def _largest_of_windows(params: dict[str, Any], x: Any) -> _Later | None:
    """Of tiles without padding."""
    window = tuple(params["window_dimensions"])
    if window[0] != 1 or window[-1] != 1 or window != tuple(params["window_strides"]):
        return None
    if any(map(any, params["padding"])) or {*params["base_dilation"], *params["window_dilation"]} != {1}:
        return None
    return _largest({"pool": window[1:-1]}, x)


def _largest(params: dict[str, Any], x: Any) -> _Later | None:
    if not isinstance(x, _Later) or x.pool:
        return None
    counts = tuple(size // k for size, k in zip(x.shape, (1, *params["pool"], 1), strict=True))
    return dataclasses.replace(x, pool=params["pool"], shape=counts) if min(counts) else None


SUMS: dict[str, Callable] = {"conv_general_dilated": _convolution, "nyala_convolve": _convolve}
TAKEN: dict[str, Callable] = {"add": _add, "sub": _subtract, "nyala_positive": _positive, "nyala_largest": _largest}
RULES = {**SUMS, **TAKEN, "mul": _multiply, "max": _maximum, "reduce_window_max": _largest_of_windows}
# Only what has the derivatives that the joined operation will have: other maxima, say, divide them among equals.
DIFFERENTIATED = {**TAKEN, "nyala_convolve": _convolve_differentiated}


# With gradients ---------------------------------------------------------------------------------------------------------------------------


class _Block(NamedTuple):
    """What a convolution with what follows it is besides its arrays."""

    geometry: windows.Geometry
    positive: bool
    pool: tuple[int, ...]  # of ones: none


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def _block(x: Array, kernel: Array, shift: Array, more: Array | None, block: _Block) -> tuple[Array, Array | None]:
    """The result and, of pools, which of each it is."""
    geometry = block.geometry
    settings: dict[str, Any] = {"strides": geometry.strides, "padding": geometry.padding, "dilation": geometry.dilation, "turned": False}
    settings |= {"positive": block.positive, "pool": block.pool}
    given = x, kernel, jnp.ones_like(shift), shift, more
    return kernels.pooled_convolution(*given, **settings) if _pools(block) else (kernels.finished_convolution(*given, **settings), None)


def _pools(block: _Block) -> bool:
    return math.prod(block.pool) > 1


def _block_forward(x: Array, kernel: Array, shift: Array, more: Array | None, block: _Block) -> tuple[Any, Any]:
    found: Any = _block(x, kernel, shift, more, block)  # which again has a gradient
    y, which = found
    return found, (x, kernel, which if _pools(block) else y if block.positive else None, None if more is None else ())


def _block_backward(block: _Block, saved: Any, upstream: Any) -> tuple[Array, Array, Array, Array | None]:
    x, kernel, known, added = saved
    slope, geometry, counts = upstream[0], block.geometry, windows.counts(block.geometry)
    if _pools(block):
        found: Any = _pooled_gradient(x, slope, known, block)
        gradient, total = found
        slope = kernels.at_winners(slope, known, counts, block.pool)
    else:
        slope = jnp.where(known > 0, slope, 0) if block.positive else slope
        gradient, total = windows.kernel_gradient(x, slope, geometry), _sum_of_channels(slope)
    return windows.input_gradient(slope, kernel, geometry), gradient, total, None if added is None else slope


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _pooled_gradient(x: Array, slope: Array, which: Array, block: _Block) -> tuple[Array, Array]:
    """Gradients of kernel and shift, of slopes of pools."""
    geometry = block.geometry
    counts, outputs = windows.counts(geometry), geometry.kernel_shape[-1]
    spatial, strides, dilation = geometry.kernel_shape[:-2], geometry.strides, geometry.dilation
    if kernels.minimal_pays(x.shape[0], counts, spatial, strides, dilation, x.shape[-1], outputs):
        return _composed_gradient(x, slope, which, block)
    sizes: dict[str, Any] = {"strides": strides, "padding": geometry.padding, "dilation": dilation, "spatial": spatial}
    return kernels.pooled_gradient(x, slope, which, counts, block.pool, **sizes)


def _composed_gradient(x: Array, slope: Array, which: Array, block: _Block) -> tuple[Array, Array]:
    whole = kernels.at_winners(slope, which, windows.counts(block.geometry), block.pool)
    return windows.kernel_gradient(x, whole, block.geometry), _sum_of_channels(jnp.where(which == kernels.NONE, 0, slope))


def _pooled_gradient_backward(block: _Block, saved: Any, upstream: Any) -> tuple[Array, Array, None]:
    x, slope, which = saved
    pull = jax.vjp(lambda x, slope: _composed_gradient(x, slope, which, block), x, slope)[1]
    return *pull(upstream), None


_pooled_gradient.defvjp(lambda *given: (_pooled_gradient(*given), given[:3]), _pooled_gradient_backward)


def _sum_of_channels(slope: Array) -> Array:
    total = kernels.totals(slope.reshape(-1, slope.shape[-1]))
    return jnp.sum(slope, axis=tuple(range(slope.ndim - 1))) if total is None else total


_block.defvjp(_block_forward, _block_backward)
