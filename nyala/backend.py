# SPDX-License-Identifier: Apache-2.0
"""nyala.backend: the settings module of Keras, and `with nyala.backend("torch"):` to choose an engine for a block."""

from __future__ import annotations

import sys
import types
from typing import Any

from nyala import engines
from nyala.core.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from nyala.core.dtypes import result_type, standardize_dtype
from nyala.core.names import get_uid

__all__ = [
    "backend", "clear_session", "epsilon", "floatx", "get_uid", "image_data_format", "is_float_dtype", "is_int_dtype", "is_keras_tensor",
    "result_type",
    "set_epsilon", "set_floatx", "set_image_data_format", "standardize_dtype",
]  # fmt: skip


def backend() -> str:
    """Name of the engine in force.

    >>> import nyala
    >>> with nyala.backend("numpy"):
    ...     nyala.backend.backend()
    'numpy'
    """
    return engines.current_name()


def is_float_dtype(dtype: Any) -> bool:
    """Whether a dtype is a real float."""
    from nyala.core.dtypes import is_float

    return is_float(standardize_dtype(dtype))


def is_int_dtype(dtype: Any) -> bool:
    """Whether a dtype is an integer."""
    from nyala.core.dtypes import is_integer

    return is_integer(standardize_dtype(dtype))


def is_keras_tensor(x: Any) -> bool:
    """Whether x is a symbolic tensor."""
    from nyala.core.symbolic import Symbolic

    return isinstance(x, Symbolic)


def clear_session(free_memory: bool = True) -> None:
    """Forget the numbers of automatic names and the global random state, and let memory go."""
    import gc

    from nyala.core import names, seeds

    names.reset()
    seeds.reset()
    if free_memory:
        gc.collect()


class _Backend(types.ModuleType):
    def __call__(self, name: str) -> Any:
        return engines.backend(name)


sys.modules[__name__].__class__ = _Backend
