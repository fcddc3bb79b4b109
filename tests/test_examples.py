# SPDX-License-Identifier: Apache-2.0
"""The examples run, quickly, on each engine that trains, and draw what they did; in full, by hand, they reach what they promise."""

import contextlib
import datetime
import importlib
import pathlib
import re
import sys
import warnings

import numpy as np
import pytest

import nyala
from nyala.testing import installed_engines

pytest.importorskip("matplotlib")
FOLDER = pathlib.Path(__file__).parent.parent / "examples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "def main(" in path.read_text(encoding="utf-8"))
QUICK = next((engine.name for engine in installed_engines() if engine.differentiable and not engine.compiles), None)


@pytest.fixture
def example(monkeypatch):
    """Load an example as its folder's scripts see each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in (*NAMES, "drawing"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_and_draws(name, example, tmp_path, capsys):
    picture = tmp_path / "picture.png"
    with nyala.backend(QUICK or "jax"), warnings.catch_warnings():
        warnings.simplefilter("error")
        found = example(name).main(["--quick", "--picture", str(picture)])
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert str(picture) in capsys.readouterr().out
    assert all(np.isfinite(np.asarray(value, "float64")).all() for value in found.values())


def test_every_script_is_an_example_or_shared():
    assert {path.stem for path in FOLDER.glob("*.py")} - set(NAMES) <= {"drawing"}
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [name for name in NAMES if f"| [{name}]({name}.py) |" not in page] == []


def test_the_loop_of_reinforcement_compiles_once_for_each_function(example, tmp_path):
    if "jax" not in [engine.name for engine in installed_engines()]:
        pytest.skip("needs an engine that compiles")
    with nyala.backend("jax"):
        found = example("reinforcement").main(["--quick", "--picture", str(tmp_path / "picture.png")])
    assert found["traces"] == (1, 1)


def test_the_cart_obeys_mechanics(example):
    """With no pole to speak of, the cart moves as a force moves a mass; an upright pole that is pushed falls to the other side."""
    module = example("reinforcement")
    module.POLE = 1e-9
    state = np.zeros((2, 4), "float32")
    for _ in range(10):
        state = module.moved(state, np.array([True, False]))
    np.testing.assert_allclose(state[:, 1], [10 * 0.02 * 10.0, -10 * 0.02 * 10.0], rtol=1e-5)
    assert state[0, 2] < 0 < state[1, 2]
    stands = np.array([[True, True], [True, False], [True, False]])
    np.testing.assert_allclose(module.returns_of(stands), [[1 + 0.99 * (1 + 0.99), 1], [1 + 0.99, 0], [1, 0]])


# What the pictures and numbers of the examples rest on: their data, and what they are compared with ---------------------------------------


def test_reviews_mean_what_their_labels_say(example):
    module = example("text_classification")
    texts, labels = module.reviews(400, seed=3)
    assert len(set(texts)) == len(texts) and labels.mean() == 0.5
    words = {"thing": f"(?:the )?(?:{'|'.join([*module.THINGS, *module.PARTS])})", "word": f"(?:{'|'.join(module.GOOD + module.BAD)})"}
    clause = re.compile("|".join(form.format(**words) for form in module.NEGATED + module.PLAIN))
    for text, label in zip(texts, labels[:, 0], strict=True):
        (main,) = [found for found in clause.findall(text) if set(found.split()) & set(module.THINGS)]
        denied = bool({"not", "nobody", "anything", "never"} & set(main.split()))
        assert bool(set(main.split()) & set(module.GOOD)) != denied if label else bool(set(main.split()) & set(module.BAD)) != denied, text


def test_dates_are_spelled_as_they_are(example):
    module = example("translation")
    read = dict.fromkeys(["%d %B %Y", "%B %d, %Y", "%A, %d %b %Y", "the %d of %B %Y", "%b %d '%y", "%d.%m.%Y", "%A %d/%m/%y"], 0)
    for text, answer in zip(*module.pairs(300, seed=5), strict=True):
        assert len(text) <= module.LONGEST
        for form in read:
            with contextlib.suppress(ValueError):
                date = datetime.datetime.strptime(re.sub(r"(?<=\d)(st|nd|rd|th)\b", "", text), form)
                year = date.year - 100 if date.year > 2049 else date.year  # what %y makes of 50 to 68
                assert f"{year}-{date:%m-%d}" == answer
                read[form] += 1
    assert sum(read.values()) >= 300 and min(read.values()) > 20


def test_shapes_are_where_the_classes_say(example):
    module = example("segmentation")
    images, classes = module.pictures(20, seed=0)
    assert images.shape == (20, 48, 48, 1) and set(np.unique(classes)) == {0, 1, 2, 3}
    assert module.overlap(classes, classes) == [1.0] * 4
    half = np.where(np.arange(48) < 24, classes, 0)
    for kind, found in enumerate(module.overlap(classes, half)[1:], 1):
        assert found == pytest.approx((half == kind).sum() / (classes == kind).sum())
    down, right = np.mgrid[-15:15:0.1, -15:15:0.1]
    areas = [module.inside(kind, right, down, 8.0).sum() / 100 for kind in module.NAMES[1:]]
    assert areas == pytest.approx([np.pi * 64, 14.4**2, 16.8**2 / 2], rel=0.02)


def test_windows_and_their_linear_forecast(example):
    module = example("forecasting")
    series = module.blood_cells(300)
    past, future = module.together(module.windows(series))
    assert past.shape == (300 - 48 - 24 + 1, 48, 1) and future.shape == (len(past), 24)
    for start in (0, 7, len(past) - 1):
        np.testing.assert_array_equal(np.concatenate([past[start, :, 0], future[start]]), series[start : start + 72])
    wave = np.sin(np.arange(300) / 7) + 0.3 * np.cos(np.arange(300) / 3)  # a sum of waves is a linear function of its past
    past, future = module.together(module.windows(wave))
    np.testing.assert_allclose(module.linear(past[:100], future[:100], past), future, atol=1e-6)


def test_the_transformer_does_not_look_ahead_and_the_table_counts(example):
    module = example("transformer")
    with nyala.backend("numpy"):
        model = module.transformer(11)
        random = np.random.default_rng(0)
        tokens = random.integers(0, 11, (2, module.LENGTH))
        changed = np.where(np.arange(module.LENGTH) < 20, tokens, random.integers(0, 11, tokens.shape))
        first, second = model.predict(tokens), model.predict(changed)
    np.testing.assert_allclose(first[:, :20], second[:, :20], atol=1e-5)
    assert np.abs(first[:, 20:] - second[:, 20:]).max() > 0.01
    x, y = module.windows(np.arange(200), stride=10)
    np.testing.assert_array_equal(y, x + 1)
    text = random.integers(0, 4, 20000).tolist()
    assert module.table_bits(text, text[:3000], 4) < 2.0 < module.table_bits(text, random.integers(0, 4, 3000).tolist(), 4) < 2.05
    assert module.table_bits([0, 1, 2, 3] * 500, [0, 1, 2, 3] * 100, 4) < 0.05


def test_what_networks_are_compared_with(example):
    random = np.random.default_rng(0)
    images = random.normal(size=(40, 8, 8))
    components = example("autoencoder").principal_components
    np.testing.assert_allclose(components(images, images, 40), images, atol=1e-8)
    errors = [np.mean((components(images, images, number) - images) ** 2) for number in (2, 8, 16, 32)]
    assert errors == sorted(errors, reverse=True)
    module = example("classification")
    np.testing.assert_array_equal(module.nearest(images, np.arange(40), images[::-1] + 0.01), np.arange(40)[::-1])
    module = example("tabular")
    mean, spread, truth = random.normal(size=7), np.exp(random.normal(size=7)), random.normal(size=7)
    density = np.exp(-0.5 * ((truth - mean) / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
    surprise = module.surprise(truth[:, None].astype("float32"), np.stack([mean, np.log(spread)], 1).astype("float32"))
    np.testing.assert_allclose(np.asarray(surprise), -np.log(density) - 0.5 * np.log(2 * np.pi), rtol=1e-4, atol=1e-5)
