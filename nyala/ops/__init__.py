# SPDX-License-Identifier: Apache-2.0
"""Every public op, composed once from the primitives of the engine in force: one file per kind, loaded on first use.

A name is found in the file it stands beside below. Ops know no engine, and only go down: to nyala.core and the primitives.
"""

from nyala.core.lazy import lazy

_FILES = {
    "elementwise": """
        abs absolute add ceil clip divide divide_no_nan fabs floor floor_divide fmax fmin fmod gcd heaviside lcm ldexp maximum minimum mod
        multiply nan_to_num negative nextafter power reciprocal round sign signbit square subtract true_divide trunc""",
    "transcendental": """
        arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt cos cosh deg2rad erf erfc erfinv exp exp2 expm1 hypot i0 log log10 log1p log2
        logaddexp logaddexp2 rad2deg rsqrt sin sinc sinh sqrt tan tanh""",
    "comparison": "allclose equal greater greater_equal isclose isfinite isinf isnan isneginf isposinf isreal less less_equal not_equal",
    "logical": "logical_and logical_not logical_or logical_xor select where",
    "bits": """
        bitwise_and bitwise_invert bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor left_shift right_shift""",
    "reductions": "all amax amin any argmax argmin average count_nonzero cumprod cumsum logsumexp max mean min prod ptp std sum var",
    "creation": """
        arange array bartlett blackman copy empty empty_like eye full full_like geomspace hamming hanning identity kaiser linspace logspace meshgrid
        ones ones_like tri tril triu vander zeros zeros_like""",
    "shaping": """
        append array_split broadcast_to concatenate dsplit dstack expand_dims flip fliplr flipud hsplit hstack moveaxis pad ravel repeat reshape
        roll rot90 split squeeze stack swapaxes tile transpose vsplit vstack""",
    "patterns": "rearrange",
    "indexing": "diag diagflat diagonal get_item ndim nonzero size take take_along_axis trace unravel_index view",
    "contractions": "correlate cross dot einsum inner kron matmul outer tensordot vdot",
    "complex_numbers": "angle conj conjugate imag polar real view_as_complex view_as_real",
    "sorting": "argpartition argsort bincount digitize histogram isin searchsorted sort unique",
    "statistics": """
        corrcoef diff median nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanprod nanquantile nanstd
        nansum nanvar percentile quantile trapezoid""",
    "linalg": """
        cdist cholesky cholesky_inverse det eig eigh inv jvp logdet lstsq lu_factor matrix_rank norm pinv qr slogdet solve solve_triangular svd""",
    "fourier": "extract_sequences fft fft2 ifft2 irfft istft rfft stft",
    "vectorized": "vectorize",
    "core": """
        cast convert_to_numpy convert_to_tensor dtype in_top_k is_tensor multi_hot one_hot saturate_cast scatter scatter_update segment_max
        segment_min segment_prod segment_sum shape slice slice_update stop_gradient top_k unstack""",
    "control": "associative_scan cond custom_gradient fori_loop map scan switch vectorized_map while_loop",
    "nn_activations": """
        celu elu gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu log_sigmoid log_softmax relu relu6 selu
        sigmoid silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax squareplus swish tanh_shrink threshold""",
    "nn_attention": "dot_product_attention",
    "nn_convolution": "conv conv_transpose depthwise_conv separable_conv",
    "nn_ctc": "ctc_decode ctc_loss",
    "nn_losses": "binary_crossentropy categorical_crossentropy psnr sparse_categorical_crossentropy",
    "nn_normalization": "batch_normalization layer_normalization moments normalize rms_normalization",
    "nn_pooling": "adaptive_average_pool adaptive_max_pool average_pool max_pool",
    "nn_rearrange": "depth_to_space fold space_to_depth unfold",
}

_NAMES = {name: f"nyala.ops.{file}:" for file, names in _FILES.items() for name in names.split()}
_NAMES |= {package: f"nyala.ops.{package}" for package in ("image", "linalg", "nn", "numpy")}

__getattr__, __dir__, __all__ = lazy(__name__, _NAMES)
