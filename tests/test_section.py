"""Which plane of a sample and of its maps is stored."""

import numpy as np
import pytest

from fm_callback.capture.section import Section, section


def test_the_shortest_axis_is_cut_in_its_middle_or_through_the_object():
    assert section((32, 32, 12), 2) == Section((32, 32, 12), 2, (6, 6))
    assert section((9, 9, 9), 1).axis == 0
    objects = np.zeros((3, 8, 5, 6), bool)
    objects[0, :, 1], objects[0, 0, 3] = True, True  # half of it, and more, lies in slice 1
    objects[1, 2, 4, 1] = True
    assert section((8, 5, 6), 3, objects).at == (1, 4, 2), "the third has no object"


def test_an_object_in_two_parts_is_cut_where_some_of_it_is():
    objects = np.zeros((1, 9, 20, 20), bool)
    objects[0, 0, :3], objects[0, 8, :4] = True, True
    assert section((9, 20, 20), 1, objects).at == (8,)


def test_axis_and_slice_can_be_chosen():
    assert section((8, 5, 6), 2, axis=-1, at=-1) == Section((8, 5, 6), 2, (5, 5))
    assert section((8, 5, 6), 2, axis=0, at=[3, -2]).at == (3, 6)
    assert section((8, 5, 6), 2, np.ones((2, 8, 5, 6), bool), axis=2).at == (2, 2)


@pytest.mark.parametrize(
    ("axes", "axis", "at", "message"),
    [
        (
            (8, 9),
            0,
            None,
            r"`slice_axis`=0 is for volumes and videos, with three axes; these samples have the axes \(8, 9\)",
        ),
        ((40,), None, 3, "`slice`=3 is for volumes and videos"),
        ((8, 5, 6), 3, None, "must be 0, 1 or 2, an axis of 8×5×6; received 3"),
        ((8, 5, 6), True, None, "received True"),
        ((8, 5, 6), None, 5, "from 0 to 4, along axis 1 of 8×5×6, or one for each of the 2 samples; received 5"),
        ((8, 5, 6), None, [1], r"received \[1\]"),
        ((8, 5, 6), None, "middle", "received 'middle'"),
    ],
)
def test_a_wrong_choice_says_what_was_possible(axes, axis, at, message):
    with pytest.raises(ValueError, match=message):
        section(axes, 2, axis=axis, at=at)


def test_maps_are_cut_at_the_same_part_of_the_sample():
    volumes = np.arange(2 * 4 * 6 * 8 * 3).reshape(2, 4, 6, 8, 3)
    chosen = Section((8, 12, 16), 1, (3, 11))
    assert chosen.slices((4, 6, 8), 2) == (1, 5)
    assert (chosen.planes(volumes) == np.stack([volumes[0, :, 1], volumes[1, :, 5]])).all()
    assert chosen.size((4, 6, 8)) == (4, 8)
    assert Section().planes(volumes).shape == (2, 6, 8, 3)
    assert (Section().planes(volumes) == volumes[:, 2]).all()
    films = volumes.reshape(1, 2, 4, 6, 8, 3)
    assert (Section().planes(films) == films[:, 1, 2]).all()


def test_fewer_axes_are_a_picture_a_strip_or_a_cell():
    for axes, size in (((4, 6), (4, 6)), ((5,), (1, 5)), ((), (1, 1))):
        assert Section().size(axes) == size
        assert Section().planes(np.zeros((2, *axes, 3))).shape == (2, *size, 3)


def test_what_lies_over_the_sample():
    assert Section((40,)).covers((10,)) and not Section((40,)).covers((10, 2))
    assert Section((8, 9, 7), 0, (1,)).covers((4, 4, 4)) and Section().covers((3, 3)) and not Section().covers((3,))
