# SPDX-License-Identifier: Apache-2.0
"""set_random_seed(n, deterministic=True): equal bits each time, and the engine is told."""

import numpy as np
import pytest

import nyala
from nyala.testing import installed_engines


@pytest.mark.parametrize("name", [engine.name for engine in installed_engines() if engine.differentiable])
def test_deterministic_training_gives_equal_bits(name):
    """Embeddings and convolutions are what adds up in any order on some devices."""
    layers = nyala.layers

    def run():
        nyala.utils.set_random_seed(11, deterministic=True)
        parts = [
            nyala.Input((7,), dtype="int32"),
            layers.Embedding(5, 3),
            layers.Conv1D(4, 3),
            layers.Dropout(0.3),
            layers.Flatten(),
            layers.Dense(1),
        ]
        model = nyala.Sequential(parts)
        model.compile("adam", "mse")
        x = np.random.default_rng(0).integers(0, 5, (32, 7))
        losses = model.fit(x, x.sum(1, keepdims=True) / 10, batch_size=8, epochs=2, verbose=0).history["loss"]
        return losses, model.get_weights()

    with nyala.backend(name):
        try:
            (losses, weights), (again, same) = run(), run()
        finally:
            nyala.utils.set_random_seed(0, deterministic=False)
    assert losses == again
    for a, b in zip(weights, same, strict=True):
        np.testing.assert_array_equal(a, b)


def test_pytorch_is_told_and_told_back():
    torch = pytest.importorskip("torch")
    with nyala.backend("torch"):
        nyala.utils.set_random_seed(1, deterministic=True)
        assert torch.are_deterministic_algorithms_enabled()
        nyala.utils.set_random_seed(1)
        assert torch.are_deterministic_algorithms_enabled()  # another seed leaves it as it is
        nyala.utils.set_random_seed(1, deterministic=False)
        assert not torch.are_deterministic_algorithms_enabled()
