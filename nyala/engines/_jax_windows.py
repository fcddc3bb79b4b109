# SPDX-License-Identifier: Apache-2.0
"""Convolutions and pooling for the JAX engine, channels last, one to three spatial axes.

Convolution is linear in its input and in its kernel, so the three operations here (it and its two adjoints) are each other's gradients:
`_linked` says so once, and every derivative of any order is one of the three again.
On GPUs and TPUs they are what XLA offers. XLA for CPUs is slow at some of it, so there kernel gradients are said as forward convolutions, kernels of
size 1 are matmuls, grouped kernels and pooling run over shifted slices. Both ways give the same values: the tests compare them.
Start at `conv`. Nothing here knows about engines.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from nyala.engines import _jax_kernels as kernels

Shape = tuple[int, ...]
Padding = Sequence[tuple[int, int]]

LARGEST_UNROLLED_WINDOW = 16  # pooling windows longer than this go to reduce_window


class Geometry(NamedTuple):
    """What a convolution is besides its arrays; hashable, as static arguments must be."""

    input_shape: Shape
    kernel_shape: Shape
    strides: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int


def conv(x: Array, kernel: Array, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    """The primitive `conv`."""
    return _conv(x, kernel, _geometry(x.shape, kernel.shape, strides, padding, dilation, groups))


def conv_input_gradient(g: Array, kernel: Array, input_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    """The primitive `conv_input_gradient`."""
    return input_gradient(g, kernel, _geometry(input_shape, kernel.shape, strides, padding, dilation, groups))


def conv_kernel_gradient(x: Array, g: Array, kernel_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Array:
    """The primitive `conv_kernel_gradient`."""
    return kernel_gradient(x, g, _geometry(x.shape, kernel_shape, strides, padding, dilation, groups))


def _geometry(input_shape: Shape, kernel_shape: Shape, strides: Shape, padding: Padding, dilation: Shape, groups: int) -> Geometry:
    pairs = tuple((int(before), int(after)) for before, after in padding)
    return Geometry(tuple(input_shape), tuple(kernel_shape), tuple(strides), pairs, tuple(dilation), groups)


def _linked(
    left: Callable[..., Array], right: Callable[..., Array], differentiated: Callable[..., Array] | None = None
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    """Mark f(a, b, geometry), linear in a and in b: with upstream u its gradients are left(u, a, b, geometry) and right(u, a, b, geometry).

    Where it is differentiated, another function may compute it."""

    def mark(function: Callable[..., Array]) -> Callable[..., Array]:
        linked = jax.custom_vjp(function, nondiff_argnums=(2,))
        linked.defvjp(
            lambda a, b, geometry: ((differentiated or linked)(a, b, geometry), (a, b)),
            lambda geometry, saved, upstream: (left(upstream, *saved, geometry), right(upstream, *saved, geometry)),
        )
        return linked

    return mark


@_linked(lambda u, x, kernel, geometry: input_gradient(u, kernel, geometry),
         lambda u, x, kernel, geometry: kernel_gradient(x, u, geometry),
         differentiated=lambda x, kernel, geometry: _conv_by_kernel(x, kernel, geometry))  # fmt: skip
def _conv(x: Array, kernel: Array, geometry: Geometry) -> Array:
    """As XLA has it, which joins it to bias, relu and pooling as long as nobody needs what is between."""
    spread = (1,) * len(geometry.strides)
    return _correlate(x, kernel, geometry.strides, geometry.padding, spread, geometry.dilation, geometry.groups)


@_linked(lambda u, x, kernel, geometry: input_gradient(u, kernel, geometry),  # pyright: ignore[reportGeneralTypeIssues]  # gradients of each other
         lambda u, x, kernel, geometry: kernel_gradient(x, u, geometry))  # pyright: ignore[reportGeneralTypeIssues]  # as above  # fmt: skip
def _conv_by_kernel(x: Array, kernel: Array, geometry: Geometry) -> Array:
    strides, padding, dilation = geometry.strides, geometry.padding, geometry.dilation
    if geometry.groups == 1 and not _is_pointwise(geometry) and kernels.convolution_pays(x, kernel, counts(geometry), padding, kernel.shape[-1]):
        return kernels.convolution(x, kernel, strides, padding, dilation, turned=False)
    spread = (1,) * len(strides)
    return _correlate(x, kernel, strides, padding, spread, dilation, geometry.groups)


@_linked(lambda u, g, kernel, geometry: _conv_by_kernel(u, kernel, geometry),  # pyright: ignore[reportGeneralTypeIssues]  # gradients of each other
         lambda u, g, kernel, geometry: kernel_gradient(u, g, geometry))  # pyright: ignore[reportGeneralTypeIssues]  # as above  # fmt: skip
def input_gradient(g: Array, kernel: Array, geometry: Geometry) -> Array:
    """Correlation of g, spread by the strides, with the kernel turned round."""
    if geometry.groups == 1 and not _is_pointwise(geometry) and all(step == 1 for step in geometry.strides):
        sides = zip(geometry.kernel_shape, geometry.padding, geometry.dilation, strict=False)
        padding = tuple((d * (k - 1) - before, d * (k - 1) - after) for k, (before, after), d in sides)
        if kernels.convolution_pays(g, kernel, geometry.input_shape[1:-1], padding, kernel.shape[-2]):
            return kernels.convolution(g, kernel, geometry.strides, padding, geometry.dilation, turned=True)
    groups, spatial = geometry.groups, geometry.kernel_shape[:-2]
    inputs, outputs = geometry.kernel_shape[-2:]
    padding = []
    for size, count, k, stride, (before, _), d in zip(
        geometry.input_shape[1:-1], g.shape[1:-1], spatial, geometry.strides, geometry.padding, geometry.dilation, strict=True
    ):
        low = d * (k - 1) - before
        spread_size = max((count - 1) * stride + 1, 0)
        padding.append((low, size + d * (k - 1) - spread_size - low))
    if g.size == 0:
        return jnp.zeros(geometry.input_shape, g.dtype)
    if groups == 1 and _is_pointwise(geometry) and _on_cpu():
        product = kernels.product_with_turned(g.reshape(-1, outputs), kernel.reshape(inputs, outputs))
        return _fit(product.reshape(*g.shape[:-1], inputs), padding, geometry.strides)
    kernel = lax.rev(kernel, range(len(spatial))).reshape(*spatial, inputs, groups, outputs // groups)
    kernel = jnp.moveaxis(kernel, (-1, -2), (-3, -2)).reshape(*spatial, outputs // groups, groups * inputs)
    return _correlate(g, kernel, (1,) * len(spatial), tuple(padding), geometry.strides, geometry.dilation, groups)


@_linked(lambda u, x, g, geometry: input_gradient(g, u, geometry),  # pyright: ignore[reportGeneralTypeIssues]  # as above
         lambda u, x, g, geometry: _conv_by_kernel(x, u, geometry))  # pyright: ignore[reportGeneralTypeIssues]  # as above  # fmt: skip
def kernel_gradient(x: Array, g: Array, geometry: Geometry) -> Array:
    if x.size == 0 or g.size == 0:
        return jnp.zeros(geometry.kernel_shape, x.dtype)
    if not _on_cpu():
        kernel = jax.ShapeDtypeStruct(geometry.kernel_shape, x.dtype)
        spread = (1,) * len(geometry.strides)
        plain = lambda k: kernels.xla_convolution(x, k, geometry.strides, geometry.padding, spread, geometry.dilation, geometry.groups)  # noqa: E731
        return jax.linear_transpose(plain, kernel)(g)[0]
    *spatial, inputs, outputs = geometry.kernel_shape
    groups = geometry.groups
    if groups == 1 and not _is_pointwise(geometry):
        kernel = jax.ShapeDtypeStruct(geometry.kernel_shape, g.dtype)
        if x.dtype == g.dtype and kernels.convolution_pays(x, kernel, g.shape[1:-1], geometry.padding, outputs):
            return kernels.kernel_gradient(x, g, tuple(spatial), geometry.strides, geometry.padding, geometry.dilation)
    if groups == 1 and math.prod(spatial) > 1 and inputs > 1:
        return kernels.kernel_gradient_as_correlation(
            x, g, spatial=tuple(spatial), strides=geometry.strides, padding=geometry.padding, dilation=geometry.dilation
        )
    slices = list(_shifted(_fit(x, geometry.padding), spatial, geometry.strides, geometry.dilation, g.shape[1:-1]))
    g = g.reshape(-1, groups, outputs // groups)  # rows, groups, o
    if groups == 1:
        if len(slices) == 1:
            return kernels.transposed_product(slices[0].reshape(-1, inputs), g[:, 0]).reshape(geometry.kernel_shape)
        patches = jnp.stack([part.reshape(-1) for part in slices])  # inputs == 1
        return lax.dot_general(patches, g[:, 0], (((1,), (0,)), ((), ()))).reshape(geometry.kernel_shape)
    if inputs == 1:  # depthwise: no sum over channels, hence no matmul
        parts = [jnp.sum(part.reshape(-1, groups, 1) * g, axis=0, dtype=g.dtype) for part in slices]
        return jnp.stack(parts).reshape(geometry.kernel_shape)
    patches = jnp.stack([part.reshape(-1, groups, inputs) for part in slices], axis=2)  # rows, groups, k, c
    return jnp.einsum("ngkc,ngo->kcgo", patches, g).reshape(geometry.kernel_shape)


def _is_pointwise(geometry: Geometry) -> bool:
    return all(k == 1 for k in geometry.kernel_shape[:-2])


def counts(geometry: Geometry) -> Shape:
    sizes = zip(geometry.input_shape[1:-1], geometry.kernel_shape, geometry.strides, geometry.padding, geometry.dilation, strict=False)
    return tuple((size + before + after - d * (k - 1) - 1) // step + 1 for size, k, step, (before, after), d in sizes)


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


# One correlation, of x whose elements are `spread` apart, padded by widths that may be negative. ------------------------------------------


def _correlate(x: Array, kernel: Array, strides: Shape, padding: Padding, spread: Shape, dilation: Shape, groups: int) -> Array:
    *spatial, inputs, outputs = kernel.shape
    if _on_cpu() and x.size:
        if groups == 1 and all(k == 1 for k in spatial):
            return _product_of_rows(_every(_fit(x, padding), strides), kernel.reshape(inputs, outputs))  # a matmul
        if inputs == 1 and groups > 1:
            return _depthwise(x, kernel, strides, padding, spread, dilation)
    return kernels.convolve(x, kernel, strides, padding, spread, dilation, groups)


def _product_of_rows(x: Array, kernel: Array) -> Array:
    return kernels.product(x.reshape(-1, x.shape[-1]), kernel).reshape(*x.shape[:-1], kernel.shape[-1])


def _depthwise(x: Array, kernel: Array, strides: Shape, padding: Padding, spread: Shape, dilation: Shape) -> Array:
    """One input channel per group: a sum of shifted slices, each times its weights."""
    *spatial, _, outputs = kernel.shape
    x = _fit(x, padding, spread)
    groups = x.shape[-1]
    counts = [max((size - d * (k - 1) - 1) // step + 1, 0) for size, k, step, d in zip(x.shape[1:-1], spatial, strides, dilation, strict=True)]
    shape = (x.shape[0], *counts, outputs)
    if 0 in shape:
        return jnp.zeros(shape, x.dtype)
    weights = kernel.reshape(-1, groups, outputs // groups)
    parts = [part[..., None] * weight for part, weight in zip(_shifted(x, spatial, strides, dilation, counts), weights, strict=True)]
    return functools.reduce(lax.add, parts).reshape(shape)


def _fit(x: Array, padding: Padding, spread: Shape | None = None, value: float = 0) -> Array:
    """Pad (or, by negative widths, crop) the spatial axes, with spread - 1 gaps between elements."""
    gaps = [step - 1 for step in spread] if spread else [0] * len(padding)
    if not any(gaps) and not any(before or after for before, after in padding):
        return x
    return lax.pad(x, np.asarray(value, x.dtype), [(0, 0, 0), *((a, b, gap) for (a, b), gap in zip(padding, gaps, strict=True)), (0, 0, 0)])


def _every(x: Array, strides: Shape) -> Array:
    """Each stride-th element of the spatial axes, from the first."""
    if all(step == 1 for step in strides):
        return x
    return lax.slice(x, (0,) * x.ndim, x.shape, (1, *strides, 1))


def _shifted(x: Array, window: Sequence[int], strides: Shape, dilation: Shape, counts: Sequence[int]) -> Iterator[Array]:
    """For each position in the window, in row-major order, what lies there in all `counts` windows: (b, *counts, c)."""
    for offsets in itertools.product(*map(range, window)):
        starts = [offset * d for offset, d in zip(offsets, dilation, strict=True)]
        stops = [start + (count - 1) * step + 1 for start, count, step in zip(starts, counts, strides, strict=True)]
        yield lax.slice(x, (0, *starts, 0), (x.shape[0], *stops, x.shape[-1]), (1, *strides, 1))


# Pooling ----------------------------------------------------------------------------------------------------------------------------------


def max_pool(x: Array, window: Shape, strides: Shape, padding: Padding) -> Array:
    """The primitive `max_pool`."""
    return _pool(x, window, strides, padding, kernels.lowest(x.dtype), lax.max, jnp.max)


def sum_pool(x: Array, window: Shape, strides: Shape, padding: Padding) -> Array:
    """The primitive `sum_pool`."""
    return _pool(x, window, strides, padding, 0, lax.add, functools.partial(jnp.sum, dtype=x.dtype))


def _pool(x: Array, window: Shape, strides: Shape, padding: Padding, neutral: float, combine: Callable, reduce: Callable) -> Array:
    counts = [(size + before + after - k) // step + 1
              for size, (before, after), k, step in zip(x.shape[1:-1], padding, window, strides, strict=True)]  # fmt: skip
    overlapping = [k for k, step in zip(window, strides, strict=True) if k != step]
    if not _on_cpu() or max(overlapping, default=0) > LARGEST_UNROLLED_WINDOW or min(counts) <= 0:
        return lax.reduce_window(x, np.asarray(neutral, x.dtype), combine, (1, *window, 1), (1, *strides, 1), [(0, 0), *padding, (0, 0)])
    x = _fit(x, padding, value=neutral)
    if not overlapping and combine is lax.max and x.size and math.prod(window) <= LARGEST_UNROLLED_WINDOW:
        return _max_of_tiles(x, tuple(window))
    for axis, (count, k, step) in enumerate(zip(counts, window, strides, strict=True), 1):
        if k != step:
            x = functools.reduce(combine, (lax.slice_in_dim(x, i, i + (count - 1) * step + 1, step, axis) for i in range(k)))
    x = _tiles(x, window, strides, counts)
    return reduce(x, axis=tuple(range(2, 2 * len(window) + 1, 2)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _max_of_tiles(x: Array, window: Shape) -> Array:
    """The largest of each tile. Not differentiated, it may become one loop with the convolution before it, which XLA makes of reduce_window only."""
    return kernels.largest(x, window)


@_max_of_tiles.defjvp
def _max_of_tiles_jvp(window: Shape, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    """The first of the largest in a tile has all of the derivative. Its number is computed once: x is read twice here, and once for the gradient."""
    (x,), (tangent,) = primals, tangents
    counts = [size // k for size, k in zip(x.shape[1:-1], window, strict=True)]
    parts = list(_shifted(x, window, window, (1,) * len(window), counts))
    largest = functools.reduce(lax.max, parts)
    first = jnp.full(largest.shape, len(parts) - 1, np.uint8)
    for i in reversed(range(len(parts) - 1)):
        first = jnp.where(parts[i] == largest, np.uint8(i), first)
    axes = tuple(range(2, 2 * len(window) + 1, 2))
    first = jnp.expand_dims(lax.optimization_barrier(first), axes)
    numbers = np.arange(len(parts), dtype=np.uint8).reshape([n for k in window for n in (1, k)] + [1])
    return largest, jnp.sum(jnp.where(first == numbers, _tiles(tangent, window, window, counts), 0), axis=axes, dtype=x.dtype)


def _tiles(x: Array, window: Shape, strides: Shape, counts: Sequence[int]) -> Array:
    """Split each spatial axis into (count, window), or (count, 1) where it is pooled already: (b, n, k, m, l, ..., c)."""
    sizes = [(count, k if k == step else 1) for count, k, step in zip(counts, window, strides, strict=True)]
    x = lax.slice(x, (0,) * x.ndim, (x.shape[0], *(count * k for count, k in sizes), x.shape[-1]))
    return lax.reshape(x, (x.shape[0], *itertools.chain.from_iterable(sizes), x.shape[-1]))
