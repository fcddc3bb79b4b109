# SPDX-License-Identifier: Apache-2.0
"""Process-wide settings: floatx, epsilon and the image data format, from ~/.nyala/nyala.json where it exists."""

from __future__ import annotations

import difflib
import functools
import json
import os
import pathlib
from typing import Any

from nyala.core.errors import ArgumentError

FLOATS = ("float16", "bfloat16", "float32", "float64")
FORMATS = ("channels_last", "channels_first")


@functools.cache
def _settings() -> dict[str, Any]:
    """Defaults, overridden by the settings file."""
    settings = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}
    path = pathlib.Path(os.environ.get("NYALA_HOME", "~/.nyala")).expanduser() / "nyala.json"
    if path.is_file():
        settings.update({k: v for k, v in json.loads(path.read_text(encoding="utf-8")).items() if k in settings})
    return settings


def floatx() -> str:
    """Default float dtype of new variables and of converted Python floats.

    >>> floatx()
    'float32'
    """
    return _settings()["floatx"]


def set_floatx(value: str) -> None:
    """Set the default float dtype: "float16", "bfloat16", "float32" or "float64"."""
    if value not in FLOATS:
        raise ArgumentError("set_floatx(value)", need=f"one of {FLOATS}", got=repr(value), fix='use "float32" unless you know otherwise')
    if value == "float64":
        from nyala.core.dtypes import allow_64_bits

        allow_64_bits()
    _settings()["floatx"] = value


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite.

    >>> epsilon()
    1e-07
    """
    return _settings()["epsilon"]


def set_epsilon(value: float) -> None:
    """Set the small number that keeps divisions and logarithms finite."""
    if isinstance(value, str) or not hasattr(value, "__float__") or not 0 < float(value) < 1:
        raise ArgumentError("set_epsilon(value)", need="a number between 0 and 1", got=repr(value))
    _settings()["epsilon"] = float(value)


def image_data_format() -> str:
    """Default position of the channels axis: "channels_last" or "channels_first"."""
    return _settings()["image_data_format"]


def set_image_data_format(data_format: str) -> None:
    """Set the default position of the channels axis."""
    if data_format is None:
        raise ArgumentError("set_image_data_format(data_format)", need=f"one of {FORMATS}", got="None")
    _settings()["image_data_format"] = standardize_data_format(data_format)


_limits: dict[str, int | None] = {"max_epochs": None, "max_steps_per_epoch": None}


def max_epochs() -> int | None:
    """The last epoch that fit runs, whatever it is told; None for no limit."""
    return _limits["max_epochs"]


def set_max_epochs(max_epochs: int | None) -> None:
    """Let fit run no more epochs than this, for quick trials of long programs; None takes the limit away."""
    _limits["max_epochs"] = _limit("set_max_epochs(max_epochs)", max_epochs)


def max_steps_per_epoch() -> int | None:
    """How many batches fit, evaluate and predict take at most; None for no limit."""
    return _limits["max_steps_per_epoch"]


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Let fit, evaluate and predict take no more batches than this in an epoch; None takes the limit away."""
    _limits["max_steps_per_epoch"] = _limit("set_max_steps_per_epoch(max_steps_per_epoch)", max_steps_per_epoch)


def _limit(where: str, value: int | None) -> int | None:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise ArgumentError(where, need="an integer from 1, or None", got=repr(value))
    return value


def standardize_data_format(data_format: str | None) -> str:
    """The given format, or the default for None; anything else is refused.

    >>> standardize_data_format(None)
    'channels_last'
    """
    if data_format is None:
        return image_data_format()
    if data_format not in FORMATS:
        near = difflib.get_close_matches(str(data_format), FORMATS, n=1)
        raise ArgumentError("data_format", need=f"one of {FORMATS}", got=repr(data_format), fix=f"did you mean {near[0]!r}?" if near else "")
    return data_format
