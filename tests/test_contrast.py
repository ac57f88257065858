"""Between which levels a map is shown: numpy's percentiles of its bytes."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
from hypothesis.extra import numpy as of_numpy

from fm_callback.scores.contrast import PERCENTILES, contrast

SHAPES = of_numpy.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=24)


@hypothesis.given(of_numpy.arrays(np.uint8, SHAPES, elements=st.integers(0, 255)))
def test_it_is_that_of_numpys_percentiles_of_the_bytes(maps):
    black, white = contrast(maps)
    cells = maps.reshape(len(maps), -1)
    expected = np.percentile(cells, PERCENTILES, axis=1)
    expected = np.where(expected[0] == expected[1], [cells.min(axis=1), cells.max(axis=1)], expected)
    np.testing.assert_allclose([black, white], expected, atol=1e-9, rtol=0)
    assert ((black < white) == (cells.min(axis=1) < cells.max(axis=1))).all()


def test_many_channels_of_any_distribution():
    rng = np.random.default_rng(0)
    maps = np.clip(rng.normal(rng.uniform(0, 255, (300, 1, 1)), 40, (300, 31, 33)), 0, 255).astype(np.uint8)
    np.testing.assert_allclose(contrast(maps), np.percentile(maps.reshape(300, -1), PERCENTILES, axis=1), atol=1e-9)


def test_two_bright_eyes_leave_the_rest_its_contrast():
    face = np.full((1, 40, 40), 10, np.uint8)
    face[:, 10:30, 10:30] = 60
    face[:, 15, [15, 24]] = 255
    assert np.ravel(contrast(face)).tolist() == [10, 60]


def test_what_is_nearly_everywhere_zero_is_shown_from_the_lowest_to_the_highest():
    sparse = np.zeros((2, 40, 40), np.uint8)
    sparse[0, 3, 4], sparse[1, 3, 4], sparse[1, 9] = 200, 200, 30
    assert contrast(sparse)[0].tolist() == [0, 0]
    assert contrast(sparse)[1].tolist() == [200, 30]


def test_a_flat_map_has_no_contrast():
    assert np.ravel(contrast(np.full((1, 5, 5), 77, np.uint8))).tolist() == [77, 77]
    assert np.ravel(contrast(np.full((1, 1), 77, np.uint8))).tolist() == [77, 77]
