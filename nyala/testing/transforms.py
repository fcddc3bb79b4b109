# SPDX-License-Identifier: Apache-2.0
"""What must hold of what an engine does to functions (compile, gradients, vmap, ...) and of tensors on their way to and from the host.

Every public function here is a check: it takes an engine and raises ContractError. `needs` says what an engine must have for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.engines.protocol import Engine
from nyala.testing.compare import COMPLEX, FLOATS, INTEGERS, compare, fit, kept, require

CHECKS: dict[str, tuple[str, Callable[[Engine], None]]] = {}  # id -> (what the engine needs: "", "values" or "gradients", check)


def check(needs: str) -> Callable[[Callable], Callable]:
    def register(function: Callable) -> Callable:
        CHECKS[function.__name__] = (needs, function)
        return function

    return register


def _array(*shape: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def _close(engine: Engine, got: Any, want: Any, what: str) -> None:
    compare(engine.to_numpy(got), np.asarray(want, np.float64), "float32", scale=8, what=what)


def _sum(engine: Engine, x: Any) -> Any:
    return engine.sum(x, tuple(range(len(engine.shape(x)))), False)


# Tensors and the host


@check("values")
def host_and_back(engine: Engine) -> None:
    for dtype in kept(engine, ("bool", *INTEGERS, *FLOATS, *COMPLEX)):
        values = fit(np.linspace(-2.0, 3.0, 12).reshape(2, 3, 2), dtype)
        x = engine.asarray(values, dtype)
        require(
            (engine.dtype(x), engine.shape(x), engine.is_tensor(x)) == (dtype, (2, 3, 2), True),
            f"asarray in {dtype} gives {engine.dtype(x)} {engine.shape(x)}",
        )
        back = engine.to_numpy(x)
        require(
            isinstance(back, np.ndarray) and str(back.dtype) == dtype and np.array_equal(back.astype(values.dtype), values),
            f"to_numpy in {dtype} gives {back!r}",
        )
        borrowed = np.asarray(engine.borrow(x))
        require(str(borrowed.dtype) == dtype and np.array_equal(borrowed, back), f"borrow in {dtype} gives {borrowed!r}")
        again = engine.asarray(back)
        require(engine.dtype(again) == dtype, f"asarray of a NumPy array in {dtype} gives {engine.dtype(again)}")
        kernel = engine.arranged(engine.asarray(values.reshape(3, 1, 2, 2), dtype))
        same = engine.dtype(kernel) == dtype and np.array_equal(engine.to_numpy(kernel), back.reshape(3, 1, 2, 2))
        require(same and engine.borrow(kernel).flags.c_contiguous, f"arranged changes a kernel in {dtype} to {kernel!r}")
        adopted = engine.adopt(np.array(back), dtype)
        require(engine.dtype(adopted) == dtype and np.array_equal(engine.to_numpy(adopted), back), f"adopt in {dtype} gives {adopted!r}")
        if dtype not in COMPLEX:
            own = engine.dtype(engine.asarray(x, "float32"))
            require(own == "float32", f"asarray of a {dtype} tensor with dtype='float32' gives {own}")
        require(np.array_equal(engine.to_numpy(engine.asarray(x)), back), f"asarray of a {dtype} tensor changes its values")


@check("values")
def scalars_lists_and_odd_arrays(engine: Engine) -> None:
    for value, dtype in (
        (2.5, "float32"),
        (3, "int32"),
        (True, "bool"),
        ([[1, 2], [3, 4]], "int32"),
        ([0.5, 1.5], "float16"),
        (np.float64(0.5), "float32"),
        ((), "float32"),
    ):
        x = engine.asarray(value, dtype)
        require(
            (engine.shape(x), engine.dtype(x)) == (np.shape(value), dtype), f"asarray({value!r}, {dtype!r}) gives {engine.dtype(x)} {engine.shape(x)}"
        )
        require(np.array_equal(engine.to_numpy(x), np.asarray(value, dtype)), f"asarray({value!r}, {dtype!r}) gives {engine.to_numpy(x)}")
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    for odd in (base[::-1], base[:, ::-2], base.T, base.astype(">f4"), np.asfortranarray(base), base[:0]):
        require(
            np.array_equal(engine.to_numpy(engine.asarray(odd, "float32")), odd),
            f"asarray of an array with strides {odd.strides} and dtype {odd.dtype.str} changes its values",
        )
    frozen = base.copy()
    frozen.flags.writeable = False
    require(np.array_equal(engine.to_numpy(engine.asarray(frozen)), base), "asarray of a read-only array")


@check("values")
def no_shared_memory(engine: Engine) -> None:
    for size in (1, 7, 4096, 1 << 16):
        buffer = np.zeros(size + 16, np.float32)
        start = -buffer.ctypes.data % 64 // 4  # libraries like to borrow aligned arrays
        array = buffer[start : start + size]
        array[:] = 1.5
        x = engine.asarray(array)
        array[:] = -1.0
        back = engine.to_numpy(x)
        require(np.all(back == 1.5), f"asarray of {size} numbers shares memory with its argument")
        back[:] = 9.0
        require(np.all(engine.to_numpy(x) == 1.5), f"to_numpy of {size} numbers shares memory with the tensor")


@check("")
def names_of_dtypes(engine: Engine) -> None:
    for dtype in ("bool", *INTEGERS, *FLOATS, *COMPLEX):
        canonical = engine.canonical_dtype(dtype)
        own = engine.dtype(engine.full((2,), 1, canonical))
        require(own == canonical, f"full in {canonical} gives {own}")
        require(engine.canonical_dtype(canonical) == canonical, f"canonical_dtype of {dtype} is not settled: {canonical}")
    require(
        kept(engine, ("bool", "int32", "uint8", "uint32", "float16", "bfloat16", "float32"))
        == ["bool", "int32", "uint8", "uint32", "float16", "bfloat16", "float32"],
        "a dtype is missing",
    )
    require(not any(map(engine.is_tensor, (1.0, None, "x", [1.0], (), {}))), "is_tensor of things that are no tensors")


@check("values")
def devices_and_waiting(engine: Engine) -> None:
    devices = engine.devices()
    require(devices and all(name.partition(":")[2].isdigit() for name in devices), f"devices {devices}")
    x = engine.asarray([1.0, 2.0], "float32")
    require(engine.block({"a": [x]})["a"][0] is x, "block does not return its tree")


# Compiled functions


@check("values")
def compile_gives_the_same(engine: Engine) -> None:
    traces = []

    def function(state: dict, xs: list) -> tuple:
        traces.append(engine.shape(xs[0]))
        return {"w": engine.add(state["w"], 1.0)}, (engine.matmul(xs[0], state["w"]), [xs[1]])

    compiled = engine.compile(function)
    for rows in (3, 3, 5, 3):
        w, x, y = _array(2, 7), _array(rows, 2), _array(5, seed=rows)
        state, (product, [same]) = compiled({"w": engine.asarray(w)}, [engine.asarray(x), engine.asarray(y)])
        for got, want, what in ((state["w"], w + 1, "state"), (product, x @ w, "product"), (same, y, "argument that is a result")):
            _close(engine, got, want, f"compile: {what}")
    if engine.compiles:
        require(len(traces) == 2, f"compile traced {len(traces)} times for two shapes")


@check("values")
def compile_may_reuse_donated_memory(engine: Engine) -> None:
    step = engine.compile(lambda w, x: (engine.subtract(w, engine.multiply(x, 0.5)), _sum(engine, x)), donate=(0,))
    w, x = _array(64, 5), _array(64, 5, seed=4)
    value, given = engine.asarray(w), engine.asarray(x)
    for _ in range(3):
        value, total = step(value, given)
        _close(engine, total, np.sum(x, dtype=np.float64), "compile(donate): sum of an argument that is kept")
    _close(engine, value, w - 1.5 * x, "compile(donate): three steps")
    _close(engine, given, x, "compile(donate): an argument that was not donated")


@check("")
def eval_shape_runs_on_shapes(engine: Engine) -> None:
    seen = []

    def function(tree: dict, y: Any) -> dict:
        seen.append(engine.shape(y))
        return {"out": [engine.add(tree["a"], y), engine.less(y, 0.0)]}

    try:
        result = engine.eval_shape(function, {"a": engine.full((2, 3), 1.0, "float32")}, engine.full((3,), 1.0, "float32"))
    except NotImplementedError:
        require(not engine.compiles, "an engine that compiles must have eval_shape")
        return
    got = [(tuple(x.shape), str(x.dtype)) for x in result["out"]]
    require(got == [((2, 3), "float32"), ((3,), "bool")] and seen == [(3,)], f"eval_shape gives {got}, having run {len(seen)} times")


# Gradients


@check("gradients")
def gradients_have_aux_and_zeros(engine: Engine) -> None:
    x, y, z = _array(3, 2), _array(2, seed=4), _array(5, seed=5)

    def function(values: list) -> tuple:
        product = engine.multiply(values[0], values[1])
        return _sum(engine, engine.multiply(product, product)), {"product": product, "count": engine.cast(values[2], "int32")}

    for run in (lambda f: f, engine.compile):
        (loss, aux), gradients = run(engine.value_and_grad(function))([engine.asarray(v) for v in (x, y, z)])
        for got, want, what in ((loss, np.sum((x * y) ** 2), "loss"), (gradients[0], 2 * x * y * y, "gradient"),
            (gradients[1], np.sum(2 * x * y * x, 0), "gradient of a value that broadcasts"),
                                (gradients[2], 0 * z, "gradient of a value that is not used"), (aux["product"], x * y, "aux")):  # fmt: skip
            _close(engine, got, want, f"value_and_grad: {what}")
        require([engine.dtype(g) for g in gradients] == ["float32"] * 3 and engine.dtype(aux["count"]) == "int32", "value_and_grad: dtypes")
        require(all(engine.is_tensor(v) for v in (loss, *gradients, *aux.values())), "value_and_grad returns things that are no tensors")
        engine.to_numpy(engine.add(aux["product"], 1.0))


@check("gradients")
def gradients_of_16_bits(engine: Engine) -> None:
    for dtype in ("float16", "bfloat16"):
        x = fit(_array(3, 2).astype(np.float64), dtype)
        (_, _), (gradient,) = engine.value_and_grad(lambda values: (_sum(engine, engine.multiply(values[0], values[0])), ()))(
            [engine.asarray(x, dtype)]
        )
        require(engine.dtype(gradient) == dtype, f"gradient of a {dtype} value is {engine.dtype(gradient)}")
        compare(engine.to_numpy(gradient), 2 * x, dtype, what=f"gradient in {dtype}")


@check("gradients")
def gradients_nest(engine: Engine) -> None:
    x = _array(5)

    def inner(values: list) -> tuple:
        return _sum(engine, engine.multiply(engine.multiply(values[0], values[0]), values[0])), ()

    def outer(values: list) -> tuple:
        (_, _), (gradient,) = engine.value_and_grad(inner)(values)
        return _sum(engine, engine.multiply(gradient, gradient)), ()

    for run in (lambda f: f, engine.compile):
        (loss, _), (gradient,) = run(engine.value_and_grad(outer))([engine.asarray(x)])
        _close(engine, loss, np.sum(9 * x**4), "nested value_and_grad: loss")
        _close(engine, gradient, 36 * x**3, "nested value_and_grad: gradient")


@check("gradients")
def stop_gradient_stops(engine: Engine) -> None:
    x = _array(5)
    (loss, _), (gradient,) = engine.value_and_grad(lambda v: (_sum(engine, engine.multiply(v[0], engine.stop_gradient(v[0]))), ()))(
        [engine.asarray(x)]
    )
    _close(engine, loss, np.sum(x * x), "stop_gradient: value")
    _close(engine, gradient, x, "stop_gradient: gradient")


@check("gradients")
def remat_changes_nothing(engine: Engine) -> None:
    x, w = _array(5, 3), _array(3, 3, seed=4)

    def block(x: Any, w: Any) -> Any:
        return engine.tanh(engine.matmul(engine.tanh(engine.matmul(x, w)), w))

    results = []
    for function in (block, engine.remat(block)):
        (loss, _), gradients = engine.compile(engine.value_and_grad(lambda v, f=function: (_sum(engine, f(*v)), ())))(
            [engine.asarray(x), engine.asarray(w)]
        )
        results.append([engine.to_numpy(t) for t in (loss, *gradients)])
    for got, want in zip(*results, strict=True):
        compare(got, want.astype(np.float64), "float32", scale=8, what="remat")


@check("")
def custom_gradient_runs_forward(engine: Engine) -> None:
    function = engine.custom_gradient(lambda x, y: ((engine.multiply(x, y), engine.negative(x)), lambda upstream: (x, y)))
    product, negative = function(engine.full((3,), 2.0, "float32"), engine.full((3,), 4.0, "float32"))
    require(engine.shape(product) == (3,) and engine.dtype(negative) == "float32", "custom_gradient: shapes of the output tree")
    if not engine.abstract:
        require(
            np.array_equal(engine.to_numpy(product), [8.0] * 3) and np.array_equal(engine.to_numpy(negative), [-2.0] * 3), "custom_gradient: values"
        )


@check("gradients")
def custom_gradient_is_used(engine: Engine) -> None:
    x, y = _array(5), _array(5, seed=4)

    @engine.custom_gradient
    def odd(x: Any, y: Any) -> tuple:
        product = engine.multiply(x, y)

        def gradient(upstream: Any) -> tuple:
            return engine.multiply(upstream["product"], 10.0), engine.add(engine.multiply(upstream["product"], x), upstream["same"])

        return {"product": product, "same": y}, gradient

    def loss(values: list) -> tuple:
        out = odd(*values)
        return engine.add(_sum(engine, engine.multiply(out["product"], out["product"])), _sum(engine, engine.multiply(out["same"], 3.0))), out[
            "product"
        ]

    for run in (lambda f: f, engine.compile):
        (_, product), gradients = run(engine.value_and_grad(loss))([engine.asarray(x), engine.asarray(y)])
        _close(engine, product, x * y, "custom_gradient: value")
        _close(engine, gradients[0], 20 * x * y, "custom_gradient: first gradient")
        _close(engine, gradients[1], 2 * x * y * x + 3, "custom_gradient: second gradient")


# Vectorized functions


@check("values")
def vmap_is_a_loop(engine: Engine) -> None:
    x, w = _array(5, 3), _array(3, 2, seed=4)
    function = lambda row, w: engine.add(engine.reshape(engine.matmul(engine.reshape(row, (1, 3)), w), (2,)), _sum(engine, row))  # noqa: E731
    want = x @ w + x.sum(1, keepdims=True)
    _close(engine, engine.vmap(function, in_axes=(0, None))(engine.asarray(x), engine.asarray(w)), want, "vmap(in_axes=(0, None))")
    _close(
        engine,
        engine.vmap(function, in_axes=(1, None), out_axes=1)(engine.asarray(x.T), engine.asarray(w)),
        want.T,
        "vmap(in_axes=(1, None), out_axes=1)",
    )
    both = engine.vmap(lambda a, b: (engine.multiply(a, b), engine.negative(a)))(engine.asarray(x), engine.asarray(x[:, 0]))
    _close(engine, both[0], x * x[:, :1], "vmap: first of two results")
    _close(engine, both[1], -x, "vmap: second of two results")
    nested = engine.vmap(engine.vmap(engine.multiply, in_axes=(0, None)), in_axes=(None, 0))(engine.asarray(x[:, 0]), engine.asarray(w[:, 0]))
    _close(engine, nested, np.outer(w[:, 0], x[:, 0]), "nested vmap")


@check("gradients")
def vmap_inside_gradients(engine: Engine) -> None:
    x, w = _array(5, 3), _array(3, seed=4)
    dot = lambda a, b: engine.tanh(_sum(engine, engine.multiply(a, b)))  # noqa: E731
    loss = lambda v: (_sum(engine, engine.vmap(dot, in_axes=(0, None))(*v)), ())  # noqa: E731
    (value, _), (dx, dw) = engine.compile(engine.value_and_grad(loss))([engine.asarray(x), engine.asarray(w)])
    slope = 1 - np.tanh(x @ w) ** 2
    _close(engine, value, np.sum(np.tanh(x @ w)), "gradient of vmap: value")
    _close(engine, dx, slope[:, None] * w, "gradient of vmap: mapped argument")
    _close(engine, dw, slope @ x, "gradient of vmap: shared argument")
