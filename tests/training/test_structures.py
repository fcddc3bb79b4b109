# SPDX-License-Identifier: Apache-2.0
"""Inputs, outputs, targets, weights, losses and metrics in trees of every kind: random ones against NumPy, then refusals. Start at model_of."""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import nyala
from nyala import layers
from nyala.core import tree
from nyala.core.errors import StructureError
from nyala.training.objectives import output_names
from tests.training.conftest import TRAIN
from tests.training.tools import X, Y, numbers, raises

ROWS, BATCH = 7, 5
WIDTHS = (3, 2, 5)  # of the inputs
HEADS = ((1,), (3,), (2, 5))  # shapes of one row of the outputs
ERRORS = {"mse": lambda y, p: np.mean((y - p) ** 2, -1), "mae": lambda y, p: np.mean(np.abs(y - p), -1)}


@st.composite
def structures(draw, leaves):
    """A random tree with these leaves; dicts are written in any order of their keys."""
    if len(leaves) == 1:
        return draw(st.sampled_from([leaves[0], [leaves[0]], {"k": leaves[0]}]))
    cut = draw(st.integers(1, len(leaves) - 1))
    parts = [leaves[:cut], leaves[cut:]] if draw(st.booleans()) else [[leaf] for leaf in leaves]
    children = [draw(structures(part)) if len(part) > 1 or draw(st.integers(0, 3)) == 0 else part[0] for part in parts]
    kind = draw(st.sampled_from([list, tuple, dict]))
    return dict(zip(draw(st.permutations("zyx"[: len(children)])), children, strict=True)) if kind is dict else kind(children)


def filled(structure, leaf):
    """The tree with leaf(number) in the place of each number."""
    return tree.map_structure(leaf, structure)


@st.composite
def questions(draw):
    """A model, what compile and evaluate get, and what must come out, all in random structures."""
    inputs = draw(structures(list(range(draw(st.integers(1, 3))))))
    outputs = draw(structures(list(range(draw(st.integers(1, 3))))))
    heads = sorted(tree.flatten(outputs))
    kinds = st.sampled_from(["same", "by name"])
    return {
        "inputs": inputs,
        "outputs": outputs,
        "feed": draw(kinds),
        "targets": draw(kinds),
        "losses": [draw(st.sampled_from(["mse", "mae"])) for _ in heads],
        "loss_form": draw(st.sampled_from(["same", "by name", "one"])),
        "loss_weights": draw(st.sampled_from([None, "same", "by name"])),
        "metrics": draw(st.sampled_from([None, "flat", "same", "by name"])),
        "weights": draw(st.sampled_from([None, "one", "same"])),
    }


def model_of(inputs, outputs):
    """Every head is linear in all the inputs joined; `parameters` are the kernels and biases by head."""
    ins = {i: nyala.Input((WIDTHS[i],), name=f"in{i}") for i in tree.flatten(inputs)}
    joined = layers.Concatenate()([ins[i] for i in sorted(ins)]) if len(ins) > 1 else ins[0]
    outs, parameters = {}, {}
    for i in tree.flatten(outputs):
        size = int(np.prod(HEADS[i]))
        dense = layers.Dense(size, name=f"out{i}" if len(HEADS[i]) == 1 else f"flat{i}")
        outs[i] = dense(joined) if len(HEADS[i]) == 1 else layers.Reshape(HEADS[i], name=f"out{i}")(dense(joined))
        parameters[i] = numbers(sum(WIDTHS[j] for j in ins), size, seed=10 + i), numbers(size, seed=20 + i)
        dense.set_weights(list(parameters[i]))
    return nyala.Model(filled(inputs, ins.get), filled(outputs, outs.get)), parameters


def check(question):
    inputs, outputs = question["inputs"], question["outputs"]
    model, parameters = model_of(inputs, outputs)
    heads = tree.flatten(outputs)  # in flat order
    names = dict(zip(heads, output_names(model, model.output), strict=True))
    x = {i: numbers(ROWS, WIDTHS[i], seed=i) for i in tree.flatten(inputs)}
    y = {i: numbers(ROWS, *HEADS[i], seed=30 + i) for i in heads}
    chosen = {i: "mse" if question["loss_form"] == "one" else question["losses"][i] for i in heads}
    factors = {i: 0.5 + i if question["loss_weights"] else 1.0 for i in heads}
    share = {i: np.abs(numbers(ROWS, seed=40 + (i if question["weights"] == "same" else 0))) if question["weights"] else np.ones(ROWS) for i in heads}

    def form(kind, leaf):
        return filled(outputs, leaf) if kind == "same" else {names[i]: leaf(i) for i in heads}

    if question["feed"] == "by name":
        assume(not isinstance(inputs, dict))
    feed = filled(inputs, x.get) if question["feed"] == "same" else {f"in{i}": x[i] for i in x}
    metrics = None if not question["metrics"] else ["mae"] if question["metrics"] == "flat" else form(question["metrics"], lambda i: ["mae"])
    assume(not (question["metrics"] == "flat" and len(outputs if isinstance(outputs, (list, tuple)) else "ab") == 1 and len(heads) > 1))
    model.compile(
        nyala.optimizers.SGD(0.01),
        "mse" if question["loss_form"] == "one" else form(question["loss_form"], chosen.get),
        loss_weights=question["loss_weights"] and form(question["loss_weights"], factors.get),
        metrics=metrics,
    )
    targets = form(question["targets"], y.get)
    weight = {None: None, "one": share[heads[0]], "same": filled(outputs, share.get)}[question["weights"]]
    got = model.evaluate(feed, targets, sample_weight=weight, batch_size=BATCH, verbose=0, return_dict=True)

    joined = np.concatenate([x[i] for i in sorted(x)], -1).astype("float64")
    predictions = {i: (joined @ parameters[i][0] + parameters[i][1]).reshape(ROWS, *HEADS[i]) for i in heads}
    losses = {i: np.mean(ERRORS[chosen[i]](y[i], predictions[i]).reshape(ROWS, -1).mean(-1) * share[i]) for i in heads}
    want = {"loss": sum(factors[i] * losses[i] for i in heads)}
    want |= {f"{names[i]}_loss": losses[i] for i in heads if len(heads) > 1}
    want |= {f"{names[i]}_mae" if len(heads) > 1 else "mae": np.mean(np.abs(y[i] - predictions[i])) for i in heads if metrics}
    assert got.keys() == want.keys()
    for name in want:
        assert got[name] == pytest.approx(want[name], rel=2e-4), name
    returned = model.predict(feed, verbose=0)
    alone = isinstance(outputs, (list, tuple)) and len(outputs) == 1
    tree.assert_same_structure(returned, outputs[0] if alone else outputs, check_types=False)
    for i, array in zip(heads, tree.flatten(returned), strict=True):
        np.testing.assert_allclose(array, predictions[i], rtol=1e-4, atol=1e-4)
    before = model.train_on_batch(feed, targets, weight, return_dict=True)["loss"]
    assert model.test_on_batch(feed, targets, weight, return_dict=True)["loss"] < before


EXAMPLES = {name: 8 if engine.compiles else 40 for engine in nyala.testing.installed_engines() if (name := engine.name) in TRAIN}


@pytest.mark.parametrize("name", EXAMPLES)
def test_random_structures(name):
    @settings(max_examples=EXAMPLES[name], derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(questions())
    def ask(question):
        check(question)

    with nyala.backend(name):
        ask()


def two(outputs):
    """Two heads of equal shape, so that nothing but a name can tell them apart."""
    x = nyala.Input((3,))
    heads = {"q": layers.Dense(1, name="q")(x), "p": layers.Dense(1, name="p")(x)}
    return nyala.Model(x, outputs(heads))


def test_a_list_never_follows_the_order_of_a_dict(eager):
    model = two(lambda heads: {"q": heads["q"], "p": heads["p"]})
    model.compile("sgd", "mse")
    why = "\n  why: there are outputs in a dict, and the sorted order of its keys is not the one they were written in"
    with raises(StructureError, f"the targets y needs a dict with the keys ['q', 'p'], got a list of 2.{why}"):
        model.fit(X, [Y, -Y], verbose=0)
    model.compile("sgd", ["mse", "mae"])
    with raises(StructureError, f"compile(loss) needs a dict with the keys ['q', 'p'], got a list of 2.{why}"):
        model.fit(X, {"p": Y, "q": -Y}, verbose=0)
    model = two(lambda heads: {"p": heads["p"], "q": heads["q"]})
    model.compile("sgd", ["mse", "mae"], metrics=["mae", "mse"])
    history = model.fit(X, [Y, -Y], verbose=0).history
    assert list(history) == ["loss", "p_loss", "q_loss", "p_mae", "p_mse", "q_mae", "q_mse"]  # a flat list and a dict: all for each


def test_inputs_are_bound_by_name_or_refused(eager):
    a, b = nyala.Input((3,), name="a"), nyala.Input((3,), name="b")
    difference = layers.Subtract()([a, b])
    model = nyala.Model({"b": b, "a": a}, difference, name="net")
    want = X - X[::-1]
    np.testing.assert_allclose(model.predict({"a": X, "b": X[::-1]}), want)
    text = "Model 'net' needs inputs named ['b', 'a'], got list.\n  why: dicts are bound by name\n  fix: pass a dict with these keys"
    with raises(StructureError, text):
        model.predict([X, X[::-1]])
    ordered = nyala.Model({"a": a, "b": b}, difference)
    np.testing.assert_allclose(ordered.predict([X, X[::-1]]), want)
    nested = nyala.Model([[b, a]], difference, name="nested")
    np.testing.assert_allclose(nested.predict([{"a": X, "b": X[::-1]}]), want)
    text = "Model 'nested' needs inputs[0] named ['b', 'a'], got ['c', 'a'].\n  why: dicts are bound by name, and 'b' is missing"
    text += "\n  fix: rename the keys to these"
    with raises(StructureError, text):
        nested.predict([{"c": X, "a": X}])


def test_names_of_outputs_are_never_alike(eager):
    x = nyala.Input((3,))
    same = layers.Dense(1, name="same")
    cases = {
        "shared": ([same(x), same(x)], ["same", "same_1"]),
        "equal keys": ({"b": {"v": layers.Dense(1)(x)}, "a": {"v": layers.Dense(1)(x)}}, ["a_v", "b_v"]),
        "a key below a list": ([layers.Dense(1, name="left")(x), {"right": layers.Dense(1)(x)}], ["left", "right"]),
    }
    for outputs, names in cases.values():
        model = nyala.Model(x, outputs)
        assert output_names(model, model.output) == names
        model.compile("sgd", "mse")
        history = model.fit(X, tree.map_structure(lambda _: Y, outputs), verbose=0).history
        assert list(history) == ["loss", *(f"{name}_loss" for name in names)]


def test_a_list_of_lists_of_targets(eager):
    model = two(lambda heads: [[heads["p"]], [heads["q"]]])
    model.compile("sgd", [["mse"], ["mae"]])
    start = model.get_weights()
    nested = model.fit(X, [[Y], [-Y]], shuffle=False, verbose=0).history
    model.set_weights(start)
    model.compile("sgd", {"p": "mse", "q": "mae"})
    assert model.fit(X, {"q": -Y, "p": Y}, shuffle=False, verbose=0).history == nested


def test_targets_that_stand_alone_belong_to_the_only_loss():
    """loss=[f, None], as models that hand out their inner states are compiled."""
    x = nyala.Input((3,))
    inner = layers.Dense(4, name="inner")(x)
    for outputs, loss in (([layers.Dense(1, name="a")(inner), inner], ["mse", None]), ({"a": layers.Dense(1)(inner), "b": inner}, {"a": "mse"})):
        model = nyala.Model(x, outputs)
        model.compile("sgd", loss)
        a, y = np.random.default_rng(0).normal(size=(7, 3)).astype("float32"), np.ones((7, 1), "float32")
        first = model.predict(a, verbose=0)
        expected = float(np.mean((nyala.tree.flatten(first)[0] - y) ** 2))
        assert model.evaluate(a, y, verbose=0) == pytest.approx(expected, rel=1e-5)
        model.fit(a, y, batch_size=3, verbose=0)
    model = nyala.Model(x, [layers.Dense(1)(inner), inner])
    model.compile("sgd", "mse")
    with pytest.raises(StructureError, match="the targets y needs one for each of the outputs"):
        model.fit(a, y, verbose=0)
