# SPDX-License-Identifier: Apache-2.0
"""Where each layer lives: the table behind nyala.layers and its families."""

from collections.abc import Callable
from typing import Any

from nyala.core.lazy import lazy

FILES = {
    "layer": ("Layer",),
    "input_spec": ("InputSpec",),
    "core.input_layer": ("Input", "InputLayer"),
    "core.dense": ("Dense",),
    "core.embedding": ("Embedding",),
    "core.lambda_layer": ("Lambda",),
    "core.masking": ("Masking",),
    "core.identity": ("Identity",),
    "core.wrapper": ("Wrapper",),
    "activations.activation": ("Activation",),
    "activations.layers": ("ELU", "LeakyReLU", "PReLU", "ReLU", "Softmax"),
    "regularization.dropout": ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
    "regularization.noise": ("ActivityRegularization", "GaussianDropout", "GaussianNoise"),
    "reshaping.reshape": ("Flatten", "Permute", "RepeatVector", "Reshape"),
    "reshaping.padding": ("Cropping1D", "Cropping2D", "Cropping3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"),
    "reshaping.upsampling": ("UpSampling1D", "UpSampling2D", "UpSampling3D"),
    "convolutional.conv": ("Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D"),
    "convolutional.locally_connected": ("LocallyConnected1D", "LocallyConnected2D"),
    "pooling.pooling": ("AveragePooling1D", "AveragePooling2D", "AveragePooling3D", "MaxPooling1D", "MaxPooling2D", "MaxPooling3D",
                        "AvgPool1D", "AvgPool2D", "AvgPool3D", "MaxPool1D", "MaxPool2D", "MaxPool3D"),
    "pooling.global_pooling": ("GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPooling1D",
    "GlobalMaxPooling2D", "GlobalMaxPooling3D",
                               "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D", "GlobalMaxPool1D", "GlobalMaxPool2D", "GlobalMaxPool3D"),
    "normalization.batch": ("BatchNormalization",),
    "normalization.layer": ("LayerNormalization",),
    "recurrent.rnn": ("RNN",),
    "recurrent.cells": ("StackedRNNCells",),
    "recurrent.simple_rnn": ("SimpleRNN", "SimpleRNNCell"),
    "recurrent.lstm": ("LSTM", "LSTMCell"),
    "recurrent.gru": ("GRU", "GRUCell"),
    "recurrent.bidirectional": ("Bidirectional",),
    "recurrent.time_distributed": ("TimeDistributed",),
    "attention.multi_head_attention": ("MultiHeadAttention",),
    "merging.merge": ("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract",
                      "add", "average", "concatenate", "dot", "maximum", "minimum", "multiply", "subtract"),
}  # fmt: skip

FAMILIES = ("activations", "attention", "convolutional", "core", "merging", "normalization", "pooling", "recurrent", "regularization", "reshaping")


def family(name: str, others: tuple[str, ...] = ()) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """The lazy names of one family, and others that old programs import from it."""
    own = {layer: f"nyala.layers.{file}:" for file, layers in FILES.items() for layer in layers if file.startswith(f"{name}.")}
    return lazy(f"nyala.layers.{name}", {**dict.fromkeys(others, "nyala.layers:"), **own})
