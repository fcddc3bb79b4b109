# SPDX-License-Identifier: Apache-2.0
"""More configurations of convolutions and ConvLSTM, and ops that rearrange or pool images, against recorded answers of Keras.

tests/golden/make_convolutions.py asked; test_golden.py holds the questions about layers.
"""

import pytest

import nyala
from nyala import ops
from tests import test_golden
from tests.golden.store import read

CASES = read("convolutions")
LAYERS, OPS = ({name.partition("/")[2]: case for name, case in CASES.items() if name.startswith(kind)} for kind in ("layers/", "ops/"))
test_golden.CASES["layers"].update(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("question", ["outputs", "gradients", "contract"])
def test_layers(name, question):
    nyala.utils.clear_session(free_memory=False)
    getattr(test_golden, f"test_layer_{question}")(name)


@pytest.mark.parametrize("name", OPS)
def test_ops(name):
    case, x = OPS[name], nyala.Variable(OPS[name]["x"])
    function = lambda: getattr(ops, case["op"])(x.value, *case["others"], **case["options"])  # noqa: E731
    test_golden.close(function(), case["y"], f"ops/{name}", "values")
    (gradient,) = test_golden.gradients_of(lambda: ops.sum(ops.multiply(function(), case["cotangent"])), [x])
    test_golden.close(gradient, case["gradient"], f"ops/{name}", "gradient")
