"""Stored grids and labelled pictures, decoded again."""

import io

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from PIL import Image

from fm_callback.format import to_grid
from fm_callback.write import grid, png
from fm_callback.write.grid import Status


def live(count):
    """Numbers of channels that show a signal."""
    return np.tile(np.array([0, 1, 0.5, 0.5, 0.3, 0, 0], np.float32), (count, 1))


def decoded(data):
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")), image.mode, image.size


@hypothesis.given(st.integers(1, 520), st.integers(1, 200), st.integers(1, 200))
def test_a_layout_holds_all_channels_with_less_than_a_row_to_spare(channels, height, width):
    rows, columns = grid.layout(channels, height, width)
    assert 0 <= rows * columns - channels < columns


@pytest.mark.parametrize(
    ("channels", "expected"),
    [(1, (1, 1)), (3, (1, 3)), (8, (2, 4)), (16, (4, 4)), (32, (4, 8)), (64, (8, 8)), (512, (16, 32))],
)
def test_square_maps_stand_in_even_rows(channels, expected):
    assert grid.layout(channels, 80, 80) == expected


@hypothesis.given(st.integers(1, 20), st.integers(1, 12), st.integers(1, 12), st.integers(0, 9999))
def test_every_stored_pixel_comes_back_from_the_png(channels, height, width, seed):
    maps = np.random.default_rng(seed).integers(0, 256, (channels, height, width), np.uint8)
    rows, columns = grid.layout(channels, height, width)
    with Image.open(io.BytesIO(png.encode(to_grid(maps, rows, columns)))) as image:
        assert image.mode == "L"
        stored = np.asarray(image)
    for at in range(channels):
        row, column = divmod(at, columns)
        tile = stored[row * height : (row + 1) * height, column * width : (column + 1) * width]
        assert np.array_equal(tile, maps[at])


@hypothesis.given(st.integers(1, 400), st.integers(1, 400))
def test_tiles_fit_the_picture_and_small_maps_grow_by_whole_numbers(height, width):
    tile_height, tile_width = grid.tile_size(height, width)
    assert 8 <= tile_height <= 64 and 8 <= tile_width <= 64
    if max(height, width) <= 64:
        assert tile_height % height == 0 or (height > 8 and tile_height == height)
        assert tile_width % width == 0 or (width > 8 and tile_width == width)


def tile(picture, at, maps, columns):
    sheet = grid._Sheet(*grid.tile_size(*maps.shape[1:]), 1, columns)
    return picture[sheet.cell(at)]


def test_a_small_map_is_magnified_without_smoothing_at_its_own_contrast():
    maps = np.array([[[10, 20], [30, 10]], [[0, 255], [255, 0]]], np.uint8)
    shown, mode, _ = decoded(png.encode(grid.picture(maps, live(2), (0, 1), 1, 2), grid.PALETTE))
    assert mode == "P"
    first = tile(shown, 0, maps, 2)[..., 0]
    assert set(np.unique(first[:32, :32])) == {0} and set(np.unique(first[32:, :32])) == {255}
    middle = np.unique(first[:32, 32:])
    assert len(middle) == 1 and abs(int(middle[0]) - 127) <= 2
    assert set(np.unique(tile(shown, 1, maps, 2))) == {0, 255}


def test_a_large_map_is_averaged_over_areas():
    board = np.indices((128, 128)).sum(0) % 2 * 255
    maps = np.stack([board, np.kron([[0, 255], [255, 0]], np.ones((64, 64)))]).astype(np.uint8)
    shown, _, _ = decoded(png.encode(grid.picture(maps, live(2), (0, 1), 1, 2), grid.PALETTE))
    chequers = tile(shown, 0, maps, 2)[..., 0]
    assert chequers.shape == (64, 64)
    assert abs(chequers.astype(int) - 127).max() <= 2, "two by two cells, half of them white"
    assert set(np.unique(tile(shown, 1, maps, 2))) == {0, 255}


def test_channels_without_a_signal_are_marked_and_never_shown_as_maps():
    maps = np.zeros((5, 10, 10), np.uint8)
    maps[0, :5] = 255
    maps[4, :5] = 255
    numbers = live(5)
    numbers[1] = 0
    numbers[2] = [0.13, 0.13, 0.13, 0.13, 0, 0, 0]
    numbers[3] = [np.nan] * 5 + [0, 100]
    numbers[4, 6] = 7
    assert grid.status(numbers).tolist() == [Status.LIVE, Status.DEAD, Status.FLAT, Status.NONFINITE, Status.LIVE]
    shown, _, _ = decoded(png.encode(grid.picture(maps, numbers, (0, 1, 2, 3, 4), 1, 5), grid.PALETTE))
    red = (shown == [205, 60, 40]).all(-1)
    for at, (hatched, alarmed) in enumerate(
        [(False, False), (True, False), (True, False), (True, True), (False, True)]
    ):
        cell = tile(shown, at, maps, 5)
        assert (cell == [190, 184, 174]).all(-1).any() == hatched, at
        assert tile(red, at, maps, 5).any() == alarmed, at


def test_one_image_without_contrast_in_a_probe_that_has_it_is_marked():
    maps = np.full((1, 10, 10), 90, np.uint8)
    shown, _, _ = decoded(png.encode(grid.picture(maps, live(1), (0,), 1, 1), grid.PALETTE))
    assert (shown == [190, 184, 174]).all(-1).any()


def test_a_grid_with_room_to_spare_has_paper_there_and_no_tile():
    maps = np.zeros((31, 10, 10), np.uint8)
    maps[:, :5] = 255
    rows, columns = grid.layout(31, 10, 10)
    shown, _, _ = decoded(png.encode(grid.picture(maps, live(31), tuple(range(31)), rows, columns), grid.PALETTE))
    sheet = grid._Sheet(*grid.tile_size(10, 10), rows, columns)
    assert (shown[sheet.cell(31)] == 255).all()
    assert not (shown[sheet.cell(30)] == 255).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (32, 1, 1), (32, 1, 100), (4, 300, 2), (256, 1, 1)])
def test_unusual_maps_make_a_picture(shape):
    maps = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rows, columns = grid.layout(*shape)
    shown, _, size = decoded(
        png.encode(grid.picture(maps, live(shape[0]), tuple(range(shape[0])), rows, columns), grid.PALETTE)
    )
    assert shown.shape[:2] == size[::-1] and min(size) > 0


def test_status_takes_the_layers_own_scale():
    numbers = live(2) * 1e6
    numbers[1] = [0, 1e-5, 1e-6, 1e-6, 1e-6, 0, 0]
    assert grid.status(numbers).tolist() == [Status.LIVE, Status.DEAD]
    assert grid.status(numbers[1:]).tolist() == [Status.LIVE]


@hypothesis.given(st.integers(65, 300), st.integers(1, 300), st.integers(0, 9999))
def test_a_tile_of_a_large_map_is_the_mean_of_its_cells(height, width, seed):
    maps = np.random.default_rng(seed).integers(0, 256, (1, height, width), np.uint8)
    maps[0, 0, 0], maps[0, -1, -1] = 0, 255
    shown = np.asarray(grid.picture(maps, live(1), (0,), 1, 1))
    found = tile(shown, 0, maps, 1)
    factors = [max(1, -(-side // size)) for side, size in zip((height, width), found.shape, strict=True)]
    for row, column in ((0, 0), (found.shape[0] // 3, found.shape[1] // 2)):
        rows = (
            np.arange(row * factors[0], (row + 1) * factors[0]) if factors[0] > 1 else [row * height // found.shape[0]]
        )
        columns = np.arange(column * factors[1], (column + 1) * factors[1])
        if factors[1] == 1:
            columns = [column * width // found.shape[1]]
        mean = maps[0][np.ix_(np.minimum(rows, height - 1), np.minimum(columns, width - 1))].mean()
        black, white = np.percentile(maps[0], (1, 99))
        assert abs(found[row, column] / 247 - np.clip((mean - black) / (white - black), 0, 1)) <= 1 / 255


def test_cells_outside_the_contrast_are_clipped_and_the_rest_is_seen():
    maps = np.full((2, 40, 40), 10, np.uint8)
    maps[:, 10:30, 10:30] = 60
    maps[0, 15, [15, 24]] = 255
    maps[0, 35, 35] = 0
    maps[1] = 0
    maps[1, 20, 20] = 3
    face, sparse = (tile(grid.picture(maps, live(2), (0, 1), 1, 2), at, maps, 2) for at in (0, 1))
    assert [face[at] for at in ((5, 5), (12, 12), (15, 15), (35, 35))] == [0, 247, 247, 0]
    assert (sparse[0, 0], sparse[20, 20]) == (0, 247), "one cell of 1,600 is seen"


def test_maps_of_one_cell_are_shown_beside_those_of_other_images():
    levels = np.array([[[0]], [[255]]], np.uint8)
    numbers = np.tile(np.array([0, 1, 0.5, 0.5, 0.3, 0, 0], np.float32), (2, 1))
    shown = np.asarray(grid.picture(levels, numbers, (0, 1), 1, 2))
    assert grid.tile_size(1, 1) == (64, 64)
    dark, bright = (np.unique(shown[20:70, each]).tolist() for each in (slice(10, 60), slice(80, 130)))
    assert len(dark) == len(bright) == 1 and dark[0] < bright[0], "one gray each, nothing hatched"
