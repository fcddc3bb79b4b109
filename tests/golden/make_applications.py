# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about famous networks: their graphs, the files of their trained weights, outputs with drawn weights. Start at make; half an hour."""

import gc
import json
import lzma
import sys
import tempfile
import unittest.mock

import keras
import numpy as np

from tests.golden.application_cases import FILES, FIRST, GRAPHS, MODULES, OUTPUTS, images, output_of, scores, text_of
from tests.golden.store import Store

asked = []  # what Keras wanted to download


def no_download(fname=None, origin=None, **options):
    asked.append([fname, origin, options.get("file_hash"), options.get("cache_subdir")])
    return "nothing.h5"


def build(network, arguments):
    keras.utils.clear_session()
    gc.collect()
    return getattr(keras.applications, network)(**arguments)


def parents(layer):
    nodes = [node for node in layer._inbound_nodes if node.input_tensors]
    return [tensor._keras_history.operation.name for tensor in nodes[-1].input_tensors] if nodes else []


def make():
    store = Store("applications")
    texts = {}
    modules = [module for name, module in sys.modules.items() if name.startswith("keras") and hasattr(module, "get_file")]
    patches = [unittest.mock.patch.object(module, "get_file", no_download) for module in modules]
    patches += [unittest.mock.patch.object(keras.Model, "load_weights", lambda *_, **__: None)]
    for patch in patches:
        patch.start()
    for name, (network, arguments) in GRAPHS.items():
        asked.clear()
        texts[name] = text_of(build(network, arguments), parents)
        store.add(f"file/{name}", network=network, arguments=arguments, file=asked[0] if asked else None)
        print(name, flush=True)
    for name, (network, arguments) in FILES.items():
        asked.clear()
        build(network, arguments)
        store.add(f"file/{name}", network=network, arguments=arguments, file=asked[0])
    keras.config.set_image_data_format("channels_first")
    for name, (network, arguments) in FIRST.items():
        texts[name] = text_of(build(network, arguments), parents)
    keras.config.set_image_data_format("channels_last")
    store.add("graphs", text=np.frombuffer(lzma.compress(json.dumps(texts).encode(), preset=9), "uint8"))
    for name, (network, arguments) in OUTPUTS.items():
        store.add(f"output/{name}", y=output_of(build(network, {"weights": None, **arguments}), network))
        print(name, flush=True)
    pixels = images((3, 5, 3))
    for module in MODULES:
        store.add(f"pixels/{module}", y=getattr(keras.applications, module).preprocess_input(pixels.copy()))
    for mode in ("caffe", "tf", "torch"):
        first = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))
        y = keras.applications.imagenet_utils.preprocess_input(first, data_format="channels_first", mode=mode)
        store.add(f"pixels first/{mode}", y=y)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({str(i): [f"n{i:08d}", f"class {i}"] for i in range(1000)}, file)
        file.flush()
        with unittest.mock.patch.object(sys.modules["keras.src.utils.file_utils"], "get_file", lambda *_, **__: file.name):
            words = keras.applications.imagenet_utils.decode_predictions(scores(), top=3)
    store.add("words", words=[[[a, b, float(c)] for a, b, c in row] for row in words])
    for patch in patches:
        patch.stop()
    return store
