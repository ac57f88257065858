"""The probe: its masks, and what of it is stored."""

import re

import keras
import numpy as np
import pytest

from fm_callback.capture import probe
from fm_callback.capture.labels import read_masks

TRIMAP = np.array([[0, 0, 1, 2], [0, 2, 1, 1]])


def test_labels_become_foreground_and_ignore():
    masks = read_masks(TRIMAP, foreground=0, ignore=2)
    assert masks.foreground.tolist() == (TRIMAP == 0).tolist() and masks.ignore.tolist() == (TRIMAP == 2).tolist()
    assert masks.pixels.tolist() == TRIMAP.tolist(), "positions of labels by value"
    assert [(each.name, each.value) for each in masks.labels] == [("foreground", 0), ("background", 1), ("ignored", 2)]
    both = read_masks(np.stack([TRIMAP, TRIMAP])[..., None], foreground=[0, 1], ignore=None)
    assert both.foreground.shape == (2, 2, 4, 1) and both.foreground.sum() == 12 and both.ignore is None
    assert read_masks(TRIMAP == 0, 1, None).foreground.sum() == 3


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
        read_masks(masks, foreground, ignore)


def identity(*shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, inputs + 0)


def test_labels_may_have_an_axis_of_channels_on_either_side():
    for labels in (TRIMAP[None, ..., None], TRIMAP[None, None]):
        masks = read_masks(labels, 1, None)
        found = probe.Probe.of(np.zeros((1, 2, 4, 3)), identity(2, 4, 3), masks=masks).masks
        assert found.foreground.tolist() == [(TRIMAP == 1).tolist()]


def test_the_labels_of_one_sample_may_have_an_axis_of_channels():
    labels = TRIMAP[..., None]
    found = probe.Probe.of(np.zeros((1, 2, 4, 3)), identity(2, 4, 3), masks=read_masks(labels, 1, 2)).masks
    assert found.foreground.tolist() == [(TRIMAP == 1).tolist()] and found.ignore.tolist() == [(TRIMAP == 2).tolist()]
    narrow = read_masks(np.array([[[0], [1]], [[1], [1]]]), 1, None)
    found = probe.Probe.of(np.zeros((2, 2, 1, 3)), identity(2, 1, 3), masks=narrow).masks
    assert found.foreground.tolist() == narrow.foreground.tolist(), "pictures one wide"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 4, 3), r"`masks` of shape \(2, 4\) do not fit `samples`: 1 images of 3×4\. Give one label"),
        ((2, 2, 4, 3), r"do not fit `samples`: 2 images of 2×4"),
        ((1, 7), r"no input is a batch of images, volumes or signals: `samples` have the shapes \[\(1, 7\)\]"),
    ],
)
def test_labels_that_do_not_fit_the_samples_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        probe.Probe.of(np.zeros(shape), identity(*shape[1:]), masks=read_masks(TRIMAP, 1, None))


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((2, 4, 8), ".repeat(2, 1).repeat(2, 2)"),
        ((2, 8, 4), ".repeat(4, 2)"),
        ((2, 16, 32), "[:, ::2, ::2]"),
        ((2, 8, 16, 3), ".argmax(-1)"),
        ((2, 3, 8, 16), ".argmax(1)"),
    ],
)
def test_labels_of_another_size_or_with_channels_are_refused_with_what_makes_them_fit(shape, remedy):
    labels = np.random.default_rng(0).integers(0, 3, shape)

    def of(labels):
        return probe.Probe.of(np.zeros((2, 8, 16, 3)), identity(8, 16, 3), masks=read_masks(labels, 1, None))

    with pytest.raises(
        ValueError,
        match=re.escape(f"(where each label has a channel, `{remedy}`)" if "arg" in remedy else f"(`{remedy}`)"),
    ):
        of(labels)
    assert of(eval(f"labels{remedy}")).masks.pixels.shape == (2, 8, 16)


@pytest.mark.parametrize(
    ("shape", "remedy"),
    [
        ((8, 16, 3), "where each label has a channel, `.argmax(-1)`"),
        ((3, 8, 16), "where each label has a channel, `.argmax(0)`"),
        ((1, 5, 16), "resize labels with nearest neighbour"),
    ],
)
def test_labels_of_one_sample_that_do_not_fit(shape, remedy):
    labels = read_masks(np.random.default_rng(0).integers(0, 3, shape), 1, None)
    with pytest.raises(ValueError, match=re.escape(f"({remedy})")):
        probe.Probe.of(np.zeros((1, 8, 16, 3)), identity(8, 16, 3), masks=labels)


def test_the_labels_of_more_samples_than_are_given():
    labels = read_masks(np.random.default_rng(0).integers(0, 3, (9, 8, 16)), 1, None)
    with pytest.raises(ValueError, match="those of the samples alone"):
        probe.Probe.of(np.zeros((2, 8, 16, 3)), identity(8, 16, 3), masks=labels)


def test_one_hot_labels_and_whole_floats_are_taken():
    labels = np.random.default_rng(0).integers(0, 3, (2, 8, 16))
    for given in (np.eye(3)[labels], np.eye(3, dtype=bool)[labels], labels.astype("float32"), labels[..., None]):
        masks = probe.Probe.of(np.zeros((2, 8, 16, 3)), identity(8, 16, 3), masks=read_masks(given, 1, None)).masks
        assert (masks.pixels == labels).all()


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
    made = probe.Probe.of(np.zeros((count, *input_shape)), single, masks=read_masks(labels, 1, 2))
    whole = (count, *input_shape[:-1])
    assert (made.masks.foreground == (labels == 1).reshape(whole)).all()
    assert (made.masks.ignore == (labels == 2).reshape(whole)).all()
    facts, pictures, coloured = made.described()
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
    masks = read_masks(LABELS[: np.prod(shape)].reshape(shape), 1, None)
    with pytest.raises(ValueError, match=message):
        probe.Probe.of(np.zeros((2, *input_shape)), keras.Model(inputs, convolved), masks=masks)


@pytest.mark.parametrize("bands", [(0, 1), (0, 1, 2, 3), -1, "rgb", (0.0, 1.0, 2.0), True])
def test_bands_are_one_or_three(bands):
    with pytest.raises(ValueError, match="`bands` must be three indices from 0"):
        probe.read_bands(bands)


def test_a_band_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"has 4 bands, numbered from 0: no `bands`=\[4, 0, 1\]"):
        probe.Probe.of(np.zeros((1, 8, 8, 4)), identity(8, 8, 4), bands=(4, 0, 1))
