# SPDX-License-Identifier: Apache-2.0
"""From sound to pictures of its frequencies. One file per idea."""

from nyala.layers.names import family

__getattr__, __dir__, __all__ = family("preprocessing.audio")
