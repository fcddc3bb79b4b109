# SPDX-License-Identifier: Apache-2.0
"""Convolutions. One file per idea."""

from nyala.layers.names import family

# Names that programs of Keras 1 and 2 import from here.
OLD = ("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "Cropping1D", "Cropping2D", "Cropping3D", "MaxPooling1D",
    "MaxPooling2D", "MaxPooling3D",
       "UpSampling1D", "UpSampling2D", "UpSampling3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D")  # fmt: skip

__getattr__, __dir__, __all__ = family("convolutional", OLD)
