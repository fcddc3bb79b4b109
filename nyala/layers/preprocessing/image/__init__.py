# SPDX-License-Identifier: Apache-2.0
"""Sizes and values of images, and random changes that teach a model what does not matter. One file per idea; `base` is what they share."""

from nyala.layers.names import family

__getattr__, __dir__, __all__ = family("preprocessing.image")
