# SPDX-License-Identifier: Apache-2.0
"""Functions and variables of Nyala as a SavedModel of TensorFlow, which needs no Nyala to run, and SavedModels as functions. Start at Module.

Shapes are known when a function is traced here. A function of batches of any size is therefore traced for one row, and TensorFlow makes
the function of many rows of it; that both give the same is tried on a few numbers first.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from nyala.core import dtypes, tree
from nyala.core.errors import ArgumentError, StateError
from nyala.core.variable import Scope, Variable
from nyala.engines import get_engine, using

TRIED_ROWS = 3
TOLERANCE = 1e-3


class Module:
    """What becomes a SavedModel: variables, and endpoints that read and assign them."""

    def __init__(self) -> None:
        self.engine = get_engine("tensorflow")
        self.module = tf.train.Checkpoint()
        self.variables: dict[int, tuple[Variable, tf.Variable]] = {}
        self.endpoints: dict[str, Any] = {}

    def add_variables(self, variables: Sequence[Variable]) -> list[tf.Variable]:
        """TensorFlow's variables with the values that these have now, made once for each."""
        for variable in variables:
            if id(variable) not in self.variables:
                value = tf.constant(variable.numpy())
                self.variables[id(variable)] = variable, tf.Variable(value, trainable=variable.trainable, name=variable.path.replace("/", "_"))
        return [self.variables[id(variable)][1] for variable in variables]

    def add_endpoint(self, name: str, function: Callable, signature: Sequence[Any], where: str) -> Any:
        """Trace the function for inputs like these shapes with dtypes; None as first size means any number of rows."""
        specs = tree.map_structure(lambda leaf: tf.TensorSpec(tuple(leaf.shape), dtypes.standardize_dtype(leaf.dtype)), list(signature))
        leaves = tree.flatten(specs)
        _check_sizes(leaves, where)
        call = self._with_variables(function, where)
        by_row = bool(leaves) and all(spec.shape[0] is None for spec in leaves)
        endpoint = tf.function(_of_rows(call) if by_row else call, autograph=False, input_signature=specs)
        concrete = endpoint.get_concrete_function()
        if by_row:
            _try(call, concrete, specs, where)
        setattr(self.module, name, endpoint)
        self.endpoints[name] = concrete
        return endpoint

    def _with_variables(self, function: Callable, where: str) -> Callable:
        """The function, which reads and assigns TensorFlow's variables in the place of ours."""

        def call(*args: Any) -> Any:
            pairs = list(self.variables.values())
            with using(self.engine), Scope([ours for ours, _ in pairs], [tf.convert_to_tensor(theirs) for _, theirs in pairs]) as inside:
                outputs = function(*args)
            unknown = [v.path for key, v in {**inside.missing, **inside.touched}.items() if key not in self.variables]
            if unknown:
                fix = "call track(...) with the layer or the variable that owns them first"
                raise StateError(where, need="to know all variables that the function reads", got=f"others: {', '.join(unknown)}", fix=fix)
            for key in inside.touched:
                self.variables[key][1].assign(inside.values[key])
            return tree.map_structure(lambda leaf: tf.convert_to_tensor(leaf), outputs)

        return call

    def save(self, path: str, collections: dict[str, Sequence[Variable]], options: Any) -> None:
        """Write the SavedModel; the first endpoint is also its default."""
        for name, variables in collections.items():
            setattr(self.module, name, self.add_variables(variables))
        self.module._variables_of_nyala = [theirs for _, theirs in self.variables.values()]
        first = next(iter(self.endpoints.values()))
        tf.saved_model.save(self.module, path, {"serving_default": first, **self.endpoints}, options)


def _of_rows(call: Callable) -> Callable:
    """A function of batches from one that is called for batches of one row."""

    def batched(*args: Any) -> Any:
        structure: list = []

        def one(rows: list[tf.Tensor]) -> list[tf.Tensor]:
            outputs = call(*tree.pack_sequence_as(list(args), [row[None] for row in rows]))
            structure[:] = [outputs]
            return [tf.squeeze(leaf, 0) for leaf in tree.flatten(outputs)]

        leaves = tf.vectorized_map(one, tree.flatten(list(args)))
        return tree.pack_sequence_as(structure[0], list(leaves))

    return batched


def _try(call: Callable, by_row: Callable, specs: Any, where: str) -> None:
    """Compare both on a few numbers."""
    random = np.random.default_rng(0)

    def numbers(spec: tf.TensorSpec) -> tf.Tensor:
        shape = (TRIED_ROWS, *spec.shape[1:])
        return tf.cast(random.normal(size=shape) if spec.dtype.is_floating else random.integers(0, 2, shape), spec.dtype)

    inputs = tree.map_structure(numbers, specs)
    together = tf.function(call, autograph=False).get_concrete_function(*inputs)
    results = (tree.flatten(graph(*tree.flatten(inputs))) for graph in (together, by_row))
    if not all(x.shape == y.shape and np.allclose(x.numpy(), y.numpy(), TOLERANCE, TOLERANCE, equal_nan=True) for x, y in zip(*results, strict=True)):
        raise ArgumentError(
            where,
            need="a function that gives each row of a batch what it gives that row alone",
            got="one whose rows see each other",
            why="it is traced for one row, and TensorFlow repeats it for as many as there are",
            fix="pass input_signature with a number as first size, for batches of that size only",
        )


def _check_sizes(specs: Sequence[tf.TensorSpec], where: str) -> None:
    free = [tuple(spec.shape)[:1] == (None,) for spec in specs]
    if any(None in tuple(spec.shape)[1:] for spec in specs) or len(set(free)) > 1:
        raise ArgumentError(
            where,
            need="inputs whose sizes are known, but for the number of rows, which is known of all or of none",
            got="shapes " + ", ".join(str(tuple(spec.shape)) for spec in specs),
            fix="pass input_signature=[nyala.InputSpec(shape=(None, 7), dtype='int32')] with numbers for the other sizes",
        )


def load(path: str, endpoint: str, where: str) -> tuple[Any, Callable]:
    """A SavedModel, and the function of this name in it: one of its own, or one of its signatures, which give a dict."""
    loaded = tf.saved_model.load(path)
    if callable(getattr(loaded, endpoint, None)):
        return loaded, getattr(loaded, endpoint)
    if endpoint in loaded.signatures:
        signature = loaded.signatures[endpoint]
        names = list(signature.structured_input_signature[1])
        return loaded, lambda *args: signature(**dict(zip(names, args, strict=True)))
    known = sorted({*loaded.signatures, *(name for name in dir(loaded) if not name.startswith("_") and callable(getattr(loaded, name)))})
    raise ArgumentError(where, need=f"one of the endpoints {', '.join(known)}", got=repr(endpoint))
