# SPDX-License-Identifier: Apache-2.0
"""What the tests of engines share."""

import pytest

import nyala


@pytest.fixture(scope="module")
def kernels_of_jax():
    """The engine JAX on a CPU for which there are kernels."""
    pytest.importorskip("jax")
    from nyala.engines import _jax_kernels as kernels

    with nyala.backend("jax"):
        nyala.ops.add(1, 1)
        if not kernels.available():
            pytest.skip(kernels.problem() or "this is no CPU")
        yield
