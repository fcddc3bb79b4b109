# SPDX-License-Identifier: Apache-2.0
"""Initializers: first values of weights, computed on the host, the same for every engine. Start at initializer.py."""

from nyala.core.lazy import lazy

_FILES = {
    "initializer": ("Initializer",),
    "fixed": ("Constant", "Identity", "Ones", "Zeros"),
    "fourier": ("STFT",),
    "random": ("Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal"),
    "scaling": ("GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "VarianceScaling"),
    "serialization": ("deserialize", "get", "serialize"),
}
_SECOND_NAMES = {
    "IdentityInitializer": "Identity", "OrthogonalInitializer": "Orthogonal", "STFTInitializer": "STFT",
    "constant": "Constant", "glorot_normal": "GlorotNormal", "glorot_uniform": "GlorotUniform", "he_normal": "HeNormal", "he_uniform": "HeUniform",
    "identity": "Identity", "lecun_normal": "LecunNormal", "lecun_uniform": "LecunUniform", "normal": "RandomNormal", "one": "Ones", "ones": "Ones",
    "orthogonal": "Orthogonal", "random_normal": "RandomNormal", "random_uniform": "RandomUniform", "stft": "STFT",
    "truncated_normal": "TruncatedNormal", "uniform": "RandomUniform", "variance_scaling": "VarianceScaling", "zero": "Zeros", "zeros": "Zeros",
}  # fmt: skip
_PLACES = {name: f"{__name__}.{file}:{name}" for file, names in _FILES.items() for name in names}

__getattr__, __dir__, __all__ = lazy(__name__, {**_PLACES, **{name: _PLACES[target] for name, target in _SECOND_NAMES.items()}})
