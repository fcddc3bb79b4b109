# SPDX-License-Identifier: Apache-2.0
"""The table of a model: every character where it matters, and that it never needs data. Tables recorded from Keras are in the golden tests."""

import numpy as np
import pytest

import nyala
from nyala import layers
from nyala.core.errors import ArgumentError
from tests.models.tools import raises


def shown(model, **options):
    texts = []
    model.summary(print_fn=texts.append, **{"line_length": 80, **options})
    assert len(texts) == 1
    return texts[0]


def cells(text):
    """The rows of the table, with what wrapped joined again."""
    rows, current = [], []
    for line in text.splitlines():
        if line.startswith(("│", "┃")):
            current.append([cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")])
        elif current:
            rows.append([" ".join(filter(None, parts)) for parts in zip(*current, strict=True)])
            current = []
    return rows


def branched():
    x, y = nyala.Input((7, 3), name="x"), nyala.Input((5, 3), name="y")
    shared = layers.Dense(4, name="shared")
    sequence, h, c = layers.LSTM(3, return_state=True, name="lstm")(shared(x))
    inner = nyala.Sequential([nyala.Input((3,)), layers.Dense(2, name="a"), layers.Dropout(0.1, name="b")], name="inner")
    return nyala.Model([x, y], {"p": inner(sequence), "q": shared(y), "r": h + c}, name="branched")


def test_a_chain():
    model = nyala.Sequential(
        [nyala.Input((5,)), layers.Dense(7, name="a"), layers.BatchNormalization(name="norm"), layers.Dense(2, name="b")], name="chain"
    )
    assert shown(model, line_length=60) == (
        'Model: "chain"\n'
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓\n"
        "┃ Layer (type)             ┃ Output Shape      ┃   Param # ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩\n"
        "│ a (Dense)                │ (None, 7)         │        42 │\n"
        "├──────────────────────────┼───────────────────┼───────────┤\n"
        "│ norm                     │ (None, 7)         │        28 │\n"
        "│ (BatchNormalization)     │                   │           │\n"
        "├──────────────────────────┼───────────────────┼───────────┤\n"
        "│ b (Dense)                │ (None, 2)         │        16 │\n"
        "└──────────────────────────┴───────────────────┴───────────┘\n"
        " Total params: 86 (344.00 B)\n"
        " Trainable params: 72 (288.00 B)\n"
        " Non-trainable params: 14 (56.00 B)\n"
    )


def test_connections_shapes_and_types():
    assert cells(shown(branched(), line_length=120)) == [
        ["Layer (type)", "Output Shape", "Param #", "Connected to"],
        ["x (InputLayer)", "(None, 7, 3)", "0", "-"],
        ["shared (Dense)", "(None, 5, 4)", "16", "x[0][0], y[0][0]"],
        ["lstm (LSTM)", "[(None, 3), (None, 3), (None, 3)]", "96", "shared[0][0]"],
        ["y (InputLayer)", "(None, 5, 3)", "0", "-"],
        ["inner (Sequential)", "(None, 2)", "8", "lstm[0][0]"],
        ["add (Add)", "(None, 3)", "0", "lstm[0][1], lstm[0][2]"],
    ]


@pytest.mark.parametrize("length", [40, 80, 119, 120])
def test_lines_have_the_length_asked_for(length):
    lines = shown(branched(), line_length=length, show_trainable=True).splitlines()
    assert {len(line) for line in lines if line[0] in "┏┃┡│├└"} == {length}


def test_positions():
    model = nyala.Sequential([nyala.Input((5,)), layers.Dense(7)])
    for positions in ([0.5, 0.75, 1.0], [40, 60, 80]):
        assert shown(model, positions=positions).splitlines()[1].index("┳") == 40
    with raises(ArgumentError, "summary(positions) needs 3 ends of columns, got [0.5, 1.0]."):
        model.summary(positions=[0.5, 1.0])


def test_nested_and_trainable():
    model = branched()
    model.get_layer("inner").trainable = False
    rows = cells(shown(model, line_length=200, expand_nested=True, show_trainable=True))
    assert [(row[0], row[-1]) for row in rows if row[0].startswith(("inner", "└", "add", "shared"))] == [
        ("shared (Dense)", "Y"), ("inner (Sequential)", "N"), ("└ a (Dense)", "N"), ("└ b (Dropout)", "-"), ("add (Add)", "-"),
    ]  # fmt: skip
    assert "│    └ a (Dense)" in shown(model, line_length=200, expand_nested=True)


def test_layer_range():
    rows = cells(shown(branched(), layer_range=["shared", "inn.*"]))
    assert [row[0].split()[0] for row in rows[1:]] == ["shared", "lstm", "y", "inner"]
    with raises(ArgumentError, "summary(layer_range) needs the names of a first and a last layer, got ['x']."):
        branched().summary(layer_range=["x"])
    with pytest.raises(
        ArgumentError, match=r"summary\(layer_range\) needs names of layers of this model, got \['no', 'x'\]\.\n  fix: it has \['x', "
    ):
        branched().summary(layer_range=["no", "x"])


class Tower(nyala.Model):
    """A program of layers."""

    def __init__(self):
        super().__init__(name="tower")
        self.body = nyala.Sequential([layers.Dense(3, name="inside")], name="body")
        self.ends = [layers.Dense(2, name="end"), layers.Dropout(0.5, name="drop")]

    def call(self, x):
        x = self.body(x)
        for layer in self.ends:
            x = layer(x)
        return x


@pytest.mark.parametrize("begin", [lambda m: m(np.zeros((2, 5))), lambda m: m.build((None, 5))], ids=["call", "build"])
def test_subclasses_once_they_know_shapes(begin):
    model = Tower()
    assert [row[1:] for row in cells(shown(model))[1:]] == [["?", "0 (unbuilt)"], ["?", "0 (unbuilt)"], ["?", "0"]]
    begin(model)
    assert cells(shown(model, expand_nested=True))[1:] == [
        ["body (Sequential)", "(None, 3)", "18"], ["└ inside (Dense)", "(None, 3)", "18"], ["end (Dense)", "(None, 2)", "8"],
        ["drop (Dropout)", "(None, 2)", "0"],
    ]  # fmt: skip
    assert " Total params: 26 (104.00 B)\n" in shown(model)


def test_units_of_memory_and_the_optimizer():
    model = nyala.Sequential([nyala.Input((1000,)), layers.Dense(3000), layers.Dense(10, dtype="float16")])
    assert " Total params: 3,033,010 (11.51 MB)\n" in shown(model)
    model.compile("sgd", "mse")
    model.optimizer.build(model.trainable_variables)
    assert " Optimizer params: 2 (8.00 B)\n" in shown(model)


def test_it_prints(capsys):
    nyala.Sequential([nyala.Input((5,)), layers.Dense(7, name="[bold]")], name="m").summary()
    text = capsys.readouterr().out
    assert text.startswith('Model: "m"\n┏')
    assert "[bold] (Dense)" in text
