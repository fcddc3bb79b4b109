# SPDX-License-Identifier: Apache-2.0
"""Rearrangements: reshape, permute, join, split, repeat, pad."""

import numpy as np
import pytest

from nyala import ops
from nyala.ops import convert_to_numpy as array
from tests.ops.table import Row, checks, different, fixed, integers, normal

X, EMPTY = [normal(2, 3, 5)], fixed(np.zeros((0, 3)))
THREE_AXES = "\n  why: the tensor has 3 axes"
EQUAL = "\n  why: the tensors are joined along that axis only"


def padded(x, pad_width, mode="constant", constant_values=None):
    return np.pad(
        x, pad_width, mode="constant" if mode == "empty" else mode, **({} if constant_values is None else {"constant_values": constant_values})
    )


def flat_split(function):
    return lambda x, indices_or_sections, **k: [np.asarray(part) for part in function(x, indices_or_sections, **k)]


ROWS = [
    Row(
        "reshape",
        lambda x, newshape: np.reshape(x, newshape),
        X,
        [{"newshape": s} for s in ((5, 6), (-1,), (2, -1, 3), (3, 10, 1))],
        more=[([EMPTY], {"newshape": (3, 0)})],
        unknown=False,
        errors=[
            ([normal(2, 3)], {"newshape": (4,)}, "reshape needs a new shape of 6 elements, as (2, 3) has, got (4,).\n  why: (4,) has 4"),
            (
                [normal(2, 3)],
                {"newshape": (4, -1)},
                "reshape needs a new shape of 6 elements, as (2, 3) has, got (4, -1).\n  why: 6 is not a multiple of 4",
            ),
            ([normal(2, 3)], {"newshape": (-1, -1)}, "reshape(newshape) needs sizes of at least 0, and -1 at most once, got (-1, -1)."),
        ],
    ),
    Row("reshape", lambda x, newshape: np.reshape(x, newshape), X, [{"newshape": (-1, 5)}, {"newshape": -1}]),
    Row("ravel", np.ravel, X),
    Row(
        "transpose",
        np.transpose,
        X,
        [{}, {"axes": (2, 0, 1)}, {"axes": (-1, 0, 1)}],
        errors=[([normal(2, 3)], {"axes": (0, 0)}, "transpose(axes) needs each of the 2 axes once, got (0, 0).")],
    ),
    Row("moveaxis", np.moveaxis, X, [{"source": 0, "destination": -1}, {"source": (0, 1), "destination": (2, 0)}]),
    Row(
        "swapaxes",
        np.swapaxes,
        X,
        [{"axis1": 0, "axis2": -1}],
        errors=[(X, {"axis1": 0, "axis2": 3}, "axis2 needs an axis in [-3, 3), got 3." + THREE_AXES)],
    ),
    Row("expand_dims", np.expand_dims, X, [{"axis": 0}, {"axis": -1}, {"axis": (0, 2)}, {"axis": (-1, 1)}]),
    Row(
        "squeeze",
        np.squeeze,
        [normal(1, 3, 1)],
        [{}, {"axis": 0}, {"axis": -1}, {"axis": (0, 2)}],
        unknown=False,
        errors=[([normal(1, 3)], {"axis": 1}, "squeeze(axis) needs axes of size 1, got axis 1 of shape (1, 3).")],
    ),
    Row(
        "broadcast_to",
        np.broadcast_to,
        [normal(2, 1, 3)],
        [{"shape": (5, 2, 7, 3)}],
        unknown=False,
        errors=[
            (
                [normal(2, 3)],
                {"shape": (2, 5)},
                "broadcast_to needs a shape that (2, 3) broadcasts to, got (2, 5).\n  why: from the last axis on, each size must be equal or 1",
            )
        ],
    ),
    Row(
        "concatenate",
        lambda xs, axis=0: np.concatenate(xs, axis),
        [[normal(2, 3), normal(5, 3)]],
        more=[([[normal(2, 3), normal(2, 5), normal(2, 0)]], {"axis": -1})],
        errors=[
            ([[normal(2, 3), normal(3, 2)]], {}, "concatenate needs shapes that are equal but for axis 0, got (2, 3) and (3, 2)." + EQUAL),
            ([[normal(2, 3), normal(2)]], {"axis": 1}, "concatenate needs shapes that are equal but for axis 1, got (2, 3) and (2,)." + EQUAL),
            ([[]], {}, "concatenate needs at least one tensor, got none."),
        ],
    ),
    Row("concatenate", lambda xs: np.concatenate(xs), [[integers(2, 3), normal(5, 3)]], takes=""),
    Row(
        "stack",
        lambda x, axis=0: np.stack(x, axis),
        [[normal(2, 3), normal(2, 3)]],
        [{}, {"axis": 1}, {"axis": -1}],
        errors=[
            (
                [[normal(2), normal(3)]],
                {},
                "stack needs tensors of one shape, got (2,) and (3,).\n  why: the new axis counts the tensors; the others are shared",
            )
        ],
    ),
    Row("append", lambda a, b, axis=None: np.append(a, b, axis), [normal(2, 3), normal(5, 3)], [{}, {"axis": 0}]),
    *(
        Row(name, getattr(np, name), [[normal(*shape), normal(*shape)]], unknown=False)
        for name in ("hstack", "vstack", "dstack")
        for shape in ((), (3,), (2, 3), (2, 3, 5))
    ),
    Row(
        "split",
        flat_split(np.split),
        [normal(6, 4)],
        [
            {"indices_or_sections": 3},
            {"indices_or_sections": [2, 3]},
            {"indices_or_sections": [1, -1], "axis": 1},
            {"indices_or_sections": [5, 2, 9]},
        ],
        unknown=False,
        errors=[
            (
                [normal(5)],
                {"indices_or_sections": 2},
                "split needs a number of sections that divides the size 5 of axis 0, got 2.\n"
                "  fix: choose a number that divides it, give indices, or use array_split",
            )
        ],
    ),
    Row(
        "array_split",
        flat_split(np.array_split),
        [normal(7, 4)],
        [{"indices_or_sections": 3}, {"indices_or_sections": 3, "axis": -1}, {"indices_or_sections": [2]}],
        unknown=False,
    ),
    *(
        Row(name, flat_split(getattr(np, name)), [normal(4, 6, 2)], [{"indices_or_sections": 2}, {"indices_or_sections": [1]}], unknown=False)
        for name in ("hsplit", "vsplit", "dsplit")
    ),
    Row("tile", lambda x, repeats: np.tile(x, repeats), [normal(2, 3)], [{"repeats": 2}, {"repeats": (2, 1)}, {"repeats": (2, 1, 3)}]),
    Row(
        "repeat",
        np.repeat,
        [normal(2, 3)],
        [{"repeats": 2}, {"repeats": 3, "axis": -1}, {"repeats": [2, 0, 1], "axis": 1}],
        errors=[([normal(3)], {"repeats": [1, 2]}, "repeat(repeats) needs one number, or one for each of the 3 elements, got shape (2,).")],
    ),
    Row("flip", np.flip, X, [{}, {"axis": 1}, {"axis": (0, -1)}]),
    Row("fliplr", np.fliplr, X),
    Row("flipud", np.flipud, X),
    Row("roll", np.roll, X, [{"shift": 2}, {"shift": -1, "axis": 1}, {"shift": (1, 7), "axis": (0, 2)}, {"shift": 4, "axis": (0, 2)}]),
    Row("roll", lambda x, shift, axis: np.roll(x, int(shift), axis), [normal(2, 5), fixed(-3), 1], takes=""),
    Row("rot90", np.rot90, X, [{"k": k} for k in range(-1, 4)] + [{"axes": (2, 0)}]),
    Row(
        "pad",
        padded,
        [normal(2, 3)],
        [{"pad_width": w} for w in (1, (1, 2), ((1, 2), (0, 3)))]
        + [{"pad_width": 1, "constant_values": 2.5}, {"pad_width": ((1, 2), (0, 1)), "constant_values": (1.0, 2.0)}],
        errors=[
            ([normal(2)], {"pad_width": -1}, "pad(pad_width) needs widths of at least 0, got -1.\n  fix: cut with a slice: x[1:-1]"),
            (
                [normal(2)],
                {"pad_width": 1, "mode": "around"},
                "pad(mode) needs one of ('constant', 'empty', 'linear_ramp', 'edge', 'reflect', "
                "'symmetric', 'wrap', 'maximum', 'mean', 'median', 'minimum'), got 'around'.",
            ),
        ],
    ),
    Row(
        "pad",
        padded,
        [different(3, 5)],
        [{"pad_width": (2, 1), "mode": m} for m in ("edge", "reflect", "symmetric", "wrap", "linear_ramp", "maximum", "mean", "median", "minimum")],
        takes="float",
        unknown=False,
    ),
]
globals().update(checks(ROWS))


@pytest.mark.parametrize(
    ("dtype", "value", "held"), [("uint8", -1, 255), ("int8", 200, -56), ("bool", 2, True), ("int32", -1, -1), ("float32", 1, 1.0)]
)
def test_what_pads_is_held_as_the_dtype_holds_it(dtype, value, held):
    with_one = array(ops.pad(np.ones(2, dtype), 1, constant_values=value))
    with_pairs = array(ops.pad(np.ones(2, dtype), 1, constant_values=((value, 0),)))
    assert (with_one.tolist(), with_pairs.tolist(), with_one.dtype) == ([held, 1, 1, held], [held, 1, 1, 0], dtype)
