"""Scores of predicted labels against scikit-learn, closed forms, and what must hold of any."""

import hypothesis
import hypothesis.extra.numpy as npst
import hypothesis.strategies as st
import numpy as np
import pytest
from skimage.transform import resize
from sklearn.metrics import jaccard_score

from fm_callback.format import NO_LABEL
from fm_callback.scores.predicted import label_scores

LABELS = 4
KNOWN = np.ones(LABELS, bool)
TRUTH = np.array([0, 1, 2, 3, -1])  # the last label of the masks is to be ignored


def labels(*shape, most=LABELS):
    return npst.arrays(np.uint8, shape, elements=st.integers(0, most - 1))


@hypothesis.settings(max_examples=50)
@hypothesis.given(labels(2, 6, 5), labels(2, 6, 5, most=5))
def test_iou_is_the_jaccard_index_of_scikit_learn(predicted, masks):
    scores = label_scores(predicted, KNOWN, masks, TRUTH)
    for image in range(2):
        counts = masks[image] != 4
        true, told = masks[image][counts], predicted[image][counts]
        if counts.any():
            expected = jaccard_score(true, told, labels=range(LABELS), average=None, zero_division=0)
            expected[~np.isin(range(LABELS), [*true, *told])] = np.nan
            np.testing.assert_allclose(scores[image, :, 0], expected, rtol=1e-6)
            for column, values in ((1, told), (2, true)):
                shares = np.bincount(values, minlength=LABELS) / counts.sum()
                np.testing.assert_allclose(scores[image, :, column], shares, rtol=1e-6)
        else:
            assert np.isnan(scores[image]).all(), "nothing counts"


@hypothesis.given(labels(2, 6, 5), labels(2, 6, 5, most=5), st.permutations(range(LABELS)))
def test_renaming_labels_permutes_columns(predicted, masks, names):
    names = np.array([*names])
    renamed = label_scores(names[predicted].astype(np.uint8), KNOWN, masks, np.append(names, -1))
    np.testing.assert_array_equal(renamed[:, names], label_scores(predicted, KNOWN, masks, TRUTH))


@hypothesis.given(labels(1, 6, 5))
def test_what_is_true_has_an_iou_of_1_where_it_is_and_none_where_it_is_not(masks):
    iou, share, true = np.moveaxis(label_scores(masks, KNOWN, masks, TRUTH)[0], -1, 0)
    np.testing.assert_array_equal(iou, np.where(true > 0, 1, np.nan))
    np.testing.assert_array_equal(share, true)


def test_closed_forms():
    masks = np.zeros((1, 4, 4), np.uint8)
    masks[0, :2] = 1
    halved = np.zeros_like(masks)
    halved[0, 1:3] = 1
    np.testing.assert_allclose(
        label_scores(halved, KNOWN, masks, TRUTH)[0, :3], [[1 / 3, 0.5, 0.5], [1 / 3, 0.5, 0.5], [np.nan, 0, 0]]
    )
    np.testing.assert_allclose(label_scores(1 - masks, KNOWN, masks, TRUTH)[0, :2, 0], 0)


def test_where_nothing_is_predicted_what_is_true_is_missed():
    masks = np.zeros((1, 4, 4), np.uint8)
    predicted = masks.copy()
    predicted[0, :2] = NO_LABEL
    np.testing.assert_allclose(label_scores(predicted, KNOWN, masks, TRUTH)[0, 0], [0.5, 0.5, 1])
    np.testing.assert_allclose(label_scores(predicted, KNOWN)[0, :, 1], [0.5, 0, 0, 0])


def test_without_masks_there_is_a_share_alone():
    predicted = np.repeat(np.arange(4, dtype=np.uint8), 4).reshape(1, 4, 4)
    scores = label_scores(predicted, KNOWN)
    assert (scores[..., 1] == 0.25).all() and np.isnan(scores[..., [0, 2]]).all()


def test_of_a_label_that_is_not_known_only_the_share_is():
    predicted, masks = np.array([[[0, 1, 2, 2]]], np.uint8), np.array([[[0, 1, 1, 4]]], np.uint8)
    scores = label_scores(predicted, np.array([True, True, False, True]), masks, np.array([0, 1, -1, 3, -1]))[0]
    np.testing.assert_allclose(scores[:3], [[1, 1 / 3, 1 / 3], [0.5, 1 / 3, 2 / 3], [np.nan, 1 / 3, np.nan]])


@pytest.mark.parametrize("size", [(3, 5), (4, 8), (12, 7), (36, 48), (50, 3)])
def test_another_size_takes_the_nearest_cell(size):
    """As scikit-image does it, where no centre lies between two."""
    predicted = np.random.default_rng(0).integers(0, LABELS, (1, *size)).astype(np.uint8)
    masks = np.random.default_rng(1).integers(0, LABELS, (1, 12, 16)).astype(np.uint8)
    pixels = resize(predicted[0], (12, 16), order=0, preserve_range=True, anti_aliasing=False).astype(np.uint8)
    ties = [np.mod((2 * np.arange(to) + 1) * of, 2 * to) == 0 for to, of in zip((12, 16), size, strict=True)]
    counts = ~(ties[0][:, None] | ties[1][None, :])
    masks[0][~counts] = 4
    expected = jaccard_score(masks[0][counts], pixels[counts], labels=range(LABELS), average=None)
    np.testing.assert_allclose(label_scores(predicted, KNOWN, masks, TRUTH)[0, :, 0], expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(2, 20), (2, 6, 8, 4)])
def test_signals_and_volumes(shape):
    rng = np.random.default_rng(0)
    predicted, masks = (rng.integers(0, LABELS, shape).astype(np.uint8) for _ in range(2))
    flat = label_scores(predicted.reshape(2, 1, -1), KNOWN, masks.reshape(2, 1, -1), TRUTH)
    np.testing.assert_array_equal(label_scores(predicted, KNOWN, masks, TRUTH), flat)
