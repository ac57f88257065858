"""A probe of many images: chunks give what one pass over all would give, in the memory of a chunk."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops
from support.decoding import run_facts, stored, tiles
from zoo import BACKEND, ZOO, data

from fm_callback import FeatureMapCallback
from fm_callback.capture import capture as capturing
from fm_callback.capture import chunks, probe
from fm_callback.capture.capture import Capture
from fm_callback.format import NUMBERS


@pytest.mark.parametrize("count", [17, 31, 32, 33, 100])
def test_each_image_is_new_in_one_chunk_of_the_one_size(count: int) -> None:
    seen = np.zeros(count, int)
    for chunk in chunks.chunks(count):
        assert len(seen[chunk.images]) == chunks.CHUNK
        np.testing.assert_array_equal(np.arange(count)[chunk.fresh], np.arange(count)[chunk.images][chunk.new])
        seen[chunk.fresh] += 1
    assert (seen == 1).all()


def pointwise() -> keras.Model:
    """Its arithmetic is the same for any batch: what differs between chunks and one pass would be ours."""
    inputs = keras.Input((6, 5, 4))
    value = layers.Rescaling([1.0, 10.0, 0.01, -3.0], [0.0, 5.0, 0.0, -100.0], name="scaled")(inputs)
    flat = layers.Flatten(name="flat")(layers.ReLU(name="relu")(value))
    return keras.Model(inputs, [flat, layers.Reshape((3, 2, 5, 4), name="volume")(value)])


CHOICE = ["scaled", "relu", "flat", "volume"]


def in_one_pass(model: keras.Model, samples: np.ndarray, monkeypatch: pytest.MonkeyPatch, choice: Any = "all") -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(capturing, "AT_ONCE", len(samples))
        capture = Capture(model, samples, choice, "all")
        return capture(ops.convert_to_tensor(samples))()


def odd_values(count: int) -> np.ndarray:
    values = data(count, 6, 5, 4) - 0.5
    values[3, 2, 2, 0], values[16, 0, 0, 1], values[..., 3] = np.nan, -np.inf, 0.25
    values[5, :, :, 2] = 0
    return values


@pytest.mark.parametrize("count", [17, 40])
def test_chunks_give_what_one_pass_gives(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model, values = pointwise(), odd_values(count)
    whole_maps, whole_numbers, *_ = in_one_pass(model, values, monkeypatch, CHOICE)
    maps, numbers, *_ = Capture(model, values, CHOICE, "all")(values)()
    exact = [NUMBERS.index(name) for name in ("low", "high", "nonfinite")]
    zeros, sums = NUMBERS.index("zeros"), [NUMBERS.index(name) for name in ("mean", "mean_abs", "std")]
    for part, whole, some, all_of in zip(maps, whole_maps, numbers, whole_numbers, strict=True):
        np.testing.assert_array_equal(part, whole)
        np.testing.assert_array_equal(some[:, exact], all_of[:, exact])
        np.testing.assert_array_max_ulp(some[:, zeros], all_of[:, zeros], 1)
        size = np.nanmax(np.abs(all_of[:, :2]), axis=1, keepdims=True, initial=1e-30)
        assert (np.abs(some[:, sums] - all_of[:, sums]) <= 2e-6 * size).all(), "to the rounding of float32"


@pytest.mark.parametrize("where", [3, slice(None)], ids=["in one image", "everywhere"])
def test_what_has_no_finite_value_in_some_image_or_in_any(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = data(20, 6, 5, 4)
    values[where] = np.nan
    whole_maps, whole_numbers, *_ = in_one_pass(pointwise(), values, monkeypatch, ["scaled", "flat"])
    maps, numbers, *_ = Capture(pointwise(), values, ["scaled", "flat"], "all")(values)()
    for part, whole, some, all_of in zip(maps, whole_maps, numbers, whole_numbers, strict=True):
        np.testing.assert_array_equal(part, whole)
        np.testing.assert_allclose(some, all_of, rtol=1e-5, atol=1e-6)


def network() -> keras.Model:
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Conv2D(6, 3, padding="same", name="a"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Conv2D(1, 3, padding="same", name="b"),
        ]
    )
    model.compile("sgd", "mse")
    return model


X = data(40, 16, 16, 3)
Y = X.mean(-1, keepdims=True)
MASKS = (Y[..., 0] > 0.5).astype(int)


def test_convolutions_agree_to_the_rounding_of_another_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    whole_maps, whole_numbers, *_ = in_one_pass(model, X, monkeypatch)
    maps, numbers, *_ = Capture(model, X, "all", "all")(X)()
    for part, whole, some, all_of in zip(maps, whole_maps, numbers, whole_numbers, strict=True):
        assert np.abs(part.astype(int) - whole).max() <= 1, "a level, where a value lies between two"
        assert np.mean(part != whole) < 1e-3
        np.testing.assert_allclose(some, all_of, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"update_freq": 2}, {"stored": 20}], ids=["epochs", "batches", "many stored"])
def test_a_large_probe_is_logged_and_training_is_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    plain, watched = network(), network()
    callback = FeatureMapCallback(X, tmp_path, masks=MASKS, layers="all", channels="all", **options)
    histories = [
        model.fit(X, Y, batch_size=8, epochs=2, verbose=0, shuffle=True, callbacks=callbacks).history
        for model, callbacks in ((plain, []), (watched, [callback]))
        if keras.utils.set_random_seed(5) is None
    ]
    assert histories[0] == histories[1]
    for one, other in zip(plain.variables, watched.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one.value), ops.convert_to_numpy(other.value))
    run, steps = run_facts(tmp_path / "feature_maps"), stored(tmp_path / "feature_maps")
    kept = options.get("stored", 4)
    assert (run["probe"]["images"], run["probe"]["stored"], len(run["probe"]["pictures"])) == (40, kept, kept)
    last = steps[max(steps)]["a"]
    assert len(steps) == (3 if "update_freq" not in options else 6)
    maps, numbers, *_ = Capture(watched, X, ["a"], "all")(X)()
    np.testing.assert_array_equal(tiles(last), maps[0][:kept])
    np.testing.assert_array_equal(last.table[:, : len(NUMBERS)], numbers[0])
    assert last.facts.cells["foreground"] == MASKS.sum(), "scores are over all images"


@pytest.mark.skipif(BACKEND == "torch", reason="torch runs eagerly")
def test_chunks_of_a_model_that_cannot_be_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    class Decides(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a = layers.Conv2D(2, 1, name="a")

        def call(self, inputs: Any) -> Any:
            return self.a(inputs) if ops.mean(inputs) < 1e9 else inputs

    model = Decides()
    with pytest.warns(RuntimeWarning, match="layer by layer"):
        (maps,), *_ = Capture(model, X, "all", "all")(X)()
    values = ops.convert_to_numpy(model.a(X))
    low, high = values.min((0, 1, 2)), values.max((0, 1, 2))
    assert np.abs(np.moveaxis(maps, 1, -1) - (values - low) / (high - low) * 255).max() < 0.6


def test_a_model_that_is_another_in_the_second_pass_stays_in_the_range_of_the_first() -> None:
    class Moves(keras.Model):
        calls = 0

        def call(self, inputs: Any) -> Any:
            self.calls += 1
            return self.same(inputs + 0.01 * self.calls)

    model, samples = Moves(), np.tile(np.linspace(0, 1, 30, dtype="float32").reshape(1, 6, 5, 1), (24, 1, 1, 4))
    model.same = layers.Activation("linear", name="same")
    model.compile("sgd", "mse", run_eagerly=True)
    (maps,), *_ = Capture(model, samples, "same", "all")(samples)()
    assert (np.diff(maps.reshape(24, 4, 30).astype(int), axis=-1) >= 0).all(), "no level wraps around"


def test_samples_of_several_inputs_are_cut_alike() -> None:
    image, shift = keras.Input((4, 4, 2), name="image"), keras.Input((1,), name="shift")
    shifted = layers.Add(name="sum")([image, layers.Reshape((1, 1, 1))(shift)])
    model = keras.Model({"image": image, "shift": shift}, shifted)
    batch = {"image": data(19, 4, 4, 2), "shift": np.arange(19, dtype="float32")[:, None]}
    (maps,), (numbers,), *_ = Capture(model, batch, "sum", "all")(batch)()
    truth = batch["image"] + batch["shift"][:, None, None]
    low, high = truth.min((0, 1, 2)), truth.max((0, 1, 2))
    np.testing.assert_array_equal(numbers[:, :2], np.stack([low, high], 1))
    assert np.abs(np.moveaxis(maps, 1, -1) - (truth - low) / (high - low) * 255).max() < 0.51


def test_tokens_lie_on_their_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    animal = ZOO["vision_transformer"]()
    samples = data(18, *animal.model.input_shape[1:])
    whole_maps, *_ = in_one_pass(animal.model, samples, monkeypatch, animal.layers)
    maps, *_ = Capture(animal.model, samples, animal.layers, "all")(samples)()
    for part, whole in zip(maps, whole_maps, strict=True):
        assert part.ndim == 4 and np.abs(part.astype(int) - whole).max() <= 1, "a level, where a value lies between two"


def test_a_probe_is_kept_on_the_host_if_it_goes_through_in_chunks() -> None:
    model = network()
    few, many = (probe.Probe.of(X[:count], model).inputs for count in (16, 17))
    assert ops.is_tensor(few) and isinstance(many, np.ndarray)


@pytest.mark.parametrize("stored_", [0, -1, True, 2.0, "all", 10_001])
def test_how_many_are_stored_is_a_number(stored_: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stored must be a number of samples from 1 to 10000; received"):
        FeatureMapCallback(X, tmp_path, stored=stored_)
