# SPDX-License-Identifier: Apache-2.0
"""Layers in pipelines of tf.data, on every engine: what `Dataset.map` traces becomes a step that runs the layer on arrays. Start at mapped.

TensorFlow is never imported here: who holds a tensor of its graphs has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from nyala.core import dtypes, tree
from nyala.core.symbolic import Symbolic
from nyala.engines import current, using


def in_pipeline(*values: Any) -> bool:
    """Whether a tensor of a graph of TensorFlow that the engine cannot compute with is among values, sizes that a data set leaves open included."""
    tensorflow = sys.modules.get("tensorflow")
    is_symbolic = getattr(tensorflow, "is_symbolic_tensor", None)
    return is_symbolic is not None and any(_is_foreign(leaf, is_symbolic) for leaf in tree.flatten(values))


def _is_foreign(leaf: Any, is_symbolic: Callable[[Any], bool]) -> bool:
    if not is_symbolic(leaf):
        return False
    return not current().is_tensor(leaf) or leaf.dtype.name == "string" or (None in leaf.shape and leaf.graph.name.startswith("Dataset_"))


def mapped(call: Callable, *args: Any, **kwargs: Any) -> Any:
    """call(*args, **kwargs) as a step of the graph: shapes and dtypes are those of symbolic tensors, values are computed on arrays by the engine."""
    tensorflow: Any = sys.modules["tensorflow"]
    engine = current()
    leaves = tree.flatten((args, kwargs))
    places = [i for i, leaf in enumerate(leaves) if tensorflow.is_symbolic_tensor(leaf)]

    def called(values: Any) -> Any:
        filled = list(leaves)
        for place, value in zip(places, values, strict=True):
            filled[place] = value
        given, named = tree.pack_sequence_as((args, kwargs), filled)
        return call(*given, **named)

    outputs = called([Symbolic(tuple(leaves[i].shape), leaves[i].dtype.name) for i in places])
    wanted = tree.flatten(outputs)

    def compute(*arrays: np.ndarray) -> list[np.ndarray]:
        with using(engine):
            found = tree.flatten(called([np.asarray(array) for array in arrays]))
            hosted = [engine.to_numpy(value) if engine.is_tensor(value) else np.asarray(value) for value in found]
        return [value.astype(_numpy_dtype(spec), copy=False) for value, spec in zip(hosted, wanted, strict=True)]

    results = tensorflow.numpy_function(compute, [leaves[i] for i in places], [spec.dtype for spec in wanted])
    for result, spec in zip(results, wanted, strict=True):
        result.set_shape(spec.shape)
    return tree.pack_sequence_as(outputs, results)


def _numpy_dtype(spec: Symbolic) -> Any:
    return object if spec.dtype == "string" else dtypes.numpy_dtype(spec.dtype)
