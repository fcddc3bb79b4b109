# SPDX-License-Identifier: Apache-2.0
"""plot_model and model_to_dot: what the pictures say, that nothing overlaps, and who draws them."""

import re
import stat
import sys
import xml.etree.ElementTree as ElementTree

import pytest

import nyala
from nyala import layers, utils
from nyala.core.errors import ArgumentError, StateError
from nyala.utils.layout import place
from tests.training.tools import raises

SVG = "{http://www.w3.org/2000/svg}"
FULL = {"show_shapes": True, "show_dtype": True, "show_layer_names": True, "show_layer_activations": True, "show_trainable": True}


@pytest.fixture(autouse=True)
def no_graphviz(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)


def branched():
    inner = nyala.Sequential([nyala.Input((5,)), layers.Dense(3, "relu", name="first"), layers.Dense(2, name="second")], name="inner")
    a, b = nyala.Input((5,), name="a"), nyala.Input((5,), name="b")
    frozen = layers.Dense(2, name="frozen")
    x = layers.Add(name="sum")([inner(a), frozen(b)])
    model = nyala.Model([a, b], [layers.Dense(1, "softmax", name="out<1>")(nyala.ops.exp(x)), layers.Reshape((2, 1), name="side")(x)], name="net")
    frozen.trainable = False
    return model


def drawn(model, path, **options):
    utils.plot_model(model, path, **options)
    return ElementTree.parse(path).getroot()


def texts(root):
    return [element.text for element in root.iter(f"{SVG}text")]


def outlines(root):
    """(x, y, width, height) of each box and frame."""
    rects = [rect for rect in root.iter(f"{SVG}rect") if rect.get("fill") == "none"]
    return [tuple(float(rect.get(name)) for name in ("x", "y", "width", "height")) for rect in rects]


def apart(a, b):
    return a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]


def inside(a, b):
    return b[0] <= a[0] and b[1] <= a[1] and a[0] + a[2] <= b[0] + b[2] and a[1] + a[3] <= b[1] + b[3]


def test_a_picture_says_what_was_asked_for(tmp_path):
    model = branched()
    assert texts(drawn(model, tmp_path / "m.svg"))[:3] == ["InputLayer", "InputLayer", "Sequential"]
    shown = texts(drawn(model, tmp_path / "m.svg", **FULL))
    start = shown.index("frozen (Dense)")
    assert shown[start : start + 6] == [
        "frozen (Dense)", "Activation: linear", "Input shape: (None, 5)", "Output shape: (None, 2)", "Output dtype: float32", "Non-trainable",
    ]  # fmt: skip
    assert "Input shape: [(None, 2), (None, 2)]" in shown
    assert "out<1> (Dense)" in shown
    assert "first (Dense)" not in shown
    shown = texts(drawn(model, tmp_path / "m.svg", expand_nested=True, show_layer_names=True))
    assert {"inner", "first (Dense)", "second (Dense)"} <= set(shown)
    assert "inner (Sequential)" not in shown
    assert texts(drawn(model, tmp_path / "m.svg", layer_range=("sum", "exp"), show_layer_names=True)) == ["sum (Add)", "exp (Exp)"]


@pytest.mark.parametrize("rankdir", ["TB", "BT", "LR", "RL"])
def test_boxes_stand_apart_and_in_the_order_of_the_data(tmp_path, rankdir):
    root = drawn(branched(), tmp_path / "m.svg", rankdir=rankdir, expand_nested=True, **FULL)
    boxes = outlines(root)
    assert len(boxes) == 10  # nine layers and the frame of inner
    assert all(apart(a, b) or inside(a, b) or inside(b, a) for i, a in enumerate(boxes) for b in boxes[:i])
    left, top, width, height = map(float, root.get("viewBox").split())
    assert all(inside(box, (left, top, width, height)) for box in boxes)
    arrows = [path.get("d") for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == 8
    axis, sign = (0 if rankdir in ("LR", "RL") else 1), (1 if rankdir in ("TB", "LR") else -1)
    for arrow in arrows:
        numbers = [float(number) for number in re.findall(r"-?\d+\.?\d*", arrow)]
        assert sign * (numbers[-2:][axis] - numbers[:2][axis]) > 0
        for end in (numbers[:2], numbers[-2:]):
            assert any(end[0] == pytest.approx(x + w * p, abs=0.11) and end[1] == pytest.approx(y + h * q, abs=0.11)
                       for x, y, w, h in boxes for p, q in ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1)))  # fmt: skip


def test_chains_subclasses_and_layers_called_twice(tmp_path):
    chain = nyala.Sequential([nyala.Input((3,)), layers.Dense(2, name="a"), layers.Dense(1, name="b")])
    assert texts(drawn(chain, tmp_path / "m.svg", show_layer_names=True)) == ["a (Dense)", "b (Dense)"]

    class Own(nyala.Model):
        def __init__(self):
            super().__init__(name="own")
            self.dense = layers.Dense(2)

        def call(self, x):
            return self.dense(x)

    model = Own()
    with raises(StateError, "a picture of Own 'own' needs a built model, got one that is not.\n  fix: call it on data, or begin with an Input"):
        utils.plot_model(model, tmp_path / "m.svg")
    model.build((None, 3))
    assert texts(drawn(model, tmp_path / "m.svg", show_shapes=True)) == ["Own", "Input shape: ?", "Output shape: ?"]
    shared, x = layers.Dense(3, name="shared"), nyala.Input((3,), name="x")
    twice = nyala.Model(x, shared(layers.ReLU(name="between")(shared(x))))
    root = drawn(twice, tmp_path / "m.svg", show_layer_names=True)
    assert sorted(texts(root)) == ["between (ReLU)", "shared (Dense)", "x (InputLayer)"]
    assert len([path for path in root.iter(f"{SVG}path") if path.get("marker-end")]) == 3


def test_long_arrows_pass_between_the_boxes():
    placed = place([(100, 20)] * 4, [(0, 1), (1, 2), (2, 3), (0, 3)])
    assert [y for _, y in placed.bends[0, 3]] == [64, 84, 128, 148]  # straight beside the rows it passes
    for x, y in placed.bends[0, 3]:
        assert all(abs(x - cx) > 50 or abs(y - cy) > 10 for cx, cy in placed.centres)
    assert place([], []).width == 0


def test_few_arrows_cross():
    placed = place([(10, 10)] * 6, [(0, 5), (1, 4), (2, 3)])
    order = [placed.centres[i][0] for i in (0, 1, 2)], [placed.centres[i][0] for i in (5, 4, 3)]
    assert sorted(range(3), key=order[0].__getitem__) == sorted(range(3), key=order[1].__getitem__)


def test_without_graphviz_another_suffix_becomes_svg(tmp_path, capsys):
    assert utils.plot_model(branched(), tmp_path / "m.png") is None
    assert capsys.readouterr().out == f"Graphviz is not installed: the picture is written to {tmp_path / 'm.svg'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["m.svg"]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in is a shell script")
def test_graphviz_draws_where_it_is(tmp_path, monkeypatch):
    program = tmp_path / "dot"
    program.write_text('#!/bin/sh\necho "$1"\ncat\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr("shutil.which", lambda name: str(program))
    utils.plot_model(branched(), tmp_path / "m.pdf", expand_nested=True, dpi=72, **FULL)
    written = (tmp_path / "m.pdf").read_text()
    assert written.startswith("-Tpdf\ndigraph G {\nrankdir=TB;\n")
    assert 'label="inner";' in written
    assert "<b>out&lt;1&gt;</b> (Dense)" in written
    program.write_text("#!/bin/sh\necho no such format >&2\nexit 1\n")
    with raises(StateError, "plot_model needs Graphviz to draw a .xyz, got no such format.\n  fix: try to_file='model.svg'"):
        utils.plot_model(branched(), tmp_path / "m.xyz")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pydot 4.0 calls pyparsing by old names
def test_the_language_of_graphviz(tmp_path):
    utils.plot_model(branched(), tmp_path / "m.dot", show_layer_names=True)
    written = (tmp_path / "m.dot").read_text()
    assert written.count(" -> ") == 7
    pydot = pytest.importorskip("pydot")
    graph = utils.model_to_dot(branched(), show_shapes=True, rankdir="LR", dpi=90)
    assert isinstance(graph, pydot.Dot)
    assert (graph.get_rankdir(), graph.get_dpi(), len(graph.get_edges())) == ("LR", "90", 7)
    assert isinstance(utils.model_to_dot(branched(), subgraph=True), pydot.Subgraph)


def test_errors(tmp_path):
    with raises(ArgumentError, "plot_model(rankdir) needs 'TB', 'BT', 'LR' or 'RL', got 'XX'."):
        utils.plot_model(branched(), tmp_path / "m.svg", rankdir="XX")
    with raises(ArgumentError, "plot_model needs arguments that it has, got 'show_shape'.\n  fix: see help(nyala.utils.plot_model)"):
        utils.plot_model(branched(), tmp_path / "m.svg", show_shape=True)
