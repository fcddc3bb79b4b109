# SPDX-License-Identifier: Apache-2.0
"""Asks Keras about layers that read strings and tables: hashes, lookups, texts, FeatureSpace. Start at make.

Keras needs TensorFlow for these layers: run it by itself, python -m tests.golden.make_features, in an environment that has both.
"""

import itertools
import os

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf

from tests.golden.store import Store, generator
from tests.golden.tools import config_of

LETTERS = "abcdefghijklmnopqrstuvwxyz ABC.,!-é日😀"
VOCABULARY = ["the", "cat", "sat", "é"]
WORDS = [["the", "sat", "dog"], ["", "cat", "the"], ["é", "mouse", "[UNK]"]]
INTEGERS = [[12, 1138, 42], [-1, 0, 36], [37, -1000, 2147483647]]
TEXTS = ["The cat, sat on the MAT!", "a  b\tc\n d", "", "don't stop-believing __x__ 3.14 É ÀB Straße", "the the the", "x\x0by\x1cz\xa0w\u3000v"]
TABLE = {
    "f": [1.0, 2.0, 3.0, 4.0, 7.0], "n": [1.0, 2.0, 3.0, 5.0, 5.0], "r": [10.0, 20.0, 30.0, 40.0, 0.0], "d": [1.0, 2.0, 3.0, 4.0, 5.0],
    "s": ["a", "b", "a", "c", "a"], "i": [5, 7, 5, 9, 5], "h": ["x", "y", "z", "x", "w"], "j": [1, 2, 3, 4, -5],
}  # fmt: skip
OTHER = {
    "f": [0.5, -2.0], "n": [0.0, 4.0], "r": [1.0, -1.0], "d": [0.0, 3.5], "s": ["c", "q"], "i": [9, 6], "h": ["x", "unseen"], "j": [4, 1000],
}  # fmt: skip


def strings(random, sizes):
    """A random text of each number of bytes, or a little more."""
    return ["".join(random.choice(list(LETTERS), size=size)) for size in sizes]


def layer_cases():
    """(label, layer, arguments, what adapt gets, what the call gets)."""
    random = generator("preprocessing")
    texts = [[text] for text in strings(random, [*range(70), 100, 127, 128, 129, 200, 300])]
    integers = [*random.integers(-(2**31), 2**31, size=(29, 1)).tolist(), [0], [7], [-7], [10], [99], [100], [-(2**31)], [2**31 - 1]]
    large = random.integers(-(2**62), 2**62, size=(17, 1)).tolist()
    for salt in ({}, {"salt": 133}, {"salt": [133, 137]}, {"salt": [-5, 2**40]}):
        label = "_".join(map(str, np.ravel(salt.get("salt", "plain"))))
        yield f"strings/{label}", "Hashing", {"num_bins": 1000003, **salt}, None, texts
        yield f"integers/{label}", "Hashing", {"num_bins": 1000003, **salt}, None, integers
        yield f"large/{label}", "Hashing", {"num_bins": 2**40, **salt}, None, large
    for mode in ("one_hot", "multi_hot", "count"):
        yield f"{mode}/strings", "Hashing", {"num_bins": 5, "output_mode": mode}, None, WORDS
        yield f"{mode}/integers", "Hashing", {"num_bins": 5, "output_mode": mode}, None, INTEGERS
    yield "mask/strings", "Hashing", {"num_bins": 3, "mask_value": ""}, None, WORDS
    yield "mask/integers", "Hashing", {"num_bins": 3, "mask_value": -1}, None, INTEGERS
    yield "int32", "Hashing", {"num_bins": 3, "dtype": "int32"}, None, INTEGERS
    yield "mixed", "HashedCrossing", {"num_bins": 1000}, None, (["a", "b", "c"], [1, -2, 3])
    yield "three", "HashedCrossing", {"num_bins": 1000}, None, ([["a"], ["b"]], [[1], [2]], [["x"], ["y"]])
    yield "integers", "HashedCrossing", {"num_bins": 1000003}, None, ([5, 6, -7], [1, 2, -3])
    yield "one_hot", "HashedCrossing", {"num_bins": 7, "output_mode": "one_hot"}, None, ([[5], [6], [-7]], [[1], [2], [-3]])
    lookups = [{}, {"num_oov_indices": 3}, {"mask_token": ""}, {"mask_token": "", "num_oov_indices": 2}, {"oov_token": "?", "max_tokens": 9}]
    modes = [{}, {"output_mode": "one_hot"}, {"output_mode": "multi_hot"}, {"output_mode": "count"},
             {"output_mode": "count", "max_tokens": 11, "pad_to_max_tokens": True},
             {"output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.75, 2.0]}]  # fmt: skip
    for a, b in itertools.product(range(len(lookups)), range(len(modes))):
        yield f"given/{a}_{b}", "StringLookup", {"vocabulary": VOCABULARY, **lookups[a], **modes[b]}, None, WORDS
    yield "salt", "StringLookup", {"vocabulary": VOCABULARY, "num_oov_indices": 7, "salt": [3, 5]}, None, WORDS
    for mask in ({}, {"mask_token": ""}):
        yield f"invert/{len(mask)}", "StringLookup", {"vocabulary": VOCABULARY, "invert": True, **mask}, None, [[0, 1, 2, 3], [4, 5, 9, -1]]
    documents = [[*"banana"], [*"cherry"], [*"éZ日😀a-"]]
    for label, arguments in {"plain": {}, "max": {"max_tokens": 5}, "mask": {"mask_token": "a"}, "oov": {"oov_token": "n"},
                             "tf_idf": {"output_mode": "tf_idf"}, "count": {"output_mode": "count", "max_tokens": 7}}.items():  # fmt: skip
        yield f"adapted/{label}", "StringLookup", arguments, documents, [[*"band"], [*"é?ac"]]
    numbers = [{}, {"num_oov_indices": 3}, {"num_oov_indices": 3, "oov_method": "farmhash"}, {"mask_token": 0},
               {"num_oov_indices": 3, "oov_method": "farmhash", "salt": 7, "mask_token": 0}, {"output_mode": "one_hot"},
               {"output_mode": "multi_hot", "mask_token": 0}, {"output_mode": "count"},
               {"output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.75]}]  # fmt: skip
    for a, arguments in enumerate(numbers):
        yield f"given/{a}", "IntegerLookup", {"vocabulary": [12, 36, 1138], **arguments}, None, INTEGERS
    yield "invert", "IntegerLookup", {"vocabulary": [12, 36, 1138], "invert": True}, None, [[0, 1, 2, 3], [4, 5, 9, -1]]
    for label, arguments in {"plain": {}, "max": {"max_tokens": 3}, "mask": {"mask_token": 0}, "tf_idf": {"output_mode": "tf_idf"}}.items():
        yield f"adapted/{label}", "IntegerLookup", arguments, [[1, 2, 0], [2, 3, 0], [5, 5, -1]], [[2, 5], [9, 0]]
    calls = [{}, {"output_sequence_length": 3}, {"output_sequence_length": 11}, {"ragged": True}, {"ragged": True, "output_sequence_length": 2},
             {"output_mode": "multi_hot"}, {"output_mode": "count"}, {"output_mode": "tf_idf", "idf_weights": [0.5, 0.25, 0.75, 2.0]},
             {"output_mode": "count", "max_tokens": 11, "pad_to_max_tokens": True}, {"standardize": None}, {"standardize": "lower"},
             {"standardize": "strip_punctuation"}, {"split": None}, {"split": "character"}, {"ngrams": 2}, {"ngrams": (2, 3)}]  # fmt: skip
    for a, arguments in enumerate(calls):
        yield f"given/{a}", "TextVectorization", {"vocabulary": ["the", "cat", "the cat", "sat"], **arguments}, None, TEXTS
        if "vocabulary" not in arguments and "idf_weights" not in arguments:
            yield f"adapted/{a}", "TextVectorization", arguments, TEXTS, TEXTS
    yield "adapted/tf_idf", "TextVectorization", {"output_mode": "tf_idf", "max_tokens": 9}, TEXTS, [[text] for text in TEXTS]
    yield "one_text", "TextVectorization", {"vocabulary": VOCABULARY}, None, "the cat"
    yield "words", "TextVectorization", {"vocabulary": VOCABULARY, "split": None, "output_mode": "count"}, None, WORDS
    yield "words/ngrams", "TextVectorization", {"vocabulary": [*VOCABULARY, "the sat"], "split": None, "ngrams": 2}, None, WORDS
    table = random.normal(size=(7, 2, 3)).astype("float32").tolist()
    for label, axis in {"last": -1, "several": (1, 2), "middle": 1, "none": None}.items():
        for invert in (False, True):
            yield f"adapted/{label}/{invert}", "Normalization", {"axis": axis, "invert": invert}, table, table[:2]
    yield "adapted/constant", "Normalization", {}, [[1.0, 2.0], [1.0, 3.0]], [[1.0, 2.0], [2.0, 2.0]]
    for label, values in {"few": list(range(10)), "ties": [1, 1, 1, 1, 2, 2, 5, 5], "rows": [[1, 5], [2, 7], [3, 9]]}.items():
        data = np.array(values, "float32").tolist()
        yield f"adapted/{label}", "Discretization", {"num_bins": 4}, data, data
    for mode in ("int", "one_hot", "multi_hot", "count"):
        yield mode, "Discretization", {"bin_boundaries": [0.0, 1.0], "output_mode": mode}, None, [[-1.0, 0.0], [0.5, 1.0], [2.0, float("-inf")]]


def spaces():
    """(label, arguments of FeatureSpace as names of its methods)."""
    features = {"f": "float", "n": "float_normalized", "r": ["float_rescaled", {"scale": 0.1, "offset": 1.0}],
                "d": ["float_discretized", {"num_bins": 2}], "s": "string_categorical", "i": ["integer_categorical", {"num_oov_indices": 2}],
                "h": ["string_hashed", {"num_bins": 4}], "j": ["integer_hashed", {"num_bins": 3}]}  # fmt: skip
    yield "concat", {"features": features}
    crosses = [["s", "i"], ["cross", {"feature_names": ["h", "d"], "crossing_dim": 3}]]
    yield "crosses", {"features": features, "crosses": crosses, "crossing_dim": 5}
    kept = features | {"i": ["integer_categorical", {"output_mode": "int"}]}
    yield "dict", {"features": kept, "crosses": crosses, "output_mode": "dict"}
    named = {"f": "float", "d": "float_discretized", "h": "string_hashed", "j": "integer_hashed"}
    yield "names", {"features": named, "hashing_dim": 6, "num_discretization_bins": 3}


def built_space(api, arguments):
    """The FeatureSpace of a description, of this api (keras or nyala)."""
    kind = api.utils.FeatureSpace
    make = lambda value: getattr(kind, value[0])(**value[1]) if isinstance(value[-1], dict) else value  # noqa: E731
    features = {key: value if isinstance(value, str) else make(value) for key, value in arguments["features"].items()}
    crosses = [make(value) for value in arguments.get("crosses", [])]
    return kind(**{**arguments, "features": features, "crosses": crosses})


def answer(tensor):
    """Values of a tensor as lists, strings as str."""
    if isinstance(tensor, tf.RaggedTensor):
        return tensor.to_list()
    array = tensor.numpy()
    return np.vectorize(lambda item: item.decode("utf-8"))(array).tolist() if array.dtype == object else array.tolist()


def ask(kind, arguments, data, inputs):
    layer = getattr(keras.layers, kind)(**arguments)
    if data is not None:
        layer.adapt(np.array(data))
    convert = lambda value: np.array(value) if not isinstance(value, str) else value  # noqa: E731
    result = layer(tuple(map(convert, inputs)) if isinstance(inputs, tuple) else convert(inputs))
    case = {"layer": kind, "arguments": arguments, "adapt": data, "inputs": inputs, "output": answer(result), "config": config_of(layer)}
    case["ragged"] = isinstance(result, tf.RaggedTensor)
    if hasattr(layer, "get_vocabulary"):
        case["vocabulary"] = np.array(layer.get_vocabulary()).tolist()
    if data is not None and kind == "Normalization":
        case["weights"] = [{"name": w.name, "path": w.path, "value": w.numpy().tolist()} for w in layer.weights]
    return case


def make():
    store = Store("features")
    for label, kind, arguments, data, inputs in layer_cases():
        keras.utils.clear_session()
        store.add(f"{kind}/{label}", **ask(kind, arguments, data, inputs))
    for label, arguments in spaces():
        keras.utils.clear_session()
        space, used = built_space(keras, arguments), arguments["features"]
        space.adapt(tf.data.Dataset.from_tensor_slices({key: TABLE[key] for key in used}).batch(3))
        outputs = [space({key: table[key] for key in used}) for table in (TABLE, OTHER)]
        outputs.append(space({key: value[0] for key, value in OTHER.items() if key in used}))
        plain = [{key: answer(t) for key, t in output.items()} if isinstance(output, dict) else answer(output) for output in outputs]
        store.add(f"FeatureSpace/{label}", space=arguments, table=TABLE, other=OTHER, outputs=plain, config=config_of(space))
    return store


if __name__ == "__main__":
    made = make()
    made.write(keras=keras.__version__, tensorflow=tf.__version__, numpy=np.__version__)
    print(len(made.cases), "cases")
