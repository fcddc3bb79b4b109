# SPDX-License-Identifier: Apache-2.0
"""Mistakes that everyone makes once: the exact text, and that nothing was changed by the attempt."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError, ArgumentTypeError, LookupFailed, ShapeError, StateError, StructureError
from tests.training.tools import IDS, X, Y, linear, numbers, raises, two_outputs

ONE_HOT = np.eye(5, dtype="float32")[IDS]


def compiled(loss, units=1, activation=None, **kwargs):
    model = linear(units, activation)
    model.compile("sgd", loss, **kwargs)
    return model


def convolution():
    return nyala.Sequential([nyala.Input((7, 7, 1)), layers.Conv2D(2, 3, name="conv"), layers.Flatten(), layers.Dense(1)], name="net")


# (arguments of compiled, x, y, text): what fit says to targets that cannot belong to the outputs
TARGETS = {
    "ids for categorical": (
        ("categorical_crossentropy", 5, "softmax"),
        X,
        IDS,
        "loss 'categorical_crossentropy' of the output 'out' needs targets of shape (11, 5), one-hot, got shape (11,).\n"
        "  why: these look like class ids\n"
        "  fix: use loss='sparse_categorical_crossentropy', or nyala.utils.to_categorical(y)",
    ),
    "ids in a column for categorical": (
        ("categorical_crossentropy", 5, "softmax"),
        X,
        IDS[:, None],
        "loss 'categorical_crossentropy' of the output 'out' needs targets of shape (11, 5), one-hot, got shape (11, 1).\n"
        "  why: these look like class ids\n"
        "  fix: use loss='sparse_categorical_crossentropy', or nyala.utils.to_categorical(y)",
    ),
    "one-hot for sparse": (
        ("sparse_categorical_crossentropy", 5, "softmax"),
        X,
        ONE_HOT,
        "loss 'sparse_categorical_crossentropy' of the output 'out' needs class ids of shape (11,), got shape (11, 5).\n"
        "  why: these look like one-hot rows\n"
        "  fix: use loss='categorical_crossentropy', or y.argmax(-1)",
    ),
    "number of classes": (
        ("categorical_crossentropy", 5, "softmax"),
        X,
        np.eye(7)[IDS],
        "loss 'categorical_crossentropy' of the output 'out' needs targets of shape (11, 5), got shape (11, 7).\n"
        "  why: y has 7 classes, the output has 5 units\n"
        "  fix: make both numbers equal",
    ),
    "ids for binary": (
        ("binary_crossentropy", 5, "sigmoid"),
        X,
        IDS[:, None],
        "loss 'binary_crossentropy' of the output 'out' needs targets of shape (11, 5), got shape (11, 1).\n"
        "  why: the output has 5 units\n"
        "  fix: use Dense(1), or loss='sparse_categorical_crossentropy' for class ids",
    ),
    "broadcasting": (
        ("mse", 2),
        X,
        Y,
        "loss 'mean_squared_error' of the output 'out' needs targets of shape (11, 2), got shape (11, 1).\n"
        "  why: values would be compared with the wrong targets by broadcasting\n"
        "  fix: reshape y, or change the number of units of the output layer",
    ),
    "broadcasting, huber": (
        ("huber", 2),
        X,
        X,
        "loss 'huber' of the output 'out' needs targets of shape (11, 2), got shape (11, 3).\n"
        "  why: values would be compared with the wrong targets by broadcasting\n"
        "  fix: reshape y, or change the number of units of the output layer",
    ),
}


@pytest.mark.parametrize("name", TARGETS)
def test_targets_that_do_not_fit(name, each_engine):
    arguments, x, y, text = TARGETS[name]
    model = compiled(*arguments)
    before = model.get_weights()
    with raises(ShapeError, text):
        model.fit(x, y, verbose=0)
    with raises(ShapeError, text):
        model.train_on_batch(x, y)
    with raises(ShapeError, text):
        model.evaluate(x, y, batch_size=11, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(model.optimizer.iterations) == 0


def test_targets_that_fit_after_all(eager):
    for units, loss, y in (
        (1, "mse", Y[:, 0]),
        (5, "sparse_categorical_crossentropy", IDS[:, None]),
        (1, "binary_crossentropy", (Y[:, 0] > 0).astype("int32")),
    ):
        assert compiled(loss, units, "sigmoid").fit(X, y, verbose=0).history["loss"][0] > 0


def test_targets_are_checked_in_every_fit_and_before_an_epoch_is_spent(eager):
    text = (
        "loss 'mean_squared_error' of the output 'out' needs targets of shape (11, 1), got shape (11, 3).\n"
        "  why: values would be compared with the wrong targets by broadcasting\n"
        "  fix: reshape y, or change the number of units of the output layer"
    )
    model = compiled("mse")
    before = model.get_weights()
    with raises(ShapeError, text):
        model.fit(X, Y, validation_data=(X, X), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
    model.fit(X, Y, verbose=0)
    before = model.get_weights()
    with raises(ShapeError, text):
        model.fit(X, X, verbose=0)
    with raises(ShapeError, text):
        model.fit(iter([(X, X)]), verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


INPUTS = {
    "one image": (
        convolution,
        np.zeros((7, 7, 1)),
        "Conv2D 'conv' needs an input with 4 axes, got 3 (shape (7, 7, 1)).\n"
        "  why: the first axis is the batch\n"
        "  fix: add the batch axis to a single sample, x[None]; or the channels axis to grey images, x[..., None]",
    ),
    "colour image": (
        convolution,
        np.zeros((2, 7, 7, 4)),
        "Conv2D 'conv' needs an input whose last axis is 1, got shape (2, 7, 7, 4).\n"
        "  why: its kernel was built with shape (3, 3, 1, 2) at the first call\n"
        "  fix: these look like RGBA images where grey ones are wanted: convert them",
    ),
    "one row": (
        linear,
        X[0],
        "Dense 'out' needs an input with at least 2 axes, got 1 (shape (3,)).\n"
        "  why: the first axis is the batch\n"
        "  fix: add the missing axis: x[None] for a single sample, x[..., None] for one feature",
    ),
    "features": (
        linear,
        X[:, :2],
        "Dense 'out' needs an input whose last axis is 3, got shape (11, 2).\n"
        "  why: its kernel was built with shape (3, 1) at the first call\n"
        "  fix: feed it 3 features, or make a new Dense for 2",
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_inputs_that_do_not_fit(name, eager):
    make, x, text = INPUTS[name]
    with raises(ShapeError, text):
        make().predict(x)


DATA = "an array, a list of numbers, a dict or list of arrays, or an iterable of batches"
RAN_OUT = (
    "\n  why: a generator can be read once only"
    "\n  fix: pass a nyala.utils.PyDataset or another object that can be iterated again, let the generator loop forever, or ask for fewer steps"
)

# (arguments of fit, kind of error, text)
ARGUMENTS = {
    "a number": ({"x": 5, "y": Y}, ArgumentTypeError, f"x needs {DATA}, got int 5."),
    "a word": ({"x": X, "y": "labels"}, ArgumentTypeError, f"y needs {DATA}, got str 'labels'."),
    "an object": ({"x": X, "y": Ellipsis}, ArgumentTypeError, f"y needs {DATA}, got ellipsis."),
    "nothing": ({}, ArgumentTypeError, "fit(x) needs data, got None."),
    "words": ({"x": X, "y": ["a"] * 11}, ArgumentTypeError, "y needs numbers, got an array of strings.\n  fix: encode them as numbers first"),
    "ragged twice": (
        {"x": [[[1, 2], [3]], [[4]]], "y": [1, 2]},
        ArgumentError,
        "x needs samples that differ in their first axis only, got a ragged list of another kind.\n"
        "  fix: pad them to one shape, for example with nyala.utils.pad_sequences",
    ),
    "lengths": (
        {"x": X, "y": Y[:9]},
        ShapeError,
        "fit needs arrays of equal length, got x: 11, y: 9.\n  why: each sample needs its target and its weight\n  fix: cut them to one length",
    ),
    "length of weights": (
        {"x": X, "y": Y, "sample_weight": Y[:7, 0]},
        ShapeError,
        "fit needs arrays of equal length, got x: 11, y: 11, sample_weight: 7.\n"
        "  why: each sample needs its target and its weight\n  fix: cut them to one length",
    ),
    "list of samples": (
        {"x": list(X), "y": Y[:9]},
        ShapeError,
        "fit needs arrays of equal length, got x[0]: 3, x[1]: 3, x[2]: 3, x[3]: 3, ....\n"
        "  why: a list of arrays as x means several of them, one array each\n  fix: np.asarray(x) makes one array of a list of samples",
    ),
    "no samples": ({"x": X[:0], "y": Y[:0]}, ShapeError, "fit needs at least one sample, got none."),
    "y beside batches": (
        {"x": iter([(X, Y)]), "y": Y},
        ArgumentError,
        "fit(y) needs None beside an iterable of batches, got ndarray.\n  fix: let the iterable give (x, y, sample_weight)",
    ),
    "batch of four": ({"x": iter([(X, Y, Y, Y)])}, ArgumentError, "a batch needs (x,), (x, y) or (x, y, sample_weight), got a tuple of 4."),
    "epochs": ({"x": X, "y": Y, "epochs": -1}, ArgumentError, "fit(epochs) needs an integer of at least 0, got -1."),
    "batch_size": ({"x": X, "y": Y, "batch_size": 0}, ArgumentError, "batch_size needs an integer of at least 1, or None, got 0."),
    "steps": ({"x": X, "y": Y, "steps_per_epoch": 0}, ArgumentError, "fit(steps_per_epoch) needs an integer of at least 1, or None, got 0."),
    "validation steps": (
        {"x": X, "y": Y, "validation_data": (X, Y), "validation_steps": 1.5},
        ArgumentError,
        "fit(validation_steps) needs an integer of at least 1, or None, got 1.5.",
    ),
    "split": ({"x": X, "y": Y, "validation_split": 1.5}, ArgumentError, "fit(validation_split) needs a number between 0 and 1, got 1.5."),
    "split of everything": (
        {"x": X, "y": Y, "validation_split": 0.99},
        ArgumentError,
        "fit(validation_split) needs a share that leaves samples on both sides, got 0.99 of 11 samples.",
    ),
    "split of a stream": (
        {"x": iter([(X, Y)]), "validation_split": 0.5},
        ArgumentError,
        "fit(validation_split) needs arrays, got an iterable (list_iterator).\n  fix: pass validation_data",
    ),
    "validation_freq": (
        {"x": X, "y": Y, "validation_data": (X, Y), "validation_freq": 0},
        ArgumentError,
        "fit(validation_freq) needs an integer of at least 1, or a list of epochs, got 0.",
    ),
    "class_weight": ({"x": X, "y": Y, "class_weight": "balanced"}, ArgumentError, "fit(class_weight) needs a dict {label: weight}, got 'balanced'."),
    "class_weight of names": (
        {"x": X, "y": Y, "class_weight": {"cat": 1}},
        ArgumentError,
        "fit(class_weight) needs a dict {label: weight}, got {'cat': 1}.",
    ),
    "callback class": (
        {"x": X, "y": Y, "callbacks": [nyala.callbacks.History]},
        ArgumentTypeError,
        "callbacks needs objects of nyala.callbacks.Callback, got the class History.\n  fix: make an object, or subclass Callback",
    ),
    "callback": ({"x": X, "y": Y, "callbacks": [3]}, ArgumentTypeError, "callbacks needs objects of nyala.callbacks.Callback, got int."),
    "weights of a wrong shape": (
        {"x": X, "y": Y, "sample_weight": X},
        ShapeError,
        "sample_weight needs the shape (11,) of the values it weights, or that of their first axes, got shape (11, 3).\n"
        "  fix: pass one number per sample, shape (11,), or one per value",
    ),
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments_of_fit(name, eager):
    arguments, kind, text = ARGUMENTS[name]
    model = compiled("mse")
    before = model.get_weights()
    with raises(kind, text):
        model.fit(**arguments, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        (2, "fit needs 2 batches in epoch 2, got 1 from a generator that ran out." + RAN_OUT),
        (None, "fit needs at least 1 batch in epoch 2, got 0 from a generator that ran out." + RAN_OUT),
    ],
)
def test_a_generator_that_runs_out(steps, text, eager):
    with raises(StateError, text):
        compiled("mse").fit(((X, Y) for _ in range(3)), steps_per_epoch=steps, epochs=2, verbose=0)


def test_no_batches_at_all(eager):
    class Empty(nyala.utils.PyDataset):
        def __len__(self):
            return 0

    with raises(StateError, "evaluate needs at least 1 batch in epoch 1, got 0 from an empty Empty."):
        compiled("mse").evaluate(Empty(), verbose=0)


def test_no_loss(each_engine):
    model = linear()
    model.compile("sgd")
    text = (
        "training of Sequential 'net' needs a loss, got compile(loss=None), and no layer that adds one.\n"
        "  why: without a loss there are no gradients\n"
        "  fix: pass loss= to compile, call add_loss in a layer, or override train_step"
    )
    with raises(StateError, text):
        model.fit(X, Y, verbose=0)


def test_no_optimizer(eager):
    model = linear()
    model.compile(None, "mse")
    assert model.evaluate(X, Y, verbose=0) > 0
    text = "training of Sequential 'net' needs an optimizer, got compile(optimizer=None).\n  fix: pass optimizer=\"adam\""
    with raises(StateError, text):
        model.fit(X, Y, verbose=0)


def test_no_targets(eager):
    fix = "\n  fix: pass y (in validation_data, too: a pair (x, y)), or compile without a loss for this output"
    text = "the targets y needs values for the output 'out', which has the loss 'mean_squared_error', got None." + fix
    model = compiled("mse")
    for fit in (lambda: model.fit(X, verbose=0), lambda: model.fit(X, Y, validation_data=X, verbose=0), lambda: model.evaluate(X, verbose=0)):
        with raises(ArgumentError, text):
            fit()
    heads = two_outputs()
    for y in ([Y, None], {"a": Y}):
        heads.compile("sgd", ["mse", "mae"])
        with raises(ArgumentError, text.replace("'out'", "'b'").replace("squared", "absolute")):
            heads.fit(X, y, verbose=0)


def test_outputs_without_a_loss_need_no_targets(eager, recwarn):
    heads = two_outputs()
    heads.compile("sgd", ["mse", None])
    losses = heads.fit(X, [Y, None], verbose=0).history["loss"]
    assert losses and not [w for w in recwarn if "gradient" in str(w.message)]  # nothing stands between the other head and the loss: it has none
    model = compiled(lambda y_true, y_pred: nyala.ops.mean(y_pred**2, axis=-1))
    model.fit(X, verbose=0)  # a function of one's own may do without


def test_not_compiled(eager):
    for method in ("fit", "evaluate", "train_on_batch", "test_on_batch"):
        text = f"{method} of Sequential 'net' needs a compiled model, got one that was never compiled."
        text += '\n  fix: call compile(optimizer="adam", loss=...) first'
        with raises(StateError, text):
            getattr(linear(), method)(X, Y)
    model = linear()
    assert (model.compiled, model.loss, model.optimizer, model.run_eagerly, model.stop_training) == (False, None, None, False, False)


def test_no_gradients():
    model = compiled("mse")
    with (
        nyala.backend("numpy"),
        raises(StateError, "fit needs an engine with gradients, got 'numpy', which has none.\n  fix: nyala.set_backend('jax') or 'torch'"),
    ):
        model.fit(X, Y, verbose=0)


COMPILE = {
    "optimizer": (("sdg", "mse"), {}, LookupFailed, "optimizer needs a name known in nyala.optimizers, got 'sdg'.\n  fix: did you mean 'sgd'?"),
    "loss": (
        ("sgd", "huberr"),
        {},
        LookupFailed,
        "loss needs a name known in nyala.losses, got 'huberr'.\n  fix: did you mean 'huber' or 'Huber' or 'huber_loss'?",
    ),
    "one loss of several": (
        ("sgd", ["mse", "nonsense"]),
        {},
        LookupFailed,
        "loss needs a name known in nyala.losses, got 'nonsense'.\n  fix: see dir(nyala.losses)",
    ),
    "number as loss": (("sgd", 5), {}, ArgumentError, "loss needs a name, a config, an object or a function, got 5."),
    "number as metric": (("sgd", "mse"), {"metrics": [5]}, ArgumentError, "metric needs a name, a config, an object or a function, got 5."),
    "unknown argument": (("sgd", "mse"), {"metric": ["acc"]}, ArgumentTypeError, "compile needs arguments that it knows, got ['metric']."),
    "steps_per_execution": (
        ("sgd", "mse"),
        {"steps_per_execution": 0},
        ArgumentError,
        "compile(steps_per_execution) needs an integer of at least 1, or 'auto', got 0.",
    ),
}


@pytest.mark.parametrize("name", COMPILE)
def test_arguments_of_compile(name, eager):
    """Names are looked up at once, not when training begins."""
    args, kwargs, kind, text = COMPILE[name]
    with raises(kind, text):
        linear().compile(*args, **kwargs)


def test_a_metric_with_a_typing_mistake(eager):
    with pytest.raises(LookupFailed, match=r"metric needs a name known in nyala\.metrics, got 'acuracy'\.\n  fix: did you mean"):
        linear().compile("sgd", "mse", metrics=[["acuracy"]])


def test_objectives_that_do_not_match_the_outputs(eager):
    cases = [
        (
            {"loss": ["mse", "mse"]},
            "compile(loss) needs 1 item, one for each of the outputs ['out'], got 2.\n  fix: pass a dict by output name, or a list of that length",
        ),
        (
            {"loss": {"q": "mse"}},
            "compile(loss) needs the output names ['out'] as keys, got ['q'].\n  fix: use these names, or name the output layers with name=",
        ),
        (
            {"loss": "mse", "metrics": {"q": "mae"}},
            "compile(metrics) needs the output names ['out'] as keys, got ['q'].\n  fix: use these names, or name the output layers with name=",
        ),
    ]
    for arguments, text in cases:
        model = linear()
        model.compile("sgd", **arguments)
        with raises(StructureError, text):
            model.fit(X, Y, verbose=0)


def test_targets_of_several_outputs(eager):
    x = nyala.Input((3,))
    model = nyala.Model(x, [layers.Dense(1, name="a")(x), layers.Dense(1, name="b")(x)])
    model.compile("sgd", "mse")
    with raises(StructureError, "the targets y needs one for each of the outputs ['a', 'b'], got one.\n  fix: pass a dict by output name, or a list"):
        model.fit(X, Y, verbose=0)
    with raises(
        StructureError,
        "the targets y needs 2 items, one for each of the outputs ['a', 'b'], got 3.\n  fix: pass a dict by output name, or a list of that length",
    ):
        model.fit(X, [Y, Y, Y], verbose=0)


def test_steps_that_return_no_logs(eager):
    class Silent(nyala.Sequential):
        def train_step(self, data):
            return numbers(3)

    model = Silent([nyala.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with raises(ArgumentTypeError, "train_step needs a dict of logs as its result, got ndarray."):
        model.fit(X, Y, verbose=0)
