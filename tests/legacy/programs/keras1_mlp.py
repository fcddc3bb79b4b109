# SPDX-License-Identifier: Apache-2.0
"""Keras 1: digits by a network of dense layers, with words of 2016."""

import numpy as np
from keras.callbacks import EarlyStopping
from keras.layers.core import Activation, Dense, Dropout
from keras.models import Sequential
from keras.optimizers import RMSprop
from keras.regularizers import l2
from keras.utils import np_utils

np.random.seed(1337)
nb_classes, batch_size, nb_epoch = 10, 64, 12


def load_data(nb_sample):
    shapes = np.random.RandomState(7).uniform(size=(nb_classes, 8, 8))
    y = np.random.randint(0, nb_classes, nb_sample)
    return (shapes[y] + np.random.normal(scale=0.3, size=(nb_sample, 8, 8))) * 255, y


(X_train, y_train), (X_test, y_test) = load_data(2000), load_data(400)
X_train = X_train.reshape(2000, 64).astype("float32") / 255
X_test = X_test.reshape(400, 64).astype("float32") / 255
Y_train = np_utils.to_categorical(y_train, nb_classes)
Y_test = np_utils.to_categorical(y_test, nb_classes)

model = Sequential()
model.add(Dense(128, input_shape=(64,), init="he_normal", W_regularizer=l2(1e-4)))
model.add(Activation("relu"))
model.add(Dropout(0.2))
model.add(Dense(output_dim=64, init="glorot_uniform", activation="relu"))
model.add(Dropout(p=0.2))
model.add(Dense(nb_classes))
model.add(Activation("softmax"))
model.summary()
model.compile(loss="categorical_crossentropy", optimizer=RMSprop(lr=0.001), metrics=["accuracy"])

history = model.fit(
    X_train, Y_train, batch_size=batch_size, nb_epoch=nb_epoch, verbose=0, validation_data=(X_test, Y_test),
    callbacks=[EarlyStopping(monitor="val_loss", patience=5)],
)  # fmt: skip
score = model.evaluate(X_test, Y_test, verbose=0)
print("Test score:", score[0])
print("Test accuracy:", score[1])
classes = model.predict_classes(X_test, verbose=0)
assert np.mean(classes == y_test) == np.float32(score[1]) or abs(np.mean(classes == y_test) - score[1]) < 1e-5
assert score[1] > 0.9, score
assert history.history["acc"][-1] > history.history["acc"][0]
assert model.predict_proba(X_test, verbose=0).shape == (400, nb_classes)
