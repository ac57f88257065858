"""Samples as the model takes them, as pictures, and their masks."""

import hypothesis
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest

from fm_callback.capture import probe


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


def test_the_first_image_among_several_inputs_is_the_picture():
    assert probe.images([np.zeros((2, 7)), np.zeros((2, 8, 9, 3))]).shape == (2, 8, 9, 3)
    assert probe.images([np.zeros((2, 8, 9))]).shape == (2, 8, 9, 1)
    assert probe.images([np.zeros((2, 100, 3)), np.zeros((2, 4, 4, 4, 1))]) is None


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
