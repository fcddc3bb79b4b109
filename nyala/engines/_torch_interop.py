# SPDX-License-Identifier: Apache-2.0
"""Modules of PyTorch as pure functions of their parameters and buffers. Start at run."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from nyala.core import tree
from nyala.engines import current, real_engine


def is_module(value: Any) -> bool:
    """Whether value is a torch.nn.Module."""
    return isinstance(value, torch.nn.Module)


def tensors_of(module: torch.nn.Module) -> dict[str, tuple[np.ndarray, bool]]:
    """name -> (value, whether it is a parameter that wants a gradient), parameters first, then what else the module keeps."""
    parameters, host = dict(module.named_parameters()), real_engine()
    found = {name: (host.to_numpy(value), value.requires_grad) for name, value in parameters.items()}
    return found | {name: (host.to_numpy(value), False) for name, value in module.named_buffers()}


def load(module: torch.nn.Module, values: dict[str, Any]) -> torch.nn.Module:
    """The module, with these values."""
    with torch.no_grad():
        for name, place in [*module.named_parameters(), *module.named_buffers()]:
            place.copy_(values[name])
    return module


def run(module: torch.nn.Module, values: dict[str, Any], args: tuple, kwargs: dict[str, Any], training: bool) -> tuple[Any, dict[str, Any]]:
    """(outputs, values afterwards) of a call with these values. On shapes alone the module runs on PyTorch's tensors without values."""
    here = current()
    module.train(training)
    if not here.abstract:
        values = {name: value.clone() if name in dict(module.named_buffers()) else value for name, value in values.items()}
        return torch.func.functional_call(module, values, args, kwargs), values
    to_meta = lambda x: _meta(x) if here.is_tensor(x) else x  # noqa: E731
    to_spec = lambda x: here.full(tuple(x.shape), 0, real_engine().dtype(x)) if isinstance(x, torch.Tensor) else x  # noqa: E731
    values, args, kwargs = ({name: to_meta(x) for name, x in values.items()}, *tree.map_structure(to_meta, [tuple(args), kwargs]))
    with torch.no_grad():
        outputs = torch.func.functional_call(module, values, args, kwargs)
    return tree.map_structure(to_spec, outputs), {name: to_spec(x) for name, x in values.items()}


def _meta(x: Any) -> torch.Tensor:
    return torch.empty(tuple(int(n) for n in x.shape), dtype=getattr(torch, current().dtype(x)), device="meta")
