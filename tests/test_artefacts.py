"""Periods, borders, disorder and channels that are alike: maps that have them by construction, and such as do not."""

import keras
import numpy as np
import pytest

from fm_callback import FeatureMapCallback, open_log
from fm_callback.scores.activations import Activations
from fm_callback.scores.artefacts import Lines, alike, ring


def smooth(rng, shape=(3, 8, 32, 40)):
    """Noise of which neighbours are alike, about 128."""
    noise = rng.normal(size=shape)
    for axis in (2, 3):
        for _ in range(4):
            noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    return noise / noise.std()


def levels(values):
    return (128 + 30 * values).clip(0, 255).astype(np.uint8)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("period", [2, 3, 4])
def test_a_pattern_of_a_period_is_told_from_a_smooth_map_and_from_noise(rng, period):
    pattern = (np.add.outer(np.arange(32), np.arange(40)) % period == 0) * 2.0
    assert Lines(levels(smooth(rng) + pattern)).bump(period) > 0.1
    assert Lines(levels(smooth(rng) * (1 + pattern))).bump(period) > 0.02, "its strength may follow the picture"
    assert Lines(levels(smooth(rng))).bump(period) < 0.03
    assert abs(Lines(levels(rng.normal(size=(3, 8, 32, 40)))).bump(period)) < 0.03


def test_what_repeats_is_told_of_signals_and_volumes_too(rng):
    pattern = np.arange(64) % 2
    assert Lines(levels(rng.normal(size=(2, 4, 64)) * 0.1 + pattern)).bump(2) > 0.5
    assert Lines(levels(rng.normal(size=(2, 4, 8, 64, 9)) * 0.1 + pattern[:, None])).bump(2) > 0.1
    assert np.isnan(Lines(levels(rng.normal(size=(2, 4)))).bump(2))
    assert np.isnan(Lines(levels(rng.normal(size=(2, 4, 5, 5)))).bump(2)) and np.isnan(
        Lines(levels(smooth(rng))).bump(0)
    )


def test_coherence_is_lost_where_cells_are_put_into_another_order(rng):
    maps = levels(smooth(rng))
    assert Lines(maps).coherence > 0.7
    shuffled = maps.reshape(3, 8, -1)[:, :, rng.permutation(32 * 40)].reshape(maps.shape)
    assert abs(Lines(shuffled).coherence) < 0.05


def test_coherence_is_the_correlation_of_neighbours(rng):
    maps = levels(smooth(rng, (1, 1, 12, 12)))
    values = maps[0, 0] - maps[0, 0].mean()
    expected = [np.mean(values[:, :-1] * values[:, 1:]), np.mean(values[:-1] * values[1:])] / np.mean(values**2)
    assert Lines(maps).coherence == pytest.approx(np.mean(expected), abs=1e-5)


def test_a_border_that_answers_otherwise(rng):
    maps = smooth(rng)
    assert ring(levels(maps)) < 0.03
    maps[:, :, [0, -1]] -= 2
    maps[..., [0, -1]] -= 2
    assert ring(levels(maps)) > 0.3
    assert np.isnan(ring(np.full((2, 3, 9, 9), 7, np.uint8)))


def test_channels_that_show_the_same_bright_or_dark(rng):
    maps = levels(rng.normal(size=(3, 8, 32, 40)))
    maps[:, 3], maps[:, 5] = maps[:, 0], 255 - maps[:, 1]
    numbers = np.tile(np.float32([-1, 1, 0, 0.5, 0.3, 0, 0]), (8, 1))
    assert alike(Activations.of(maps, numbers)) == 4 / 8
    maps[:, 6:] = 0
    numbers[6:] = 0
    assert alike(Activations.of(maps, numbers)) == 4 / 6, "what shows nothing is not counted"


def test_periods_are_read_from_the_model(tmp_path):
    layers = keras.layers
    inputs = keras.Input((16, 16, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="down")(inputs)
    x = layers.Conv2D(4, 3, dilation_rate=2, padding="same", name="dilated")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", name="up")(x)
    x = layers.Concatenate()([layers.ReLU()(x), inputs])
    x = layers.Conv2D(4, 3, padding="same", name="behind")(x)
    x = layers.UpSampling2D(3)(x)
    x = layers.Conv2D(4, 3, padding="same", name="larger")(x)
    model = keras.Model(inputs, layers.Conv2D(1, 3, strides=2, name="smaller")(x))
    model.compile("sgd", "mse")
    data = np.random.default_rng(0).random((2, 16, 16, 1), np.float32)
    model.fit(data, np.zeros((2, 23, 23, 1)), verbose=0, callbacks=[FeatureMapCallback(data, tmp_path, layers="all")])
    run = open_log(tmp_path)[0]
    found = {layer.name: (layer.facts.period, layer.facts.dilation) for layer in run.layers}
    assert found == {
        "down": (0, 1), "dilated": (0, 2), "up": (2, 1), "behind": (2, 1), "larger": (3, 1), "smaller": (0, 1),
    }  # fmt: skip
    for layer in run.layers:
        assert np.isnan(layer.summaries("checkerboard")).all() == (layer.facts.period == 0)
        assert np.isnan(layer.summaries("gridding")).all() == (layer.facts.dilation == 1)
