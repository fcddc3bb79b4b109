# SPDX-License-Identifier: Apache-2.0
"""The graph and Function: which nodes are needed, in what order they run."""

import numpy as np

import nyala
from nyala import layers, ops
from nyala.core.errors import StateError
from nyala.models.graph import Graph
from tests.models.tools import close, raises


def test_only_what_the_outputs_need(normal):
    x = nyala.Input((3,))
    needed = layers.Activation("tanh", name="needed")(x)
    layers.Dense(2, name="beside")(needed)
    graph = Graph([x], [needed])
    assert [op.name for op in graph.operations] == [x.name, "needed"]
    a = normal(2, 3)
    close(graph.run([a])[0], np.tanh(a))


def test_nodes_come_after_those_they_depend_on():
    x = nyala.Input((3,))
    left = x
    for _ in range(5):
        left = left + 1.0
    output = ops.multiply(left, x - 1.0)
    graph = Graph([x], [output])
    place = {id(node): i for i, node in enumerate(graph.nodes)}
    assert all(place[id(parent)] < place[id(node)] for node in graph.nodes for parent in node.parents)


def test_it_can_begin_at_tensors_inside(normal):
    x = nyala.Input((3,))
    middle = layers.Dense(2)(x)
    graph = Graph([middle], [middle * 3.0])
    a = normal(5, 2)
    close(graph.run([nyala.ops.convert_to_tensor(a)])[0], 3.0 * a)


def test_an_input_may_be_an_output(normal):
    x, y = nyala.Input((3,)), nyala.Input((2,))
    a, b = normal(5, 3), normal(5, 2)
    outputs = nyala.Model([x, y], [y, x * 1.0, x])([a, b])
    for value, want in zip(outputs, (b, a, a), strict=True):
        close(value, want)


def test_several_outputs_of_one_layer_in_any_order(normal):
    class Parts(layers.Layer):
        def call(self, x):
            return {"low": x - 1.0, "high": [x + 1.0, x + 2.0]}

    x = nyala.Input((3,))
    parts = Parts()(x)
    a = normal(2, 3)
    high, low = nyala.Model(x, [parts["high"][1], parts["low"]])(a)
    close(high, a + 2.0)
    close(low, a - 1.0)


def test_function(normal):
    x, y = nyala.Input((3,)), nyala.Input((3,))
    function = nyala.Function({"x": x, "y": y}, [x - y, x * 2.0])
    a, b = normal(2, 3), normal(2, 3)
    first, second = function({"x": nyala.ops.convert_to_tensor(a), "y": nyala.ops.convert_to_tensor(b)})
    close(first, a - b)
    close(second, a * 2.0)
    with raises(
        StateError,
        f"Function 'function_1' needs outputs that are computed from its inputs, got an output that depends on "
        f"{y.name!r} (None, 3), which is not among the inputs.\n"
        f"  why: the way back from the output is subtract_1 <- {y.name}\n"
        f"  fix: add that Input to inputs=, or connect 'subtract_1' to an input of this model",
    ):
        nyala.Function(x, x - y)


def test_a_shared_layer_sees_its_inputs_in_the_order_of_keras(normal):
    """The order was recorded with Keras 3.15.1; what a BatchNormalization has learned at last depends on it."""
    ran = []

    class Logs(layers.Layer):
        def call(self, x):
            ran.append(self.name)
            return x

        def compute_output_shape(self, shape):
            return shape

    inputs = [nyala.Input((3,)) for _ in range(3)]
    a, b, c = (Logs(name=name)(x) for name, x in zip("abc", inputs, strict=True))
    forked = nyala.Model(inputs, [Logs(name="o")(layers.add([c, Logs(name="d")(b)])), Logs(name="e")(a)])
    ran.clear()
    forked([normal(2, 3)] * 3)
    assert ran == ["b", "c", "d", "a", "e", "o"]

    shared = layers.BatchNormalization(momentum=0.5, scale=False, center=False)
    values = [np.full((2, 3), value, "float32") for value in (8.0, 16.0, 32.0)]
    siamese = nyala.Model(inputs, [shared(x) for x in inputs])
    siamese(values, training=True)
    np.testing.assert_allclose(shared.moving_mean.numpy(), ((0 + 32) / 2 / 2 + 16 / 2) / 2 + 8 / 2)  # the last one first
