# SPDX-License-Identifier: Apache-2.0
"""The models of the files, written once for both libraries: every function takes api (keras or nyala) and returns a model. Start at MODELS.

Their own classes are made by `kinds(api)`, so that a file can be opened with them in either library.
"""

import functools

import numpy as np

from tests.golden.store import generator


def sequential(api, shape, *layers, dtype=None, name="m"):
    return api.Sequential([api.Input(shape, dtype=dtype), *layers], name=name)


def mlp(api):
    L = api.layers
    return sequential(api, (5,), L.Dense(3, activation="relu"), L.BatchNormalization(), L.Dropout(0.3), L.Dense(2, activation="softmax"))


def convolutions(api):
    L = api.layers
    return sequential(
        api, (8, 7, 2), L.Conv2D(3, 3, activation="gelu"), L.MaxPooling2D(), L.DepthwiseConv2D(2), L.SeparableConv2D(3, 2, padding="same"),
        L.Conv2DTranspose(2, 2), L.GlobalAveragePooling2D(), L.Dense(1),
    )  # fmt: skip


def convolutions_1d(api):
    L = api.layers
    return sequential(
        api, (9, 3), L.Conv1D(4, 3, padding="causal"), L.DepthwiseConv1D(2), L.SeparableConv1D(3, 2), L.Conv1DTranspose(2, 3), L.UpSampling1D(2),
        L.Cropping1D(1), L.ZeroPadding1D(1), L.GlobalMaxPooling1D(),
    )  # fmt: skip


def convolutions_3d(api):
    L = api.layers
    return sequential(api, (4, 5, 4, 2), L.Conv3D(2, 2), L.AveragePooling3D(2), L.Conv3DTranspose(2, 2), L.Flatten(), L.Dense(2))


def normalizations(api):
    L = api.layers
    return sequential(
        api, (4, 6), L.LayerNormalization(), L.GroupNormalization(2), L.UnitNormalization(), L.RMSNormalization(), L.BatchNormalization(scale=False),
        L.SpectralNormalization(L.Dense(3)),
    )  # fmt: skip


def activations(api):
    L = api.layers
    return sequential(
        api, (6,), L.Dense(5), L.LeakyReLU(0.1), L.Dense(4), L.PReLU(), L.ELU(0.7), L.ReLU(max_value=6.0), L.Activation("swish"), L.Softmax(),
        L.Dense(3, activation=L.LeakyReLU(0.2)), L.Dense(2, activation=api.activations.tanh),
    )  # fmt: skip


def recurrent(api):
    L = api.layers
    return sequential(
        api, (5, 3), L.LSTM(2, dropout=0.2, return_sequences=True), L.GRU(3, return_sequences=True), L.SimpleRNN(2, return_sequences=True),
        L.Bidirectional(L.LSTM(2, return_sequences=True)), L.TimeDistributed(L.Dense(2)), L.GRU(2, reset_after=False),
    )  # fmt: skip


def cells(api):
    L = api.layers
    x = api.Input((5, 3), name="x")
    y = L.RNN(L.StackedRNNCells([L.LSTMCell(2), L.GRUCell(3)]), return_sequences=True)(x)
    y = L.RNN([L.LSTMCell(2), L.SimpleRNNCell(2)])(y)
    return api.Model(x, y, name="m")


def stateful(api):
    L = api.layers
    return api.Sequential([api.Input(batch_shape=(2, 5, 3)), L.LSTM(4, stateful=True), L.Dense(1)], name="m")


def states(api):
    L = api.layers
    x = api.Input((5, 3), name="x")
    y, h, c = L.LSTM(2, return_state=True, return_sequences=True)(x)
    z = L.LSTM(2)(y, initial_state=[h, c])
    return api.Model(x, [z, h], name="m")


def stateful_both_ways(api):
    L = api.layers
    both = L.Bidirectional(L.GRU(2, stateful=True, return_sequences=True))
    return api.Sequential([api.Input(batch_shape=(2, 5, 3)), both, L.SimpleRNN(3, stateful=True)], name="m")


def models_in_time(api):
    L = api.layers
    inner = sequential(api, (4,), L.Dense(3, activation="tanh"), L.BatchNormalization(), name="inner")
    x = api.Input((5, 4), name="x")
    y = L.TimeDistributed(inner)(x)
    y = L.Bidirectional(L.RNN(L.StackedRNNCells([L.GRUCell(2), L.LSTMCell(2)]), return_sequences=True), merge_mode="sum")(y)
    return api.Model(x, L.Dense(2)(y), name="m")


def conv_lstm(api):
    L = api.layers
    return sequential(api, (3, 6, 5, 2), L.ConvLSTM2D(2, 3, return_sequences=True), L.ConvLSTM2D(2, 2), L.Flatten(), L.Dense(2))


def bidirectional(api):
    L = api.layers
    return sequential(api, (5, 3), L.Bidirectional(L.GRU(2), backward_layer=L.LSTM(2, go_backwards=True), merge_mode="ave"), L.Dense(1))


def attention(api):
    L = api.layers
    x = api.Input((5, 4), name="x")
    y = L.MultiHeadAttention(2, 3, dropout=0.1)(x, x)
    y = L.LayerNormalization()(L.Add()([x, y]))
    y = L.GroupQueryAttention(4, 2, 1)(y, y)
    y = L.Attention(use_scale=True)([y, x])
    y = L.AdditiveAttention()([y, x])
    return api.Model(x, y, name="m")


def causal_attention(api):
    L = api.layers
    ids = api.Input((6,), dtype="int32", name="ids")
    y = L.Embedding(11, 4, mask_zero=True)(ids)
    y = L.MultiHeadAttention(2, 2)(y, y, use_causal_mask=True)
    return api.Model(ids, L.GlobalAveragePooling1D()(y), name="m")


def embeddings(api):
    L = api.layers
    ids = api.Input((7,), dtype="int32", name="ids")
    y = L.LSTM(3)(L.Embedding(13, 5, mask_zero=True)(ids))
    return api.Model(ids, L.Dense(1, activation="sigmoid")(y), name="m")


def branches(api):
    L = api.layers
    left, right = api.Input((5,), name="left"), api.Input((3,), name="right")
    joined = L.Concatenate()([L.Dense(4, activation="relu")(left), right])
    return api.Model([left, right], {"main": L.Dense(2, name="main")(joined), "extra": L.Dense(1, name="extra")(joined)}, name="m")


def dict_inputs(api):
    L = api.layers
    inputs = {"b": api.Input((3,), name="b"), "a": api.Input((3,), name="a")}
    return api.Model(inputs, L.Dense(2)(L.Subtract()([inputs["a"], inputs["b"]])), name="m")


def trees(api):
    L = api.layers
    inputs = {"pair": [api.Input((3,), name="p"), api.Input((2,), name="q")], "one": api.Input((4,), name="o")}
    joined = L.Concatenate()([*inputs["pair"], inputs["one"]])
    return api.Model(
        inputs, {"a": [L.Dense(2, name="first")(joined), L.Dense(1, name="second")(joined)], "b": L.Dense(3, name="third")(joined)}, name="m"
    )


def shared(api):
    L = api.layers
    x, y = api.Input((4,), name="x"), api.Input((4,), name="y")
    encode = L.Dense(3, activation="tanh", name="encoder")
    return api.Model([x, y], L.Dot(1)([encode(x), encode(y)]), name="m")


def nested(api):
    L = api.layers
    inner = sequential(api, (4,), L.Dense(3, name="a"), L.Dense(4, name="b"), name="inner")
    x = api.Input((4,), name="x")
    deeper = api.Model(x, L.Multiply()([inner(x), L.Dense(4, name="gate")(x)]), name="deeper")
    z = api.Input((4,), name="z")
    return api.Model(z, deeper(L.Dense(4)(deeper(z))), name="m")


def shared_between_models(api):
    L = api.layers
    both = L.Dense(3, name="both")
    x = api.Input((3,), name="x")
    one, other = api.Model(x, both(x), name="one"), api.Model(x, both(both(x)), name="other")
    z = api.Input((3,), name="z")
    return api.Model(z, L.Add()([one(z), other(z)]), name="m")


def frozen(api):
    L = api.layers
    inner = sequential(api, (4,), L.Dense(3), L.BatchNormalization(), name="inner")
    inner.trainable = False
    return sequential(api, (4,), inner, L.Dense(2))


def residual(api):
    L = api.layers
    x = api.Input((6, 6, 2), name="x")
    y = x
    for i in range(3):
        z = L.Conv2D(2, 3, padding="same", use_bias=False, name=f"conv_{i}")(y)
        z = L.BatchNormalization(name=f"norm_{i}")(z)
        y = L.ReLU()(L.Add()([y, z]))
    return api.Model(x, L.GlobalAveragePooling2D()(y), name="m")


def ops_in_graph(api):
    L, ops = api.layers, api.ops
    x = api.Input((4, 3), name="x")
    y = ops.matmul(x, ops.transpose(x, (0, 2, 1)))
    y = ops.softmax(y / 2.0, axis=-1)
    y = ops.concatenate([y, ops.expand_dims(ops.mean(x, axis=-1), -1)], axis=-1)
    y = ops.where(y > 0.2, y, 0.5 * y)
    y = ops.reshape(y[:, 1:, :], (-1, 15))
    return api.Model(x, ops.clip(L.Dense(2)(y), -1.0, 1.0) + 1.0, name="m")


def more_ops(api):
    L, ops = api.layers, api.ops
    x = api.Input((8, 3), name="x")
    y = ops.pad(x, [[0, 0], [1, 1], [0, 0]], constant_values=0.5)
    y = ops.logsumexp(y, axis=-1)[:, 1:9] + ops.leaky_relu(ops.max(x, axis=-1), 0.3)
    real, imaginary = ops.rfft(y)
    y = ops.top_k(ops.absolute(real) + ops.erf(imaginary), 4)[0]
    return api.Model(x, L.Dense(2)(ops.full_like(y, 0.25) * y), name="m")


def regularized(api):
    L = api.layers
    return sequential(
        api, (4,),
        L.Dense(3, kernel_regularizer="l2", bias_regularizer=api.regularizers.L1L2(0.1, 0.2), activity_regularizer=api.regularizers.L1(0.01)),
        L.Dense(2, kernel_constraint=api.constraints.MaxNorm(2.0), kernel_initializer=api.initializers.VarianceScaling(2.0, mode="fan_out", seed=3)),
    )  # fmt: skip


def reshaping(api):
    L = api.layers
    return sequential(
        api, (4, 6), L.Reshape((6, 4)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(2), L.Cropping1D((0, 1)), L.Masking(0.0), L.Flatten(),
        L.Dense(2),
    )  # fmt: skip


def einsum(api):
    L = api.layers
    return sequential(api, (4, 6), L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), L.Dense(2), L.Flatten())


def noise(api):
    L = api.layers
    return sequential(api, (4, 6), L.GaussianNoise(0.1), L.GaussianDropout(0.1), L.SpatialDropout1D(0.2), L.ActivityRegularization(0.1), L.Dense(2))


def augmentation(api):
    L = api.layers
    return sequential(api, (8, 8, 3), L.Rescaling(1 / 255.0), L.RandomFlip(seed=1), L.RandomRotation(0.1, seed=2), L.Resizing(6, 6), L.Conv2D(2, 3))


def normalization(api):
    layer = api.layers.Normalization()
    layer.adapt(generator("normalization").normal(3.0, 2.0, size=(19, 3)).astype("float32"))
    return sequential(api, (3,), layer, api.layers.Dense(2))


def discretization(api):
    layer = api.layers.Discretization(bin_boundaries=[-0.7, 0.1, 0.8])
    return sequential(api, (1,), layer, api.layers.Embedding(4, 3), api.layers.Flatten())


def low_rank(api):
    L = api.layers
    embedding, dense = L.Embedding(10, 4), L.Dense(6)
    model = sequential(api, (3,), embedding, L.Flatten(), dense, L.Dense(2), dtype="int32")
    embedding.enable_lora(2)
    dense.enable_lora(2)
    return model


def _quantizable(api):
    L = api.layers
    return sequential(api, (3,), L.Embedding(10, 4), L.Flatten(), L.Dense(6), L.EinsumDense("ab,bc->ac", 4), dtype="int32")


def int8(api):
    model = _quantizable(api)
    model.quantize("int8")
    return model


def int4(api):
    model = _quantizable(api)
    model.quantize("int4")
    return model


def float8(api):
    model = sequential(api, (5,), api.layers.Dense(4), api.layers.Dense(3))
    model.quantize("float8")
    return model


def low_rank_int8(api):
    L = api.layers
    embedding, dense, einsum = L.Embedding(10, 4), L.Dense(6), L.EinsumDense("ab,bc->ac", 4, bias_axes="c")
    model = sequential(api, (3,), embedding, L.Flatten(), dense, einsum, dtype="int32")
    model.quantize("int8")
    for layer in (embedding, dense, einsum):
        layer.enable_lora(2)
    return model


def mixed_float16(api):
    L = api.layers
    return sequential(api, (5,), L.Dense(4, dtype="mixed_float16"), L.Dense(2, dtype=api.DTypePolicy("mixed_bfloat16")))


def bfloat16(api):
    L = api.layers
    return sequential(api, (5,), L.Dense(4, dtype="bfloat16"), L.Dense(2, dtype="float16"))


def empty_names(api):
    L = api.layers
    return sequential(api, (4,), L.Dense(3, name="été and more"), L.Dense(2, name="vars"), L.Dense(2, name="layers"))


@functools.cache
def kinds(api):
    """The classes of the models below, by name."""
    L, register = api.layers, api.saving.register_keras_serializable

    @register("files")
    class Block(L.Layer):
        def __init__(self, units, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.hidden = L.Dense(units, activation="relu")
            self.parts = [L.Dense(units), [L.LayerNormalization(), L.Dense(units)]]
            self._private = L.Dense(units)

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(self.units,), initializer="uniform", name="scale")
            self.hidden.build(input_shape)
            shape = (*input_shape[:-1], self.units)
            for layer in [self.parts[0], *self.parts[1], self._private]:
                layer.build(shape)

        def call(self, x):
            x = self.hidden(x)
            for layer in [self.parts[0], *self.parts[1], self._private]:
                x = x + layer(x)
            return x * self.scale

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @register("files")
    class Subclassed(api.Model):
        def __init__(self, units=3, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.zeta = L.Dense(units, name="first")
            self.alpha = L.Dense(units)
            self.blocks = [L.Dense(units), L.Dense(units, name="odd"), Block(units), [L.Dense(units), L.BatchNormalization()]]
            self.table = {"q": L.Dense(units), "b": L.Dense(units)}
            self.pair = (L.Dense(units), L.Dense(units))
            self._hidden = L.Dense(units)
            self.alias = self.zeta
            self.Upper = L.Dense(units)

        @property
        def shown(self):
            return [self.table["q"]]

        def call(self, x):
            every = [self.zeta, self.alpha, *self.blocks[:3], *self.blocks[3], *self.table.values(), *self.pair, self._hidden, self.Upper]
            for layer in every:
                x = layer(x) + 0.1
            return x

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    @register("files")
    class Ends(api.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.body = sequential(api, (4,), L.Dense(3), L.Dense(2), name="body")
            self.heads = {"a": L.Dense(1), "b": L.Dense(2)}

        def call(self, inputs, training=None):
            x = self.body(inputs["x"] + inputs["y"])
            return {name: head(x) for name, head in self.heads.items()}

    @register("files")
    class Deep(api.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.stages = [{"main": [L.Dense(3), (L.Dense(3), L.Dense(3))], "skip": L.Dense(3)} for _ in range(2)]
            self.once = {"both": self.stages[0]["skip"], "own": [[L.Dense(2)]]}

        def call(self, x):
            for stage in self.stages:
                first, (second, third) = stage["main"]
                x = third(second(first(x))) + stage["skip"](x)
            return self.once["own"][0][0](self.once["both"](x))

    @register("files", name="scaled")
    def scaled_tanh(x):
        return 1.5 * api.ops.tanh(x)

    @register("files")
    class Wrapping(L.Layer):
        def __init__(self, inner, factor=(1.0, 2.0), **kwargs):
            super().__init__(**kwargs)
            self.inner, self.factor = inner, factor

        def call(self, x):
            return self.inner(x) * self.factor[1]

        def get_config(self):
            return {**super().get_config(), "inner": api.saving.serialize_keras_object(self.inner), "factor": self.factor}

        @classmethod
        def from_config(cls, config):
            config["inner"] = api.saving.deserialize_keras_object(config["inner"])
            return cls(**config)

    return {"Block": Block, "Subclassed": Subclassed, "Ends": Ends, "Deep": Deep, "scaled": scaled_tanh, "Wrapping": Wrapping}


def block(api):
    return sequential(api, (4,), kinds(api)["Block"](3), api.layers.Dense(2))


def subclassed(api):
    model = kinds(api)["Subclassed"](3, name="m")
    model.build((None, 3))
    return model


def subclassed_dict(api):
    model = kinds(api)["Ends"](name="m")
    model({"x": np.ones((1, 4), "float32"), "y": np.ones((1, 4), "float32")})
    return model


def deep_lists(api):
    model = kinds(api)["Deep"](name="m")
    model(np.zeros((1, 3), "float32"))
    return model


def nested_subclassed(api):
    x = api.Input((3,), name="x")
    return api.Model(x, api.layers.Dense(2)(kinds(api)["Subclassed"](3, name="inside")(x)), name="m")


def custom_function(api):
    return sequential(api, (4,), api.layers.Dense(3, activation=kinds(api)["scaled"]), api.layers.Activation(kinds(api)["scaled"]))


def wrapping(api):
    return sequential(api, (4,), kinds(api)["Wrapping"](api.layers.Dense(3, activation="relu"), (2.0, 3.0)), api.layers.Dense(2))


MODELS = {
    model.__name__: model
    for model in [
        mlp, convolutions, convolutions_1d, convolutions_3d, normalizations, activations, recurrent, cells, stateful, states, conv_lstm,
        bidirectional, attention, causal_attention, embeddings, branches, dict_inputs, shared, nested, shared_between_models, frozen, residual,
        ops_in_graph, more_ops,
        regularized, reshaping, einsum, noise, augmentation, normalization, discretization, low_rank, int8, int4, float8, mixed_float16, bfloat16,
        empty_names, block, subclassed, subclassed_dict, nested_subclassed, custom_function, wrapping, low_rank_int8, stateful_both_ways,
        models_in_time, trees, deep_lists,
    ]
}  # fmt: skip


# How some are compiled and trained for a step before they are saved: the state of the optimizer and the words of compile go into the file, too.
def adam(api):
    return {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}


def scheduled(api):
    schedule = api.optimizers.schedules.ExponentialDecay(0.1, 7, 0.9)
    return {"optimizer": api.optimizers.SGD(schedule, momentum=0.9, nesterov=True, clipnorm=1.0), "loss": api.losses.Huber(0.3)}


def averaged(api):
    optimizer = api.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=2)
    return {"optimizer": optimizer, "loss": ["mse"], "metrics": [api.metrics.MeanSquaredError(name="again")]}


def scaled(api):
    return {"optimizer": api.optimizers.LossScaleOptimizer(api.optimizers.RMSprop(0.01)), "loss": "mse"}


def lion(api):
    return {"optimizer": api.optimizers.Lion(0.01), "loss": "mae"}


def adafactor(api):
    return {"optimizer": api.optimizers.Adafactor(0.01), "loss": "mse"}


def averaged_and_clipped(api):
    optimizer = api.optimizers.RMSprop(0.01, momentum=0.9, centered=True, use_ema=True, global_clipnorm=0.5)
    return {"optimizer": optimizer, "loss": api.losses.LogCosh(), "metrics": [api.metrics.RootMeanSquaredError(), "mae"]}


def two_losses(api):
    return {"optimizer": "nadam", "loss": {"main": "mse", "extra": "mae"}, "loss_weights": {"main": 1.0, "extra": 0.3}, "metrics": {"main": ["mae"]}}


TRAINED = {
    "mlp": adam, "convolutions": scheduled, "recurrent": averaged, "attention": scaled, "branches": two_losses, "subclassed": adam, "einsum": lion,
    "residual": adafactor, "low_rank": adam, "models_in_time": averaged_and_clipped, "deep_lists": adam,
}  # fmt: skip


def inputs_of(name, model, rows=2):
    """Random inputs of a model, as its Inputs declare them."""
    random = generator(f"inputs of {name}")

    def one(shape, dtype):
        shape = tuple(rows if size is None and i == 0 else size or 5 for i, size in enumerate(shape))
        if "int" in str(dtype) or name in ("int8", "int4", "low_rank", "low_rank_int8"):
            return random.integers(0, 9, size=shape).astype("int32")
        return random.normal(size=shape).astype("float32")

    if name in ("subclassed", "deep_lists"):
        return one((None, 3), "float32")
    if name == "trees":
        return {"pair": [one((None, 3), "float32"), one((None, 2), "float32")], "one": one((None, 4), "float32")}
    if name == "subclassed_dict":
        return {key: one((None, 4), "float32") for key in ("x", "y")}
    if name == "dict_inputs":
        return {key: one((None, 3), "float32") for key in ("a", "b")}
    found = [one(tensor.shape, tensor.dtype) for tensor in model.inputs]
    return found[0] if len(found) == 1 else found


def set_weights(name, model):
    """Weights that differ from zero and one and each other."""
    random = generator(f"weights of {name}")
    if name == "normalization":  # what adapt found
        return

    def draw(variable):
        old = np.asarray(variable)
        if old.dtype.kind not in "fV" or name in ("int8", "int4", "float8", "low_rank_int8"):
            return old
        if "variance" in variable.name or "scale" in variable.name or "norm" in variable.name:
            return random.uniform(0.5, 2.0, size=old.shape)
        return random.normal(scale=0.5, size=old.shape)

    for variable in model.weights:
        variable.assign(np.asarray(draw(variable)).astype("float32") if np.asarray(variable).dtype.kind in "fV" else np.asarray(variable))


def make(name, api):
    """A model with weights of its own, and what it was fed if it was trained."""
    model = MODELS[name](api)
    set_weights(name, model)
    if name in TRAINED:
        model.compile(**TRAINED[name](api))
        x = inputs_of(name, model)
        model.train_on_batch(x, targets_of(name, model, x))
    return model


def targets_of(name, model, x):
    """Random targets in the shapes of the outputs."""
    random = generator(f"targets of {name}")

    def like(outputs):
        if isinstance(outputs, dict):
            return {key: like(value) for key, value in sorted(outputs.items())}
        if isinstance(outputs, (list, tuple)):
            return [like(value) for value in outputs]
        return random.normal(size=np.shape(outputs)).astype("float32")

    return like(model.predict_on_batch(x))
