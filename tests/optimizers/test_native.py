# SPDX-License-Identifier: Apache-2.0
"""Optimizers of optax and PyTorch inside Nyala: their own numbers, their state in files, several steps in one program, clear errors."""

import functools

import numpy as np
import pytest

import nyala
from nyala import optimizers
from nyala.testing import installed_engines

INSTALLED = [engine.name for engine in installed_engines()]
RANDOM = np.random.default_rng(17)
START = [RANDOM.normal(size=shape).astype("float32") for shape in [(2, 3), (5,)]]
GRADIENTS = [[RANDOM.normal(size=w.shape).astype("float32") for w in START] for _ in range(6)]
X, Y = RANDOM.normal(size=(44, 3)).astype("float32"), RANDOM.normal(size=(44, 2)).astype("float32")


@pytest.fixture
def on_torch():
    if "torch" not in INSTALLED:
        pytest.skip("PyTorch is not installed")
    with nyala.backend("torch"):
        yield pytest.importorskip("torch")


@pytest.fixture
def on_jax():
    with nyala.backend("jax"):
        yield pytest.importorskip("optax")


def variables(values=START):
    return [nyala.Variable(w, name=f"v{i}") for i, w in enumerate(values)]


def run(optimizer, targets, gradients=GRADIENTS):
    for values in gradients:
        optimizer.apply([nyala.ops.convert_to_tensor(g) for g in values], targets)
    return [v.numpy() for v in targets]


def close(got, expected, rtol=1e-6):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)


def trained(optimizer, **options):
    """Weights and losses of a small network after two epochs of three batches, the last one short."""
    nyala.utils.set_random_seed(4)
    model = nyala.Sequential([nyala.layers.Dense(4, activation="tanh"), nyala.layers.Dense(2)])
    model.compile(optimizer, "mse")
    history = model.fit(X, Y, batch_size=16, epochs=2, verbose=0, **options).history["loss"]
    return [*model.get_weights(), np.array(history)], model


# PyTorch ----------------------------------------------------------------------------------------------------------------------------------

OF_TORCH = {
    "SGD": {"lr": 0.1},
    "SGD with momentum": {"lr": 0.1, "momentum": 0.8, "dampening": 0.4, "nesterov": False, "weight_decay": 0.1},
    "Adam": {"lr": 0.1, "amsgrad": True},
    "AdamW": {"lr": 0.1},
    "Rprop": {"lr": 0.1},
    "NAdam": {"lr": 0.1},
    "Adagrad": {"lr": 0.1, "initial_accumulator_value": 0.3},
}


def by_hand(torch, make, gradients=GRADIENTS):
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in START]
    rule = make(parameters)
    for values in gradients:
        for parameter, gradient in zip(parameters, values, strict=True):
            parameter.grad = None if gradient is None else torch.tensor(gradient)
        rule.step()
    return [p.detach().numpy() for p in parameters]


@pytest.mark.parametrize("name", OF_TORCH)
def test_rules_of_torch_and_their_files(on_torch, name):
    """The numbers of a loop by hand, also when the state goes through a file in the middle; values seen before do not change."""
    make = functools.partial(getattr(on_torch.optim, name.split()[0]), **OF_TORCH[name])
    expected = by_hand(on_torch, make)
    first, second, targets = optimizers.get(make), optimizers.get(make), variables()
    assert isinstance(first, optimizers.NativeOptimizer) and first.iterations.shape == ()
    seen = [v.value for v in targets]
    run(first, targets, GRADIENTS[:3])
    close([v.numpy() for v in seen], START, rtol=0)
    kept = [slot.value for slot in first.variables]
    frozen, store = [slot.numpy() for slot in first.variables], {}
    first.save_own_variables(store)
    others = variables([v.numpy() for v in targets])
    second.build(others)
    second.load_own_variables(store)
    close(run(first, targets, GRADIENTS[3:]), expected)
    close([slot.cpu().numpy() for slot in kept], frozen, rtol=0)
    close(run(second, others, GRADIENTS[3:]), expected)
    close([v.numpy() for v in second.variables], [v.numpy() for v in first.variables])
    fresh = optimizers.get(make)
    fresh.build(others)
    second.set_weights(fresh.get_weights())  # back to before the first step
    for variable, value in zip(others, START, strict=True):
        variable.assign(value)
    close(run(second, others), expected)


def test_groups_and_learning_rate(on_torch):
    def make(parameters):
        return on_torch.optim.SGD([{"params": parameters[:1], "lr": 0.1}, {"params": parameters[1:], "lr": 0.3}])

    optimizer, targets = optimizers.NativeOptimizer(make), variables()
    with pytest.raises(AttributeError, match="its rule is made with the first gradients"):
        optimizer.learning_rate  # noqa: B018
    run(optimizer, targets, GRADIENTS[:1])
    assert float(optimizer.learning_rate) == pytest.approx(0.1)
    optimizer.lr = 0.2
    run(optimizer, targets, GRADIENTS[1:2])
    rates = [(0.1, 0.2), (0.3, 0.6)]
    close([v.numpy() for v in targets], [w - r[0] * a - r[1] * b for w, r, a, b in zip(START, rates, *GRADIENTS[:2], strict=True)])


def test_what_is_around_a_rule_of_torch(on_torch):
    """Clipping, accumulation, averages and loss scaling are those of all optimizers; a missing gradient leaves a variable and its state."""
    make = functools.partial(on_torch.optim.SGD, lr=0.1)
    common = {"clipnorm": 0.5, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8, "loss_scale_factor": 4.0}
    ours, theirs = optimizers.SGD(0.1, **common), optimizers.NativeOptimizer(make, **common)
    close(run(theirs, a := variables()), run(ours, b := variables()))
    theirs.finalize_variable_values(a)
    ours.finalize_variable_values(b)
    close([v.numpy() for v in a], [v.numpy() for v in b])
    make = functools.partial(on_torch.optim.Adam, lr=0.1)
    gaps = [[None, g[1]] if i < 2 else g for i, g in enumerate(GRADIENTS)]
    optimizer, targets = optimizers.NativeOptimizer(make), variables()
    with pytest.warns(UserWarning, match="got no gradient for v0"):
        for values in gaps:
            optimizer.apply(values, targets)
    close([v.numpy() for v in targets], by_hand(on_torch, make, gaps))


def test_a_variable_that_takes_its_gradient(on_torch):
    targets = variables()
    targets[0].overwrite_with_gradient = True
    optimizer = optimizers.NativeOptimizer(functools.partial(on_torch.optim.Adam, lr=0.1))
    run(optimizer, targets, GRADIENTS[:1])
    close(targets[0].numpy(), GRADIENTS[0][0], rtol=0)
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate", "v1_step", "v1_exp_avg", "v1_exp_avg_sq"]


def test_fit_with_torch(on_torch):
    close(trained(functools.partial(on_torch.optim.Adam, lr=0.05, eps=1e-7))[0], trained(optimizers.Adam(0.05))[0], rtol=2e-5)
    callback = nyala.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    _, model = trained(on_torch.optim.SGD, callbacks=[callback])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.001 / 4)


# optax ------------------------------------------------------------------------------------------------------------------------------------


def test_rules_of_optax_and_their_files(on_jax):
    optax = on_jax
    chain = [optax.add_noise(0.1, 0.5, 3), optax.clip_by_global_norm(1.0), optax.adamw(0.1, mask=lambda tree: {k: k != "v1" for k in tree})]
    rule = optax.chain(*chain)
    values = {f"v{i}": w for i, w in enumerate(START)}
    state = rule.init(values)
    for gradients in GRADIENTS:
        updates, state = rule.update({f"v{i}": g for i, g in enumerate(gradients)}, state, values)
        values = optax.apply_updates(values, updates)
    first, targets = optimizers.get(rule), variables()
    run(first, targets, GRADIENTS[:3])
    store = {}
    first.save_own_variables(store)
    second, others = optimizers.get(rule), variables([v.numpy() for v in targets])
    second.build(others)
    second.load_own_variables(store)
    close(run(first, targets, GRADIENTS[3:]), values.values())
    step = nyala.jit(lambda *gradients: second.apply(gradients, others))
    for gradients in GRADIENTS[3:]:
        step(*map(nyala.ops.convert_to_tensor, gradients))
    assert step.traces == 1
    close([v.numpy() for v in others], values.values(), rtol=1e-5)


def test_fit_with_optax_compiles_once_and_its_rate_can_be_set(on_jax):
    expected, _ = trained(optimizers.Adam(0.05))
    weights, model = trained(on_jax.inject_hyperparams(on_jax.adam)(0.05, eps=1e-7))
    close(weights, expected, rtol=2e-5)
    programs = [program for key, program in model._programs.table.items() if key[1] == "train"]
    model.optimizer.learning_rate = 0.0
    before = model.get_weights()
    model.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    close(model.get_weights(), before, rtol=0)
    assert [program.traces for program in programs] == [1] * len(programs)
    common = {"clipvalue": 0.2, "gradient_accumulation_steps": 2, "use_ema": True, "ema_momentum": 0.8}
    native = optimizers.NativeOptimizer(on_jax.sgd(0.1), **common)
    close(trained(native)[0], trained(optimizers.SGD(0.1, **common))[0], rtol=2e-5)


def test_a_missing_gradient_leaves_the_variable(on_jax):
    optimizer, targets = optimizers.NativeOptimizer(on_jax.adam(0.1)), variables()
    with pytest.warns(UserWarning, match="got no gradient for v0"):
        optimizer.apply([None, GRADIENTS[0][1]], targets)
    close([targets[0].numpy()], START[:1], rtol=0)
    assert not np.allclose(targets[1].numpy(), START[1])


def test_a_rule_that_asks_for_more_than_gradients_is_refused(on_jax):
    model = nyala.Sequential([nyala.Input((3,)), nyala.layers.Dense(2)])
    model.compile(on_jax.lbfgs(), "mse")
    before = model.get_weights()
    with pytest.raises(TypeError, match=r"needs a transformation of gradients alone, got one that asks for more: .*value_fn"):
        model.fit(X, Y, verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_registered_function_can_be_saved(on_jax):
    @nyala.saving.register_keras_serializable("tests")
    def descent():
        return on_jax.sgd(0.5)

    optimizer = optimizers.NativeOptimizer(descent, clipnorm=2.0, name="o")
    restored = optimizers.deserialize(optimizers.serialize(optimizer))
    assert restored.get_config() == optimizer.get_config() and restored.clipnorm == 2.0
    close(run(restored, variables()), run(optimizers.SGD(0.5, clipnorm=2.0), variables()))


# Errors -----------------------------------------------------------------------------------------------------------------------------------


def test_errors_teach(on_torch):
    optim, zeros = on_torch.optim, on_torch.zeros(2)

    def late():
        optimizer = optimizers.NativeOptimizer(functools.partial(optim.SGD, lr=0.1), name="n")
        optimizer.build([nyala.Variable(0.0, name="known")])
        optimizer.apply([1.0], [nyala.Variable(0.0, name="late")])

    def built(rule):
        optimizers.NativeOptimizer(rule, name="n").build(variables())

    for call, text in [
        (
            lambda: optimizers.get(optim.SGD([zeros])),
            "NativeOptimizer(rule) needs what makes an optimizer of PyTorch, got a SGD that was made already.\n"
            "  why: it updates the parameters that it was made with, which are not those of the model\n"
            "  fix: pass a function: lambda parameters: torch.optim.SGD(parameters, lr=...)",
        ),
        (
            lambda: optimizers.NativeOptimizer(optim.SGD, weight_decay=0.1),
            "NativeOptimizer(weight_decay) needs None, got 0.1.\n  fix: give it to the rule",
        ),
        (
            lambda: optimizers.NativeOptimizer(5),
            "NativeOptimizer(rule) needs a transformation of optax, or a function that makes an optimizer, got 5.",
        ),
        (
            lambda: built(lambda parameters: None),
            "NativeOptimizer 'n' needs a function of parameters that returns a torch.optim.Optimizer, got None.",
        ),
        (
            lambda: built(optim.LBFGS),
            "NativeOptimizer 'n' needs an optimizer whose step takes gradients, got LBFGS.\n  why: it asks for the loss several times in a step",
        ),
        (
            lambda: built(lambda: None),
            "NativeOptimizer 'n' needs the engine 'jax', whose functions it calls, got the engine 'torch'.\n"
            "  fix: call nyala.set_backend('jax') first",
        ),
        (
            late,
            "NativeOptimizer 'n' needs the variables it was built for, got late.\n  why: its rule makes the state of all at once\n"
            "  fix: make a new one",
        ),
    ]:
        with pytest.raises((ValueError, TypeError, RuntimeError)) as error:
            call()
        assert str(error.value) == text
    with pytest.raises(TypeError, match="the config of NativeOptimizer 'n' needs a function that makes its rule, got"):
        optimizers.NativeOptimizer(functools.partial(optim.SGD, lr=0.1), name="n").get_config()
