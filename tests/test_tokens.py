"""Rows of tokens on the grid of the picture, and the blocks that put them out."""

import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.decoding import decoded, stored
from zoo import ZOO, Attends, Patches, Stage, data

from fm_callback import FeatureMapCallback, FeatureMapExtractor
from fm_callback.capture.capture import Capture
from fm_callback.capture.find import find, input_specs
from fm_callback.capture.select import select


def rows_of(count: int, *before: keras.Layer) -> keras.Model:
    """A layer "tokens" with a row of so many cells, behind others with maps."""
    inputs = keras.Input((12, 12, 3))
    maps = [layer(inputs) for layer in before]
    pooled = [layers.GlobalAveragePooling2D()(each) for each in maps]
    facts = layers.Concatenate()([*pooled, layers.GlobalAveragePooling2D()(inputs)])
    tokens = layers.Reshape((count, 4))(layers.Dense(4 * count)(facts))
    return keras.Model(inputs, layers.LayerNormalization(name="tokens")(tokens))


def sized(size: int, name: str | None = None) -> keras.Layer:
    return layers.Conv2D(2, 13 - size, name=name)


def grid(model: keras.Model, given: Any = None, layers: Any = ("tokens",)) -> Any:
    return Capture(model, data(1, *model.input_shape[1:]), list(layers), "all", given).plans[0].grid


@pytest.mark.parametrize("prefix", [0, 1, 8])
def test_the_grid_is_that_of_the_map_before(prefix: int) -> None:
    assert grid(rows_of(25 + prefix, sized(11), sized(5))) == (5, 5, prefix)


def test_a_map_that_is_no_convolutions_is_taken_where_no_convolution_has_it() -> None:
    assert grid(rows_of(16, layers.AveragePooling2D(3))) == (4, 4, 0)
    assert grid(rows_of(24, layers.Resizing(4, 6), layers.Conv2D(2, (10, 5)))) == (3, 8, 0)
    assert grid(rows_of(145)) == (12, 12, 1), "the picture itself"


def test_maps_that_come_later_say_nothing() -> None:
    before = rows_of(16)
    later = layers.Conv2D(2, 1, name="later")(layers.Reshape((4, 4, 4))(before.output))
    with pytest.warns(
        RuntimeWarning, match=r"no map of the model has as many cells .* 'tokens' \(16\).*`grid=\(height, width\)`"
    ):
        assert grid(keras.Model(before.input, later)) is None


def test_signals_and_texts_stay_rows_and_nothing_is_said() -> None:
    model = keras.Sequential([keras.Input((16, 3)), layers.Conv1D(4, 1), layers.ReLU(name="tokens")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert grid(model) is None
        assert grid(rows_of(16, sized(4)), {"tokens": None}) is None


def test_several_grids_are_refused_and_a_given_one_is_taken() -> None:
    model = rows_of(36, layers.Conv2D(2, (10, 1), name="wide"), sized(6))
    with pytest.raises(
        ValueError, match=re.escape("36 tokens of layer 'tokens' may lie on a grid of 3×12 behind 0 or 6×6 behind 0")
    ):
        grid(model)
    assert grid(model, (6, 6)) == (6, 6, 0)
    assert grid(model, {"tok*": (4, 9)}) == (4, 9, 0)
    assert grid(model, {"tokens": (5, 7)}) == (5, 7, 1)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((5, 5), r"`grid`=\(5, 5\) fits no chosen layer; they have 'tokens' \(36 tokens\)"),
        ({"tokens": (3, 9)}, r"does not fit layer 'tokens': it has 36 tokens, and up to 8 may stand before"),
        (
            {"token": (6, 6)},
            r"is called 'token', as in `grid`; did you mean 'tokens'\? There are: 'tokens' \(36 tokens\)",
        ),
    ],
)
def test_a_grid_that_does_not_fit_says_what_there_is(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        grid(rows_of(36, sized(6)), given)


@pytest.mark.parametrize("given", [14, (14,), (14, 0), (14.0, 14), "14x14", {"a": 14}, {1: (2, 2)}])
def test_what_is_no_grid_is_refused_at_once(given: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`grid` must be the height and width"):
        FeatureMapCallback(data(1, 4, 4, 3), tmp_path, grid=given)


def test_tokens_are_logged_as_maps_of_the_picture_and_what_is_left_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    animal = ZOO["vision_transformer"]()
    masks = np.zeros((2, 12, 20), int)
    masks[:, :8, 4:12] = 1  # two by two of the patches of four
    callback = FeatureMapCallback(animal.samples, tmp_path, masks=masks, layers="blocks", images=False)
    animal.fit(callback, verbose=2)
    assert "2 tokens before those of the picture left out, in 3 of 3 layers" in capsys.readouterr().out
    entry = stored(tmp_path / "feature_maps")[1]["block_1"]
    facts = entry.facts
    assert (facts.shape, facts.map, facts.planar, facts.prefix, facts.number) == ((3, 5, 8), (3, 5), True, 2, None)
    truth = animal.maps()["block_1"]
    assert np.abs(decoded(entry) - truth).max() <= 0.51 * np.ptp(truth.reshape(-1, 8), axis=0).max() / 255 + 1e-5
    inside = np.zeros((2, 3, 5), bool)
    inside[:, :2, 1:3] = True
    for channel in range(8):
        pairs = truth[inside][:, channel][:, None], truth[~inside][:, channel]
        expected = (np.greater(*pairs) + np.equal(*pairs) / 2).mean()
        assert abs(entry.table[channel, facts.fields.index("mask_auroc")] - expected) < 0.02


def test_the_extractor_lays_tokens_out_too() -> None:
    animal = ZOO["vision_transformer"]()
    maps = FeatureMapExtractor(animal.model, ["norm"], grid={"norm": (5, 3)})(animal.samples)["norm"]
    row = ops.convert_to_numpy(animal.model(animal.samples, training=False))
    np.testing.assert_allclose(maps, row[:, 2:].reshape(-1, 5, 3, 8), atol=1e-5)


def chosen(model: keras.Model) -> list[str]:
    return [entry.info.path for entry in select(find(model, input_specs(model)).found, "blocks")]


class Down(keras.Layer):
    """A block of a U-Net: others stand between it and the next."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.a, self.norm = layers.Conv2D(3, 1), layers.BatchNormalization()

    def call(self, inputs: Any) -> Any:
        return self.norm(self.a(inputs))


def test_blocks_are_the_innermost_that_follow_each_other() -> None:
    patches = Patches(1, name="patches")
    stages = [
        Stage([Attends(name=f"b{which}") for which in range(count)], name=f"s{at + 1}")
        for at, count in enumerate((1, 2, 1))
    ]
    model = keras.Sequential([keras.Input((8, 8, 3)), patches, *stages])
    assert chosen(model) == ["s1/b0", "s2/b0", "s2/b1", "s3/b0"]


def test_blocks_between_which_others_stand_are_the_outermost_that_are_repeated() -> None:
    steps = [Down(name="down_0"), layers.MaxPooling2D(), Down(name="down_1"), layers.Conv2D(2, 1)]
    assert chosen(keras.Sequential([keras.Input((8, 8, 3)), *steps])) == ["down_0", "down_1"]


class Tells(Attends):
    """Returns its attention, too."""

    def call(self, inputs: Any) -> Any:
        value = super().call(inputs)
        return value, ops.mean(value, -1)


def test_of_a_block_that_returns_several_tensors_the_first_is_shown() -> None:
    inputs, told, maps = keras.Input((8, 8, 3)), [Tells(name=f"block_{at}") for at in range(2)], []
    value = Patches(1, name="patches")(inputs)
    for block in told:
        value, _ = block(value)
        maps.append(value)
    model, samples = keras.Model(inputs, value), data(2, 8, 8, 3)
    truth = keras.Model(inputs, maps)(samples)
    shown = FeatureMapExtractor(model, "blocks")(samples)
    assert list(shown) == ["block_0", "block_1"]
    for expected, found in zip(truth, shown.values(), strict=True):
        np.testing.assert_allclose(found, ops.convert_to_numpy(expected)[:, 1:].reshape(2, 2, 2, 8), atol=1e-5)


def test_dropout_between_blocks_and_shared_blocks() -> None:
    towers = [keras.Sequential([layers.Conv2D(3, 1), layers.ReLU()], name=f"tower_{at}") for at in range(2)]
    steps = [towers[0], layers.Dropout(0.5), towers[1], towers[1]]
    assert chosen(keras.Sequential([keras.Input((8, 8, 3)), *steps[:3]])) == ["tower_0", "tower_1"]


def test_a_model_without_blocks_says_so_and_a_layer_of_that_name_comes_first() -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1, name="conv"), layers.ReLU(name="relu")])
    with pytest.raises(ValueError, match=r"`layers`='blocks' takes layers that are made of layers.*It has: conv, relu"):
        chosen(model)
    named = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(2, 1, name="blocks")])
    assert chosen(named) == ["blocks"]
