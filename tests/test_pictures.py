"""The probe as people see it: which input, in which layout, and its 8-bit pixels."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest
from support.decoding import probe_pictures, run_facts, stored
from zoo import channels_first_runs

from fm_callback import FeatureMapCallback, FeatureMapExtractor, open_log
from fm_callback.capture.layers import are_channels_first
from fm_callback.capture.pictures import as_images, find_picture, to_pixels

RNG = np.random.default_rng(0)


class Knows(keras.Model):
    """Does not know its inputs, and does nothing with them."""


@hypothesis.given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.int32]),
        st.tuples(*[st.integers(1, 5)] * 3, st.sampled_from([1, 3])),
        elements=st.integers(0, 255),
    )
)
def test_whole_numbers_in_the_range_of_bytes_are_shown_as_they_are(batch):
    pixels, words = to_pixels(batch)
    white = 255 if batch.max() > 1 else 1
    assert words == f"black is 0, white is {white}"
    np.testing.assert_array_equal(pixels, batch.reshape(pixels.shape).astype(int) * (255 // white))


def smooth(low, high, side=64):
    return np.linspace(low, high, side * side, dtype="float32").reshape(1, side, side, 1)


@pytest.mark.parametrize(
    ("values", "black", "white"),
    [
        (smooth(0, 1), 0, 1),
        (smooth(0.2, 0.5), 0, 1),
        (smooth(-0.02, 1.03), 0, 1),
        (smooth(-1, 1), -1, 1),
        (smooth(-1.02, 0.9), -1, 1),
        (smooth(0.4, 254.7), 0, 255),
        (smooth(-3, 260), 0, 255),
        (smooth(0.5, 9), 0.5, 9),
        (smooth(0, 1.4), 0, 1.4),
        (smooth(0.001, 0.02), 0.001, 0.02),
        (smooth(-0.06, 0.06), -0.06, 0.06),
        (smooth(-2.1, 2.6), -2.1, 2.6),
        (smooth(-1024, 3071), -1024, 3071),
        (smooth(0, 60000).astype("uint16"), 0, 60000),
        (smooth(-3e38, 3e38), -3e38, 3e38),
        (np.full((1, 4, 4, 1), 0.5), 0, 1),
        (np.full((1, 4, 4, 1), -3.0), -3, -3),
        (np.zeros((1, 4, 4, 1)), 0, 1),
        (np.ones((1, 4, 4, 1), bool), 0, 1),
    ],
    ids=lambda value: None if isinstance(value, np.ndarray) else f"{value:g}",
)
def test_the_range_is_that_of_the_values(values, black, white):
    pixels, words = to_pixels(values)
    assert words == f"black is {black:g}, white is {white:g}"
    scaled = (values[..., 0].astype(float) - black) / max(white - black, 1e-9) * 255
    assert np.abs(pixels - np.clip(scaled, 0, 255)).max() <= 0.51
    assert len(np.unique(pixels)) > 70 or values.min() == values.max(), "to be seen, not black"


@pytest.mark.parametrize(
    "values",
    [
        np.clip(RNG.gamma(2, 0.12, (1, 64, 64, 3)), 0, 1.4),
        np.abs(RNG.normal(1, 0.5, (1, 64, 64, 1))),
        RNG.normal(0, 1, (2, 64, 64, 3)),
    ],
    ids=["reflectance", "over its mean", "standardised"],
)
def test_values_that_are_no_bytes_are_seen(values):
    assert len(np.unique(to_pixels(values.astype("float32"))[0])) > 100


def test_what_is_not_finite_is_black_and_told():
    values = np.array([np.nan, np.inf, -np.inf, 0.5, 1, 0.25]).reshape(1, 2, 3, 1)
    pixels, words = to_pixels(values)
    assert pixels.ravel().tolist() == [0, 0, 0, 128, 255, 64]
    assert words == "black is 0, white is 1; 3 values are not finite, and black"
    pixels, words = to_pixels(np.array([np.nan, -2, 2]).reshape(1, 1, 3, 1))
    assert pixels.ravel().tolist() == [0, 0, 255] and words.startswith("black is -2, white is 2; 1 values")
    assert not to_pixels(np.full((1, 2, 2, 3), np.nan))[0].any()


@pytest.mark.parametrize(
    ("count", "bands", "shown", "words"),
    [
        (4, None, [0, 1, 2], "bands 0, 1, 2 of 4: "),
        (12, None, [0, 1, 2], "bands 0, 1, 2 of 12: "),
        (12, (3, 2, 1), [3, 2, 1], "bands 3, 2, 1 of 12: "),
        (12, (7,), [7], "band 7 of 12: "),
        (3, (2, 1, 0), [2, 1, 0], "bands 2, 1, 0 of 3: "),
    ],
)
def test_of_many_bands_three_are_shown_and_none_is_opacity(count, bands, shown, words):
    values = RNG.integers(0, 256, (2, 8, 9, count)).astype("uint8")
    pixels, said = to_pixels(values, bands)
    np.testing.assert_array_equal(pixels, values[..., shown].squeeze(-1) if len(shown) == 1 else values[..., shown])
    assert said == words + "black is 0, white is 255"


def test_two_channels_are_their_mean():
    pixels, words = to_pixels(np.array([[[[0.0, 1.0], [0.5, 0.5], [1.0, 0.5]]]]))
    assert pixels.tolist() == [[[128, 128, 191]]] and words == "the mean of 2 channels: black is 0, white is 1"


@pytest.mark.parametrize(
    ("shape", "channels_first", "size", "expected"),
    [
        ((2, 100, 50, 60, 1), False, None, (100, 50, 60, 1)),
        ((2, 1, 100, 50, 60), True, None, (100, 50, 60, 1)),
        ((2, 3, 64, 48, 3), False, None, (3, 64, 48, 3)),  # a video of three frames
        ((2, 1, 100, 50, 60), False, (100, 50, 60), (100, 50, 60, 1)),
        ((2, 100, 50, 60, 1), False, (100, 50), None),
        ((2, 64, 48, 3), False, None, (64, 48, 3)),
        ((2, 3, 64, 48), True, None, (64, 48, 3)),
        ((2, 12, 64, 48), True, None, (64, 48, 12)),
        ((2, 12, 64, 48), False, None, (12, 64, 48)),
        ((2, 3, 64, 48), False, None, (64, 48, 3)),  # operations of one's own, and nothing that says it
        ((2, 64, 48, 3), True, None, (64, 48, 3)),  # the model turns them itself
        ((2, 4, 4, 512), False, None, (4, 4, 512)),  # a latent map, no picture of 4 by 512
        ((2, 1, 1, 128), False, None, (1, 1, 128)),
        ((2, 512, 4, 4), True, None, (4, 4, 512)),
        ((2, 12, 64, 48), False, (64, 48), (64, 48, 12)),
        ((2, 12, 64, 48), False, (48, 64), None),
        ((2, 8, 9), False, None, (8, 9, 1)),
        ((2, 100, 3), False, None, None),
        ((2, 100, 3), False, (100, 3), (100, 3, 1)),
        ((2, 7), False, None, None),
        ((2, 4, 4, 4, 1), False, None, (4, 4, 4, 1)),
        ((2, 4, 4, 4, 4, 1), False, None, None),
    ],
)
def test_the_layout_of_an_image(shape, channels_first, size, expected):
    images = as_images(np.zeros(shape), channels_first, size)
    assert (None if images is None else images.shape[1:]) == expected


@pytest.mark.parametrize(
    ("shape", "channels_first", "size", "expected"),
    [
        ((2, 100, 3), False, None, (100, 3)),
        ((2, 3, 100), True, None, (100, 3)),
        ((2, 100, 12), False, None, (100, 12)),
        ((2, 100, 12), False, (100, 12), (100, 12, 1)),
        ((2, 100, 1), False, (100, 1), None),
        ((2, 8, 9, 3), False, None, (8, 9, 3)),
    ],
)
def test_where_convolutions_go_over_one_axis_three_are_signals(shape, channels_first, size, expected):
    images = as_images(np.zeros(shape), channels_first, size, signals=True)
    assert (None if images is None else images.shape[1:]) == expected


def test_the_convolutions_say_the_layout_if_they_agree():
    layers = keras.layers
    first, last = layers.Conv2D(1, 1, data_format="channels_first"), layers.Conv2D(1, 1, data_format="channels_last")
    before = keras.config.image_data_format()
    try:
        for setting in ("channels_first", "channels_last"):
            keras.config.set_image_data_format(setting)
            assert are_channels_first([layers.ReLU(), first, layers.TimeDistributed(first)]) is True
            assert are_channels_first([last, layers.Flatten(), layers.ReLU()]) is False
            assert (
                are_channels_first([first, last])
                is are_channels_first([layers.ReLU()])
                is (setting == "channels_first")
            )
    finally:
        keras.config.set_image_data_format(before)


def arrays(**shapes):
    return {name: np.zeros((2, *shape), "float32") for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("inputs", "size", "expected"),
    [
        (arrays(history=(30, 8), image=(64, 64, 3)), None, "image"),
        (arrays(history=(30, 8), image=(64, 64, 3)), (64, 64), "image"),
        (arrays(aux=(32, 32, 1), image=(64, 64, 3)), None, "image"),
        (arrays(aux=(32, 32, 3), image=(64, 64, 3)), None, "image"),
        (arrays(aux=(64, 64, 1), image=(64, 64, 3)), (64, 64), "image"),
        (arrays(aux=(32, 32, 1), image=(64, 64, 3)), (32, 32), "aux"),
        (arrays(boxes=(10, 2, 2), image=(64, 64, 12)), None, "image"),
        (arrays(boxes=(10, 2, 4), image=(64, 64, 12)), None, "image"),
        (arrays(digit=(28, 28), facts=(7,)), None, "digit"),
        (arrays(latent=(100,), noise=(3,)), None, None),
        (arrays(a=(8, 8, 3), b=(8, 8, 3)), None, "a"),
        (arrays(a=(8, 8, 3)), (9, 9), None),
    ],
)
def test_of_several_inputs_the_picture_is(inputs, size, expected):
    found = find_picture(inputs, Knows(), False, size)
    assert (found and found.name) == expected


def test_the_picture_may_be_named_or_counted():
    inputs = arrays(aux=(32, 32, 1), image=(64, 64, 3), facts=(7,))
    assert find_picture(inputs, Knows(), False, name="aux").images.shape == (2, 32, 32, 1)
    assert find_picture([*inputs.values()], Knows(), False, name=0).images.shape == (2, 32, 32, 1)
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    pair = keras.Model([left, right], left + right)
    assert find_picture([np.zeros((1, 8, 8, 3)), np.ones((1, 8, 8, 3))], pair, False, name="right").images.all()
    with pytest.raises(
        ValueError, match=r"no input 'imag' for `picture`; did you mean 'image'\? The inputs are \['aux'"
    ):
        find_picture(inputs, Knows(), False, name="imag")
    with pytest.raises(ValueError, match=r"`picture`='facts' is no batch of images: its shape is \(2, 7\)"):
        find_picture(inputs, Knows(), False, name="facts")


def two_inputs():
    image, aux = keras.Input((16, 16, 3), name="image"), keras.Input((8, 8, 1), name="aux")
    maps = keras.layers.Conv2D(2, 3, padding="same", name="c")(image)
    head = keras.layers.Conv2D(1, 1)(keras.layers.Concatenate()([maps, keras.layers.UpSampling2D()(aux)]))
    model = keras.Model({"image": image, "aux": aux}, head)
    model.compile("sgd", "mse")
    data = {"image": RNG.random((4, 16, 16, 3), "float32"), "aux": RNG.random((4, 8, 8, 1), "float32")}
    return model, data, np.zeros((4, 16, 16, 1))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, "image"),
        ({"masks": np.eye(16, dtype=int)[None]}, "image"),
        ({"masks": np.eye(8, dtype=int)}, "aux"),
        ({"picture": "aux"}, "aux"),
    ],
)
def test_the_log_shows_the_picture_and_says_which_it_is(given, shown, tmp_path):
    model, data, y = two_inputs()
    probe = {name: values[:1] for name, values in data.items()}
    model.fit(data, y, verbose=0, callbacks=[FeatureMapCallback(probe, tmp_path, **given)])
    (picture,) = probe_pictures(tmp_path / "feature_maps")["pictures"]
    np.testing.assert_array_equal(picture.reshape(data[shown][0].shape), (data[shown][0] * 255 + 0.5).astype("uint8"))
    assert run_facts(tmp_path / "feature_maps")["probe"]["scaling"] == f"input '{shown}', black is 0, white is 1"


def test_masks_that_fit_no_input_say_what_they_were_held_against(tmp_path):
    model, data, y = two_inputs()
    callback = FeatureMapCallback(data, tmp_path, masks=np.ones((4, 9, 9), int) - np.eye(9, dtype=int))
    with pytest.raises(ValueError, match=r"do not fit `samples`: 4 images of 16×16 \(input 'image'\)"):
        model.fit(data, y, verbose=0, callbacks=[callback])


@pytest.mark.skipif(not channels_first_runs(), reason="no channels_first convolution on this CPU")
@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda **first: keras.layers.TimeDistributed(keras.layers.Conv2D(2, 3, **first)), (4, 3, 12, 10)),
        (lambda **first: keras.layers.ConvLSTM2D(2, 3, return_sequences=True, **first), (4, 3, 12, 10)),
        (
            lambda **first: keras.layers.Bidirectional(
                keras.layers.ConvLSTM2D(2, 3, return_sequences=True, **first), merge_mode="sum"
            ),
            (4, 3, 12, 10),
        ),
        (lambda **first: keras.layers.ConvLSTM1D(2, 3, return_sequences=True, **first), (4, 3, 12)),
    ],
    ids=["frames", "recurrent", "both ways", "signals"],
)
def test_channels_that_are_first_stand_behind_the_steps_in_time(make, shape, tmp_path):
    layer = make(data_format="channels_first", padding="same")
    model = keras.Sequential([keras.Input(shape), layer])
    model.compile("sgd", "mse")
    x = RNG.random((2, *shape), "float32")
    exact = np.moveaxis(model.predict(x, verbose=0), 2, -1)
    assert exact.shape == (2, 4, *shape[2:], 2)
    ((_, maps),) = FeatureMapExtractor(model)(x).items()
    np.testing.assert_allclose(maps, exact, atol=1e-5)
    model.fit(
        x, np.zeros(model.output_shape[1:])[None].repeat(2, 0), verbose=0, callbacks=[FeatureMapCallback(x, tmp_path)]
    )
    (logged,) = open_log(tmp_path)["feature_maps"].layers
    assert logged.shape == exact.shape[1:]
    np.testing.assert_allclose(logged.numbers("low")[0], exact.reshape(-1, 2).min(0), atol=1e-5)
    np.testing.assert_allclose(logged.numbers("high")[0], exact.reshape(-1, 2).max(0), atol=1e-5)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a module of PyTorch's")
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside a convolution of Keras's"])
def test_a_module_of_torch_is_shown_as_torch_lays_it_out(beside, tmp_path):
    import torch

    module = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU())
    inputs = keras.Input((3, 16, 12))
    x = keras.layers.TorchModuleWrapper(module, name="module", output_shape=(None, 5, 16, 12))(inputs)
    if beside:
        x = keras.layers.Conv2D(1, 1, data_format="channels_first")(x)
    model = keras.Model(inputs, x)
    model.compile("sgd", "mse")
    x = RNG.random((4, 3, 16, 12), "float32")
    masks = (x[:2, 0] > 0.5).astype(int)
    callback = FeatureMapCallback(x[:2], tmp_path, masks=masks, layers=["module"])
    model.fit(x, np.zeros((4, *model.output_shape[1:])), verbose=0, callbacks=[callback])
    layer = open_log(tmp_path)["feature_maps"]["module"]
    exact = keras.ops.convert_to_numpy(model.get_layer("module")(x[:2])).transpose(0, 2, 3, 1)
    assert layer.maps().shape == exact.shape == (2, 16, 12, 5)
    assert (np.abs(layer.maps() - exact) <= np.ptp(exact, (0, 1, 2)) / 500).all()
    pictures = probe_pictures(tmp_path / "feature_maps")["pictures"]
    np.testing.assert_array_equal(pictures, np.moveaxis(x[:2] * 255 + 0.5, 1, -1).astype("uint8"))


@pytest.mark.skipif(not channels_first_runs(), reason="no channels_first convolution on this CPU")
@pytest.mark.parametrize("by_setting", [False, True], ids=["by its layers", "by Keras's setting"])
@pytest.mark.parametrize("bands", [3, 12])
def test_a_model_of_channels_first_is_shown_as_its_pictures_are(by_setting, bands, tmp_path):
    layers, before = keras.layers, keras.config.image_data_format()
    said = {} if by_setting else {"data_format": "channels_first"}
    keras.config.set_image_data_format("channels_first" if by_setting else "channels_last")
    try:
        others = [layers.BatchNormalization(axis=1, name="bn"), layers.ReLU(name="relu")]
        model = keras.Sequential([keras.Input((bands, 16, 12)), layers.Conv2D(5, 1, name="c", **said), *others])
        model.compile("sgd", "mse")
        x = RNG.random((4, bands, 16, 12), "float32")
        callback = FeatureMapCallback(x[:2], tmp_path, masks=(x[:2, :1] > 0.5).astype(int), layers=["c", "bn", "relu"])
        model.fit(x, np.zeros((4, 5, 16, 12)), verbose=0, callbacks=[callback])
        shapes = {name: maps.shape for name, maps in FeatureMapExtractor(model, ["c", "bn", "relu"])(x[:2]).items()}
    finally:
        keras.config.set_image_data_format(before)
    assert shapes == dict.fromkeys(("c", "bn", "relu"), (2, 16, 12, 5))
    pictures = probe_pictures(tmp_path / "feature_maps")["pictures"]
    np.testing.assert_array_equal(pictures, np.moveaxis(x[:2, :3] * 255 + 0.5, 1, -1).astype("uint8"))
    assert {entry.facts.shape for entry in stored(tmp_path / "feature_maps")[1].values()} == {(16, 12, 5)}
