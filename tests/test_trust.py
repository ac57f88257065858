"""Scores of single labels, the control, and the readout: against scikit-learn, closed forms, and what must always hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from test_measures import as_values, channels_first, stored

from fm_callback.format import Label
from fm_callback.scores.activations import Activations
from fm_callback.scores.concepts import Cells, Concepts, Masks
from fm_callback.scores.detection import separation
from fm_callback.scores.layer_scores import LayerStep, concept_excess, excess
from fm_callback.scores.measures import measure, measure_layer
from fm_callback.scores.readout import FOLDS, RIDGE, readout


def masks(labels, foreground=1, ignored=255):
    """Labels (N, H, W) of any values."""
    values = np.unique(labels)
    known = [
        Label(f"label {each}", int(each), foreground=each == foreground, ignored=each == ignored) for each in values
    ]
    return Masks(np.searchsorted(values, labels).astype(np.uint8), tuple(known))


def objects(images=8, size=24, seed=0):
    """Discs, each image's at a place of its own, bool (N, H, W)."""
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    middles = generator.uniform(0.3 * size, 0.7 * size, (images, 2))
    return np.stack([np.hypot(rows - row, columns - column) < size / 5 for row, column in middles])


# Single labels


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 1, 2, 255), tuple(range(12))])
def test_one_label_against_the_rest(values):
    generator = np.random.default_rng(3)
    labels = generator.choice(values, (3, 20, 24))
    maps, numbers = stored(generator.normal(size=(3, 4, 20, 24)) + 0.2 * labels[:, None])
    scores = measure(maps, numbers, Concepts(None, masks(labels)).at(20, 24))
    counted = labels != 255
    for value in values:
        if value == 255:
            assert "label 255_auroc" not in scores, "it is ignored"
            continue
        for channel in range(4):
            expected = roc_auc_score(labels[counted] == value, maps[:, channel][counted])
            assert scores[f"label {value}_auroc"][channel] == pytest.approx(expected, abs=1e-6)


def test_of_two_labels_nothing_is_stored_twice():
    labels = np.random.default_rng(0).integers(0, 2, (2, 8, 8))
    assert not Concepts(None, masks(labels)).at(8, 8).named
    labels[0, 0] = 255
    assert not Concepts(None, masks(labels)).at(4, 4).named, "a label that is ignored is no third one"


def test_a_cell_has_the_label_of_the_largest_area():
    labels = np.array([[[0, 0, 2, 2], [1, 0, 2, 255], [255, 255, 1, 1], [255, 1, 2, 2]]])
    named = Concepts(None, masks(labels)).at(2, 2).named
    assert {name: cells[0].astype(int).tolist() for name, cells in named.items()} == {
        "label 0_auroc": [[1, 0], [0, 0]],
        "label 1_auroc": [[0, 0], [0, 1]],
        "label 2_auroc": [[0, 1], [0, 0]],
    }, "of equal areas the first; a cell mostly ignored has none"


def test_named_concepts_are_scored_beside_the_labels():
    generator = np.random.default_rng(3)
    labels, where = generator.integers(0, 3, (2, 16, 16)), generator.random((2, 16, 16)) < 0.2
    maps, numbers = stored(generator.normal(size=(2, 3, 16, 16)) + where[:, None])
    for labelled, counted in ((None, np.ones_like(where)), (masks(labels, ignored=2), labels != 2)):
        scores = measure(maps, numbers, Concepts(None, labelled, {"eyes": where}).at(16, 16))
        for channel in range(3):
            expected = roc_auc_score(where[counted], maps[:, channel][counted])
            assert scores["eyes_auroc"][channel] == pytest.approx(expected, abs=1e-6)


def test_no_more_labels_than_can_be_read_have_scores():
    labels = np.minimum(np.random.default_rng(0).integers(0, 200, (1, 64, 64)), 99)
    assert len(masks(labels).scored) == 32 and 99 in masks(labels).scored, "those of the most pixels"


# Control


@pytest.mark.parametrize("images", [2, 3, 5, 12])
def test_the_control_is_the_score_against_the_masks_of_the_images_that_follow(images):
    generator = np.random.default_rng(1)
    labels = np.where(generator.random((images, 12, 12)) < 0.1, 255, objects(images, 12))
    maps, numbers = stored(generator.normal(size=(images, 3, 12, 12)) + (labels == 1)[:, None])
    scores = measure(maps, numbers, Concepts(None, masks(labels)).at(12, 12))["mask_control"]
    shifts = range(1, min(images - 1, 3) + 1)
    others = np.concatenate([labels[(np.arange(images) + shift) % images] for shift in shifts])
    for channel in range(3):
        levels = np.concatenate([maps[:, channel]] * len(shifts))
        expected = roc_auc_score(others[others != 255], levels[others != 255])
        assert scores[channel] == pytest.approx(expected, abs=1e-6)


def test_closed_forms():
    inside = objects()
    cells = Concepts(None, masks(inside.astype(int))).at(*inside.shape[1:])
    noise = np.random.default_rng(0).normal(size=inside.shape)
    position = np.broadcast_to(inside.mean(0), inside.shape)
    maps, numbers = stored(channels_first(1.0 * inside, -1.0 * inside, noise, 0.0 * inside, position))
    scores = measure(maps, numbers, cells)
    auroc, control = scores["mask_auroc"], scores["mask_control"]
    assert auroc[:2].tolist() == [1, 0] and separation(auroc)[:2].tolist() == [1, 1]
    assert control[0] == pytest.approx(1 - control[1]) and control[0] < 0.9, "objects lie elsewhere in other images"
    assert auroc[2] == pytest.approx(0.5, abs=0.03) == control[2]
    assert auroc[3] == control[3] == 0.5
    assert auroc[4] > 0.7 and control[4] == pytest.approx(auroc[4], abs=1e-6), "position alone"
    assert excess(auroc, control) == pytest.approx([1 - control[0], 1 - control[0], 0, 0, 0], abs=0.03)


@pytest.mark.parametrize("images", [2, 3, 5, 12])
def test_the_excess_of_a_label_is_that_of_its_best_channel_over_the_images_that_follow(images):
    generator = np.random.default_rng(4)
    labels = generator.choice([0, 1, 2, 255], (images, 12, 14), p=[0.5, 0.2, 0.2, 0.1])
    maps, numbers = stored(generator.normal(size=(images, 3, 12, 14)) - channels_first(*[labels == 2] * 3) * 0.7)
    cells = Concepts(None, masks(labels)).at(12, 14)
    shifts = range(1, min(images - 1, 3) + 1)
    others = np.concatenate([labels[(np.arange(images) + shift) % images] for shift in shifts])
    layer = LayerStep(
        numbers, Activations.of(maps, numbers), scores=measure(maps, numbers, cells), maps=maps, cells=cells
    )
    for value in (0, 1, 2):
        name = f"label {value}"
        scores = layer.scores[f"{name}_auroc"]
        best = separation(scores).argmax()
        levels = np.concatenate([maps[:, best]] * len(shifts))
        control = roc_auc_score(others[others != 255] == value, levels[others != 255])
        expected = (scores[best] - control) * (1 if scores[best] >= 0.5 else -1)
        assert concept_excess(layer, name) == pytest.approx(expected, abs=1e-6)
        assert measure_layer(layer)[f"{name}_excess"] == concept_excess(layer, name)


def test_the_excess_of_the_label_that_is_the_object_is_that_of_the_object():
    labels = np.random.default_rng(0).integers(0, 3, (4, 10, 10))
    maps, numbers = stored(np.random.default_rng(1).normal(size=(4, 5, 10, 10)) + channels_first(labels == 1) * 0.5)
    cells = Concepts(None, masks(labels)).at(10, 10)
    scores = measure(maps, numbers, cells)
    layer = LayerStep(numbers, Activations.of(maps, numbers), scores=scores, maps=maps, cells=cells)
    best = separation(scores["mask_auroc"]).argmax()
    expected = excess(scores["mask_auroc"], scores["mask_control"])[best]
    assert concept_excess(layer, "label 1") == pytest.approx(expected, abs=1e-6)


def test_of_one_image_there_is_no_control():
    cells = Concepts(None, masks(objects(1).astype(int))).at(24, 24)
    assert "mask_control" not in measure(*as_values(np.zeros((1, 2, 24, 24), np.uint8)), cells)


# Readout


def independent(maps, labels, shift=0):
    """Folds by image with scikit-learn: the mean AUROC on held-out images, every cell taken."""
    labels, scores = np.roll(labels, -shift, axis=0), []
    values = np.moveaxis(maps, 1, -1).astype(np.float64)
    fold = np.arange(len(maps)) % FOLDS
    for each in range(FOLDS):
        seen, unseen = ((fold != each)[:, None, None] & (labels < 2), (fold == each)[:, None, None] & (labels < 2))
        inside = labels[seen] == 1
        weights = np.where(inside, 0.5 / inside.sum(), 0.5 / (~inside).sum())
        scaler = StandardScaler().fit(values[seen], sample_weight=weights)
        model = Ridge(alpha=RIDGE).fit(scaler.transform(values[seen]), 2.0 * inside - 1, sample_weight=weights)
        scores.append(roc_auc_score(labels[unseen] == 1, model.predict(scaler.transform(values[unseen]))))
    return np.mean(scores)


@pytest.mark.parametrize(("images", "channels"), [(4, 3), (6, 32), (9, 8)])
def test_the_readout_is_a_ridge_with_folds_by_image(images, channels):
    generator = np.random.default_rng(2)
    inside = objects(images, 20)
    labels = np.where(generator.random(inside.shape) < 0.1, 2, inside.astype(int))
    mixture = generator.normal(size=(1, channels, 1, 1))
    maps, _ = stored(mixture * inside[:, None] + generator.normal(size=(images, channels, 20, 20)) * 3)
    found = readout(maps, Concepts(None, masks(labels, ignored=2)).at(20, 20))
    assert found.score == pytest.approx(independent(maps, labels), abs=0.005)
    assert found.control == pytest.approx(np.mean([independent(maps, labels, shift) for shift in (1, 2)]), abs=0.005)


def test_a_readout_finds_what_no_channel_shows():
    inside = objects(8, 32)
    common = np.random.default_rng(0).normal(size=inside.shape) * 20
    maps, numbers = stored(channels_first(common + 2 * inside, common - 2 * inside))
    cells = Concepts(None, masks(inside.astype(int))).at(32, 32)
    assert separation(measure(maps, numbers, cells)["mask_auroc"]).max() < 0.6
    found = readout(maps, cells)
    assert found.score > 0.95 and found.control < 0.8


def test_a_readout_of_position_alone_is_its_control():
    inside = objects(8, 32)
    maps, _ = stored(channels_first(np.broadcast_to(inside.mean(0), inside.shape)))
    found = readout(maps, Concepts(None, masks(inside.astype(int))).at(32, 32))
    assert found.score > 0.7 and found.control == pytest.approx(found.score, abs=1e-6)


def test_a_readout_needs_images_and_cells():
    few, none = objects(3), np.zeros((4, 24, 24), bool)
    assert np.isnan(readout(np.zeros((3, 2, 24, 24), np.uint8), Cells(few, ~few))).all()
    assert np.isnan(readout(np.zeros((4, 2, 24, 24), np.uint8), Cells(none, ~none))).all()
    assert np.isnan(readout(np.zeros((4, 2, 24, 24), np.uint8), Cells())).all()
    flat = objects(4)
    assert readout(np.zeros((4, 2, 24, 24), np.uint8), Cells(flat, ~flat)) == (0.5, 0.5), "nothing to see is chance"
    assert np.isnan(LayerStep(np.zeros((2, 7), np.float32), None).readout).all()


# What holds for any map


@st.composite
def cases(draw):
    """Levels and labels of three kinds, at their size."""
    shape = draw(st.sampled_from([(1, 4, 4), (3, 3, 4), (4, 2, 5)]))
    levels = draw(arrays(np.uint8, (shape[0], 2, *shape[1:])))
    labels = draw(arrays(np.int64, shape, elements=st.integers(0, 2)))
    labels.flat[:3] = 0, 1, 2
    return levels, labels


@settings(deadline=None)
@given(cases())
def test_a_channel_and_its_negative_have_the_same_separation(case):
    levels, labels = case
    cells = Concepts(None, masks(labels)).at(*labels.shape[1:])
    before, after = (measure(*as_values(each), cells) for each in (levels, 255 - levels))
    for name in before:
        if name != "mask_iou":
            assert separation(after[name]) == pytest.approx(separation(before[name]), abs=1e-6)
            assert after[name] == pytest.approx(1 - before[name], abs=1e-6)


@settings(deadline=None)
@given(cases(), st.permutations([0, 1, 2]))
def test_renaming_labels_permutes_their_scores(case, order):
    levels, labels = case
    size = labels.shape[1:]
    before = measure(*as_values(levels), Concepts(None, masks(labels)).at(*size))
    renamed = masks(np.array(order)[labels], foreground=order[1])
    after = measure(*as_values(levels), Concepts(None, renamed).at(*size))
    for old, new in enumerate(order):
        np.testing.assert_array_equal(before[f"label {old}_auroc"], after[f"label {new}_auroc"])
    np.testing.assert_array_equal(before["mask_auroc"], after["mask_auroc"])


@settings(deadline=None)
@given(cases())
def test_the_control_of_constant_masks_is_the_score(case):
    levels, labels = case
    same = np.broadcast_to(labels[:1], labels.shape)
    cells = Concepts(None, masks(same)).at(*labels.shape[1:])
    scores = measure(*as_values(levels), cells)
    if len(labels) > 1:
        assert scores["mask_control"] == pytest.approx(scores["mask_auroc"], abs=1e-6, nan_ok=True)
    found = readout(levels, cells)
    assert found.control == pytest.approx(found.score, abs=1e-6, nan_ok=True)
