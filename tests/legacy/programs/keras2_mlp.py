# SPDX-License-Identifier: Apache-2.0
"""Keras 2: a network of dense layers with callbacks, files, and a schedule."""

import os

import keras
import keras.backend as K
import numpy as np
from keras import regularizers
from keras.callbacks import CSVLogger, LambdaCallback, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau
from keras.layers import BatchNormalization, Dense, Dropout
from keras.models import Sequential, load_model
from keras.utils import to_categorical

rng = np.random.RandomState(5)
centers = rng.normal(scale=1.5, size=(4, 10))
labels = rng.randint(0, 4, 1200)
x = centers[labels] + rng.normal(size=(1200, 10))
y = to_categorical(labels, num_classes=4)
x_train, y_train, x_test, y_test = x[:1000], y[:1000], x[1000:], y[1000:]

model = Sequential(
    [
        Dense(32, activation="relu", input_dim=10, kernel_initializer="he_normal", kernel_regularizer=regularizers.l2(1e-4)),
        BatchNormalization(),
        Dropout(rate=0.1),
        Dense(4, activation="softmax"),
    ]
)
model.compile(optimizer=keras.optimizers.Adam(lr=0.01, decay=1e-4), loss=keras.losses.categorical_crossentropy, metrics=["accuracy"])

ended = []
callbacks = [
    ModelCheckpoint("best-{epoch:02d}.h5", monitor="val_acc", save_best_only=True, mode="max"),
    LearningRateScheduler(lambda epoch: 0.01 * 0.9**epoch),
    ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=10, min_lr=1e-5),
    CSVLogger("log.csv"),
    LambdaCallback(on_epoch_end=lambda epoch, logs: ended.append(logs["val_acc"])),
]
history = model.fit(x_train, y_train, batch_size=32, epochs=8, verbose=2, validation_data=(x_test, y_test), callbacks=callbacks, shuffle=True)
loss, acc = model.evaluate(x_test, y_test, verbose=0)
assert acc > 0.85 and ended == history.history["val_acc"], (acc, ended)
assert abs(K.get_value(model.optimizer.lr) - 0.01 * 0.9**7) < 1e-4
best = sorted(name for name in os.listdir(".") if name.startswith("best-"))[-1]
restored = load_model(best)
assert abs(restored.evaluate(x_test, y_test, verbose=0)[1] - max(history.history["val_acc"])) < 1e-6
K.set_value(restored.optimizer.lr, 1e-4)
restored.fit(x_train, y_train, epochs=1, verbose=0, class_weight={0: 1.0, 1: 2.0, 2: 1.0, 3: 1.0})
assert open("log.csv").readline().startswith("epoch")
print("accuracy", acc)
