# SPDX-License-Identifier: Apache-2.0
"""Settings of the process: nyala.config."""

from __future__ import annotations

import warnings

from nyala import engines
from nyala.backend import backend
from nyala.core.config import (
    epsilon,
    floatx,
    image_data_format,
    max_epochs,
    max_steps_per_epoch,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    set_max_epochs,
    set_max_steps_per_epoch,
)
from nyala.dtype_policies.policy import dtype_policy, set_dtype_policy

__all__ = [
    "backend", "disable_flash_attention", "disable_interactive_logging", "disable_traceback_filtering", "dtype_policy", "enable_flash_attention",
    "enable_interactive_logging", "enable_traceback_filtering", "enable_unsafe_deserialization", "epsilon", "floatx", "image_data_format",
    "is_flash_attention_enabled", "is_interactive_logging_enabled", "is_nnx_enabled", "is_traceback_filtering_enabled", "max_epochs",
    "max_steps_per_epoch", "set_backend", "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format", "set_max_epochs",
    "set_max_steps_per_epoch",
]  # fmt: skip

_interactive, _flash_attention, _traceback_filtering = True, None, True


def set_backend(backend: str) -> None:
    """Choose the engine by name, as nyala.set_backend: variables and layers that exist move to it when they are used."""
    engines.set_backend(backend)


def enable_interactive_logging() -> None:
    """Let "auto" show progress bars on terminals and in notebooks."""
    global _interactive
    _interactive = True


def disable_interactive_logging() -> None:
    """Let "auto" show one line per epoch everywhere."""
    global _interactive
    _interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether "auto" may show progress bars."""
    return _interactive


def enable_flash_attention() -> None:
    """Wish for fused attention kernels. Engines choose theirs by themselves; results are the same."""
    global _flash_attention
    _flash_attention = True


def disable_flash_attention() -> None:
    """Wish for no fused attention kernels. Engines choose theirs by themselves; results are the same."""
    global _flash_attention
    _flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """The wish; None if there is none."""
    return _flash_attention


def enable_traceback_filtering() -> None:
    """Accepted: errors say here what to do about them, and no frame of a traceback is ever hidden."""
    global _traceback_filtering
    _traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Accepted: no frame of a traceback is ever hidden here."""
    global _traceback_filtering
    _traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """What was set last."""
    return _traceback_filtering


def enable_unsafe_deserialization() -> None:
    """Accepted, and nothing changes: files cannot run code here, and no switch lets them."""
    warnings.warn(
        "enable_unsafe_deserialization adds no powers: a model file cannot run code here. Pass functions and classes as custom_objects, "
        "or register them with nyala.saving.register_keras_serializable",
        stacklevel=2,
    )


def is_nnx_enabled() -> bool:
    """Whether layers are Flax NNX modules: never."""
    return False
