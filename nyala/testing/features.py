# SPDX-License-Identifier: Apache-2.0
"""What an engine can do, found out by trying: each probe uses Nyala as users do, and what it raises is the reason why not.

Knows no engine. docs/engines.md is made of this. Start at features.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from nyala.engines import using
from nyala.engines._interop import EXPORTS
from nyala.engines.protocol import Engine
from nyala.testing.compare import COMPLEX, INTEGERS, kept, require
from nyala.testing.oracles import random_bits

PROBES: dict[str, Callable[[Engine], str | None]] = {}  # title -> probe: None means yes, a text "partly: ..." or "no: ..." says why not


@dataclass(frozen=True)
class Feature:
    """What came out of a probe: answer "yes", "partly" or "no", and a note where there is something to say."""

    answer: str
    note: str = ""

    def __str__(self) -> str:
        return f"{self.answer}: {self.note}" if self.note else self.answer


def features(engine: Engine) -> dict[str, Feature]:
    """Title -> what the engine can do of it.

    >>> from nyala.engines import get_engine
    >>> found = features(get_engine("numpy"))
    >>> found["Predicts"].answer, found["Trains"].answer
    ('yes', 'no')
    """
    return {title: _probed(engine, probe) for title, probe in PROBES.items()}


def _probed(engine: Engine, probe: Callable[[Engine], str | None]) -> Feature:
    with using(engine):
        try:
            answer, _, note = (probe(engine) or "yes").partition(": ")
        except Exception as error:  # whatever an engine raises is its reason
            return Feature("no", reason(error))
    return Feature(answer, note)


def reason(error: BaseException) -> str:
    """The line of an error that says why, else its first line."""
    lines = str(error).splitlines() or [type(error).__name__]
    return next((line.strip().removeprefix("why: ") for line in lines if line.strip().startswith("why: ")), lines[0])


def _feature(title: str) -> Callable:
    def register(probe: Callable) -> Callable:
        PROBES[title] = probe
        return probe

    return register


def _total(engine: Engine, x: Any) -> Any:
    return engine.sum(x, tuple(range(len(engine.shape(x)))), False)


def _gradient(engine: Engine, function: Callable, *values: Any) -> list:
    """Gradients of the sum of function."""
    return engine.value_and_grad(lambda given: (_total(engine, function(*given)), ()))([engine.asarray(v, "float32") for v in values])[1]


X = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def _model(units: int = 2) -> Any:
    import nyala

    nyala.utils.set_random_seed(3)
    return nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(units, "tanh"), nyala.layers.Dropout(0.5), nyala.layers.Dense(1)])


def _trained() -> list[np.ndarray]:
    model = _model()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], batch_size=3, epochs=2, verbose=0)
    return [weight.numpy() for weight in model.weights]


# Models


@_feature("Predicts")
def predicts(engine: Engine) -> str | None:
    require(np.isfinite(_model().predict(X, verbose=0)).all(), "predictions are not finite")
    return None


@_feature("Trains")
def trains(engine: Engine) -> str | None:
    before = [weight.numpy() for weight in _model().weights]
    require(not np.array_equal(before[0], _trained()[0]), "weights do not change")
    return None


@_feature("Same bits for the same seed")
def same_bits(engine: Engine) -> str | None:
    first, second = (_trained(), _trained()) if engine.differentiable else ([_model().predict(X, verbose=0)] for _ in range(2))
    require(all(map(np.array_equal, first, second)), "two runs differ")
    return None


@_feature("Compiled steps")
def compiled_steps(engine: Engine) -> str | None:
    traces: list = []
    function = engine.compile(lambda x: (traces.append(1), engine.add(x, 1.0))[1])
    for _ in range(3):
        function(engine.asarray(X))
    if len(traces) == 1:
        return None
    return "partly: eager; steps made of Nyala's layers are recorded and replayed" if engine.records else "no: eager, each operation by itself"


@_feature("Quantized layers (int8)")
def quantized(engine: Engine) -> str | None:
    model = _model(8)
    want = model.predict(X, verbose=0)
    model.quantize("int8")
    require(np.abs(model.predict(X, verbose=0) - want).max() < 0.1, "far from the predictions before")
    return None


@_feature("int4, packed by two")
def int4(engine: Engine) -> str | None:
    import nyala

    values = np.arange(-8, 8, dtype=np.int8).reshape(4, 4)
    packed, _, length = nyala.quantizers.pack_int4(engine.asarray(values))
    require(np.array_equal(nyala.ops.convert_to_numpy(nyala.quantizers.unpack_int4(packed, length)), values), "other numbers come back")
    return None


@_feature("Sparse or ragged tensors")
def sparse(engine: Engine) -> str | None:
    import nyala

    try:
        nyala.Input((3,), sparse=True)
    except ValueError:
        return "no: tensors are dense here; fit and predict take SciPy's sparse matrices and ragged lists, batch by batch"
    return None


# Gradients and transforms


@_feature("Gradients")
def gradients(engine: Engine) -> str | None:
    require(np.allclose(engine.to_numpy(_gradient(engine, lambda x: engine.multiply(x, x), X)[0]), 2 * X), "wrong numbers")
    return None


@_feature("Gradients of gradients")
def second(engine: Engine) -> str | None:
    cube = lambda x: engine.multiply(x, engine.multiply(x, x))  # noqa: E731
    found = _gradient(engine, lambda x: engine.value_and_grad(lambda v: (_total(engine, cube(v[0])), ()))([x])[1][0], X)[0]
    require(np.allclose(engine.to_numpy(found), 6 * X, rtol=1e-4), "wrong numbers")
    return None


@_feature("Directional derivatives (ops.linalg.jvp)")
def forward(engine: Engine) -> str | None:
    import nyala

    _, tangent = nyala.ops.linalg.jvp(lambda x: nyala.ops.sin(x), [X], [np.ones_like(X)])
    require(np.allclose(nyala.ops.convert_to_numpy(tangent), np.cos(X), rtol=1e-4), "wrong numbers")
    return None


@_feature("Gradients through a scan")
def through_scan(engine: Engine) -> str | None:
    def last(x: Any) -> Any:
        start = engine.full((3,), 1.0, "float32")
        return engine.scan(lambda carry, row: ((engine.multiply(carry[0], engine.tanh(row[0])),), ()), (start,), (x,), 6, False, 1)[0][0]

    require(np.isfinite(engine.to_numpy(_gradient(engine, last, X)[0])).all(), "not finite")
    return None


@_feature("Gradients through a while loop")
def through_while(engine: Engine) -> str | None:
    def doubled(x: Any) -> Any:
        start = engine.full((), 0, "int32")
        return engine.while_loop(lambda i, _: engine.less(i, 3), lambda i, y: (engine.add(i, 1), engine.multiply(y, 2.0)), (start, x))[1]

    gradient = engine.compile(lambda x: _compiled_gradient(engine, doubled, x))
    require(np.allclose(engine.to_numpy(gradient(engine.asarray(X))), 8.0), "wrong numbers")
    return None


def _compiled_gradient(engine: Engine, function: Callable, x: Any) -> Any:
    return engine.value_and_grad(lambda given: (_total(engine, function(given[0])), ()))([x])[1][0]


@_feature("Vectorized functions (vmap)")
def vectorized(engine: Engine) -> str | None:
    found = engine.vmap(lambda row: _total(engine, row))(engine.asarray(X))
    require(np.allclose(engine.to_numpy(found), X.sum(1), atol=1e-6), "wrong numbers")
    overridden = "a loop in Python" if not engine.differentiable and not engine.compiles else ""
    return f"partly: {overridden}" if overridden else None


@_feature("Recomputation instead of storage (remat)")
def remat(engine: Engine) -> str | None:
    if type(engine).remat is Engine.remat:
        return "no: results are stored" if engine.differentiable else "no: there are no gradients to recompute for"
    require(np.isfinite(engine.to_numpy(_gradient(engine, engine.remat(engine.tanh), X)[0])).all(), "not finite")
    return None


# Numbers


def _dtypes(engine: Engine, *names: str) -> str | None:
    missing = []
    for name in names:
        try:
            x = engine.add(engine.cast(engine.asarray(X), name), engine.cast(engine.asarray(X), name))
            if engine.dtype(x) != name or str(engine.to_numpy(x).dtype) != name:
                missing.append(name)
        except Exception:  # whatever a missing kernel raises
            missing.append(name)
    if not missing:
        return None
    return f"no: not {', '.join(missing)}" if len(missing) == len(names) else f"partly: not {', '.join(missing)}"


@_feature("float16 and bfloat16")
def halves(engine: Engine) -> str | None:
    return _dtypes(engine, "float16", "bfloat16")


@_feature("float8 (cast and stored)")
def eighths(engine: Engine) -> str | None:
    for name in ("float8_e4m3fn", "float8_e5m2"):
        back = engine.cast(engine.cast(engine.asarray(np.array([1.5, -2.0], np.float32)), name), "float32")
        require(engine.to_numpy(back).tolist() == [1.5, -2.0], f"{name} changes numbers that it has")
    return None


@_feature("All integers, signed and unsigned")
def integers(engine: Engine) -> str | None:
    return _dtypes(engine, *kept(engine, INTEGERS))


@_feature("64 bits (float64, int64, complex128)")
def sixty_four(engine: Engine) -> str | None:
    names = ("float64", "int64", COMPLEX[1])
    if kept(engine, names) == list(names):
        return _dtypes(engine, *names)
    on_request = type(engine).enable_64_bits is not Engine.enable_64_bits
    return "partly: once floatx or a policy asks for float64; 32 bits until then" if on_request else "no: the device has 32 bits"


@_feature("Complex numbers and FFT, with gradients")
def fourier(engine: Engine) -> str | None:
    def power(x: Any) -> Any:
        return engine.abs(engine.fft(engine.complex(x, engine.multiply(x, 0.0)), 1))

    require(np.isfinite(engine.to_numpy(power(engine.asarray(X)))).all(), "not finite")
    if not engine.differentiable:
        return "partly: values only"
    require(np.isfinite(engine.to_numpy(_gradient(engine, power, X)[0])).all(), "not finite")
    return None


@_feature("Linear algebra, with gradients")
def linalg(engine: Engine) -> str | None:
    matrix = X[:3] @ X[:3].T + 2 * np.eye(3, dtype="float32")
    calls: dict[str, Callable] = {
        "cholesky": engine.cholesky,
        "solve": lambda a: engine.solve(a, a),
        "triangular_solve": lambda a: engine.triangular_solve(a, a, True),
        "qr": lambda a: engine.qr(a, "reduced")[1],
        "svd": lambda a: engine.svd(a, False)[1],
        "eigh": lambda a: engine.eigh(a)[0],
        "eig": lambda a: engine.real(engine.eig(a)[0]),
        "lu": lambda a: engine.lu(a)[0],
    }
    without = []
    for name, call in calls.items():
        require(np.isfinite(engine.to_numpy(call(engine.asarray(matrix)))).all(), f"{name} is not finite")
        try:
            _gradient(engine, call, matrix)
        except Exception:  # whatever a missing gradient raises
            without.append(name)
    if not without:
        return None
    return f"partly: no gradient of {', '.join(without)}" if len(without) < len(calls) else "partly: values only"


@_feature("Random bits, the same on every engine")
def random(engine: Engine) -> str | None:
    key = np.array([3, 7], np.uint32)
    require(np.array_equal(engine.to_numpy(engine.random_bits(engine.asarray(key), (5, 3))), random_bits(key, (5, 3))), "other bits")
    return None


# The library below


def _library(engine: Engine) -> ModuleType | None:
    """The module of the engine's library that has functions of tensors (jax.numpy, torch, ...), as the engine's files know it."""
    beside = f"nyala.engines._{engine.name}_"
    files = [module for name, module in list(sys.modules.items()) if name == type(engine).__module__ or name.startswith(beside)]
    modules = [x for file in files for x in vars(file).values() if isinstance(x, ModuleType) and hasattr(x, "exp")]
    return next((module for module in modules if module.__name__.partition(".")[0] == engine.name), None)


@_feature("Functions of its library on symbolic tensors")
def symbolic(engine: Engine) -> str | None:
    import nyala

    library = _library(engine)
    if library is None:
        return "no: it has no library of its own"
    inputs = nyala.Input((3,))
    try:
        model = nyala.Model(inputs, library.exp(inputs))
    except Exception:  # whatever a library raises for what it does not know
        return f"no: {library.__name__}.exp does not take them; use nyala.ops, or a Lambda layer"
    require(np.allclose(model.predict(X, verbose=0), np.exp(X), rtol=1e-5), "wrong numbers")
    return None


@_feature("Optimizers of its library")
def native_optimizers(engine: Engine) -> str | None:
    return None if importlib.util.find_spec(f"nyala.engines._{engine.name}_optimizers") else "no: Nyala's own run on it"


@_feature("Writes exported models")
def exports(engine: Engine) -> str | None:
    written = [kind for kind, name in EXPORTS.items() if name == engine.name]
    others = ", ".join(f"{kind} by {name}" for kind, name in EXPORTS.items())
    return f"yes: {', '.join(written)}" if written else f"no: written by another library, from a model of any engine: {others}"


@_feature("Profiles for TensorBoard")
def profiles(engine: Engine) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        return None if engine.profiler(folder) is not None else "no: it has no profiler"


@_feature("Switch for deterministic algorithms")
def deterministic(engine: Engine) -> str | None:
    return "no: there is nothing to switch" if type(engine).make_deterministic is Engine.make_deterministic else None


@_feature("Shortcuts for composed ops")
def shortcuts(engine: Engine) -> str | None:
    return f"yes: {', '.join(sorted(engine.fast))}" if engine.fast else "no: every op is composed of primitives"
