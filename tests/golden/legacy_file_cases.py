# SPDX-License-Identifier: Apache-2.0
"""The models that make_legacy_files.py lets each Keras write: functions of its names, by era. Nothing of this repository is imported."""

# ruff: noqa: UP031, B905  (Python 3.7 runs this, too)

import json
import os
import tempfile

import numpy as np

CASES = {}


def case(*eras):
    """Registers a function (keras) -> (model, input shapes or arrays[, options]) for these eras."""

    def register(function):
        for era in eras:
            CASES.setdefault(era, []).append(function)
        return function

    return register


def draw(rng, shape, like=None):
    """Weights: away from 0 and 1, positive where they are variances (of the names "var" and "std")."""
    values = rng.normal(size=shape) * 0.4
    return (np.abs(values) + 0.5 if like else values).astype("float32")


# Keras 0 ------------------------------------------------------------------------------------------------------------------------


@case("zero")
def dense_chain(k):
    m = k.Sequential()
    layers = [k.Dense(5, input_dim=4, activation="tanh", W_regularizer="l2"), k.BatchNormalization(), k.PReLU(), k.Dropout(0.3),
              k.MaxoutDense(3, nb_feature=2), k.Highway(activation="relu"), k.Dense(2), k.Activation("softmax")]  # fmt: skip
    for layer in layers:
        m.add(layer)
    return m, [(3, 4)]


@case("zero")
def images_th(k):
    m = k.Sequential()
    m.add(k.Convolution2D(4, 3, 2, input_shape=(3, 8, 7), activation="relu"))
    m.add(k.ZeroPadding2D((1, 2)))
    m.add(k.MaxPooling2D((2, 2)))
    m.add(k.UpSampling2D((2, 1)))
    m.add(k.Flatten())
    m.add(k.Dense(2))
    return m, [(2, 3, 8, 7)]


@case("zero")
def words(k):
    m = k.Sequential()
    m.add(k.Embedding(11, 5, input_length=6, mask_zero=False))
    m.add(k.GRU(4, return_sequences=True))
    m.add(k.TimeDistributedDense(3, activation="relu"))
    m.add(k.LSTM(3))
    return m, [{"below": 11, "shape": (3, 6)}]


@case("zero")
def branches(k):
    left, right = k.Sequential(), k.Sequential()
    left.add(k.Dense(3, input_dim=4))
    right.add(k.Embedding(10, 5, input_length=2))
    right.add(k.TimeDistributedMerge("ave"))
    right.add(k.Dense(3))
    m = k.Sequential()
    m.add(k.Merge([left, right], mode="concat"))
    m.add(k.Dense(2))
    return m, [(3, 4), {"below": 10, "shape": (3, 2)}]


@case("zero")
def graph_model(k):
    g = k.Graph()
    g.add_input("a", (4,))
    g.add_input("b", (5,))
    g.add_node(k.Dense(3, activation="relu"), "d1", "a")
    g.add_node(k.Dense(3), "d2", "b")
    g.add_node(k.Dense(2), "d3", inputs=["d1", "d2"], merge_mode="concat")
    g.add_shared_node(k.Dense(4), "shared", inputs=["d1", "d2"], merge_mode="sum")
    g.add_output("out", input="d3")
    g.add_output("other", inputs=["shared", "d3"], merge_mode="concat")
    return g, {"a": (3, 4), "b": (3, 5)}, {"loss": {"out": "mse", "other": "mse"}}


# Keras 1 ------------------------------------------------------------------------------------------------------------------------


def functional(k, x, y):
    return k.Model(x, y)


@case("one")
def dense_trained(k):
    m = k.Sequential()
    m.add(k.Dense(5, input_dim=4, activation="tanh", W_regularizer="l2", W_constraint="maxnorm", init="he_normal"))
    m.add(k.Dense(3, activation="relu", bias=False))
    m.add(k.Dense(2))
    m.compile(k.Adam(lr=0.01, decay=0.1), "mse", metrics=["accuracy"])
    return m, [(6, 4)], {"train": True}


@case("one")
def sgd_trained(k):
    m = k.Sequential()
    m.add(k.Dense(5, input_dim=4, activation="tanh", b_regularizer="l1l2"))
    m.add(k.Dense(1, activation="sigmoid"))
    m.compile(k.SGD(lr=0.1, momentum=0.9, nesterov=True, clipnorm=1.0), "binary_crossentropy")
    return m, [(6, 4)], {"train": True, "targets": lambda rng, y: (y > 0).astype("float32")}


@case("one")
def lstm_trained(k):
    m = k.Sequential()
    m.add(k.LSTM(4, input_shape=(5, 3), return_sequences=True))
    m.add(k.GRU(3))
    m.add(k.Dense(2))
    m.compile(k.RMSprop(lr=0.01), "mae")
    return m, [(3, 5, 3)], {"train": True}


@case("one")
def images_th(k):  # noqa: F811
    x = k.Input((3, 8, 7))
    y = k.Convolution2D(4, 3, 5, border_mode="same", dim_ordering="th", activation="relu")(x)
    y = k.AtrousConvolution2D(5, 2, 3, atrous_rate=(2, 1), dim_ordering="th")(y)
    y = k.BatchNormalization(axis=1)(y)
    y = k.AveragePooling2D(dim_ordering="th")(y)
    y = k.GlobalMaxPooling2D(dim_ordering="th")(y)
    return functional(k, x, k.Dense(2)(y)), [(2, 3, 8, 7)]


@case("one")
def images_tf(k):
    x = k.Input((8, 7, 3))
    y = k.Convolution2D(4, 3, 2, subsample=(2, 1), dim_ordering="tf", activation="relu")(x)
    y = k.ZeroPadding2D({"top_pad": 1, "bottom_pad": 2, "left_pad": 0, "right_pad": 3}, dim_ordering="tf")(y)
    y = k.Deconvolution2D(3, 3, 2, output_shape=(None, 8, 10, 3), dim_ordering="tf")(y)
    y = k.UpSampling2D((1, 2), dim_ordering="tf")(y)
    y = k.Cropping2D(((1, 0), (0, 2)), dim_ordering="tf")(y)
    y = k.LocallyConnected2D(2, 3, 2, dim_ordering="tf")(y)
    return functional(k, x, y), [(2, 8, 7, 3)]


@case("one")
def signals(k):
    x = k.Input((9, 3))
    y = k.Convolution1D(4, 3, border_mode="same", activation="relu")(x)
    y = k.AtrousConvolution1D(4, 2, atrous_rate=2)(y)
    y = k.MaxPooling1D(2)(y)
    y = k.UpSampling1D(2)(y)
    y = k.LocallyConnected1D(3, 2)(y)
    y = k.ZeroPadding1D(1)(y)
    return functional(k, x, k.GlobalAveragePooling1D()(y)), [(2, 9, 3)]


@case("one")
def recurrent(k):
    x = k.Input((6, 3))
    y = k.Bidirectional(k.LSTM(4, return_sequences=True, consume_less="gpu"))(x)
    y = k.Bidirectional(k.GRU(3, return_sequences=True), merge_mode="sum")(y)
    y = k.TimeDistributed(k.Dense(5, activation="relu"))(y)
    y = k.SimpleRNN(4, go_backwards=True, return_sequences=True)(y)
    return functional(k, x, k.GRU(2, consume_less="gpu")(y)), [(2, 6, 3)]


@case("one")
def masked_words(k):
    m = k.Sequential()
    m.add(k.Embedding(12, 5, input_length=6, mask_zero=True))
    m.add(k.LSTM(4, return_sequences=True))
    m.add(k.GRU(3))
    return m, [{"below": 12, "shape": (4, 6)}]


@case("one")
def film(k):
    x = k.Input((3, 2, 6, 5))
    y = k.ConvLSTM2D(3, 3, 3, border_mode="same", dim_ordering="th", return_sequences=True)(x)
    y = k.ConvLSTM2D(2, 3, 1, border_mode="same", dim_ordering="th")(y)
    return functional(k, x, y), [(2, 3, 2, 6, 5)]


@case("one")
def volumes(k):
    x = k.Input((2, 5, 6, 4))
    y = k.Convolution3D(3, 2, 3, 2, dim_ordering="th")(x)
    y = k.MaxPooling3D((1, 2, 1), dim_ordering="th")(y)
    return functional(k, x, k.Flatten()(y)), [(2, 2, 5, 6, 4)]


@case("one")
def merging(k):
    a, b = k.Input((4,)), k.Input((4,))
    p, q = k.Dense(3)(a), k.Dense(3, activation="tanh")(b)
    parts = [k.merge([p, q], mode=mode) for mode in ("sum", "mul", "ave", "max", "concat")]
    parts += [k.merge([p, q], mode="dot", dot_axes=1), k.Flatten()(k.merge([p, q], mode="cos", dot_axes=1))]
    return functional(k, [a, b], k.merge(parts, mode="concat", concat_axis=1)), [(3, 4), (3, 4)]


@case("one")
def merged_sequential(k):
    left, right = k.Sequential(), k.Sequential()
    left.add(k.Dense(3, input_dim=4))
    left.add(k.BatchNormalization())
    right.add(k.Dense(2, input_dim=5, activation="relu"))
    m = k.Sequential()
    m.add(k.Merge([left, right], mode="concat"))
    m.add(k.Dense(2))
    m.compile("adadelta", "mse")
    return m, [(3, 4), (3, 5)], {"train": True}


@case("one")
def nested(k):
    inner = k.Sequential(name="inner")
    inner.add(k.Dense(4, input_dim=3))
    inner.add(k.BatchNormalization())
    inner.add(k.Dense(3, activation="tanh"))
    x, y = k.Input((3,)), k.Input((5, 3))
    parts = [inner(x), inner(k.Dense(3)(x)), k.LSTM(3)(k.TimeDistributed(k.Dense(3))(y))]
    return functional(k, [x, y], k.Dense(2)(k.merge(parts, mode="concat"))), [(4, 3), (4, 5, 3)]


@case("one")
def special(k):
    m = k.Sequential()
    layers = [
        k.MaxoutDense(5, nb_feature=3, input_dim=4, activity_regularizer="activity_l2"), k.Highway(activation="tanh"), k.LeakyReLU(0.2),
        k.ELU(0.7), k.PReLU(), k.ThresholdedReLU(0.1), k.Reshape((5, 1)), k.Permute((2, 1)), k.Flatten(), k.RepeatVector(2),
        k.GaussianNoise(0.1), k.Masking(0.0), k.Activation("hard_sigmoid"),
    ]  # fmt: skip
    for layer in layers:
        m.add(layer)
    return m, [(3, 4)]


@case("one")
def architecture(k):
    m = k.Sequential()
    m.add(k.Convolution1D(4, 3, input_shape=(7, 2), activation="relu"))
    m.add(k.Flatten())
    m.add(k.Dense(2, activation="softmax"))
    return m, [(3, 7, 2)], {"kind": "json"}


# Keras 2 on TensorFlow 1, and tf.keras ------------------------------------------------------------------------------------------


@case("two", "tf")
def dense_trained_2(k):
    m = k.Sequential([
        k.Dense(5, input_shape=(4,), activation="tanh", kernel_regularizer="l2", kernel_constraint="max_norm"),
        k.Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal"),
        k.Dense(2),
    ])  # fmt: skip
    m.compile(k.Adam(0.01, amsgrad=True), "mse", metrics=["accuracy", "mae"])
    return m, [(6, 4)], {"train": True}


@case("two", "tf", "three")
def sgd_trained_2(k):
    m = k.Sequential([k.Dense(5, input_shape=(4,), activation="tanh"), k.BatchNormalization(), k.Dense(3), k.Activation("softmax")])
    m.compile(k.SGD(0.1, momentum=0.9, nesterov=True), "categorical_crossentropy", metrics=["acc"])
    return m, [(6, 4)], {"train": True, "targets": lambda rng, y: np.eye(3, dtype="float32")[np.abs(y).argmax(-1)]}


@case("two", "tf", "three")
def recurrent_trained_2(k):
    x = k.Input((6, 3))
    y = k.Bidirectional(k.LSTM(4, return_sequences=True, recurrent_activation="hard_sigmoid"))(x)
    y = k.TimeDistributed(k.Dense(5, activation="relu"))(y)
    y = k.Conv1D(3, 2, padding="causal")(y)
    y, state = k.GRU(3, return_state=True, return_sequences=True)(y)
    y = k.GRU(3, name="second")(y, initial_state=[state])
    m = functional(k, x, k.Dense(2)(y))
    m.compile(k.RMSprop(0.01, rho=0.8), "mae", metrics=["mse"])
    return m, [(3, 6, 3)], {"train": True}


@case("two", "flips", "tf", "three")
def images_2(k):
    x = k.Input((8, 7, 3))
    y = k.Conv2D(4, (3, 5), padding="same", activation="relu")(x)
    y = k.SeparableConv2D(5, (2, 3), dilation_rate=1)(y)
    y = k.BatchNormalization(scale=False)(y)
    y = k.DepthwiseConv2D((2, 2))(y)
    y = k.Conv2DTranspose(3, (2, 3), strides=(2, 1))(y)
    y = k.ZeroPadding2D(((1, 0), (0, 2)))(y)
    y = k.LeakyReLU(0.2)(y)
    y = k.MaxPooling2D()(y)
    y = k.Cropping2D(1)(y)
    y = k.UpSampling2D(2)(y)
    return functional(k, x, k.GlobalAveragePooling2D()(y)), [(2, 8, 7, 3)]


@case("two", "tf", "three")
def nested_2(k):
    inner = k.Sequential([k.Dense(4, input_shape=(3,)), k.BatchNormalization(), k.Dense(3, activation="tanh"), k.BatchNormalization()], name="inner")
    deep_in = k.Input((3,))
    deep = k.Model(deep_in, k.Dense(2, name="deep_dense")(inner(deep_in)), name="deep")
    x, y = k.Input((3,), name="left"), k.Input((3,), name="right")
    z = k.concatenate([deep(x), deep(y), k.Dense(2)(y)])
    m = k.Model([x, y], [k.Dense(2, name="first")(z), k.Dense(1, name="second")(z)])
    m.compile("adam", {"first": "mse", "second": "mae"}, loss_weights={"first": 0.5, "second": 2.0})
    return m, [(4, 3), (4, 3)], {"train": True}


@case("two", "tf", "three")
def frozen_2(k):
    inner = k.Sequential([k.Dense(3, input_shape=(3,)), k.BatchNormalization(), k.Dense(3), k.Dense(3)], name="inner")
    inner.layers[0].trainable = False
    x = k.Input((3,))
    m = functional(k, x, k.Dense(2)(k.Dense(3, trainable=False)(inner(x))))
    m.compile("adagrad", "mse")
    return m, [(4, 3)], {"train": True}


@case("two", "tf", "three")
def stacked_cells_2(k):
    x = k.Input((6,))
    y = k.Embedding(12, 5)(x)
    y = k.RNN([k.LSTMCell(4), k.GRUCell(3, reset_after=False)], return_sequences=True)(y)
    return functional(k, x, k.SimpleRNN(2)(y)), [{"below": 12, "shape": (4, 6)}]


@case("two", "tf", "three")
def masked_words_2(k):
    x = k.Input((6,))
    y = k.Embedding(12, 5, mask_zero=True)(x)
    y = k.LSTM(4, return_sequences=True)(y)
    return functional(k, x, k.Bidirectional(k.GRU(3), merge_mode="ave")(y)), [{"below": 12, "shape": (4, 6)}]


@case("two", "tf", "three")
def merging_2(k):
    a, b = k.Input((4,)), k.Input((4,))
    p, q = k.Dense(3)(a), k.Dense(3, activation="tanh")(b)
    parts = [kind()([p, q]) for kind in (k.Add, k.Multiply, k.Average, k.Maximum, k.Minimum, k.Subtract)]
    parts += [k.Dot(axes=1)([p, q]), k.Dot(axes=-1, normalize=True)([p, q])]
    return functional(k, [a, b], k.Concatenate(axis=1)(parts)), [(3, 4), (3, 4)]


@case("two", "tf", "three")
def film_2(k):
    x = k.Input((3, 6, 5, 2))
    y = k.ConvLSTM2D(3, (3, 1), padding="same", return_sequences=True)(x)
    return functional(k, x, k.ConvLSTM2D(2, 3, padding="valid", use_bias=False)(y)), [(2, 3, 6, 5, 2)]


@case("flips")
def film_flipped(k):
    return film_2(k)


@case("flips")
def flipped(k):
    x = k.Input((5, 6, 4, 2))
    y = k.Conv3D(3, (2, 3, 2))(x)
    z = k.Input((9, 3))
    v = k.Conv2DTranspose(3, (3, 2))(k.Reshape((9, 3, 1))(z))
    return k.Model([x, z], [y, k.Conv1D(4, 3)(z), v]), [(2, 5, 6, 4, 2), (2, 9, 3)]


@case("two")
def local_2(k):
    x = k.Input((6, 5, 2))
    y = k.LocallyConnected2D(3, (2, 3))(x)
    return functional(k, x, k.LocallyConnected1D(2, 3)(k.Reshape((-1, 3))(y))), [(2, 6, 5, 2)]


@case("two", "tf", "three")
def architecture_2(k):
    m = k.Sequential([k.Conv2D(3, 2, input_shape=(6, 5, 2), activation="relu"), k.Flatten(), k.Dense(2, activation="softmax")])
    return m, [(3, 6, 5, 2)], {"kind": "json"}


@case("two", "tf", "three")
def special_2(k):
    layers = [k.Dense(5, input_shape=(4,)), k.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.05), k.PReLU(), k.ELU(0.7), k.Softmax(),
              k.GaussianDropout(0.2), k.AlphaDropout(0.1), k.ActivityRegularization(l1=0.1), k.RepeatVector(3), k.SpatialDropout1D(0.1),
              k.Permute((2, 1)), k.Masking(), k.Activation("hard_sigmoid")]  # fmt: skip
    return k.Sequential(layers), [(3, 4)]


@case("two", "tf")
def weights_only_2(k):
    return k.Sequential([k.Dense(3, input_shape=(4,), name="a"), k.Dense(2, name="b")]), [(3, 4)], {"kind": "weights"}


@case("two")
def many_layers(k):  # names in several attributes
    m = k.Sequential([k.Dense(2, input_shape=(2,), name="d" + "x" * 3000 + "_0")])
    for i in range(1, 25):
        m.add(k.Dense(2, name="d" + "x" * 3000 + "_%d" % i))
    return m, [(3, 2)], {"kind": "weights"}


@case("two")
def cudnn(k):
    """Layers of cuDNN cannot run on a CPU, but be made: their weights, and what Keras makes of them for the layers that can."""
    import h5py

    plain = k.Sequential([k.LSTM(4, input_shape=(5, 3), return_sequences=True, recurrent_activation="sigmoid", name="a"),
                          k.GRU(3, reset_after=True, recurrent_activation="sigmoid", name="b")])  # fmt: skip
    rng = np.random.RandomState(7)
    config = json.loads(plain.to_json())
    path = os.path.join(tempfile.mkdtemp(), "w.h5")
    with h5py.File(path, "w") as file:
        file.attrs.update({"keras_version": b"2.2.4", "backend": b"tensorflow"})
        group = file.create_group("model_weights")
        group.attrs.update({"keras_version": b"2.2.4", "backend": b"tensorflow", "layer_names": [b"a", b"b"]})
        for i, (layer, shape) in enumerate(
            [(k.CuDNNLSTM(4, return_sequences=True, name="a"), (None, 5, 3)), (k.CuDNNGRU(3, name="b"), (None, 5, 4))]
        ):
            layer.build(shape)
            inner = group.create_group(layer.name)
            names = ["%s/%s:0" % (layer.name, n) for n in ("kernel", "recurrent_kernel", "bias")]
            inner.attrs["weight_names"] = [n.encode() for n in names]
            for name, weight in zip(names, layer.weights):
                inner[name] = draw(rng, tuple(int(n) for n in weight.shape))
            entry = {"class_name": type(layer).__name__, "config": layer.get_config()}
            config["config"]["layers"][i] = entry if i else {**entry, "config": dict(entry["config"], batch_input_shape=[None, 5, 3])}
        file.attrs["model_config"] = json.dumps({key: config[key] for key in ("class_name", "config")}).encode()
    plain.load_weights(path)  # converts them
    return plain, [(2, 5, 3)], {"randomize": False, "file": path}


# tf.keras alone -----------------------------------------------------------------------------------------------------------------


@case("tf")
def operations_tf(k):
    tf = k.tf
    x = k.Input((4, 3))
    y = tf.nn.relu(x * 2.0 - 0.5) + tf.reduce_mean(x, axis=1, keepdims=True)
    y = tf.concat([y[:, 1:], tf.math.exp(-y[:, ::2])], axis=1)
    y = tf.transpose(y, perm=[0, 2, 1])
    y = y / (1.0 + tf.abs(y))
    return k.Model(x, k.Dense(2)(y[..., 0] ** 2)), [(2, 4, 3)]


@case("tf")
def attention_tf(k):
    x, y = k.Input((5, 4)), k.Input((3, 4))
    z = k.MultiHeadAttention(2, 3)(x, y)
    z = k.LayerNormalization()(z + x)
    z = k.Attention(use_scale=True)([z, y])
    z = k.UnitNormalization()(z) if hasattr(k, "UnitNormalization") else z
    return k.Model([x, y], z), [(2, 5, 4), (2, 3, 4)]


@case("tf")
def old_optimizer_tf(k):
    m = k.Sequential([k.Dense(4, input_shape=(3,), activation="relu"), k.Dense(2)])
    m.compile(k.legacy.Adam(0.01, decay=0.1), k.Huber(), metrics=[k.MeanAbsoluteError()])
    return m, [(5, 3)], {"train": True}


@case("tf")
def frozen_call_tf(k):
    x = k.Input((4,))
    y = k.BatchNormalization()(k.Dense(3)(x), training=False)
    y = k.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 5.0, 6.0])(y)
    y = k.Rescaling(0.5, offset=1.0)(y)
    return k.Model({"a": x}, {"b": k.Dense(2)(y)}), [(3, 4)]


# Keras 3 alone ------------------------------------------------------------------------------------------------------------------


@case("three")
def operations_three(k):
    x = k.Input((4, 3))
    y = k.ops.relu(x * 2.0 - 0.5) + k.ops.mean(x, axis=1, keepdims=True)
    return k.Model(x, k.Dense(2)(y[:, 1:])), [(2, 4, 3)]


@case("three")
def attention_three(k):
    x, y = k.Input((5, 4)), k.Input((3, 4))
    z = k.MultiHeadAttention(2, 3)(x, y)
    z = k.LayerNormalization()(k.Add()([z, x]))
    m = k.Model([x, y], k.Dense(1)(k.GlobalAveragePooling1D()(z)))
    m.compile(k.AdamW(0.01), k.Huber(), metrics=[k.MeanAbsoluteError(), k.metrics.RootMeanSquaredError(), "mse"])
    return m, [(2, 5, 4), (2, 3, 4)], {"train": True}


@case("three")
def schedule_three(k):
    m = k.Sequential([k.Input((4,)), k.Dense(3, activation="gelu"), k.Dropout(0.0), k.Dense(2)])
    m.compile(k.Adam(k.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), "mse")
    return m, [(3, 4)], {"train": True}


@case("three")
def grouped_three(k):
    x = k.Input((5, 4))
    y = k.GroupQueryAttention(4, 2, 1)(x, x)
    y = k.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d")(y)
    return k.Model(x, k.RMSNormalization()(y)), [(2, 5, 4)]


@case("three")
def quantized_three(k):
    m = k.Sequential([k.Input((4,)), k.Dense(6), k.Dense(3)])
    m.quantize("int8")
    return m, [(3, 4)], {"randomize": False}
