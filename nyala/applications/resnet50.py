# SPDX-License-Identifier: Apache-2.0
"""ResNet50 and its preprocess_input; the network is in resnet.py."""

from nyala.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
