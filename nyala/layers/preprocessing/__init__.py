# SPDX-License-Identifier: Apache-2.0
"""From raw features and texts to numbers. One file per idea."""

from nyala.layers.names import family

__getattr__, __dir__, __all__ = family("preprocessing")
