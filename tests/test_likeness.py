"""Whether a model is what it was: by its channels' numbers."""

import numpy as np
import pytest

from fm_callback.format import NUMBERS
from fm_callback.scores.likeness import PRECISION, ROUNDING, distance, is_same

RNG = np.random.default_rng(0)


def layer(channels=8):
    numbers = np.zeros((channels, len(NUMBERS)), np.float32)
    numbers[:, NUMBERS.index("mean")] = RNG.normal(size=channels)
    numbers[:, NUMBERS.index("std")] = RNG.uniform(0.5, 2, channels)
    return numbers


def moved(numbers, share):
    """Each mean by a share of its deviation, each deviation by a share of itself."""
    there = numbers.copy()
    there[:, NUMBERS.index("mean")] += share * numbers[:, NUMBERS.index("std")]
    there[:, NUMBERS.index("std")] *= 1 + share
    return there


def test_a_model_is_no_way_from_itself_and_as_far_as_its_channels_moved():
    one, other = layer(), layer()
    assert distance([one, other], [one, other]) == 0
    assert distance([one], [moved(one, 0.1)]) == pytest.approx(0.1, rel=0.1)
    assert distance([one], [moved(one, 0.1)]) == distance([moved(one, 0.1)], [one])


def test_frozen_layers_do_not_hide_one_that_moved():
    frozen, head = [layer() for _ in range(20)], layer()
    assert distance([*frozen, head], [*frozen, moved(head, 0.3)]) > 0.2


def test_a_few_channels_that_hardly_vary_count_little_and_dead_ones_not_at_all():
    one = layer()
    there = moved(one, 0.001)
    one[:2, NUMBERS.index("std")] = there[:2, NUMBERS.index("std")] = 1e-6
    assert distance([one], [there]) == pytest.approx(0.001, rel=0.2)
    one[:7] = there[:7] = 0
    assert distance([one], [there]) == pytest.approx(0.001, rel=0.2)
    one[7] = 0
    assert distance([one], [there]) > 0.5, "dead in one alone"


def test_maps_of_one_cell_are_compared_by_their_values():
    one = layer()
    one[:, NUMBERS.index("std")] = 0
    there = one.copy()
    there[:, NUMBERS.index("mean")] *= 1.01
    assert distance([one], [one.copy()]) == 0 and distance([one], [there]) == pytest.approx(0.5, rel=0.02)


def test_what_is_not_finite_is_like_itself_alone():
    one = layer()
    nothing = np.full_like(one, np.nan)
    assert distance([nothing], [nothing]) == 0 and distance([one], [nothing]) == np.inf


@pytest.mark.parametrize(
    ("here", "beside", "same"),
    [
        (0, 0, True),
        (ROUNDING, 0, True),
        (1e-3, 0, False),
        (1e-3, 2e-3, False),
        (1e-3, 1e-2, True),
        (PRECISION, 1, True),
        (0.1, 1, False),
        (np.inf, np.inf, False),
    ],
)
def test_the_same_is_nearer_than_a_step_and_no_further_than_precision_explains(here, beside, same):
    assert is_same(here, beside) is same
