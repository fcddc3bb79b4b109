# SPDX-License-Identifier: Apache-2.0
"""Products of float32 matrices by oneDNN: the same values and gradients as PyTorch's own, and none where somebody else looks on."""

from __future__ import annotations

import contextlib

import pytest

import nyala

torch = pytest.importorskip("torch")
products = pytest.importorskip("nyala.engines._torch_products")

SHAPES = [((128, 784), 137), ((4, 32, 512), 67), ((7, 600), 541), ((2, 3, 64, 96), 83), ((3001, 131), 29), ((3001, 29), 131)]


@pytest.fixture(autouse=True)
def kernel(monkeypatch):
    """oneDNN's kernel, on whatever processor this is."""
    try:
        found = products._kernel or torch.ops.mkldnn._linear_pointwise.default
        found(torch.ones(2, 3), torch.ones(4, 3), None, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError, TypeError):
        pytest.skip("this build of PyTorch has no such kernel")
    monkeypatch.setattr(products, "_kernel", found)
    torch.manual_seed(7)
    with nyala.backend("torch"):
        yield


def close(got, expected):
    assert got.dtype == torch.float32 and got.shape == expected.shape
    assert (got - expected).abs().max() < 3e-6 * expected.abs().max()


@pytest.mark.parametrize(("shape", "columns"), SHAPES)
def test_value_gradient_and_second_gradient(shape, columns):
    x, y = torch.randn(*shape, requires_grad=True), torch.randn(shape[-1], columns, requires_grad=True)
    assert products.suits(x, y)
    weights, exact = torch.randn(*shape[:-1], columns), (x.double(), y.double())
    got, expected = nyala.engines.current().matmul(x, y), torch.matmul(*exact)
    close(got, expected)
    gradients = [torch.autograd.grad((out * out * weights).sum(), (x, y), create_graph=True) for out in (got, expected)]
    for a, b in zip(*gradients, strict=True):
        close(a, b)
    for a, b in zip(*(torch.autograd.grad(sum((part * part).mean() for part in parts), (x, y)) for parts in gradients), strict=True):
        close(a, b)


@pytest.mark.parametrize("made", ["transposed", "strided", "expanded", "rows strided"])
def test_factors_of_any_strides(made):
    x, y = torch.randn(130, 700), torch.randn(700, 500)
    x = torch.randn(700, 130).t() if made == "rows strided" else x
    if made == "transposed":
        y = torch.randn(500, 700).t()
    elif made == "strided":
        y = torch.randn(700, 1000)[:, ::2]
    elif made == "expanded":
        y = torch.randn(700, 1).expand(700, 500)
    assert products.suits(x, y)
    close(nyala.engines.current().matmul(x, y), x.double() @ y.double())


def test_many_gradients_at_once():
    x, y = torch.randn(64, 512), torch.randn(512, 128, requires_grad=True)
    many = torch.randn(3, 64, 128)
    (got,) = torch.autograd.grad(nyala.engines.current().matmul(x, y), y, many, is_grads_batched=True)
    close(got, torch.stack([x.double().t() @ g.double() for g in many]))


@pytest.mark.parametrize("how", ["small", "one row", "float64", "vmap", "autocast", "forward", "off", "subclass"])
def test_what_does_not_suit(how, monkeypatch):
    x, y = torch.randn(128, 784), torch.randn(784, 137)
    assert products.suits(x, y)
    around = {
        "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
        "forward": torch.autograd.forward_ad.dual_level,
    }.get(how, contextlib.nullcontext)
    if how in ("small", "one row"):
        x = x[:10] if how == "small" else torch.randn(1, 784)
        y = y if how == "small" else torch.randn(784, 5000)
    if how == "off":
        monkeypatch.setattr(torch._C, "_get_mkldnn_enabled", lambda: False)
    if how == "float64":
        x, y = x.double(), y.double()
    if how == "subclass":
        y = torch.nn.Parameter(y)
    with around():
        if how == "vmap":
            seen = []
            torch.func.vmap(lambda row: seen.append(products.suits(row, y)) or row)(torch.randn(2, 128, 784))
            assert seen == [False]
        else:
            assert not products.suits(x, y)
        assert nyala.engines.current().matmul(x, y).shape == (len(x), y.shape[1])


def test_a_wrong_gradient_would_be_seen(monkeypatch):
    monkeypatch.setattr(products, "_transposed_product", lambda x, y: torch.mm(x.t(), y).mul(1.001))
    with pytest.raises(AssertionError):
        test_value_gradient_and_second_gradient(*SHAPES[0])
