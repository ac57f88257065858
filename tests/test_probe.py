"""The probe: its masks, and what of it is stored."""

import keras
import numpy as np
import pytest

from fm_callback.capture import probe

TRIMAP = np.array([[0, 0, 1, 2], [0, 2, 1, 1]])


def test_labels_become_foreground_and_ignore():
    masks = probe.read_masks(TRIMAP, foreground=0, ignore=2)
    assert masks.foreground.tolist() == [(TRIMAP == 0).tolist()] and masks.ignore.tolist() == [(TRIMAP == 2).tolist()]
    assert masks.pictures().tolist() == [[[1, 1, 0, 2], [1, 2, 0, 0]]]
    both = probe.read_masks(np.stack([TRIMAP, TRIMAP])[..., None], foreground=[0, 1], ignore=None)
    assert both.foreground.shape == (2, 2, 4) and both.foreground.sum() == 12 and both.ignore is None
    assert probe.read_masks(TRIMAP == 0, 1, None).foreground.sum() == 3


@pytest.mark.parametrize(
    ("masks", "foreground", "ignore", "message"),
    [
        (TRIMAP / 2, 1, None, "labels, integer or bool; received dtype float64"),
        (np.zeros((1, 2, 3, 4, 5), int), 0, None, r"received \(1, 2, 3, 4, 5\)"),
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


def test_labels_may_have_an_axis_of_channels_on_either_side():
    for labels in (TRIMAP[None, ..., None], TRIMAP[None, None]):
        assert probe.read_masks(labels, 1, None).foreground.shape == (1, 2, 4)


def identity(*shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, inputs + 0)


def test_the_labels_of_one_sample_may_have_an_axis_of_channels():
    labels = TRIMAP[..., None]
    found = probe.Probe.of(np.zeros((1, 2, 4, 3)), identity(2, 4, 3), masks=probe.read_masks(labels, 1, 2)).masks
    assert found.foreground.tolist() == [(TRIMAP == 1).tolist()] and found.ignore.tolist() == [(TRIMAP == 2).tolist()]
    narrow = probe.read_masks(np.array([[[0], [1]], [[1], [1]]]), 1, None)
    assert probe.Probe.of(np.zeros((2, 2, 1, 3)), identity(2, 1, 3), masks=narrow).masks is narrow, "pictures one wide"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 3, 4, 3), r"`masks` of shape \(1, 2, 4\) do not fit `samples`: 1 images of 3×4\. Give one label"),
        ((2, 2, 4, 3), r"do not fit `samples`: 2 images of 2×4"),
        ((1, 7), r"no input is a batch of images: `samples` have the shapes \[\(1, 7\)\]"),
    ],
)
def test_labels_that_do_not_fit_the_samples_are_named(shape, message):
    with pytest.raises(ValueError, match=message):
        probe.Probe.of(np.zeros(shape), identity(*shape[1:]), masks=probe.read_masks(TRIMAP, 1, None))


@pytest.mark.parametrize("bands", [(0, 1), (0, 1, 2, 3), -1, "rgb", (0.0, 1.0, 2.0), True])
def test_bands_are_one_or_three(bands):
    with pytest.raises(ValueError, match="`bands` must be three indices from 0"):
        probe.read_bands(bands)


def test_a_band_that_is_not_there_is_named():
    with pytest.raises(ValueError, match=r"has 4 bands, numbered from 0: no `bands`=\[4, 0, 1\]"):
        probe.Probe.of(np.zeros((1, 8, 8, 4)), identity(8, 8, 4), bands=(4, 0, 1))
