# SPDX-License-Identifier: Apache-2.0
"""Keras 1: two branches, merged in a Sequential and in a functional model; layers and metrics of one's own."""

import numpy as np
from keras import backend as K
from keras.engine.topology import Layer
from keras.layers import Dense, Embedding, Flatten, Input, Merge, merge
from keras.models import Model, Sequential, model_from_json
from keras.objectives import binary_crossentropy
from keras.optimizers import Adam

rng = np.random.RandomState(0)
users, items = rng.randint(0, 20, (800, 1)), rng.randint(0, 30, (800, 1))
tastes = rng.normal(size=(20, 4)), rng.normal(size=(30, 4))
likes = ((tastes[0][users[:, 0]] * tastes[1][items[:, 0]]).sum(1) > 0).astype("float32")


class Scale(Layer):
    """A number that every input is multiplied by."""

    def __init__(self, start=1.0, **kwargs):
        self.start = start
        super(Scale, self).__init__(**kwargs)

    def build(self, input_shape):
        self.W = K.variable(np.array([self.start]), name="W")
        self.trainable_weights = [self.W]

    def call(self, x, mask=None):
        return x * self.W

    def get_output_shape_for(self, input_shape):
        return input_shape


left = Sequential([Embedding(20, 6, input_length=1), Flatten()])
right = Sequential([Embedding(30, 6, input_length=1), Flatten()])
model = Sequential()
model.add(Merge([left, right], mode="concat"))
model.add(Dense(24, activation="relu", init="he_uniform"))
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer=Adam(lr=0.01), metrics=["accuracy", "precision", "fmeasure"], class_mode="binary")
history = model.fit([users, items], likes, nb_epoch=30, batch_size=32, verbose=0, validation_split=0.1).history
assert history["acc"][-1] > 0.85, history["acc"]
assert {"precision", "fmeasure", "val_fmeasure"} <= set(history)

a, b = Input(shape=(1,), dtype="int32", name="user"), Input(shape=(1,), dtype="int32", name="item")
u = Flatten()(Embedding(20, 6, name="users", W_regularizer="l2")(a))
i = Flatten()(Embedding(30, 6, name="items")(b))
dot = merge([u, i], mode="dot", dot_axes=1)
both = merge([u, i], mode=lambda x: K.abs(x[0] - x[1]), output_shape=(6,))
score = Dense(1, activation="sigmoid", name="score")(merge([Scale(2.0)(dot), both], mode="concat", concat_axis=-1))
model = Model(input=[a, b], output=score)


def own_loss(y_true, y_pred):
    return K.mean(binary_crossentropy(y_true, y_pred), axis=-1)


model.compile(optimizer="rmsprop", loss=own_loss, metrics=["accuracy"])
first = model.evaluate({"user": users, "item": items}, likes, verbose=0)
model.fit({"user": users, "item": items}, {"score": likes}, nb_epoch=5, verbose=0)
assert model.evaluate([users, items], likes, verbose=0)[0] < first[0]
assert model.get_layer("users").get_weights()[0].shape == (20, 6)

simple = Model(input=a, output=u)
again = model_from_json(simple.to_json())
again.set_weights(simple.get_weights())
np.testing.assert_array_equal(again.predict(users), simple.predict(users))
print("fine")
