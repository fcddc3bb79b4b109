# SPDX-License-Identifier: Apache-2.0
"""Arithmetic and functions, element by element: rows, then what a row cannot say."""

import numpy as np
import pytest
import scipy.special

from nyala import ops
from nyala.engines import backend, current
from tests.ops.table import Row, checks, different, engines, fixed, host, integers, normal, uniform

LARGEST = float(np.finfo(np.float32).max)
SPECIAL = [-np.inf, -1.5, -1.0, -0.0, 0.0, 1e-3, 1.0, 2.5, np.inf, np.nan]
POSITIVE, INSIDE, BEYOND = uniform(2, 3, low=0.2, high=4.0), uniform(2, 3, low=-0.9, high=0.9), uniform(2, 3, low=1.1, high=5.0)
BOOLS = 'cast first: ops.cast(x, "int32")'


def float_row(name, oracle, points=None, edges=SPECIAL, **more):
    return Row(name, oracle, [points or normal(2, 3)], dtype="float", edges=edges, takes=more.pop("takes", "float integer bool"), **more)


def truncated_mod(a, b):
    return np.where(b == 0, np.nan if np.asarray(a).dtype.kind == "f" else 0, np.fmod(a, np.where(b == 0, 1, b)))


STEPS = [fixed(np.array([[-2.3, 0.4, 1.6], [3.3, -0.7, -4.2]]))]
PAIR = [normal(2, 3), uniform(5, 1, 3, low=0.5, high=3.0)]
ROWS = [
    *(
        float_row(name, getattr(np, name))
        for name in ("exp", "exp2", "expm1", "sin", "cos", "arctan", "sinh", "cosh", "tanh", "arcsinh", "deg2rad", "rad2deg", "cbrt")
    ),
    float_row("sinc", np.sinc, takes="float"),
    *(float_row(name, getattr(np, name), POSITIVE) for name in ("log", "log10", "log1p", "log2", "sqrt", "reciprocal")),
    float_row("rsqrt", lambda x: 1 / np.sqrt(x), POSITIVE),
    float_row("tan", np.tan, INSIDE, edges=[-1.5, 0.0, 1.0]),
    *(float_row(name, getattr(np, name), INSIDE) for name in ("arcsin", "arccos")),
    float_row("arctanh", np.arctanh, INSIDE),
    float_row("arccosh", np.arccosh, BEYOND),
    float_row("fabs", np.abs, STEPS[0]),
    float_row("floor", np.floor, STEPS[0]),
    float_row("ceil", np.ceil, STEPS[0]),
    Row("trunc", np.trunc, STEPS, edges=SPECIAL, takes="float integer bool"),
    Row("absolute", np.abs, STEPS, edges=SPECIAL, takes="float integer bool"),
    Row("abs", np.abs, [fixed(np.array([3 + 4j, -1j]))], dtype="float32"),
    Row(
        "negative",
        np.negative,
        STEPS,
        edges=SPECIAL,
        takes="float",
        errors=[([fixed([True])], {}, f"negative needs numbers, got bool.\n  fix: {BOOLS}")],
    ),
    Row("sign", np.sign, STEPS, edges=SPECIAL, errors=[([fixed([True])], {}, f"sign needs numbers, got bool.\n  fix: {BOOLS}")]),
    Row("sign", np.sign, [fixed(np.array([3 + 4j, 0, -2j]))]),
    Row("signbit", np.signbit, STEPS, edges=SPECIAL[:-1], dtype="bool"),
    Row(
        "round",
        np.round,
        [different(2, 3)],
        [{}, {"decimals": 1}, {"decimals": -1}],
        edges=[-2.5, -1.5, 0.5, 1.5, 2.5, np.inf],
        gradient=False,
        takes="float",
    ),
    Row("round", np.round, [integers(7, low=-99, high=99)], [{}, {"decimals": 2}, {"decimals": -1}], gradient=False),
    Row("square", np.square, STEPS, edges=SPECIAL),
    Row(
        "nan_to_num",
        lambda x, nan=0.0, posinf=LARGEST, neginf=-LARGEST: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
        [fixed([np.nan, 1.5, np.inf, -np.inf])],
        [{}, {"nan": 2.0, "posinf": 3.0, "neginf": 4.0}],
        takes="",
        gradient=False,
    ),
    *(Row(name, getattr(np, name), PAIR) for name in ("add", "multiply")),
    Row(
        "subtract",
        np.subtract,
        PAIR,
        errors=[([fixed([True]), fixed([False])], {}, "subtract needs numbers, got bool.\n  fix: use logical_xor for bools, or cast first")],
    ),
    Row("divide", np.divide, PAIR, dtype="float", takes="float"),
    Row("true_divide", np.divide, [integers(2, 3), integers(3, low=1)], dtype="float"),
    Row(
        "divide_no_nan",
        lambda a, b: np.where(b == 0, 0, a / np.where(b == 0, 1, b)),
        [normal(3), fixed([2.0, 0.0, -1.0])],
        dtype="float",
        takes="float",
        gradient=False,
    ),
    Row("floor_divide", np.floor_divide, [integers(2, 3), integers(3, low=1)]),
    Row("floor_divide", np.floor_divide, [normal(2, 3, scale=5), uniform(3, low=0.5, high=2)], takes="float"),
    Row("mod", np.mod, [normal(2, 3, scale=5), uniform(3, low=0.5, high=2)], takes="", tolerance=10),
    Row("mod", np.mod, [integers(2, 3), integers(3, low=1)]),
    Row("fmod", truncated_mod, [normal(2, 3, scale=5), uniform(3, low=0.5, high=2)], takes="", tolerance=10),
    Row("fmod", truncated_mod, [integers(2, 3), integers(3, low=1)]),
    Row("power", np.power, [POSITIVE, uniform(3, low=-2, high=2)], takes="float"),
    Row("power", np.power, [integers(2, 3), integers(3, low=0, high=4)]),
    *(Row(name, getattr(np, name), [normal(2, 3), normal(5, 1, 3)]) for name in ("maximum", "minimum", "fmax", "fmin")),
    Row(
        "clip",
        lambda x, x_min, x_max: np.clip(x, x_min, x_max),
        [normal(2, 3)],
        [{"x_min": -0.5, "x_max": 0.5}, {"x_min": None, "x_max": 0.1}],
        takes="float",
    ),
    Row("arctan2", np.arctan2, PAIR, dtype="float"),
    Row("hypot", np.hypot, PAIR, dtype="float"),
    Row("logaddexp", np.logaddexp, PAIR, dtype="float"),
    Row("logaddexp2", np.logaddexp2, PAIR, dtype="float"),
    Row("heaviside", np.heaviside, [fixed([-1.5, 0.0, 2.0]), normal(3)], dtype="float", takes="float", gradient=False),
    Row("gcd", np.gcd, [integers(2, 3, low=-30, high=30), integers(3, low=-30, high=30)], spec=True),
    Row("lcm", np.lcm, [integers(2, 3), integers(3)], errors=[([normal(2), normal(2)], {}, "lcm needs integers, got float32.")]),
    Row("ldexp", np.ldexp, [normal(2, 3), integers(3)], takes=""),
    Row(
        "nextafter",
        lambda a, b: np.nextafter(np.float32(a), np.float32(b)).astype(np.float64),
        [normal(2, 3, scale=100), normal(3, scale=100)],
        takes="",
        gradient=False,
        tolerance=1e-3,
    ),
    float_row("i0", scipy.special.i0, normal(2, 3, scale=4), edges=[-9.0, -1.0, 0.0, 0.5, 20.0]),
    float_row("erf", scipy.special.erf),
    float_row("erfinv", scipy.special.erfinv, INSIDE, edges=[-1.0, 0.0, 0.5, 1.0, 1.5]),
    float_row("erfc", scipy.special.erfc, edges=[-np.inf, -3.0, 0.0, 0.4, 3.0, np.inf]),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize("name", engines())
def test_python_numbers_are_weak(name):
    with backend(name):
        x = ops.ones((2,), "float16")
        assert [current().dtype(ops.add(x, 1.5)), current().dtype(ops.add(1, x))] == ["float16", "float16"]
        assert current().dtype(ops.multiply(ops.ones((2,), "int8"), 2)) == "int8"
        assert current().dtype(ops.multiply(ops.ones((2,), "int8"), 2.0)) == "float32"


@pytest.mark.parametrize("name", engines())
def test_of_an_infinite_pair_logaddexp_keeps_the_larger(name):
    with backend(name):
        x, y = np.float32([np.inf, -np.inf, -np.inf, np.inf, np.nan]), np.float32([np.inf, -np.inf, 1.0, 1.0, 1.0])
        np.testing.assert_allclose(host(ops.logaddexp(x, y)), [np.inf, -np.inf, 1.0, np.inf, np.nan], rtol=1e-6)


@pytest.mark.parametrize("name", engines())
def test_hypot_does_not_overflow(name):
    with backend(name):
        found = host(ops.hypot(np.float32([3e38, np.inf, 0.0, 3e-30]), np.float32([1e38, np.nan, 0.0, 4e-30])))
        np.testing.assert_allclose(found, np.float32([np.hypot(3e38, 1e38), np.inf, 0.0, 5e-30]), rtol=1e-6)


@pytest.mark.parametrize("name", engines())
def test_divide_no_nan_has_a_finite_gradient_at_zero(name):
    with backend(name) as _:
        from nyala.engines import current

        if current().differentiable:
            x = current().asarray(np.float32([0.0, 2.0]))
            _, (gradient,) = current().value_and_grad(lambda v: (ops.sum(ops.divide_no_nan(1.0, v[0])), None))([x])
            np.testing.assert_allclose(current().to_numpy(gradient), [0.0, -0.25])


@pytest.mark.parametrize("name", engines())
def test_nextafter_of_infinite_and_missing_numbers(name):
    with backend(name):
        x, y = np.float32([-np.inf, np.inf, np.inf, np.inf, 2.0, np.nan]), np.float32([1.0, -np.inf, np.inf, 1.0, np.nan, 1.0])
        np.testing.assert_array_equal(host(ops.nextafter(x, y)), np.nextafter(x, y))
