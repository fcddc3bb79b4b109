# SPDX-License-Identifier: Apache-2.0
"""The contract of a layer as a public check: what holds for any layer, on every engine that is installed. Start at check_layer.

Values come from the numpy engine and are compared with the others; whether they are the right ones, an oracle beside this check must say.
"""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nyala.core import dtypes, tree
from nyala.core.symbolic import Symbolic
from nyala.dtype_policies import DTypePolicy
from nyala.engines import available_engines, engine, get_engine, using
from nyala.engines.protocol import Engine
from nyala.testing.compare import ContractError, require

Arrays = Any  # a tree of NumPy arrays


def installed_engines() -> list[Engine]:
    """The engines that can compute values here, numpy first.

    NYALA_TEST_ENGINES="numpy,torch" in the environment names those that are wanted: others are left out, and one that is missing is an error."""
    wanted = [name.strip() for name in os.environ.get("NYALA_TEST_ENGINES", "").split(",") if name.strip()]
    found = []
    for name in wanted or available_engines():
        try:
            found.append(get_engine(name))
        except ImportError:
            if wanted:
                raise
    return sorted((e for e in found if not e.abstract), key=lambda e: (e.name != "numpy", e.name))


def check_layer(
    kind: type,
    arguments: Mapping[str, Any] | None = None,
    *inputs: Arrays,
    call: Mapping[str, Any] | None = None,
    unknown: Sequence[int] = (),
    batch_independent: bool = True,
    gradients: bool = True,
    mixed: bool = True,
    tolerance: float = 1e-5,
) -> Any:
    """Raise ContractError unless the layer keeps what all layers promise; returns the layer, built on the numpy engine with random weights.

    Config and back, equal outputs of the copy; symbolic shapes and dtypes equal to real ones, with unknown sizes too; every engine equal to
    the numpy engine, also compiled; gradients equal to finite differences; a batch equal to its samples one by one; an empty batch;
    mixed_bfloat16; copy and pickle.

    Args:
        kind: the class.
        arguments: of its constructor.
        inputs: of its call: arrays, or lists and dicts of arrays; the first axis is the batch.
        call: more arguments of the call, by name (training, mask, ...); arrays among them have the batch as first axis.
        unknown: axes of the inputs, beside the batch, whose size need not be known.
        batch_independent: whether samples do not influence each other.
        gradients: whether outputs are differentiable at these inputs.
        mixed: whether to run it under mixed_bfloat16.
        tolerance: of comparisons between engines, relative to 1 and to the numbers.

    >>> import nyala
    >>> layer = check_layer(nyala.layers.Dense, {"units": 3}, np.random.default_rng(0).normal(size=(2, 5)).astype("float32"))
    >>> [w.shape for w in layer.weights]
    [(5, 3), (3,)]
    """
    check = _Check(kind, dict(arguments or {}), list(inputs), dict(call or {}), tolerance)
    check.config_round_trip()
    check.symbolic(tuple(unknown))
    check.engines()
    check.copies()
    check.empty_batch()
    if batch_independent:
        check.single_samples()
    if mixed:
        check.mixed_precision()
    if gradients:
        check.gradients()
    return check.layer


class _Check:
    """One layer with its inputs; the methods are the laws."""

    def __init__(self, kind: type, arguments: dict[str, Any], inputs: list, call: dict[str, Any], tolerance: float) -> None:
        self.kind, self.inputs, self.call, self.tolerance = kind, inputs, call, tolerance
        self.numpy, self.others = installed_engines()[0], installed_engines()[1:]
        with using(self.numpy):
            self.layer = kind(**arguments)
            self._run(self.layer)
            _randomize(self.layer)
            self.state = [v.numpy() for v in self.layer.variables]
            self.expected = self._run(self.layer)
            self._restore(self.layer)

    def _run(self, layer: Any, inputs: Any = None, call: Any = None) -> list[np.ndarray]:
        """Outputs as a list of arrays, from the engine in force."""
        result = layer(*copy.deepcopy(self.inputs if inputs is None else inputs), **(self.call if call is None else call))
        return [engine.to_numpy(y) for y in tree.flatten(result) if engine.is_tensor(y)]

    def _restore(self, layer: Any) -> None:
        for variable, value in zip(layer.variables, self.state, strict=True):
            variable.assign(value)

    def _copy(self, config: dict[str, Any]) -> Any:
        """A layer of this config, built, with the same state."""
        layer = self.kind.from_config(config)
        self._run(layer)
        self._restore(layer)
        return layer

    def _require_equal(self, got: list, want: list, what: str, tolerance: float | None = None) -> None:
        tolerance = self.tolerance if tolerance is None else tolerance
        require(len(got) == len(want), f"{what}: {len(got)} outputs, expected {len(want)}")
        for i, (x, y) in enumerate(zip(got, want, strict=True)):
            require(x.shape == y.shape, f"{what}: output {i} has shape {x.shape}, expected {y.shape}")
            x, y = x.astype("float64"), y.astype("float64")
            wrong = ~((np.abs(x - y) <= tolerance * np.maximum(1, np.abs(y))) | (x == y) | (np.isnan(x) & np.isnan(y)))
            if wrong.any():
                place = tuple(int(n) for n in np.argwhere(wrong)[0])
                many = f"{int(wrong.sum())} of {wrong.size} differ"
                raise ContractError(f"{self.kind.__name__}, {what}: output {i} at {place} is {x[place]!r}, expected {y[place]!r} ({many})")

    def config_round_trip(self) -> None:
        config = self.layer.get_config()
        through_json = json.loads(json.dumps(config))
        with using(self.numpy):
            for version in (config, through_json):
                layer = self._copy(version)
                require(layer.get_config() == config, f"{self.kind.__name__}: config {layer.get_config()} after a round trip, expected {config}")
                self._require_equal(self._run(layer), self.expected, "a copy made from its config", 0.0)

    def symbolic(self, unknown: tuple[int, ...]) -> None:
        """Shapes and dtypes without values are those of real outputs."""
        for free in {(), (0,), (0, *unknown)}:
            with using(self.numpy):
                layer = self._copy(self.layer.get_config())
                to_symbolic = lambda x: _symbolic(x, free)  # noqa: B023, E731
                outputs = layer(
                    *tree.map_structure(to_symbolic, self.inputs),
                    **{k: to_symbolic(v) if isinstance(v, np.ndarray) else v for k, v in self.call.items()},
                )
            outputs = [y for y in tree.flatten(outputs) if isinstance(y, Symbolic)]
            require(len(outputs) == len(self.expected), f"{self.kind.__name__}: {len(outputs)} symbolic outputs, expected {len(self.expected)}")
            for y, want in zip(outputs, self.expected, strict=True):
                fits = len(y.shape) == want.ndim and all(n == m or (n is None and free) for n, m in zip(y.shape, want.shape, strict=True))
                require(fits, f"{self.kind.__name__}: symbolic shape {y.shape} with unknown axes {free}, real shape {want.shape}")
                require(y.dtype == dtypes.standardize_dtype(want.dtype), f"{self.kind.__name__}: symbolic dtype {y.dtype}, real dtype {want.dtype}")

    def engines(self) -> None:
        """Every engine gives the numbers of the numpy engine; compiled functions give those of eager ones."""
        for other in self.others:
            with using(other):
                layer = self._copy(self.layer.get_config())
                self._require_equal(self._run(layer), self.expected, f"engine {other.name}")
                changed = [v.numpy() for v in layer.variables]
                if other.compiles:
                    self._restore(layer)
                    self._require_equal(self._compiled(layer), self.expected, f"engine {other.name}, compiled")
            with using(self.numpy):
                layer = self._copy(self.layer.get_config())
                self._run(layer)
                self._require_equal(changed, [v.numpy() for v in layer.variables], f"engine {other.name}, state after the call")

    def _compiled(self, layer: Any) -> list[np.ndarray]:
        arrays = [x for x in tree.flatten([self.inputs, self.call]) if isinstance(x, np.ndarray)]

        def function(state: list, tensors: list) -> list:
            supply = iter(tensors)
            inputs, call = tree.map_structure(lambda x: next(supply) if isinstance(x, np.ndarray) else x, [self.inputs, self.call])
            count = len(layer.trainable_variables)
            outputs, _ = layer.stateless_call(state[:count], state[count:], *inputs, **call)
            return [y for y in tree.flatten(outputs) if engine.is_tensor(y)]

        state = [v.value for v in (*layer.trainable_variables, *layer.non_trainable_variables)]
        return [engine.to_numpy(y) for y in engine.compile(function)(state, [engine.asarray(x) for x in arrays])]

    def copies(self) -> None:
        with using(self.numpy):
            for what, layer in (("deepcopy", copy.deepcopy(self.layer)), ("pickle", pickle.loads(pickle.dumps(self.layer)))):
                self._require_equal(self._run(layer), self.expected, what, 0.0)
                self._restore(self.layer)
                require(layer.get_config() == self.layer.get_config(), f"{self.kind.__name__}: another config after {what}")

    def _part(self, start: int, stop: int) -> tuple[Any, Any]:
        """Inputs and call arguments of some samples."""
        cut = lambda x: x[start:stop] if isinstance(x, np.ndarray) else x  # noqa: E731
        return tree.map_structure(cut, self.inputs), {k: tree.map_structure(cut, v) for k, v in self.call.items()}

    def empty_batch(self) -> None:
        for chosen in (self.numpy, *self.others):
            with using(chosen), np.errstate(all="ignore"):
                outputs = self._run(self._copy(self.layer.get_config()), *self._part(0, 0))
            for y, want in zip(outputs, self.expected, strict=True):
                require(
                    y.shape == (0, *want.shape[1:]),
                    f"{self.kind.__name__}, engine {chosen.name}: shape {y.shape} for an empty batch, expected {(0, *want.shape[1:])}",
                )

    def single_samples(self) -> None:
        count = next(x for x in tree.flatten(self.inputs) if isinstance(x, np.ndarray)).shape[0]
        with using(self.numpy):
            singles = [self._run(self._copy(self.layer.get_config()), *self._part(i, i + 1)) for i in range(count)]
        self._require_equal([np.concatenate(parts) for parts in zip(*singles, strict=True)], self.expected, "samples one by one")

    def mixed_precision(self) -> None:
        policy = DTypePolicy("mixed_bfloat16")
        for chosen in (self.numpy, *self.others):
            with using(chosen):
                layer = self._copy({**self.layer.get_config(), "dtype": policy})
                outputs = tree.flatten(layer(*copy.deepcopy(self.inputs), **self.call))
                arrays = [engine.to_numpy(y) for y in outputs if engine.is_tensor(y)]
            for y, want in zip(arrays, self.expected, strict=True):
                kind = dtypes.standardize_dtype(want.dtype)
                wanted = "bfloat16" if dtypes.is_float(kind) else kind
                require(
                    dtypes.standardize_dtype(y.dtype) == wanted,
                    f"{self.kind.__name__}, engine {chosen.name}: {y.dtype} under mixed_bfloat16, expected {wanted}",
                )
            scale = max([1.0, *(float(np.abs(y).max(initial=0)) for y in self.expected)])
            self._require_equal(arrays, self.expected, f"engine {chosen.name}, mixed_bfloat16", 0.06 * scale)
            require(
                all(v.dtype == w.dtype for v, w in zip(layer.weights, self.layer.weights, strict=True)),
                f"{self.kind.__name__}: weights change dtype under mixed_bfloat16",
            )

    def gradients(self) -> None:
        """Derivatives along random directions, against central differences of the layer in float64 on the numpy engine."""
        random = np.random.default_rng(11)
        trainable = len(self.layer.trainable_variables)
        order = {id(v): value for v, value in zip(self.layer.variables, self.state, strict=True)}
        state = [order[id(v)] for v in (*self.layer.trainable_variables, *self.layer.non_trainable_variables)]
        values = state[:trainable] + [x for x in tree.flatten(self.inputs) if _is_float(x)]
        cotangents = [random.normal(size=y.shape) if _is_float(y) else None for y in self.expected]
        if not values or all(c is None for c in cotangents):
            return
        loss = lambda layer, values, convert: self._loss(layer, values, state[trainable:], trainable, cotangents, convert)  # noqa: E731
        with using(self.numpy):
            exact = self._copy({**self.layer.get_config(), "dtype": "float64"})
            wide = [v.astype("float64") for v in values]
            directions = [[random.normal(size=v.shape) for _ in range(3)] for v in values]
            step, slopes = 1e-6, []
            for i, choices in enumerate(directions):
                for direction in choices:
                    ends = [[np.asarray(v + sign * step * direction) if i == j else v for j, v in enumerate(wide)] for sign in (1, -1)]
                    above, below = (float(loss(exact, end, np.asarray)) for end in ends)
                    slopes.append((above - below) / (2 * step))
        for other in (e for e in self.others if e.differentiable):
            with using(other):
                layer = self._copy(self.layer.get_config())
                function = other.value_and_grad(lambda tensors, layer=layer: (loss(layer, tensors, _float32), ()))
                _, gradients = function([engine.asarray(v) for v in values])
                gradients = [engine.to_numpy(g).astype("float64") for g in gradients]
            got = [float(np.sum(g * direction)) for g, choices in zip(gradients, directions, strict=True) for direction in choices]
            for place, (slope, wanted) in enumerate(zip(got, slopes, strict=True)):
                size = np.sqrt(values[place // 3].size) + 1
                if not abs(slope - wanted) <= 2e-4 * size * max(1.0, abs(wanted)):
                    where = f"a random direction of array {place // 3} {values[place // 3].shape}"
                    raise ContractError(f"{self.kind.__name__}, engine {other.name}: slope {slope} along {where}, expected {wanted}")

    def _loss(self, layer: Any, values: Sequence[Any], fixed: Sequence[Any], count: int, cotangents: Sequence[Any], convert: Callable) -> Any:
        """sum(cotangent * output), for these values of the weights and float inputs."""
        supply = iter(values[count:])
        inputs = tree.map_structure(lambda x: next(supply) if _is_float(x) else x, self.inputs)
        outputs, _ = layer.stateless_call(values[:count], fixed, *inputs, **self.call)
        outputs = [y for y in tree.flatten(outputs) if engine.is_tensor(y)]
        terms = [
            engine.sum(engine.multiply(y, convert(c)), tuple(range(c.ndim)), False) for y, c in zip(outputs, cotangents, strict=True) if c is not None
        ]
        total = terms[0]
        for term in terms[1:]:
            total = engine.add(total, term)
        return total


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and dtypes.is_float(dtypes.standardize_dtype(x.dtype))


def _float32(x: Any) -> Any:
    return engine.asarray(x, "float32")


def _symbolic(x: Any, free: tuple[int, ...]) -> Any:
    return Symbolic(tuple(None if i in free else n for i, n in enumerate(x.shape)), x.dtype) if isinstance(x, np.ndarray) else x


def _randomize(layer: Any) -> None:
    """Weights that would betray a swap or a forgotten term: all different; variances and deviations positive."""
    random = np.random.default_rng(5)
    for weight in layer.weights:
        if dtypes.is_float(weight.dtype):
            positive = "variance" in weight.name or "stddev" in weight.name
            weight.assign((random.uniform(0.5, 2.0, weight.shape) if positive else random.normal(scale=0.5, size=weight.shape)).astype("float32"))


__all__ = ["check_layer", "installed_engines"]
