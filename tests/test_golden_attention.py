# SPDX-License-Identifier: Apache-2.0
"""More configurations of attention, normalization and EinsumDense, and polar, rearrange and CTC, against recorded answers of Keras.

tests/golden/make_attention.py asked; test_golden.py holds the questions about layers.
"""

import numpy as np
import pytest

import nyala
from nyala import ops
from tests import test_golden
from tests.golden.store import read

CASES = read("attention")
LAYERS, OPS, LOSSES = (
    {name.partition("/")[2]: case for name, case in CASES.items() if name.startswith(kind)} for kind in ("layers/", "ops/", "losses/")
)
test_golden.CASES["layers"].update(LAYERS)
test_golden.MISSHAPEN.add("EinsumDense/trailing")  # Keras says (None, 7, None, 5), and returns (2, 7, 5)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("question", ["outputs", "gradients", "contract"])
def test_layers(name, question):
    nyala.utils.clear_session(free_memory=False)
    if question == "gradients" and LAYERS[name]["cotangents"] is None:
        pytest.skip("no gradients recorded")
    getattr(test_golden, f"test_layer_{question}")(name)


@pytest.mark.parametrize("name", OPS)
def test_ops(name):
    case = OPS[name]
    outputs = getattr(ops, case["op"])(*case["inputs"], **case["options"])
    outputs = [test_golden.as_array(x) for x in (outputs if isinstance(outputs, tuple) else [outputs])]
    outputs = [np.stack([x.real, x.imag]) if np.iscomplexobj(x) else x for x in outputs]
    test_golden.all_close(outputs, case["outputs"], f"ops/{name}", "outputs")


@pytest.mark.parametrize("name", LOSSES)
def test_ctc_loss(name):
    case = LOSSES[name]
    scores = nyala.Variable(case["scores"])

    def loss():
        return ops.ctc_loss(output=scores.value, **case["inputs"])

    test_golden.close(loss(), case["loss"], f"losses/{name}", "loss")
    (gradient,) = test_golden.gradients_of(lambda: ops.sum(ops.multiply(loss(), case["cotangent"])), [scores])
    test_golden.close(gradient, case["gradient"], f"losses/{name}", "gradient")
