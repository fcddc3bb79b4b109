# SPDX-License-Identifier: Apache-2.0
"""Questions about ops: for each name two calls or more. Needs neither Keras nor Nyala. Start at CASES; draw makes arrays of the words in them.

An array is a word: the kind of its numbers and its sizes, "n 3 5" normal, "p" positive, "u" in (-1, 1), "l" above 1, "i" integers, "j" positive
integers, "b" bools, "m" normal with nan in places, "c" probabilities along the last axis, "s" a positive definite matrix, "z" sorted.
"""

import numpy as np


def draw(random, value):
    """The words of a tree as arrays; everything else as it is."""
    if isinstance(value, (list, tuple)):
        return type(value)(draw(random, item) for item in value)
    if not isinstance(value, str) or len(value) < 2 or value[1] != " " or value[0] not in KINDS:
        return value
    return KINDS[value[0]](random, tuple(map(int, value[2:].split())))


def _holes(random, shape):
    x = random.normal(size=shape)
    x.reshape(-1)[1::4] = np.nan
    return x.astype("float32")


def _probabilities(random, shape):
    x = random.uniform(0.2, 1, size=shape)
    return (x / x.sum(-1, keepdims=True)).astype("float32")


def _definite(random, shape):
    x = random.normal(size=shape)
    return (x @ np.swapaxes(x, -1, -2) + 3 * np.eye(shape[-1])).astype("float32")


KINDS = {
    "n": lambda random, shape: random.normal(size=shape).astype("float32"),
    "p": lambda random, shape: random.uniform(0.2, 3, size=shape).astype("float32"),
    "u": lambda random, shape: random.uniform(-0.9, 0.9, size=shape).astype("float32"),
    "l": lambda random, shape: random.uniform(1.1, 4, size=shape).astype("float32"),
    "i": lambda random, shape: random.integers(-5, 6, size=shape).astype("int32"),
    "j": lambda random, shape: random.integers(0, 4, size=shape).astype("int32"),
    "b": lambda random, shape: random.integers(0, 2, size=shape).astype(bool),
    "m": _holes,
    "c": _probabilities,
    "s": _definite,
    "z": lambda random, shape: np.sort(random.normal(size=shape)).astype("float32"),
}
UNARY = {
    "n": """abs absolute arcsinh arctan cbrt ceil celu copy cos cosh deg2rad elu erf erfc exp exp2 expm1 fabs floor gelu hard_shrink hard_sigmoid
        hard_silu hard_swish hard_tanh i0 identity_of leaky_relu log_sigmoid logical_not negative nan_to_num rad2deg ravel reciprocal relu relu6 round
        selu sigmoid sign signbit silu sin sinc sinh soft_shrink softplus softsign sparse_plus sparse_sigmoid square squareplus swish tan tanh
        tanh_shrink trunc zeros_like ones_like isfinite isinf isneginf isposinf isreal real imag angle conj conjugate transpose flip ndim size shape
        fliplr flipud log_softmax softmax logsumexp glu_of""",
    "p": "log log10 log1p log2 rsqrt sqrt nonzero",
    "u": "arccos arcsin arctanh erfinv",
    "l": "arccosh",
    "m": "isnan",
    "i": "bitwise_invert bitwise_not",
    "s": "cholesky det inv logdet slogdet pinv matrix_rank",
}
BINARY = {
    ("n", "n"): """add arctan2 divide divide_no_nan equal fmax fmin greater greater_equal heaviside hypot isclose less less_equal logaddexp logaddexp2
        maximum minimum multiply nextafter not_equal subtract true_divide""",
    ("n", "p"): "floor_divide fmod mod",
    ("p", "n"): "power polar",
    ("n", "j"): "ldexp",
    ("j", "j"): "bitwise_and bitwise_or bitwise_xor gcd lcm left_shift right_shift bitwise_left_shift bitwise_right_shift",
    ("b", "b"): "logical_and logical_or logical_xor",
}
REDUCTIONS = {
    "n": "amax amin argmax argmin average count_nonzero cumprod cumsum max mean median min prod ptp std sum var any all norm sort_of",
    "m": "nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar",
}
IMAGES = "p 2 7 8 3"
IDS, FEWER_IDS = np.array([0, 2, 0, 1, 2], "int32"), np.array([1, 1, 0, 0], "int32")
SEVERAL = {
    "adaptive_average_pool": [([IMAGES, 3], {}), (["n 2 7 3"], {"output_size": 2})],
    "adaptive_max_pool": [([IMAGES, (3, 2)], {}), (["n 2 7 3", 4], {})],
    "allclose": [(["n 3 5", "n 3 5"], {}), (["n 3 5", "n 3 5"], {"atol": 9.0})],
    "append": [(["n 3 5", "n 2 5"], {"axis": 0}), (["n 3 5", "i 2"], {})],
    "arange": [([2, 11, 3], {}), ([5.0], {"dtype": "float32"})],
    "argsort": [(["n 3 5"], {}), (["n 2 3 5"], {"axis": 1})],
    "array": [([[1, 2]], {}), (["n 3"], {"dtype": "float16"})],
    "array_split": [(["n 7 2", 3], {}), (["n 2 5", 2], {"axis": 1})],
    "average": [(["n 3 5"], {"axis": 1, "weights": "p 3 5"}), (["n 3 5"], {"axis": 0, "weights": "p 3"})],
    "average_pool": [([IMAGES, 2], {"strides": 1}), ([IMAGES, (2, 3)], {"strides": 2, "padding": "same"})],
    "bartlett": [([7], {}), ([4], {})],
    "batch_normalization": [(["n 2 3 5", "n 5", "p 5"], {"axis": -1}), (["n 2 3 5", "n 3", "p 3"], {"axis": 1, "offset": "n 3", "scale": "n 3"})],
    "binary_crossentropy": [(["c 3 5", "c 3 5"], {}), (["c 3 5", "n 3 5"], {"from_logits": True})],
    "bincount": [(["j 11"], {}), (["j 11"], {"weights": "n 11", "minlength": 7})],
    "blackman": [([7], {}), ([4], {})],
    "broadcast_to": [(["n 3 1", (2, 3, 5)], {}), (["i 5", (3, 5)], {})],
    "cast": [(["n 3 5", "int32"], {}), (["i 3 5", "float16"], {})],
    "categorical_crossentropy": [(["c 3 5", "c 3 5"], {}), (["c 3 5", "n 3 5"], {"from_logits": True})],
    "cdist": [(["n 3 5", "n 7 5"], {}), (["n 2 3 5", "n 2 7 5"], {})],
    "cholesky_inverse": [(["s 3 3"], {}), (["s 5 5"], {})],
    "clip": [(["n 3 5", -0.5, 0.7], {}), (["n 3 5", "u 5", "l 5"], {})],
    "concatenate": [([["n 3 5", "n 2 5"]], {}), ([["n 3 5", "i 3 2"]], {"axis": -1})],
    "conv": [([IMAGES, "n 2 3 3 4"], {}), (["n 2 7 3", "n 3 3 4"], {"strides": 2, "padding": "same"})],
    "conv_transpose": [([IMAGES, "n 2 3 4 3"], {}), (["n 2 7 3", "n 3 4 3"], {"strides": 2, "padding": "same"})],
    "corrcoef": [(["n 3 7"], {}), (["n 7"], {})],
    "correlate": [(["n 7", "n 3"], {}), (["n 7", "n 3"], {"mode": "same"})],
    "cross": [(["n 5 3", "n 5 3"], {}), (["n 5 2", "n 5 2"], {})],
    "depth_to_space": [(["n 2 3 5 8", 2], {}), (["n 2 9 3 5", 3], {"data_format": "channels_first"})],
    "depthwise_conv": [([IMAGES, "n 2 3 3 2"], {}), (["n 2 7 3", "n 3 3 1"], {"padding": "same"})],
    "diag": [(["n 5"], {}), (["n 3 5"], {"k": 1})],
    "diagflat": [(["n 5"], {}), (["n 2 3"], {"k": -1})],
    "diagonal": [(["n 3 5"], {}), (["n 2 3 5"], {"offset": 1, "axis1": 1, "axis2": 2})],
    "diff": [(["n 3 5"], {}), (["n 7 2"], {"n": 2, "axis": 0})],
    "digitize": [(["n 3 5", "z 4"], {}), (["i 7", "z 3"], {})],
    "dot": [(["n 3 5", "n 5 2"], {}), (["n 2 3 5", "n 5"], {})],
    "dot_product_attention": [(["n 2 3 4 5", "n 2 7 4 5", "n 2 7 4 5"], {}), (["n 2 3 4 5", "n 2 3 4 5", "n 2 3 4 5"], {"is_causal": True})],
    "dsplit": [(["n 2 3 6", 2], {}), (["n 2 3 5", [2]], {})],
    "dstack": [([["n 3 5", "n 3 5"]], {}), ([["n 5", "n 5"]], {})],
    "eigh": [(["s 5 5"], {"only": 0}), (["s 2 3 3"], {"only": 0})],
    "einsum": [(["ij,jk->ik", "n 3 5", "n 5 2"], {}), (["...ii->...i", "n 2 3 3"], {})],
    "expand_dims": [(["n 3 5", 1], {}), (["n 3 5", (0, -1)], {})],
    "extract_sequences": [(["n 2 11", 5, 3], {}), (["n 13", 4, 2], {})],
    "eye": [([3], {}), ([3, 5], {"k": 1, "dtype": "int32"})],
    "fft": [([("n 3 8", "n 3 8")], {}), ([("n 2 7", "n 2 7")], {})],
    "fft2": [([("n 4 8", "n 4 8")], {}), ([("n 2 3 5", "n 2 3 5")], {})],
    "ifft2": [([("n 4 8", "n 4 8")], {}), ([("n 2 3 5", "n 2 3 5")], {})],
    "rfft": [(["n 3 8"], {}), (["n 2 7"], {"fft_length": 5})],
    "irfft": [([("n 3 5", "n 3 5")], {}), ([("n 2 4", "n 2 4")], {"fft_length": 7})],
    "fold": [(["n 2 12 12", (4, 5), (2, 2)], {}), (["n 2 8 4", (4, 4), 2], {"stride": 2})],
    "full": [([(3, 5), 2.5], {}), ([(2,), 3], {"dtype": "int32"})],
    "full_like": [(["n 3 5", 2.5], {}), (["i 3 5", 3], {})],
    "geomspace": [([1.0, 100.0], {"num": 5}), ([2.0, 50.0], {"num": 4, "endpoint": False})],
    "hamming": [([7], {}), ([4], {})],
    "hanning": [([7], {}), ([4], {})],
    "histogram": [(["n 31"], {"bins": 4}), (["n 17"], {"bins": 3, "range": (-1.0, 1.0)})],
    "hsplit": [(["n 3 6", 2], {}), (["n 3 5", [2]], {})],
    "hstack": [([["n 3 5", "n 3 2"]], {}), ([["n 5", "n 2"]], {})],
    "identity": [([3], {}), ([2], {"dtype": "int32"})],
    "in_top_k": [(["j 5", "n 5 7", 2], {}), (["j 3", "n 3 4", 1], {})],
    "inner": [(["n 3 5", "n 2 5"], {}), (["n 5", "n 5"], {})],
    "isin": [(["j 3 5", "j 2"], {}), (["j 7", "j 3"], {"invert": True})],
    "istft": [([("n 2 9 5", "n 2 9 5"), 8, 2, 8], {}), ([("n 5 4", "n 5 4"), 6, 3, 6], {"window": "hamming"})],
    "kaiser": [([7, 3.0], {}), ([4, 8.0], {})],
    "kron": [(["n 2 3", "n 3 2"], {}), (["n 3", "n 2"], {})],
    "layer_normalization": [(["n 2 3 5"], {}), (["n 2 3 5", "n 5", "n 5"], {"epsilon": 0.1})],
    "linspace": [([0.0, 1.0], {"num": 5}), ([2.0, 7.0], {"num": 4, "endpoint": False})],
    "logspace": [([0.0, 2.0], {"num": 5}), ([0.0, 1.0], {"num": 3, "base": 2})],
    "lstsq": [(["n 7 3", "n 7 2"], {}), (["n 5 3", "n 5"], {})],
    "matmul": [(["n 3 5", "n 5 2"], {}), (["n 2 3 5", "n 5"], {})],
    "max_pool": [([IMAGES, 2], {"strides": 1}), (["n 2 7 3", 3], {"strides": 2, "padding": "same"})],
    "meshgrid": [(["n 3", "n 5"], {}), (["n 3", "n 2", "n 5"], {"indexing": "ij"})],
    "moments": [(["n 3 5", [0]], {}), (["n 2 3 5", [0, 2]], {"keepdims": True})],
    "moveaxis": [(["n 2 3 5", 0, 2], {}), (["n 2 3 5", [0, 1], [1, 0]], {})],
    "multi_hot": [(["j 3 2", 4], {}), (["j 5"], {"num_classes": 6})],
    "nanpercentile": [(["m 3 5", 30], {}), (["m 3 5", 70], {"axis": 1})],
    "nanquantile": [(["m 3 5", 0.3], {}), (["m 3 5", 0.7], {"axis": 1, "method": "nearest"})],
    "norm": [(["n 3 5"], {"ord": 1, "axis": 1}), (["n 3 5"], {"ord": "nuc"})],
    "normalize": [(["n 3 5"], {}), (["n 3 5"], {"axis": 0, "order": 1})],
    "one_hot": [(["j 3 2", 4], {}), (["j 5", 6], {"axis": 0, "dtype": "int32"})],
    "ones": [([(3, 5)], {}), ([(2,)], {"dtype": "int32"})],
    "outer": [(["n 3", "n 5"], {}), (["n 2 3", "n 5"], {})],
    "pad": [(["n 3 5", 2], {}), (["n 3 5", ((1, 0), (2, 1))], {"mode": "reflect"})],
    "percentile": [(["n 3 5", 30], {}), (["n 3 5", 70], {"axis": 1, "keepdims": True})],
    "psnr": [(["p 3 5", "p 3 5", 3.0], {}), (["p 2 4", "p 2 4", 1.0], {})],
    "qr": [(["n 5 3"], {"only": "r"}), (["n 3 3"], {"only": "r"})],
    "quantile": [(["n 3 5", 0.3], {}), (["n 3 5", [0.2, 0.7]], {"axis": 1, "method": "lower"})],
    "rearrange": [(["n 2 3 5", "a b c -> b (a c)"], {}), (["n 6 5", "(a b) c -> a c b"], {"a": 2})],
    "repeat": [(["n 3 5", 2], {}), (["n 3 5", np.array([1, 0, 2])], {"axis": 0})],
    "reshape": [(["n 3 5", (5, 3)], {}), (["n 2 3 5", (-1, 6)], {})],
    "rms_normalization": [(["n 2 3 5"], {}), (["n 2 3 5"], {"scale": "n 5", "epsilon": 0.1})],
    "roll": [(["n 3 5", 2], {}), (["n 3 5", 2], {"axis": 1})],
    "rot90": [(["n 3 5"], {}), (["n 2 3 5"], {"k": 3, "axes": (1, 2)})],
    "round": [(["n 3 5"], {"decimals": 1}), (["n 7"], {"decimals": -1})],
    "saturate_cast": [(["n 3 5", "uint8"], {}), (["i 3 5", "int8"], {})],
    "scatter": [([np.array([[0], [3], [0]]), "n 3", (5,)], {}), ([np.array([[0, 1], [2, 2]]), "n 2", (3, 4)], {})],
    "scatter_update": [(["n 5", [[0], [3]], "n 2"], {}), (["n 3 5", [[0, 1], [2, 2]], "n 2"], {})],
    "searchsorted": [(["z 7", "n 5"], {}), (["z 7", "n 2 3"], {"side": "right"})],
    "segment_max": [(["n 5 2", IDS], {"num_segments": 3}), (["n 4", FEWER_IDS], {"num_segments": 2})],
    "segment_min": [(["n 5 2", IDS], {"num_segments": 3}), (["n 4", FEWER_IDS], {"num_segments": 2})],
    "segment_prod": [(["n 5 2", IDS], {"num_segments": 4}), (["n 4", FEWER_IDS], {"num_segments": 2})],
    "segment_sum": [(["n 5 2", IDS], {"num_segments": 4}), (["n 4", FEWER_IDS], {"num_segments": 2})],
    "select": [([["b 3 5", "b 3 5"], ["n 3 5", "n 3 5"]], {}), ([["b 4"], ["n 4"]], {"default": 2.0})],
    "separable_conv": [([IMAGES, "n 2 3 3 2", "n 1 1 6 4"], {}), (["n 2 7 3", "n 3 3 1", "n 1 3 5"], {"padding": "same"})],
    "slice": [(["n 3 5", (1, 2), (2, 3)], {}), (["n 7", (2,), (4,)], {})],
    "slice_update": [(["n 3 5", (1, 2), "n 2 3"], {}), (["n 7", (2,), "n 4"], {})],
    "solve": [(["s 3 3", "n 3 2"], {}), (["s 2 3 3", "n 2 3 1"], {})],
    "solve_triangular": [(["s 3 3", "n 3 2"], {}), (["s 3 3", "n 3 2"], {"lower": True})],
    "sort": [(["n 3 5"], {}), (["i 2 3 5"], {"axis": 1})],
    "space_to_depth": [(["n 2 4 6 3", 2], {}), (["n 2 3 3 6", 3], {"data_format": "channels_first"})],
    "sparse_categorical_crossentropy": [(["j 3", "c 3 5"], {}), (["j 3", "n 3 5"], {"from_logits": True})],
    "split": [(["n 6 2", 3], {}), (["n 2 5", [1, 3]], {"axis": 1})],
    "squeeze": [(["n 3 1 5"], {}), (["n 1 3 1"], {"axis": -1})],
    "stack": [([["n 3 5", "n 3 5"]], {}), ([["n 3 5", "i 3 5"]], {"axis": -1})],
    "stft": [(["n 2 40", 8, 3, 8], {}), (["n 33", 6, 2, 8], {"window": "hamming", "center": False})],
    "svd": [(["n 5 3"], {"compute_uv": False}), (["n 2 3 3"], {"compute_uv": False})],
    "swapaxes": [(["n 2 3 5", 0, 2], {}), (["n 3 5", -1, -2], {})],
    "take": [(["n 4 5", "j 3"], {"axis": 0}), (["n 3 5", [0, 2]], {})],
    "take_along_axis": [(["n 3 5", "j 3 2"], {"axis": 1}), (["n 5 3", "j 2 3"], {"axis": 0})],
    "tensordot": [(["n 3 5", "n 5 2"], {"axes": 1}), (["n 2 3 5", "n 3 5 2"], {"axes": 2})],
    "threshold": [(["n 3 5", 0.1, 7.0], {}), (["n 7", -0.5, 0.0], {})],
    "tile": [(["n 3 5", 2], {}), (["n 3 5", (2, 1)], {})],
    "top_k": [(["n 3 7", 3], {}), (["n 5", 2], {"sorted": True})],
    "trace": [(["n 3 5"], {}), (["n 2 3 5"], {"offset": 1, "axis1": 1, "axis2": 2})],
    "transpose": [(["n 2 3 5"], {"axes": (1, 2, 0)})],
    "trapezoid": [(["n 3 5"], {}), (["n 3 5"], {"x": "z 5"})],
    "tri": [([3], {}), ([3, 5], {"k": 1, "dtype": "int32"})],
    "tril": [(["n 3 5"], {}), (["n 2 3 5"], {"k": 1})],
    "triu": [(["n 3 5"], {}), (["n 2 3 5"], {"k": -1})],
    "unfold": [(["n 2 3 5 7", 2], {}), (["n 2 3 6 6", (2, 3)], {"stride": 2, "padding": 1})],
    "unique": [(["j 11"], {}), (["j 3 5"], {"return_counts": True})],
    "unravel_index": [(["j 5", (2, 3)], {}), (["j 3", (2, 2, 2)], {})],
    "unstack": [(["n 3 5"], {}), (["n 2 3 5"], {"axis": 1})],
    "vander": [(["n 5"], {}), (["n 4"], {"N": 3, "increasing": True})],
    "vdot": [(["n 5", "n 5"], {}), (["n 2 3", "n 2 3"], {})],
    "view_as_complex": [(["n 3 2"], {}), (["n 2 5 2"], {})],
    "vsplit": [(["n 6 2", 2], {}), (["n 5 2", [2]], {})],
    "vstack": [([["n 3 5", "n 2 5"]], {}), ([["n 5", "n 5"]], {})],
    "where": [(["b 3 5", "n 3 5", "n 5"], {}), (["b 3 5"], {})],
    "zeros": [([(3, 5)], {}), ([(2,)], {"dtype": "int32"})],
}  # fmt: skip
LATER = {"identity_of", "glu_of", "sort_of"}


def cases():
    """{name of an op: its calls (args, kwargs)}."""
    found = {}
    for kind, names in UNARY.items():
        for name in names.split():
            shapes = ("3 3", "2 4 4") if kind == "s" else ("3 5", "2 3 4")
            found[name] = [([f"{kind} {shape}"], {}) for shape in shapes]
    found["glu"] = [(["n 3 4"], {}), (["n 2 6"], {"axis": 0})]
    for (one, other), names in BINARY.items():
        for name in names.split():
            found[name] = [([f"{one} 3 5", f"{other} 3 5"], {}), ([f"{one} 2 3 1", f"{other} 5"], {})]
    for kind, names in REDUCTIONS.items():
        for name in names.split():
            found[name] = [([f"{kind} 3 5"], {}), ([f"{kind} 2 3 4"], {"axis": 1})]
    for name, calls in SEVERAL.items():
        found[name] = [*found.get(name, []), *calls]
    return {name: calls for name, calls in found.items() if name not in LATER and calls}


CASES = cases()
