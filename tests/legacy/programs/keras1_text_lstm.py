# SPDX-License-Identifier: Apache-2.0
"""Keras 1: a recurrent network that goes on with a text, letter by letter."""

import random

import numpy as np
from keras.layers import LSTM, Activation, Dense, Dropout
from keras.models import Sequential
from keras.optimizers import Adam

random.seed(3)
np.random.seed(3)
text = "nyala nyalas kudu bushbuck eland. " * 40
chars = sorted(set(text))
char_indices = {c: i for i, c in enumerate(chars)}
indices_char = dict(enumerate(chars))

maxlen, step = 10, 3
sentences = [text[i : i + maxlen] for i in range(0, len(text) - maxlen, step)]
next_chars = [text[i + maxlen] for i in range(0, len(text) - maxlen, step)]
X = np.zeros((len(sentences), maxlen, len(chars)), dtype=bool)
y = np.zeros((len(sentences), len(chars)), dtype=bool)
for i, sentence in enumerate(sentences):
    for t, char in enumerate(sentence):
        X[i, t, char_indices[char]] = 1
    y[i, char_indices[next_chars[i]]] = 1

model = Sequential()
model.add(LSTM(48, input_shape=(maxlen, len(chars)), inner_init="orthogonal", consume_less="cpu", dropout_W=0.0, return_sequences=True))
model.add(Dropout(0.1))
model.add(LSTM(output_dim=32, forget_bias_init="one", inner_activation="hard_sigmoid"))
model.add(Dense(len(chars)))
model.add(Activation("softmax"))
model.compile(loss="categorical_crossentropy", optimizer=Adam(lr=0.01))


def sample(preds, temperature=1.0):
    preds = np.log(np.asarray(preds).astype("float64") + 1e-12) / temperature
    exp_preds = np.exp(preds)
    return np.argmax(np.random.multinomial(1, exp_preds / np.sum(exp_preds), 1))


losses = []
for _ in range(3):
    losses += model.fit(X, y, batch_size=64, nb_epoch=6, verbose=0).history["loss"]
print("losses", losses[0], losses[-1])
assert losses[-1] < 0.3 * losses[0]

sentence = text[:maxlen]
generated = sentence
for _ in range(40):
    x = np.zeros((1, maxlen, len(chars)))
    for t, char in enumerate(sentence):
        x[0, t, char_indices[char]] = 1.0
    next_char = indices_char[sample(model.predict(x, verbose=0)[0], 0.2)]
    generated += next_char
    sentence = sentence[1:] + next_char
print(generated)
assert "nyala" in generated or "kudu" in generated
