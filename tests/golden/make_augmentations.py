# SPDX-License-Identifier: Apache-2.0
"""Asks Keras what image layers make of a given transformation, and about spectrograms: outputs and configs. Start at ROWS."""

import keras
import numpy as np

from tests.golden.store import Store, build, generator, map_tree, new
from tests.golden.tools import config_of

BYTES, UNIT = (0, 255), (0, 1)
ROWS = [  # layer, arguments, value range of the images
    *[("RandomFlip", {"mode": mode}, BYTES) for mode in ("horizontal", "vertical", "horizontal_and_vertical")],
    ("RandomRotation", {"factor": 0.2}, BYTES),
    ("RandomRotation", {"factor": (0.05, 0.3), "fill_mode": "constant", "fill_value": 7.0, "interpolation": "nearest"}, BYTES),
    ("RandomRotation", {"factor": 0.3, "fill_mode": "wrap", "data_format": "channels_first"}, BYTES),
    ("RandomTranslation", {"height_factor": 0.3, "width_factor": (-0.1, 0.4)}, BYTES),
    ("RandomTranslation", {"height_factor": (0.1, 0.3), "width_factor": 0.2, "fill_mode": "nearest"}, BYTES),
    ("RandomZoom", {"height_factor": 0.4}, BYTES),
    ("RandomZoom", {"height_factor": (-0.5, -0.2), "width_factor": 0.3, "fill_mode": "constant", "fill_value": 3.0}, BYTES),
    ("RandomShear", {"x_factor": 0.3, "y_factor": 0.2}, BYTES),
    ("RandomShear", {"x_factor": (0.1, 0.5), "fill_mode": "wrap", "interpolation": "nearest"}, BYTES),
    ("RandomPerspective", {"factor": (0.5, 0.9), "scale": 0.4}, BYTES),
    ("RandomPerspective", {"factor": (1.0, 1.0), "scale": 0.6, "interpolation": "nearest", "fill_value": 9.0}, BYTES),
    ("RandomErasing", {}, BYTES),
    ("RandomErasing", {"factor": (0.9, 1.0), "scale": (0.2, 0.4), "fill_value": 5.0}, BYTES),
    ("RandomErasing", {"value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomBrightness", arguments, BYTES) for arguments in ({"factor": 0.3}, {"factor": (-0.1, 0.5)})],
    ("RandomBrightness", {"factor": 0.3, "value_range": UNIT}, UNIT),
    *[("RandomContrast", arguments, BYTES) for arguments in ({"factor": 0.4}, {"factor": (0.3, 0.6)})],
    ("RandomContrast", {"factor": 0.3, "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomSaturation", arguments, BYTES) for arguments in ({"factor": 0.4}, {"factor": (0.3, 0.5)})],
    ("RandomSaturation", {"factor": (0.1, 0.6), "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomHue", arguments, BYTES) for arguments in ({"factor": 0.4}, {"factor": (0.3, 0.8)})],
    ("RandomHue", {"factor": 0.5, "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomGrayscale", arguments, BYTES) for arguments in ({}, {"factor": 0.7}, {"data_format": "channels_first"})],
    *[("RandomColorDegeneration", arguments, BYTES) for arguments in ({"factor": 0.4}, {"factor": (0.3, 0.8)})],
    ("RandomColorDegeneration", {"factor": 0.5, "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomSharpness", arguments, BYTES) for arguments in ({"factor": 0.4}, {"factor": (0.3, 0.8)})],
    ("RandomSharpness", {"factor": 0.9, "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomPosterization", arguments, BYTES) for arguments in ({"factor": 4}, {"factor": (3, 6)})],
    ("RandomPosterization", {"factor": (3, 6), "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("RandomInvert", arguments, BYTES) for arguments in ({}, {"factor": (0.5, 0.8)})],
    ("RandomInvert", {"value_range": UNIT}, UNIT),
    ("RandomGaussianBlur", {"factor": (0.8, 1.0), "sigma": (0.6, 0.6), "data_format": "channels_first"}, BYTES),
    ("RandomGaussianBlur", {"kernel_size": 5, "sigma": (0.9, 0.9), "value_range": UNIT, "data_format": "channels_first"}, UNIT),
    *[("Solarization", arguments, BYTES) for arguments in ({"addition_factor": 0.3, "threshold_factor": 0.4}, {"threshold_factor": (0.5, 0.9)})],
    ("Solarization", {"addition_factor": 0.2, "threshold_factor": 0.4, "value_range": UNIT}, UNIT),
    *[("AutoContrast", {"value_range": ends}, ends) for ends in (BYTES, UNIT)],
    *[("Equalization", {"value_range": ends}, ends) for ends in (BYTES, UNIT)],
    ("Equalization", {"bins": 16, "data_format": "channels_first"}, BYTES),
    *[("MixUp", arguments, BYTES) for arguments in ({}, {"alpha": 2.0})],
    *[("CutMix", arguments, BYTES) for arguments in ({}, {"factor": 0.5, "data_format": "channels_first"})],
    *[("ContrastLimitedAdaptiveHistogramEqualization", {**arguments, "value_range": ends}, ends)
      for arguments, ends in (({}, BYTES), ({"clip_limit": 2.0, "tile_grid_size": (2, 3)}, BYTES), ({"tile_grid_size": (3, 2)}, UNIT))],
]  # fmt: skip
CONFIGS = [  # layer, arguments: only the config is asked for
    ("CenterCrop", {"height": 3, "width": 2}),
    ("RandomCrop", {"height": 3, "width": 2, "seed": 5}),
    ("RandomElasticTransform", {"factor": 0.3, "scale": (0.2, 0.5)}),
    ("RandomColorJitter", {"brightness_factor": 0.2, "contrast_factor": 0.3, "seed": 3}),
    ("MaxNumBoundingBoxes", {"max_number": 3}),
    ("RandAugment", {"num_ops": 3, "factor": 0.4}),
    ("AugMix", {"num_chains": 2, "alpha": 0.5, "all_ops": False}),
    ("RandomFlip", {"bounding_box_format": "xyxy"}),
]
SOUNDS = [
    ("MelSpectrogram", {}, (2, 1500)),
    ("MelSpectrogram", {"fft_length": 256, "sequence_stride": 100, "sequence_length": 200, "num_mel_bins": 20, "sampling_rate": 8000}, (2, 1500)),
    ("MelSpectrogram", {"fft_length": 128, "sequence_stride": 64, "num_mel_bins": 13, "power_to_db": False, "mag_exp": 1.0, "min_freq": 60.0,
                        "max_freq": 3000.0}, (700,)),
    ("MelSpectrogram", {"fft_length": 128, "sequence_stride": 64, "num_mel_bins": 13, "top_db": 30.0, "ref_power": 0.5, "window": "hamming"},
     (3, 700)),
    *[("STFTSpectrogram", {"mode": mode, "frame_length": 64, "frame_step": 30}, (2, 300, 1))
      for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")],
    ("STFTSpectrogram", {"mode": "magnitude"}, (2, 700, 1)),
    ("STFTSpectrogram", {"mode": "psd", "frame_length": 60, "frame_step": 25, "fft_length": 128, "window": "hamming", "periodic": True,
                         "scaling": "spectrum", "padding": "same"}, (2, 300, 2)),
    ("STFTSpectrogram", {"mode": "log", "frame_length": 50, "frame_step": 20, "window": None, "scaling": None, "expand_dims": True}, (2, 300, 2)),
    ("STFTSpectrogram", {"mode": "real", "frame_length": 64, "frame_step": 30, "data_format": "channels_first", "window": "tukey"}, (2, 2, 300)),
    ("STFTSpectrogram", {"mode": "stft", "frame_length": 64, "frame_step": 30, "data_format": "channels_first", "expand_dims": True}, (2, 2, 300)),
]  # fmt: skip


def transformed(name, layer, ends, first):
    random = generator(name)
    shape = (2, 3, 7, 6) if first else (2, 7, 6, 3)
    images = random.uniform(*ends, size=shape).astype("float32")
    images = images[:1] if "Equalization/" in name and "Histogram" not in name else images  # Keras counts over the batch
    if "Histogram" in name:
        images = np.round(np.tile(images, (1, 2, 2, 1)) * (255 / ends[1])).astype("float32") * np.float32(ends[1] / 255)
    labels = random.normal(size=(2, 3)).astype("float32")
    found = layer.get_random_transformation(images, training=True)
    if "Histogram" in name:
        found = None
    found = map_tree(np.asarray, {"": found} if not isinstance(found, dict) else found)
    given = found.get("", found)
    return {
        "images": images,
        "labels": labels,
        "transformation": found,
        "outputs": np.asarray(layer.transform_images(images, given, training=True)),
        "new_labels": np.asarray(layer.transform_labels(labels, given, training=True)) if "Mix" in name else None,
    }


def make():
    store = Store("augmentations")
    for number, (kind, arguments, ends) in enumerate(ROWS):
        name = f"{kind}/{number}"
        random = {} if kind in ("AutoContrast", "Equalization") or "Histogram" in kind else {"seed": 3}
        question = new(f"layers.{kind}", **arguments, **random)
        try:
            layer = build(keras, question)
            answer = transformed(name, layer, ends, arguments.get("data_format") == "channels_first")
            store.add(name, layer=question, config=config_of(layer), **answer)
        except Exception as error:  # Keras cannot
            print("   refused:", name, type(error).__name__, str(error)[:150])
    for kind, arguments in CONFIGS:
        question = new(f"layers.{kind}", **arguments)
        store.add(f"{kind}/config", layer=question, config=config_of(build(keras, question)))
    for number, (kind, arguments, shape) in enumerate(SOUNDS):
        question, x = new(f"layers.{kind}", **arguments), generator(f"{kind}/{number}").normal(scale=0.3, size=shape).astype("float32")
        layer = build(keras, question)
        outputs = np.asarray(layer(x))
        shape = list(layer.compute_output_shape((None, *x.shape[1:]))) if x.ndim > 1 else None
        weights = [[v.name, list(v.shape), bool(v.trainable)] for v in layer.weights]
        store.add(f"{kind}/{number}", layer=question, config=config_of(layer), sound=x, outputs=outputs, output_shape=shape, weights=weights)
    return store
