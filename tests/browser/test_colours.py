"""A layer in colours, and its contrast, against numpy."""

import numpy as np
import pytest
from test_modules import BYTES, sent

from fm_callback.read.colours import basis_of, paint

MOST = 4096  # cells that a basis is reckoned of


def stored(maps, columns):
    """What the page has of maps (images, channels, height, width): each image's grid, and where channels lie in it."""
    _, channels, height, width = maps.shape
    rows = -(-channels // columns)
    grids = []
    for image in maps:
        grid = np.zeros((rows, height, columns, width), np.uint8)
        for place, each in enumerate(image):
            grid[place // columns, :, place % columns] = each
        grids.append({"pixels": sent(grid.tobytes()), "width": columns * width})
    return grids, {"map": [height, width], "columns": columns, "channels": list(range(channels))}


def correlated(rng, images, channels, side):
    """Maps of a few causes and some noise."""
    causes = rng.normal(size=(images * side * side, min(5, channels))) * [3, 2, 1.5, 0.7, 0.3][: min(5, channels)]
    values = causes @ rng.normal(size=(causes.shape[1], channels)) + 0.3 * rng.normal(size=(len(causes), channels))
    low, high = values.min(0), values.max(0)
    pixels = np.round(255 * (values - low) / (high - low)).astype(np.uint8)
    return pixels.reshape(images, side, side, channels).transpose(0, 3, 1, 2), low, high


PAINT = (
    BYTES
    + """
  const [pictures, grid, ranges, own] = given;
  const all = pictures.map(({ pixels, width }) => ({ pixels: bytes(pixels), width }));
  const basis = basisOf(all, grid, ranges);
  const plain = { ...basis, axes: basis.axes.map((axis) => [...axis]) };
  return [[...colours(all[0], grid, ranges, basis, own)], plain.axes, basis.share, basis.kind];"""
)


def painted(run, maps, low, high, columns=8, own=False):
    grids, grid = stored(maps, columns)
    ranges = [[float(a), float(b)] for a, b in zip(low, high, strict=True)]
    found, axes, share, kind = run("draw/components.js", "basisOf, colours", PAINT, [grids, grid, ranges, own])
    height, width = maps.shape[2:]
    return np.reshape(found, (height, width, 4)), np.array(axes), share, kind


def principal(maps):
    """Standardised cells (cells, channels), and their first three axes by singular values, the greatest part positive."""
    cells = maps.transpose(0, 2, 3, 1).reshape(-1, maps.shape[1]).astype(float)
    standard = (cells - cells.mean(0)) / cells.std(0)
    _, values, axes = np.linalg.svd(standard, full_matrices=False)
    axes = axes[:3] * np.sign(np.take_along_axis(axes[:3], np.abs(axes[:3]).argmax(1)[:, None], 1))
    return standard, axes, (values[:3] ** 2).sum() / (values**2).sum()


@pytest.mark.parametrize(("images", "channels", "side"), [(4, 32, 32), (1, 5, 20), (2, 70, 24)])
def test_colours_are_the_principal_components_of_numpy(run, images, channels, side):
    maps, low, high = correlated(np.random.default_rng(channels), images, channels, side)
    assert images * side * side <= MOST
    found, axes, share, kind = painted(run, maps, low, high)
    standard, expected, part = principal(maps)
    assert kind == "components" and share == pytest.approx(part, abs=1e-6)
    assert np.abs(axes - expected).max() < 1e-4
    along = standard @ expected.T
    first, last = np.percentile(along, [2, 98], axis=0)
    colours = np.clip(255 * (along - first) / (last - first), 0, 255).reshape(images, side, side, 3)
    assert np.abs(found[..., :3] - colours[0]).max() <= 2
    assert (found[..., 3] == 255).all()
    own, *_ = painted(run, maps, low, high, own=True)
    one = along[: side * side]
    first, last = np.percentile(one, [2, 98], axis=0)
    colours = np.clip(255 * (one - first) / (last - first), 0, 255).reshape(side, side, 3)
    assert np.abs(own[..., :3] - colours).max() <= 2, "of the picture's own contrast"


def test_three_channels_or_fewer_are_as_they_are_in_one_range(run):
    rng = np.random.default_rng(3)
    maps = rng.integers(0, 256, (1, 3, 6, 6), np.uint8)
    low, high = np.array([-1.0, 0.0, 0.4]), np.array([3.0, 1.0, 0.5])
    values = low[:, None, None] + maps[0] / 255 * (high - low)[:, None, None]
    found, _, share, kind = painted(run, maps, low, high, columns=3)
    assert (kind, share) == ("channels", 1)
    assert np.abs(found[..., :3] - 255 * (values.transpose(1, 2, 0) + 1) / 4).max() <= 1, (
        "0.4 to 0.5 stays as gray as it is"
    )
    two, *_ = painted(run, maps[:, :2], low[:2], high[:2], columns=2)
    assert (two[..., 1] == two[..., 2]).all() and np.abs(two[..., 0] - 255 * (values[0] + 1) / 4).max() <= 1
    one, *_ = painted(run, maps[:, :1], low[:1], high[:1], columns=1)
    assert (one[..., 0] == one[..., 1]).all() and (one[..., 0] == maps[0, 0]).all()


def test_what_has_no_contrast_has_no_part_in_it(run):
    maps, low, high = correlated(np.random.default_rng(4), 2, 12, 16)
    dead = np.insert(maps, [3, 7], 0, axis=1)
    ends = np.insert(low, [3, 7], [0, np.nan]), np.insert(high, [3, 7], [0, np.nan])
    grids, grid = stored(dead, 7)
    ranges = [[None if np.isnan(each) else float(each) for each in pair] for pair in zip(*ends, strict=True)]
    body = PAINT.replace("const all", "for (const pair of ranges) if (pair[0] === null) pair.fill(NaN);\n  const all")
    found, axes, share, _ = run("draw/components.js", "basisOf, colours", body, [grids, grid, ranges, False])
    without, expected, part, _ = painted(run, maps, low, high)
    assert found == without.ravel().tolist() and share == part
    assert np.allclose(np.delete(axes, [3, 8], 1), expected) and not np.array(axes)[:, [3, 8]].any()


STAYS = (
    BYTES
    + """
  const [one, two, grid, ranges] = given;
  const own = (pictures) => pictures.map(({ pixels, width }) => ({ pixels: bytes(pixels), width }));
  const before = basisOf(own(one), grid, ranges);
  const plain = (basis) => basis.axes.map((axis) => [...axis]);
  return [before, basisOf(own(two), grid, ranges, before), basisOf(own(two), grid, ranges)].map(plain);"""
)


def test_copies_of_channels_make_no_noise(run):
    """Two causes have two components: what is left for the third is rounding, and not stretched over all colours."""
    maps, low, high = correlated(np.random.default_rng(7), 2, 2, 24)
    maps, low, high = np.concatenate([maps, maps, maps], 1), np.tile(low, 3), np.tile(high, 3)
    for own in (False, True):
        found, axes, share, _ = painted(run, maps, low, high, own=own)
        assert share == pytest.approx(1) and not axes[2].any()
        assert np.ptp(found[..., 2]) == 0 and np.ptp(found[..., 0]) == np.ptp(found[..., 1]) == 255
        basis = basis_of(maps.transpose(0, 2, 3, 1), low, high)
        assert np.abs(found[..., :3] - paint(maps[0].transpose(1, 2, 0), low, high, basis, own).astype(int)).max() <= 2


def test_maps_of_one_cell_have_colours(run):
    """Where a picture has no contrast of its own, its colours are those of the step that the basis is of."""
    maps, low, high = correlated(np.random.default_rng(3), 16, 8, 1)
    colours = []
    for first in range(3):
        rolled = np.roll(maps, -first, 0)
        found, *_ = painted(run, rolled, low, high, own=True)
        colours.append(found[0, 0, :3])
        pixels = rolled.transpose(0, 2, 3, 1)
        assert np.abs(colours[-1] - paint(pixels[0], low, high, basis_of(pixels, low, high)).astype(int)).max() <= 2
    assert np.abs(colours[0] - colours[1]).max() > 20 and np.abs(colours[1] - colours[2]).max() > 20


def test_a_new_basis_is_turned_to_be_as_near_to_the_old_one_as_it_can(run):
    rng = np.random.default_rng(5)
    maps, low, high = correlated(rng, 2, 16, 24)
    moved = np.clip(maps.astype(int) + rng.integers(-25, 26, maps.shape), 0, 255).astype(np.uint8)[:, ::-1]
    maps = maps[:, ::-1]
    ranges = [[float(a), float(b)] for a, b in zip(low[::-1], high[::-1], strict=True)]
    grids = [stored(each, 4)[0] for each in (maps, moved)]
    before, after, alone = map(
        np.array, run("draw/components.js", "basisOf", STAYS, [*grids, stored(maps, 4)[1], ranges])
    )
    assert np.allclose(after @ after.T, np.eye(3), atol=1e-9)
    assert np.allclose(after.T @ after, alone.T @ alone, atol=1e-7), "the same three dimensions"
    left, _, right = np.linalg.svd(alone @ before.T)
    assert np.allclose(after, (left @ right).T @ alone, atol=1e-6)
    assert np.degrees(np.arccos((after * before).sum(1))).max() < 10


ALIKE = (
    BYTES
    + """
  const [{ pixels, width }, grid, ranges, moments, place] = given;
  return [...alike({ pixels: bytes(pixels), width }, grid, ranges, moments, place)];"""
)


def test_likeness_is_the_cosine_of_standardised_channels(run):
    maps, low, high = correlated(np.random.default_rng(6), 1, 10, 9)
    grids, grid = stored(maps, 5)
    values = low[:, None, None] + maps[0] / 255 * (high - low)[:, None, None]
    mean, std = values.mean((1, 2)), values.std((1, 2))
    ranges = [[float(a), float(b)] for a, b in zip(low, high, strict=True)]
    moments = [{"mean": float(a), "std": float(b)} for a, b in zip(mean, std, strict=True)]
    asked = [grids[0], grid, ranges, moments, {"x": 0.5, "y": 0.999}]
    found = np.reshape(run("draw/components.js", "alike", ALIKE, asked), (9, 9))
    standard = ((values - mean[:, None, None]) / std[:, None, None]).reshape(10, -1)
    here = standard[:, 8 * 9 + 4]
    expected = here @ standard / np.linalg.norm(here) / np.linalg.norm(standard, axis=0)
    assert np.abs(found.ravel() - expected).max() < 1e-5
    assert found[8, 4] == pytest.approx(1)


ENDS = (
    BYTES
    + """
  const [{ pixels, width }, layer] = given;
  const picture = { pixels: bytes(pixels), width };
  return layer.channels.map((place) => percentiles(picture, layer, place));"""
)


def test_contrast_is_between_numpys_percentiles(run):
    rng = np.random.default_rng(7)
    maps = np.stack([rng.integers(0, 256, (9, 11)), rng.binomial(255, 0.3, (9, 11)), np.full((9, 11), 7)])[None].astype(
        np.uint8
    )
    sparse = np.zeros((1, 1, 9, 11), np.uint8)
    sparse[..., 4, 4] = 200
    grids, layer = stored(np.concatenate([maps, sparse], 1), 2)
    found = run("draw/contrast.js", "percentiles", ENDS, [grids[0], layer])
    for each, cells in zip(found[:2], maps[0], strict=False):
        low, high = np.percentile(cells, [1, 99])
        assert (each["low"], each["high"]) == (pytest.approx(low), pytest.approx(high))
        assert each["clipped"] == pytest.approx(((cells < low) | (cells > high)).mean())
    assert found[2] == {"low": 0, "high": 255, "clipped": 0}, "one value stays where it stands"
    assert (found[3]["low"], found[3]["high"]) == (0, pytest.approx(np.percentile(sparse, 99))), (
        "one cell of 99 is seen"
    )
    assert found[3]["high"] > 0 and found[3]["clipped"] == pytest.approx(1 / 99)


@pytest.mark.parametrize(
    ("images", "channels", "side"), [(4, 32, 32), (1, 5, 20), (2, 70, 24), (2, 64, 96), (1, 3, 8), (1, 2, 8)]
)
def test_films_and_sheets_are_in_the_pages_colours(run, images, channels, side):
    maps, low, high = correlated(np.random.default_rng(channels), images, channels, side)
    if channels > 8:
        maps[:, 3], low[5] = 0, high[5]
    pixels = maps.transpose(0, 2, 3, 1)
    basis = basis_of(pixels, low, high)
    for own in (False, True):
        found, axes, share, kind = painted(run, maps, low, high, own=own)
        assert (kind == "channels") == basis.few
        assert share == pytest.approx(basis.share, abs=1e-6) and np.abs(axes - basis.axes).max() < 1e-4
        assert np.abs(found[..., :3] - paint(pixels[0], low, high, basis, own).astype(int)).max() <= 2
