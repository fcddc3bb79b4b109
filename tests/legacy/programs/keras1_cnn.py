# SPDX-License-Identifier: Apache-2.0
"""Keras 1: pictures with the channels first, as Theano had them, with a generator of changed pictures."""

import numpy as np
from keras import backend as K
from keras.layers.convolutional import Convolution2D, MaxPooling2D, ZeroPadding2D
from keras.layers.core import Activation, Dense, Dropout, Flatten
from keras.layers.normalization import BatchNormalization
from keras.models import Sequential
from keras.optimizers import SGD
from keras.preprocessing.image import ImageDataGenerator
from keras.utils import np_utils

K.set_image_dim_ordering("th")
assert K.image_dim_ordering() == "th"
nb_classes, img_rows, img_cols, nb_filters = 3, 12, 12, 8


def load_data(nb_sample, seed):
    rng = np.random.RandomState(seed)
    y = rng.randint(0, nb_classes, nb_sample)
    X = rng.normal(scale=0.2, size=(nb_sample, 1, img_rows, img_cols))
    for i, label in enumerate(y):  # stripes along, stripes across, a block
        at = rng.randint(2, 8)
        if label == 0:
            X[i, 0, at : at + 2] += 1
        elif label == 1:
            X[i, 0, :, at : at + 2] += 1
        else:
            X[i, 0, at : at + 4, at : at + 4] += 1
    return X.astype("float32"), np_utils.to_categorical(y, nb_classes)


(X_train, Y_train), (X_test, Y_test) = load_data(600, 1), load_data(120, 2)

model = Sequential()
model.add(ZeroPadding2D((1, 1), input_shape=(1, img_rows, img_cols)))
model.add(Convolution2D(nb_filters, 3, 3, border_mode="valid", init="he_normal"))
model.add(BatchNormalization(mode=0, axis=1))
model.add(Activation("relu"))
model.add(Convolution2D(nb_filter=nb_filters, nb_row=3, nb_col=3, subsample=(1, 1), activation="relu", bias=True))
model.add(MaxPooling2D(pool_size=(2, 2)))
model.add(Dropout(0.25))
model.add(Flatten())
model.add(Dense(32, activation="relu"))
model.add(Dense(nb_classes, activation="softmax"))
assert model.output_shape == (None, 3)
assert model.layers[1].output_shape == (None, nb_filters, 12, 12)
model.compile(SGD(lr=0.05, decay=1e-6, momentum=0.9, nesterov=True), "categorical_crossentropy", ["accuracy"])

datagen = ImageDataGenerator(horizontal_flip=True, dim_ordering="th")
datagen.fit(X_train)
model.fit_generator(
    datagen.flow(X_train, Y_train, batch_size=32), samples_per_epoch=X_train.shape[0], nb_epoch=8, verbose=0,
    validation_data=(X_test, Y_test), nb_worker=1,
)  # fmt: skip
assert len(model.history.epoch) == 8
loss, accuracy = model.evaluate(X_test, Y_test, verbose=0)
print("accuracy", accuracy)
assert accuracy > 0.85, accuracy
model.save_weights("weights.h5", overwrite=True)
before = model.predict(X_test)
model.load_weights("weights.h5")
np.testing.assert_array_equal(model.predict(X_test), before)
