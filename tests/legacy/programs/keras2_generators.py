# SPDX-License-Identifier: Apache-2.0
"""Keras 2: data from generators, Sequences and folders of pictures."""

import os

import numpy as np
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, MaxPooling2D
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator
from keras.utils import Sequence
from PIL import Image

rng = np.random.RandomState(4)
for split, count in (("train", 24), ("test", 8)):
    for kind, channel in (("reds", 0), ("blues", 2)):
        os.makedirs(os.path.join("data", split, kind))
        for number in range(count):
            picture = rng.randint(0, 90, (20, 24, 3))
            picture[..., channel] += 120
            Image.fromarray(picture.astype("uint8")).save(os.path.join("data", split, kind, f"{number}.png"))


def build():
    model = Sequential()
    model.add(Conv2D(8, (3, 3), activation="relu", input_shape=(16, 16, 3)))
    model.add(MaxPooling2D((2, 2)))
    model.add(Conv2D(8, 3, activation="relu"))
    model.add(GlobalAveragePooling2D())
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["acc"])
    return model


train = ImageDataGenerator(rescale=1.0 / 255, shear_range=0.1, zoom_range=0.1, rotation_range=10, horizontal_flip=True)
test = ImageDataGenerator(rescale=1.0 / 255)
train_generator = train.flow_from_directory("data/train", target_size=(16, 16), batch_size=8, class_mode="binary", seed=1)
test_generator = test.flow_from_directory("data/test", target_size=(16, 16), batch_size=8, class_mode="binary", shuffle=False)

model = build()
history = model.fit_generator(
    train_generator, steps_per_epoch=6, epochs=15, validation_data=test_generator, validation_steps=2, verbose=0, max_queue_size=4, workers=2
)
assert history.history["val_acc"][-1] > 0.9, history.history["val_acc"]
loss, acc = model.evaluate_generator(test_generator, steps=2)
predicted = model.predict_generator(test_generator, steps=2)
assert predicted.shape == (16, 1)
assert abs(np.mean((predicted[:, 0] > 0.5) == test_generator.classes) - acc) < 1e-5


class Halves(Sequence):
    def __init__(self, x, y, batch_size):
        self.x, self.y, self.batch_size = x, y, batch_size

    def __len__(self):
        return int(np.ceil(len(self.x) / float(self.batch_size)))

    def __getitem__(self, idx):
        rows = slice(idx * self.batch_size, (idx + 1) * self.batch_size)
        return self.x[rows], self.y[rows]


x = rng.normal(size=(30, 16, 16, 3)).astype("float32")
y = (x.mean((1, 2, 3)) > 0).astype("float32")
model = build()
model.fit_generator(Halves(x, y, 8), epochs=2, verbose=0, use_multiprocessing=False, workers=2)
np.testing.assert_allclose(model.predict_generator(Halves(x, y, 8)), model.predict(x), rtol=1e-4, atol=1e-5)


def endless():
    while True:
        for i in range(0, 30, 10):
            yield [x[i : i + 10], y[i : i + 10]]


model.fit_generator(endless(), 3, 2, verbose=0)
assert len(model.history.history["acc"]) == 2
print("accuracy", acc)
