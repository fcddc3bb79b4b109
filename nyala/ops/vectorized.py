# SPDX-License-Identifier: Apache-2.0
"""vectorize: a function of small tensors as one of larger ones, by the engine's vmap."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

from nyala.core.errors import ArgumentError, ShapeError
from nyala.core.op import convert, engine
from nyala.ops.contractions import broadcast_shapes

_TERM = re.compile(r"\(((?:\w+(?:,\w+)*)?)\)")


def vectorize(pyfunc: Callable, *, excluded: Collection[int | str] | None = None, signature: str | None = None) -> Callable:
    """pyfunc over all leading axes of its arguments, which broadcast.

    Args:
        excluded: numbers or names of arguments that are passed as they are.
        signature: axes of one call, as in "(n),(n)->()"; without one, calls are on scalars.

    >>> from nyala import ops
    >>> vectorize(lambda a, b: ops.dot(a, b), signature="(n),(n)->()")([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]).tolist()
    [3.0, 7.0]
    """
    skip = set(excluded or ())
    ranks = None
    if signature is not None:
        inputs, arrow, _ = signature.replace(" ", "").partition("->")
        if not arrow or not re.fullmatch(rf"{_TERM.pattern}(,{_TERM.pattern})*", inputs):
            raise ArgumentError("vectorize(signature)", need='a form like "(n),(n)->()"', got=repr(signature))
        ranks = [len([name for name in term.split(",") if name]) for term in _TERM.findall(inputs)]

    def vectorized(*args: Any, **kwargs: Any) -> Any:
        named = [name for name in kwargs if name not in skip]
        places = [i for i in range(len(args)) if i not in skip]
        tensors = [*(convert(args[i]) for i in places), *(convert(kwargs[name]) for name in named)]
        inner = ranks or [0] * len(tensors)
        if len(inner) != len(tensors):
            raise ArgumentError("vectorize", need=f"{len(inner)} arguments, as the signature says", got=f"{len(tensors)}")
        if any(x.ndim < rank for x, rank in zip(tensors, inner, strict=True)):
            raise ShapeError("vectorize", need=f"arguments of at least {inner} axes", got=" and ".join(str(tuple(x.shape)) for x in tensors))
        outer = broadcast_shapes("vectorize", *(tuple(x.shape[: x.ndim - rank]) for x, rank in zip(tensors, inner, strict=True)))
        tensors = [engine.broadcast_to(x, (*outer, *x.shape[x.ndim - rank :])) for x, rank in zip(tensors, inner, strict=True)]

        def call(*given: Any) -> Any:
            whole, rest = list(args), dict(kwargs)
            for place, value in zip([*places, *named], given, strict=True):
                store: Any = whole if isinstance(place, int) else rest
                store[place] = value
            return pyfunc(*whole, **rest)

        for _ in outer:
            call = engine.vmap(call)
        return call(*tensors)

    return vectorized
