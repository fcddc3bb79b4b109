# SPDX-License-Identifier: Apache-2.0
"""Keras 2: several inputs and outputs, shared layers, a frozen part, weights of losses."""

import numpy as np
from keras import Input, Model, layers, optimizers
from keras.layers import LSTM, Concatenate, Conv1D, Dense, Embedding, GlobalMaxPooling1D, concatenate
from keras.utils import plot_model
from keras.utils.generic_utils import get_custom_objects

rng = np.random.RandomState(2)
words = rng.randint(1, 50, (400, 12))
numbers = rng.normal(size=(400, 5))
urgent = ((words == 7).any(1) | (numbers[:, 0] > 1)).astype("float32")[:, None]
room = np.eye(3)[(numbers[:, 1] > 0).astype(int) + (numbers[:, 2] > 0).astype(int)]

title = Input(shape=(None,), name="title")
extra = Input(shape=(5,), name="extra")
embedded = Embedding(50, 16)(title)
shared = Dense(8, activation="relu", name="shared")
features = concatenate([LSTM(16)(embedded), GlobalMaxPooling1D()(Conv1D(16, 3, padding="same", activation="relu")(embedded)), shared(extra)])
features = Concatenate(axis=-1)([features, shared(layers.Lambda(lambda t: t * 0.5)(extra))])
first = Dense(1, activation="sigmoid", name="urgent")(features)
second = Dense(3, activation="softmax", name="room")(features)
model = Model(inputs=[title, extra], outputs=[first, second])
model.compile(
    optimizer=optimizers.Adam(lr=0.01),
    loss={"urgent": "binary_crossentropy", "room": "categorical_crossentropy"},
    loss_weights={"urgent": 1.0, "room": 0.5},
    metrics={"urgent": ["accuracy"], "room": "accuracy"},
)
history = model.fit({"title": words, "extra": numbers}, {"urgent": urgent, "room": room}, epochs=25, batch_size=32, verbose=0)
assert history.history["urgent_acc"][-1] > 0.9, history.history["urgent_acc"]
assert history.history["room_acc"][-1] > 0.8, history.history["room_acc"]
results = dict(zip(model.metrics_names, model.evaluate([words, numbers], [urgent, room], verbose=0), strict=True))
assert abs(results["loss"] - results["urgent_loss"] - 0.5 * results["room_loss"]) < 1e-4
assert [p.shape for p in model.predict([words, numbers])] == [(400, 1), (400, 3)]

part = Model(model.input, model.get_layer("shared").get_output_at(0))
assert part.predict([words, numbers]).shape == (400, 8)
for layer in model.layers[:-2]:
    layer.trainable = False
model.compile("sgd", ["binary_crossentropy", "categorical_crossentropy"])
frozen = model.get_layer("shared").get_weights()[0]
model.fit([words, numbers], [urgent, room], verbose=0)
np.testing.assert_array_equal(model.get_layer("shared").get_weights()[0], frozen)
plot_model(model, to_file="model.svg", show_shapes=True)
assert "swish_of_mine" not in get_custom_objects()
model.summary()
