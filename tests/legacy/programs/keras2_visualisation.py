# SPDX-License-Identifier: Apache-2.0
"""Keras 2: what a network looks at: activations, pictures that excite a filter, and a map of what a class depends on."""

import numpy as np
from keras import backend as K
from keras.applications.vgg16 import VGG16
from keras.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from keras.models import Model, Sequential

K.clear_session()
K.set_learning_phase(0)
rng = np.random.RandomState(0)
model = Sequential(
    [
        Conv2D(6, (3, 3), activation="relu", input_shape=(16, 16, 3), name="conv_a"),
        MaxPooling2D((2, 2)),
        Conv2D(4, (3, 3), activation="relu", name="conv_b"),
        Dropout(0.5),
        Flatten(),
        Dense(5, activation="softmax"),
    ]
)
image = rng.uniform(size=(1, 16, 16, 3)).astype("float32")

# What each layer answers.
layer_outputs = [layer.output for layer in model.layers[:3]]
activations = Model(inputs=model.input, outputs=layer_outputs).predict(image)
get_3rd = K.function([model.layers[0].input, K.learning_phase()], [model.layers[2].output])
np.testing.assert_allclose(get_3rd([image, 0])[0], activations[2], rtol=1e-4, atol=1e-5)

# A picture that excites a filter.
filter_index = int(np.argmax(activations[2].mean(axis=(0, 1, 2))))
loss = K.mean(model.get_layer("conv_b").output[:, :, :, filter_index])
grads = K.gradients(loss, model.input)[0]
grads /= K.sqrt(K.mean(K.square(grads))) + 1e-5
iterate = K.function([model.input], [loss, grads])
picture = rng.uniform(size=(1, 16, 16, 3)).astype("float32")
values = []
for _ in range(10):
    loss_value, grads_value = iterate([picture])
    values.append(loss_value)
    picture += grads_value * 0.1
assert values[-1] > values[0], values

# Where a class is seen.
predictions = model.predict(image)
output = model.output[:, int(np.argmax(predictions[0]))]
last_conv = model.get_layer("conv_b")
pooled_grads = K.mean(K.gradients(output, last_conv.output)[0], axis=(0, 1, 2))
look = K.function([model.input], [pooled_grads, last_conv.output[0]])
weights, maps = look([image])
assert weights.shape == (4,) and maps.shape == (5, 5, 4)
heatmap = np.maximum(np.mean(maps * weights, axis=-1), 0)
assert heatmap.shape == (5, 5)

# By differences, the same.
step = 1e-3
moved = image.copy()
moved[0, 5, 5, 1] += step
by_hand = (model.predict(moved)[0, 2] - model.predict(image)[0, 2]) / step
exact = K.function([model.input], K.gradients(model.output[:, 2], [model.input]))([image])[0][0, 5, 5, 1]
assert abs(by_hand - exact) < 2e-3, (by_hand, exact)

network = VGG16(weights=None, include_top=False, input_shape=(32, 32, 3))
assert network.get_layer("block3_conv1").output_shape == (None, 8, 8, 256)
print("fine")
