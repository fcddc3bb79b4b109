# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about whole models: summaries, configs, JSON, and short trainings. Start at make."""

import json

import keras

from tests.golden.model_cases import FITS, MODELS, SUMMARIES, fit
from tests.golden.store import Store
from tests.golden.tools import config_of


def lines_of(model, options):
    lines = []
    model.summary(print_fn=lambda line, line_break=True: lines.append(line), line_length=80, **options)
    return "\n".join(lines).splitlines()


def make():
    store = Store("models")
    for name, options in SUMMARIES.items():
        keras.utils.clear_session()
        store.add(f"summary/{name}", model=name, options=options, lines=lines_of(MODELS[name](keras), options))
    for name, build in MODELS.items():
        keras.utils.clear_session()
        model = build(keras)
        store.add(
            f"config/{name}",
            model=name,
            config=config_of(model),
            json=json.loads(model.to_json()),
            variables=[{"name": v.name, "path": v.path, "shape": list(v.shape)} for v in model.weights],
            layers=[layer.name for layer in model.layers],
        )
    for name in FITS:
        keras.utils.clear_session()
        store.add(f"fit/{name}", fit=name, **fit(keras, name))
    return store
