# SPDX-License-Identifier: Apache-2.0
"""Settings of the process: nyala.config."""

from __future__ import annotations

from nyala.backend import backend
from nyala.core.config import epsilon, floatx, image_data_format, set_epsilon, set_floatx, set_image_data_format
from nyala.dtype_policies.policy import dtype_policy, set_dtype_policy

__all__ = [
    "backend", "disable_interactive_logging", "dtype_policy", "enable_interactive_logging", "epsilon", "floatx", "image_data_format",
    "is_interactive_logging_enabled",
    "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format",
]  # fmt: skip

_interactive = True


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
