# SPDX-License-Identifier: Apache-2.0
"""Several tensors into one. One file per idea."""

from nyala.layers.names import family

__getattr__, __dir__, __all__ = family("merging")
