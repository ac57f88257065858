"""The concepts at a map's size, against scikit-image and plain repetition."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.filters import sobel
from skimage.measure import block_reduce
from support.masks import masks_of

from fm_callback.capture.labels import read_masks
from fm_callback.scores.concepts import Cells, Concepts, luminance
from fm_callback.scores.measures import MEASURES, ChannelMeasure, fields

SIZES = [
    (160, 160, 40, 40),
    (75, 75, 10, 10),
    (10, 10, 16, 16),
    (30, 20, 7, 33),
    (5, 5, 1, 1),
    (1, 1, 3, 3),
    (9, 9, 9, 9),
]


def shares(pixels, height, width):
    """The share of true pixels in each cell: each pixel repeated until both sizes divide it, then block averages."""
    _, rows, columns = pixels.shape
    fine = pixels.repeat(height, 1).repeat(width, 2)
    return np.stack([block_reduce(image.astype(float), (rows, columns), np.mean) for image in fine])


def touched(pixels, height, width):
    _, rows, columns = pixels.shape
    fine = pixels.repeat(height, 1).repeat(width, 2)
    return np.stack([block_reduce(image, (rows, columns), np.max) for image in fine])


@pytest.fixture
def generator():
    return np.random.default_rng(5)


@pytest.mark.parametrize("size", SIZES)
def test_concepts_at_any_ratio(generator, size):
    rows, columns, height, width = size
    labels = generator.integers(0, 3, (2, rows, columns))
    gray = generator.random((2, rows, columns))
    cells = Concepts(gray, masks_of(labels == 1, labels == 2)).at(height, width)
    inside, outside, ignored = (shares(labels == label, height, width) for label in (1, 0, 2))
    tie = np.isclose(inside, outside, atol=1e-12)
    counted = ignored < 0.5 + 1e-12
    assert np.array_equal(cells.foreground, (inside > outside) & ~tie & counted)
    assert np.array_equal(cells.background, ~((inside > outside) & ~tie) & counted)
    assert np.array_equal(cells.outline, touched(labels == 2, height, width))
    edges = Concepts(gray, None).at(rows, columns).edges
    assert np.array_equal(cells.edges, touched(edges, height, width))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [3, 12, 40])
def test_labels_at_any_ratio(generator, size, count):
    """Each cell that counts has the label of the largest area in it, of equals the first; 32 labels alone have a score."""
    rows, columns, height, width = size
    labels = generator.integers(0, count, (2, rows, columns))
    if rows > 1:
        labels[1] = 1  # an image that lacks the others
    else:
        labels[:, 0, 0] = 0, 1
    masks = read_masks(labels, 1, [2] if 2 in labels else None)
    cells = Concepts(None, masks).at(height, width)
    areas = np.stack([shares(labels == value, height, width).round(9) for value in range(count)])
    counted = areas[2] <= 0.5
    areas[2] = 0
    largest = areas.argmax(0)
    assert len(masks.scored) == min(len(set(np.unique(labels)) - {2}), 32) or len(masks.scored) == 0
    for at in masks.scored:
        label = masks.labels[at]
        assert np.array_equal(cells.named[f"{label.name}_auroc"], (largest == label.value) & counted), label.value


def test_a_cell_of_equal_shares_is_background():
    labels = np.array([[[1, 0], [0, 1]]])
    cells = Concepts(None, masks_of(labels == 1, None)).at(1, 1)
    assert not cells.foreground.any() and cells.background.all()
    assert cells.counts == {"foreground": 0, "background": 1}


@pytest.mark.parametrize(("ignored", "counted"), [(2, True), (3, False)])
def test_a_cell_mostly_ignored_is_neither(ignored, counted):
    labels = np.full(4, 1)
    labels[:ignored] = 2
    labels = labels.reshape(1, 2, 2)
    cells = Concepts(None, masks_of(labels == 1, labels == 2)).at(1, 1)
    assert bool(cells.foreground | cells.background) is counted


def test_edges_are_the_largest_sobel_magnitudes_of_each_image(generator):
    gray = ndimage.gaussian_filter(generator.random((3, 50, 40)), (0, 2, 2)) * np.array([1, 100, 0.01])[:, None, None]
    edges = Concepts(gray, None).at(50, 40).edges
    for image, found in zip(gray, edges, strict=True):
        for magnitude in (sobel(image), np.hypot(ndimage.sobel(image, 0), ndimage.sobel(image, 1))):
            assert found.sum() == 200
            assert magnitude[found].min() > magnitude[~found].max()


def test_edges_of_few_or_no_gradients():
    gray = np.zeros((3, 40, 40))
    gray[1, :, 20:] = 1.0  # two columns of edge pixels: fewer than 10 %
    gray[2, :, ::4] = 1.0  # stripes: half of the pixels share the largest magnitude
    edges = Concepts(gray, None).at(40, 40).edges
    assert not edges[0].any()
    assert np.array_equal(np.unique(np.nonzero(edges[1])[1]), [19, 20])
    assert edges[2].mean() >= 0.1


@pytest.mark.parametrize(
    ("axes", "sizes"), [((60,), (20,)), ((60,), (37,)), ((6, 10, 8), (3, 10, 5)), ((4, 4, 4), (8, 2, 4))]
)
def test_concepts_of_signals_and_volumes(generator, axes, sizes):
    labels, gray = generator.integers(0, 3, (2, *axes)), generator.random((2, *axes))
    cells = Concepts(gray, masks_of(labels == 1, labels == 2)).at(*sizes)
    fine = labels
    for axis, size in enumerate(sizes, start=1):
        fine = fine.repeat(size, axis)
    inside, outside, ignored = (block_reduce((fine == label).astype(float), (1, *axes), np.mean) for label in (1, 0, 2))
    tie = np.isclose(inside, outside, atol=1e-12)
    assert (cells.foreground == ((inside > outside) & ~tie & (ignored < 0.5 + 1e-12))).all()
    assert (cells.outline == (ignored > 0)).all()
    each = [
        np.sqrt(sum(ndimage.sobel(image, axis, mode="nearest") ** 2 for axis in range(len(axes)))) for image in gray
    ]
    edges = Concepts(gray, None).at(*axes).edges
    for magnitude, found in zip(each, edges, strict=True):
        assert 0.09 < found.mean() < 0.12
        assert magnitude[found].min() > magnitude[~found].max()


def test_luminance(generator):
    colour = generator.random((2, 4, 5, 3))
    assert np.allclose(luminance(colour), colour @ [0.299, 0.587, 0.114], atol=1e-6)
    assert np.allclose(luminance(np.full((1, 2, 2, 3), 255, np.uint8)), 255)
    for channels in (1, 2, 4):
        images = generator.random((2, 4, 5, channels))
        assert np.allclose(luminance(images), images.mean(-1), atol=1e-6)
    colour[0, 0, 0, 0] = np.nan
    assert np.isfinite(luminance(colour)).all()


def test_what_exists():
    labels, gray = np.eye(4, dtype=int)[None], np.eye(4)[None]
    masks, border = masks_of(labels == 1, None), masks_of(labels == 1, labels == 2)
    for concepts, names in (
        (Concepts(None, None), set()),
        (Concepts(gray, None), {"edges"}),
        (Concepts(gray, masks), {"foreground", "edges"}),
        (Concepts(gray, border), {"foreground", "edges", "outline"}),
    ):
        wanted = [each for each in MEASURES if isinstance(each, ChannelMeasure) and each.concept in {None, *names}]
        assert fields(concepts.at(2, 2)) == tuple(each.name for each in wanted)
    assert {"mask_auroc", "edge_auroc", "outline_auroc"} <= set(fields(Concepts(gray, border).at(2, 2)))
    assert np.isnan(Cells().area)
    made = Concepts(gray, border)
    assert made.at(4, 4) is made.at(4, 4)
    assert made.at(4, 4).area == 0.25
    assert made.at(4, 4).counts == {"foreground": 4, "background": 12, "edges": made.at(4, 4).edges.sum(), "outline": 0}
