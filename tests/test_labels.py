"""The labels that a user gives: taken, named and coloured, or refused with what to do."""

import keras
import numpy as np
import pytest

from fm_callback.capture.labels import colour, read_concepts, read_masks

LABELS = np.array([[[0, 1, 4], [4, 4, 255]]])


def names(masks):
    return {label.value: label.name for label in masks.labels}


def test_every_label_has_a_name_a_colour_and_a_place_by_its_value():
    masks = read_masks(LABELS, 4, 255, {4: "cat", 7: "dog"})
    assert names(masks) == {0: "label 0", 1: "label 1", 4: "cat", 7: "dog", 255: "ignored"}
    assert np.array([label.value for label in masks.labels])[masks.pixels].tolist() == LABELS.tolist()
    assert [label.value for label in masks.labels if label.foreground] == [4]
    colours = [label.colour for label in masks.labels]
    assert colours[-1] is None and len(set(colours)) == 5, "what is ignored is gray, as it always was"


def test_two_labels_are_object_and_background():
    assert names(read_masks(LABELS > 1, 1, None)) == {0: "background", 1: "foreground"}
    assert names(read_masks(LABELS > 1, 0, None)) == {0: "foreground", 1: "background"}
    assert names(read_masks(LABELS > 1, 1, None, {1: "cat"})) == {0: "background", 1: "cat"}
    assert {label.colour for label in read_masks(LABELS > 1, 1, None).labels} == {None}
    with pytest.raises(ValueError, match="call the label 1 'background', as the label 0 is called"):
        read_masks(LABELS > 1, 1, None, {1: "background"})
    assert names(read_masks(LABELS > 1, 1, None, {1: "background", 0: "cat"})) == {0: "cat", 1: "background"}


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float64])
def test_labels_of_any_dtype(dtype):
    labels = (LABELS > 1).astype(dtype)
    for given in (labels, keras.ops.convert_to_tensor(labels), labels.tolist()):
        assert read_masks(given, 1, None).pixels.tolist() == (LABELS > 1).astype(int).tolist()


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.float32])
def test_one_hot_labels(dtype):
    one_hot = (LABELS[..., None] == [0, 1, 4, 255]).astype(dtype)
    masks = read_masks(one_hot, 2, 3)
    assert masks.pixels.shape == LABELS.shape and names(masks) == {
        0: "label 0",
        1: "label 1",
        2: "label 2",
        3: "ignored",
    }
    assert (masks.foreground == (LABELS == 4)).all()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["pet", "background"], "must map labels to names"),
        ({}, "must map labels to names"),
        ({"pet": 0}, "integers from 0, to names; received 'pet': 0"),
        ({0: 1}, "received 0: 1"),
        ({-1: "pet"}, "received -1: 'pet'"),
        ({0: "pet", 1: "pet"}, "a name of its own"),
        ({0: "edge"}, "the name 'edge' is that of a score of ours"),
        ({0: "a\nb"}, r"received 0: 'a\\nb'"),
        (
            {0: "label 1"},
            "call the label 0 'label 1', as the label 1 is called without a name: give that one a name, too",
        ),
        ({9: "pet"}, r"name the labels \[9\], and `masks` hold \[0, 1, 4, 255\]"),
    ],
)
def test_classes_that_make_no_sense(classes, message):
    with pytest.raises(ValueError, match=message):
        read_masks(LABELS, 4, 255, classes)


def test_more_labels_than_a_byte_tells_apart():
    with pytest.raises(ValueError, match="300 labels, and at most 256"):
        read_masks(np.arange(300).reshape(1, 10, 30), 1, None)
    assert len(read_masks(np.arange(256).reshape(1, 16, 16), 1, None).labels) == 256


def test_named_concepts():
    read = read_concepts({"eyes": LABELS == 1, "nose": (LABELS == 4).astype(np.float32)})
    assert {name: (where.dtype, where.tolist()) for name, where in read.items()} == {
        "eyes": (np.bool_, (LABELS == 1).tolist()),
        "nose": (np.bool_, (LABELS == 4).tolist()),
    }
    assert read_concepts(None) == {}


def test_a_concept_is_not_called_as_a_label_is():
    labels = read_masks(LABELS, 4, 255, {1: "eyes"}).labels
    with pytest.raises(ValueError, match="the name 'eyes' is that of a label of `masks`"):
        read_concepts({"eyes": LABELS == 1}, labels)
    assert [*read_concepts({"nose": LABELS == 1}, labels)] == ["nose"]


@pytest.mark.parametrize(
    ("concepts", "message"),
    [
        ([LABELS == 1], "must map names to bool arrays"),
        ({1: LABELS == 1}, "must have names; received 1"),
        ({"a\tb": LABELS == 1}, "must have names"),
        ({"eyes": LABELS}, "concept 'eyes' must be bool"),
        ({"mask": LABELS == 1}, "the name 'mask' is that of a score of ours"),
    ],
)
def test_concepts_that_make_no_sense(concepts, message):
    with pytest.raises(ValueError, match=message):
        read_concepts(concepts)


def test_colours_are_colours_and_differ():
    colours = [colour(count) for count in range(40)]
    assert len(set(colours)) == 40 and all(len(each) == 7 and int(each[1:], 16) >= 0 for each in colours)
