# SPDX-License-Identifier: Apache-2.0
"""The small modules: dtypes, trees, masks, seeds, errors, names, lazy names, settings."""

import collections
import gc
import pickle
import subprocess
import sys

import numpy as np
import pytest

import nyala
from nyala import ops, tree
from nyala.core import config, dtypes, errors, masks, names, seeds
from nyala.core.errors import ArgumentError, DTypeError, LookupFailed, NyalaError, ShapeError, StructureError
from nyala.core.lazy import lazy
from tests.training.tools import raises

# dtypes --------------------------------------------------------------------------------------------------------------------------------


def test_names_of_dtypes():
    for given, name in [
        ("float32", "float32"),
        (None, "float32"),
        (np.float64, "float64"),
        (np.dtype("int8"), "int8"),
        (bool, "bool"),
        (int, "int64"),
        (float, "float32"),
        ("int", "int32"),
        ("float", "float32"),
        (complex, "complex64"),
        (str, "string"),
        (np.str_("a").dtype, "string"),
        (np.array(1, "uint16").dtype, "uint16"),
    ]:
        assert dtypes.standardize_dtype(given) == name
    with raises(DTypeError, f"dtype needs one of {', '.join(dtypes.DTYPES)}, got 'float31'.\n  fix: did you mean 'float32'?"):
        dtypes.standardize_dtype("float31")


def test_promotion_is_a_lattice():
    """Commutative, associative, idempotent; a Python number is weak; NumPy agrees among integers."""
    kinds = [*dtypes.INTEGERS, "bool", "float16", "bfloat16", "float32", "float64", "complex64", "int", "float"]
    for a in kinds:
        assert dtypes.promote(a) == dtypes.promote(a, a) == a
        for b in kinds:
            assert dtypes.promote(a, b) == dtypes.promote(b, a)
            for c in ("int8", "float16", "float", "uint32"):
                assert dtypes.promote(dtypes.promote(a, b), c) == dtypes.promote(a, dtypes.promote(b, c)) == dtypes.promote(a, b, c)
    for a in dtypes.INTEGERS:
        assert (dtypes.result_type(a, int), dtypes.result_type(a, float)) == (a, "float32")
        for b in dtypes.INTEGERS:
            if "uint64" not in (a, b):
                assert dtypes.promote(a, b) == np.promote_types(a, b).name
    assert dtypes.result_type("float16", "bfloat16") == "float32"
    assert dtypes.result_type("uint64", "int8") == "float32"
    assert dtypes.result_type() == "float32"
    assert dtypes.result_type(True, np.int8(1)) == "int8"


def test_settings():
    before = config.floatx(), config.epsilon(), config.image_data_format()
    try:
        config.set_floatx("float16")
        assert (nyala.Variable(1.0).dtype, dtypes.standardize_dtype(None), dtypes.result_type("int8", float)) == ("float16",) * 3
        config.set_epsilon(1e-3)
        config.set_image_data_format("channels_first")
        assert (config.epsilon(), config.standardize_data_format(None)) == (1e-3, "channels_first")
    finally:
        config.set_floatx(before[0])
        config.set_epsilon(before[1])
        config.set_image_data_format(before[2])
    with raises(ArgumentError, f"set_floatx(value) needs one of {config.FLOATS}, got 'float12'.\n  fix: use \"float32\" unless you know otherwise"):
        config.set_floatx("float12")
    with raises(ArgumentError, "set_epsilon(value) needs a number between 0 and 1, got 2."):
        config.set_epsilon(2)
    with raises(ArgumentError, "data_format needs one of ('channels_last', 'channels_first'), got 'last'."):
        config.standardize_data_format("last")


# Trees ---------------------------------------------------------------------------------------------------------------------------------

Point = collections.namedtuple("Point", "x y")
NESTED = {"b": [1, (2, 3)], "a": Point(4, {"z": 5, "y": None})}


def test_trees():
    assert tree.flatten(NESTED) == [4, None, 5, 1, 2, 3]
    assert [path for path, _ in tree.flatten_with_path(NESTED)] == [("a", 0), ("a", 1, "y"), ("a", 1, "z"), ("b", 0), ("b", 1, 0), ("b", 1, 1)]
    doubled = tree.map_structure(lambda v: None if v is None else v * 2, NESTED)
    assert doubled == {"b": [2, (4, 6)], "a": Point(8, {"z": 10, "y": None})}
    assert (type(doubled["a"]), list(doubled)) == (Point, ["b", "a"])
    assert tree.pack_sequence_as(NESTED, tree.flatten(NESTED)) == NESTED
    assert tree.map_structure(lambda a, b: a + b, [1, (2,)], (10, [20])) == [11, (22,)]
    assert tree.map_structure_up_to({"a": 0, "b": 0}, len, {"a": [1, 2], "b": ()}) == {"a": 2, "b": 0}
    assert tree.lists_to_tuples(NESTED)["b"] == (1, (2, 3))
    assert tree.traverse(lambda v: "cut" if isinstance(v, tuple) else None, NESTED)["b"] == [1, "cut"]
    assert tree.traverse(lambda v: tree.MAP_TO_NONE if v == 1 else None, [1, 2]) == [None, 2]
    assert tree.traverse(lambda v: sum(v) if isinstance(v, list) else None, [[1, 2], [3]], top_down=False) == 6
    ordered = collections.OrderedDict([("b", 1), ("a", 2)])
    assert tree.flatten(ordered) == [1, 2]
    assert tree.map_structure(str, collections.defaultdict(list, a=1)) == {"a": "1"}
    tree.assert_same_structure([1, {"a": 2}], ["x", {"a": "y"}])
    tree.assert_same_paths([1, 2], (3, 4))


def test_trees_that_differ():
    with raises(StructureError, "tree needs two trees of the same structure: here a list, got a dict."):
        tree.map_structure(max, [1], {"a": 1})
    with raises(StructureError, "tree needs two trees of the same structure: here 2 children, got 1 children."):
        tree.map_structure(max, [1, 2], [1])
    with raises(StructureError, "tree needs two trees of the same structure: here ['a'], got ['b']."):
        tree.map_structure(max, {"a": 1}, {"b": 1})
    with raises(StructureError, "tree needs two trees of the same structure: here a list, got a tuple."):
        tree.assert_same_structure([1], (1,))
    with raises(StructureError, "tree.pack_sequence_as needs 2 leaves for this structure, got 3."):
        tree.pack_sequence_as([0, 0], [1, 2, 3])
    with raises(StructureError, "tree.assert_same_paths needs two trees with equal paths, got [(0,)] and [(0,), (1,)]."):
        tree.assert_same_paths([1], [1, 2])


# Masks ---------------------------------------------------------------------------------------------------------------------------------


def test_masks_live_as_long_as_their_tensors(each_engine):
    before = len(masks._table)
    x, y = ops.convert_to_tensor(np.zeros((2, 3), "float32")), ops.convert_to_tensor(np.zeros((2, 3), "float32"))
    masks.set_mask(x, "mask")
    assert (masks.get_mask(x), masks.get_mask(y)) == ("mask", None)
    masks.set_mask(x, "other")
    assert masks.get_mask(x) == "other"
    masks.set_mask(x, None)
    assert masks.get_mask(x) is None
    masks.set_mask(y, "mask")
    del y
    gc.collect()
    assert len(masks._table) == before
    masks.set_mask(3, "no")  # numbers cannot carry one
    assert masks.get_mask(3) is None


# Seeds ---------------------------------------------------------------------------------------------------------------------------------


def test_seed_generators(each_engine):
    generator = nyala.random.SeedGenerator(2**33 + 5)
    first, second = (ops.convert_to_numpy(generator.next()).tolist() for _ in range(2))
    assert first != second
    again = nyala.random.SeedGenerator.from_config(generator.get_config())
    assert [ops.convert_to_numpy(again.next()).tolist() for _ in range(2)] == [first, second]
    assert generator.seed == 2**33 + 5
    assert ops.convert_to_numpy(nyala.random.SeedGenerator(5).next()).tolist() != first
    for bad in (-1, 1.5, "a"):
        with raises(ArgumentError, f"SeedGenerator(seed) needs an integer from 0, or None, got {bad!r}."):
            nyala.random.SeedGenerator(bad)
    with raises(ArgumentError, "seed needs an integer from 0, a SeedGenerator, a key of two uint32, or None, got -3."):
        seeds.draw_key(-3)


def test_the_seed_of_the_process():
    nyala.utils.set_random_seed(3)
    drawn = [seeds.draw_seed() for _ in range(3)]
    assert len(set(drawn)) == 3
    nyala.utils.set_random_seed(3)
    assert [seeds.draw_seed() for _ in range(3)] == drawn
    assert seeds.host_generator(7).permutation(5).tolist() == seeds.host_generator(7).permutation(5).tolist()


# Errors --------------------------------------------------------------------------------------------------------------------------------


def test_errors_have_four_parts():
    full = ShapeError("Dense 'd'", need="3 features", got="2", why="it was built with 3", fix="feed it 3")
    assert str(full) == "Dense 'd' needs 3 features, got 2.\n  why: it was built with 3\n  fix: feed it 3"
    assert str(ShapeError("x", need="a", got="b")) == "x needs a, got b."
    assert (full.where, full.need, full.got, full.why, full.fix) == ("Dense 'd'", "3 features", "2", "it was built with 3", "feed it 3")
    copy = pickle.loads(pickle.dumps(full))
    assert (type(copy), str(copy)) == (ShapeError, str(full))
    assert str(LookupFailed("x", need="a", got="b")) == "x needs a, got b."


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        ("ArgumentError", ValueError),
        ("ArgumentTypeError", TypeError),
        ("ShapeError", ValueError),
        ("AxisError", (ValueError, IndexError)),
        ("DTypeError", (TypeError, ValueError)),
        ("StructureError", ValueError),
        ("StateError", (RuntimeError, ValueError)),
        ("NotYetError", (errors.StateError, AttributeError)),
        ("LookupFailed", (ValueError, KeyError)),
    ],
)
def test_errors_are_pythons_too(kind, parents):
    kind = getattr(errors, kind)
    assert all(issubclass(kind, parent) for parent in (NyalaError, *(parents if isinstance(parents, tuple) else (parents,))))


# Names ---------------------------------------------------------------------------------------------------------------------------------


def test_names():
    for camel, snake in [
        ("Dense", "dense"),
        ("BatchNormalization", "batch_normalization"),
        ("Conv2D", "conv2d"),
        ("LSTM", "lstm"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
        ("PReLU", "p_re_lu"),
        ("ReLU", "re_lu"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("MyLayer_2", "my_layer_2"),
    ]:
        assert names.to_snake_case(camel) == snake
    prefix = "only_in_this_test"
    assert [names.auto_name(prefix) for _ in range(3)] == [prefix, f"{prefix}_1", f"{prefix}_2"]
    assert [nyala.backend.get_uid(prefix) for _ in range(2)] == [1, 2]
    with pytest.raises(RuntimeError), nyala.name_scope("a"):
        raise RuntimeError
    assert names.current_path() == ""
    with raises(errors.ArgumentTypeError, "name_scope(name) needs a string, got 3."):
        nyala.name_scope(3)


def test_lazy_names():
    getter, listing, public = lazy("nyala.made_up", {"exp": "math:", "root": "math:sqrt", "math": "math"})
    assert (getter("exp")(0.0), getter("root")(9.0), getter("math").pi > 3) == (1.0, 3.0, True)
    assert listing() == public == ["exp", "math", "root"]
    with pytest.raises(AttributeError, match=r"^module 'nyala.made_up' has no attribute 'rooot'; did you mean 'root'\?$"):
        getter("rooot")
    with pytest.raises(AttributeError, match=r"^module 'nyala.made_up' has no attribute 'zzz'$"):
        getter("zzz")


def test_importing_and_building_load_no_engine():
    code = (
        "import sys, nyala; from nyala import layers; model = nyala.Sequential([nyala.Input((3,)), layers.Dense(2), layers.LayerNormalization()]);"
        "model.compile('adam', 'mse', metrics=['accuracy']); model.summary(print_fn=lambda *a, **k: None); model.get_weights();"
        "print(sorted({'jax', 'torch', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
