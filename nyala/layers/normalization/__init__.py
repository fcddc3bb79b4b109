# SPDX-License-Identifier: Apache-2.0
"""Normalizations. One file per idea."""

from nyala.layers.names import family

__getattr__, __dir__, __all__ = family("normalization")
