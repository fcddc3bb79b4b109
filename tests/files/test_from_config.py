# SPDX-License-Identifier: Apache-2.0
"""from_config of every public class: the bounds of files hold, and what no file may name is refused, wherever in a config it stands."""

import importlib
import inspect

import pytest

import nyala
from nyala.core.errors import NyalaError
from tests.files.attacks.objects import LAMBDA
from tests.files.configs import PACKAGES, deep


def classes():
    """Each public class with from_config, by its name."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(f"nyala.{package}")
        for name in module.__all__:
            kind = getattr(module, name)
            if inspect.isclass(kind) and hasattr(kind, "from_config"):
                found[f"{package}.{name}"] = kind
    return found


CLASSES = classes()
WRONG = {"deep": (deep(), "json-depth"), "digits": ([10**41], "json-digits"), "code": (LAMBDA, "object-lambda")}


def test_every_class_looks_through_its_config():
    missed = []
    for name, kind in CLASSES.items():
        for what, (value, rule) in WRONG.items():
            for key in ("name", "learning_rate", "x"):
                try:
                    kind.from_config({key: value})
                except NyalaError as error:
                    if error.rule != rule or not error.where.startswith(f"{kind.__name__}.from_config(config)"):
                        missed.append((name, what, key, error.rule, error.where))
                except Exception as error:
                    missed.append((name, what, key, type(error).__name__))
                else:
                    missed.append((name, what, key, "nothing"))
    assert not missed
    assert len(CLASSES) > 300


FORMS = [name for name in CLASSES if not name.startswith(("layers.", "random.", "models.Model"))] + ["layers.TimeDistributed", "layers.Pipeline"]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("config", [{"no_such_argument": 1}, {"layers": [3]}, {"layer": 3}], ids=str)
def test_a_config_of_another_form_is_an_error_of_ours(name, config):
    """Through from_config and through deserialize, whatever a class makes of it."""
    kind = CLASSES[name]
    wrapped = {"module": None, "class_name": kind.__name__, "config": config}
    for door in (lambda: kind.from_config(dict(config)), lambda: nyala.saving.deserialize_keras_object(wrapped)):
        with pytest.raises(NyalaError) as caught:
            door()
        assert caught.value.rule in ("config-argument", "object-unknown"), caught.value


def test_good_configs_are_taken():
    """The twins: a schedule in an optimizer in another one, a loss in a loss, a layer in a layer."""
    schedule = {"module": "keras.optimizers.schedules", "class_name": "ExponentialDecay",
        "config": {"initial_learning_rate": 0.2, "decay_steps": 7, "decay_rate": 0.5}}  # fmt: skip
    inner = {"module": "keras.optimizers", "class_name": "SGD", "config": {"learning_rate": schedule, "momentum": 0.3}}
    scaled = nyala.optimizers.LossScaleOptimizer.from_config({"inner_optimizer": inner, "initial_scale": 8.0})
    assert scaled.inner_optimizer.momentum == 0.3
    assert scaled.inner_optimizer.get_config()["learning_rate"]["config"]["decay_steps"] == 7
    assert nyala.metrics.MeanMetricWrapper.from_config({"fn": {"class_name": "function", "config": "mean_squared_error"}}).name
    given = {"module": "keras.layers", "class_name": "Lambda", "config": {"name": "twice", "function": LAMBDA}}
    model = nyala.Sequential.from_config({"name": "m", "layers": [given]}, {"twice": nyala.activations.relu})
    assert model.layers[0].function is nyala.activations.relu
    assert nyala.layers.TimeDistributed.from_config({"layer": {"class_name": "Dense", "config": {"units": 5}}}).layer.units == 5
