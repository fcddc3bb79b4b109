# SPDX-License-Identifier: Apache-2.0
"""What must hold of primitives beside values of single calls: adjoints, reconstructions, control flow. (Conventions are in
rules.py.)

A law is a function of an engine that raises ContractError; its name says what holds. On engines without values only shapes are compared.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nyala.engines.protocol import Engine
from nyala.testing import oracles
from nyala.testing.compare import call, call_all, check_gradient, check_value, compare, fit, kept, require


def _random() -> np.random.Generator:
    return np.random.default_rng(11)


def _gradients(engine: Engine, function: Callable, *values: Any) -> list[np.ndarray]:
    """Gradients of sum(function(*values)) in float32."""

    def loss(given: list) -> tuple:
        y = function(*given)
        return engine.sum(y, tuple(range(len(engine.shape(y)))), False), ()

    _, gradients = engine.value_and_grad(loss)([engine.asarray(np.asarray(x, np.float32)) for x in values])
    return [engine.to_numpy(g) for g in gradients]


def _expect_gradient(engine: Engine, function: Callable, values: Sequence[Any], *wanted: Any, what: str) -> None:
    if engine.differentiable and not engine.abstract:
        for i, (got, want) in enumerate(zip(_gradients(engine, function, *values), wanted, strict=True)):
            compare(got, np.asarray(want, np.float64), "float32", what=f"{what}: gradient {i}")


# Gradients ----------------------------------------------------------------------------------------------------------------------------------


def power_of_python_numbers(engine: Engine) -> None:
    x = np.array([-2.5, -1.0, 0.0, 0.5, 3.0])
    for exponent in (0, 1, 2, 3, 2.0, 3.0):
        check_value(engine, "power", np.power, (x, exponent), "float32")
        want = exponent * x ** max(exponent - 1, 0)
        _expect_gradient(engine, lambda x, n=exponent: engine.power(x, n), [x], want, what=f"power(x, {exponent})")
    if not engine.abstract:
        third = np.float32(1.1) * np.arange(1, 8, dtype=np.float32)
        got = engine.to_numpy(engine.power(engine.asarray(third), 2))
        require(np.array_equal(got, third * third), "power(x, 2) is not x * x exactly")


def gradient_of_casts(engine: Engine) -> None:
    _expect_gradient(engine, lambda x: engine.cast(engine.cast(x, "bfloat16"), "float32"), [[1.5, -2.0]], [1, 1], what="cast through bfloat16")


def gradient_of_scan(engine: Engine) -> None:
    random = _random()
    start, xs, w = random.normal(size=(3,)), random.normal(size=(5, 3)), random.normal(size=(3, 3)) / 2

    def body(carry: tuple, x: tuple) -> tuple:
        step = engine.tanh(engine.add(engine.reshape(engine.matmul(engine.reshape(carry[0], (1, 3)), carry[1]), (3,)), x[0]))
        return (step, carry[1]), (engine.multiply(step, step),)

    def scanned(start: Any, xs: Any, w: Any, reverse: bool) -> tuple:
        carry, ys = engine.scan(body, (start, w), (xs,), 5, reverse, 1)
        return carry[0], ys[0]

    def oracle(start: np.ndarray, xs: np.ndarray, w: np.ndarray, reverse: bool) -> tuple:
        ys = np.zeros((5, 3))
        for i in range(4, -1, -1) if reverse else range(5):
            start = np.tanh(start @ w + xs[i])
            ys[i] = start**2
        return start, ys

    if engine.differentiable and not engine.abstract:
        for reverse in (False, True):
            ways = functools.partial(scanned, reverse=reverse), functools.partial(oracle, reverse=reverse)
            check_gradient(engine, *ways, values=[start, xs, w], what=f"scan(reverse={reverse})")


# Elementwise, casts, indexing ----------------------------------------------------------------------------------------------------------------


def abs_of_complex(engine: Engine) -> None:
    z = np.array([3 + 4j, -1j, 0, -2.5])
    for dtype, half in (("complex64", "float32"), ("complex128", "float64")):
        if kept(engine, [dtype]):
            check_value(engine, "abs", np.abs, (z,), dtype, result=half)


def casts_of_every_pair(engine: Engine) -> None:
    x = np.array([0.0, 1.0, 2.0, 5.0, 100.0])
    dtypes = kept(
        engine,
        ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "bfloat16", "float32", "float64", "complex64"),
    )
    for source in dtypes:
        values = x > 0 if source == "bool" else x
        results = engine.compile(lambda x: [engine.cast(x, target) for target in dtypes])(engine.asarray(values, source))
        for target, y in zip(dtypes, results, strict=True):
            require((engine.dtype(y), engine.shape(y)) == (target, (5,)), f"cast from {source} to {target} gives {engine.dtype(y)} {engine.shape(y)}")
            if not engine.abstract:
                got, want = engine.to_numpy(y), values != 0 if target == "bool" else values
                require(np.array_equal(got.astype(np.complex128), want.astype(np.complex128)), f"cast from {source} to {target} gives {got}")


def take_by_int64(engine: Engine) -> None:
    if kept(engine, ["int64"]):
        check_value(engine, "take", np.take, (np.array([[1.5, 2.5, 3.5]]), np.array([-1, 0]), 1), "float32")


# Windows -------------------------------------------------------------------------------------------------------------------------------------


def adjoints_of_conv(engine: Engine) -> None:
    """<conv(x, k), g> = <x, conv_input_gradient(g, k)> = <k, conv_kernel_gradient(x, g)>."""
    random = _random()
    for dimensions, stride, (before, after), dilation, groups in [
        (1, 1, (0, 0), 1, 1), (1, 3, (1, 0), 1, 2), (1, 2, (0, 2), 3, 4), (2, 2, (0, 1), 1, 4), (2, 3, (2, 1), 2, 2), (2, 1, (1, 1), 1, 1),
        (3, 2, (0, 1), 1, 2),
    ]:  # fmt: skip
        sizes, taps = ((11,), (7, 8), (5, 4, 6))[dimensions - 1], ((3,), (3, 2), (2, 3, 1))[dimensions - 1]
        settings = ((stride,) * dimensions, ((before, after),) * dimensions, (dilation,) * dimensions, groups)
        x, kernel = random.normal(size=(2, *sizes, 4)), random.normal(size=(*taps, 4 // groups, 8))
        y = call_all(engine, "conv", [((x, kernel, *settings), "float32")], compiled=True)[0][0]
        g = random.normal(size=engine.shape(y))
        back = call_all(engine, "conv_input_gradient", [((g, kernel, x.shape, *settings), "float32")], compiled=True)[0][0]
        deep = call_all(engine, "conv_kernel_gradient", [((x, g, kernel.shape, *settings), "float32")], compiled=True)[0][0]
        if not engine.abstract:
            products = [float(np.sum(engine.to_numpy(a).astype(np.float64) * fit(b, "float32"))) for a, b in ((y, g), (back, x), (deep, kernel))]
            size = float(np.linalg.norm(engine.to_numpy(y)) * np.linalg.norm(g))
            require(max(products) - min(products) < 1e-5 * size, f"conv and its gradients are not adjoint for {settings}: {products}")


# Linear algebra ------------------------------------------------------------------------------------------------------------------------------


def _factors(engine: Engine, name: str, x: np.ndarray, *settings: Any) -> list[np.ndarray] | None:
    """float64 copies of the outputs; None on an engine without values."""
    results = call(engine, name, (x, *settings))
    if engine.abstract:
        return None
    return [r.astype(np.complex128 if r.dtype.kind == "c" else np.float64) for r in map(engine.to_numpy, results)]


def _near(got: np.ndarray, want: np.ndarray, what: str) -> None:
    size = float(np.max(np.abs(want), initial=1.0))
    require(got.shape == want.shape and np.max(np.abs(got - want), initial=0.0) < 2e-5 * size, f"{what} does not hold")


def _sorted(values: np.ndarray) -> np.ndarray:
    return np.sort(np.round(values.astype(np.complex128), 3), axis=-1)


def _orthonormal(columns: np.ndarray, what: str) -> None:
    product = columns.conj().swapaxes(-1, -2) @ columns
    _near(product, np.broadcast_to(np.eye(product.shape[-1]), product.shape), f"{what} has orthonormal columns")


def qr_reconstructs(engine: Engine, matrices: dict[str, np.ndarray]) -> None:
    for (kind, x), mode in itertools.product(matrices.items(), ("reduced", "complete")):
        if factors := _factors(engine, "qr", x, mode):
            q, r = factors
            _near(q @ r, x, f"q @ r = x for a {kind} x, {mode}")
            _orthonormal(q, f"q of a {kind} x, {mode},")
            _near(np.tril(r, -1), 0 * r, f"r of a {kind} x is upper triangular, {mode}")


def svd_reconstructs(engine: Engine, matrices: dict[str, np.ndarray]) -> None:
    for (kind, x), full in itertools.product(matrices.items(), (False, True)):
        if factors := _factors(engine, "svd", x, full):
            u, s, vh = factors
            k = s.shape[-1]
            _near(u[..., :k] * s[..., None, :] @ vh[..., :k, :], x, f"u * s @ vh = x for a {kind} x, full_matrices={full}")
            _near(s, np.linalg.svd(x, compute_uv=False), f"singular values of a {kind} x")
            _orthonormal(u, f"u of a {kind} x")
            _orthonormal(vh.swapaxes(-1, -2), f"v of a {kind} x")


def eigh_reconstructs(engine: Engine, matrix: np.ndarray) -> None:
    if factors := _factors(engine, "eigh", matrix):
        values, vectors = factors
        _near(values, np.linalg.eigvalsh(matrix), "ascending eigenvalues")
        _near(vectors * values[..., None, :] @ vectors.swapaxes(-1, -2), matrix, "v * w @ v.T = x")
        _orthonormal(vectors, "the matrix of eigenvectors")


def eig_reconstructs(engine: Engine, matrix: np.ndarray) -> None:
    if factors := _factors(engine, "eig", matrix):
        values, vectors = factors
        _near(matrix @ vectors, vectors * values[..., None, :], "x @ v = v * w")
        _near(_sorted(values), _sorted(np.linalg.eigvals(matrix)), "eigenvalues to three digits")
        _near(np.linalg.norm(vectors, axis=-2), np.ones(vectors.shape[:-1]), "eigenvectors of length 1")


def lu_reconstructs(engine: Engine, matrices: dict[str, np.ndarray]) -> None:
    for kind, x in matrices.items():
        if factors := _factors(engine, "lu", x):
            packed, pivots = factors
            m, n = x.shape[-2:]
            k = min(m, n)
            lower, upper = np.tril(packed[..., :k], -1) + np.eye(m, k), np.triu(packed[..., :k, :])
            product = lower @ upper
            for batch in np.ndindex(x.shape[:-2]):
                for row in reversed(range(k)):
                    other = int(pivots[batch][row])
                    product[(*batch, [row, other])] = product[(*batch, [other, row])]
            _near(product, x, f"l @ u with the rows swapped back = x for a {kind} x")
            require(np.max(np.abs(lower)) <= 1 + 1e-5, f"lu of a {kind} x does not pivot on the largest")


def _transposed(engine: Engine, x: Any) -> Any:
    n = len(engine.shape(x))
    return engine.transpose(x, (*range(n - 2), n - 1, n - 2))


def _gradient_law(engine: Engine, function: Callable, oracle: Callable, *values: np.ndarray, what: str) -> None:
    if engine.differentiable and not engine.abstract:
        check_gradient(engine, function, oracle, values, scale=16, what=what)


def gradient_of_cholesky(engine: Engine) -> None:
    def function(x: Any) -> Any:
        return engine.cholesky(engine.add(engine.matmul(x, _transposed(engine, x)), engine.asarray(np.eye(3), "float32")))

    _gradient_law(engine, function, lambda x: np.linalg.cholesky(x @ x.T + np.eye(3)), _random().normal(size=(3, 3)), what="cholesky(x @ x.T + 1)")


def gradient_through_qr(engine: Engine) -> None:
    _gradient_law(engine, lambda x: engine.matmul(*engine.qr(x, "reduced")), lambda x: x, _random().normal(size=(5, 3)), what="q @ r")


def gradient_through_svd(engine: Engine) -> None:
    x = _random().normal(size=(5, 3))
    _gradient_law(engine, lambda x: engine.svd(x, False)[1], lambda x: np.linalg.svd(x, compute_uv=False), x, what="singular values")

    def rebuilt(x: Any) -> Any:
        u, s, vh = engine.svd(x, False)
        return engine.matmul(engine.multiply(u, engine.reshape(engine.multiply(s, s), (1, 3))), vh)

    def oracle(x: np.ndarray) -> np.ndarray:
        u, s, vh = np.linalg.svd(x, full_matrices=False)
        return u * s**2 @ vh

    _gradient_law(engine, rebuilt, oracle, x, what="u * s**2 @ vh")


def gradient_through_eigh(engine: Engine) -> None:
    def rebuilt(x: Any) -> Any:
        w, v = engine.eigh(engine.add(x, _transposed(engine, x)))
        return w, engine.matmul(engine.multiply(v, engine.reshape(engine.sin(w), (1, 3))), _transposed(engine, v))

    def oracle(x: np.ndarray) -> tuple:
        w, v = np.linalg.eigh(x + x.T)
        return w, v * np.sin(w) @ v.T

    _gradient_law(engine, rebuilt, oracle, _random().normal(size=(3, 3)), what="eigenvalues, and v * sin(w) @ v.T")


def gradient_through_complex(engine: Engine) -> None:
    random = _random()

    def rebuilt(a: Any, b: Any) -> tuple:
        z = engine.fft(engine.complex(a, b), 1)
        z = engine.ifft(engine.multiply(z, z), 0)
        return engine.real(z), engine.imag(z), engine.abs(z)

    def oracle(a: np.ndarray, b: np.ndarray) -> tuple:
        z = np.fft.ifft(np.fft.fft(a + 1j * b, axis=1) ** 2, axis=0)
        return z.real.copy(), z.imag.copy(), np.abs(z)

    _gradient_law(
        engine, rebuilt, oracle, random.normal(size=(2, 3)), random.normal(size=(2, 3)), what="real, imag and abs of ifft(fft(a + bi) ** 2)"
    )


# Control flow --------------------------------------------------------------------------------------------------------------------------------


def cond_chooses(engine: Engine) -> None:
    x, y = np.array([1.5, -2.0, 0.25]), np.array([[2.0]])
    for choice in (True, False):
        for run in (lambda f: f, engine.compile):
            function = run(
                lambda p, a, b: engine.cond(
                    p, lambda a, b: (engine.add(a, 1.0), b), lambda a, b: (engine.multiply(a, 3.0), engine.negative(b)), (a, b)
                )
            )
            got = function(engine.asarray(np.asarray(choice), "bool"), engine.asarray(x, "float32"), engine.asarray(y, "float32"))
            wants = (x + 1, y) if choice else (x * 3, -y)
            _expect_all(engine, got, wants, f"cond({choice})")


def while_loop_counts(engine: Engine) -> None:
    start = (np.array(0, np.int32), np.array([1.0, 2.0]))
    for run in (lambda f: f, engine.compile):
        for limit in (0, 5):
            function = run(
                lambda i, x, n=limit: engine.while_loop(
                    lambda i, x: engine.less(i, n), lambda i, x: (engine.add(i, 1), engine.multiply(x, 1.5)), (i, x)
                )
            )
            got = function(engine.asarray(start[0], "int32"), engine.asarray(start[1], "float32"))
            _expect_all(engine, got, (np.int32(limit), start[1] * 1.5**limit), f"while_loop of {limit} turns")


def scan_is_a_loop(engine: Engine) -> None:
    random = _random()
    start, a, b = random.normal(size=(3,)), random.normal(size=(5, 3)), random.integers(0, 9, (5,)).astype(np.int32)

    def body(carry: tuple, x: tuple) -> tuple:
        total = engine.add(engine.multiply(carry[0], 0.5), x[0])
        return (total, engine.add(carry[1], x[1])), (engine.negative(total), x[1])

    for reverse, unroll, length in [(False, 1, 5), (True, 1, 5), (False, 2, 5), (True, True, 5), (False, 1, 0)]:
        total, count, ys = fit(start, "float32"), 0, np.zeros((length, 3))
        for i in range(length - 1, -1, -1) if reverse else range(length):
            total, count = total * 0.5 + fit(a[i], "float32"), count + int(b[i])
            ys[i] = -total
        given = (
            (engine.asarray(start, "float32"), engine.asarray(np.asarray(0), "int32")),
            (engine.asarray(a[:length], "float32"), engine.asarray(b[:length], "int32")),
        )
        what = f"scan(length={length}, reverse={reverse}, unroll={unroll})"
        for run in (lambda f: f, engine.compile):
            carry, out = run(lambda carry, xs, r=reverse, u=unroll, n=length: engine.scan(body, carry, xs, n, r, u))(*given)
            _expect_all(engine, carry, (total, np.int32(count)), what)
            _expect_all(engine, out, (ys, b[:length]), what)
    carry, out = engine.scan(
        lambda carry, x: ((engine.multiply(carry[0], 2.0),), (carry[0],)), (engine.asarray(np.asarray(1.0), "float32"),), (), 4, False, 1
    )
    _expect_all(engine, (*carry, *out), (np.asarray(16.0), np.array([1.0, 2.0, 4.0, 8.0])), "scan without xs")


def _expect_all(engine: Engine, got: Any, wants: Sequence[Any], what: str) -> None:
    require(len(got) == len(wants), f"{what}: {len(got)} results, expected {len(wants)}")
    for x, want in zip(got, wants, strict=True):
        want = np.asarray(want)
        dtype = "float32" if want.dtype.kind == "f" else str(want.dtype)
        require(
            (engine.shape(x), engine.dtype(x)) == (want.shape, dtype),
            f"{what}: got {engine.dtype(x)} {engine.shape(x)}, expected {dtype} {want.shape}",
        )
        if not engine.abstract:
            compare(engine.to_numpy(x), want, dtype, what=what)


THREEFRY = [  # key, counter, words: from the tables that the authors published with the paper
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
]


def check_threefry() -> None:
    """The oracle of random_bits against published words."""
    for key, counter, words in THREEFRY:
        require(oracles.threefry(key, counter) == words, f"threefry{key, counter}")
