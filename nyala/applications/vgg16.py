# SPDX-License-Identifier: Apache-2.0
"""VGG16 and its preprocess_input; the network is in vgg.py."""

from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.applications.vgg import VGG16

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")
