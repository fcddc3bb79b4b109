# SPDX-License-Identifier: Apache-2.0
"""JAX's shortcuts beyond values and first gradients, which `nyala.testing` compares: second gradients, tangents, and what they leave to the ops."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import nyala  # noqa: E402  after the skip
from nyala.core.errors import AxisError, ShapeError  # noqa: E402
from nyala.engines import get_engine  # noqa: E402

engine = get_engine("jax")


@pytest.fixture(autouse=True)
def on_jax():
    with nyala.backend("jax"):
        yield


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.mark.parametrize("shape, axis", [((7, 3), -1), ((4, 5, 3), 2), ((2, 3, 5, 4), 1), ((1, 6), 1)])
def test_batch_normalization_has_all_its_derivatives(shape, axis, random):
    x, direction, weights = (random.normal(size=shape) for _ in range(3))
    scale, offset = random.normal(size=(2, shape[axis]))

    def results(op):
        loss = lambda x, scale, offset: (op(x, axis, offset, scale)[0] ** 2 * weights).sum()  # noqa: E731
        first = jax.grad(loss, (0, 1, 2))
        second = jax.grad(lambda *values: sum((slope**2).sum() for slope in first(*values)), (0, 1, 2))
        forward = nyala.ops.linalg.jvp(lambda x, scale: op(x, axis, offset, scale)[0], (x, scale), (direction, scale))
        return *op(x, axis, offset, scale), *first(x, scale, offset), *jax.jit(second)(x, scale, offset), *forward

    with jax.enable_x64(True):
        found, expected = results(nyala.ops.nn.normalize_batch), results(nyala.ops.nn.normalize_batch.composed)
    assert found[0].dtype == np.float64
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_batch_normalization_leaves_what_it_does_not_know(random):
    """Shapes and axes that the op itself refuses, with its own words."""
    x = engine.asarray(random.normal(size=(4, 3)).astype("float32"))
    with pytest.raises(ShapeError, match=r"batch_normalization\(offset\) needs shape \(3,\)"):
        nyala.ops.nn.normalize_batch(x, -1, offset=np.zeros(4, "float32"))
    with pytest.raises(AxisError, match=r"normalize_batch\(axis\) needs an axis in \[-2, 2\)"):
        nyala.ops.nn.normalize_batch(x, 2)
