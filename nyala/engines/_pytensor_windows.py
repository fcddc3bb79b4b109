# SPDX-License-Identifier: Apache-2.0
"""Contractions, convolution, pooling, complex numbers and random bits on variables of PyTensor; gradients of windows are windows. Start at conv.

Adds to the table of `_pytensor_ops.py`.
"""

from __future__ import annotations

# The annotations of PyTensor know variables, but not what tensors can do:
# pyright: reportArgumentType=false, reportAssignmentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportGeneralTypeIssues=false
# pyright: reportIncompatibleMethodOverride=false, reportIndexIssue=false, reportMissingImports=false, reportMissingModuleSource=false
# pyright: reportOperatorIssue=false, reportOptionalMemberAccess=false, reportPrivateImportUsage=false, reportReturnType=false
import math
from typing import Any

import pytensor.tensor as pt
from pytensor.graph.basic import Variable

from nyala.engines._pytensor_ops import TABLE, add_to_table, broadcast_to, constant, kind_of, reshape, unbroadcast
from nyala.engines._pytensor_primitives import gradient, primitive
from nyala.engines._pytensor_values import as_variable
from nyala.engines.protocol import Shape

# Contractions and windows -----------------------------------------------------------------------------------------------------------


def matmul(x: Variable, y: Variable) -> Variable:
    x, y = as_variable(x), as_variable(y)
    if kind_of(x) not in "fc":
        return primitive("matmul")(x, y)
    if x.type.ndim > 2 and y.type.ndim == 2:  # one product of rows, whose gradients are such ones, too
        *lead, inner = x.type.shape
        return reshape(pt.dot(reshape(x, (math.prod(lead), inner)), y), (*lead, y.type.shape[1]))
    return pt.dot(x, y) if x.type.ndim == y.type.ndim == 2 else pt.matmul(x, y)


def einsum(equation: str, *operands: Variable) -> Variable:
    return primitive("einsum", equation)(*operands)


@gradient("einsum")
def _of_einsum(inputs: list, outputs: list, upstream: list, equation: str) -> list:
    """Each gradient is the product of what came from above with the other operands; letters of one operand alone are repeated."""
    given, result = equation.split("->")
    letters, found = given.split(","), []
    for i, (own, x) in enumerate(zip(letters, inputs, strict=True)):
        others = [*letters[:i], *letters[i + 1 :], result]
        shared = "".join(letter for letter in own if any(letter in other for other in others))
        g = primitive("einsum", f"{','.join(others)}->{shared}")(*inputs[:i], *inputs[i + 1 :], upstream[0])
        sizes = [n if letter in shared else 1 for letter, n in zip(own, x.type.shape, strict=True)]
        found.append(broadcast_to(reshape(g, tuple(sizes)), x.type.shape))
    return found


def conv(x: Variable, kernel: Variable, *settings: Any) -> Variable:
    return primitive("conv", *settings)(x, kernel)


def conv_input_gradient(g: Variable, kernel: Variable, *settings: Any) -> Variable:
    return primitive("conv_input_gradient", *settings)(g, kernel)


def conv_kernel_gradient(x: Variable, g: Variable, *settings: Any) -> Variable:
    return primitive("conv_kernel_gradient", *settings)(x, g)


@gradient("conv")
def _of_conv(inputs: list, outputs: list, upstream: list, *settings: Any) -> list:
    (x, kernel), (g,) = inputs, upstream
    return [conv_input_gradient(g, kernel, x.type.shape, *settings), conv_kernel_gradient(x, g, kernel.type.shape, *settings)]


@gradient("conv_input_gradient")
def _of_conv_input_gradient(inputs: list, outputs: list, upstream: list, shape: Shape, *settings: Any) -> list:
    (g, kernel), (u,) = inputs, upstream
    return [conv(u, kernel, *settings), conv_kernel_gradient(u, g, kernel.type.shape, *settings)]


@gradient("conv_kernel_gradient")
def _of_conv_kernel_gradient(inputs: list, outputs: list, upstream: list, shape: Shape, *settings: Any) -> list:
    (x, g), (u,) = inputs, upstream
    return [conv_input_gradient(g, u, x.type.shape, *settings), conv(x, u, *settings)]


def max_pool(x: Variable, *settings: Any) -> Variable:
    return primitive("max_pool", *settings)(x)


def sum_pool(x: Variable, *settings: Any) -> Variable:
    return primitive("sum_pool", *settings)(x)


@gradient("max_pool")
def _of_max_pool(inputs: list, outputs: list, upstream: list, *settings: Any) -> list:
    return [primitive("pool_put", *settings)(inputs[0], outputs[0], upstream[0])]


@gradient("pool_put")
def _of_pool_put(inputs: list, outputs: list, upstream: list, *settings: Any) -> list:
    return [None, None, primitive("pool_take", *settings)(inputs[0], inputs[1], upstream[0])]


@gradient("pool_take")
def _of_pool_take(inputs: list, outputs: list, upstream: list, *settings: Any) -> list:
    return [None, None, primitive("pool_put", *settings)(inputs[0], inputs[1], upstream[0])]


@gradient("sum_pool")
def _of_sum_pool(inputs: list, outputs: list, upstream: list, *settings: Any) -> list:
    return [primitive("pool_spread", inputs[0].type.shape, *settings)(upstream[0])]


@gradient("pool_spread")
def _of_pool_spread(inputs: list, outputs: list, upstream: list, shape: Shape, *settings: Any) -> list:
    return [primitive("sum_pool", *settings)(upstream[0])]


add_to_table(matmul, einsum, conv, conv_input_gradient, conv_kernel_gradient, max_pool, sum_pool)


# Complex numbers, Fourier transforms, random bits -----------------------------------------------------------------------------------

for _name in ("complex", "real", "imag"):
    TABLE[_name] = primitive(_name)


@gradient("complex")
def _of_complex(inputs: list, outputs: list, upstream: list) -> list:
    return [unbroadcast(primitive(part)(upstream[0]), x) for part, x in zip(("real", "imag"), inputs, strict=True)]


@gradient("real")
def _of_real(inputs: list, outputs: list, upstream: list) -> list:
    return [primitive("complex")(upstream[0], pt.zeros_like(upstream[0]))]


@gradient("imag")
def _of_imag(inputs: list, outputs: list, upstream: list) -> list:
    return [primitive("complex")(pt.zeros_like(upstream[0]), upstream[0])]


def fft(x: Variable, axis: int) -> Variable:
    return primitive("fft", axis)(x)


def ifft(x: Variable, axis: int) -> Variable:
    return primitive("ifft", axis)(x)


@gradient("fft")
def _of_fft(inputs: list, outputs: list, upstream: list, axis: int) -> list:
    back = primitive("ifft", axis)(upstream[0])
    return [primitive("multiply")(back, constant(back.type.shape[axis], back))]


@gradient("ifft")
def _of_ifft(inputs: list, outputs: list, upstream: list, axis: int) -> list:
    back = primitive("fft", axis)(upstream[0])
    return [primitive("multiply")(back, constant(1 / max(back.type.shape[axis], 1), back))]


def random_bits(key: Variable, shape: Shape) -> Variable:
    return primitive("random_bits", tuple(shape))(key)


add_to_table(fft, ifft, random_bits)
