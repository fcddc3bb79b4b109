# SPDX-License-Identifier: Apache-2.0
"""The ops of neural networks under one name, nyala.ops.nn; each is found in the file it stands beside below."""

from nyala.core.lazy import lazy

FILES = {
    "nn_activations": """
        celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu relu6 selu sigmoid silu
        soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold""",
    "nn_attention": "attend attention_means attention_weights dot_product_attention",
    "nn_convolution": "conv conv_transpose conv_with_bias depthwise_conv separable_conv windows_with_bias",
    "nn_ctc": "ctc_decode ctc_loss",
    "nn_losses": """
        binary_crossentropy binary_crossentropy_of_logits binary_crossentropy_within categorical_crossentropy chosen_class psnr
        sparse_categorical_crossentropy""",
    "nn_normalization": "batch_normalization layer_normalization moments normalize normalize_batch rms_normalization",
    "nn_pooling": "adaptive_average_pool adaptive_max_pool average_pool max_pool",
    "nn_rearrange": "depth_to_space fold space_to_depth unfold",
    "nn_recurrence": "gru_sequence lstm_sequence recurrent",
    "complex_numbers": "polar",
    "core": "multi_hot one_hot",
}

__getattr__, __dir__, __all__ = lazy(__name__, {name: f"nyala.ops.{file}:" for file, names in FILES.items() for name in names.split()})
