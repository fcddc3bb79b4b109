# SPDX-License-Identifier: Apache-2.0
"""Configs of Keras 0, 1, 2 and tf.keras, rewritten: dicts in, dicts out."""

import json

import numpy as np
import pytest

import nyala
from nyala.core.errors import ArgumentError, LookupFailed
from nyala.files.errors import UnsafeObjectError
from nyala.legacy import Era, modernize, modernize_training
from nyala.legacy.layers import modern_layer
from nyala.models import model_from_json


def layer(kind, generation=1, **config):
    return modern_layer({"class_name": kind, "config": {"name": "x", **config}}, Era(generation))


@pytest.mark.parametrize(
    "kind, old, new_kind, new",
    [
        ("Convolution2D", {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "subsample": [2, 1], "border_mode": "same", "dim_ordering": "th"}, "Conv2D",
         {"filters": 4, "kernel_size": [3, 2], "strides": [2, 1], "padding": "same", "data_format": "channels_first"}),
        ("AtrousConvolution1D", {"nb_filter": 4, "filter_length": 3, "subsample_length": 2, "atrous_rate": 2}, "Conv1D",
         {"filters": 4, "kernel_size": 3, "strides": 2, "dilation_rate": 2}),
        ("Convolution3D", {"nb_filter": 4, "kernel_dim1": 1, "kernel_dim2": 2, "kernel_dim3": 3}, "Conv3D", {"filters": 4, "kernel_size": [1, 2, 3]}),
        ("Deconvolution2D", {"nb_filter": 4, "nb_row": 3, "nb_col": 2, "output_shape": [None, 7, 7, 4]}, "Conv2DTranspose",
         {"filters": 4, "kernel_size": [3, 2]}),
        ("TimeDistributedDense", {"output_dim": 3, "input_dim": 7, "bias": False}, "Dense", {"units": 3, "use_bias": False}),
        ("Dropout", {"p": 0.3}, "Dropout", {"rate": 0.3}),
        ("GaussianNoise", {"sigma": 0.3}, "GaussianNoise", {"stddev": 0.3}),
        ("MaxPooling1D", {"pool_length": 3, "stride": 2, "border_mode": "same"}, "MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}),
        ("ZeroPadding2D", {"padding": {"top_pad": 1, "bottom_pad": 2, "right_pad": 3}}, "ZeroPadding2D", {"padding": [[1, 2], [0, 3]]}),
        ("BatchNormalization", {"mode": 0, "axis": [3], "beta_init": "zero"}, "BatchNormalization", {"axis": 3, "beta_initializer": "zero"}),
        ("LeakyReLU", {"alpha": 0.2}, "LeakyReLU", {"negative_slope": 0.2}),
        ("PReLU", {"init": "zero"}, "PReLU", {"alpha_initializer": "zero"}),
        ("Embedding", {"input_dim": 7, "output_dim": 3, "init": "uniform", "input_length": 5, "dropout": 0.0}, "Embedding",
         {"input_dim": 7, "output_dim": 3, "embeddings_initializer": "uniform"}),
        ("SeparableConvolution2D", {"nb_filter": 2, "nb_row": 2, "nb_col": 2, "init": "one"}, "SeparableConv2D",
         {"filters": 2, "kernel_size": [2, 2], "depthwise_initializer": "one", "pointwise_initializer": "one"}),
    ],
)  # fmt: skip
def test_layers_of_keras_1(kind, old, new_kind, new):
    made = layer(kind, **old)
    assert made["class_name"] == new_kind and made["config"] == {"name": "x", **new}


def test_recurrent_layers_of_keras_1():
    made = layer("LSTM", output_dim=3, inner_init="orthogonal", inner_activation="hard_sigmoid", forget_bias_init="one", consume_less="gpu",
                 dropout_W=0.1, dropout_U=0.2, U_regularizer={"name": "L1L2Regularizer", "l1": 0.0, "l2": 0.5})["config"]  # fmt: skip
    assert made["units"] == 3 and made["dropout"] == 0.1 and made["recurrent_dropout"] == 0.2 and made["unit_forget_bias"] is True
    assert made["recurrent_initializer"]["config"] == {"gain": 1.1}
    assert made["recurrent_regularizer"]["class_name"] == "L1L2" and made["recurrent_regularizer"]["config"] == {"l1": 0.0, "l2": 0.5}
    assert made["recurrent_activation"]["config"] == "nyala.legacy>hard_sigmoid_of_keras_2" and "consume_less" not in made
    assert layer("GRU", output_dim=3)["config"]["reset_after"] is False
    assert layer("GRU", 2, units=3, reset_after=True)["config"]["reset_after"] is True
    assert layer("CuDNNGRU", 2, units=3)["config"]["reset_after"] is True
    assert layer("LSTM", 2, units=3, time_major=False, implementation=2)["config"] == {"name": "x", "units": 3}


@pytest.mark.parametrize(
    "old, kind, config",
    [
        ({"name": "MaxNorm", "m": 2, "axis": 0}, "MaxNorm", {"max_value": 2, "axis": 0}),
        ({"class_name": "MinMaxNorm", "config": {"low": 0.1, "high": 0.9}}, "MinMaxNorm", {"min_value": 0.1, "max_value": 0.9}),
        ("nonneg", "NonNeg", {}),
    ],
)
def test_constraints(old, kind, config):
    made = layer("Dense", output_dim=2, W_constraint=old)["config"]["kernel_constraint"]
    assert (made["class_name"], made["config"]) == (kind, config)


def test_objects_of_tf_keras():
    made = layer("Dense", 2, units=2, dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}, activation="swish",
                 kernel_initializer={"class_name": "VarianceScaling", "config": {"scale": 1.0, "distribution": "normal", "dtype": "float32"}},
                 bias_initializer={"class_name": "ZerosV2", "config": {}},
                 kernel_regularizer={"class_name": "l2", "config": {"l": 0.5}})["config"]  # fmt: skip
    assert made["dtype"] == "mixed_float16" and made["activation"] == "silu"
    assert made["kernel_initializer"]["config"] == {"scale": 1.0, "distribution": "truncated_normal"}
    assert made["bias_initializer"]["class_name"] == "Zeros" and made["kernel_regularizer"]["config"] == {"l2": 0.5}


@pytest.mark.parametrize("kind", ["DepthwiseConv2D", "Conv2DTranspose"])
def test_an_unknown_argument_at_its_default_is_dropped_else_refused(kind):
    assert "groups" not in layer(kind, 2, kernel_size=2, groups=1)["config"]
    with pytest.raises(ArgumentError) as caught:
        layer(kind, 2, kernel_size=2, groups=3)
    assert str(caught.value).startswith(f"the config of {kind} 'x' needs arguments that it knows, got groups=3.")
    assert layer("Dense", 2, units=2, never_heard_of=None)["config"] == {"name": "x", "units": 2}
    with pytest.raises(ArgumentError, match="never_heard_of=1"):
        layer("Dense", 2, units=2, never_heard_of=1)


def test_what_is_gone_says_so():
    with pytest.raises(ArgumentError, match="needs mode 0, got mode=1"):
        layer("BatchNormalization", mode=1)
    with pytest.raises(ArgumentError, match="'full', which only Theano knew"):
        layer("Convolution1D", nb_filter=1, filter_length=2, border_mode="full")
    with pytest.raises(ArgumentError, match=r"pass custom_objects=\{'SReLU': YourLayer\}"):
        layer("SReLU")


def test_layers_of_the_caller_stay_as_they_are():
    class SReLU(nyala.layers.Layer):
        pass

    config = {"name": "x", "t_left_init": "zero"}
    assert modern_layer({"class_name": "SReLU", "config": config}, Era(1, custom={"SReLU": SReLU}))["config"] == config


def test_eras_are_told_apart():
    assert Era.of({"name": "Sequential", "layers": []}).generation == 0
    assert Era.of({"class_name": "Model", "config": {"layers": [{"config": {"nb_filter": 3, "dim_ordering": "th"}}]}}).generation == 1
    assert Era.of({"class_name": "Sequential", "config": {"layers": [{"config": {"batch_input_shape": [None, 3]}}]}}).generation == 2
    assert Era.of(json.loads(nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)]).to_json())).generation == 3
    assert Era(2, "2.3.1").multibackend and not Era(2, "2.2.4-tf").multibackend and not Era(2, "2.4.0").multibackend


def keras_2(layers, inputs, outputs, name="m"):
    config = {"name": name, "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config, "keras_version": "2.2.4"}


def entry(kind, name, *nodes, **config):
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": list(nodes)}


def test_nested_models_count_their_calls_from_one():
    inner = keras_2([entry("InputLayer", "i", batch_input_shape=[None, 3], dtype="float32"), entry("Dense", "d", [["i", 0, 0, {}]], units=3)],
                    [["i", 0, 0]], [["d", 0, 0]], "inner")  # fmt: skip
    nested = {"class_name": "Model", "name": "inner", "config": inner["config"], "inbound_nodes": [[["x", 0, 0, {}]], [["inner", 1, 0, {}]]]}
    outer = keras_2([entry("InputLayer", "x", batch_input_shape=[None, 3], dtype="float32"), nested], [["x", 0, 0]], [["inner", 2, 0]])
    model = model_from_json(json.dumps(outer))
    weights = model.get_weights()
    assert len(weights) == 2 and model.output_shape == (None, 3)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    with nyala.backend("numpy"):
        np.testing.assert_allclose(model(x), (x @ weights[0] + weights[1]) @ weights[0] + weights[1], rtol=1e-5, atol=1e-6)


def test_operations_of_tensorflow_are_a_table():
    source = entry("InputLayer", "x", batch_input_shape=[None, 3], dtype="float32")
    op = entry("TFOpLambda", "t", ["x", 0, 0, {"y": 2.0, "name": None}], function="math.multiply")
    model = model_from_json(json.dumps(keras_2([source, op], [["x", 0, 0]], [["t", 0, 0]])))
    with nyala.backend("numpy"):
        np.testing.assert_array_equal(model(np.ones((1, 3), "float32")), np.full((1, 3), 2.0))
    op["config"]["function"] = "io.read_file"
    with pytest.raises(LookupFailed, match=r"got tf\.io\.read_file"):
        modernize(keras_2([source, op], [["x", 0, 0]], [["t", 0, 0]]))
    op = entry("TFOpLambda", "t", ["x", 0, 0, {"b": ["x", 0, 0], "transpose_b": True}], function="linalg.matmul")
    with pytest.raises(ArgumentError, match=r"arguments of tf\.linalg\.matmul that are in the table, got transpose_b"):
        modernize(keras_2([source, op], [["x", 0, 0]], [["t", 0, 0]]))


def test_functions_of_merge_and_lambda_come_from_the_caller():
    merge = entry("Merge", "m", [["a", 0, 0], ["b", 0, 0]], mode=["bytes", None, None], mode_type="lambda", arguments={})
    inputs = [entry("InputLayer", name, batch_input_shape=[None, 3], input_dtype="float32") for name in "ab"]
    old = {**keras_2([*inputs, merge], [["a", 0, 0], ["b", 0, 0]], [["m", 0, 0]]), "keras_version": "1.2.2"}
    with pytest.raises(UnsafeObjectError, match="the config of Merge 'm' needs its function from you"):
        modernize(old)
    model = model_from_json(json.dumps(old), custom_objects={"m": lambda pair: pair[0] - 2.0 * pair[1]})
    with nyala.backend("numpy"):
        np.testing.assert_array_equal(model([np.ones((1, 3), "float32")] * 2), np.full((1, 3), -1.0))


def test_training_configs():
    old = {"optimizer_config": {"class_name": "SGD", "config": {"lr": 0.1, "decay": 0.0, "clipnorm": 1.0}}, "loss": {"a": "mse", "b": "logcosh"},
           "metrics": ["acc"], "loss_weights": None, "sample_weight_mode": None}  # fmt: skip
    made = modernize_training(old, Era(1))
    assert made["optimizer"]["config"] == {"learning_rate": 0.1, "global_clipnorm": 1.0, "name": "sgd"}
    assert made["loss"] == {"a": "mse", "b": "log_cosh"} and made["metrics"] == ["acc"] and "loss_weights" not in made
    wrapper = {"class_name": "MeanMetricWrapper", "config": {"name": "acc", "dtype": "float32", "fn": "binary_accuracy"}}
    new = modernize_training(
        {"optimizer_config": {"class_name": "Custom>Adam", "config": {"name": "Adam", "clipnorm": 1.0, "jit_compile": True}},
         "loss": {"class_name": "Huber", "config": {"reduction": "auto", "name": "huber_loss", "delta": 2.0, "fn": "huber"}}, "metrics": [[wrapper]]},
        Era(2, "2.15.0"),
    )  # fmt: skip
    assert new["optimizer"]["class_name"] == "Adam" and new["optimizer"]["config"] == {"name": "adam", "clipnorm": 1.0}
    assert new["loss"]["config"] == {"reduction": "sum_over_batch_size", "name": "huber_loss", "delta": 2.0}
    assert new["metrics"][0]["config"]["fn"]["config"] == "binary_accuracy"


@pytest.mark.parametrize("config", [[], {}, {"class_name": "Sequential"}, {"class_name": "Sequential", "config": "x"}, "text"])
def test_what_is_no_config_is_refused(config):
    with pytest.raises(ValueError, match="the config of a model"):
        model_from_json(json.dumps(config))


def test_losses_of_ones_own_are_found_while_they_are_given(tmp_path):
    """Old files name them; what is looked up at the first batch must not be looked for in vain."""

    def own_loss(y_true, y_pred):
        return nyala.ops.mean((y_true - y_pred) ** 4)

    def own_metric(y_true, y_pred):
        return nyala.ops.mean(y_true - y_pred)

    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
    model.compile("sgd", own_loss, metrics=[own_metric])
    model.save(tmp_path / "model.h5")
    twin = nyala.models.load_model(tmp_path / "model.h5", custom_objects={"own_loss": own_loss, "own_metric": own_metric})
    x, y = np.ones((4, 3), "float32"), np.zeros((4, 1), "float32")
    assert twin.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-6)
    other = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(1)])
    with nyala.saving.custom_object_scope({"own": own_loss}):
        other.compile("sgd", "own")
    assert other.evaluate(x, y, verbose=0) > 0
