# SPDX-License-Identifier: Apache-2.0
"""Distillation: losses against formulas, a fit against the sum of its parts, what stays frozen, configs, files, errors."""

import json

import numpy as np
import pytest

import nyala
from nyala import distillation, layers, losses
from nyala.testing import installed_engines

ENGINES = [engine.name for engine in installed_engines() if engine.differentiable]
RANDOM = np.random.default_rng(6)
A, B = RANDOM.normal(size=(2, 5, 3)).astype("float32")
X, Y = RANDOM.normal(size=(11, 4)).astype("float32"), RANDOM.normal(size=(11, 3)).astype("float32")


@pytest.fixture(params=ENGINES)
def engine(request):
    with nyala.backend(request.param):
        yield


def softmax(x):
    e = np.exp(x.astype("float64") - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def divergence(teacher, student, temperature):
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    return temperature**2 * np.sum(p * np.log(p / q), -1)


def models(dropout=0.0):
    teacher = nyala.Sequential([layers.Input((4,)), layers.BatchNormalization(), layers.Dense(6, activation="tanh", name="wide"), layers.Dense(3)])
    student = nyala.Sequential([layers.Input((4,)), layers.Dense(6, name="narrow"), layers.Dropout(dropout, seed=1), layers.Dense(3)])
    return teacher, student


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_logits(temperature):
    def value(loss="kl_divergence"):
        return float(distillation.LogitsDistillation(temperature, loss).compute_loss(A, B))

    rows = divergence(A, B, temperature)
    assert value() == pytest.approx(rows.mean(), rel=1e-4)
    assert value(losses.KLDivergence(reduction="sum")) == pytest.approx(rows.sum(), rel=1e-4)
    assert value("mse") == pytest.approx(np.mean((A - B) ** 2) / temperature**2, rel=1e-5)
    assert value(lambda teacher, student: student - teacher) == pytest.approx(np.mean(B - A) / temperature, rel=1e-4)


def test_structures_of_outputs():
    loss = distillation.LogitsDistillation(1.0, {"a": "mse", "b": None})
    assert float(loss.compute_loss({"a": A, "b": A}, {"a": B, "b": B})) == pytest.approx(np.mean((A - B) ** 2), rel=1e-5)
    each = distillation.FeatureDistillation("mae")
    assert float(each.compute_loss([A, B], [B, B])) == pytest.approx(np.mean(abs(A - B)), rel=1e-5)
    mixed = distillation.FeatureDistillation(["mae", losses.MeanSquaredError(reduction="sum")])
    again = distillation.FeatureDistillation.from_config(json.loads(json.dumps(mixed.get_config())))
    for one in (mixed, again):
        assert float(one.compute_loss([A, A], [B, B])) == pytest.approx(np.mean(abs(A - B)) + np.sum(np.mean((A - B) ** 2, -1)), rel=1e-5)


def test_fit_is_the_sum_of_its_parts(engine):
    """One step with rate 0: logs are those of NumPy; with a rate the student moves and the teacher does not, not even its moving averages."""
    teacher, student = models()
    parts = [distillation.LogitsDistillation(2.0), distillation.FeatureDistillation("mse", "wide", "narrow")]
    model = distillation.Distiller(teacher, student, parts, [0.3, 0.7], student_loss_weight=0.25)
    model.compile(nyala.optimizers.SGD(0.0), "mse", metrics=["mae"])
    weights = RANDOM.uniform(0.5, 2, size=11).astype("float32")
    logs = {name: values[0] for name, values in model.fit(X, Y, sample_weight=weights, batch_size=4, verbose=0).history.items()}
    wide, narrow = (nyala.Model(m.input, m.get_layer(name).output).predict(X) for m, name in ((teacher, "wide"), (student, "narrow")))
    theirs, ours = teacher.predict(X), student.predict(X)
    distilled = 0.3 * divergence(theirs, ours, 2.0).mean() + 0.7 * np.mean((wide - narrow) ** 2)
    on_targets = np.mean(np.mean((ours - Y) ** 2, -1) * weights)
    expected = {
        "student_loss": on_targets,
        "distillation_loss": distilled,
        "loss": 0.25 * on_targets + 0.75 * distilled,
        "mae": np.mean(abs(ours - Y)),
    }
    for name, value in expected.items():
        assert logs[name] == pytest.approx(value, rel=2e-4), name
    assert logs["total_loss"] == pytest.approx(logs["loss"], rel=1e-6)
    frozen, before = [w.numpy() for w in teacher.weights], [w.numpy() for w in student.weights]
    model.compile(nyala.optimizers.SGD(0.1), "mse")
    history = model.fit(X, Y, batch_size=4, epochs=8, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    assert all(np.array_equal(a, w.numpy()) for a, w in zip(frozen, teacher.weights, strict=True))
    assert not any(np.array_equal(a, w.numpy()) for a, w in zip(before, student.weights, strict=True))
    np.testing.assert_allclose(model.predict(X), student.predict(X), rtol=1e-6)
    assert [v.path for v in model.trainable_variables] == [v.path for v in student.trainable_variables]
    assert len(model.weights) == len(teacher.weights) + len(student.weights)


def test_features_are_those_of_the_call_that_is_judged():
    """Dropout in the student draws once for its outputs and its features."""
    if "torch" not in ENGINES:
        pytest.skip("needs an engine that runs step by step")
    with nyala.backend("torch"):
        _one_draw()


def _one_draw():
    teacher, student = models(dropout=0.5)
    student.layers[-1].set_weights([np.eye(6, 3, dtype="float32"), np.zeros(3, "float32")])
    seen = []

    def note(teacher, student):
        seen.append(student)
        return nyala.ops.mean(student)

    tap = student.layers[1].name
    parts = [distillation.FeatureDistillation(note), distillation.FeatureDistillation(note, "wide", tap)]
    model = distillation.Distiller(teacher, student, parts, student_loss_weight=0.0)
    model.compile("sgd", run_eagerly=True)
    model.train_on_batch(X)
    outputs, dropped = (nyala.ops.convert_to_numpy(nyala.ops.stop_gradient(x)) for x in seen[-2:])
    np.testing.assert_array_equal(outputs, dropped[:, :3])
    assert np.any(outputs == 0)


def test_an_output_alone_in_a_list():
    x = layers.Input((4,))
    student = nyala.Model(x, [layers.Dense(3)(layers.Dense(6, name="narrow")(x))])
    features = distillation.FeatureDistillation("mse", teacher_layer_name="wide", student_layer_name="narrow")
    distiller = distillation.Distiller(teacher=models()[0], student=student, distillation_losses=features)
    distiller.compile("sgd", "mse")
    distiller.fit(X, Y, verbose=0)
    np.testing.assert_allclose(distiller.predict(X, verbose=0), student.predict(X, verbose=0), rtol=1e-5)


def test_configs_and_files(tmp_path):
    teacher, student = models()
    model = distillation.Distiller(teacher, student, distillation.FeatureDistillation("mae", "wide", "narrow"), student_loss_weight=0.2)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    config = json.loads(json.dumps(nyala.saving.serialize_keras_object(model)))
    assert config["module"] == "keras.distillation" and config["config"]["distillation_losses"][0]["class_name"] == "FeatureDistillation"
    again = nyala.saving.deserialize_keras_object(config)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = nyala.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, distillation.Distiller) and not loaded.teacher.trainable
    before = model.evaluate(X, Y, verbose=0, return_dict=True)
    assert loaded.evaluate(X, Y, verbose=0, return_dict=True) == pytest.approx(before, rel=1e-5)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t, s: distillation.Distiller(3, s, distillation.LogitsDistillation()), "Distiller(teacher) needs a Model, got int 3."),
        (
            lambda t, s: distillation.Distiller(t, s, None),
            "Distiller(distillation_losses) needs a DistillationLoss or a list of them, got None.\n"
            "  fix: use LogitsDistillation() or FeatureDistillation()",
        ),
        (
            lambda t, s: distillation.Distiller(t, s, distillation.LogitsDistillation(), [0.5, 0.5]),
            "Distiller(distillation_loss_weights) needs 1 numbers, one for each distillation loss, got 2.",
        ),
        (
            lambda t, s: distillation.Distiller(t, s, distillation.LogitsDistillation(), student_loss_weight=2.0),
            "Distiller(student_loss_weight) needs a number from 0 to 1, got 2.0.",
        ),
        (
            lambda t, s: distillation.Distiller(t, nyala.Sequential([layers.Input((7,)), layers.Dense(3)]), distillation.LogitsDistillation()),
            "Distiller needs inputs of the student like those of the teacher, (None, 4), got (None, 7).",
        ),
        (
            lambda t, s: distillation.Distiller(t, nyala.Sequential([layers.Input((4,)), layers.Dense(2)]), distillation.LogitsDistillation()),
            "LogitsDistillation needs outputs of the student like those of the teacher, (None, 3), got (None, 2).",
        ),
        (
            lambda t, s: distillation.Distiller(t, s, distillation.FeatureDistillation("mse", "wide", "tiny")),
            "FeatureDistillation(student_layer_name) needs a layer of the student: narrow, dropout, dense_1, got 'tiny'.",
        ),
        (
            lambda t, s: distillation.Distiller(
                t, nyala.Sequential([layers.Dense(3)], name="open"), distillation.FeatureDistillation("mse", "wide", "dense")
            ),
            "FeatureDistillation(student_layer_name) needs a Functional model, or a Sequential one with known inputs, got Sequential 'open'.\n"
            "  why: layers inside other models cannot be tapped\n  fix: leave the names out to compare outputs",
        ),
        (lambda t, s: distillation.LogitsDistillation(0), "LogitsDistillation(temperature) needs a number above 0, got 0."),
        (lambda t, s: distillation.LogitsDistillation(loss=None), "LogitsDistillation(loss) needs a loss, got None."),
        (
            lambda t, s: distillation.FeatureDistillation().compute_loss(A, B[:, :2]),
            "FeatureDistillation needs values of the student in the shape of the teacher's, (5, 3), got (5, 2).\n"
            "  fix: choose layers of equal shapes, or pass a function (teacher, student) -> values that brings them together",
        ),
        (
            lambda t, s: distillation.LogitsDistillation().compute_loss([A], [B, B]),
            "LogitsDistillation needs outputs of the student like those of the teacher, [0], got [0], [1].",
        ),
        (
            lambda t, s: distillation.LogitsDistillation(loss=["mse"]).compute_loss([A, A], [B, B]),
            "LogitsDistillation(loss) needs 2 losses, one for each output, got 1.",
        ),
    ],
)
def test_errors_teach(call, text):
    nyala.core.names.reset()
    teacher, student = models()
    with pytest.raises((ValueError, TypeError)) as error:
        call(teacher, student)
    assert str(error.value).split("\n  rule:")[0] == text
    with pytest.raises(NotImplementedError, match="DistillationLoss needs a method compute_loss"):
        distillation.DistillationLoss().compute_loss(A, B)
