# SPDX-License-Identifier: Apache-2.0
"""VGG19 and its preprocess_input; the network is in vgg.py."""

from nyala.applications.imagenet_utils import decode_predictions, preprocessing
from nyala.applications.vgg import VGG19

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

preprocess_input = preprocessing("caffe")
