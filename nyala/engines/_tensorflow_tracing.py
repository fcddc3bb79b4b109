# SPDX-License-Identifier: Apache-2.0
"""How the TensorFlow engine makes compiled functions: graphs of flat lists of tensors, one for each structure, shapes and dtypes.

XLA compiles them. What XLA cannot do (eigenvalues of general matrices, for example) shows when a graph is first run; the function is then traced
again as a plain graph. Knows TensorFlow and NumPy only. Start at Compiled.
"""

from __future__ import annotations

# The stubs that checkers have for TensorFlow know half of it:
# pyright: reportArgumentType=false, reportCallIssue=false, reportGeneralTypeIssues=false, reportMissingImports=false, reportMissingModuleSource=false
import contextlib
import functools
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from nyala.engines._tensorflow_tapes import is_recorded
from nyala.engines._trees import ShapeDtype, flatten, rebuild
from nyala.engines.protocol import Tensor, Tree

REFUSED = (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError, tf.errors.NotFoundError, tf.errors.InternalError)

RANDOM = ("Random", "TruncatedNormal", "ParameterizedTruncatedNormal", "Multinomial")  # operations that draw from the state of TensorFlow


class _Tracing(threading.local):
    """What this thread does: whether it traces for XLA, and how many gradients of the engine are being recorded around it."""

    xla = False
    depth = 0

    @property
    def gradients(self) -> bool:
        """Whether a gradient is being recorded, by the engine or by a tape of the user's."""
        return self.depth > 0 or is_recorded()


tracing = _Tracing()


@contextlib.contextmanager
def traced_for(xla: bool) -> Iterator[None]:
    """Inside, a graph is made that XLA will compile, or will not."""
    before, tracing.xla = tracing.xla, xla
    try:
        yield
    finally:
        tracing.xla = before


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Inside, a gradient is recorded: compiled functions are part of it."""
    tracing.depth += 1
    try:
        yield
    finally:
        tracing.depth -= 1


# Compiled functions --------------------------------------------------------------------------------------------------------------


class _Graph:
    """One trace of a function: a graph with flat inputs and outputs."""

    def __init__(self, function: Callable, structure: Any, specs: list[tf.TensorSpec], xla: bool) -> None:
        self.structure: Any = None

        def flat(*leaves: Tensor) -> list[Tensor]:
            with traced_for(xla):
                outputs = function(*rebuild(structure, iter(leaves)))
            found: list = []
            self.structure = flatten(outputs, found)
            return [tf.convert_to_tensor(leaf) for leaf in found]

        self.concrete: Any = tf.function(flat, autograph=False, jit_compile=xla or None).get_concrete_function(*specs)
        self.xla = xla
        self.ran = False

    def __call__(self, leaves: list[Tensor]) -> Tree:
        outputs = self.concrete.inference_fn.call_flat(*leaves, *self.concrete.captured_inputs)  # without TensorFlow's look at each argument
        self.ran = True
        return rebuild(self.structure, iter(outputs))

    def is_better_plain(self) -> bool:
        """Whether TensorFlow's kernels should run it: XLA takes some 20 times as long for gradients of convolutions on CPUs, and ignores the seeds of
        tf.random."""
        on_cpu = not tf.config.list_physical_devices("GPU")
        graph = self.concrete.graph.as_graph_def()
        nodes = itertools.chain(graph.node, *(function.node_def for function in graph.library.function))
        return any(node.op.startswith(RANDOM) or (on_cpu and "Conv" in node.op and "Backprop" in node.op) for node in nodes)

    def shapes(self) -> Tree:
        """The outputs as shapes and dtypes."""
        return rebuild(self.structure, (ShapeDtype(tuple(x.shape), x.dtype.name) for x in self.concrete.outputs))


class Compiled:
    """A pure function of trees of tensors, as one graph for each structure, shapes and dtypes of its arguments.

    Args:
        function: what to compile.
        asarray: makes tensors of leaves that are none.
        xla: whether XLA compiles, as long as it can.
    """

    def __init__(self, function: Callable, asarray: Callable, xla: bool) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function, self.asarray, self.xla = function, asarray, xla
        self.graphs: dict[Any, _Graph] = {}

    def __call__(self, *args: Tree) -> Tree:
        if tracing.gradients or not tf.executing_eagerly():  # part of what is traced around it
            return self.function(*args)
        leaves: list = []
        structure = flatten(args, leaves)
        leaves = [leaf if isinstance(leaf, tf.Tensor) else self.asarray(leaf) for leaf in leaves]
        key = (structure, *[(leaf.dtype, leaf._shape_tuple()) for leaf in leaves])
        graph = self.graphs.get(key)
        if graph is None:
            graph = self.graphs[key] = self._trace(structure, [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves])
        try:
            return graph(leaves)
        except REFUSED as error:
            if graph.xla and not graph.ran:
                self.xla = False
                graph = self.graphs[key] = self._trace(structure, [tf.TensorSpec(leaf.shape, leaf.dtype) for leaf in leaves])
                with _index_errors():
                    return graph(leaves)
            raise as_index_error(error) from None

    def _trace(self, structure: Any, specs: list[tf.TensorSpec]) -> _Graph:
        graph = _Graph(self.function, structure, specs, self.xla)
        if not self.xla or not graph.is_better_plain():
            return graph
        self.xla = False
        return _Graph(self.function, structure, specs, False)

    def eval_shape(self, *args: Tree) -> Tree:
        """Shapes of the outputs for these; the graph is kept for the first call."""
        leaves: list = []
        structure = flatten(args, leaves)
        specs = [tf.TensorSpec(tuple(leaf.shape), tf.as_dtype(leaf.dtype)) for leaf in leaves]
        key = (structure, *[(spec.dtype, tuple(spec.shape)) for spec in specs])
        if key not in self.graphs:
            self.graphs[key] = self._trace(structure, specs)
        return self.graphs[key].shapes()


def as_index_error(error: Exception) -> Exception:
    """An IndexError for what a kernel says about indices out of range, else the error."""
    text = str(getattr(error, "message", error))
    return IndexError(text) if "indices" in text and "is not in [" in text else error


@contextlib.contextmanager
def _index_errors() -> Iterator[None]:
    try:
        yield
    except REFUSED as error:
        raise as_index_error(error) from None


# XLA ------------------------------------------------------------------------------------------------------------------------------


@functools.cache
def use_xla() -> bool:
    """Whether compiled functions go through XLA. Started with the process's first compiled function, it must let nan pass through maxima;
    if something has started it before with other settings, plain graphs are used, which do."""
    if os.environ.get("NYALA_TENSORFLOW_XLA") == "off":
        return False
    before = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = f"{before or ''} --xla_cpu_enable_fast_min_max=false".strip()
    try:
        with tf.init_scope():
            largest = tf.function(tf.reduce_max, autograph=False, jit_compile=True)(tf.constant([1.0, float("nan"), 2.0]))
            return bool(tf.math.is_nan(largest))
    except REFUSED:  # built without XLA
        return False
    finally:
        if before is None:
            del os.environ["XLA_FLAGS"]
        else:
            os.environ["XLA_FLAGS"] = before


def by_xla(function: Callable) -> Callable:
    """function(*tensors, settings), compiled by XLA on its own where the code around it is not: for kernels that only XLA has.

    Differentiable. settings are hashable; they, shapes and dtypes make functions of their own, since TensorFlow complains of one with many traces."""

    @functools.cache
    def compiled(settings: Any, kinds: tuple) -> Any:
        whole = tf.function(lambda *tensors: function(*tensors, settings), autograph=False, jit_compile=True)
        return whole.get_concrete_function(*(tf.TensorSpec(*kind) for kind in kinds))

    def run(*args: Any) -> Tensor:
        if tracing.xla or not use_xla():
            return function(*args)
        *tensors, settings = args
        with traced_for(True):
            return compiled(settings, tuple((tuple(x.shape), x.dtype) for x in tensors))(*tensors)

    return run
