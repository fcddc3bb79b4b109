# SPDX-License-Identifier: Apache-2.0
"""This engine's operations for PyTensor's linker "jax": primitives of the JAX engine, and loops of JAX. Imported when it is chosen."""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from pytensor.graph.fg import FunctionGraph
from pytensor.link.jax.dispatch import jax_funcify

from nyala.engines import get_engine
from nyala.engines._pytensor_loops import Cond, Scan, While
from nyala.engines._pytensor_primitives import OWN, Narrow, Primitive
from nyala.engines._pytensor_tracing import Custom, Inner


@jax_funcify.register(Primitive)
def _primitive(op: Primitive, node: Any = None, **_: Any) -> Callable:
    if op.name not in OWN:
        return lambda *arrays: op.call(getattr(get_engine("jax"), op.name), list(arrays))
    result = jax.ShapeDtypeStruct(node.outputs[0].type.shape, node.outputs[0].type.dtype)
    dtypes = [x.type.dtype for x in node.inputs]

    def run(*arrays: Any) -> Any:
        return np.asarray(op.run(*(np.asarray(x, dtype) for x, dtype in zip(arrays, dtypes, strict=True))), result.dtype)

    return lambda *arrays: jax.pure_callback(run, result, *arrays)


@jax_funcify.register(Narrow)
def _narrow(op: Narrow, **_: Any) -> Callable:
    return lambda x: x.astype(op.dtype).astype(jnp.float32)


@jax_funcify.register(Custom)
def _custom(op: Custom, **_: Any) -> Callable:
    return lambda *arrays: arrays[0] if op.outputs == 1 else arrays[: op.outputs]


def _inner(inner: Inner) -> Callable[..., list]:
    """A graph as a function of arrays of JAX."""
    function = jax_funcify(FunctionGraph(inner.inputs, inner.outputs, clone=True))
    types = [x.type for x in inner.outputs]
    return lambda *arrays: [jnp.asarray(y, kind.dtype).reshape(kind.shape) for y, kind in zip(function(*arrays), types, strict=True)]


def _one_or_all(results: Any) -> Any:
    return results[0] if len(results) == 1 else tuple(results)


@jax_funcify.register(Cond)
def _cond(op: Cond, **_: Any) -> Callable:
    chosen, other = _inner(op.chosen), _inner(op.other)
    return lambda predicate, *arrays: _one_or_all(jax.lax.cond(predicate, chosen, other, *arrays))


@jax_funcify.register(While)
def _while(op: While, **_: Any) -> Callable:
    holds, body, count = _inner(op.condition), _inner(op.body), len(op.types)

    def run(*arrays: Any) -> Any:
        state, around = [jnp.asarray(x) for x in arrays[:count]], arrays[count:]
        return _one_or_all(jax.lax.while_loop(lambda xs: holds(*xs, *around)[0], lambda xs: body(*xs, *around), state))

    return run


@jax_funcify.register(Scan)
def _scan(op: Scan, **_: Any) -> Callable:
    body, carried, fed = _inner(op.body), op.carried, op.fed

    def run(*arrays: Any) -> Any:
        around = arrays[carried + fed :]

        def turn(carry: list, xs: list) -> tuple[list, list]:
            results = body(*carry, *xs, *around)
            return results[:carried], [*results[carried:], *(carry if op.kept else [])]

        start = [jnp.asarray(x) for x in arrays[:carried]]
        last, stacked = jax.lax.scan(turn, start, list(arrays[carried : carried + fed]), op.length, op.reverse)
        return _one_or_all([*last, *stacked])

    return run
