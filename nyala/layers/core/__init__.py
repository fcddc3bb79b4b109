# SPDX-License-Identifier: Apache-2.0
"""The layers that most models are made of. One file per idea."""

from nyala.layers.names import family

# Names that programs of Keras 1 and 2 import from here.
OLD = ("Activation", "ActivityRegularization", "Dropout", "Flatten", "Permute", "RepeatVector", "Reshape", "SpatialDropout1D",
    "SpatialDropout2D", "SpatialDropout3D")  # fmt: skip

__getattr__, __dir__, __all__ = family("core", OLD)
