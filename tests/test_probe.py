"""Samples as the model takes them, as pictures, and their masks."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from fm_callback.capture import probe


def model(*shapes, names=None):
    inputs = [keras.Input(shape, name=None if names is None else names[at]) for at, shape in enumerate(shapes)]
    flat = [keras.layers.Flatten()(each) for each in inputs]
    joined = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
    given = inputs[0] if len(inputs) == 1 else inputs if names is None else dict(zip(names, inputs, strict=True))
    return keras.Model(given, joined)


@pytest.mark.parametrize(
    ("input_shape", "shape", "expected"),
    [
        ((8, 9, 3), (8, 9, 3), (1, 8, 9, 3)),
        ((8, 9, 3), (2, 8, 9, 3), (2, 8, 9, 3)),
        ((None, None, 3), (8, 9, 3), (1, 8, 9, 3)),
        ((8, 9, 3, 1), (8, 9, 3, 1), (1, 8, 9, 3, 1)),
        ((20, 4), (20, 4), (1, 20, 4)),
    ],
)
def test_the_models_input_decides_what_is_one_sample(input_shape, shape, expected):
    inputs = keras.Input(input_shape)
    assert probe.as_batch(np.zeros(shape, "uint8"), keras.Model(inputs, inputs + 1)).shape == expected


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "samples", [np.zeros((4, 4, 3), "float32"), [np.zeros((4, 4, 3), "float32")]], ids=["array", "list"]
)
@pytest.mark.parametrize("listed", [False, True], ids=["tensor", "list of one"])
def test_one_input_is_given_as_the_model_names_it(samples, listed):
    inputs = keras.Input((4, 4, 3))
    single = keras.Model([inputs] if listed else inputs, keras.layers.Conv2D(1, 1)(inputs))
    single(probe.as_batch(samples, single))


def test_without_an_input_shape_the_rank_decides():
    unbuilt = keras.Sequential([keras.layers.Conv2D(1, 3)])
    assert probe.as_batch(np.zeros((8, 8, 3)), unbuilt).shape == (1, 8, 8, 3)
    assert probe.as_batch(np.zeros((2, 8, 8, 3)), unbuilt).shape == (2, 8, 8, 3)


def test_without_input_shapes_one_batch_makes_all_of_them_batches():
    unbuilt = keras.Sequential([keras.layers.Conv2D(1, 3)])
    samples = {"image": np.zeros((2, 8, 8, 3)), "facts": (np.zeros((2, 3)), np.zeros((2, 5, 1)))}
    shapes = [array.shape for array in keras.tree.flatten(probe.as_batch(samples, unbuilt))]
    assert shapes == [(2, 3), (2, 5, 1), (2, 8, 8, 3)]
    one = {"image": np.zeros((8, 8, 3)), "facts": (np.zeros(3), np.zeros((5, 1)))}
    assert [len(array) for array in keras.tree.flatten(probe.as_batch(one, unbuilt))] == [1, 1, 1]


def test_several_inputs_keep_their_structure():
    two = model((4, 4, 3), (4, 4, 1), names=["image", "depth"])
    batch = probe.as_batch({"image": np.zeros((4, 4, 3)), "depth": np.zeros((4, 4, 1))}, two)
    assert {name: array.shape for name, array in batch.items()} == {"image": (1, 4, 4, 3), "depth": (1, 4, 4, 1)}
    listed = probe.as_batch([np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 1))], model((4, 4, 3), (4, 4, 1)))
    assert [array.shape for array in listed] == [(2, 4, 4, 3), (2, 4, 4, 1)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("structure", [list, tuple, dict])
def test_a_dict_names_the_inputs_whatever_their_structure(structure):
    """As for `fit`; in another order than that of the names, too."""
    wide, deep = keras.Input((8, 8, 3), name="wide"), keras.Input((4, 4, 2), name="deep")
    inputs = {"wide": wide, "deep": deep} if structure is dict else structure([wide, deep])
    both = keras.Model(inputs, [wide + 1, deep + 1])
    batch = probe.as_batch({"wide": np.zeros((8, 8, 3)), "deep": np.zeros((4, 4, 2))}, both)
    assert type(batch) is structure
    assert [output.shape for output in both(batch)] == [(1, 8, 8, 3), (1, 4, 4, 2)]


@pytest.mark.filterwarnings("error")
def test_a_dict_may_name_the_only_input():
    image = keras.Input((8, 8, 3), name="image")
    single = keras.Model(image, image + 1)
    assert single(probe.as_batch({"image": np.zeros((8, 8, 3))}, single)).shape == (1, 8, 8, 3)


def test_bytes_in_the_other_order_are_turned():
    values = np.arange(192).reshape(8, 8, 3)
    for dtype, expected in ((">f4", "float32"), (">f8", "float32"), (">u2", "uint16")):
        batch = probe.as_batch(values.astype(dtype), model((8, 8, 3)))
        assert batch.dtype == expected and batch.dtype.isnative and (batch[0] == values).all()


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((9, 8, 3)), r"shape \(9, 8, 3\) do not fit the model's input shape \(None, 8, 8, 3\)"),
        (np.zeros((8, 8)), r"shape \(8, 8\)"),
        (np.zeros((0, 8, 8, 3)), "`samples` is empty"),
        (np.array([["cat.png"]]), "arrays of numbers; received ndarray of dtype <U7"),
        (
            [np.zeros((8, 8, 3)), np.zeros((8, 8, 3))],
            r"holds 2 arrays, but model 'functional.*' has 1 inputs.* one batch, give `np\.stack\(samples\)`",
        ),
        (np.zeros((8, 8, 3)).tolist(), r"holds the number 0\.0 where an array belongs; give `np\.asarray\(samples\)`"),
        ([], "holds no array"),
        ({"photo": np.zeros((8, 8, 3))}, r"has the keys \['photo'\], but the inputs of model .* are \['keras_tensor"),
    ],
)
def test_samples_that_do_not_fit_are_named(samples, message):
    with pytest.raises(ValueError, match=message):
        probe.as_batch(samples, model((8, 8, 3)))


def test_inputs_of_different_lengths_are_named():
    with pytest.raises(ValueError, match=r"different numbers of samples: \[2, 3\]"):
        probe.as_batch([np.zeros((2, 4, 4, 3)), np.zeros((3, 4, 4, 1))], model((4, 4, 3), (4, 4, 1)))


@hypothesis.given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.float32, np.int32]),
        hnp.array_shapes(min_dims=4, max_dims=4, max_side=5),
        elements=st.integers(0, 255),
    )
)
def test_pictures_in_the_range_of_bytes_are_shown_as_they_are(batch):
    pixels, how = probe.pictures(batch)
    scale = 255 if batch.max() <= 1 else 1
    assert how == ("[0, 1]" if scale == 255 else "[0, 255]")
    channels = batch.shape[-1]
    expected = batch if channels in (3, 4) else batch.astype(float).mean(-1)
    assert np.abs(pixels - expected.astype(float).reshape(pixels.shape) * scale).max() <= 0.51


def test_pictures_outside_are_stretched_and_say_so():
    pixels, how = probe.pictures(np.array([-1.0, 0.0, 1.0]).reshape(1, 1, 3, 1))
    assert pixels.ravel().tolist() == [0, 128, 255] and how == "min-max -1 1"
    pixels, how = probe.pictures(np.full((1, 2, 2, 1), -3.0))
    assert not pixels.any()
    assert probe.pictures(np.array([np.nan, np.inf, 0.5, 1]).reshape(1, 2, 2, 1))[0].ravel().tolist() == [
        0,
        0,
        128,
        255,
    ]


@pytest.mark.parametrize(
    ("shapes", "signals", "expected"),
    [
        ([(2, 7), (2, 8, 9, 3)], False, [(2, 8, 9, 3)]),
        ([(2, 8, 9)], False, [(2, 8, 9, 1)]),
        ([(2, 100, 3)], False, []),
        ([(2, 100, 3)], True, [(2, 100, 3)]),
        ([(2, 100, 12)], True, [(2, 100, 12), (2, 100, 12, 1)]),
        ([(2, 100, 3), (2, 4, 5, 6, 1)], False, [(2, 4, 5, 6, 1)]),
    ],
)
def test_what_of_the_inputs_can_be_seen(shapes, signals, expected):
    views = probe.images([np.zeros(shape) for shape in shapes], signals)
    assert [view.shape for view in views] == expected


LABELS = np.random.default_rng(0).integers(0, 3, 10_000)


@pytest.mark.parametrize(
    ("input_shape", "count", "shape"),
    [
        ((8, 9, 3), 1, (8, 9)),
        ((8, 9, 3), 2, (2, 8, 9)),
        ((8, 9, 3), 2, (2, 8, 9, 1)),
        ((4, 8, 6, 2), 1, (4, 8, 6)),
        ((4, 8, 6, 2), 2, (2, 4, 8, 6)),
        ((4, 8, 6, 2), 2, (2, 4, 8, 6, 1)),
        ((40, 12), 1, (40,)),
        ((40, 12), 3, (3, 40)),
        ((40, 12), 3, (3, 40, 1)),
    ],
)
def test_labels_of_pictures_volumes_and_signals(input_shape, count, shape):
    """One for each cell of each sample, whatever the axes."""
    convolution = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D, 3: keras.layers.Conv3D}[len(input_shape) - 1]
    single = keras.Sequential([keras.Input(input_shape), convolution(2, 1)])
    labels = LABELS[: np.prod(shape)].reshape(shape)
    made = probe.Probe.of(np.zeros((count, *input_shape)), probe.read_masks(labels, 1, 2), single)
    whole = (count, *input_shape[:-1])
    assert (made.masks.foreground == (labels == 1).reshape(whole)).all()
    assert (made.masks.ignore == (labels == 2).reshape(whole)).all()
    facts, pictures, coloured = made.stored()
    planes = {1: (1, 40), 2: (8, 9), 3: (8, 6)}[len(whole) - 1]
    assert [picture.shape[:2] for picture in pictures] == [picture.shape for picture in coloured] == [planes] * count
    assert facts.axes == whole[1:] and facts.slice_axis == (0 if len(whole) == 4 else None)


@pytest.mark.parametrize(
    ("input_shape", "shape", "message"),
    [
        (
            (8, 9, 3),
            (2, 9, 8),
            r"shape \(2, 9, 8\) do not fit `samples`: 2 images of 8×9. Give one label for each pixel",
        ),
        ((8, 9, 3), (2, 8, 9, 3), r"shape \(2, 8, 9, 3\) do not fit"),
        ((4, 8, 6, 2), (2, 8, 6), "2 volumes of 4×8×6. Give one label for each voxel"),
        ((40, 12), (2, 30), "2 signals of 40 or 2 images of 40×12. Give one label for each sample in time"),
        ((7,), (2, 7), "no input is a batch of images, volumes or signals"),
    ],
)
def test_labels_that_fit_nothing_say_what_would(input_shape, shape, message):
    inputs = keras.Input(input_shape)
    convolved = keras.layers.Conv1D(2, 1)(inputs) if len(input_shape) == 2 else inputs + 1
    masks = probe.read_masks(LABELS[: np.prod(shape)].reshape(shape), 1, None)
    with pytest.raises(ValueError, match=message):
        probe.Probe.of(np.zeros((2, *input_shape)), masks, keras.Model(inputs, convolved))


TRIMAP = np.array([[0, 0, 1, 2], [0, 2, 1, 1]])


def test_labels_become_foreground_and_ignore():
    masks = probe.read_masks(TRIMAP, foreground=0, ignore=2)
    assert masks.foreground.tolist() == (TRIMAP == 0).tolist() and masks.ignore.tolist() == (TRIMAP == 2).tolist()
    assert masks.pictures().tolist() == [[1, 1, 0, 2], [1, 2, 0, 0]]
    both = probe.read_masks(np.stack([TRIMAP, TRIMAP])[..., None], foreground=[0, 1], ignore=None)
    assert both.foreground.shape == (2, 2, 4, 1) and both.foreground.sum() == 12 and both.ignore is None
    assert probe.read_masks(TRIMAP == 0, 1, None).foreground.sum() == 3


@pytest.mark.parametrize(
    ("masks", "foreground", "ignore", "message"),
    [
        (TRIMAP / 2, 1, None, "labels, integer or bool; received dtype float64"),
        (TRIMAP, 7, None, r"no pixel of `foreground`=7; the labels in them are \[0, 1, 2\]"),
        (TRIMAP, [0, 1, 2], None, r"hold no background: all pixels are `foreground`=\[0, 1, 2\]"),
        (TRIMAP, [0, 1], 2, r"hold no background: all pixels are `foreground`=\[0, 1\] or `ignore`=2"),
        (TRIMAP, 0, 0, r"label \[0\] is in both"),
        (TRIMAP, "pet", None, "`foreground` must be a label"),
        (TRIMAP, [], None, "`foreground` must be a label"),
        (TRIMAP, 0, 0.5, "`ignore`"),
    ],
)
def test_labels_that_make_no_sense_are_named(masks, foreground, ignore, message):
    with pytest.raises((ValueError, TypeError), match=message):
        probe.read_masks(masks, foreground, ignore)
