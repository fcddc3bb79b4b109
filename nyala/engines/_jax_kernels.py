# SPDX-License-Identifier: Apache-2.0
"""Kernels for CPUs as operations of JAX: convolutions, products and their gradients in float32 (`_jax_kernels.cc`).

Each operation is a primitive of JAX with a composed form, the same in terms of lax. On CPUs it lowers to a call of the kernel, elsewhere to
the composed form, which vmap maps, too. Convolutions are differentiated by who calls them; products are bilinear, and each other's gradients.
Which of two forms a program gets depends on shapes alone, and on whether there are kernels. Start at product and available.
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import numpy as np
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from nyala.engines import _jax_sharding as sharding
from nyala.engines._cpu_kernels import Build

Shape = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]

LEAST = 1 << 20  # multiplications of a product or convolution from which on a call pays for itself
LEAST_DIFFERENTIATED = 1 << 18  # of a product whose gradients are taken: those are what XLA is slow at
LEAST_SUMMED = 1 << 16  # elements of which sums are taken
ROWS = 16  # rows of a product, at least
MANY_ROWS = 1024
LEAST_TILES = 256  # of results, for minimal filtering
SMALL = 1 << 14  # elements of a sum over rows, at most
LANES = 32  # outputs that are computed at a time, at most: half of them may be idle
NONE = 255  # the number of none in a pool
TOLERANCE = 1e-4  # of the first results of a new library, to the largest


class _Kernels:
    """The library, if this machine has one; made when an engine starts, needed when a program is traced."""

    def __init__(self) -> None:
        self.build: Build | None = None
        self.usable: bool | None = None  # None: nobody has asked
        self.lock = threading.Lock()

    def start(self) -> None:
        with self.lock:
            if self.build is None:
                self.build = Build()

    def ready(self) -> bool:
        if self.usable is None:
            self.start()
            with self.lock:
                if self.usable is None:  # else another thread was first
                    self.usable = self._load()
        return self.usable

    def _load(self) -> bool:
        if self.build is not None and not self._usable(self.build) and self.build.installed:
            self.build = Build(installed=False)  # the compiler of this machine may do better
            return self._usable(self.build)
        return self.build is not None and not self.build.problem

    def _usable(self, build: Build) -> bool:
        """Whether XLA has taken the functions of the library, and it is no new one with wrong results."""
        library = build.library()
        if library is None:
            return False
        try:
            for name in COMPOSED:
                jax.ffi.register_ffi_target(_target(name), jax.ffi.pycapsule(getattr(library, name)), platform="cpu")
            if build.fresh:
                with jax.ensure_compile_time_eval():
                    problem = _first_results()
                build.refuse(problem) if problem else build.accept()
        except Exception as error:  # XLA refuses what was made for another version of it
            build.problem = f"{type(error).__name__}: {error}"
        return not build.problem


_kernels = _Kernels()


def start() -> None:
    """Let a thread make the kernels, if they are not made yet. JAX is not asked for its devices: processes can be joined only before."""
    _kernels.start()


def available() -> bool:
    """Whether programs traced now may call kernels."""
    return jax.default_backend() == "cpu" and not sharding.divides() and _kernels.ready()


def possible() -> bool:
    """Whether programs traced now might call kernels. Does not wait for them: those that need none shall not."""
    return jax.default_backend() == "cpu" and not sharding.divides() and _kernels.usable is not False


def problem() -> str:
    """Why there are no kernels on this CPU; "" if there are."""
    return "" if jax.default_backend() != "cpu" or _kernels.ready() or _kernels.build is None else _kernels.build.problem


def pays(rows: int, inputs: int, outputs: int, *arrays: Any) -> bool:
    """Whether to call a kernel for a sum of `inputs` products, for each of rows times outputs, of these arrays."""
    if rows < ROWS or rows * inputs * outputs < LEAST or 2 * outputs <= LANES:
        return False
    return all(array.dtype == np.float32 for array in arrays) and available()


def _product_pays(x: Any, w: Any, outputs: int) -> bool:
    """XLA is as quick at products of many rows, and joins them to what comes before and after."""
    return x.shape[0] < MANY_ROWS and pays(*x.shape, outputs, x, w)


def _target(name: str) -> str:
    """The name under which XLA knows a kernel; a program from the compile cache asks for the very library it was made with."""
    return f"nyala.{name}.{_kernels.build.key if _kernels.build else ''}"


# Composed forms ---------------------------------------------------------------------------------------------------------------------------


def _composed_product(x: Array, w: Array, *, turned: bool) -> Array:
    return lax.dot_general(x, w, (((1,), (1 if turned else 0,)), ((), ())))


def _composed_outer(x: Array, g: Array) -> Array:
    return lax.dot_general(x, g, (((0,), (0,)), ((), ())))


def _composed_moments(x: Array) -> Array:
    mean = jax.numpy.sum(x, 0) / x.shape[0]
    centered = x - mean
    return jax.numpy.stack([mean, jax.numpy.sum(centered * centered, 0) / x.shape[0]])


def _composed_slopes(x: Array, g: Array, mean: Array) -> Array:
    return jax.numpy.stack([jax.numpy.sum(g, 0), jax.numpy.sum(g * (x - mean), 0)])


def xla_convolution(
    x: Array, kernel: Array, strides: Shape, padding: Sequence[tuple[int, int]], spread: Shape, dilation: Shape, groups: int = 1
) -> Array:
    """x (b, *s, c), its elements `spread` apart, with kernel (*k, c, o), as XLA has it."""
    n = x.ndim - 2
    image, weights = (0, n + 1, *range(1, n + 1)), (n + 1, n, *range(n))
    return lax.conv_general_dilated(x, kernel, strides, padding, lhs_dilation=spread, rhs_dilation=dilation, feature_group_count=groups,
                                    dimension_numbers=lax.ConvDimensionNumbers(image, weights, image))  # fmt: skip


def _composed_convolution(x: Array, kernel: Array, *, strides: Shape, padding: Padding, dilation: Shape, turned: bool) -> Array:
    n = x.ndim - 2
    if turned:
        kernel = lax.rev(kernel, range(n)).swapaxes(-1, -2)
    return xla_convolution(x, kernel, strides, padding, (1,) * n, dilation)


def kernel_gradient_as_correlation(x: Array, g: Array, *, spatial: Shape, strides: Shape, padding: Padding, dilation: Shape) -> Array:
    """x correlated with g, batch and channels having changed places; strides and dilation too.

    The barriers keep XLA from folding the transposes into the convolution: inside of loops that would leave its fast path on CPUs (100 times slower).
    """
    sides = zip(x.shape[1:-1], g.shape[1:-1], spatial, strides, padding, dilation, strict=True)
    padding = tuple((before, d * (k - 1) + (count - 1) * stride + 1 - size - before) for size, count, k, stride, (before, _), d in sides)
    image, weights = lax.optimization_barrier((jax.numpy.moveaxis(x, (0, -1), (-1, 0)), jax.numpy.moveaxis(g, 0, -2)))  # c *s b; *s b o
    result = xla_convolution(image, weights, dilation, padding, (1,) * len(spatial), strides)  # c *k o
    return jax.numpy.moveaxis(lax.optimization_barrier(result), 0, -2)


def _composed_finished_convolution(
    x: Array, kernel: Array, scale: Array, shift: Array, more: Array | None = None, *, positive: bool, pool: Shape, **window: Any
) -> Array:
    result = _composed_convolution(x, kernel, **window) * scale + shift
    result = result if more is None else result + more
    result = lax.max(result, np.float32(0)) if positive else result
    return largest_of_tiles(result, pool) if math.prod(pool) > 1 else result


def _composed_pooled_convolution(*arrays: Array, positive: bool, pool: Shape, **window: Any) -> tuple[Array, Array]:
    """A finished convolution, and the number of the first in each pool that is the largest; NONE where relu leaves nothing."""
    result = _composed_finished_convolution(*arrays, positive=positive, pool=(1,) * len(pool), **window)
    counts = [size // k for size, k in zip(result.shape[1:-1], pool, strict=True)]
    sides = list(zip(counts, pool, strict=True))
    whole = lax.slice(result, (0,) * result.ndim, (len(result), *(count * k for count, k in sides), result.shape[-1]))
    tiles, axes = whole.reshape(len(result), *itertools.chain.from_iterable(sides), -1), range(1, 2 * len(pool) + 1)
    tiles = tiles.transpose(0, *axes[::2], *axes[1::2], len(axes) + 1).reshape(len(result), *counts, math.prod(pool), -1)
    largest, which = tiles.max(-2), tiles.argmax(-2).astype(np.uint8)
    return largest, jax.numpy.where(largest > 0, which, np.uint8(NONE)) if positive else which


def _composed_pooled_gradient(x: Array, g: Array, which: Array, *, counts: Shape, pool: Shape, **window: Any) -> tuple[Array, Array]:
    slopes = at_winners(g, which, counts, pool)
    return kernel_gradient_as_correlation(x, slopes, **window), _composed_totals(slopes.reshape(-1, g.shape[-1]))


def _composed_totals(g: Array) -> Array:
    return jax.numpy.sum(g, 0)


def at_winners(g: Array, which: Array, counts: Shape, pool: Shape) -> Array:
    """Slopes of pools g (b, *s, c) at the one result (b, *counts, c) of each that was the largest, zeros at the others."""
    within = tuple(range(2, 2 * len(pool) + 1, 2))
    numbers = np.arange(math.prod(pool), dtype=np.uint8).reshape([n for k in pool for n in (1, k)] + [1])
    parts = jax.numpy.where(jax.numpy.expand_dims(which, within) == numbers, jax.numpy.expand_dims(g, within), 0)  # b n k m l ... c
    whole = parts.reshape(g.shape[0], *(count * k for count, k in zip(g.shape[1:-1], pool, strict=True)), g.shape[-1])
    rest = [(0, size - covered, 0) for size, covered in zip(counts, whole.shape[1:-1], strict=True)]
    return lax.pad(whole, np.zeros((), whole.dtype), [(0, 0, 0), *rest, (0, 0, 0)]) if any(after for _, after, _ in rest) else whole


def lowest(dtype: np.dtype) -> float:
    """What is no larger than any number of this dtype."""
    return -math.inf if jax.numpy.issubdtype(dtype, np.floating) else jax.numpy.iinfo(dtype).min


def largest_of_tiles(x: Array, pool: Shape) -> Array:
    """The largest of each whole tile of x (b, *s, c)."""
    return lax.reduce_window(x, np.asarray(lowest(x.dtype), x.dtype), lax.max, (1, *pool, 1), (1, *pool, 1), "VALID")


WINDOW = ("strides", "padding", "dilation", "turned")  # what tells convolutions apart
COMPOSED: dict[str, Callable[..., Any]] = {
    "product": _composed_product,
    "outer_product": _composed_outer,
    "convolution": _composed_convolution,
    "kernel_gradient": kernel_gradient_as_correlation,
    "moments": _composed_moments,
    "slopes": _composed_slopes,
    "finished_convolution": _composed_finished_convolution,
    "pooled_convolution": _composed_pooled_convolution,
    "pooled_gradient": _composed_pooled_gradient,
    "totals": _composed_totals,
}
SEVERAL = ("pooled_convolution", "pooled_gradient")  # those with two results


# What kernels are told, in the order of Geometry in _jax_kernels.cc -----------------------------------------------------------------------


def _two(values: tuple, neutral: Any) -> tuple:
    """Settings of two spatial axes; one is a row."""
    return values if len(values) == 2 else (neutral, *values)


def _geometry(
    x: Any, spatial: Shape, outputs: int, counts: Shape, strides: Shape, padding: tuple, dilation: Shape, turned: bool = False
) -> list[int]:
    before = [pair[0] for pair in padding]
    minimal = minimal_pays(x.shape[0], counts, spatial, strides, dilation, x.shape[-1], outputs)
    return [x.shape[0], *_two(x.shape[1:-1], 1), x.shape[-1], *_two(spatial, 1), outputs, *_two(counts, 1), *_two(strides, 1), *_two(dilation, 1),
            *_two(tuple(before), 0), turned, minimal]  # fmt: skip


def _numbers(name: str, arrays: Any, result: Any, params: dict[str, Any]) -> list[int]:
    if name in ("moments", "slopes", "totals"):
        return list(arrays[0].shape)
    if name == "pooled_gradient":
        window = {k: params[k] for k in ("strides", "padding", "dilation")}
        return [*_geometry(arrays[0], params["spatial"], result.shape[-1], params["counts"], **window), *_two(params["pool"], 1)]
    if name in ("finished_convolution", "pooled_convolution"):
        whole = jax.eval_shape(functools.partial(_composed_convolution, **{k: params[k] for k in WINDOW}), *arrays[:2])
        return [*_numbers("convolution", arrays[:2], whole, params), len(arrays) == 5, params["positive"], *_two(params["pool"], 1)]
    first, second = arrays
    if name == "product":
        return [*first.shape, result.shape[1], params["turned"]]
    if name == "outer_product":
        rows, inputs = first.shape
        return [1, 1, rows, inputs, 1, 1, second.shape[1], 1, rows, 1, 1, 1, 1, 0, 0, 0, 0]
    if name == "convolution":
        outputs, counts, spatial = result.shape[-1], result.shape[1:-1], second.shape[:-2]
    else:
        outputs, counts, spatial = result.shape[-1], second.shape[1:-1], params["spatial"]
    return _geometry(first, spatial, outputs, counts, params["strides"], params["padding"], params["dilation"], params.get("turned", False))


# What is joined is told by name: a convolution, relu and pooling of Nyala's own, whose derivatives are known -------------------------------


def _composed_convolve(x: Array, kernel: Array, *, strides: Shape, padding: Padding, spread: Shape, dilation: Shape, groups: int) -> Array:
    return xla_convolution(x, kernel, strides, padding, spread, dilation, groups)


def _composed_positive(x: Array) -> Array:
    """XLA joins a maximum to the convolution before it, but no select."""
    return lax.max(x, np.zeros((), x.dtype))


# Primitives -------------------------------------------------------------------------------------------------------------------------------


def _primitive(name: str, composed: Callable[..., Any], several: bool = False) -> Primitive:
    """A primitive that is its composed form everywhere; several: it has more than one result."""
    primitive = Primitive(f"nyala_{name}")
    primitive.multiple_results = several

    @functools.cache
    def compiled(**params: Any) -> Callable:
        return jax.jit(functools.partial(primitive.bind, **params))

    def shape(*arrays: Any, **params: Any) -> Any:
        found = jax.eval_shape(functools.partial(composed, **params), *(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays))
        return jax.tree.map(lambda x: jax.core.ShapedArray(x.shape, x.dtype), found)

    def mapped(arrays: Any, axes: Any, **params: Any) -> tuple[Any, Any]:
        return jax.vmap(functools.partial(composed, **params), axes)(*arrays), (0, 0) if several else 0

    primitive.def_impl(lambda *arrays, **params: compiled(**params)(*arrays))
    primitive.def_abstract_eval(shape)
    batching.primitive_batchers[primitive] = mapped  # pyright: ignore[reportArgumentType]  # as its own rules
    mlir.register_lowering(primitive, mlir.lower_fun(composed, multiple_results=several))
    return primitive


def _kernel(name: str) -> Primitive:
    """A primitive that is a kernel on CPUs."""
    primitive = _primitive(name, COMPOSED[name], several=name in SEVERAL)

    def lower(ctx: Any, *arrays: Any, **params: Any) -> Any:
        numbers = _numbers(name, ctx.avals_in, ctx.avals_out[0], params)
        rule: Any = jax.ffi.ffi_lowering(_target(name))
        return rule(ctx, *arrays, numbers=np.array(numbers, np.int64))

    mlir.register_lowering(primitive, lower, platform="cpu")
    return primitive


_product, _outer, _convolution, _kernel_gradient, _moments, _slopes, _finished, _pooled, _pooled_gradient, _totals = map(_kernel, COMPOSED)
ad.deflinear2(_totals, lambda slope, g: [jax.numpy.broadcast_to(slope, g.aval.shape)])
_convolve, _positive = _primitive("convolve", _composed_convolve), _primitive("positive", _composed_positive)
_largest = _primitive("largest", lambda x, *, pool: largest_of_tiles(x, pool))
_linear = _primitive("linear_product", _composed_product)  # undifferentiated, XLA joins it to what follows


def _multiply(x: Array, w: Array, turned: bool) -> Array:
    """x (m, k) times w (k, n), or turned (n, k): by the kernel where that pays."""
    outputs = w.shape[0 if turned else 1]
    return (_product if _product_pays(x, w, outputs) else _linear).bind(x, w, turned=turned)


def _transposed(x: Array, g: Array) -> Array:
    """x (m, k), turned, times g (m, n): (k, n). Results with few columns are computed turned."""
    inputs, outputs = x.shape[1], g.shape[1]
    turned = inputs < outputs and inputs * outputs <= SMALL and 2 * inputs > LANES  # quicker, for sums that stay near, and are quickly turned back
    if 2 * outputs > LANES and not turned:
        return _outer.bind(x, g)
    if 2 * inputs > LANES:
        return _outer.bind(g, x).T
    return _composed_outer(x, g)


for _each in (_product, _linear):
    ad.defbilinear(
        _each,
        lambda u, x, w, turned: _multiply(u, w, not turned),
        lambda u, x, w, turned: _transposed(u, x) if turned else _transposed(x, u),
    )
ad.defbilinear(_outer, lambda u, x, g: _multiply(g, u, True), lambda u, x, g: _multiply(x, u, False))
_jvps = {_each: ad.primitive_jvps[_each] for _each in (_product, _linear)}


def _differentiated(primals: Any, tangents: Any, turned: bool) -> tuple[Array, Any]:
    """Of a linear product: from here on it is a kernel where that pays."""
    x, w = primals
    rule = _product if _product_pays(x, w, w.shape[0 if turned else 1]) else _linear
    return _jvps[rule](primals, tangents, turned=turned)


ad.primitive_jvps[_linear] = _differentiated


def product(x: Array, w: Array) -> Array:
    """x times w as matmul has it; differentiated, by kernels where that pays."""
    if x.ndim != 2 or w.ndim != 2 or x.shape[1] != w.shape[0] or not x.dtype == w.dtype == np.float32:
        return jax.numpy.matmul(x, w)
    (rows, inputs), outputs = x.shape, w.shape[1]
    if rows < ROWS or 2 * max(inputs, outputs) <= LANES or rows * inputs * outputs < LEAST_DIFFERENTIATED or not available():
        return jax.numpy.matmul(x, w)
    return _linear.bind(x, w, turned=False)


def transposed_product(x: Array, g: Array) -> Array:
    """x (m, k), turned, times g (m, n): (k, n)."""
    (rows, inputs), outputs = x.shape, g.shape[1]
    return _transposed(x, g) if pays(rows, min(inputs, outputs), max(inputs, outputs), x, g) else jax.numpy.matmul(x.T, g)


def product_with_turned(x: Array, w: Array) -> Array:
    """x (m, k) times w (n, k), turned: (m, n)."""
    return _product.bind(x, w, turned=True) if _product_pays(x, w, w.shape[0]) else jax.numpy.matmul(x, w.T)


def convolution_pays(x: Any, kernel: Any, counts: Shape, padding: Padding, outputs: int) -> bool:
    """Whether to call a kernel for a convolution, or for the gradient of its kernel. Of x and kernel shape and dtype are asked."""
    if x.ndim not in (3, 4) or min((*x.shape, *kernel.shape, *counts), default=0) < 1 or any(side < 0 for pair in padding for side in pair):
        return False
    size = math.prod(kernel.shape)
    return pays(x.shape[0] * math.prod(counts), size // outputs, outputs, x, kernel)


def minimal_pays(batch: int, counts: Shape, spatial: Shape, strides: Shape, dilation: Shape, inputs: int, outputs: int) -> bool:
    """Whether minimal filtering spares a convolution, or the gradient of its kernel, more than it costs.

    Its sums take as long as 290 products for each input of a tile of results, and 200 for each output. Weights become twice as many, in every call.
    """
    if spatial != (3, 3) or {*strides, *dilation} != {1}:
        return False
    tiles, lanes = batch * math.prod(-(-count // 2) for count in counts), -(-outputs // LANES) * LANES
    return tiles >= LEAST_TILES and 1.3 * tiles * (16 * inputs * lanes + 290 * inputs + 200 * lanes) < 9 * batch * math.prod(counts) * inputs * lanes


def convolution(x: Array, kernel: Array, strides: Shape, padding: Padding, dilation: Shape, turned: bool) -> Array:
    """x (b, *s, c) with kernel (*k, c, o): (b, *counts, o). Turned: with kernel (*k, o, c), turned round."""
    return _convolution.bind(x, kernel, strides=strides, padding=padding, dilation=dilation, turned=turned)


def convolve(x: Array, kernel: Array, strides: Shape, padding: Sequence[tuple[int, int]], spread: Shape, dilation: Shape, groups: int) -> Array:
    """A convolution as XLA has it, to be joined to what follows it. Differentiated by who calls it, as the next two."""
    return _convolve.bind(x, kernel, strides=strides, padding=tuple(padding), spread=spread, dilation=dilation, groups=groups)


def positive(x: Array) -> Array:
    """The larger of x and 0."""
    return _positive.bind(x)


def largest(x: Array, pool: Shape) -> Array:
    """The largest of each whole tile of x (b, *s, c)."""
    return _largest.bind(x, pool=pool)


def finished_convolution(x: Array, kernel: Array, scale: Array, shift: Array, more: Array | None, **params: Any) -> Array:
    """A convolution times scale (o,), plus shift (o,), plus more, of its own shape, if any; at least 0 if positive; the largest in each whole pool.

    It has no gradient."""
    return _finished.bind(x, kernel, scale, shift, *(() if more is None else (more,)), **params)


def pooled_convolution(x: Array, kernel: Array, scale: Array, shift: Array, more: Array | None, **params: Any) -> tuple[Array, Array]:
    """A finished convolution, and which result of each pool it is: the number of the first of the largest, uint8; NONE where relu leaves nothing."""
    return tuple(_pooled.bind(x, kernel, scale, shift, *(() if more is None else (more,)), **params))


def kernel_gradient(x: Array, g: Array, spatial: Shape, strides: Shape, padding: Padding, dilation: Shape) -> Array:
    """The gradient of the kernel of a convolution of x (b, *s, c), upstream g (b, *counts, o): (*k, c, o)."""
    return _kernel_gradient.bind(x, g, spatial=spatial, strides=strides, padding=padding, dilation=dilation)


def pooled_gradient(x: Array, g: Array, which: Array, counts: Shape, pool: Shape, **window: Any) -> tuple[Array, Array]:
    """The gradient of the kernel of a convolution to (b, *counts, o) whose results were pooled, and the sums of slopes (o,). g: those of pools."""
    return tuple(_pooled_gradient.bind(x, g, which, counts=counts, pool=pool, **window))


def totals(g: Array) -> Array | None:
    """The sums of the columns of g (n, c), or None where that does not pay."""
    return _totals.bind(g) if _sums_pay(g) else None


def moments(x: Array) -> Array | None:
    """Mean and variance of the columns of x (n, c): (2, c), or None where that does not pay."""
    return _moments.bind(x) if _sums_pay(x) else None


def slopes(x: Array, g: Array, mean: Array) -> Array | None:
    """The sums along the columns of g (n, c), and of g (x - mean): (2, c), or None where that does not pay."""
    return _slopes.bind(x, g, mean) if _sums_pay(x) and g.dtype == mean.dtype == x.dtype else None


def _sums_pay(x: Array) -> bool:
    return x.size >= LEAST_SUMMED and x.dtype == np.float32 and available()


def _agree(got: np.ndarray, expected: np.ndarray) -> bool:
    if got.dtype == np.uint8:  # of equals up to rounding either may be the largest
        return float(np.mean(got != expected)) < 0.01
    return np.allclose(got, expected, rtol=0, atol=TOLERANCE * float(np.abs(expected).max()))


def _first_results() -> str:
    """What is wrong with a new library; "" if its results are those of XLA."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)  # noqa: E731
    plain = {"strides": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    window = {"strides": (2, 1), "padding": ((1, 1), (2, 0)), "dilation": (1, 2)}
    cases: list[tuple[Primitive, tuple[np.ndarray, ...], dict[str, Any]]] = [
        (_product, (draw(37, 70), draw(70, 45)), {"turned": False}),
        (_product, (draw(37, 70), draw(45, 70)), {"turned": True}),
        (_outer, (draw(150, 21), draw(150, 45)), {}),
        (_convolution, (draw(2, 9, 17, 5), draw(3, 2, 5, 45)), {**window, "turned": False}),
        (_convolution, (draw(3, 8, 20, 33), draw(3, 3, 21, 33)), {**plain, "turned": True}),
        (_kernel_gradient, (draw(2, 9, 17, 5), draw(2, 5, 17, 45)), {**window, "spatial": (3, 2)}),
        (_kernel_gradient, (draw(5, 6, 6, 15), draw(5, 6, 6, 20)), {**plain, "spatial": (3, 3)}),
        (_convolution, (draw(3, 19, 21, 61), draw(3, 3, 61, 64)), {**plain, "turned": False}),  # by minimal filtering, as the next two
        (_convolution, (draw(3, 18, 21, 61), draw(3, 3, 64, 61)), {**plain, "turned": True}),
        (_kernel_gradient, (draw(3, 19, 21, 61), draw(3, 19, 21, 64)), {**plain, "spatial": (3, 3)}),
        (
            _finished,
            (draw(2, 9, 17, 5), draw(3, 2, 5, 45), draw(45), draw(45), draw(2, 5, 17, 45)),
            {**window, "turned": False, "positive": True, "pool": (2, 3)},
        ),
        (_finished, (draw(3, 19, 21, 61), draw(3, 3, 61, 64), draw(64), draw(64)), {**plain, "turned": False, "positive": True, "pool": (2, 2)}),
        (
            _pooled,
            (draw(2, 9, 17, 5), draw(3, 2, 5, 45), draw(45), draw(45), draw(2, 5, 17, 45)),
            {**window, "turned": False, "positive": True, "pool": (2, 3)},
        ),
        (_pooled, (draw(3, 19, 21, 61), draw(3, 3, 61, 64), draw(64), draw(64)), {**plain, "turned": False, "positive": True, "pool": (2, 2)}),
        (
            _pooled_gradient,
            (draw(2, 9, 17, 5), draw(2, 2, 5, 45), rng.choice(np.array([0, 1, 2, 3, 4, 5, NONE], np.uint8), (2, 2, 5, 45))),
            {**window, "spatial": (3, 2), "counts": (5, 17), "pool": (2, 3)},
        ),
        (_totals, (draw(700, 21),), {}),
        (_moments, (draw(700, 21) + 10,), {}),
        (_slopes, (draw(700, 21), draw(700, 21), draw(21)), {}),
    ]
    names = [primitive.name.removeprefix("nyala_") for primitive, _, _ in cases]
    own = jax.jit(lambda all_arrays: [case[0].bind(*arrays, **case[2]) for case, arrays in zip(cases, all_arrays, strict=True)])
    composed = jax.jit(lambda all_arrays: [COMPOSED[name](*arrays, **case[2]) for name, case, arrays in zip(names, cases, all_arrays, strict=True)])
    given = [arrays for _, arrays, _ in cases]
    for name, results, wanted in zip(names, own(given), composed(given), strict=True):
        for got, expected in zip(jax.tree.leaves(results), jax.tree.leaves(wanted), strict=True):
            if not _agree(np.asarray(got), np.asarray(expected)):
                return f"the kernel {name} computes something else than XLA"
    return ""
